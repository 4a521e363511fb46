//! Snapshots and commits, one at a time.

use super::{
    Harness,
    stage::{Booking, HOLD, Stage, bookable, minutes},
};
use crate::{
    model::{
        CancelReason, Consultation, ConsultationStatus, IdentityCheck, LiveVisit, Mode, PatientCalendar, SlotStatus,
        TimelineEntry, TimelineKind,
    },
    ports::{Changes, ConsultationView, NewConsultation, SlotUpdate},
};
use amrutam_kernel::{
    CommitError, ConsultationId, Effects, EventId, Fingerprint, IdempotencyClaim, InboxMark, Recorded, SlotId,
};

/// Absence is no error.
pub async fn what_is_not_there_reads_as_absent(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (patient, slot) = (stage.patient().await, SlotId::from_uuid(stage.id()));
    let consultation = ConsultationId::from_uuid(stage.id());
    let snapshot = stage.consultations.booking_snapshot(slot, patient, None, None).await.unwrap();
    assert_eq!(snapshot.slot, None);
    assert_eq!(snapshot.doctor, None);
    assert_eq!(snapshot.occupant, None);
    assert_eq!(snapshot.recorded, None);
    assert_eq!(snapshot.calendar, PatientCalendar::default());
    assert!(stage.consultations.consultation_snapshot(consultation, None, None).await.unwrap().is_none());
    assert_eq!(stage.consultations.view(consultation).await.unwrap().map(|found| found.judge(Clone::clone)), None);
    assert_eq!(stage.consultations.sealed_reason(consultation).await.unwrap(), None);
    assert_eq!(stage.consultations.timeline(consultation).await.unwrap().judge(Clone::clone), []);
}

/// What a commit stored is what every reader gives.
pub async fn a_booking_reads_back_whole(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, slots) = stage.doctor_with_slots(2).await;
    let patient = stage.patient().await;
    let before = stage.consultations.booking_snapshot(slots[0].id, patient, None, None).await.unwrap();
    assert_eq!(before.slot.as_ref(), Some(&slots[0]));
    assert_eq!(before.doctor, Some(bookable(&doctor)));
    assert_eq!(before.occupant, None);
    assert_eq!(before.calendar, PatientCalendar::default());

    let booking = stage.booking(&slots[0], patient, &before.calendar);
    stage.consultations.commit(&booking.changes).await.unwrap();

    let after = stage.consultations.booking_snapshot(slots[0].id, patient, None, None).await.unwrap();
    assert_eq!(after.slot.as_ref(), Some(&booking.slot));
    assert_eq!(after.occupant.as_ref(), Some(&booking.consultation));
    assert_eq!(after.calendar, booking.calendar);
    assert_eq!(after.recorded, None);
    let id = booking.consultation.id;
    let snapshot = stage.consultations.consultation_snapshot(id, None, None).await.unwrap().unwrap();
    assert_eq!(snapshot.consultation, booking.consultation);
    assert_eq!(snapshot.slot, booking.slot);
    assert_eq!(snapshot.doctor, bookable(&doctor));
    assert_eq!(snapshot.target, None);
    assert_eq!(snapshot.calendar, booking.calendar);
    assert_eq!(snapshot.recorded, None);
    let view = stage.consultations.view(id).await.unwrap().map(|found| found.judge(Clone::clone));
    let expected = ConsultationView {
        consultation: booking.consultation.clone(),
        doctor_account: doctor.account,
        doctor_name: doctor.details.full_name,
        doctor_council: doctor.details.council,
        doctor_registration: doctor.details.registration_number,
        doctor_qualifications: doctor.details.qualifications,
    };
    assert_eq!(view, Some(expected));
    let sealed = booking.changes.created[0].sealed_reason.clone();
    assert_eq!(stage.consultations.sealed_reason(id).await.unwrap(), sealed);
    assert_eq!(stage.consultations.timeline(id).await.unwrap().judge(Clone::clone), booking.changes.timeline);
    assert_eq!(harness.announced(id.as_uuid()).await, [booking.event()]);
    assert_eq!(harness.audited(&id.to_string()).await, [booking.audit()]);
    assert_eq!(stage.slot(slots[1].id).await, slots[1], "the other slot is as it was");

    // A second visit joins the first in the calendar; a visit without a reason has none.
    let mut second = stage.booking(&slots[1], patient, &after.calendar);
    second.changes.created[0].sealed_reason = None;
    stage.consultations.commit(&second.changes).await.unwrap();
    let calendar = stage.calendar(patient).await;
    assert_eq!(calendar.version, 2);
    assert_eq!(calendar.live.len(), 2);
    assert!(second.calendar.live.iter().all(|visit| calendar.live.contains(visit)));
    assert_eq!(stage.consultations.sealed_reason(second.consultation.id).await.unwrap(), None);
}

