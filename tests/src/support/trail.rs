//! What each route leaves on the record of accesses.

use super::Stack;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a call leaves: the entry's action and outcome; `""` stands for nothing, because nobody was reached.
pub type Left = (&'static str, &'static str);

/// Method, path, and what is on the record after a success, a denial and a failure. `-` in place of an action: there is no such
/// case that one call makes (nobody who is signed in is denied their own; some successes take a story). Whatever succeeds in a test on
/// a stack of its own is held against it as well: `Stack::check_trail`.
pub type Row = (&'static str, &'static str, Left, Left, Left);

/// There is no such case here.
pub const NO_CASE: Left = ("-", "");

/// Each route that touches a person's data. A new one that stands neither here nor in `IMPERSONAL` fails the test.
pub const PERSONAL: &[Row] = &[
    ("GET", "/v1/me", ("account.read", "allowed"), NO_CASE, NO_CASE),
    ("PATCH", "/v1/me", ("account.update", "allowed"), NO_CASE, NO_CASE),
    ("GET", "/v1/me/sessions", ("session.list", "allowed"), NO_CASE, NO_CASE),
    ("GET", "/v1/me/dependants", ("dependant.list", "allowed"), ("dependant.list", "denied"), NO_CASE),
    ("POST", "/v1/me/dependants", ("dependant.add", "allowed"), ("dependant.add", "denied"), NO_CASE),
    ("GET", "/v1/me/dependants/{dependant_id}", ("dependant.read", "allowed"), ("dependant.read", "denied"), NO_CASE),
    (
        "PATCH",
        "/v1/me/dependants/{dependant_id}",
        ("dependant.update", "allowed"),
        ("dependant.update", "denied"),
        NO_CASE,
    ),
    (
        "DELETE",
        "/v1/me/dependants/{dependant_id}",
        ("dependant.remove", "allowed"),
        ("dependant.remove", "denied"),
        NO_CASE,
    ),
    ("POST", "/v1/auth/login", ("account.log_in", "allowed"), ("account.log_in", "denied"), NO_CASE),
    ("GET", "/v1/me/access-log", ("audit.read_own", "allowed"), ("audit.read_own", "denied"), NO_CASE),
    ("POST", "/v1/me/export", ("export.request", "allowed"), NO_CASE, NO_CASE),
    ("GET", "/v1/me/export/{export_id}", ("export.read", "allowed"), ("export.read", "denied"), NO_CASE),
    // What it takes to succeed is in `privacy.rs`.
    ("GET", "/v1/me/export/{export_id}/content", NO_CASE, ("export.download", "denied"), NO_CASE),
    ("POST", "/v1/me/erasure", NO_CASE, ("account.erase", "denied"), NO_CASE),
    ("GET", "/v1/admin/erasures/{account_id}", NO_CASE, ("erasure.read", "denied"), NO_CASE),
    ("GET", "/v1/audit/events", ("audit.search", "allowed"), ("audit.search", "denied"), NO_CASE),
    ("GET", "/v1/audit/export", ("audit.export", "allowed"), ("audit.export", "denied"), NO_CASE),
    ("POST", "/v1/consultations", ("consultation.book", "allowed"), ("consultation.book", "denied"), NO_CASE),
    ("GET", "/v1/consultations", ("consultation.list", "allowed"), ("consultation.list", "denied"), NO_CASE),
    (
        "GET",
        "/v1/consultations/{consultation_id}",
        ("consultation.read", "allowed"),
        ("consultation.read", "denied"),
        NO_CASE,
    ),
    (
        "GET",
        "/v1/consultations/{consultation_id}/timeline",
        ("consultation.timeline", "allowed"),
        ("consultation.timeline", "denied"),
        NO_CASE,
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/cancel",
        ("consultation.cancel", "allowed"),
        ("consultation.cancel", "denied"),
        ("consultation.cancel", "failed"),
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/reschedule",
        ("consultation.reschedule", "allowed"),
        ("consultation.reschedule", "denied"),
        ("consultation.reschedule", "failed"),
    ),
    (
        "GET",
        "/v1/consultations/{consultation_id}/cancellation",
        ("consultation.preview_cancellation", "allowed"),
        ("consultation.preview_cancellation", "denied"),
        NO_CASE,
    ),
    // Nobody's visit begins while a test runs.
    (
        "POST",
        "/v1/consultations/{consultation_id}/start",
        NO_CASE,
        ("consultation.start", "denied"),
        ("consultation.start", "failed"),
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/complete",
        NO_CASE,
        ("consultation.complete", "denied"),
        ("consultation.complete", "failed"),
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/end",
        NO_CASE,
        ("consultation.end", "denied"),
        ("consultation.end", "failed"),
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/mode",
        NO_CASE,
        ("consultation.change_mode", "denied"),
        ("consultation.change_mode", "failed"),
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/no-show",
        NO_CASE,
        ("consultation.no_show", "denied"),
        ("consultation.no_show", "failed"),
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/consent",
        ("consent.give", "allowed"),
        ("consent.give", "denied"),
        NO_CASE,
    ),
    (
        "GET",
        "/v1/consultations/{consultation_id}/consent",
        ("consent.read", "allowed"),
        ("consent.read", "denied"),
        NO_CASE,
    ),
    (
        "PUT",
        "/v1/consultations/{consultation_id}/guardian",
        ("guardian.record", "allowed"),
        ("guardian.record", "denied"),
        NO_CASE,
    ),
    // What needs a visit under way is asserted where one is (`clinical.rs`).
    ("POST", "/v1/consultations/{consultation_id}/check-in", NO_CASE, ("consultation.check_in", "denied"), NO_CASE),
    ("GET", "/v1/consultations/{consultation_id}/notes", NO_CASE, ("note.read", "denied"), NO_CASE),
    ("PUT", "/v1/consultations/{consultation_id}/notes", NO_CASE, ("note.write", "denied"), NO_CASE),
    ("POST", "/v1/consultations/{consultation_id}/notes/addenda", NO_CASE, ("note.add", "denied"), NO_CASE),
    ("GET", "/v1/consultations/{consultation_id}/prescription", NO_CASE, ("prescription.read", "denied"), NO_CASE),
    ("PUT", "/v1/consultations/{consultation_id}/prescription", NO_CASE, ("prescription.draft", "denied"), NO_CASE),
    (
        "POST",
        "/v1/consultations/{consultation_id}/prescription/dry-run",
        NO_CASE,
        ("prescription.dry_run", "denied"),
        NO_CASE,
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/prescription/sign",
        NO_CASE,
        ("prescription.sign", "denied"),
        NO_CASE,
    ),
    (
        "POST",
        "/v1/consultations/{consultation_id}/prescription/revoke",
        NO_CASE,
        ("prescription.revoke", "denied"),
        NO_CASE,
    ),
    (
        "GET",
        "/v1/consultations/{consultation_id}/prescription.pdf",
        NO_CASE,
        ("prescription.document", "denied"),
        NO_CASE,
    ),
    ("GET", "/v1/patients/{patient_id}/records", ("record.read", "allowed"), ("record.read", "denied"), NO_CASE),
    // Of practitioners.
    (
        "GET",
        "/v1/doctors/{doctor_id}/availability",
        ("availability.read", "allowed"),
        ("availability.read", "denied"),
        NO_CASE,
    ),
    (
        "PUT",
        "/v1/doctors/{doctor_id}/availability",
        ("availability.set", "allowed"),
        ("availability.set", "denied"),
        NO_CASE,
    ),
    (
        "GET",
        "/v1/doctors/{doctor_id}/time-off",
        ("availability.time_off", "allowed"),
        ("availability.time_off", "denied"),
        NO_CASE,
    ),
    (
        "POST",
        "/v1/doctors/{doctor_id}/time-off",
        ("availability.time_off", "allowed"),
        ("availability.time_off", "denied"),
        NO_CASE,
    ),
    (
        "DELETE",
        "/v1/doctors/{doctor_id}/time-off/{time_off_id}",
        ("availability.time_off", "allowed"),
        ("availability.time_off", "denied"),
        NO_CASE,
    ),
    ("PATCH", "/v1/doctors/{doctor_id}", ("doctor.update", "allowed"), ("doctor.update", "denied"), NO_CASE),
    ("POST", "/v1/doctors", NO_CASE, ("doctor.create", "denied"), NO_CASE),
    // What staff does; that they succeed is in `second_factor.rs`, `dead_letters.rs`, `reviews.rs` and the use cases' own tests.
    ("POST", "/v1/admin/doctors/{doctor_id}/verify", NO_CASE, ("doctor.verify", "denied"), NO_CASE),
    ("POST", "/v1/admin/doctors/{doctor_id}/suspend", NO_CASE, ("doctor.suspend", "denied"), NO_CASE),
    ("POST", "/v1/admin/invitations", NO_CASE, ("account.invite", "denied"), NO_CASE),
    ("POST", "/v1/admin/accounts", NO_CASE, ("account.invite", "denied"), NO_CASE),
    ("POST", "/v1/admin/accounts/{account_id}/deactivate", NO_CASE, ("account.deactivate", "denied"), NO_CASE),
    ("POST", "/v1/admin/accounts/{account_id}/logout-all", NO_CASE, ("session.end", "denied"), NO_CASE),
    ("POST", "/v1/admin/accounts/{account_id}/mfa/remove", NO_CASE, ("factor.end", "denied"), NO_CASE),
    ("GET", "/v1/admin/payments/{payment_id}", NO_CASE, ("payment.inspect", "denied"), NO_CASE),
    ("GET", "/v1/admin/dead-letters", NO_CASE, ("dead_letter.list", "denied"), NO_CASE),
    ("GET", "/v1/admin/dead-letters/{dead_letter_id}", NO_CASE, ("dead_letter.read", "denied"), NO_CASE),
    ("POST", "/v1/admin/dead-letters/{dead_letter_id}/requeue", NO_CASE, ("dead_letter.requeue", "denied"), NO_CASE),
    ("POST", "/v1/admin/dead-letters/{dead_letter_id}/discard", NO_CASE, ("dead_letter.discard", "denied"), NO_CASE),
    ("GET", "/v1/admin/reviews", NO_CASE, ("review.list", "denied"), NO_CASE),
    ("GET", "/v1/admin/reviews/{review_id}", NO_CASE, ("review.read", "denied"), NO_CASE),
    ("POST", "/v1/admin/reviews/{review_id}/resolve", NO_CASE, ("review.resolve", "denied"), NO_CASE),
    // Payments, whose success is asserted where money moves.
    ("GET", "/v1/consultations/{consultation_id}/payment", NO_CASE, ("payment.read", "denied"), NO_CASE),
    ("POST", "/v1/consultations/{consultation_id}/payment/retry", NO_CASE, ("payment.retry", "denied"), NO_CASE),
    // The trail itself.
    ("GET", "/v1/audit/checkpoints", NO_CASE, ("audit.read_checkpoints", "denied"), NO_CASE),
    ("GET", "/v1/audit/consistency", NO_CASE, ("audit.prove", "denied"), NO_CASE),
    ("GET", "/v1/audit/events/{event_id}/proof", NO_CASE, ("audit.prove", "denied"), NO_CASE),
    ("GET", "/v1/formulary", NO_CASE, ("formulary.read", "denied"), NO_CASE),
    ("DELETE", "/v1/me/sessions/{session_id}", NO_CASE, ("session.end", "denied"), NO_CASE),
];

