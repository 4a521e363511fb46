//! Rules, absences and slots.

use super::{
    Harness,
    stage::{HOLD, LENGTH, Stage, minutes, modes},
};
use crate::{
    model::{DesiredSlot, Mode, Practitioner, Slot, SlotPlan, SlotStatus, TimeOff, WeeklyRule},
    ports::{AvailabilityChanges, SlotUpdate},
};
use amrutam_kernel::{CommitError, DoctorId, Effects, EventId, Limit, PageRequest, SlotId, TimeOffId, TimeRange};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Weekday, time},
};

fn rule(weekday: Weekday, hour: i8) -> WeeklyRule {
    WeeklyRule {
        weekday,
        start: time(hour, 0, 0, 0),
        end: time(hour + 2, 0, 0, 0),
        slot_minutes: 30,
        buffer_minutes: 10,
        modes: modes(&[Mode::Video, Mode::Chat]),
        valid_from: None,
        valid_until: None,
    }
}

fn everything(stage: &Stage<'_>) -> TimeRange {
    TimeRange::new(stage.now, stage.now + minutes(60 * 24 * 60)).unwrap()
}

async fn slots(stage: &Stage<'_>, doctor: DoctorId) -> Vec<Slot> {
    stage.availability.slots(doctor, everything(stage)).await.unwrap()
}

fn stale(result: &Result<(), CommitError>) -> bool {
    matches!(result, Err(CommitError::Stale))
}

/// A practitioner without rules has an availability all the same; nobody has none.
pub async fn availability_begins_empty(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let doctor = stage.doctor().await;
    let state = stage.availability.load(doctor.id, stage.now).await.unwrap().unwrap();
    assert_eq!(state.practitioner, doctor);
    assert_eq!(state.rules, []);
    assert_eq!(state.time_off, []);
    assert_eq!(state.generated_until, None);
    assert_eq!(slots(&stage, doctor.id).await, []);
    let unknown = DoctorId::from_uuid(stage.id());
    assert!(stage.availability.load(unknown, stage.now).await.unwrap().is_none());
    assert_eq!(slots(&stage, unknown).await, []);
}

/// New rules replace all; changes without rules leave them.
pub async fn rules_and_absences_read_back(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let doctor = stage.doctor().await;
    let mut rules = vec![
        rule(Weekday::Monday, 9),
        rule(Weekday::Monday, 17),
        rule(Weekday::Wednesday, 0),
        rule(Weekday::Saturday, 20),
        rule(Weekday::Sunday, 8),
    ];
    rules[1].modes = modes(&[Mode::Audio]);
    rules[2].start = time(0, 5, 0, 0);
    rules[3].end = time(23, 59, 0, 0);
    rules[3].valid_from = Some(stage.today());
    rules[4].valid_until = Some(stage.today());
    let by_hour = |mut rules: Vec<WeeklyRule>| {
        rules.sort_by_key(|rule| (rule.weekday.to_monday_zero_offset(), rule.start));
        rules
    };
    let off = TimeOff { id: TimeOffId::from_uuid(stage.id()), range: stage.range(3), note: Some("Onam".to_owned()) };
    let audit = stage.audit(doctor.id.to_string());
    let mut changes = stage.making(doctor.id, Vec::new()).await;
    changes.rules = Some(rules.clone());
    changes.add_time_off = Some(off.clone());
    changes.effects.audit.push(audit.clone());
    stage.availability.commit(&changes).await.unwrap();
    let state = stage.availability.load(doctor.id, stage.now).await.unwrap().unwrap();
    assert_eq!(by_hour(state.rules), rules);
    assert_eq!(state.time_off.as_slice(), std::slice::from_ref(&off));
    assert_eq!(state.generated_until, Some(changes.generated_until));
    assert_eq!(harness.audited(&doctor.id.to_string()).await, [audit.id]);

    let mut changes = stage.making(doctor.id, Vec::new()).await;
    changes.remove_time_off = Some(off.id);
    changes.generated_until = stage.today().tomorrow().unwrap().tomorrow().unwrap();
    stage.availability.commit(&changes).await.unwrap();
    let state = stage.availability.load(doctor.id, stage.now).await.unwrap().unwrap();
    assert_eq!(by_hour(state.rules), rules);
    assert_eq!(state.time_off, []);
    assert_eq!(state.generated_until, Some(changes.generated_until));

    let fewer = vec![rule(Weekday::Friday, 10)];
    for rules in [fewer, Vec::new()] {
        let mut changes = stage.making(doctor.id, Vec::new()).await;
        changes.rules = Some(rules.clone());
        stage.availability.commit(&changes).await.unwrap();
        assert_eq!(stage.availability.load(doctor.id, stage.now).await.unwrap().unwrap().rules, rules);
    }
}

