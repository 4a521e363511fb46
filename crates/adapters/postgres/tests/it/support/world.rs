//! A database with a pool, and people to book with.

use super::Database;
pub(crate) use amrutam_booking::contract::seeds::{id, word};
use amrutam_booking::{
    contract::seeds,
    model::{
        CancelReason, Consultation, ConsultationStatus, DesiredSlot, LiveVisit, Mode, Modes, PatientCalendar,
        Practitioner, Slot, TimelineEntry, TimelineKind,
    },
    ports::{
        AvailabilityChanges, Changes, ConsultationStore, DirectoryStore, NewConsultation, ProfileInserted, SlotUpdate,
    },
};
use amrutam_identity::{
    model::{Account, PasswordHash, Profile},
    ports::{AccountStore, Inserted},
};
use amrutam_kernel::{
    AccountId, Actor, AggregateRef, AuditEntry, AuditEntryId, ConsultationId, CorrelationId, Currency, DoctorId,
    Effects, EventEnvelope, EventId, Money, Outcome, Purpose, Role, Sensitive, SlotId, TimeRange,
};
use amrutam_memory::{FakeIndex, FakeSealer};
use amrutam_postgres::{Accounts, Postgres, Vault};
use jiff::{Timestamp, ToSpan};
use std::sync::Arc;
use uuid::Uuid;

#[expect(clippy::disallowed_methods, reason = "the server's clock is the wall's")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap()
}

/// All of them are alike, so that one opens what another has sealed.
pub(crate) fn vault() -> Vault {
    Vault::new(Arc::new(FakeSealer::new()), Arc::new(FakeIndex::new("tests")))
}

pub(crate) struct World {
    pub(crate) store: Postgres,
    pub(crate) accounts: Accounts,
    // After the pool: a field is dropped after those above it.
    pub(crate) db: Database,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(adjust: impl FnOnce(&mut amrutam_postgres::Settings)) -> Self {
        let db = Database::new();
        let store = db.pool_with(adjust);
        Self { accounts: Accounts::new(store.clone(), vault()), store, db }
    }

    pub(crate) async fn patient(&self) -> AccountId {
        let id = AccountId::from_uuid(id(now()));
        insert_account(&self.accounts, id, Role::Patient).await;
        id
    }

    pub(crate) async fn password_set_at(&self, account: AccountId) -> Option<Timestamp> {
        self.accounts.by_id(account).await.unwrap().undisclosed().unwrap().password_set_at
    }

    pub(crate) async fn doctor(&self) -> Practitioner {
        let account = AccountId::from_uuid(id(now()));
        insert_account(&self.accounts, account, Role::Doctor).await;
        let practitioner = seeds::profile(account, now());
        let inserted = DirectoryStore::insert(&self.store, &practitioner, &Effects::default()).await.unwrap();
        assert_eq!(inserted, ProfileInserted::Created);
        practitioner
    }

    /// Changes that make `ranges` into slots.
    pub(crate) async fn making(&self, doctor: DoctorId, ranges: Vec<TimeRange>) -> AvailabilityChanges {
        let desired = |range| DesiredSlot { range, modes: Modes::new(Mode::ALL).unwrap() };
        seeds::making(&self.store, doctor, ranges.into_iter().map(desired).collect(), now()).await
    }

    /// Open slots of a new practitioner, an hour apart from tomorrow on.
    pub(crate) async fn slots(&self, count: usize) -> Vec<Slot> {
        let doctor = self.doctor().await.id;
        seeds::open_slots(&self.store, doctor, count, now()).await
    }

    pub(crate) async fn slot(&self, id: SlotId) -> Slot {
        let nobody = AccountId::from_uuid(Uuid::nil());
        self.store.booking_snapshot(id, nobody, None, None).await.unwrap().slot.unwrap()
    }

    pub(crate) async fn book(&self, slot: &Slot) -> Changes {
        let changes = booking(slot, self.patient().await);
        ConsultationStore::commit(&self.store, &changes).await.unwrap();
        changes
    }
}

