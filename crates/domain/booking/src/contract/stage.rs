//! Accounts, practitioners, slots and bookings for the cases, made through the ports.

use super::{Harness, seeds};
use crate::{
    model::{
        BookableDoctor, CancelReason, Consultation, ConsultationStatus, DesiredSlot, LiveVisit, Mode, Modes,
        PatientCalendar, Practitioner, Slot, TimelineEntry, TimelineKind,
    },
    ports::{
        AvailabilityChanges, AvailabilityStore, Changes, ConsultationStore, DirectoryStore, NewConsultation,
        ProfileInserted, SlotUpdate,
    },
};
use amrutam_kernel::{
    AccountId, Actor, AggregateRef, AuditEntry, AuditEntryId, ConsultationId, CorrelationId, Currency, DoctorId,
    Effects, EventEnvelope, EventId, Fingerprint, IdempotencyClaim, Money, Outcome, Purpose, Role, SlotId,
    StoredAnswer, TimeRange,
};
use futures::{
    channel::oneshot,
    future::{BoxFuture, join_all},
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use std::sync::Arc;
use uuid::Uuid;

pub(super) use super::seeds::{LENGTH, word};

pub(super) struct Stage<'a> {
    pub(super) harness: &'a dyn Harness,
    pub(super) consultations: Arc<dyn ConsultationStore>,
    pub(super) availability: Arc<dyn AvailabilityStore>,
    pub(super) directory: Arc<dyn DirectoryStore>,
    /// When the case began.
    pub(super) now: Timestamp,
}

/// A booking, ready to be committed.
#[derive(Debug, Clone)]
pub(super) struct Booking {
    pub(super) consultation: Consultation,
    pub(super) slot: Slot,
    pub(super) calendar: PatientCalendar,
    pub(super) changes: Changes,
}

impl Booking {
    pub(super) fn event(&self) -> EventId {
        self.changes.effects.events[0].id
    }

    pub(super) fn audit(&self) -> AuditEntryId {
        self.changes.effects.audit[0].id
    }
}

pub(super) const HOLD: SignedDuration = SignedDuration::from_mins(15);
pub(super) fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

pub(super) fn modes(modes: &[Mode]) -> Modes {
    Modes::new(modes.iter().copied()).unwrap()
}

impl<'a> Stage<'a> {
    pub(super) fn new(harness: &'a dyn Harness) -> Self {
        Self {
            harness,
            consultations: harness.consultations(),
            availability: harness.availability(),
            directory: harness.directory(),
            now: harness.now(),
        }
    }

    /// A UUIDv7 of now.
    pub(super) fn id(&self) -> Uuid {
        seeds::id(self.now)
    }

    pub(super) fn today(&self) -> Date {
        TimeZone::UTC.to_datetime(self.now).date()
    }

    pub(super) async fn account(&self, role: Role) -> AccountId {
        let id = AccountId::from_uuid(self.id());
        self.harness.insert_account(id, role).await;
        id
    }

    pub(super) async fn patient(&self) -> AccountId {
        self.account(Role::Patient).await
    }

    /// A listed practitioner with an account, not stored yet.
    pub(super) async fn profile(&self) -> Practitioner {
        seeds::profile(self.account(Role::Doctor).await, self.now)
    }

    pub(super) async fn insert(&self, practitioner: Practitioner) -> Practitioner {
        let inserted = self.directory.insert(&practitioner, &Effects::default()).await.unwrap();
        assert_eq!(inserted, ProfileInserted::Created);
        practitioner
    }

    pub(super) async fn doctor(&self) -> Practitioner {
        self.insert(self.profile().await).await
    }

    /// The stage's slot number `index`: the first begins in a day.
    pub(super) fn range(&self, index: usize) -> TimeRange {
        seeds::range(index, self.now)
    }

    pub(super) fn desired(&self, index: usize) -> DesiredSlot {
        DesiredSlot { range: self.range(index), modes: modes(&Mode::ALL) }
    }

    /// Changes that make `create`, on the availability as it is.
    pub(super) async fn making(&self, doctor: DoctorId, create: Vec<DesiredSlot>) -> AvailabilityChanges {
        seeds::making(self.availability.as_ref(), doctor, create, self.now).await
    }