/// By start, as long as they end after the instant asked about.
pub async fn absences_are_listed_until_they_end(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let doctor = stage.doctor().await;
    let colleague = stage.doctor().await;
    let mut absences = Vec::new();
    for (index, whose) in [(2, doctor.id), (0, doctor.id), (1, doctor.id), (0, colleague.id)] {
        let off = TimeOff { id: TimeOffId::from_uuid(stage.id()), range: stage.range(index), note: None };
        let mut changes = stage.making(whose, Vec::new()).await;
        changes.add_time_off = Some(off.clone());
        stage.availability.commit(&changes).await.unwrap();
        absences.push(off);
    }
    let by_start = [absences[1].clone(), absences[2].clone(), absences[0].clone()];
    let ends = by_start[0].range.end();
    let moment = SignedDuration::from_micros(1);
    for (now, expected) in [
        (stage.now, &by_start[..]),
        (ends - moment, &by_start[..]),
        (ends, &by_start[1..]),
        (by_start[2].range.end(), &[][..]),
    ] {
        let state = stage.availability.load(doctor.id, now).await.unwrap().unwrap();
        assert_eq!(state.time_off, expected, "at {now}");
    }
    // Another's absence is not this practitioner's to end.
    let mut changes = stage.making(doctor.id, Vec::new()).await;
    changes.remove_time_off = Some(absences[3].id);
    let _ = stage.availability.commit(&changes).await;
    let state = stage.availability.load(colleague.id, stage.now).await.unwrap().unwrap();
    assert_eq!(state.time_off, absences[3..]);
}

/// Open, at version 1 or above, with the ids given; listed by start, the range's end excluded.
pub async fn slots_are_made_and_listed_by_start(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, colleague) = (stage.doctor().await, stage.doctor().await);
    let mut wanted: Vec<_> = [2, 0, 1].into_iter().map(|index| stage.desired(index)).collect();
    wanted[0].modes = modes(&[Mode::Chat]);
    let changes = stage.making(doctor.id, wanted.clone()).await;
    stage.availability.commit(&changes).await.unwrap();
    stage.slots(colleague.id, 2).await;

    let made = slots(&stage, doctor.id).await;
    assert_eq!(made.len(), 3);
    for (slot, at) in made.iter().zip([1, 2, 0]) {
        let expected = Slot {
            id: changes.new_slots[at],
            doctor: doctor.id,
            range: wanted[at].range,
            modes: wanted[at].modes.clone(),
            status: SlotStatus::Open,
            consultation: None,
            held_until: None,
            outside_rules: false,
            version: slot.version,
        };
        assert_eq!(slot, &expected);
        assert_eq!(stage.slot(slot.id).await, expected);
    }
    let moment = SignedDuration::from_micros(1);
    let start = |index: usize| made[index].range.start();
    for (from, to, expected) in [
        (start(0), start(2), 0..2),
        (start(0), start(2) + moment, 0..3),
        (start(0) + moment, start(2), 1..2),
        (start(1), start(1) + moment, 1..2),
    ] {
        let range = TimeRange::new(from, to).unwrap();
        assert_eq!(stage.availability.slots(doctor.id, range).await.unwrap(), made[expected], "{range:?}");
    }
}

