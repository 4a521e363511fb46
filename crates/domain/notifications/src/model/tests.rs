use super::*;
use crate::{
    CONSULTATION_CANCELLED, CONSULTATION_CONFIRMED, CONSULTATION_EXPIRED, CONSULTATION_RESCHEDULED,
    CONSULTATION_UNCONFIRMABLE, EMAIL_VERIFICATION_REQUESTED, INVITED, MalformedEvent, PASSWORD_CHANGED,
    PASSWORD_RESET_REQUESTED, PAYMENT_REFUNDED, RECORD_OPENED, REGISTRATION_REPEATED, SECOND_FACTOR_CHANGED,
    SESSION_REVOKED,
};
use amrutam_kernel::{
    AccountId, AggregateRef, Currency, EventEnvelope, EventId, IdSource, LinkId, LinkPurpose, LinkTokens, Money,
    Sensitive,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};
use uuid::Uuid;

/// Counts; jitter is always the longest.
#[derive(Default)]
pub(crate) struct FakeIds(AtomicU64);

impl IdSource for FakeIds {
    fn uuid_v7(&self, at: Timestamp) -> Uuid {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(at.as_millisecond()).unwrap_or(0);
        Uuid::from_u64_pair(millis << 16 | 0x7000, 0x8000_0000_0000_0000 | count)
    }
    fn below(&self, bound: u64) -> u64 {
        bound.saturating_sub(1)
    }
}

/// Says its purpose and id.
pub(crate) struct ReadableTokens;

impl LinkTokens for ReadableTokens {
    fn token(&self, purpose: LinkPurpose, id: LinkId) -> Sensitive<String> {
        Sensitive::new(format!("{purpose}-{id}"))
    }
}

pub(crate) const PAGES: LinkPages<'_> = LinkPages { base: "https://app.amrutam.example", tokens: &ReadableTokens };

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

pub(crate) const NOW: &str = "2026-08-01T05:00:00Z";
pub(crate) const START: &str = "2026-08-03T05:00:00Z";
const CONSULTATION: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const PATIENT: &str = "01890a5d-ac96-774b-bcce-b302099a8058";
const LINK: &str = "01890a5d-ac96-774b-bcce-b302099a8059";

pub(crate) fn event(event_type: &str, payload: serde_json::Value, number: u64) -> EventEnvelope {
    EventEnvelope {
        id: EventId::from_uuid(Uuid::from_u64_pair(1, number)),
        event_type: event_type.to_owned(),
        aggregate: AggregateRef { kind: "consultation".to_owned(), id: Uuid::nil(), version: 1 },
        occurred_at: at(NOW),
        actor: "system:test".to_owned(),
        correlation_id: "flow-1".parse().expect("an id"),
        trace_parent: None,
        payload,
    }
}

pub(crate) fn visit_event(event_type: &str, starts_at: Timestamp, number: u64) -> EventEnvelope {
    let payload = json!({
        "consultation_id": CONSULTATION, "patient_id": PATIENT, "doctor_id": PATIENT, "slot_id": PATIENT,
        "starts_at": starts_at, "ends_at": starts_at + SignedDuration::from_mins(30), "something_new": [1],
    });
    event(event_type, payload, number)
}

pub(crate) fn facts(status: VisitStatus, starts_at: Timestamp) -> VisitFacts {
    VisitFacts {
        status,
        starts_at,
        ends_at: starts_at + SignedDuration::from_mins(30),
        mode: VisitMode::Video,
        fee: Money::new(49_900, Currency::Inr).expect("a price"),
        doctor_name: "Dr. Asha Nair".to_owned(),
        doctor_qualification: "BAMS, MD (Ayurveda)".to_owned(),
        doctor_registration_number: "KL-12345".to_owned(),
        doctor_council: "Travancore-Cochin Medical Council".to_owned(),
    }
}

