//! What must hold whatever happened.

use super::{SOON, Stack, until};
use std::time::Duration;

/// How long a lock lives; see the API's setting `redis.ttl_ms`.
const LOCK_TTL_MS: i64 = 5_000;

/// Each query tells of breaches, one per row. I1, I4, I13 of the design's list. A visit that took place or was missed
/// keeps its slot: that time is over.
const BREACHES: &[&str] = &[
    "SELECT format('I1: live consultations %s and %s share a slot or a doctor''s time', a.id, b.id)
     FROM consultations a JOIN consultations b ON a.id < b.id
       AND (a.slot_id = b.slot_id OR (a.doctor_id = b.doctor_id AND tstzrange(a.starts_at, a.ends_at) && tstzrange(b.starts_at, b.ends_at)))
     WHERE a.status IN ('pending', 'confirmed', 'in_progress') AND b.status IN ('pending', 'confirmed', 'in_progress')",
    "SELECT format('I4: consultation %s is %s, but slot %s is %s for %s', c.id, c.status, s.id, s.status, s.consultation_id)
     FROM consultations c JOIN slots s ON s.id = c.slot_id
     WHERE c.status IN ('pending', 'confirmed', 'in_progress')
       AND (s.status <> 'booked' OR s.consultation_id <> c.id OR s.held_until IS DISTINCT FROM c.hold_expires_at
            OR s.doctor_id <> c.doctor_id OR s.starts_at <> c.starts_at OR s.ends_at <> c.ends_at)",
    "SELECT format('I4: slot %s is booked for %s, which is %s', s.id, s.consultation_id, coalesce(c.status, 'absent'))
     FROM slots s LEFT JOIN consultations c ON c.id = s.consultation_id
     WHERE s.status = 'booked'
       AND (c.id IS NULL OR c.slot_id <> s.id OR c.status NOT IN ('pending', 'confirmed', 'in_progress', 'completed', 'no_show'))",
    "WITH noted AS (
       SELECT p.patient_id, (v ->> 'consultation_id')::uuid AS id, (v ->> 'starts_at')::timestamptz AS starts_at,
              (v ->> 'ends_at')::timestamptz AS ends_at, (v ->> 'held_until')::timestamptz AS held_until
       FROM patient_calendars p, jsonb_array_elements(p.live) v
     ), real AS (
       SELECT patient_id, id, starts_at, ends_at, hold_expires_at AS held_until FROM consultations
       WHERE status IN ('pending', 'confirmed', 'in_progress')
     )
     SELECT format('I4: the calendar of %s says %s of %s, the consultations say %s',
                   coalesce(n.patient_id, r.patient_id), n, coalesce(n.id, r.id), r)
     FROM noted n FULL JOIN real r USING (id)
     WHERE (n.id IS NULL OR r.id IS NULL OR (n.patient_id, n.starts_at, n.ends_at) <> (r.patient_id, r.starts_at, r.ends_at)
            OR n.held_until IS DISTINCT FROM r.held_until)
       -- A hold that ran out, and a visit that was over a day ago, count nowhere: the calendar may name them, and need not.
       AND coalesce(n.held_until, r.held_until, 'infinity') > now()
       AND coalesce(n.ends_at, r.ends_at) > now() - interval '1 day'",
    "WITH steps AS (
       SELECT *, row_number() OVER each AS n, lag(to_status) OVER each AS before FROM consultation_timeline
       WINDOW each AS (PARTITION BY consultation_id ORDER BY version)
     )
     SELECT format('I13: %s version %s (%s -> %s, %s) does not follow %s', consultation_id, version, from_status, to_status, kind, before)
     FROM steps
     WHERE version <> n OR from_status IS DISTINCT FROM before OR NOT CASE kind
       WHEN 'rescheduled' THEN from_status = to_status AND to_status IN ('pending', 'confirmed')
       WHEN 'mode_changed' THEN from_status = to_status AND to_status = 'in_progress'
       WHEN 'noted' THEN from_status = to_status AND to_status = 'expired'
       ELSE (coalesce(from_status, ''), to_status) IN (('', 'pending'), ('pending', 'confirmed'), ('pending', 'expired'),
              ('pending', 'cancelled'), ('expired', 'confirmed'), ('confirmed', 'in_progress'), ('confirmed', 'cancelled'), ('confirmed', 'no_show'),
              ('in_progress', 'completed')) END",
    "SELECT format('I13: %s stands at version %s %s, its timeline at %s %s', c.id, c.version, c.status, t.version, t.to_status)
     FROM consultations c LEFT JOIN LATERAL (
       SELECT * FROM consultation_timeline t WHERE t.consultation_id = c.id ORDER BY version DESC LIMIT 1
     ) t ON true
     WHERE (t.version, t.to_status, t.slot_id) IS DISTINCT FROM (c.version, c.status, c.slot_id)",
];