/// Every status, mode and reason.
pub async fn every_word_of_a_consultation_reads_back(harness: &dyn Harness) {
    use ConsultationStatus::{Cancelled, Completed, Confirmed, Expired, InProgress, NoShow};
    let stage = Stage::new(harness);
    let paths: [&[ConsultationStatus]; 5] =
        [&[Confirmed, InProgress, Completed], &[Expired], &[Cancelled], &[Confirmed, Cancelled], &[Confirmed, NoShow]];
    let (_, slots) = stage.doctor_with_slots(paths.len() + Mode::ALL.len()).await;
    for (path, slot) in paths.into_iter().zip(&slots) {
        let booking = stage.book(slot).await;
        let (mut before, mut slot) = (booking.consultation, booking.slot);
        let mut calendar = booking.calendar;
        for to in path {
            let (after, mut changes) = stage.becoming(&before, *to);
            let held_until = after.hold_expires_at;
            slot = if to.is_live() { slot.booked_by(after.id, held_until) } else { slot.freed() };
            changes.slots.push(SlotUpdate(slot.clone()));
            calendar =
                PatientCalendar { version: calendar.version + 1, live: LiveVisit::of(&after).into_iter().collect() };
            changes.calendars.push((after.patient, calendar.clone()));
            stage.consultations.commit(&changes).await.unwrap();
            assert_eq!(stage.consultation(after.id).await.as_ref(), Some(&after), "{to}");
            assert_eq!(stage.slot(slot.id).await, slot, "{to}");
            assert_eq!(stage.calendar(after.patient).await, calendar, "{to}");
            before = after;
        }
        assert_eq!(stage.consultations.timeline(before.id).await.unwrap().judge(Clone::clone).len(), path.len() + 1);
    }
    for (mode, slot) in Mode::ALL.into_iter().zip(&slots[paths.len()..]) {
        let patient = stage.patient().await;
        let mut booking = stage.booking(slot, patient, &PatientCalendar::default());
        booking.changes.created[0].consultation.mode = mode;
        stage.consultations.commit(&booking.changes).await.unwrap();
        let stored = stage.consultation(booking.consultation.id).await.unwrap();
        assert_eq!(stored, Consultation { mode, ..booking.consultation });
    }
    // A cancelled visit's slot is open again, and can be booked and cancelled with each reason in turn.
    let mut slot = stage.slot(slots[2].id).await;
    for reason in CancelReason::ALL {
        let booking = stage.book(&slot).await;
        let (mut after, mut changes) = stage.becoming(&booking.consultation, Cancelled);
        after.cancel_reason = Some(reason);
        changes.updated[0].0 = after.clone();
        slot = booking.slot.freed();
        changes.slots.push(SlotUpdate(slot.clone()));
        stage.consultations.commit(&changes).await.unwrap();
        assert_eq!(stage.consultation(after.id).await, Some(after));
    }
}

/// [`SlotUpdate`]: older, newer and unknown versions are all stale.
pub async fn a_slot_at_another_version_refuses_the_commit(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(1).await;
    let first = stage.book(&slots[0]).await;
    let patient = stage.patient().await;
    for off_by in [-1, 1] {
        let mut late = stage.booking(&first.slot, patient, &PatientCalendar::default());
        late.changes.slots[0].0.version += off_by;
        assert!(matches!(stage.consultations.commit(&late.changes).await, Err(CommitError::Stale)), "off by {off_by}");
    }
    assert_eq!(stage.slot(slots[0].id).await, first.slot);
    let mut unknown = slots[0].booked_by(first.consultation.id, None);
    unknown.id = SlotId::from_uuid(stage.id());
    let changes = Changes { slots: vec![SlotUpdate(unknown)], ..Changes::default() };
    // A slot that is not there looks like one that somebody holds.
    let refused = stage.consultations.commit(&changes).await;
    assert!(matches!(refused, Err(CommitError::Stale | CommitError::Busy)), "{refused:?}");
}