pub(crate) fn contact() -> Contact {
    Contact {
        account: amrutam_kernel::AccountId::from_uuid(uuid::Uuid::nil()),
        email: Sensitive::new("ravi@example.in".to_owned()),
        phone: Some(Sensitive::new("+919812345678".to_owned())),
        name: Sensitive::new("Ravi Menon".to_owned()),
        time_zone: "Asia/Kolkata".to_owned(),
    }
}

fn planned(event: &EventEnvelope, now: &str) -> Vec<(MessageKind, String, String)> {
    let messages = plan(event, at(now), &FakeIds::default()).expect("a well-formed event");
    messages.into_iter().map(|m| (m.kind, m.due_at.to_string(), m.dedupe_key)).collect()
}

fn key(text: &str) -> String {
    text.replace("$C", CONSULTATION)
}

#[test]
fn a_confirmation_is_told_now_and_reminded_of_twice() {
    let expected = vec![
        (MessageKind::BookingConfirmed, NOW.to_owned(), key("booking_confirmed:$C:2026-08-03T05:00:00Z")),
        (MessageKind::Reminder24h, "2026-08-02T05:00:00Z".to_owned(), key("reminder_24h:$C:2026-08-03T05:00:00Z")),
        (MessageKind::Reminder1h, "2026-08-03T04:00:00Z".to_owned(), key("reminder_1h:$C:2026-08-03T05:00:00Z")),
    ];
    assert_eq!(planned(&visit_event(CONSULTATION_CONFIRMED, at(START), 1), NOW), expected);
}

#[test]
fn a_reminder_whose_time_was_over_when_the_visit_was_booked_is_not_planned() {
    let kinds = |booked_at: &str, handled_at| {
        let event = EventEnvelope { occurred_at: at(booked_at), ..visit_event(CONSULTATION_CONFIRMED, at(START), 1) };
        planned(&event, handled_at).into_iter().map(|m| m.0).collect::<Vec<_>>()
    };
    let (day_before, hour_before) = ("2026-08-02T05:00:00Z", "2026-08-03T04:00:00Z");
    assert_eq!(kinds(day_before, day_before), [MessageKind::BookingConfirmed, MessageKind::Reminder1h]);
    assert_eq!(kinds(hour_before, hour_before), [MessageKind::BookingConfirmed]);
    // However late the event is handled: what it names is still decided upon when it is sent.
    let all = [MessageKind::BookingConfirmed, MessageKind::Reminder24h, MessageKind::Reminder1h];
    assert_eq!(kinds(NOW, day_before), all);
    assert_eq!(kinds(NOW, START), all);
}

#[test]
fn each_move_is_told_also_back_to_where_it_was() {
    let away = planned(&visit_event(CONSULTATION_RESCHEDULED, at(START), 1), NOW);
    let back = planned(&visit_event(CONSULTATION_RESCHEDULED, at(START), 2), NOW);
    assert_ne!(away.first(), back.first());
    assert_eq!(away.get(1..), back.get(1..), "the reminders of one start are the same ones");
}

#[test]
fn a_cancellation_is_told_once_and_other_events_not_at_all() {
    let expected = vec![(MessageKind::BookingCancelled, NOW.to_owned(), key("booking_cancelled:$C"))];
    assert_eq!(planned(&visit_event(CONSULTATION_CANCELLED, at(START), 1), NOW), expected);
    assert_eq!(planned(&visit_event("consultation.completed.v1", at(START), 1), NOW), vec![]);
    assert_eq!(planned(&event("consultation.confirmed.v2", json!(null), 1), NOW), vec![]);
}

#[test]
fn a_repeated_registration_is_told_once_a_day() {
    let messages =
        plan(&event(REGISTRATION_REPEATED, json!({ "account_id": PATIENT }), 1), at(NOW), &FakeIds::default());
    let messages = messages.expect("a well-formed event");
    let [message] = messages.as_slice() else { panic!("one message: {messages:?}") };
    assert_eq!(message.recipient, PATIENT.parse::<AccountId>().expect("an id"));
    assert_eq!((message.consultation, message.slot_starts_at), (None, None));
    assert_eq!(message.dedupe_key, format!("registration_repeated:{PATIENT}:2026-08-01"));
}

