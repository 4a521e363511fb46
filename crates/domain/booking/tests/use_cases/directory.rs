use super::*;
use amrutam_booking::{
    AvailabilityError, DirectoryError,
    model::{BookingRefusal, Modes, PractitionerDetails},
    ports::{AvailabilityStore, DirectoryStore},
    use_cases::{UpdatedProfile, list_open_slots, read_availability, set_availability, suspend, update_profile},
};
use amrutam_kernel::{Actor, Clock, Context, Denial, DoctorId, IdSource, Limit, Outcome, PageRequest, TimeRange};
use amrutam_memory::Fault;
use jiff::{SignedDuration, civil::date};

fn doctor(clinic: &Clinic) -> Context {
    clinic.context(Actor::Account { id: clinic.doctor_account, role: Role::Doctor })
}

pub(crate) async fn admin(clinic: &Clinic) -> Context {
    let id = clinic.person(Role::Admin, "admin@amrutam.example").await.unwrap();
    clinic.context(Actor::Account { id, role: Role::Admin })
}

async fn update(
    clinic: &Clinic,
    who: &Context,
    change: impl Fn(&mut PractitionerDetails) + Send + Sync,
) -> Result<UpdatedProfile, DirectoryError> {
    update_profile(clinic.directory(), clinic.availability(), who, clinic.doctor, None, |mut details| {
        change(&mut details);
        details
    })
    .await
}

#[tokio::test]
async fn what_was_verified_is_an_admins_to_change() {
    let clinic = clinic().await;
    type Change = fn(&mut PractitionerDetails);
    let verified: [(&str, Change); 5] = [
        ("full_name", |details| details.full_name = "Vaidya Other".to_owned()),
        ("system", |details| details.system = amrutam_booking::model::MedicalSystem::Allopathy),
        ("registered_on", |details| details.registered_on = Some(date(2020, 1, 1))),
        ("valid_until", |details| details.valid_until = Some(date(2099, 1, 1))),
        ("qualifications", |details| details.qualifications.push("MD".to_owned())),
    ];
    let admin = admin(&clinic).await;
    for (field, change) in verified {
        match update(&clinic, &doctor(&clinic), change).await {
            Err(DirectoryError::Invalid(invalid)) => assert_eq!(invalid.field, field),
            other => panic!("{field}: {other:?}"),
        }
        update(&clinic, &admin, change).await.unwrap();
    }
    update(&clinic, &doctor(&clinic), |details| details.bio = "New.".to_owned()).await.unwrap();
    let number = update(&clinic, &admin, |details| details.registration_number.push('9')).await;
    assert!(matches!(number, Err(DirectoryError::Invalid(_))));
}

#[tokio::test]
async fn a_new_zone_moves_the_slots_at_once_and_names_the_bookings_outside() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let id = booked(&clinic, asha, 2).await;
    let before = read_availability(clinic.availability(), &doctor(&clinic), clinic.doctor).await.unwrap();
    clinic.world.fail_next_commits([Fault::Stale]);
    let updated = update(&clinic, &doctor(&clinic), |d| d.time_zone = "Europe/London".to_owned()).await.unwrap();
    let schedule = updated.schedule.unwrap();
    assert_eq!(schedule.outside.iter().map(|slot| slot.consultation).collect::<Vec<_>>(), [Some(id)]);
    assert_eq!(schedule.time_zone, "Europe/London");
    // 9:00 in London is 9:00 UTC in November.
    let open = clinic.open_slots().await.unwrap();
    assert!(open.iter().all(|slot| (9..12).contains(&slot.range.start().to_zoned(jiff::tz::TimeZone::UTC).hour())));
    // Hours that were read under the old zone are not written under the new one.
    let (rules, seen) = (before.rules, Some(before.version));
    let late = set_availability(
        clinic.availability(),
        &doctor(&clinic),
        clinic.doctor,
        rules,
        seen.as_ref().map(std::slice::from_ref),
    )
    .await;
    assert!(matches!(late, Err(AvailabilityError::Precondition)));
    assert_eq!(update(&clinic, &doctor(&clinic), |d| d.bio = "x".to_owned()).await.unwrap().schedule.map(|_| ()), None);
    assert_sound(&clinic);
}