/// Asked where the log of accesses is in the same database: a test with the log elsewhere looks there itself.
const UNRECORDED: &[&str] = &[
    "SELECT format('a booking without its audit entry: %s', c.id) FROM consultations c
     WHERE NOT EXISTS (SELECT FROM audit_entries a WHERE a.action = 'consultation.book' AND a.resource_id = c.id::text AND a.outcome = 'allowed')",
    "SELECT format('%s steps of the payment %s in the flow %s, %s of them on the record', count(*), t.payment_id, t.correlation_id, min(e.entries))
     FROM payment_timeline t, LATERAL (
       SELECT count(*) AS entries FROM audit_entries a
       WHERE a.resource_id = t.payment_id::text AND a.correlation_id = t.correlation_id AND a.outcome = 'allowed'
         AND a.action LIKE 'payment.%' AND a.action NOT IN ('payment.inspect', 'payment.read', 'payment.retry')
     ) e
     WHERE t.kind NOT IN ('review_needed', 'review_withdrawn', 'ruled')
     GROUP BY t.payment_id, t.correlation_id HAVING count(*) <> min(e.entries)",
];

impl Stack {
    /// Every breach there is now.
    pub async fn breaches(&self) -> Vec<String> {
        let sql = self.sql().await;
        // One look at one moment: other tests go on meanwhile.
        sql.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
        let mut found = Vec::new();
        let unrecorded = if self.log.is_none() { UNRECORDED } else { &[] };
        for query in BREACHES.iter().chain(unrecorded) {
            found.extend(sql.column(query).await);
        }
        sql.execute("COMMIT").await;
        found
    }

    /// Panics unless every invariant holds, and everything comes to rest.
    pub async fn check(&self) {
        assert_eq!(self.breaches().await, Vec::<String>::new());
        let sql = self.sql().await;
        let idle = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND state LIKE 'idle in transaction%' AND now() - state_change > interval '200 ms'";
        // Longer than a healthy one ever lasts, shorter than the server's own limit of 5 s.
        until("no transaction is left open", Duration::from_secs(3), async || sql.value::<i64>(idle).await == 0).await;
        self.check_messages(&sql).await;
        self.check_locks().await;
    }

    /// I10: each event is published, and the consumer has it once.
    async fn check_messages(&self, sql: &super::Sql) {
        let open = "SELECT count(*) FROM outbox WHERE created_at < now() - interval '1 second'";
        until("the outbox empties", SOON, async || sql.value::<i64>(open).await == 0).await;
        // But for a visit's first one, its request, and changes of mode, to which notifications don't listen.
        let missing = "SELECT count(*) FROM consultation_timeline t
                       WHERE t.at < now() - interval '1 second' AND t.version > 1 AND t.kind <> 'mode_changed'
                         AND NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = 'notifications' AND i.event_id = t.event_id)";
        until("each event is handled", SOON, async || sql.value::<i64>(missing).await == 0).await;
        assert_eq!(self.dead_letters().await, 0, "dead letters");
    }

    /// The locks that are held.
    pub async fn held_locks(&self) -> Vec<String> {
        let (nodes, prefix) = self.locks();
        let mut held = Vec::new();
        for node in nodes {
            let mut connection = node.get_multiplexed_async_connection().await.expect("a Redis node");
            let keys: Vec<String> =
                redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut connection).await.expect("keys");
            held.extend(keys);
        }
        held
    }

    /// I21: no lock outlives its time.
    async fn check_locks(&self) {
        let (nodes, prefix) = self.locks();
        for node in nodes {
            let Ok(mut connection) = node.get_multiplexed_async_connection().await else { continue };
            until("locks end", Duration::from_secs(10), async || {
                let keys: Vec<String> =
                    redis::cmd("KEYS").arg(format!("{prefix}*")).query_async(&mut connection).await.expect("keys");
                for key in &keys {
                    let left: i64 = redis::cmd("PTTL").arg(key).query_async(&mut connection).await.expect("a time");
                    assert!(left != -1 && left <= LOCK_TTL_MS, "the lock {key} has {left} ms to live");
                }
                keys.is_empty()
            })
            .await;
        }
    }
}