#[test]
fn each_account_event_becomes_one_message_to_its_owner() {
    for (kind, event_type) in ACCOUNT_EVENTS {
        let plan = |number, now| {
            let messages = plan(&account_event(event_type, number), at(now), &FakeIds::default());
            let messages = messages.expect("a well-formed event");
            let [message] = messages.as_slice() else { panic!("{event_type}: one message: {messages:?}") };
            message.clone()
        };
        let message = plan(1, "2026-08-01T05:10:00Z");
        assert_eq!(message.kind, kind);
        assert_eq!(message.recipient, PATIENT.parse::<AccountId>().expect("an id"));
        assert_eq!((message.consultation, message.slot_starts_at), (None, None));
        let link = kind.link_purpose().map(|_| LINK.parse::<LinkId>().expect("an id"));
        assert_eq!(message.link, link, "{kind}");
        // A link works from the event on, however late it is planned.
        let due_at = if link.is_some() { NOW } else { "2026-08-01T05:10:00Z" };
        assert_eq!(message.due_at, at(due_at), "{kind}");
        assert_eq!(plan(1, START).dedupe_key, message.dedupe_key, "{kind}: planned again it is the same");
        let told_each_time = [
            MessageKind::PasswordChanged,
            MessageKind::SecondFactorChanged,
            MessageKind::SessionRevoked,
            MessageKind::RecordOpened,
        ];
        let another = plan(2, NOW).dedupe_key != message.dedupe_key;
        assert_eq!(another, told_each_time.contains(&kind), "{kind}: once per event, or once per link or day");
    }
}

#[test]
fn a_link_without_its_id_is_an_error() {
    for event_type in [EMAIL_VERIFICATION_REQUESTED, PASSWORD_RESET_REQUESTED, INVITED] {
        for payload in [json!({ "account_id": PATIENT }), json!({ "account_id": PATIENT, "link_id": "x" })] {
            let planned = plan(&event(event_type, payload.clone(), 1), at(NOW), &FakeIds::default());
            assert!(planned.is_err(), "{event_type} {payload}");
        }
    }
}

#[test]
fn a_malformed_payload_is_an_error_not_silence() {
    for payload in [
        json!(null),
        json!({ "consultation_id": CONSULTATION, "patient_id": PATIENT }),
        json!({ "consultation_id": "x", "patient_id": PATIENT, "starts_at": START }),
        json!({ "consultation_id": CONSULTATION, "patient_id": PATIENT, "starts_at": "tomorrow" }),
    ] {
        let result: Result<_, MalformedEvent> =
            plan(&event(CONSULTATION_CONFIRMED, payload.clone(), 1), at(NOW), &FakeIds::default());
        assert!(result.is_err(), "{payload}");
    }
}

proptest! {
    #[test]
    fn planning_again_adds_nothing_and_reminders_lie_ahead(
        start in 0_i64..4_000_000, first in 0_i64..4_000_000, wait in 0_i64..4_000_000, moved in any::<bool>(),
    ) {
        let base = at(NOW);
        let after = |seconds| base + SignedDuration::from_secs(seconds);
        let event_type = if moved { CONSULTATION_RESCHEDULED } else { CONSULTATION_CONFIRMED };
        let event = visit_event(event_type, after(start), 1);
        let ids = FakeIds::default();
        let keys = |now| -> Result<BTreeSet<String>, TestCaseError> {
            let messages = plan(&event, now, &ids).map_err(|e| TestCaseError::fail(e.to_string()))?;
            for m in messages.iter().filter(|m| m.kind.is_reminder()) {
                prop_assert!(m.due_at > event.occurred_at && m.due_at < after(start), "{m:?}");
            }
            let keys: BTreeSet<_> = messages.iter().map(|m| m.dedupe_key.clone()).collect();
            prop_assert_eq!(keys.len(), messages.len());
            Ok(keys)
        };
        let (once, again) = (keys(after(first))?, keys(after(first + wait))?);
        prop_assert_eq!(once, again);
    }
}