/// [`Changes::calendars`]: older and newer versions are stale, and where there is none yet all but the first.
pub async fn a_calendar_at_another_version_refuses_the_commit(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(4).await;
    let patient = stage.patient().await;
    let mut calendar = PatientCalendar::default();
    for slot in &slots[..3] {
        for version in [calendar.version + 1, calendar.version - 1] {
            let mut late = stage.booking(slot, patient, &calendar);
            late.changes.calendars[0].1.version = version + 1;
            let refused = stage.consultations.commit(&late.changes).await;
            assert!(refused.is_err(), "{version} instead of {}", calendar.version);
            // Version 0 is never written, so writing it is a defect as well.
            let expected = matches!(refused, Err(CommitError::Stale)) || version < 0;
            assert!(expected, "{version} instead of {}: {refused:?}", calendar.version);
        }
        assert_eq!(stage.calendar(patient).await, calendar);
        let booking = stage.booking(slot, patient, &calendar);
        stage.consultations.commit(&booking.changes).await.unwrap();
        calendar = booking.calendar;
    }
    assert_eq!(stage.calendar(patient).await, calendar);
    // A visit that ends leaves a calendar without it, at its next version.
    let empty = PatientCalendar { version: 4, live: Vec::new() };
    let changes = Changes { calendars: vec![(patient, empty.clone())], ..Changes::default() };
    stage.consultations.commit(&changes).await.unwrap();
    assert_eq!(stage.calendar(patient).await, empty);
}

/// The version that was read must be the version stored.
pub async fn a_consultation_at_another_version_refuses_the_commit(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(1).await;
    let booking = stage.book(&slots[0]).await;
    let (confirmed, changes) = stage.becoming(&booking.consultation, ConsultationStatus::Confirmed);
    stage.consultations.commit(&changes).await.unwrap();
    assert!(matches!(stage.consultations.commit(&changes).await, Err(CommitError::Stale)), "the same again");
    let (_, late) = stage.becoming(&booking.consultation, ConsultationStatus::Cancelled);
    assert!(matches!(stage.consultations.commit(&late).await, Err(CommitError::Stale)), "decided on version 1");
    assert_eq!(stage.consultation(confirmed.id).await.as_ref(), Some(&confirmed));
    assert_eq!(stage.consultations.timeline(confirmed.id).await.unwrap().judge(Clone::clone).len(), 2);

    let mut nobody = confirmed.clone();
    nobody.id = ConsultationId::from_uuid(stage.id());
    let (_, unknown) = stage.becoming(&nobody, ConsultationStatus::Cancelled);
    assert!(matches!(stage.consultations.commit(&unknown).await, Err(CommitError::Stale)), "there is no such row");
}

