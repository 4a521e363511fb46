//! From the slots there are to the slots the rules would have: what to make, what to withdraw, what to leave and name.

use crate::model::{DesiredSlot, Slot, SlotStatus};
use amrutam_kernel::SlotId;
use jiff::Timestamp;

/// What turns the existing slots into the desired ones without touching a booked one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotPlan {
    /// To be made, open.
    pub create: Vec<DesiredSlot>,
    /// Open ones to be withdrawn, with the version under which that was decided.
    pub withdraw: Vec<(SlotId, i64)>,
    /// Booked ones whose `outside_rules` must change to the value given, with their version. Their time does not change.
    pub mark: Vec<(SlotId, i64, bool)>,
    /// Booked ones that stand outside the rules now: a person decides what becomes of them.
    pub outside: Vec<SlotId>,
}

/// Plans for the slots that begin after `now`; what has begun is history. `existing` is ordered by start and holds no
/// withdrawn ones; both lists cover the same days. A booked slot whose modes the rules no longer offer as they are stands
/// outside them: freed, it must not be offered with the old ones.
pub fn plan_slots(existing: &[Slot], desired: &[DesiredSlot], now: Timestamp) -> SlotPlan {
    let mut plan = SlotPlan::default();
    let mut kept = Vec::new();
    for slot in existing {
        if slot.range.start() <= now {
            // Nothing becomes of it, but while it lasts no other slot can begin.
            kept.push(slot.range);
            continue;
        }
        let position = desired.binary_search_by_key(&slot.range, |wanted| wanted.range).ok();
        let wanted = position.and_then(|at| desired.get(at)).filter(|wanted| wanted.modes == slot.modes);
        match slot.status {
            SlotStatus::Booked => {
                if wanted.is_none() {
                    plan.outside.push(slot.id);
                }
                if slot.outside_rules != wanted.is_none() {
                    plan.mark.push((slot.id, slot.version, wanted.is_none()));
                }
                kept.push(slot.range);
            }
            SlotStatus::Blocked => kept.push(slot.range),
            SlotStatus::Open if wanted.is_some() => kept.push(slot.range),
            SlotStatus::Open => plan.withdraw.push((slot.id, slot.version)),
            SlotStatus::Withdrawn => {}
        }
    }
    // Both lists are in order of start and free of overlaps, so one walk finds every clash.
    let mut taken = kept.into_iter().peekable();
    for wanted in desired.iter().filter(|wanted| wanted.range.start() > now) {
        while taken.next_if(|range| range.end() <= wanted.range.start()).is_some() {}
        if !taken.peek().is_some_and(|range| range.overlaps(&wanted.range)) {
            plan.create.push(wanted.clone());
        }
    }
    plan
}