pub(crate) async fn insert_account(accounts: &Accounts, id: AccountId, role: Role) {
    let profile = Profile {
        full_name: Sensitive::new("Asha Nair".parse().unwrap()),
        phone: Some(Sensitive::new("+919812345678".to_owned())),
        date_of_birth: None,
        sex: None,
        time_zone: "Asia/Kolkata".to_owned(),
    };
    let email = Sensitive::new(format!("{id}@example.in").parse().unwrap());
    let account = Account::new(id, role, email, Some(PasswordHash::from_phc("none".to_owned())), profile, now());
    assert_eq!(accounts.insert(&account, None, &Effects::default()).await.unwrap(), Inserted::Created);
}

/// The first visit of `patient`: pending, with an event and an audit entry of one correlation id.
pub(crate) fn booking(slot: &Slot, patient: AccountId) -> Changes {
    let now = now();
    let correlation_id = CorrelationId::from(id(now));
    let consultation = Consultation {
        id: ConsultationId::from_uuid(id(now)),
        patient,
        dependant: None,
        doctor: slot.doctor,
        slot: slot.id,
        range: slot.range,
        mode: Mode::Video,
        status: ConsultationStatus::Pending,
        fee: Money::new(49_900, Currency::Inr).unwrap(),
        hold_expires_at: Some(now + 15.minutes()),
        cancel_reason: None,
        least_notice: None,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let event = EventId::from_uuid(id(now));
    Changes {
        doctors: Vec::new(),
        slots: vec![SlotUpdate(slot.booked_by(consultation.id, consultation.hold_expires_at))],
        summaries: Vec::new(),
        calendars: vec![(
            patient,
            PatientCalendar { version: 1, live: LiveVisit::of(&consultation).into_iter().collect() },
        )],
        timeline: vec![TimelineEntry {
            consultation: consultation.id,
            version: 1,
            at: now,
            kind: TimelineKind::StatusChanged,
            from: None,
            to: ConsultationStatus::Pending,
            slot: slot.id,
            actor: format!("patient:{patient}"),
            cause: "booked".to_owned(),
            event,
            correlation_id: correlation_id.clone(),
        }],
        effects: Effects {
            events: vec![EventEnvelope {
                id: event,
                event_type: "consultation.requested.v1".to_owned(),
                aggregate: AggregateRef { kind: "consultation".to_owned(), id: consultation.id.as_uuid(), version: 1 },
                occurred_at: now,
                actor: format!("patient:{patient}"),
                correlation_id: correlation_id.clone(),
                trace_parent: None,
                payload: serde_json::json!({ "consultation_id": consultation.id }),
            }],
            audit: vec![AuditEntry {
                id: AuditEntryId::from_uuid(id(now)),
                occurred_at: now,
                actor: Actor::Account { id: patient, role: Role::Patient },
                action: "consultation.book",
                resource_kind: "consultation",
                resource_id: consultation.id.to_string(),
                patient: Some(patient),
                outcome: Outcome::Allowed,
                correlation_id,
                purpose: Purpose::Own,
                origin: None,
                ruleset: None,
                break_glass: false,
            }],
            ..Effects::default()
        },
        created: vec![NewConsultation { consultation, sealed_reason: Some(vec![0, 159, 146, 150, 255]) }],
        updated: Vec::new(),
    }
}

/// Stores the visit's next state, and nothing else.
pub(crate) async fn becoming(store: &Postgres, before: &Consultation, to: ConsultationStatus) -> Consultation {
    let mut after = before.become_status(to, now()).unwrap();
    after.cancel_reason = (to == ConsultationStatus::Cancelled).then_some(CancelReason::PatientOther);
    let changes = Changes { updated: vec![(after.clone(), before.version)], ..Changes::default() };
    ConsultationStore::commit(store, &changes).await.unwrap();
    after
}