const ACCOUNT_EVENTS: [(MessageKind, &str); 8] = [
    (MessageKind::RegistrationRepeated, REGISTRATION_REPEATED),
    (MessageKind::VerifyEmail, EMAIL_VERIFICATION_REQUESTED),
    (MessageKind::ResetPassword, PASSWORD_RESET_REQUESTED),
    (MessageKind::Invitation, INVITED),
    (MessageKind::PasswordChanged, PASSWORD_CHANGED),
    (MessageKind::SecondFactorChanged, SECOND_FACTOR_CHANGED),
    (MessageKind::SessionRevoked, SESSION_REVOKED),
    (MessageKind::RecordOpened, RECORD_OPENED),
];

const MONEY_EVENTS: [(MessageKind, &str, &str, &str); 7] = [
    (MessageKind::PaymentFailed, CONSULTATION_CANCELLED, "cancelled", "payment_failed"),
    (MessageKind::HoldExpired, CONSULTATION_EXPIRED, "expired", "hold_expired"),
    (MessageKind::LatePayment, CONSULTATION_UNCONFIRMABLE, "expired", "late_payment"),
    (MessageKind::RefundMade, PAYMENT_REFUNDED, "refunded", "visit_cancelled"),
    (MessageKind::RefundMadeInPart, PAYMENT_REFUNDED, "partially_refunded", "visit_cancelled"),
    (MessageKind::PaymentReturned, PAYMENT_REFUNDED, "captured", "paid_twice"),
    (MessageKind::PaymentReturned, PAYMENT_REFUNDED, "pending", "wrong_amount"),
];

fn money_event(event_type: &str, status: &str, cause: &str, number: u64) -> EventEnvelope {
    let visit = visit_event(event_type, at(START), number);
    let mut payload = visit.payload;
    payload["status"] = json!(status);
    payload["cause"] = json!(cause);
    EventEnvelope { payload, ..visit }
}

#[test]
fn what_becomes_of_the_money_is_told_to_the_patient() {
    for (kind, event_type, status, cause) in MONEY_EVENTS {
        let plan = |number| {
            let planned = plan(&money_event(event_type, status, cause, number), at(NOW), &FakeIds::default());
            let messages = planned.expect("a well-formed event");
            let [message] = messages.as_slice() else { panic!("{event_type}: one message: {messages:?}") };
            message.clone()
        };
        let message = plan(1);
        assert_eq!((message.kind, message.recipient), (kind, PATIENT.parse().expect("an id")));
        let another = plan(2).dedupe_key != message.dedupe_key;
        assert_eq!(another, event_type == PAYMENT_REFUNDED, "{kind}: once per visit, or once per refund");
    }
}

/// That a visit is off is news while it is to come; that its money goes back is told by itself.
#[test]
fn a_visit_whose_money_a_person_gave_back_is_called_off_only_while_it_is_to_come() {
    let planned = |event_type, at_time: &str| {
        let event = EventEnvelope { occurred_at: at(at_time), ..money_event(event_type, "cancelled", "refunded", 1) };
        plan(&event, at(at_time), &FakeIds::default()).expect("a well-formed event")
    };
    assert_eq!(planned(CONSULTATION_CANCELLED, NOW)[0].kind, MessageKind::BookingCancelled);
    assert_eq!(planned(CONSULTATION_CANCELLED, START), []);
    assert_eq!(planned(CONSULTATION_UNCONFIRMABLE, NOW), []);
}

fn account_event(event_type: &str, number: u64) -> EventEnvelope {
    let mut payload = json!({ "account_id": PATIENT, "something_new": {} });
    if [EMAIL_VERIFICATION_REQUESTED, PASSWORD_RESET_REQUESTED, INVITED].contains(&event_type) {
        payload["link_id"] = json!(LINK);
    }
    event(event_type, payload, number)
}