/// The revision by one, whatever has changed: the next decision must be made on what is now. The version, which readers
/// compare, only when what they have read has changed.
pub async fn every_commit_raises_the_availability_revision(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let doctor = stage.doctor().await;
    let numbers = async || {
        let state = stage.availability.load(doctor.id, stage.now).await.unwrap().unwrap();
        (state.version, state.revision)
    };
    let next = Practitioner { version: doctor.version + 1, ..doctor.clone() };
    let off = TimeOff { id: TimeOffId::from_uuid(stage.id()), range: stage.range(0), note: None };
    let edits: [&dyn Fn(&mut AvailabilityChanges); 6] = [
        &|_| {},
        &|changes| changes.rules = Some(vec![rule(Weekday::Monday, 9)]),
        &|changes| changes.add_time_off = Some(off.clone()),
        &|changes| changes.remove_time_off = Some(off.id),
        &|changes| changes.profile = Some(next.clone()),
        &|_| {},
    ];
    assert_eq!(numbers().await, (0, 0));
    for (edit, expected) in edits.into_iter().zip([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (4, 6)]) {
        let mut changes = stage.making(doctor.id, Vec::new()).await;
        edit(&mut changes);
        stage.availability.commit(&changes).await.unwrap();
        assert_eq!(numbers().await, expected);
    }
}

/// Zone, modes and registration are part of a plan; the profile's next state is stored with the slots, or neither is.
pub async fn a_plan_is_made_on_one_state_of_the_profile(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(1).await;
    for off_by in [-1, 1] {
        let mut changes = stage.making(doctor.id, vec![stage.desired(5)]).await;
        changes.expected_profile += off_by;
        refused_without_a_trace(&stage, doctor.id, changes, &made).await;
    }
    let mut next = Practitioner { version: doctor.version + 1, ..doctor.clone() };
    next.details.time_zone = "Europe/London".to_owned();
    for version in [doctor.version, doctor.version + 2] {
        let mut changes = stage.making(doctor.id, vec![stage.desired(5)]).await;
        changes.profile = Some(Practitioner { version, ..next.clone() });
        refused_without_a_trace(&stage, doctor.id, changes, &made).await;
        assert_eq!(stage.directory.by_id(doctor.id).await.unwrap().as_ref(), Some(&doctor));
    }
    let mut late = stage.making(doctor.id, vec![stage.desired(5)]).await;
    late.expected_revision -= 1;
    late.profile = Some(next.clone());
    refused_without_a_trace(&stage, doctor.id, late, &made).await;
    assert_eq!(stage.directory.by_id(doctor.id).await.unwrap().as_ref(), Some(&doctor));

    let mut changes = stage.making(doctor.id, vec![stage.desired(5)]).await;
    changes.profile = Some(next.clone());
    stage.availability.commit(&changes).await.unwrap();
    assert_eq!(stage.directory.by_id(doctor.id).await.unwrap(), Some(next));
    assert_eq!(slots(&stage, doctor.id).await.len(), 2);
}

/// A refusal on the record.
pub async fn availability_effects_alone_are_committed(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let doctor = stage.doctor().await;
    let audit = stage.audit(doctor.id.to_string());
    stage.availability.record(&Effects { audit: vec![audit.clone()], ..Effects::default() }).await.unwrap();
    assert_eq!(harness.audited(&doctor.id.to_string()).await, [audit.id]);
}

/// Its time stays taken, it is listed among the practitioner's own and offered to nobody.
pub async fn a_slot_taken_back_keeps_its_time(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(1).await;
    let booking = stage.book(&made[0]).await;
    let (_, mut changes) = stage.becoming(&booking.consultation, crate::model::ConsultationStatus::Cancelled);
    let blocked = booking.slot.taken_back();
    changes.slots.push(SlotUpdate(blocked.clone()));
    stage.consultations.commit(&changes).await.unwrap();
    assert_eq!(slots(&stage, doctor.id).await, std::slice::from_ref(&blocked));
    assert_eq!(open(&stage, doctor.id, everything(&stage), None, stage.now).await, []);
    let over = stage.making(doctor.id, vec![stage.desired(0)]).await;
    refused_without_a_trace(&stage, doctor.id, over, &[blocked]).await;
}

/// Nothing of a stale change is kept.
pub async fn availability_at_another_version_refuses_the_commit(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(1).await;
    let before = stage.availability.load(doctor.id, stage.now).await.unwrap().unwrap();
    for off_by in [-1, 1] {
        let mut changes = stage.making(doctor.id, vec![stage.desired(5)]).await;
        changes.expected_revision += off_by;
        changes.rules = Some(vec![rule(Weekday::Monday, 9)]);
        refused_without_a_trace(&stage, doctor.id, changes, &made).await;
    }
    let after = stage.availability.load(doctor.id, stage.now).await.unwrap().unwrap();
    assert_eq!((after.version, after.generated_until), (before.version, before.generated_until));
    let unknown =
        AvailabilityChanges { doctor: DoctorId::from_uuid(stage.id()), ..stage.making(doctor.id, Vec::new()).await };
    assert!(stage.availability.commit(&unknown).await.is_err(), "there is no such practitioner");
}