/// All or nothing, whichever part is refused.
pub async fn a_refused_commit_changes_nothing(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(3).await;
    let other = stage.book(&slots[1]).await;
    let (_, confirming) = stage.becoming(&other.consultation, ConsultationStatus::Confirmed);
    stage.consultations.commit(&confirming).await.unwrap();
    let first = stage.book(&slots[2]).await;
    let (patient, calendar) = (first.consultation.patient, first.calendar);
    let mark = InboxMark { consumer: "contract", event: EventId::from_uuid(stage.id()) };
    let known = stage.claim(patient, "known");
    let effects = Effects { inbox: Some(mark.clone()), answer: Some(known.clone()), ..Effects::default() };
    stage.consultations.commit(&Changes { effects, ..Changes::default() }).await.unwrap();

    type Break<'a> = (&'a str, Box<dyn Fn(&mut Changes) + Send + Sync + 'a>, fn(&CommitError) -> bool);
    let stale = |error: &CommitError| matches!(error, CommitError::Stale);
    let breaks: Vec<Break<'_>> = vec![
        ("calendar", Box::new(|changes| changes.calendars[0].1.version += 1), stale),
        ("slot", Box::new(|changes| changes.slots[0].0.version += 1), stale),
        ("practitioner", Box::new(|changes| changes.doctors.push((slots[0].doctor, 2))), stale),
        ("consultation", Box::new(|changes| changes.updated.extend(confirming.updated.clone())), stale),
        (
            "another slot",
            Box::new(|changes| changes.slots.push(SlotUpdate(slots[1].booked_by(other.consultation.id, None)))),
            stale,
        ),
        ("inbox", Box::new(|changes| changes.effects.inbox = Some(mark.clone())), |error| {
            matches!(error, CommitError::AlreadyHandled)
        }),
        ("answer", Box::new(|changes| changes.effects.answer = Some(known.clone())), |error| {
            matches!(error, CommitError::AlreadyAnswered)
        }),
    ];
    for (part, spoil, as_expected) in &breaks {
        let mut booking = stage.booking(&slots[0], patient, &calendar);
        booking.changes.effects.inbox = Some(InboxMark { consumer: "contract", event: EventId::from_uuid(stage.id()) });
        let claim = stage.claim(patient, part);
        booking.changes.effects.answer = Some(claim.clone());
        let sound = booking.clone();
        spoil(&mut booking.changes);
        let error = stage.consultations.commit(&booking.changes).await.unwrap_err();
        assert!(as_expected(&error), "{part}: {error:?}");
        nothing_of(&stage, &sound, &calendar, &claim.0, part).await;

        // The inbox shows only in that the event can still be handled.
        let effects = Effects { inbox: sound.changes.effects.inbox.clone(), ..Effects::default() };
        stage.consultations.commit(&Changes { effects, ..Changes::default() }).await.unwrap();
    }
}

/// What was read of the practitioner must still hold.
pub async fn a_practitioner_at_another_version_refuses_the_commit(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, slots) = stage.doctor_with_slots(1).await;
    let nobody = amrutam_kernel::AccountId::from_uuid(stage.id());
    let read = stage.consultations.booking_snapshot(slots[0].id, nobody, None, None).await.unwrap().doctor.unwrap();
    assert_eq!(read, bookable(&doctor));
    let next = crate::model::Practitioner {
        status: crate::model::PractitionerStatus::Suspended,
        version: doctor.version + 1,
        ..doctor
    };
    stage.directory.update(&next, &Effects::default()).await.unwrap();
    let mut booking = stage.booking(&slots[0], stage.patient().await, &PatientCalendar::default());
    booking.changes.doctors = vec![(read.id, read.version)];
    let refused = stage.consultations.commit(&booking.changes).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
    assert_eq!(stage.consultation(booking.consultation.id).await, None);
    booking.changes.doctors = vec![(read.id, next.version)];
    stage.consultations.commit(&booking.changes).await.unwrap();
}

/// Any UUID may be asked for; few name a time that there is.
pub async fn an_id_beyond_the_calendar_reads_as_absent(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    for id in [
        "ffffffff-ffff-4fff-8fff-ffffffffffff",
        "e677d21f-dbff-4fff-8fff-ffffffffffff",
        "e677d21f-dc00-4000-8000-000000000000",
    ] {
        let id: ConsultationId = id.parse().unwrap();
        assert_eq!(stage.consultations.view(id).await.unwrap().map(|found| found.judge(Clone::clone)), None);
        assert_eq!(stage.consultations.timeline(id).await.unwrap().judge(Clone::clone), []);
        assert_eq!(stage.consultations.sealed_reason(id).await.unwrap(), None);
        assert!(stage.consultations.consultation_snapshot(id, None, None).await.unwrap().is_none());
    }
}

async fn nothing_of(
    stage: &Stage<'_>,
    booking: &Booking,
    calendar: &PatientCalendar,
    claim: &IdempotencyClaim,
    part: &str,
) {
    let id = booking.consultation.id;
    let patient = booking.consultation.patient;
    let snapshot = stage.consultations.booking_snapshot(booking.slot.id, patient, None, Some(claim)).await.unwrap();
    let slot = snapshot.slot.unwrap();
    assert_eq!((slot.status, slot.version), (SlotStatus::Open, booking.slot.version - 1), "{part}: the slot");
    assert_eq!(snapshot.occupant, None, "{part}: the slot");
    assert_eq!(&snapshot.calendar, calendar, "{part}: the calendar");
    assert_eq!(snapshot.recorded, None, "{part}: the answer");
    assert_eq!(stage.consultation(id).await, None, "{part}: the consultation");
    assert_eq!(stage.consultations.sealed_reason(id).await.unwrap(), None, "{part}: the reason");
    assert_eq!(stage.consultations.timeline(id).await.unwrap().judge(Clone::clone), [], "{part}: the timeline");
    assert_eq!(stage.harness.announced(id.as_uuid()).await, [], "{part}: the outbox");
    assert_eq!(stage.harness.audited(&id.to_string()).await, [], "{part}: the audit");
}