fn message(kind: MessageKind) -> ScheduledMessage {
    let visit = |event_type| visit_event(event_type, at(START), 1);
    let event = match kind {
        MessageKind::BookingCancelled => visit(CONSULTATION_CANCELLED),
        MessageKind::BookingRescheduled => visit(CONSULTATION_RESCHEDULED),
        MessageKind::BookingConfirmed | MessageKind::Reminder24h | MessageKind::Reminder1h => {
            visit(CONSULTATION_CONFIRMED)
        }
        kind if MONEY_EVENTS.iter().any(|(of, ..)| *of == kind) => {
            let found = MONEY_EVENTS.into_iter().find(|(of, ..)| *of == kind);
            let (_, event_type, status, cause) = found.expect("its event");
            money_event(event_type, status, cause, 1)
        }
        account => {
            let (_, event_type) = ACCOUNT_EVENTS.into_iter().find(|(kind, _)| *kind == account).expect("its event");
            account_event(event_type, 1)
        }
    };
    let messages = plan(&event, at(NOW), &FakeIds::default()).expect("a well-formed event");
    messages.into_iter().find(|m| m.kind == kind).expect("the kind is planned")
}

#[test]
fn what_is_sent_is_true_when_it_is_sent() {
    use MessageKind::{BookingCancelled, BookingConfirmed, BookingRescheduled, Reminder1h, Reminder24h};
    use MessageKind::{HoldExpired, LatePayment, PaymentFailed, PaymentReturned, RefundMade, RefundMadeInPart};
    use SkipReason::{Moved, NotCancelled, NotConfirmed, NotExpired, Overtaken, Started, VisitGone};
    use VisitStatus::{Cancelled, Confirmed, Expired, Other};
    const MOVED: &str = "2026-08-04T05:00:00Z";
    const BEFORE: &str = "2026-08-03T04:59:59.999999Z";
    const LAST_REMINDED: &str = "2026-08-03T04:00:00Z";
    const EARLIER: &str = "2026-08-03T03:59:59.999999Z";

    let certain = [BookingConfirmed, BookingRescheduled, Reminder24h, Reminder1h];
    let mut table = Vec::new();
    for kind in certain {
        table.extend([
            (kind, Some((Confirmed, START)), EARLIER, None),
            (kind, Some((Confirmed, MOVED)), BEFORE, Some(Moved)),
            (kind, Some((Cancelled, START)), BEFORE, Some(NotConfirmed)),
            (kind, Some((Other, START)), BEFORE, Some(NotConfirmed)),
            (kind, None, BEFORE, Some(VisitGone)),
        ]);
    }
    table.extend([
        (Reminder24h, Some((Confirmed, START)), START, Some(Started)),
        // Both would come at once.
        (Reminder24h, Some((Confirmed, START)), LAST_REMINDED, Some(Overtaken)),
        (Reminder1h, Some((Confirmed, START)), LAST_REMINDED, None),
        (Reminder1h, Some((Confirmed, START)), BEFORE, None),
        (Reminder1h, Some((Confirmed, START)), START, Some(Started)),
        // Late, yet still the patient's only word of it.
        (BookingConfirmed, Some((Confirmed, START)), START, None),
        (BookingCancelled, Some((Cancelled, START)), START, None),
        (BookingCancelled, Some((Cancelled, MOVED)), BEFORE, None),
        (BookingCancelled, Some((Confirmed, START)), BEFORE, Some(NotCancelled)),
        (BookingCancelled, Some((Other, START)), BEFORE, Some(NotCancelled)),
        (BookingCancelled, None, BEFORE, Some(VisitGone)),
    ]);
    for kind in [HoldExpired, LatePayment] {
        table.extend([
            (kind, Some((Expired, START)), START, None),
            (kind, Some((Confirmed, START)), BEFORE, Some(NotExpired)),
            (kind, None, BEFORE, Some(VisitGone)),
        ]);
    }
    for kind in [RefundMade, RefundMadeInPart, PaymentReturned] {
        table.extend([Cancelled, Confirmed, Expired, Other].map(|state| (kind, Some((state, MOVED)), START, None)));
    }
    table.extend([
        (PaymentFailed, Some((Cancelled, START)), START, None),
        (PaymentFailed, Some((Confirmed, START)), BEFORE, Some(NotCancelled)),
    ]);
    for (kind, state, now, expected) in table {
        let facts = state.map(|(status, start)| facts(status, at(start)));
        let skipped = match decide_at_send(&message(kind), facts.as_ref(), at(now)) {
            Decision::Send(_) => None,
            Decision::Skip(reason) => Some(reason),
        };
        assert_eq!(skipped, expected, "{kind} {state:?} {now}");
    }
    for (kind, letter) in [
        (MessageKind::RegistrationRepeated, Letter::RegistrationRepeated),
        (MessageKind::PasswordChanged, Letter::PasswordChanged),
        (MessageKind::SecondFactorChanged, Letter::SecondFactorChanged),
        (MessageKind::SessionRevoked, Letter::SessionRevoked),
        (MessageKind::RecordOpened, Letter::RecordOpened),
    ] {
        assert_eq!(decide_at_send(&message(kind), None, at(START)), Decision::Send(letter), "late, yet true");
    }
}

