use super::*;
use amrutam_booking::{
    AvailabilityError,
    model::{Modes, SlotStatus, WeeklyRule},
    ports::AvailabilityStore,
    use_cases::{
        add_time_off, extend_horizon, list_time_off, read_availability, read_doctor, remove_time_off, set_availability,
        suspend,
    },
};
use amrutam_kernel::{Actor, Clock, Context, Denial, Outcome, Role, TimeRange};
use amrutam_memory::Fault;
use jiff::{
    SignedDuration,
    civil::{Weekday, time},
};

fn doctor(clinic: &Clinic) -> Context {
    clinic.context(Actor::Account { id: clinic.doctor_account, role: Role::Doctor })
}

fn tuesdays() -> Vec<WeeklyRule> {
    vec![WeeklyRule {
        weekday: Weekday::Tuesday,
        start: time(15, 0, 0, 0),
        end: time(16, 0, 0, 0),
        slot_minutes: 20,
        buffer_minutes: 0,
        modes: Modes::new([Mode::Video]).unwrap(),
        valid_from: None,
        valid_until: None,
    }]
}

#[tokio::test]
async fn changed_rules_move_open_slots_and_name_the_booked_ones_outside_them() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let slot_id = slot(&clinic, 2).await;
    book_slot(&clinic, asha, slot_id).await.unwrap();
    clinic.world.fail_next_commits([Fault::Stale]);
    let state =
        set_availability(clinic.availability(), &doctor(&clinic), clinic.doctor, tuesdays(), None).await.unwrap();
    assert_eq!(state.outside.iter().map(|slot| slot.id).collect::<Vec<_>>(), [slot_id]);
    assert!(state.slots_created > 0 && state.slots_withdrawn > 0);
    let kept = clinic.world.slots().into_iter().find(|slot| slot.id == slot_id).unwrap();
    assert_eq!((kept.status, kept.outside_rules), (SlotStatus::Booked, true));
    let twenty = SignedDuration::from_mins(20);
    let open = clinic.open_slots().await.unwrap();
    assert!(open.iter().all(|slot| slot.range.end().duration_since(slot.range.start()) == twenty));
    let read = read_availability(clinic.availability(), &doctor(&clinic), clinic.doctor).await.unwrap();
    assert_eq!(read.outside.len(), 1);
    assert_sound(&clinic);
}

#[tokio::test]
async fn a_stale_copy_is_refused_and_only_the_doctor_and_admins_change_hours() {
    let clinic = clinic().await;
    let version = read_availability(clinic.availability(), &doctor(&clinic), clinic.doctor).await.unwrap().version;
    let stale =
        set_availability(clinic.availability(), &doctor(&clinic), clinic.doctor, tuesdays(), Some(&[version + 1]))
            .await;
    assert!(matches!(stale, Err(AvailabilityError::Precondition)));
    let asha = clinic.patient(patient(&clinic, "asha").await);
    let patients = set_availability(clinic.availability(), &asha, clinic.doctor, tuesdays(), None).await;
    assert!(matches!(patients, Err(AvailabilityError::Denied(Denial::Forbidden))));
    let denied = clinic.world.audit().pop().unwrap();
    assert_eq!((denied.action, denied.outcome), ("availability.set", Outcome::Denied));
}

#[tokio::test]
async fn time_off_takes_slots_away_and_gives_them_back() {
    let clinic = clinic().await;
    let before = clinic.open_slots().await.unwrap().len();
    let now = clinic.clock.now();
    let day = TimeRange::new(now, now + SignedDuration::from_hours(24)).unwrap();
    let (off, _) = add_time_off(clinic.availability(), &doctor(&clinic), clinic.doctor, day, None, None).await.unwrap();
    assert!(clinic.open_slots().await.unwrap().iter().all(|slot| !slot.range.overlaps(&day)));
    remove_time_off(clinic.availability(), &doctor(&clinic), clinic.doctor, off.id).await.unwrap();
    assert_eq!(clinic.open_slots().await.unwrap().len(), before);
    let again = remove_time_off(clinic.availability(), &doctor(&clinic), clinic.doctor, off.id).await;
    assert!(matches!(again, Err(AvailabilityError::NotFound)));
}

