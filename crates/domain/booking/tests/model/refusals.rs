//! Whether a slot can be had, against the table of the design's domain rules.

use super::{any_modes, at, range, uuid};
use amrutam_booking::model::{
    BookableDoctor, BookingRefusal, BookingRules, Consultation, ConsultationStatus, LiveVisit, Mode, PatientCalendar,
    PractitionerStatus, Registration, Slot, SlotStatus, Wanted, refuse_booking, refuse_move,
};
use amrutam_kernel::{AccountId, ConsultationId, Currency, DependantId, DoctorId, Money, SlotId};
use jiff::{Timestamp, civil::date, tz::TimeZone};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Case {
    wanted: Wanted,
    slot: Slot,
    doctor: BookableDoctor,
    calendar: PatientCalendar,
    now: Timestamp,
}

fn account(number: usize) -> AccountId {
    AccountId::from_uuid(uuid(number))
}

fn doctor(number: usize) -> DoctorId {
    DoctorId::from_uuid(uuid(100 + number))
}

/// `good` most of the time, so that a case breaks one rule or two.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    good: T,
    others: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = T> {
    prop_oneof![6 => Just(good), 1 => others]
}

/// The one who books, or one of two people they keep.
fn any_treated() -> impl Strategy<Value = Option<DependantId>> {
    proptest::option::of((70_usize..72).prop_map(|number| DependantId::from_uuid(uuid(number))))
}

fn any_visit() -> impl Strategy<Value = LiveVisit> {
    let visit = (0_usize..3, any_treated(), 4_i64..9, 1_i64..4, proptest::option::of(-2_i64..3));
    visit.prop_map(|(id, dependant, start, length, hold)| LiveVisit {
        consultation: ConsultationId::from_uuid(uuid(id)),
        dependant,
        range: range(start * 100, length * 100),
        held_until: hold.map(|step| at(step * 10)),
    })
}

fn any_case() -> impl Strategy<Value = Case> {
    let wanted =
        (mostly(0_usize, 1_usize..2), mostly(0_usize, 1_usize..2), proptest::sample::select(Mode::ALL.to_vec()));
    let status = prop_oneof![
        3 => Just((SlotStatus::Open, None)),
        1 => Just((SlotStatus::Withdrawn, None)),
        1 => Just((SlotStatus::Blocked, None)),
        1 => Just((SlotStatus::Booked, None)),
        // Holds that ended, end now, end later.
        3 => (-1_i64..2).prop_map(|step| (SlotStatus::Booked, Some(at(step)))),
    ];
    let everything = amrutam_booking::model::Modes::new(Mode::ALL).unwrap();
    // 6:00 UTC is 11:30 in Kolkata; 18:40 there is the next day already.
    let start = mostly(600_i64, prop_oneof![-1_i64..2, Just(1120)]);
    let slot = (status, mostly(everything.clone(), any_modes()), start, mostly(false, Just(true)));
    let standing = proptest::sample::select(vec![
        PractitionerStatus::Applied,
        PractitionerStatus::Verified,
        PractitionerStatus::Suspended,
        PractitionerStatus::Expired,
    ]);
    let days = || proptest::sample::select(vec![date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)]);
    let day = || mostly(None, days().prop_map(Some));
    let practitioner = (
        mostly(PractitionerStatus::Listed, standing),
        (day(), day()).prop_map(|(from, until)| Registration { from, until }),
        mostly(everything.clone(), any_modes()),
    );
    let visits = proptest::collection::vec(any_visit(), 0..5);
    (wanted, any_treated(), slot, practitioner, visits).prop_map(|(wanted, dependant, slot, practitioner, live)| {
        let ((patient, with, mode), ((status, held_until), modes, start, outside_rules)) = (wanted, slot);
        let booked = status == SlotStatus::Booked;
        Case {
            wanted: Wanted { patient: account(patient), dependant, doctor: doctor(with), mode },
            slot: Slot {
                id: SlotId::from_uuid(uuid(50)),
                doctor: doctor(0),
                range: range(start, 60),
                modes,
                status,
                consultation: booked.then(|| ConsultationId::from_uuid(uuid(51))),
                held_until,
                outside_rules: booked && outside_rules,
                version: 3,
            },
            doctor: BookableDoctor {
                id: doctor(0),
                account: account(9),
                status: practitioner.0,
                version: 1,
                registration: practitioner.1,
                modes: practitioner.2,
                fee: Money::new(1, Currency::Inr).unwrap(),
            },
            calendar: PatientCalendar { version: 1, live },
            now: at(0),
        }
    })
}