/// Those that touch nobody's data, or whose entries are asserted elsewhere: each with where, or why not.
pub const IMPERSONAL: &[(&str, &str, &str)] = &[
    ("GET", "/.well-known/jwks.json", "public keys"),
    ("GET", "/healthz", "of the process"),
    ("GET", "/openapi.json", "of the interface"),
    ("GET", "/readyz", "of the process"),
    ("GET", "/v1/specializations", "a list of words"),
    ("GET", "/v1/doctors", "the public directory"),
    ("GET", "/v1/doctors/{doctor_id}", "public while listed; else asserted in booking/tests/use_cases/availability.rs"),
    ("GET", "/v1/doctors/{doctor_id}/slots", "the public directory"),
    ("POST", "/v1/auth/register", "identity/tests/use_cases/links.rs"),
    ("POST", "/v1/auth/mfa", "identity/tests/use_cases/second_factor.rs"),
    ("POST", "/v1/auth/refresh", "identity/tests/use_cases/refresh.rs"),
    ("POST", "/v1/auth/logout", "identity/tests/use_cases/sessions.rs"),
    ("POST", "/v1/auth/logout-all", "identity/tests/use_cases/sessions.rs"),
    ("POST", "/v1/auth/password/forgot", "identity/tests/use_cases/passwords.rs"),
    ("POST", "/v1/auth/password/reset", "identity/tests/use_cases/passwords.rs"),
    ("POST", "/v1/auth/invitation/accept", "identity/tests/use_cases/staff.rs"),
    ("POST", "/v1/auth/email/verify", "identity/tests/use_cases/links.rs"),
    ("POST", "/v1/me/email/verification", "identity/tests/use_cases/links.rs"),
    ("POST", "/v1/me/password", "identity/tests/use_cases/passwords.rs"),
    ("POST", "/v1/me/deactivate", "identity/tests/use_cases/profile.rs"),
    ("POST", "/v1/me/mfa/totp", "identity/tests/use_cases/second_factor.rs"),
    ("POST", "/v1/me/mfa/totp/confirm", "identity/tests/use_cases/second_factor.rs"),
    ("DELETE", "/v1/me/mfa/totp", "identity/tests/use_cases/second_factor.rs"),
    ("POST", "/v1/me/mfa/recovery-codes", "identity/tests/use_cases/second_factor.rs"),
    ("POST", "/v1/me/mfa/step-up", "identity/tests/use_cases/second_factor.rs"),
    ("POST", "/v1/me/access-log/{event_id}/objection", "below, on a sealed entry"),
    (
        "POST",
        "/v1/webhooks/payments/{gateway}",
        "a gateway's word, taken by its signature: payments' own timeline names it",
    ),
    ("GET", "/v1/prescriptions/verify/{code}", "clinical/tests/use_cases/prescribing.rs, with a code of a signed one"),
];