/// Commits changes that add an absence, an event and an audit entry to `changes`; all must be refused as stale.
async fn refused_without_a_trace(stage: &Stage<'_>, doctor: DoctorId, mut changes: AvailabilityChanges, made: &[Slot]) {
    let before = stage.availability.load(doctor, stage.now).await.unwrap().unwrap();
    let about = stage.id();
    let resource = about.to_string();
    changes.add_time_off = Some(TimeOff { id: TimeOffId::from_uuid(stage.id()), range: stage.range(40), note: None });
    changes.generated_until = changes.generated_until.tomorrow().unwrap();
    changes.effects.audit.push(stage.audit(resource.clone()));
    changes.effects.events.push(event_about(stage, about));
    let result = stage.availability.commit(&changes).await;
    assert!(stale(&result));
    let after = stage.availability.load(doctor, stage.now).await.unwrap().unwrap();
    assert_eq!(after.version, before.version);
    assert_eq!(after.rules, before.rules);
    assert_eq!(after.time_off, before.time_off);
    assert_eq!(after.generated_until, before.generated_until);
    assert_eq!(slots(stage, doctor).await, made);
    assert_eq!(stage.harness.audited(&resource).await, []);
    assert_eq!(stage.harness.announced(about).await, []);
}

fn event_about(stage: &Stage<'_>, id: uuid::Uuid) -> amrutam_kernel::EventEnvelope {
    amrutam_kernel::EventEnvelope {
        id: EventId::from_uuid(stage.id()),
        event_type: "contract.happened.v1".to_owned(),
        aggregate: amrutam_kernel::AggregateRef { kind: "contract".to_owned(), id, version: 1 },
        occurred_at: stage.now,
        actor: "system:contract".to_owned(),
        correlation_id: amrutam_kernel::CorrelationId::from(id),
        trace_parent: None,
        payload: serde_json::json!({}),
    }
}

/// A slot that overlaps another of the practitioner's was planned on slots that have changed since.
pub async fn overlapping_slots_refuse_the_commit(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(2).await;
    let shifted = |by: SignedDuration, longer: SignedDuration| {
        let start = made[1].range.start() + by;
        let range = TimeRange::new(start, start + LENGTH + longer).unwrap();
        DesiredSlot { range, modes: modes(&Mode::ALL) }
    };
    let none = SignedDuration::ZERO;
    let moment = SignedDuration::from_micros(1);
    for wanted in [
        shifted(none, none),
        shifted(LENGTH - moment, none),
        shifted(moment - LENGTH, none),
        shifted(minutes(5), minutes(-10)),
        shifted(minutes(-5), minutes(10)),
    ] {
        let changes = stage.making(doctor.id, vec![stage.desired(7), wanted]).await;
        refused_without_a_trace(&stage, doctor.id, changes, &made).await;
    }
    let among_themselves = stage.making(doctor.id, vec![stage.desired(7), stage.desired(7)]).await;
    refused_without_a_trace(&stage, doctor.id, among_themselves, &made).await;
}

/// Ends are exclusive, others' slots are no hindrance, and neither are withdrawn ones, even those of the same commit.
pub async fn slots_may_touch_and_follow_withdrawn_ones(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(2).await;
    let touching = TimeRange::new(made[0].range.end(), made[0].range.end() + LENGTH).unwrap();
    let again = DesiredSlot { range: made[1].range, modes: modes(&[Mode::Chat]) };
    let wanted = vec![DesiredSlot { range: touching, modes: modes(&Mode::ALL) }, again.clone()];
    let mut changes = stage.making(doctor.id, wanted).await;
    changes.plan.withdraw = vec![(made[1].id, made[1].version)];
    stage.availability.commit(&changes).await.unwrap();
    let now = slots(&stage, doctor.id).await;
    let ids: Vec<_> = now.iter().map(|slot| slot.id).collect();
    assert_eq!(ids, [made[0].id, changes.new_slots[0], changes.new_slots[1]]);
    assert_eq!(now[2].modes, again.modes);
    // And once more over the ground of two withdrawn ones.
    let mut changes = stage.making(doctor.id, vec![again]).await;
    changes.plan.withdraw = vec![(now[2].id, now[2].version)];
    stage.availability.commit(&changes).await.unwrap();
    assert_eq!(slots(&stage, doctor.id).await[2].id, changes.new_slots[0]);
}

