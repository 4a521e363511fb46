//! A database with a pool, and people to book with.

use super::Database;
use amrutam_booking::{
    model::{
        CancelReason, Consultation, ConsultationStatus, DesiredSlot, LiveVisit, MedicalSystem, Mode, Modes,
        PatientCalendar, Practitioner, PractitionerDetails, PractitionerStatus, Slot, SlotPlan, TimelineEntry,
        TimelineKind,
    },
    ports::{
        AvailabilityChanges, AvailabilityStore, Changes, ConsultationStore, DirectoryStore, NewConsultation,
        ProfileInserted, SlotUpdate,
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
use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use uuid::Uuid;

#[expect(clippy::disallowed_methods, reason = "the server's clock is the wall's")]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap()
}

fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// Never the same twice.
pub(crate) fn word() -> String {
    format!("w{:016x}", random())
}

/// A UUIDv7 of `at`.
pub(crate) fn id(at: Timestamp) -> Uuid {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&random().to_be_bytes());
    bytes[8..].copy_from_slice(&random().to_be_bytes()[..2]);
    uuid::Builder::from_unix_timestamp_millis(at.as_millisecond().try_into().unwrap(), &bytes).into_uuid()
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
        self.accounts.by_id(account).await.unwrap().unwrap().password_set_at
    }

    pub(crate) async fn doctor(&self) -> Practitioner {
        let account = AccountId::from_uuid(id(now()));
        insert_account(&self.accounts, account, Role::Doctor).await;
        let practitioner = Practitioner {
            id: DoctorId::from_uuid(id(now())),
            account,
            details: PractitionerDetails {
                full_name: format!("Dr {}", word()),
                system: MedicalSystem::Ayurveda,
                council: "Kerala State Medical Council".to_owned(),
                registration_number: word(),
                registered_on: None,
                valid_until: None,
                qualifications: vec!["BAMS".to_owned(), "MD (Ayurveda)".to_owned()],
                specializations: vec!["kayachikitsa".to_owned()],
                languages: vec!["ml".to_owned()],
                modes: Modes::new(Mode::ALL).unwrap(),
                fee: Money::new(49_900, Currency::Inr).unwrap(),
                bio: String::new(),
                time_zone: "Asia/Kolkata".to_owned(),
            },
            status: PractitionerStatus::Listed,
            version: 1,
            created_at: now(),
            updated_at: now(),
        };
        let inserted = DirectoryStore::insert(&self.store, &practitioner, &Effects::default()).await.unwrap();
        assert_eq!(inserted, ProfileInserted::Created);
        practitioner
    }

    /// Changes that make `ranges` into slots.
    pub(crate) async fn making(&self, doctor: DoctorId, ranges: Vec<TimeRange>) -> AvailabilityChanges {
        let state = self.store.load(doctor, now()).await.unwrap().unwrap();
        AvailabilityChanges {
            doctor,
            expected_revision: state.revision,
            expected_profile: state.practitioner.version,
            profile: None,
            rules: None,
            add_time_off: None,
            remove_time_off: None,
            new_slots: ranges.iter().map(|_| SlotId::from_uuid(id(now()))).collect(),
            plan: SlotPlan {
                create: ranges
                    .into_iter()
                    .map(|range| DesiredSlot { range, modes: Modes::new(Mode::ALL).unwrap() })
                    .collect(),
                ..SlotPlan::default()
            },
            generated_until: TimeZone::UTC.to_datetime(now()).date().tomorrow().unwrap(),
            effects: Effects::default(),
        }
    }

    /// Open slots of a new practitioner, an hour apart from tomorrow on.
    pub(crate) async fn slots(&self, count: i64) -> Vec<Slot> {
        let doctor = self.doctor().await.id;
        let first = now() + 24.hours();
        let range = |hour| {
            let start = first + SignedDuration::from_hours(hour);
            TimeRange::new(start, start + 30.minutes()).unwrap()
        };
        let changes = self.making(doctor, (0..count).map(range).collect()).await;
        AvailabilityStore::commit(&self.store, &changes).await.unwrap();
        let all = TimeRange::new(now(), range(count).start()).unwrap();
        AvailabilityStore::slots(&self.store, doctor, all).await.unwrap()
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