fn rules() -> BookingRules {
    BookingRules::v1(TimeZone::get("Asia/Kolkata").unwrap())
}

/// Every rule of the design that stands against it, in the order in which they are told: what is wrong with the request,
/// with the moment, with the slot, with the patient's own calendar.
fn breaches(case: &Case, moving: Option<ConsultationId>) -> Vec<BookingRefusal> {
    let Case { wanted, slot, doctor, calendar, now } = case;
    let mut found = Vec::new();
    let mut rule = |broken: bool, refusal: BookingRefusal| {
        if broken {
            found.push(refusal);
        }
    };
    rule(slot.doctor != wanted.doctor, BookingRefusal::SlotOfAnotherDoctor);
    rule(slot.range.start() <= *now, BookingRefusal::SlotInThePast);
    let offered = slot.modes.as_slice().contains(&wanted.mode) && doctor.modes.as_slice().contains(&wanted.mode);
    rule(!offered, BookingRefusal::ModeNotOffered);
    // "Only a listed practitioner whose registration is valid on that day"; the day is one of Asia/Kolkata.
    let kolkata = TimeZone::fixed(jiff::tz::Offset::from_seconds(19_800).unwrap());
    let day = kolkata.to_datetime(slot.range.start()).date();
    let Registration { from, until } = doctor.registration;
    let registered = from.is_none_or(|first| first <= day) && until.is_none_or(|last| day <= last);
    rule(!matches!(doctor.status, PractitionerStatus::Listed) || !registered, BookingRefusal::DoctorNotAvailable);
    // "A pending consultation holds its slot 15 minutes"; what the practitioner no longer offers is not given away.
    let lapsed = matches!(slot.held_until, Some(until) if until <= *now) && !slot.outside_rules;
    let free = slot.status == SlotStatus::Open || slot.status == SlotStatus::Booked && lapsed;
    rule(!free, BookingRefusal::SlotUnavailable);
    // "A patient cannot hold two overlapping consultations": whoever is treated; the unpaid holds are the account's.
    let counts = |visit: &&LiveVisit| !matches!(visit.held_until, Some(until) if until <= *now);
    let live: Vec<_> = calendar.live.iter().filter(counts).collect();
    let clash = live.iter().any(|visit| {
        Some(visit.consultation) != moving
            && visit.dependant == wanted.dependant
            && visit.range.start() < slot.range.end()
            && slot.range.start() < visit.range.end()
    });
    rule(clash, BookingRefusal::OverlappingConsultation);
    // "At most 3 unpaid holds per patient." A move makes no new one.
    let unpaid = live.iter().filter(|visit| visit.held_until.is_some()).count();
    rule(moving.is_none() && unpaid + 1 > 3, BookingRefusal::TooManyUnpaidHolds);
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn a_booking_is_refused_exactly_when_a_rule_is_broken(case in any_case()) {
        let expected = breaches(&case, None).first().copied().map_or(Ok(()), Err);
        let answer = refuse_booking(&case.wanted, &case.slot, &case.doctor, &case.calendar, &rules(), case.now);
        prop_assert_eq!(answer, expected);
    }

    #[test]
    fn a_move_is_refused_exactly_when_a_rule_is_broken(case in any_case(), itself in 0_usize..4) {
        let moving = Consultation {
            id: ConsultationId::from_uuid(uuid(itself)),
            patient: case.wanted.patient,
            dependant: case.wanted.dependant,
            doctor: case.wanted.doctor,
            slot: SlotId::from_uuid(uuid(60)),
            range: range(300, 60),
            mode: case.wanted.mode,
            status: ConsultationStatus::Confirmed,
            fee: Money::new(1, Currency::Inr).unwrap(),
            hold_expires_at: None,
            cancel_reason: None,
        least_notice: None,
            created_at: at(-10),
            updated_at: at(-10),
            version: 2,
        };
        let expected = breaches(&case, Some(moving.id)).first().copied().map_or(Ok(()), Err);
        let answer = refuse_move(&moving, &case.slot, &case.doctor, &case.calendar, &rules(), case.now);
        prop_assert_eq!(answer, expected);
    }
}

#[test]
fn the_numbers_are_the_designs() {
    let rules = rules();
    assert_eq!((rules.hold, rules.max_unpaid_holds), (super::minutes(15), 3));
    assert_eq!((rules.start_early, rules.no_show_grace), (super::minutes(10), super::minutes(10)));
}
