//! From the slots there are to the slots there should be.

use super::{any_modes, at, range, uuid};
use amrutam_booking::model::{DesiredSlot, Modes, Slot, SlotPlan, SlotStatus, plan_slots};
use amrutam_kernel::{ConsultationId, DoctorId, SlotId, TimeRange};
use jiff::Timestamp;
use proptest::prelude::*;

/// Ranges in order, none overlapping another; on a coarse grid, so that two such lists have many in common.
fn any_ranges() -> impl Strategy<Value = Vec<TimeRange>> {
    proptest::collection::vec((0_i64..3, 1_i64..4), 0..12).prop_map(|steps| {
        let mut free = 0;
        steps
            .into_iter()
            .map(|(gap, length)| {
                let start = free + gap;
                free = start + length;
                range(start * 10, length * 10)
            })
            .collect()
    })
}

fn any_desired() -> impl Strategy<Value = Vec<DesiredSlot>> {
    (any_ranges(), proptest::collection::vec(few_modes(), 12)).prop_map(|(ranges, modes)| {
        ranges.into_iter().zip(modes).map(|(range, modes)| DesiredSlot { range, modes }).collect()
    })
}

fn few_modes() -> impl Strategy<Value = Modes> {
    prop_oneof![3 => Just(Modes::new(amrutam_booking::model::Mode::ALL).unwrap()), 1 => any_modes()]
}

fn any_slots() -> impl Strategy<Value = Vec<Slot>> {
    let status = prop_oneof![
        3 => Just(SlotStatus::Open),
        3 => Just(SlotStatus::Booked),
        1 => Just(SlotStatus::Blocked),
    ];
    let details = (few_modes(), status, any::<bool>(), proptest::option::of(0_i64..400), 1_i64..9);
    (any_ranges(), proptest::collection::vec(details, 12)).prop_map(|(ranges, details)| {
        ranges
            .into_iter()
            .zip(details)
            .enumerate()
            .map(|(index, (range, (modes, status, outside_rules, held, version)))| {
                (index, range, modes, status, status == SlotStatus::Booked, outside_rules, held, version)
            })
            .map(|(index, range, modes, status, booked, outside_rules, held, version)| Slot {
                id: SlotId::from_uuid(uuid(index)),
                doctor: DoctorId::from_uuid(uuid(0)),
                range,
                modes,
                status,
                consultation: booked.then(|| ConsultationId::from_uuid(uuid(index))),
                held_until: held.filter(|_| booked).map(at),
                outside_rules: booked && outside_rules,
                version,
            })
            .collect()
    })
}

/// Carries a plan out as a store does, checking its versions. Gives the slots that are not withdrawn, by start.
fn carry_out(existing: &[Slot], plan: &SlotPlan) -> Vec<Slot> {
    let mut slots = existing.to_vec();
    for (id, version) in &plan.withdraw {
        let slot = slots.iter().find(|slot| slot.id == *id).unwrap();
        assert_eq!((slot.status, slot.version), (SlotStatus::Open, *version), "only open slots are withdrawn");
        slots.retain(|slot| slot.id != *id);
    }
    for (id, version, outside_rules) in &plan.mark {
        let slot = slots.iter_mut().find(|slot| slot.id == *id).unwrap();
        assert_eq!((slot.status, slot.version), (SlotStatus::Booked, *version), "only booked slots are marked");
        assert_ne!(slot.outside_rules, *outside_rules, "a mark changes something");
        slot.outside_rules = *outside_rules;
        slot.version += 1;
    }
    for (index, wanted) in plan.create.iter().enumerate() {
        let clash = slots.iter().any(|slot| slot.range.overlaps(&wanted.range));
        assert!(!clash, "{wanted:?} overlaps a slot that stands");
        slots.push(Slot {
            id: SlotId::from_uuid(uuid(1000 + index)),
            doctor: DoctorId::from_uuid(uuid(0)),
            range: wanted.range,
            modes: wanted.modes.clone(),
            status: SlotStatus::Open,
            consultation: None,
            held_until: None,
            outside_rules: false,
            version: 1,
        });
    }
    slots.sort_by_key(|slot| slot.range);
    slots
}

fn any_now() -> impl Strategy<Value = Timestamp> {
    prop_oneof![Just(at(-1)), (0_i64..40).prop_map(|step| at(step * 5))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_plan_carried_out_gives_the_desired_slots_and_leaves_the_booked_ones(
        existing in any_slots(), desired in any_desired(), now in any_now(),
    ) {
        let plan = plan_slots(&existing, &desired, now);
        let after = carry_out(&existing, &plan);

        // What has begun is as it was, and so is every booked slot but for its mark.
        let untouched = |slot: &Slot| slot.range.start() <= now || slot.status != SlotStatus::Open;
        let bare = |slots: &[Slot]| -> Vec<Slot> {
            let kept = slots.iter().filter(|slot| untouched(slot));
            kept.map(|slot| match slot.range.start() > now {
                true => Slot { outside_rules: false, version: 0, ..slot.clone() },
                false => slot.clone(),
            }).collect()
        };
        prop_assert_eq!(bare(&after), bare(&existing));

        // The open ones are those desired for which there is room beside them.
        let stand: Vec<_> = existing.iter().filter(|slot| untouched(slot)).map(|slot| slot.range).collect();
        let room = |wanted: &&DesiredSlot| {
            wanted.range.start() > now
                && stand.iter().all(|range| range.end() <= wanted.range.start() || wanted.range.end() <= range.start())
        };
        let expected: Vec<_> = desired.iter().filter(room).cloned().collect();
        let open: Vec<_> = after
            .iter()
            .filter(|slot| !untouched(slot))
            .map(|slot| DesiredSlot { range: slot.range, modes: slot.modes.clone() })
            .collect();
        prop_assert_eq!(open, expected);

        // Booked ones that fit no rule are marked and named; no others are.
        for slot in after.iter().filter(|slot| slot.range.start() > now && slot.status == SlotStatus::Booked) {
            let outside = !desired.iter().any(|wanted| wanted.range == slot.range && wanted.modes == slot.modes);
            prop_assert_eq!(slot.outside_rules, outside);
            prop_assert_eq!(plan.outside.contains(&slot.id), outside);
        }
        prop_assert!(plan.outside.iter().all(|id| after.iter().any(|slot| slot.id == *id && slot.outside_rules)));
    }

    #[test]
    fn planning_again_changes_nothing(existing in any_slots(), desired in any_desired(), now in any_now()) {
        let after = carry_out(&existing, &plan_slots(&existing, &desired, now));
        let again = plan_slots(&after, &desired, now);
        let nothing = again.create.is_empty() && again.withdraw.is_empty() && again.mark.is_empty();
        prop_assert!(nothing, "{:?}", again);
    }

    #[test]
    fn what_is_kept_keeps_its_row(existing in any_slots(), now in any_now()) {
        let desired: Vec<_> = existing
            .iter()
            .map(|slot| DesiredSlot { range: slot.range, modes: slot.modes.clone() })
            .collect();
        let plan = plan_slots(&existing, &desired, now);
        prop_assert!(plan.create.is_empty() && plan.withdraw.is_empty() && plan.outside.is_empty(), "{:?}", plan);
    }
}