#[test]
fn a_link_is_sent_while_it_works_and_tried_no_longer() {
    let moment = SignedDuration::from_micros(1);
    for (kind, ends, gives_up) in [
        (MessageKind::ResetPassword, "2026-08-01T05:30:00Z", "2026-08-01T05:30:00Z"),
        (MessageKind::VerifyEmail, "2026-08-02T05:00:00Z", "2026-08-02T05:00:00Z"),
        (MessageKind::Invitation, "2026-08-08T05:00:00Z", "2026-08-02T05:00:00Z"),
    ] {
        let message = message(kind);
        let (purpose, link) = (kind.link_purpose().expect("a purpose"), message.link.expect("a link"));
        assert_eq!(decide_at_send(&message, None, at(NOW)), Decision::Send(Letter::Link(purpose, link)));
        assert_eq!(decide_at_send(&message, None, at(ends) - moment), Decision::Send(Letter::Link(purpose, link)));
        assert_eq!(decide_at_send(&message, None, at(ends)), Decision::Skip(SkipReason::LinkGone), "{kind}");
        assert_eq!(give_up_at(&message), at(gives_up), "{kind}");
        let lost = ScheduledMessage { link: None, ..message };
        assert_eq!(decide_at_send(&lost, None, at(NOW)), Decision::Skip(SkipReason::LinkGone));
    }
}

#[test]
fn a_link_is_made_when_the_mail_is_written_and_masks_itself() {
    for (kind, page) in [
        (MessageKind::VerifyEmail, "verify-email#token=verify_email"),
        (MessageKind::ResetPassword, "reset-password#token=reset_password"),
        (MessageKind::Invitation, "accept-invitation#token=invitation"),
    ] {
        let message = message(kind);
        let Decision::Send(letter) = decide_at_send(&message, None, at(NOW)) else { panic!("{kind} is sent") };
        let mail = render(&letter, &message, &contact(), PAGES);
        let url = format!("\n\nhttps://app.amrutam.example/{page}-{LINK}\n\n");
        assert!(mail.body.expose().contains(&url), "{}", mail.body.expose());
        for shown in [format!("{mail:?}"), format!("{message:?}"), format!("{letter:?}")] {
            assert!(!shown.contains("token="), "{shown}");
        }
    }
}