#[tokio::test]
async fn the_horizon_rolls_and_rolling_twice_adds_nothing() {
    let clinic = clinic().await;
    let system = clinic.context(Actor::System("horizon"));
    let version = read_availability(clinic.availability(), &doctor(&clinic), clinic.doctor).await.unwrap().version;
    clinic.clock.advance(SignedDuration::from_hours(24));
    let rolled = extend_horizon(clinic.availability(), &system, clinic.doctor).await.unwrap();
    assert_eq!(rolled.slots_created, 6, "one more day of six slots");
    let again = extend_horizon(clinic.availability(), &system, clinic.doctor).await.unwrap();
    assert_eq!((again.slots_created, again.slots_withdrawn), (0, 0));
    // What was read before the days rolled can still be written back.
    assert_eq!(again.version, version);
    set_availability(clinic.availability(), &doctor(&clinic), clinic.doctor, again.rules, Some(&[version]))
        .await
        .unwrap();
    let due = clinic.world.due_for_extension(jiff::civil::date(2027, 1, 24), None, 10).await.unwrap();
    assert_eq!(due, [clinic.doctor]);
}

#[tokio::test]
async fn a_slot_that_has_begun_still_takes_its_time() {
    let clinic = clinic().await;
    let slot = clinic.open_slots().await.unwrap()[0].clone();
    // Ten minutes into it the hours move by a quarter of an hour: what would begin now waits for its end.
    clinic.clock.set(slot.range.start() + SignedDuration::from_mins(10));
    let moved = |weekday| WeeklyRule {
        weekday,
        start: time(9, 15, 0, 0),
        end: time(12, 0, 0, 0),
        slot_minutes: 30,
        ..tuesdays()[0].clone()
    };
    let rules = Weekday::Monday.cycle_forward().take(7).map(moved).collect();
    let state = set_availability(clinic.availability(), &doctor(&clinic), clinic.doctor, rules, None).await.unwrap();
    assert!(state.slots_created > 0);
    let standing = clinic.world.slots().into_iter().filter(|other| other.status != SlotStatus::Withdrawn);
    let beside: Vec<_> = standing.filter(|other| other.range.overlaps(&slot.range)).map(|other| other.id).collect();
    assert_eq!(beside, [slot.id]);
}

#[tokio::test]
async fn whoever_sees_more_of_a_practitioner_than_the_public_is_on_the_record() {
    let clinic = clinic().await;
    let who = doctor(&clinic);
    let admin = clinic.person(Role::Admin, "admin@amrutam.example").await.unwrap();
    let admin = clinic.context(Actor::Account { id: admin, role: Role::Admin });
    let entries = |action: &str| {
        let entries = clinic.world.audit().into_iter().filter(|entry| entry.action == action);
        entries.filter(|entry| entry.outcome == Outcome::Allowed).map(|entry| entry.resource_id).collect::<Vec<_>>()
    };
    let id = clinic.doctor.to_string();
    read_availability(clinic.availability(), &who, clinic.doctor).await.unwrap();
    assert_eq!(entries("availability.read"), [id.as_str()]);
    list_time_off(clinic.availability(), &who, clinic.doctor).await.unwrap();
    assert_eq!(entries("availability.time_off"), [id.as_str()]);
    // What is public leaves nothing; the same profile, once it is not, does.
    read_doctor(clinic.directory(), &admin, clinic.doctor).await.unwrap();
    assert!(entries("doctor.read").is_empty());
    suspend(clinic.directory(), &admin, clinic.doctor, None).await.unwrap();
    read_doctor(clinic.directory(), &admin, clinic.doctor).await.unwrap();
    assert_eq!(entries("doctor.read"), [id.as_str()]);
}