/// It stays as a row, at its next version, and can't be withdrawn again or booked on the version that was open.
pub async fn a_withdrawn_slot_is_gone_from_the_lists(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(2).await;
    let mut changes = stage.making(doctor.id, Vec::new()).await;
    changes.plan.withdraw = vec![(made[0].id, made[0].version)];
    stage.availability.commit(&changes).await.unwrap();
    assert_eq!(slots(&stage, doctor.id).await, made[1..]);
    let gone = Slot { status: SlotStatus::Withdrawn, version: made[0].version + 1, ..made[0].clone() };
    assert_eq!(stage.slot(made[0].id).await, gone);
    for version in [made[0].version, made[0].version + 1] {
        let mut again = stage.making(doctor.id, Vec::new()).await;
        again.plan.withdraw = vec![(made[0].id, version)];
        refused_without_a_trace(&stage, doctor.id, again, &made[1..]).await;
    }
    let patient = stage.patient().await;
    let booking = stage.booking(&made[0], patient, &crate::model::PatientCalendar::default());
    assert!(stale(&stage.consultations.commit(&booking.changes).await));
}

/// Withdrawing was decided on an open slot.
pub async fn a_slot_booked_meanwhile_is_not_withdrawn(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(2).await;
    let mut planned = stage.making(doctor.id, Vec::new()).await;
    planned.plan.withdraw = made.iter().map(|slot| (slot.id, slot.version)).collect();
    let booking = stage.book(&made[1]).await;
    let now = [made[0].clone(), booking.slot.clone()];
    refused_without_a_trace(&stage, doctor.id, planned, &now).await;
    // Booked and freed again, it is open, yet not the slot that was looked at.
    let (_, mut cancelling) = stage.becoming(&booking.consultation, crate::model::ConsultationStatus::Cancelled);
    let freed = booking.slot.freed();
    cancelling.slots.push(SlotUpdate(freed.clone()));
    stage.consultations.commit(&cancelling).await.unwrap();
    let mut planned = stage.making(doctor.id, Vec::new()).await;
    planned.plan.withdraw = vec![(made[1].id, made[1].version)];
    refused_without_a_trace(&stage, doctor.id, planned, &[made[0].clone(), freed]).await;
    // With the booked one's own version it is stale as well: only open ones are withdrawn.
    let booked = stage.book(&made[0]).await;
    let mut planned = stage.making(doctor.id, Vec::new()).await;
    planned.plan.withdraw = vec![(booked.slot.id, booked.slot.version)];
    assert!(stage.availability.commit(&planned).await.is_err());
    assert_eq!(stage.slot(booked.slot.id).await, booked.slot);
}

/// A booked slot keeps its time and its visit; only the mark and the version change.
pub async fn a_booked_slot_is_marked_and_unmarked(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(1).await;
    let mut slot = stage.book(&made[0]).await.slot;
    for outside_rules in [true, false] {
        let mut changes = stage.making(doctor.id, Vec::new()).await;
        changes.plan = SlotPlan { mark: vec![(slot.id, slot.version, outside_rules)], ..SlotPlan::default() };
        stage.availability.commit(&changes).await.unwrap();
        slot = Slot { outside_rules, version: slot.version + 1, ..slot };
        assert_eq!(stage.slot(slot.id).await, slot);
        assert_eq!(slots(&stage, doctor.id).await.as_slice(), std::slice::from_ref(&slot));
    }
    // Freed while marked, it is withdrawn: the consultation store keeps the mark.
    let mut changes = stage.making(doctor.id, Vec::new()).await;
    changes.plan = SlotPlan { mark: vec![(slot.id, slot.version, true)], ..SlotPlan::default() };
    stage.availability.commit(&changes).await.unwrap();
    let marked = stage.slot(slot.id).await;
    let booked = stage.consultation(marked.consultation.unwrap()).await.unwrap();
    let (_, mut changes) = stage.becoming(&booked, crate::model::ConsultationStatus::Cancelled);
    let freed = marked.freed();
    assert_eq!((freed.status, freed.outside_rules), (SlotStatus::Withdrawn, true));
    changes.slots.push(SlotUpdate(freed.clone()));
    stage.consultations.commit(&changes).await.unwrap();
    assert_eq!(stage.slot(slot.id).await, freed);
    assert_eq!(slots(&stage, doctor.id).await, []);
}