    /// Open slots an hour apart, with indexes `0..count`.
    pub(super) async fn slots(&self, doctor: DoctorId, count: usize) -> Vec<Slot> {
        seeds::open_slots(self.availability.as_ref(), doctor, count, self.now).await
    }

    pub(super) async fn doctor_with_slots(&self, count: usize) -> (Practitioner, Vec<Slot>) {
        let doctor = self.doctor().await;
        let slots = self.slots(doctor.id, count).await;
        assert_eq!(slots.len(), count);
        (doctor, slots)
    }

    /// The slot as stored.
    pub(super) async fn slot(&self, id: SlotId) -> Slot {
        let nobody = AccountId::from_uuid(self.id());
        self.consultations.booking_snapshot(id, nobody, None, None).await.unwrap().slot.unwrap()
    }

    pub(super) async fn consultation(&self, id: ConsultationId) -> Option<Consultation> {
        self.consultations.view(id).await.unwrap().map(|found| found.judge(Clone::clone)).map(|view| view.consultation)
    }

    pub(super) async fn calendar(&self, patient: AccountId) -> PatientCalendar {
        let nothing = SlotId::from_uuid(self.id());
        self.consultations.booking_snapshot(nothing, patient, None, None).await.unwrap().calendar
    }

    /// One pending booking of `slot`, from a calendar, with an event and an audit entry.
    pub(super) fn booking(&self, slot: &Slot, patient: AccountId, calendar: &PatientCalendar) -> Booking {
        let consultation = Consultation {
            id: ConsultationId::from_uuid(self.id()),
            patient,
            dependant: None,
            doctor: slot.doctor,
            slot: slot.id,
            range: slot.range,
            mode: Mode::Video,
            status: ConsultationStatus::Pending,
            fee: Money::new(49_900, Currency::Inr).unwrap(),
            hold_expires_at: Some(self.now + HOLD),
            cancel_reason: None,
            least_notice: None,
            created_at: self.now,
            updated_at: self.now,
            version: 1,
        };
        let mut calendar = PatientCalendar { version: calendar.version + 1, live: calendar.live.clone() };
        calendar.live.extend(LiveVisit::of(&consultation));
        let booked = slot.booked_by(consultation.id, consultation.hold_expires_at);
        let timeline = self.step(&consultation, None, "booked");
        let changes = Changes {
            doctors: Vec::new(),
            slots: vec![SlotUpdate(booked.clone())],
            created: vec![NewConsultation {
                consultation: consultation.clone(),
                sealed_reason: Some(vec![0, 159, 146, 150, 255]),
            }],
            updated: Vec::new(),
            calendars: vec![(patient, calendar.clone())],
            summaries: Vec::new(),
            effects: Effects {
                events: vec![self.event(&consultation, timeline.event)],
                audit: vec![self.audit(consultation.id.to_string())],
                ..Effects::default()
            },
            timeline: vec![timeline],
        };
        Booking { consultation, slot: booked, calendar, changes }
    }

    /// Books for a patient of the booking's own.
    pub(super) async fn book(&self, slot: &Slot) -> Booking {
        let patient = self.patient().await;
        let booking = self.booking(slot, patient, &PatientCalendar::default());
        self.consultations.commit(&booking.changes).await.unwrap();
        booking
    }

    /// The line of the timeline that led to `after`.
    pub(super) fn step(&self, after: &Consultation, from: Option<ConsultationStatus>, cause: &str) -> TimelineEntry {
        TimelineEntry {
            consultation: after.id,
            version: after.version,
            at: self.now,
            kind: if from == Some(after.status) { TimelineKind::Rescheduled } else { TimelineKind::StatusChanged },
            from,
            to: after.status,
            slot: after.slot,
            actor: format!("patient:{}", after.patient),
            cause: cause.to_owned(),
            event: EventId::from_uuid(self.id()),
            correlation_id: CorrelationId::from(self.id()),
        }
    }