/// The same request is answered the same, byte for byte; another request under the key is known for what it is.
pub async fn an_answer_is_kept_and_given_again(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(2).await;
    let patient = stage.patient().await;
    let (claim, answer) = stage.claim(patient, "one");
    let fresh = stage.consultations.booking_snapshot(slots[0].id, patient, None, Some(&claim)).await.unwrap();
    assert_eq!(fresh.recorded, None);
    let mut booking = stage.booking(&slots[0], patient, &fresh.calendar);
    booking.changes.effects.answer = Some((claim.clone(), answer.clone()));
    stage.consultations.commit(&booking.changes).await.unwrap();

    let other = IdempotencyClaim { fingerprint: Fingerprint::of("POST", "/v1/consultations", b"two"), ..claim.clone() };
    let unknown = IdempotencyClaim { key: "another-key".parse().unwrap(), ..claim.clone() };
    let cases = [(&claim, Some(Recorded::Same(answer.clone()))), (&other, Some(Recorded::Other)), (&unknown, None)];
    for (asked, expected) in cases {
        let snapshot = stage.consultations.booking_snapshot(slots[1].id, patient, None, Some(asked)).await.unwrap();
        assert_eq!(snapshot.recorded, expected);
        let id = booking.consultation.id;
        let snapshot = stage.consultations.consultation_snapshot(id, None, Some(asked)).await.unwrap().unwrap();
        assert_eq!(snapshot.recorded, expected);
    }

    // Neither the same claim nor another one under its key commits again, though all else is sound.
    let calendar = stage.calendar(patient).await;
    for claim in [claim, other] {
        let mut again = stage.booking(&slots[1], patient, &calendar);
        again.changes.effects.answer = Some((claim.clone(), answer.clone()));
        let refused = stage.consultations.commit(&again.changes).await;
        assert!(matches!(refused, Err(CommitError::AlreadyAnswered)), "{refused:?}");
    }
    assert_eq!(stage.slot(slots[1].id).await, slots[1]);
}

/// One key of two callers names two requests.
pub async fn a_claim_belongs_to_its_caller(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(2).await;
    let (one, other) = (stage.patient().await, stage.patient().await);
    let (claim, mut answer) = stage.claim(one, "body");
    let mut booking = stage.booking(&slots[0], one, &PatientCalendar::default());
    booking.changes.effects.answer = Some((claim.clone(), answer.clone()));
    stage.consultations.commit(&booking.changes).await.unwrap();

    let others = IdempotencyClaim { caller: other, ..claim.clone() };
    let snapshot = stage.consultations.booking_snapshot(slots[1].id, other, None, Some(&others)).await.unwrap();
    assert_eq!(snapshot.recorded, None);
    let first = answer.clone();
    answer.status = 200;
    answer.location = None;
    answer.etag = None;
    let mut booking = stage.booking(&slots[1], other, &snapshot.calendar);
    booking.changes.effects.answer = Some((others.clone(), answer.clone()));
    stage.consultations.commit(&booking.changes).await.unwrap();
    for (claim, answer) in [(claim, first), (others, answer)] {
        let snapshot = stage.consultations.booking_snapshot(slots[0].id, one, None, Some(&claim)).await.unwrap();
        assert_eq!(snapshot.recorded, Some(Recorded::Same(answer)));
    }
}

