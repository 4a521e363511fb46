//! Visits that took place, fell through, or are to come.

use super::{practitioners::Doctor, world::World};
use amrutam_booking::{
    model::{CancelReason, Consultation, ConsultationStatus, IdentityCheck, Mode, Slot},
    ports::{AvailabilityStore, ConsultationFilter, ConsultationStore, Whose},
    use_cases::{Book, Cancel, book, cancel, complete, no_show, start},
};
use amrutam_crypto::SystemClock;
use amrutam_kernel::{AccountId, Clock, Limit, PageRequest, Role, Sensitive, TimeRange};
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::error::Error;

const REASONS: [&str; 6] = [
    "Digestion has been slow since the monsoon",
    "Recurring headache in the afternoons",
    "Follow-up on diet and routine",
    "Knee stiffness in the mornings",
    "Trouble falling asleep",
    "Dry skin every winter",
];
const MODES: [Mode; 3] = [Mode::Video, Mode::Audio, Mode::Chat];

/// Past visits: of each six, four took place, one was cancelled and one patient did not come. Each pair of practitioner
/// and patient has one, so that a run knows those of an earlier one, and goes on with one that was left half done.
pub(crate) async fn past(world: &World, doctors: &[Doctor], patients: &[AccountId]) -> Result<usize, Box<dyn Error>> {
    let began = world.clock.now();
    let mut made = 0;
    for (n, doctor) in doctors.iter().cycle().take(48).enumerate() {
        let Some(&patient) = patients.get(n * 5 % patients.len()) else { continue };
        world.clock.set(began + SignedDuration::from_hours(i64::try_from(n)? / 2));
        let wait = i64::try_from(24 + n * 7 % 240)?;
        let from = world.clock.now() + SignedDuration::from_hours(wait);
        let visit = match known(world, *doctor, patient, None, Some(SystemClock.now())).await? {
            Some(visit) => visit,
            None => {
                let Some(slot) = free_slot(world, *doctor, from, 5).await? else { continue };
                let Some(visit) = try_book(world, *doctor, patient, &slot, n).await? else { continue };
                visit
            }
        };
        take_place(world, *doctor, &visit, n).await?;
        made += 1;
    }
    Ok(made)
}

/// What becomes of the n-th past visit, as far as it has not yet.
async fn take_place(world: &World, doctor: Doctor, visit: &Consultation, n: usize) -> Result<(), Box<dyn Error>> {
    let (id, slot) = (visit.id, visit.range);
    let as_doctor = world.acting(doctor.account, Role::Doctor);
    match (visit.status, n % 6) {
        (ConsultationStatus::Confirmed, 4) => {
            let reason = CancelReason::PatientEmergency;
            let command = Cancel { id, reason, idempotency: None };
            cancel(world.booking(), &world.acting(visit.patient, Role::Patient), command).await?;
        }
        (ConsultationStatus::Confirmed, 5) => {
            world.clock.set(slot.start() + SignedDuration::from_mins(12));
            no_show(world.booking(), &as_doctor, id, None).await?;
        }
        (ConsultationStatus::Confirmed | ConsultationStatus::InProgress, _) => {
            if visit.status == ConsultationStatus::Confirmed {
                world.clock.set(slot.start() + SignedDuration::from_mins(1));
                start(world.booking(), &as_doctor, id, IdentityCheck::Asked, None).await?;
            }
            world.clock.set(slot.end() - SignedDuration::from_mins(2));
            complete(world.booking(), &as_doctor, id, None, None).await?;
        }
        _ => {}
    }
    Ok(())
}

/// Coming visits, one per pair; the demo patient has several, the first of them with the demo doctor.
pub(crate) async fn coming(world: &World, doctors: &[Doctor], patients: &[AccountId]) -> Result<usize, Box<dyn Error>> {
    let mut made = 0;
    let first = doctors.iter().take(1).cycle().take(8);
    for (n, doctor) in first.chain(doctors.iter().skip(1)).enumerate() {
        let Some(&patient) = patients.get(n * 7 % patients.len()) else { continue };
        let now = world.clock.now();
        if known(world, *doctor, patient, Some(now), None).await?.is_some() {
            made += 1;
            continue;
        }
        // The demo doctor's first visits are on the next working day.
        let from = now + SignedDuration::from_hours(i64::try_from(2 + n / 4 * 13)?);
        let Some(slot) = free_slot(world, *doctor, from, 7).await? else { continue };
        made += usize::from(try_book(world, *doctor, patient, &slot, n).await?.is_some());
    }
    Ok(made)
}

/// The visit of a pair that starts in the range, from an earlier run.
async fn known(
    world: &World,
    doctor: Doctor,
    patient: AccountId,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<Option<Consultation>, Box<dyn Error>> {
    let filter = ConsultationFilter { whose: Whose::Patient(patient), status: None, from, to, now: world.clock.now() };
    // More than a patient of ours has.
    let page = PageRequest { limit: Limit::new(Limit::MAX).ok_or("a page")?, after: None };
    let found = world.postgres.list(&filter, page).await?;
    // Only whether it is there; nobody sees it.
    Ok(found.judge(|found| {
        let mut visits = found.items.iter().map(|view| &view.consultation);
        visits.find(|visit| visit.doctor == doctor.id).cloned()
    }))
}

async fn free_slot(world: &World, doctor: Doctor, from: Timestamp, days: i64) -> Result<Option<Slot>, Box<dyn Error>> {
    let range = TimeRange::new(from, from.checked_add((days * 24).hours())?).ok_or("an empty range")?;
    let page = PageRequest { limit: Limit::new(1).ok_or("a page of one")?, after: None };
    let found = world.postgres.open_slots(doctor.id, range, None, world.clock.now(), page).await?;
    Ok(found.items.into_iter().next())
}

/// A refusal (the patient is busy then) leaves the visit out.
async fn try_book(
    world: &World,
    doctor: Doctor,
    patient: AccountId,
    slot: &Slot,
    n: usize,
) -> Result<Option<Consultation>, Box<dyn Error>> {
    let command = Book {
        doctor: doctor.id,
        slot: slot.id,
        mode: MODES.get(n % MODES.len()).copied().unwrap_or(Mode::Video),
        reason: REASONS.get(n % REASONS.len()).map(|&reason| Sensitive::new(reason.to_owned())),
        for_dependent: None,
        idempotency: None,
    };
    match book(world.booking(), &world.acting(patient, Role::Patient), command).await {
        Ok((booked, _)) => Ok(Some(booked.consultation)),
        Err(amrutam_booking::BookError::Refused(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