/// What may be answered well without an entry: lists in which nothing is, and what is nobody's.
const MAY_LEAVE_NONE: &[(&str, &str)] =
    &[("GET", "/v1/me/dependants"), ("GET", "/v1/consultations"), ("GET", "/v1/audit/checkpoints")];

/// What a key has answered before is answered again without one: of those with a key there is one that was not.
const TAKES_A_KEY: &[(&str, &str)] = &[
    ("POST", "/v1/consultations"),
    ("POST", "/v1/consultations/{consultation_id}/cancel"),
    ("POST", "/v1/consultations/{consultation_id}/reschedule"),
    ("POST", "/v1/consultations/{consultation_id}/payment/retry"),
    ("POST", "/v1/me/export"),
    ("POST", "/v1/me/dependants"),
    ("POST", "/v1/doctors"),
    ("POST", "/v1/admin/invitations"),
    ("POST", "/v1/admin/dead-letters/{dead_letter_id}/requeue"),
    ("POST", "/v1/admin/dead-letters/{dead_letter_id}/discard"),
    ("POST", "/v1/admin/reviews/{review_id}/resolve"),
];

impl Stack {
    /// Whatever was answered well on a route that touches somebody's data has an entry of the same flow, which says that it was
    /// allowed: as the API's own log tells what it answered.
    pub(crate) async fn check_trail(&self) {
        let allowed = "SELECT DISTINCT correlation_id FROM audit_entries WHERE outcome = 'allowed'";
        let mut recorded: BTreeSet<String> = self.sql().await.column(allowed).await.into_iter().collect();
        if let Some(log) = &self.log {
            recorded.extend(log.sql().await.column(allowed).await);
        }
        let mut answered: BTreeMap<(String, String), (u32, Vec<String>)> = BTreeMap::new();
        for api in &self.apis {
            let log = api.process.log();
            for line in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
                let well = line["message"] == "request" && line["status"].as_u64().is_some_and(|status| status < 300);
                let of = ["method", "route", "correlation_id"].map(|name| line[name].as_str());
                if let ([Some(method), Some(route), Some(flow)], true) = (of, well) {
                    let (told, missing) = answered.entry((method.to_owned(), route.to_owned())).or_default();
                    if recorded.contains(flow) { *told += 1 } else { missing.push(flow.to_owned()) }
                }
            }
        }
        let is_wrong = |((method, route), (told, missing)): &(&(String, String), &(u32, Vec<String>))| {
            let among = |routes: &[(&str, &str)]| routes.contains(&(method.as_str(), route.as_str()));
            let personal =
                PERSONAL.iter().any(|(known, path, ..)| (*known, *path) == (method.as_str(), route.as_str()));
            let repeated = among(TAKES_A_KEY) && *told > 0;
            personal && !missing.is_empty() && !repeated && !among(MAY_LEAVE_NONE)
        };
        let wrong: Vec<_> = answered.iter().filter(is_wrong).collect();
        assert!(wrong.is_empty(), "answered, and not on the record: {wrong:#?}");
    }
}