/// The inbox.
pub async fn an_event_is_handled_once_by_each_consumer(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(1).await;
    let booking = stage.book(&slots[0]).await;
    let event = EventId::from_uuid(stage.id());
    let (confirmed, mut changes) = stage.becoming(&booking.consultation, ConsultationStatus::Confirmed);
    changes.effects.inbox = Some(InboxMark { consumer: "one", event });
    stage.consultations.commit(&changes).await.unwrap();

    let (_, mut again) = stage.becoming(&confirmed, ConsultationStatus::InProgress);
    again.effects.inbox = Some(InboxMark { consumer: "one", event });
    let refused = stage.consultations.commit(&again).await;
    assert!(matches!(refused, Err(CommitError::AlreadyHandled)), "{refused:?}");
    assert_eq!(stage.consultation(confirmed.id).await.as_ref(), Some(&confirmed));
    again.effects.inbox = Some(InboxMark { consumer: "two", event });
    stage.consultations.commit(&again).await.unwrap();
}

/// A refusal is put on the record in a transaction of its own; events keep their order.
pub async fn effects_alone_are_committed(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(1).await;
    let booking = stage.book(&slots[0]).await;
    let id = booking.consultation.id;
    let events: Vec<_> = (0..5).map(|_| EventId::from_uuid(stage.id())).collect();
    let effects = Effects {
        events: events.iter().map(|event| stage.event(&booking.consultation, *event)).collect(),
        audit: vec![stage.audit(id.to_string())],
        ..Effects::default()
    };
    stage.consultations.commit(&Changes { effects: effects.clone(), ..Changes::default() }).await.unwrap();
    let announced = harness.announced(id.as_uuid()).await;
    assert_eq!(announced[0], booking.event());
    assert_eq!(announced[1..], events);
    let mut audited = harness.audited(&id.to_string()).await;
    let mut expected = vec![booking.audit(), effects.audit[0].id];
    audited.sort();
    expected.sort();
    assert_eq!(audited, expected);
    stage.consultations.commit(&Changes::default()).await.unwrap();
}

/// Claiming a slot whose hold ran out ends the old booking and makes the new one together.
pub async fn a_run_out_hold_gives_way_in_one_commit(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(1).await;
    let held = stage.book(&slots[0]).await;
    let late = stage.now + HOLD + minutes(1);
    let patient = stage.patient().await;
    let snapshot = stage.consultations.booking_snapshot(slots[0].id, patient, None, None).await.unwrap();
    let occupant = snapshot.occupant.unwrap();
    assert!(snapshot.slot.as_ref().unwrap().is_claimable(late));

    let mut booking = stage.booking(snapshot.slot.as_ref().unwrap(), patient, &snapshot.calendar);
    let expired = occupant.become_status(ConsultationStatus::Expired, late).unwrap();
    booking.changes.timeline.push(stage.step(&expired, Some(occupant.status), "hold_expired"));
    booking.changes.updated.push((expired.clone(), occupant.version));
    stage.consultations.commit(&booking.changes).await.unwrap();

    let after = stage.consultations.booking_snapshot(slots[0].id, patient, None, None).await.unwrap();
    assert_eq!(after.occupant, Some(booking.consultation));
    assert_eq!(after.slot, Some(booking.slot));
    assert_eq!(stage.consultation(held.consultation.id).await, Some(expired));
    // The old booking's snapshot still has its slot, which is another's now.
    let old = stage.consultations.consultation_snapshot(held.consultation.id, None, None).await.unwrap().unwrap();
    assert_eq!(old.slot.id, slots[0].id);
    assert_ne!(old.slot.consultation, Some(held.consultation.id));
    assert_eq!(old.occupant.map(|occupant| occupant.id), old.slot.consultation, "and says whose");
}

/// Expired, noted that money came too late, and all the same confirmed: each a version with its line.
pub async fn late_money_is_noted_or_brings_the_visit_back(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(1).await;
    let booking = stage.book(&slots[0]).await;
    let (expired, mut changes) = stage.becoming(&booking.consultation, ConsultationStatus::Expired);
    let freed = booking.slot.freed();
    changes.slots.push(SlotUpdate(freed.clone()));
    stage.consultations.commit(&changes).await.unwrap();

    let noted = expired.noted(stage.now + minutes(30));
    let line = TimelineEntry { kind: TimelineKind::Noted, ..stage.step(&noted, Some(expired.status), "late_payment") };
    let changes =
        Changes { updated: vec![(noted.clone(), expired.version)], timeline: vec![line.clone()], ..Changes::default() };
    stage.consultations.commit(&changes).await.unwrap();
    assert_eq!(stage.consultation(noted.id).await.as_ref(), Some(&noted));
    let timeline = stage.consultations.timeline(noted.id).await.unwrap();
    assert_eq!(timeline.judge(|timeline| timeline.last().cloned()), Some(line));

    let (back, mut changes) = stage.becoming(&noted, ConsultationStatus::Confirmed);
    let taken = freed.booked_by(back.id, None);
    changes.slots.push(SlotUpdate(taken.clone()));
    stage.consultations.commit(&changes).await.unwrap();
    assert_eq!(stage.consultation(back.id).await.as_ref(), Some(&back));
    assert_eq!(stage.slot(taken.id).await, taken);
}