    pub(super) fn event(&self, consultation: &Consultation, id: EventId) -> EventEnvelope {
        EventEnvelope {
            id,
            event_type: crate::events::REQUESTED.to_owned(),
            aggregate: AggregateRef {
                kind: "consultation".to_owned(),
                id: consultation.id.as_uuid(),
                version: consultation.version,
            },
            occurred_at: self.now,
            actor: format!("patient:{}", consultation.patient),
            correlation_id: CorrelationId::from(self.id()),
            trace_parent: None,
            payload: serde_json::json!({ "consultation_id": consultation.id }),
        }
    }

    pub(super) fn audit(&self, resource_id: String) -> AuditEntry {
        AuditEntry {
            id: AuditEntryId::from_uuid(self.id()),
            occurred_at: self.now,
            actor: Actor::System("contract"),
            action: "consultation.book",
            resource_kind: "consultation",
            resource_id,
            patient: None,
            outcome: Outcome::Allowed,
            correlation_id: CorrelationId::from(self.id()),
            purpose: Purpose::Operation,
            origin: None,
            ruleset: None,
            break_glass: false,
        }
    }

    /// One change of status: nothing else moves.
    pub(super) fn becoming(&self, before: &Consultation, to: ConsultationStatus) -> (Consultation, Changes) {
        let mut after = before.become_status(to, self.now).unwrap();
        after.cancel_reason = (to == ConsultationStatus::Cancelled).then_some(CancelReason::PatientOther);
        let timeline = vec![self.step(&after, Some(before.status), "contract")];
        let changes = Changes { updated: vec![(after.clone(), before.version)], timeline, ..Changes::default() };
        (after, changes)
    }

    pub(super) fn claim(&self, caller: AccountId, body: &str) -> (IdempotencyClaim, StoredAnswer) {
        let claim = IdempotencyClaim {
            caller,
            key: word().parse().unwrap(),
            fingerprint: Fingerprint::of("POST", "/v1/consultations", body.as_bytes()),
        };
        let answer = StoredAnswer {
            status: 201,
            location: Some("/v1/consultations/1".to_owned()),
            content_type: "application/json".to_owned(),
            etag: Some("\"1\"".to_owned()),
            body: "{\"b\": 1,  \"a\": \"\u{20b9}\"}".to_owned(),
        };
        (claim, answer)
    }

    /// Runs all of `work` at the same time.
    pub(super) async fn race<T: Send + 'static>(
        &self,
        work: impl IntoIterator<Item = BoxFuture<'static, T>>,
    ) -> Vec<T> {
        let mut results = Vec::new();
        for task in work {
            let (sender, receiver) = oneshot::channel();
            results.push(receiver);
            self.harness.spawn(Box::pin(async move {
                // Nobody waits any more only when the case has failed already.
                let _ = sender.send(task.await);
            }));
        }
        join_all(results).await.into_iter().map(|result| result.expect("a task of the race panicked")).collect()
    }

    /// Commits all of `changes` at the same time.
    pub(super) async fn race_commits(
        &self,
        changes: impl IntoIterator<Item = Changes>,
    ) -> Vec<Result<(), amrutam_kernel::CommitError>> {
        let commit = |changes: Changes| -> BoxFuture<'static, _> {
            let store = Arc::clone(&self.consultations);
            Box::pin(async move { store.commit(&changes).await })
        };
        self.race(changes.into_iter().map(commit)).await
    }
}

pub(super) fn bookable(practitioner: &Practitioner) -> BookableDoctor {
    BookableDoctor {
        id: practitioner.id,
        account: practitioner.account,
        status: practitioner.status,
        version: practitioner.version,
        registration: practitioner.details.registration(),
        modes: practitioner.details.modes.clone(),
        fee: practitioner.details.fee,
    }
}

/// Index of the one that succeeded; all others were refused as `lost` says.
pub(super) fn one_winner<E: std::fmt::Debug>(results: &[Result<(), E>], lost: impl Fn(&E) -> bool) -> usize {
    let winners: Vec<_> = (0..results.len()).filter(|index| results[*index].is_ok()).collect();
    assert_eq!(winners.len(), 1, "one winner, not {results:?}");
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(lost), "wrong losers: {results:?}");
    winners[0]
}
