//! The SQL functions of `migrations/`, declared so that diesel prepares their calls once per connection.

use diesel::{
    define_sql_function,
    sql_types::{Array, BigInt, Date, Integer, Jsonb, Nullable, Text, Uuid},
};

define_sql_function! {
    fn booking_snapshots(slots: Array<Uuid>, patients: Array<Uuid>, callers: Array<Nullable<Uuid>>, claim_keys: Array<Nullable<Text>>) -> Jsonb;
}
define_sql_function! {
    fn consultation_snapshot(consultation: Uuid, target: Nullable<Uuid>, caller: Nullable<Uuid>, claim_key: Nullable<Text>) -> Nullable<Jsonb>;
}
define_sql_function! { fn commit_bookings(changes: Jsonb) -> Array<Text>; }
define_sql_function! { fn commit_effects(effects: Jsonb) -> Array<Text>; }
define_sql_function! { fn commit_availability(changes: Jsonb) -> Text; }
define_sql_function! { fn claim_due_messages(at: diesel::sql_types::Timestamptz, lease_until: diesel::sql_types::Timestamptz, most: Integer) -> Jsonb; }
define_sql_function! { fn ensure_partitions(first: Date, last: Date) -> Integer; }
define_sql_function! { fn partition_runway_days(today: Date) -> Integer; }
define_sql_function! { fn pg_try_advisory_lock(key: BigInt) -> Bool; }
define_sql_function! { fn insert_account(account: Jsonb, effects: Jsonb) -> Nullable<Uuid>; }
define_sql_function! { fn insert_doctor(doctor: Jsonb, effects: Jsonb) -> Text; }
define_sql_function! { fn update_doctor(doctor: Jsonb, effects: Jsonb) -> Text; }
define_sql_function! { fn plan_messages(messages: Jsonb, effects: Jsonb) -> Array<Text>; }
define_sql_function! { fn settle_messages(settled: Jsonb) -> Uuid; }