/// One slot is freed, the other taken, the visit changes its time.
pub async fn a_visit_moves_in_one_commit(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(2).await;
    let booking = stage.book(&slots[1]).await;
    let moved = Consultation {
        slot: slots[0].id,
        range: slots[0].range,
        version: 2,
        updated_at: stage.now + minutes(1),
        ..booking.consultation.clone()
    };
    let calendar = PatientCalendar { version: 2, live: LiveVisit::of(&moved).into_iter().collect() };
    let changes = Changes {
        slots: vec![SlotUpdate(booking.slot.freed()), SlotUpdate(slots[0].booked_by(moved.id, moved.hold_expires_at))],
        updated: vec![(moved.clone(), 1)],
        calendars: vec![(moved.patient, calendar.clone())],
        timeline: vec![stage.step(&moved, Some(moved.status), "rescheduled")],
        ..Changes::default()
    };
    stage.consultations.commit(&changes).await.unwrap();
    let snapshot = stage.consultations.consultation_snapshot(moved.id, Some(slots[1].id), None).await.unwrap().unwrap();
    assert_eq!(snapshot.consultation, moved);
    assert_eq!(snapshot.slot, changes.slots[1].0);
    assert_eq!(snapshot.target, Some((changes.slots[0].0.clone(), None)));
    assert_eq!(snapshot.calendar, calendar);
}

/// [`ConsultationSnapshot::target`](crate::ports::ConsultationSnapshot::target).
pub async fn a_target_slot_is_read_with_its_occupant(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(3).await;
    let (one, other) = (stage.book(&slots[0]).await, stage.book(&slots[1]).await);
    let unknown = SlotId::from_uuid(stage.id());
    let cases = [
        (None, None),
        (Some(unknown), None),
        (Some(slots[1].id), Some((other.slot, Some(other.consultation)))),
        (Some(slots[2].id), Some((slots[2].clone(), None))),
    ];
    for (target, expected) in cases {
        let snapshot = stage.consultations.consultation_snapshot(one.consultation.id, target, None).await.unwrap();
        assert_eq!(snapshot.unwrap().target, expected);
    }
}

/// By version, in whatever order the lines were given; a booking may bring several versions at once.
pub async fn a_timeline_is_ordered_by_version(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (_, slots) = stage.doctor_with_slots(1).await;
    let patient = stage.patient().await;
    let mut booking = stage.booking(&slots[0], patient, &PatientCalendar::default());
    let (confirmed, confirming) = stage.becoming(&booking.consultation, ConsultationStatus::Confirmed);
    booking.changes.created = vec![NewConsultation { consultation: confirmed.clone(), sealed_reason: None }];
    booking.changes.slots = vec![SlotUpdate(slots[0].booked_by(confirmed.id, None))];
    booking.changes.calendars[0].1.live = LiveVisit::of(&confirmed).into_iter().collect();
    let mut lines = vec![booking.changes.timeline[0].clone(), confirming.timeline[0].clone()];
    booking.changes.timeline = lines.iter().rev().cloned().collect();
    stage.consultations.commit(&booking.changes).await.unwrap();
    assert_eq!(stage.consultation(confirmed.id).await.as_ref(), Some(&confirmed));
    assert_eq!(stage.consultations.timeline(confirmed.id).await.unwrap().judge(Clone::clone), lines);

    let (_, mut starting) = stage.becoming(&confirmed, ConsultationStatus::InProgress);
    starting.timeline[0].cause = IdentityCheck::PhotoId.cause().to_owned();
    stage.consultations.commit(&starting).await.unwrap();
    lines.extend(starting.timeline);
    assert_eq!(stage.consultations.timeline(confirmed.id).await.unwrap().judge(Clone::clone), lines);
}
