//! Many at once: each race has one winner, and the losers are told why in a word that a use case can act on.

use super::{
    Harness,
    stage::{Stage, minutes, one_winner},
};
use crate::{
    model::{ConsultationStatus, PatientCalendar, SlotPlan, SlotStatus},
    ports::{Changes, ConsultationFilter, NewConsultation, ProfileInserted, SlotUpdate, Whose},
};
use amrutam_kernel::{CommitError, Effects, EventId, InboxMark, Limit, PageRequest};
use futures::future::BoxFuture;
use std::sync::Arc;

const MANY: usize = 24;

fn lost(error: &CommitError) -> bool {
    matches!(error, CommitError::Stale | CommitError::Busy)
}

/// Many patients, one slot.
pub async fn one_slot_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, slots) = stage.doctor_with_slots(1).await;
    let mut bookings = Vec::new();
    for _ in 0..MANY {
        let patient = stage.patient().await;
        bookings.push(stage.booking(&slots[0], patient, &PatientCalendar::default()));
    }
    let results = stage.race_commits(bookings.iter().map(|booking| booking.changes.clone())).await;
    let winner = &bookings[one_winner(&results, lost)];
    assert_eq!(stage.slot(slots[0].id).await, winner.slot);
    for booking in &bookings {
        let stored = stage.consultation(booking.consultation.id).await;
        assert_eq!(stored.is_some(), booking.consultation.id == winner.consultation.id);
        let calendar = stage.calendar(booking.consultation.patient).await;
        assert_eq!(calendar.version, i64::from(stored.is_some()), "a loser's calendar is untouched");
        let announced = harness.announced(booking.consultation.id.as_uuid()).await;
        assert_eq!(announced.len(), usize::from(stored.is_some()), "nothing is announced of a loser");
    }
    let whose = Whose::Doctor(doctor.account);
    let filter = ConsultationFilter { whose, status: None, from: None, to: None, now: stage.now };
    let page = PageRequest { limit: Limit::default(), after: None };
    assert_eq!(stage.consultations.list(&filter, page).await.unwrap().judge(Clone::clone).items.len(), 1);
}

/// One patient, many slots: the calendar serializes, also when there is no row for it yet.
pub async fn one_calendar_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(2 * MANY).await;
    let patient = stage.patient().await;
    for round in slots.chunks(MANY) {
        let calendar = stage.calendar(patient).await;
        let bookings: Vec<_> = round.iter().map(|slot| stage.booking(slot, patient, &calendar)).collect();
        let results = stage.race_commits(bookings.iter().map(|booking| booking.changes.clone())).await;
        let winner = one_winner(&results, lost);
        assert_eq!(stage.calendar(patient).await, bookings[winner].calendar);
        for (index, slot) in round.iter().enumerate() {
            let status = if index == winner { SlotStatus::Booked } else { SlotStatus::Open };
            assert_eq!(stage.slot(slot.id).await.status, status, "a loser's slot is untouched");
        }
    }
}

/// Many acts on one consultation.
pub async fn one_consultation_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(1).await;
    let booking = stage.book(&slots[0]).await;
    let acts: Vec<_> = (0..MANY)
        .map(|index| match index % 2 {
            0 => stage.becoming(&booking.consultation, ConsultationStatus::Confirmed),
            _ => stage.becoming(&booking.consultation, ConsultationStatus::Cancelled),
        })
        .collect();
    let results = stage.race_commits(acts.iter().map(|(_, changes)| changes.clone())).await;
    let (after, changes) = &acts[one_winner(&results, lost)];
    assert_eq!(stage.consultation(after.id).await.as_ref(), Some(after));
    assert_eq!(stage.consultations.timeline(after.id).await.unwrap().judge(Clone::clone)[1..], changes.timeline);
}

/// One request sent many times at once.
pub async fn one_claim_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(MANY).await;
    let patient = stage.patient().await;
    let claim = stage.claim(patient, "once");
    // Each with a slot of its own and no calendar, so that nothing but the claim stands between them.
    let attempts = slots.iter().map(|slot| {
        let mut booking = stage.booking(slot, patient, &PatientCalendar::default());
        booking.changes.calendars.clear();
        booking.changes.effects.answer = Some(claim.clone());
        booking.changes
    });
    let results = stage.race_commits(attempts).await;
    one_winner(&results, |error| matches!(error, CommitError::AlreadyAnswered | CommitError::Busy));
    let booked = futures::future::join_all(slots.iter().map(|slot| stage.slot(slot.id))).await;
    assert_eq!(booked.iter().filter(|slot| slot.status == SlotStatus::Booked).count(), 1);
}

/// One event delivered many times at once.
pub async fn one_event_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(MANY).await;
    let event = EventId::from_uuid(stage.id());
    let mut attempts = Vec::new();
    for slot in &slots {
        let patient = stage.patient().await;
        let mut booking = stage.booking(slot, patient, &PatientCalendar::default());
        booking.changes.effects.inbox = Some(InboxMark { consumer: "contract", event });
        attempts.push(booking.changes);
    }
    let results = stage.race_commits(attempts).await;
    one_winner(&results, |error| matches!(error, CommitError::AlreadyHandled | CommitError::Busy));
}

