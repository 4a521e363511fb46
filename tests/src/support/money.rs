//! Money, as it must be whatever happened; and time, moved where tests can't wait for it.

use super::{SOON, Stack, until};
use serde_json::Value;
use std::time::{Duration, Instant};

/// For sagas to come to rest: leases and slow lanes of these tests are seconds.
const REST: Duration = Duration::from_secs(90);

/// Each query tells of breaches, one per row. I6 to I9 of the design's list, and I13 for payments.
const BREACHES: &[&str] = &[
    "SELECT format('I8: journal %s is off by %s %s', journal_id, sum(CASE entry WHEN 'debit' THEN amount ELSE -amount END), currency)
     FROM ledger_lines GROUP BY journal_id, currency HAVING sum(CASE entry WHEN 'debit' THEN amount ELSE -amount END) <> 0",
    // Of each payment: what is with the gateway is what came less what went back, and all of it is somebody's.
    "WITH lines AS (
       SELECT j.payment_id, l.account, sum(CASE entry WHEN 'debit' THEN amount ELSE -amount END) AS balance
       FROM ledger_journals j JOIN ledger_lines l ON l.journal_id = j.id GROUP BY 1, 2
     )
     SELECT format('I8: payment %s: %s', payment_id, string_agg(account || ' ' || balance, ', '))
     FROM lines GROUP BY payment_id HAVING sum(balance) <> 0",
    "SELECT format('I8: %s holds %s of deposits although %s', p.id, -sum(CASE entry WHEN 'debit' THEN l.amount ELSE -l.amount END), p.state)
     FROM payments p JOIN ledger_journals j ON j.payment_id = p.id JOIN ledger_lines l ON l.journal_id = j.id
     WHERE l.account = 'patient_deposits' AND p.state IN ('settled', 'refunded', 'partially_refunded')
     GROUP BY p.id HAVING sum(CASE entry WHEN 'debit' THEN l.amount ELSE -l.amount END) <> 0",
    "SELECT format('I8: %s holds %s that nobody claims although %s', p.id, -sum(CASE entry WHEN 'debit' THEN l.amount ELSE -l.amount END), p.state)
     FROM payments p JOIN ledger_journals j ON j.payment_id = p.id JOIN ledger_lines l ON l.journal_id = j.id
     WHERE l.account = 'unclaimed_receipts' AND p.state <> 'captured'
     GROUP BY p.id HAVING sum(CASE entry WHEN 'debit' THEN l.amount ELSE -l.amount END) <> 0",
    "SELECT format('I6: %s is captured, its visit %s', p.id, coalesce(c.status, 'absent'))
     FROM payments p LEFT JOIN consultations c ON c.id = p.id
     WHERE p.state = 'captured' AND coalesce(c.status, '') NOT IN ('confirmed', 'in_progress')
       AND jsonb_array_length(p.document -> 'reviews') = 0",
    "SELECT format('I6: the visit %s is %s, its payment %s', c.id, c.status, coalesce(p.state, 'absent'))
     FROM consultations c LEFT JOIN payments p ON p.id = c.id
     WHERE c.status IN ('confirmed', 'in_progress', 'completed') AND coalesce(p.state, '') NOT IN ('captured', 'settled')
       AND jsonb_array_length(p.document -> 'reviews') = 0 AND p.document ->> 'ruling' IS NULL",
    // A person's ruling goes before what became of the visit.
    "SELECT format('I6: %s is %s, its visit %s', p.id, p.state, c.status) FROM payments p JOIN consultations c ON c.id = p.id
     WHERE p.state IN ('refunded', 'partially_refunded', 'settled') AND c.status IN ('pending', 'confirmed', 'in_progress')
       AND p.document ->> 'ruling' IS NULL",
    "SELECT format('I9: %s version %s (%s) has no evidence', payment_id, version, kind) FROM payment_timeline
     WHERE evidence ->> 'by' IS NULL",
    "SELECT format('I13: payment %s stands at version %s, its timeline at %s of %s', p.id, p.version, max(t.version), count(t.version))
     FROM payments p LEFT JOIN payment_timeline t ON t.payment_id = p.id GROUP BY p.id
     HAVING max(t.version) IS DISTINCT FROM p.version OR count(t.version) <> p.version",
    "SELECT format('I11: %s has %s journals for %s captures', p.id, count(DISTINCT j.id), count(DISTINCT c.reference))
     FROM payments p LEFT JOIN payment_captures c ON c.payment_id = p.id
     LEFT JOIN ledger_journals j ON j.payment_id = p.id AND j.kind = 'capture'
     GROUP BY p.id HAVING count(DISTINCT j.id) <> count(DISTINCT c.reference)",
];