#[test]
fn a_mail_names_the_time_where_the_reader_lives_and_the_practitioner() {
    let facts = facts(VisitStatus::Confirmed, at(START));
    let message = message(MessageKind::BookingConfirmed);
    let mail = render(&Letter::BookingConfirmed(&facts), &message, &contact(), PAGES);
    assert_eq!(mail.subject, "Your appointment on Mon 3 Aug 2026, 10:30 is confirmed");
    assert_eq!(
        mail.body.expose(),
        "Dear Ravi Menon,\n\nyour appointment is confirmed.\n\n\
         When: Monday, 3 August 2026, 10:30 to 11:00 (Asia/Kolkata, UTC+05:30)\nHow: video\n\
         With: Dr. Asha Nair, BAMS, MD (Ayurveda)\n\
         Registration: KL-12345, Travancore-Cochin Medical Council\n\nAmrutam\n"
    );
    assert_eq!(mail.message_id("amrutam.example"), format!("<{}@amrutam.example>", message.id));
    assert_eq!(mail.to.expose(), "ravi@example.in");

    let abroad = Contact { time_zone: "America/New_York".to_owned(), ..contact() };
    let body = render(&Letter::Reminder(&facts), &message, &abroad, PAGES).body;
    assert!(
        body.expose().contains("Monday, 3 August 2026, 01:00 to 01:30 (America/New_York, UTC-04:00)"),
        "{}",
        body.expose()
    );
    let nowhere = Contact { time_zone: "Mars/Olympus".to_owned(), ..contact() };
    let body = render(&Letter::Reminder(&facts), &message, &nowhere, PAGES).body;
    assert!(body.expose().contains("05:00 to 05:30 (UTC, UTC+00:00)"), "{}", body.expose());
}

#[test]
fn a_subject_gives_nothing_away_and_no_name_writes_lines() {
    let mut facts = facts(VisitStatus::Confirmed, at(START));
    facts.doctor_name = "Dr. X\r\nBcc: all@example.in".to_owned();
    let contact = Contact { name: Sensitive::new("Ravi\u{2028}\nMenon".to_owned()), ..contact() };
    let letters = [
        Letter::BookingConfirmed(&facts),
        Letter::BookingRescheduled(&facts),
        Letter::BookingCancelled(&facts),
        Letter::Reminder(&facts),
        Letter::PaymentFailed(&facts),
        Letter::HoldExpired(&facts),
        Letter::LatePayment(&facts),
        Letter::RefundMade(&facts),
        Letter::RefundMadeInPart(&facts),
        Letter::PaymentReturned(&facts),
        Letter::RegistrationRepeated,
        Letter::Link(LinkPurpose::VerifyEmail, LINK.parse().expect("an id")),
        Letter::Link(LinkPurpose::ResetPassword, LINK.parse().expect("an id")),
        Letter::Link(LinkPurpose::Invitation, LINK.parse().expect("an id")),
        Letter::PasswordChanged,
        Letter::SecondFactorChanged,
        Letter::SessionRevoked,
        Letter::RecordOpened,
    ];
    for letter in letters {
        let mail = render(&letter, &message(MessageKind::BookingConfirmed), &contact, PAGES);
        let subject = mail.subject.to_lowercase();
        for word in ["dr.", "ravi", "doctor", "ayurved", "consult", "medic", "patient", "video", "bams", "\n", "\r"] {
            assert!(!subject.contains(word), "{subject}");
        }
        let is_for_anybody = matches!(letter, Letter::RegistrationRepeated | Letter::Link(LinkPurpose::VerifyEmail, _));
        let greeting = if is_for_anybody { "Good day,\n" } else { "Dear Ravi  Menon,\n" };
        assert!(mail.body.expose().starts_with(greeting));
        assert!(!mail.body.expose().contains("\nBcc"));
        assert!(!format!("{mail:?}").contains("Ravi"), "a mail masks itself in logs");
    }
}

#[test]
fn a_failure_climbs_the_ladder_then_takes_the_slow_lane_then_stops() {
    let longest = |bound: u64| bound - 1;
    let mut message = message(MessageKind::BookingConfirmed);
    let mut millis = Vec::new();
    for attempts in 1..=8 {
        message.attempts = attempts;
        match after_failure(&message, FailureClass::Transient, at(NOW), longest) {
            AfterFailure::RetryAt(retry) => millis.push(retry.as_millisecond() - at(NOW).as_millisecond()),
            AfterFailure::GiveUp => panic!("too early"),
        }
    }
    assert_eq!(millis, [500, 1_000, 2_000, 4_000, 8_000, 240_000, 240_000, 240_000]);
    let soonest = after_failure(&message, FailureClass::Transient, at(NOW), |_| 0);
    assert_eq!(soonest, AfterFailure::RetryAt(at(NOW) + SignedDuration::from_mins(2)));

    let day = at(NOW) + SignedDuration::from_hours(24);
    let late = day - SignedDuration::from_mins(5);
    assert!(matches!(after_failure(&message, FailureClass::Transient, late, longest), AfterFailure::RetryAt(_)));
    let too_late = day - SignedDuration::from_mins(4);
    assert_eq!(after_failure(&message, FailureClass::Transient, too_late, longest), AfterFailure::GiveUp);
    assert_eq!(after_failure(&message, FailureClass::Permanent, at(NOW), longest), AfterFailure::GiveUp);
}