/// Two slots each, named in opposite orders: locks are taken in one order, so nobody is a deadlock's victim.
pub async fn slots_named_in_any_order_do_not_deadlock(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(2).await;
    let mut attempts = Vec::new();
    for index in 0..MANY {
        let mut changes = Changes::default();
        for slot in &slots {
            let patient = stage.patient().await;
            let booking = stage.booking(slot, patient, &PatientCalendar::default());
            changes.slots.extend(booking.changes.slots);
            changes.created.extend(booking.changes.created);
            changes.timeline.extend(booking.changes.timeline);
            changes.calendars.extend(booking.changes.calendars);
        }
        if index % 2 == 1 {
            changes.slots.reverse();
            changes.calendars.reverse();
        }
        attempts.push(changes);
    }
    let results = stage.race_commits(attempts.clone()).await;
    let winner = &attempts[one_winner(&results, lost)];
    for SlotUpdate(slot) in &winner.slots {
        assert_eq!(&stage.slot(slot.id).await, slot);
    }
    for NewConsultation { consultation, .. } in &winner.created {
        assert_eq!(stage.consultation(consultation.id).await.as_ref(), Some(consultation));
    }
}

/// Many changes decided on one version of the availability.
pub async fn one_availability_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let doctor = stage.doctor().await;
    let mut attempts = Vec::new();
    for index in 0..MANY {
        attempts.push(stage.making(doctor.id, vec![stage.desired(index)]).await);
    }
    let commits = attempts.iter().cloned().map(|changes| -> BoxFuture<'static, _> {
        let store = Arc::clone(&stage.availability);
        Box::pin(async move { store.commit(&changes).await })
    });
    let results = stage.race(commits).await;
    let winner = &attempts[one_winner(&results, lost)];
    let everything = amrutam_kernel::TimeRange::new(stage.now, stage.range(MANY).start()).unwrap();
    let slots = stage.availability.slots(doctor.id, everything).await.unwrap();
    assert_eq!(slots.iter().map(|slot| slot.id).collect::<Vec<_>>(), winner.new_slots);
}

/// A practitioner takes back what a patient is booking: one of the two happens, and the other side learns of it.
pub async fn withdrawing_and_booking_exclude_each_other(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, slots) = stage.doctor_with_slots(12).await;
    for slot in &slots {
        let patient = stage.patient().await;
        let booking = stage.booking(slot, patient, &PatientCalendar::default());
        let mut withdrawing = stage.making(doctor.id, Vec::new()).await;
        withdrawing.plan = SlotPlan { withdraw: vec![(slot.id, slot.version)], ..SlotPlan::default() };
        let (rules, visits) = (Arc::clone(&stage.availability), Arc::clone(&stage.consultations));
        let changes = booking.changes.clone();
        let withdraw: BoxFuture<'static, _> = Box::pin(async move { rules.commit(&withdrawing).await });
        let book: BoxFuture<'static, _> = Box::pin(async move { visits.commit(&changes).await });
        let results = stage.race([withdraw, book]).await;
        let expected = match one_winner(&results, lost) {
            0 => crate::model::Slot {
                status: crate::model::SlotStatus::Withdrawn,
                version: slot.version + 1,
                ..slot.clone()
            },
            _ => booking.slot,
        };
        assert_eq!(stage.slot(slot.id).await, expected);
    }
}

/// Many profiles under one registration number.
pub async fn one_registration_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let number = super::stage::word();
    let mut profiles = Vec::new();
    for _ in 0..MANY {
        let mut profile = stage.profile().await;
        profile.details.registration_number.clone_from(&number);
        profiles.push(profile);
    }
    let created = race_inserts(&stage, &profiles, ProfileInserted::RegistrationTaken).await;
    for (index, profile) in profiles.iter().enumerate() {
        let stored = stage.directory.by_id(profile.id).await.unwrap();
        assert_eq!(stored.as_ref(), (index == created).then_some(profile));
    }
}

/// Many profiles for one account.
pub async fn one_account_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let first = stage.profile().await;
    let mut profiles = Vec::new();
    for _ in 0..MANY {
        let mut profile = stage.profile().await;
        profile.account = first.account;
        profiles.push(profile);
    }
    let created = race_inserts(&stage, &profiles, ProfileInserted::AccountHasProfile).await;
    assert_eq!(stage.directory.by_id(profiles[created].id).await.unwrap().as_ref(), Some(&profiles[created]));
}

async fn race_inserts(stage: &Stage<'_>, profiles: &[crate::model::Practitioner], loser: ProfileInserted) -> usize {
    let inserts = profiles.iter().cloned().map(|profile| -> BoxFuture<'static, _> {
        let store = Arc::clone(&stage.directory);
        Box::pin(async move { store.insert(&profile, &Effects::default()).await.unwrap() })
    });
    let outcomes = stage.race(inserts).await;
    let results: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| if outcome == ProfileInserted::Created { Ok(()) } else { Err(outcome) })
        .collect();
    one_winner(&results, |outcome| *outcome == loser)
}

/// Many changes decided on one version of a profile.
pub async fn one_profile_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let doctor = stage.doctor().await;
    let attempts: Vec<_> = (0..MANY)
        .map(|index| {
            let mut after = doctor.clone();
            after.details.bio = format!("Version of {index}");
            after.version += 1;
            after.updated_at = stage.now + minutes(1);
            after
        })
        .collect();
    let updates = attempts.iter().cloned().map(|after| -> BoxFuture<'static, _> {
        let store = Arc::clone(&stage.directory);
        Box::pin(async move { store.update(&after, &Effects::default()).await })
    });
    let results = stage.race(updates).await;
    let winner = one_winner(&results, lost);
    assert_eq!(stage.directory.by_id(doctor.id).await.unwrap().as_ref(), Some(&attempts[winner]));
}
