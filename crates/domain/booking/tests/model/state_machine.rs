//! A consultation under random acts at random times.

use super::{at, minutes, range, uuid};
use amrutam_booking::model::{
    BookingRules, Consultation, ConsultationStatus, InvalidTransition, Mode, Slot, SlotStatus, TimingRefusal,
};
use amrutam_kernel::{AccountId, ConsultationId, Currency, DoctorId, Money, SlotId};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use proptest::prelude::*;

const HOLD_ENDS: i64 = 15;
const STARTS: i64 = 60;
const LASTS: i64 = 30;

fn pending() -> Consultation {
    Consultation {
        id: ConsultationId::from_uuid(uuid(0)),
        patient: AccountId::from_uuid(uuid(1)),
        dependant: None,
        doctor: DoctorId::from_uuid(uuid(2)),
        slot: SlotId::from_uuid(uuid(3)),
        range: range(STARTS, LASTS),
        mode: Mode::Video,
        status: ConsultationStatus::Pending,
        fee: Money::new(100, Currency::Inr).unwrap(),
        hold_expires_at: Some(at(HOLD_ENDS)),
        cancel_reason: None,
        least_notice: None,
        created_at: at(0),
        updated_at: at(0),
        version: 1,
    }
}

/// The contract's words (design, "states", and payments' way back from `expired`), not the code's.
fn contract_allows(from: &str, to: &str) -> bool {
    match from {
        "pending" => ["confirmed", "expired", "cancelled"].contains(&to),
        "confirmed" => ["in_progress", "cancelled", "no_show"].contains(&to),
        "in_progress" => to == "completed",
        "expired" => to == "confirmed",
        "completed" | "cancelled" | "no_show" => false,
        other => panic!("{other} is no status"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn only_the_contracts_arrows_are_taken(
        acts in proptest::collection::vec((proptest::sample::select(ConsultationStatus::ALL.to_vec()), 0_i64..8), 0..20)
    ) {
        let mut now = at(0);
        let mut consultation = pending();
        let mut stands = "pending";
        for (to, pass) in acts {
            now += minutes(pass);
            let ran_out = stands == "pending" && now >= at(HOLD_ENDS);
            let seen = if ran_out { "expired" } else { stands };
            prop_assert_eq!(consultation.status_at(now).as_str(), seen);
            // A hold that ran out has nothing before it but to be noted as expired, or to be paid after all.
            let allowed =
                if ran_out { ["expired", "confirmed"].contains(&to.as_str()) } else { contract_allows(stands, to.as_str()) };
            match consultation.become_status(to, now) {
                Ok(after) => {
                    prop_assert!(allowed, "{seen} became {to}");
                    let expected = Consultation {
                        status: to,
                        hold_expires_at: None,
                        updated_at: now,
                        version: consultation.version + 1,
                        ..consultation.clone()
                    };
                    prop_assert_eq!(&after, &expected);
                    consultation = after;
                    stands = to.as_str();
                }
                Err(InvalidTransition { from, to: refused }) => {
                    prop_assert!(!allowed, "{seen} did not become {to}");
                    prop_assert_eq!((from.as_str(), refused), (seen, to));
                }
            }
        }
    }

    #[test]
    fn a_slot_is_booked_exactly_while_it_has_a_consultation(
        acts in proptest::collection::vec((any::<bool>(), any::<bool>(), proptest::option::of(0_i64..60)), 0..20),
        outside_rules in any::<bool>(),
        now in 0_i64..60,
    ) {
        let mut slot = Slot {
            id: SlotId::from_uuid(uuid(3)),
            doctor: DoctorId::from_uuid(uuid(2)),
            range: range(STARTS, LASTS),
            modes: amrutam_booking::model::Modes::new([Mode::Video]).unwrap(),
            status: SlotStatus::Open,
            consultation: None,
            held_until: None,
            outside_rules,
            version: 1,
        };
        for (book, still_offered, held) in acts {
            let before = slot.clone();
            slot = match (book, still_offered) {
                (true, _) => slot.booked_by(pending().id, held.map(at)),
                (false, true) => slot.freed(),
                (false, false) => slot.taken_back(),
            };
            prop_assert_eq!(slot.version, before.version + 1);
            prop_assert_eq!(slot.status == SlotStatus::Booked, book);
            prop_assert_eq!(slot.consultation.is_some(), book);
            prop_assert!(book || slot.held_until.is_none());
            // Freed, it is on offer again only when both the rules and the one who frees it say so; and what will not be
            // on offer when freed can't be claimed while its hold has merely run out.
            let on_offer = match book {
                true => !outside_rules && held.is_some_and(|until| until <= now),
                false => still_offered && !outside_rules,
            };
            prop_assert_eq!(slot.is_claimable(at(now)), on_offer);
            prop_assert_eq!((slot.id, slot.range, &slot.modes), (before.id, before.range, &before.modes));
        }
    }
}

#[test]
fn visits_keep_to_their_times() {
    let rules = BookingRules::v1(TimeZone::get("Asia/Kolkata").unwrap());
    let visit = pending();
    let moment = SignedDuration::from_micros(1);
    let (early, late) = (
        |minute: i64| Err(TimingRefusal::TooEarly { from: at(minute) }),
        |minute: i64| Err(TimingRefusal::TooLate { until: at(minute) }),
    );
    // "Start is allowed from 10 minutes before until the end of the slot."
    let start = |now: Timestamp| visit.check_start(&rules, now);
    assert_eq!(start(at(STARTS - 10) - moment), early(STARTS - 10));
    assert_eq!(start(at(STARTS - 10)), Ok(()));
    assert_eq!(start(at(STARTS + LASTS) - moment), Ok(()));
    assert_eq!(start(at(STARTS + LASTS)), late(STARTS + LASTS));
    // "No-show after a grace of 10 minutes."
    let no_show = |now: Timestamp| visit.check_no_show(&rules, now);
    assert_eq!(no_show(at(STARTS + 10) - moment), early(STARTS + 10));
    assert_eq!(no_show(at(STARTS + 10)), Ok(()));
    assert_eq!(no_show(at(STARTS + 10_000)), Ok(()));
    assert_eq!(visit.check_before_start(at(STARTS) - moment), Ok(()));
    assert_eq!(visit.check_before_start(at(STARTS)), late(STARTS));
}