/// Marking was decided on a version.
pub async fn a_slot_that_changed_is_not_marked(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(1).await;
    let booked = stage.book(&made[0]).await.slot;
    for version in [made[0].version, booked.version + 1] {
        let mut changes = stage.making(doctor.id, vec![stage.desired(3)]).await;
        changes.plan.mark = vec![(booked.id, version, true)];
        refused_without_a_trace(&stage, doctor.id, changes, std::slice::from_ref(&booked)).await;
    }
    let mut unknown = stage.making(doctor.id, Vec::new()).await;
    unknown.plan.mark = vec![(SlotId::from_uuid(stage.id()), 1, true)];
    refused_without_a_trace(&stage, doctor.id, unknown, &[booked]).await;
}

async fn open(
    stage: &Stage<'_>,
    doctor: DoctorId,
    range: TimeRange,
    mode: Option<Mode>,
    now: Timestamp,
) -> Vec<SlotId> {
    let page = PageRequest { limit: Limit::new(100).unwrap(), after: None };
    let found = stage.availability.open_slots(doctor, range, mode, now, page).await.unwrap();
    assert_eq!(found.next, None);
    found.items.into_iter().map(|slot| slot.id).collect()
}

/// As [`Slot::is_offered`] says.
pub async fn open_slots_are_those_that_can_be_claimed(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let doctor = stage.doctor().await;
    let mut wanted: Vec<_> = (0..6).map(|index| stage.desired(index)).collect();
    wanted[5].modes = modes(&[Mode::Chat]);
    stage.availability.commit(&stage.making(doctor.id, wanted).await).await.unwrap();
    let made = slots(&stage, doctor.id).await;
    let held = stage.book(&made[1]).await;
    let confirmed = stage.book(&made[2]).await;
    let (_, mut changes) = stage.becoming(&confirmed.consultation, crate::model::ConsultationStatus::Confirmed);
    changes.slots.push(SlotUpdate(confirmed.slot.booked_by(confirmed.consultation.id, None)));
    stage.consultations.commit(&changes).await.unwrap();
    let held_outside = stage.book(&made[3]).await;
    let mut changes = stage.making(doctor.id, Vec::new()).await;
    changes.plan.mark = vec![(made[3].id, held_outside.slot.version, true)];
    changes.plan.withdraw = vec![(made[4].id, made[4].version)];
    stage.availability.commit(&changes).await.unwrap();
    stage.doctor_with_slots(2).await;

    let (all, ends) = (everything(&stage), stage.now + HOLD);
    let moment = SignedDuration::from_micros(1);
    let id = |index: usize| made[index].id;
    assert_eq!(open(&stage, doctor.id, all, None, stage.now).await, [id(0), id(5)]);
    assert_eq!(open(&stage, doctor.id, all, None, ends - moment).await, [id(0), id(5)]);
    // The hold has run out: its slot is open again, unless it is withdrawn when freed.
    assert_eq!(open(&stage, doctor.id, all, None, ends).await, [id(0), id(1), id(5)]);
    assert_eq!(open(&stage, doctor.id, all, Some(Mode::Video), ends).await, [id(0), id(1)]);
    assert_eq!(open(&stage, doctor.id, all, Some(Mode::Chat), ends).await, [id(0), id(1), id(5)]);
    // What begins now or has begun is past.
    let first = made[0].range.start();
    assert_eq!(open(&stage, doctor.id, all, None, first - moment).await, [id(0), id(1), id(5)]);
    assert_eq!(open(&stage, doctor.id, all, None, first).await, [id(1), id(5)]);
    // The range bounds the start, its end excluded.
    let range = TimeRange::new(made[1].range.start(), made[5].range.start()).unwrap();
    assert_eq!(open(&stage, doctor.id, range, None, ends).await, [id(1)]);
    // A run-out hold is shown as the row it is.
    let page = PageRequest { limit: Limit::default(), after: None };
    let found = stage.availability.open_slots(doctor.id, range, None, ends, page).await.unwrap();
    assert_eq!(found.items, [held.slot]);
}