#[test]
fn a_reminder_is_tried_until_the_visit_starts() {
    let message = message(MessageKind::Reminder1h);
    assert_eq!(give_up_at(&message), at(START));
    let retry = |now| {
        after_failure(&ScheduledMessage { attempts: 9, ..message.clone() }, FailureClass::Transient, at(now), |_| 0)
    };
    assert_eq!(retry("2026-08-03T04:57:59Z"), AfterFailure::RetryAt(at("2026-08-03T04:59:59Z")));
    assert_eq!(retry("2026-08-03T04:58:00Z"), AfterFailure::GiveUp);
}

proptest! {
    /// Whatever names and times are in it: the registered words, each variable short and on the line.
    #[test]
    fn a_text_is_its_template_with_short_variables(
        kind in proptest::sample::select(MessageKind::ALL.to_vec()),
        name in "\\PC{0,60}|[a-z\\n\\r\\u{2028}]{0,60}", zone in "Asia/Kolkata|America/New_York|Nowhere/At_All",
    ) {
        let templates = SmsTemplates::new(|kind| Some(format!("1{}", kind as u8))).unwrap();
        let visit = VisitFacts { doctor_name: name.clone(), ..facts(VisitStatus::Confirmed, at(START)) };
        let contact = Contact { time_zone: zone, ..contact() };
        let message = plan(&visit_event(CONSULTATION_CONFIRMED, at(START), 1), at(NOW), &FakeIds::default()).unwrap().remove(0);
        let message = ScheduledMessage { kind, ..message };
        let sms = render_sms(&message, &visit, &contact, &templates);
        let Some(of) = SmsKind::of(kind) else {
            prop_assert!(sms.is_none());
            return Ok(());
        };
        let sms = sms.unwrap();
        prop_assert_eq!(sms.template, format!("1{}", of as u8));
        let text = sms.text.expose();
        prop_assert!(!text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')), "{text:?}");
        let fixed: usize = of.template().split("{#var#}").map(|part| part.chars().count()).sum();
        prop_assert!(text.chars().count() <= fixed + 4 * 30, "{text}");
        prop_assert!(of.template().split("{#var#}").all(|part| text.contains(part)), "{text}");
        prop_assert!(!text.contains(&contact.email.expose()[..]) && !text.contains("Ravi"), "{text}");
    }
}

#[test]
fn every_text_needs_its_registered_id() {
    for missing in SmsKind::ALL {
        let id = |kind| (kind != missing).then(|| "1707".to_owned());
        assert_eq!(SmsTemplates::new(id), Err(NoTemplate(missing)));
        let garbled = |kind| Some(if kind == missing { "17 07".to_owned() } else { "1707".to_owned() });
        assert_eq!(SmsTemplates::new(garbled), Err(NoTemplate(missing)));
    }
    for kind in SmsKind::ALL {
        assert_eq!(kind.template().matches("{#var#}").count(), 4);
        assert!(kind.template().is_ascii() && kind.template().len() <= 160, "one part by itself");
    }
}

#[test]
fn money_that_went_back_to_nobody_is_told_nobody() {
    let refunded =
        event(PAYMENT_REFUNDED, json!({ "gateway": "razorpay", "gateway_payment": "pay_1", "cause": "ruled" }), 1);
    assert_eq!(plan(&refunded, at(NOW), &FakeIds::default()).unwrap(), []);
}
