//! The SQL functions of `migrations/`, declared so that diesel prepares their calls once per connection.

use diesel::{
    define_sql_function,
    sql_types::{Array, BigInt, Bool, Bytea, Date, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid},
};

define_sql_function! {
    fn booking_snapshots(slots: Array<Uuid>, patients: Array<Uuid>, dependants: Array<Nullable<Uuid>>, callers: Array<Nullable<Uuid>>, claim_keys: Array<Nullable<Text>>) -> Jsonb;
}
define_sql_function! {
    fn consultation_snapshot(consultation: Uuid, target: Nullable<Uuid>, caller: Nullable<Uuid>, claim_key: Nullable<Text>) -> Nullable<Jsonb>;
}
define_sql_function! { fn commit_bookings(changes: Jsonb) -> Array<Text>; }
define_sql_function! { fn commit_effects(effects: Jsonb) -> Array<Text>; }
define_sql_function! { fn commit_availability(changes: Jsonb) -> Text; }
define_sql_function! { fn claim_due_messages(lease_us: BigInt, most: Integer) -> Jsonb; }
define_sql_function! { fn ensure_partitions(first: Date, last: Date) -> Integer; }
define_sql_function! { fn partition_runway_days(today: Date) -> Integer; }
define_sql_function! { fn pg_try_advisory_lock(key: BigInt) -> Bool; }
define_sql_function! { fn insert_doctor(doctor: Jsonb, effects: Jsonb) -> Text; }
define_sql_function! { fn update_doctor(doctor: Jsonb, effects: Jsonb) -> Text; }
define_sql_function! { fn plan_messages(messages: Jsonb, effects: Jsonb) -> Array<Text>; }
define_sql_function! { fn settle_messages(settled: Jsonb) -> Uuid; }
define_sql_function! { fn insert_account(change: Jsonb) -> Nullable<Uuid>; }
define_sql_function! { fn update_account(change: Jsonb) -> Nullable<Array<Uuid>>; }
define_sql_function! { fn issue_link(change: Jsonb) -> Text; }
define_sql_function! { fn open_session(change: Jsonb) -> Text; }
define_sql_function! { fn rotate_refresh_token(change: Jsonb) -> Text; }
define_sql_function! { fn end_session(change: Jsonb) -> Bool; }
define_sql_function! { fn end_sessions(change: Jsonb) -> Array<Uuid>; }
define_sql_function! { fn step_up_session(change: Jsonb) -> Text; }
define_sql_function! { fn session_states(sessions: Array<Uuid>) -> Nullable<Jsonb>; }
define_sql_function! { fn second_factor(account: Uuid) -> Jsonb; }
define_sql_function! { fn claim_second_factor_try(account: Uuid, tries: Array<Timestamptz>, becoming: BigInt) -> Bool; }
define_sql_function! { fn redeem_second_factor(change: Jsonb) -> Bool; }
define_sql_function! { fn begin_totp_factor(change: Jsonb) -> Text; }
define_sql_function! { fn confirm_totp_factor(change: Jsonb) -> Text; }
define_sql_function! { fn replace_recovery_codes(change: Jsonb) -> Text; }
define_sql_function! { fn remove_totp_factor(change: Jsonb) -> Text; }
define_sql_function! {
    fn payment_snapshot(wanted: Nullable<Uuid>, at_gateway: Nullable<Text>, by_order: Nullable<Text>, by_capture: Nullable<Text>, by_task: Nullable<Uuid>, caller: Nullable<Uuid>, claim_key: Nullable<Text>) -> Jsonb;
}
define_sql_function! { fn commit_payment(changes: Jsonb) -> Text; }
define_sql_function! { fn claim_gateway_tasks(lease_us: BigInt, most: Integer) -> Jsonb; }
define_sql_function! {
    fn dead_letter_snapshot(wanted: Uuid, caller: Nullable<Uuid>, claim_key: Nullable<Text>) -> Nullable<Jsonb>;
}
define_sql_function! { fn dead_letter_about(of_source: Text, of_consumer: Text, subject: Uuid) -> Nullable<Jsonb>; }
define_sql_function! {
    fn list_dead_letters(in_state: Nullable<Text>, of_consumer: Nullable<Text>, of_source: Nullable<Text>, after_at: Nullable<Timestamptz>, after_id: Nullable<Uuid>, most: Integer) -> Jsonb;
}
define_sql_function! { fn put_dead_letter(change: Jsonb) -> Text; }
define_sql_function! {
    fn review_snapshot(wanted: Uuid, caller: Nullable<Uuid>, claim_key: Nullable<Text>) -> Nullable<Jsonb>;
}
define_sql_function! {
    fn list_reviews(in_state: Nullable<Text>, of_kind: Nullable<Text>, after_at: Nullable<Timestamptz>, after_id: Nullable<Uuid>, most: Integer) -> Jsonb;
}
define_sql_function! {
    fn open_review_about(of_kind: Text, subject: Uuid, why: Text) -> Nullable<Jsonb>;
}
define_sql_function! { fn open_review(change: Jsonb) -> Text; }
define_sql_function! { fn put_review(change: Jsonb) -> Text; }
define_sql_function! {
    #[sql_name = "keys.take_seals"]
    fn take_seals(owner: Uuid, wanted: BigInt, most: BigInt, born_after: Timestamptz) -> Jsonb;
}
define_sql_function! { #[sql_name = "keys.find_key"] fn find_key(owner: Uuid, wanted: Integer) -> Jsonb; }
define_sql_function! { #[sql_name = "keys.put_key"] fn put_key(key: Jsonb, wanted: BigInt, at: Timestamptz) -> Text; }
define_sql_function! { #[sql_name = "keys.destroy_keys"] fn destroy_keys(owner: Uuid, at: Timestamptz) -> BigInt; }
define_sql_function! {
    #[sql_name = "keys.rewrap_keys"]
    fn rewrap_keys(old: Text, wrappings: Jsonb, at: Timestamptz) -> BigInt;
}
define_sql_function! { #[sql_name = "keys.retire_kek"] fn retire_kek(kek: Text, at: Timestamptz) -> BigInt; }
define_sql_function! { fn take_audit_intake(most: Integer) -> Jsonb; }
define_sql_function! { fn forget_audit_intake(mark: Text, sealed: BigInt) -> BigInt; }
define_sql_function! { fn begin_audit_epoch() -> BigInt; }
define_sql_function! { fn append_audit(sealer: BigInt, entries: Jsonb) -> Bool; }
define_sql_function! { fn seal_audit(sealer: BigInt, before: BigInt, now: BigInt, tiles: Jsonb, note: Text) -> Bool; }
define_sql_function! { fn add_audit_cosignature(at_size: BigInt, witness: Text, line: Text) -> Bool; }
define_sql_function! { fn uuid_v7_time(id: Uuid) -> Timestamptz; }
define_sql_function! { fn object_to_audit_entry(entry: Uuid, account: Uuid, effects: Jsonb) -> Bool; }
define_sql_function! { fn audit_rules_in_force() -> Jsonb; }
define_sql_function! { fn unusual_in_log(rules: Jsonb) -> Jsonb; }
define_sql_function! { fn unusual_not_told(found: Jsonb) -> Jsonb; }
define_sql_function! { fn audit_has_looked(wanted: BigInt) -> Bool; }
define_sql_function! { fn raise_audit_alert(alert: Jsonb, effects: Jsonb) -> Bool; }
define_sql_function! { fn clinical_visit(consultation: Uuid) -> Nullable<Jsonb>; }
define_sql_function! { fn clinical_practitioner(account: Uuid) -> Nullable<Jsonb>; }
define_sql_function! { fn clinical_note(consultation: Uuid) -> Nullable<Jsonb>; }
define_sql_function! { fn clinical_prescriptions(consultation: Uuid) -> Jsonb; }
define_sql_function! { fn clinical_prescription(id: Nullable<Uuid>, digest: Nullable<Bytea>) -> Nullable<Jsonb>; }
define_sql_function! { fn clinical_consents(consultation: Uuid) -> Jsonb; }
define_sql_function! { fn clinical_guardian(consultation: Uuid) -> Nullable<Jsonb>; }
define_sql_function! { fn clinical_presence(consultation: Uuid) -> Jsonb; }
define_sql_function! { fn clinical_document(prescription: Uuid) -> Nullable<Jsonb>; }
define_sql_function! { fn clinical_earlier(patient: Uuid, dependant: Nullable<Uuid>, doctor: Uuid, since: Timestamptz, before: Timestamptz) -> Jsonb; }
define_sql_function! {
    fn clinical_last_treated(patient: Uuid, dependant: Nullable<Uuid>, doctor_account: Uuid, since: Timestamptz, soon: Timestamptz) -> Nullable<Timestamptz>;
}
define_sql_function! {
    fn clinical_records(patient: Uuid, dependant: Nullable<Uuid>, after_start: Nullable<Timestamptz>, after_id: Nullable<Uuid>, most: Integer) -> Jsonb;
}
define_sql_function! { fn dependant_kept(keeper: Uuid, dependant: Uuid) -> Nullable<Jsonb>; }
define_sql_function! { fn count_dependants(keeper: Uuid) -> BigInt; }
define_sql_function! {
    fn list_dependants(keeper: Uuid, after_at: Nullable<Timestamptz>, after_id: Nullable<Uuid>, most: Integer) -> Jsonb;
}
define_sql_function! { fn commit_dependant(change: Jsonb, effects: Jsonb) -> Text; }
define_sql_function! { fn commit_clinical(changes: Jsonb) -> Text; }
define_sql_function! { fn import_formulary(formulary: Jsonb, effects: Jsonb) -> Text; }
define_sql_function! { fn formulary_in_force(day: Date) -> Nullable<Jsonb>; }
define_sql_function! { fn keys_standing(owner: Uuid, at: Timestamptz) -> Text; }
define_sql_function! { fn record_locked(patient: Uuid) -> Bool; }
define_sql_function! { fn export_snapshot(account: Uuid, claim_key: Nullable<Text>) -> Jsonb; }
define_sql_function! { fn put_export(export: Jsonb, chunks: Array<Bytea>, discard: Bool, effects: Jsonb) -> Text; }
define_sql_function! { fn held_of(account: Uuid) -> Jsonb; }
define_sql_function! { fn erasure_facts(account: Uuid) -> Nullable<Jsonb>; }
define_sql_function! { fn commit_erasure(change: Jsonb) -> Nullable<Array<Uuid>>; }
define_sql_function! { fn erasures_due_at(at: Timestamptz, most: Integer) -> Array<Uuid>; }
define_sql_function! { fn begin_destruction(account: Uuid, at: Timestamptz) -> Nullable<Array<Uuid>>; }
define_sql_function! { fn finish_destruction(account: Uuid, at: Timestamptz, effects: Jsonb) -> Text; }
define_sql_function! { fn place_hold(hold: Jsonb, effects: Jsonb) -> Text; }
define_sql_function! { fn lift_hold(account: Uuid, case_reference: Text, at: Timestamptz, effects: Jsonb) -> Text; }