/// By start; no slot twice, none missing.
pub async fn open_slots_are_paged(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (doctor, made) = stage.doctor_with_slots(7).await;
    stage.book(&made[3]).await;
    let expected: Vec<_> = made.iter().filter(|slot| slot.id != made[3].id).cloned().collect();
    for size in [1, 2, 3, 5, 6, 7, 100] {
        let limit = Limit::new(size).unwrap();
        let mut after = None;
        let mut found = Vec::new();
        loop {
            let page = PageRequest { limit, after };
            let range = everything(&stage);
            let page = stage.availability.open_slots(doctor.id, range, None, stage.now, page).await.unwrap();
            found.extend(page.items);
            if page.next.is_none() {
                break;
            }
            assert_ne!(page.next, after, "the next page begins where the last one did");
            after = page.next;
            let last = found.last().unwrap();
            assert_eq!(after, Some((last.range.start(), last.id)));
            assert_eq!(found.len() % usize::from(size), 0, "a page with a next one is full");
        }
        assert_eq!(found, expected, "pages of {size}");
    }
}

/// Practitioners with rules whose slots end before the day.
pub async fn extension_is_due_when_slots_end_too_early(harness: &dyn Harness) {
    let stage = Stage::new(harness);
    let (with_rules, without) = (stage.doctor().await, stage.doctor().await);
    let due = async |until, doctor: DoctorId| {
        stage
            .availability
            .due_for_extension(until, None, u16::MAX)
            .await
            .unwrap()
            .iter()
            .filter(|id| **id == doctor)
            .count()
    };
    let today = stage.today();
    let tomorrow = today.tomorrow().unwrap();
    let later = tomorrow.tomorrow().unwrap();
    assert_eq!(due(later, with_rules.id).await, 0, "without availability there is nothing to extend");
    let mut changes = stage.making(with_rules.id, Vec::new()).await;
    changes.rules = Some(vec![rule(Weekday::Monday, 9), rule(Weekday::Tuesday, 9)]);
    assert_eq!(changes.generated_until, tomorrow);
    stage.availability.commit(&changes).await.unwrap();
    stage.availability.commit(&stage.making(without.id, Vec::new()).await).await.unwrap();
    for (until, expected) in [(today, 0), (tomorrow, 0), (later, 1)] {
        assert_eq!(due(until, with_rules.id).await, expected, "until {until}");
        assert_eq!(due(until, without.id).await, 0, "without rules");
    }
    assert_eq!(stage.availability.due_for_extension(later, None, 1).await.unwrap().len(), 1);
    assert_eq!(stage.availability.due_for_extension(later, None, 0).await.unwrap(), []);

    // By id: the next page begins after the last one, so one that stays due does not stand before the others.
    let all = stage.availability.due_for_extension(later, None, u16::MAX).await.unwrap();
    assert!(all.is_sorted());
    let at = all.iter().position(|id| *id == with_rules.id).unwrap();
    let before = at.checked_sub(1).map(|before| all[before]);
    assert_eq!(stage.availability.due_for_extension(later, before, 1).await.unwrap(), [with_rules.id]);
    let behind = stage.availability.due_for_extension(later, Some(with_rules.id), u16::MAX).await.unwrap();
    assert!(!behind.contains(&with_rules.id));

    let mut changes = stage.making(with_rules.id, Vec::new()).await;
    changes.generated_until = later;
    stage.availability.commit(&changes).await.unwrap();
    assert_eq!(due(later, with_rules.id).await, 0, "extended");
    let mut changes = stage.making(with_rules.id, Vec::new()).await;
    changes.rules = Some(Vec::new());
    changes.generated_until = later;
    stage.availability.commit(&changes).await.unwrap();
    assert_eq!(due(later.tomorrow().unwrap(), with_rules.id).await, 0, "all rules gone");
}