impl Stack {
    /// As if the time of a hold had come; no matter whether the visit still waits.
    pub async fn hold_ends(&self, visit: &str) {
        let statement = format!(
            "WITH held AS (
               UPDATE consultations SET hold_expires_at = now() - interval '1 second'
               WHERE id = '{visit}' AND status = 'pending' RETURNING *
             ), slot AS (
               UPDATE slots s SET held_until = h.hold_expires_at FROM held h WHERE s.id = h.slot_id AND s.consultation_id = h.id
             )
             UPDATE patient_calendars p SET live = (
               SELECT jsonb_agg(CASE WHEN e ->> 'consultation_id' = h.id::text
                 THEN e || jsonb_build_object('held_until', h.hold_expires_at) ELSE e END)
               FROM jsonb_array_elements(p.live) e)
             FROM held h WHERE p.patient_id = h.patient_id"
        );
        self.sql().await.execute(&statement).await;
    }

    /// As if those who checked in to a visit had done so that much earlier.
    pub async fn checked_in_before(&self, visit: &str, earlier: &str) {
        let seen = "UPDATE visit_presence SET at = at - interval";
        self.sql().await.execute(&format!("{seen} '{earlier}' WHERE consultation_id = '{visit}'")).await;
    }

    /// As if a visit's start were so far ahead: `2 hours`, `-15 minutes`. The payment hears of it as it would of a move.
    pub async fn comes_near(&self, visit: &str, ahead: &str) {
        let sql = self.sql().await;
        // What payments have yet to hear of it would tell them the old times.
        let unheard = format!(
            "SELECT count(*) FROM consultation_timeline t JOIN payments p ON p.id = t.consultation_id
             WHERE t.consultation_id = '{visit}'
               AND NOT EXISTS (SELECT FROM inbox i WHERE i.consumer = 'payments' AND i.event_id = t.event_id)"
        );
        until("payments have heard of the visit", SOON, async || sql.value::<i64>(&unheard).await == 0).await;
        let moved = format!(
            "WITH moved AS (
               SELECT c.id, c.slot_id, c.patient_id, now() + interval '{ahead}' AS starts_at,
                      now() + interval '{ahead}' + interval '20 minutes' AS ends_at
               FROM consultations c WHERE c.id = '{visit}'
             ), visit AS (
               UPDATE consultations c SET starts_at = m.starts_at, ends_at = m.ends_at FROM moved m WHERE c.id = m.id
             ), slot AS (
               UPDATE slots s SET starts_at = m.starts_at, ends_at = m.ends_at FROM moved m WHERE s.id = m.slot_id
             ), payment AS (
               UPDATE payments p SET document = jsonb_set(jsonb_set(p.document, '{{visit,starts_at}}', to_jsonb(m.starts_at)),
                 '{{visit,ends_at}}', to_jsonb(m.ends_at)) FROM moved m WHERE p.id = m.id
             )
             UPDATE patient_calendars p SET live = (
               SELECT jsonb_agg(CASE WHEN e ->> 'consultation_id' = m.id::text
                 THEN e || jsonb_build_object('starts_at', m.starts_at, 'ends_at', m.ends_at) ELSE e END)
               FROM jsonb_array_elements(p.live) e)
             FROM moved m WHERE p.patient_id = m.patient_id"
        );
        sql.execute(&moved).await;
    }

    /// Panics unless every saga has come to rest, and money is as it must be: in our books, and counted at the gateway.
    pub async fn check_money(&self) {
        let sql = self.sql().await;
        let open = "SELECT (SELECT count(*) FROM outbox)
            + (SELECT count(*) FROM gateway_tasks WHERE status = 'live' AND kind ->> 'kind' <> 'poll')
            + (SELECT count(*) FROM payments WHERE state = 'refunding')
            + (SELECT count(*) FROM payments p JOIN consultations c ON c.id = p.id
                 WHERE p.state = 'captured' AND c.status NOT IN ('confirmed', 'in_progress')
                   AND jsonb_array_length(p.document -> 'reviews') = 0)
            + (SELECT count(*) FROM payments p JOIN consultations c ON c.id = p.id
                 WHERE p.state IN ('created', 'pending') AND c.status NOT IN ('pending', 'confirmed'))";
        until("every saga rests", REST, async || sql.value::<i64>(open).await == 0).await;
        let mut found = Vec::new();
        sql.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
        for query in BREACHES {
            found.extend(sql.column(query).await);
        }
        sql.execute("COMMIT").await;
        assert_eq!(found, Vec::<String>::new());
        // What the gateway has told and nobody has heard yet is told again, or found by a look: that, too, comes to rest.
        let mut found = self.at_the_gateway().await;
        let began = Instant::now();
        while !found.is_empty() && began.elapsed() < REST {
            tokio::time::sleep(Duration::from_millis(500)).await;
            found = self.at_the_gateway().await;
        }
        assert_eq!(found, Vec::<String>::new());
        self.check().await;
    }

    /// I7: at most one capture of each payment and one refund of each capture, and what is left there is what we say.
    async fn at_the_gateway(&self) -> Vec<String> {
        let sql = self.sql().await;
        let mut found = Vec::new();
        let number = |value: &Value| value.as_i64().unwrap_or(-1);
        let mut left = 0;
        for order in self.gateway.orders().await {
            left += number(&order["captured"]) - number(&order["refunded"]);
            for payment in order["payments"].as_array().unwrap() {
                let (captures, refunds) = (number(&payment["captures"]), number(&payment["refunds"]));
                if captures > 1 || refunds > 1 || number(&payment["refunded"]) > number(&payment["amount"]) {
                    found.push(format!("I7: {payment}"));
                }
            }
        }
        let ours =
            "SELECT coalesce(sum(CASE entry WHEN 'debit' THEN amount ELSE -amount END), 0)::bigint FROM ledger_lines
                    WHERE account = 'gateway_receivable:razorpay'";
        let ours = sql.value::<i64>(ours).await;
        if ours != left {
            found.push(format!("I8: our books say {ours} is with the gateway, it has {left}"));
        }
        found
    }
}
