//! Practitioners, slots and visits as the stores take them, without the way that leads there: for this domain's suites and for those of
//! domains that look at visits.

use crate::{
    model::{
        CancelReason, Consultation, ConsultationStatus, DesiredSlot, MedicalSystem, Mode, Modes, Practitioner,
        PractitionerDetails, PractitionerStatus, Slot, SlotPlan, TimelineEntry, TimelineKind,
    },
    ports::{AvailabilityChanges, AvailabilityStore, Changes, NewConsultation},
};
use amrutam_kernel::{
    AccountId, ConsultationId, CorrelationId, Currency, DependantId, DoctorId, Effects, EventId, Money, SlotId,
    TimeRange,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::hash::{BuildHasher, RandomState};
use uuid::Uuid;

/// The length of the slots, which begin an hour apart.
pub const LENGTH: SignedDuration = SignedDuration::from_mins(30);

/// Never the same twice, in this process or another.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A word that no other case uses.
pub fn word() -> String {
    format!("w{:016x}", random())
}

/// A UUIDv7 of that time.
pub fn id(now: Timestamp) -> Uuid {
    let [high, low] = [random().to_be_bytes(), random().to_be_bytes()];
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&high);
    bytes[8..].copy_from_slice(&low[..2]);
    let millis = u64::try_from(now.as_millisecond()).unwrap();
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// A listed practitioner with that account, not stored yet.
pub fn profile(account: AccountId, now: Timestamp) -> Practitioner {
    let word = word();
    Practitioner {
        id: DoctorId::from_uuid(id(now)),
        account,
        details: PractitionerDetails {
            full_name: format!("Dr {word}"),
            system: MedicalSystem::Ayurveda,
            council: "Kerala State Medical Council".to_owned(),
            registration_number: word,
            registered_on: None,
            valid_until: None,
            qualifications: vec!["BAMS".to_owned(), "MD (Ayurveda)".to_owned()],
            specializations: vec!["kayachikitsa".to_owned(), "panchakarma".to_owned()],
            languages: vec!["ml".to_owned(), "en".to_owned()],
            modes: Modes::new(Mode::ALL).unwrap(),
            fee: Money::new(49_900, Currency::Inr).unwrap(),
            bio: "Twenty years of practice.\nSpeaks Malayalam.".to_owned(),
            time_zone: "Asia/Kolkata".to_owned(),
        },
        status: PractitionerStatus::Listed,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// The slot number `index`: the first begins in a day.
pub fn range(index: usize, now: Timestamp) -> TimeRange {
    let start = now + SignedDuration::from_hours(24 + i64::try_from(index).unwrap());
    TimeRange::new(start, start + LENGTH).unwrap()
}

/// Changes that make `create`, on the availability as it is.
pub async fn making(
    store: &dyn AvailabilityStore,
    doctor: DoctorId,
    create: Vec<DesiredSlot>,
    now: Timestamp,
) -> AvailabilityChanges {
    let state = store.load(doctor, now).await.unwrap().unwrap();
    AvailabilityChanges {
        doctor,
        expected_revision: state.revision,
        expected_profile: state.practitioner.version,
        profile: None,
        rules: None,
        add_time_off: None,
        remove_time_off: None,
        new_slots: create.iter().map(|_| SlotId::from_uuid(id(now))).collect(),
        plan: SlotPlan { create, ..SlotPlan::default() },
        generated_until: TimeZone::UTC.to_datetime(now).date().tomorrow().unwrap(),
        effects: Effects::default(),
    }
}

/// Open slots of a practitioner, stored: an hour apart, with indexes `0..count`.
pub async fn open_slots(store: &dyn AvailabilityStore, doctor: DoctorId, count: usize, now: Timestamp) -> Vec<Slot> {
    let desired = |index| DesiredSlot { range: range(index, now), modes: Modes::new(Mode::ALL).unwrap() };
    let changes = making(store, doctor, (0..count).map(desired).collect(), now).await;
    store.commit(&changes).await.unwrap();
    store.slots(doctor, TimeRange::new(now, range(count, now).start()).unwrap()).await.unwrap()
}

/// A free visit that stands in that slot in that status, with the one line of its timeline; the slot and the calendar know nothing of it.
pub fn visit(
    slot: &Slot,
    patient: AccountId,
    dependant: Option<DependantId>,
    status: ConsultationStatus,
    now: Timestamp,
) -> (Consultation, Changes) {
    let consultation = Consultation {
        id: ConsultationId::from_uuid(id(now)),
        patient,
        dependant,
        doctor: slot.doctor,
        slot: slot.id,
        range: slot.range,
        mode: Mode::Video,
        status,
        fee: Money::new(0, Currency::Inr).unwrap(),
        hold_expires_at: None,
        least_notice: None,
        cancel_reason: (status == ConsultationStatus::Cancelled).then_some(CancelReason::PatientOther),
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let line = TimelineEntry {
        consultation: consultation.id,
        version: 1,
        at: now,
        kind: TimelineKind::StatusChanged,
        from: None,
        to: status,
        slot: slot.id,
        actor: "system:tests".to_owned(),
        cause: "made".to_owned(),
        event: EventId::from_uuid(id(now)),
        correlation_id: CorrelationId::from(id(now)),
    };
    let created = vec![NewConsultation { consultation: consultation.clone(), sealed_reason: None }];
    (consultation, Changes { created, timeline: vec![line], ..Changes::default() })
}