#[tokio::test]
async fn the_profiles_modes_bind_rules_slots_and_bookings() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let slot_id = slot(&clinic, 2).await;
    let rules = read_availability(clinic.availability(), &doctor(&clinic), clinic.doctor).await.unwrap().rules;
    let audio = Modes::new([Mode::Audio]).unwrap();
    update(&clinic, &doctor(&clinic), |details| details.modes = audio.clone()).await.unwrap();
    assert!(clinic.open_slots().await.unwrap().iter().all(|slot| slot.modes == audio));
    let refused = set_availability(clinic.availability(), &doctor(&clinic), clinic.doctor, rules, None).await;
    assert!(matches!(refused, Err(AvailabilityError::Invalid(_))));
    let video = book_slot(&clinic, asha, slot_id).await;
    assert!(matches!(video, Err(BookError::Refused(BookingRefusal::ModeNotOffered))));
}

#[tokio::test]
async fn there_are_no_slots_on_days_without_registration() {
    let clinic = clinic().await;
    let asha = patient(&clinic, "asha").await;
    let all = clinic.open_slots().await.unwrap();
    let day = |slot: &amrutam_booking::model::Slot| clinic.rules.business_day(slot.range.start());
    let last = day(&all[0]).tomorrow().unwrap();
    let beyond = all.iter().find(|slot| day(slot) > last).unwrap().id;
    let stays = book_slot(&clinic, asha, beyond).await.unwrap().consultation;
    // The profile alone changes, as it would when a registration ran out: the slots of later days still stand.
    let mut stored = clinic.world.by_id(clinic.doctor).await.unwrap().unwrap();
    stored.details.valid_until = Some(last);
    stored.version += 1;
    DirectoryStore::update(&clinic.world, &stored, &Default::default()).await.unwrap();
    let week = TimeRange::new(clinic.clock.now(), clinic.clock.now() + SignedDuration::from_hours(7 * 24)).unwrap();
    let page = PageRequest { limit: Limit::new(100).unwrap(), after: None };
    let listed =
        list_open_slots(clinic.availability(), &clinic.context(Actor::Anonymous), clinic.doctor, week, None, page)
            .await
            .unwrap()
            .items;
    assert!(!listed.is_empty() && listed.iter().all(|slot| day(slot) <= last));
    // Through the use case they go, and the booked one is named.
    let admin = admin(&clinic).await;
    let earlier = last.yesterday().unwrap();
    let updated = update(&clinic, &admin, |details| details.valid_until = Some(earlier)).await.unwrap();
    let outside: Vec<_> = updated.schedule.unwrap().outside.iter().map(|slot| slot.consultation).collect();
    assert_eq!(outside, [Some(stays.id)]);
    let standing = AvailabilityStore::slots(&clinic.world, clinic.doctor, week).await.unwrap();
    assert!(standing.iter().filter(|slot| slot.id != beyond).all(|slot| day(slot) <= earlier));
}

#[tokio::test]
async fn nobody_learns_of_a_practitioner_who_is_not_public() {
    let clinic = clinic().await;
    let asha = clinic.patient(patient(&clinic, "asha").await);
    let public = update(&clinic, &asha, |_| {}).await;
    assert!(matches!(public, Err(DirectoryError::Denied(Denial::Forbidden))));
    suspend(clinic.directory(), &admin(&clinic).await, clinic.doctor, None).await.unwrap();
    let denials = || clinic.world.audit().iter().filter(|entry| entry.outcome == Outcome::Denied).count();
    let before = denials();
    assert!(matches!(update(&clinic, &asha, |_| {}).await, Err(DirectoryError::NotFound)));
    let hours = read_availability(clinic.availability(), &asha, clinic.doctor).await;
    assert!(matches!(hours, Err(AvailabilityError::NotFound)));
    let hours = set_availability(clinic.availability(), &asha, clinic.doctor, Vec::new(), None).await;
    assert!(matches!(hours, Err(AvailabilityError::NotFound)));
    assert_eq!(denials(), before + 3);
    let unknown = DoctorId::from_uuid(clinic.ids.uuid_v7(clinic.clock.now()));
    assert!(matches!(read_availability(clinic.availability(), &asha, unknown).await, Err(AvailabilityError::NotFound)));
}

#[tokio::test]
async fn who_named_no_version_is_not_told_of_a_lost_race() {
    let clinic = clinic().await;
    clinic.world.fail_next_commits([Fault::Stale, Fault::Busy]);
    update(&clinic, &doctor(&clinic), |details| details.bio = "New.".to_owned()).await.unwrap();
    clinic.world.fail_next_commits([Fault::Stale; 5]);
    let contended = update(&clinic, &doctor(&clinic), |details| details.bio = "Newer.".to_owned()).await;
    assert!(matches!(contended, Err(DirectoryError::Contended)));
    let admin = admin(&clinic).await;
    clinic.world.fail_next_commits([Fault::Stale]);
    suspend(clinic.directory(), &admin, clinic.doctor, None).await.unwrap();
}
