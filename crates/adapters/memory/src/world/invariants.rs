//! The booking invariants that a look at the tables can show.

use super::{MemoryWorld, Tables};
use amrutam_booking::model::{Consultation, LiveVisit, SlotStatus, TimelineKind};
use jiff::Timestamp;
use std::collections::BTreeSet;

impl MemoryWorld {
    /// Every breach of the booking invariants that the tables show now, in words; empty in a sound world.
    ///
    /// I1: no two live consultations in one slot or at one time of one practitioner. I4: a slot's status follows from the
    /// consultation that keeps it, and the patient's calendar from the live ones. I13: versions rise by one, every step is an arrow of the
    /// state machine.
    pub fn violations(&self) -> Vec<String> {
        let now = self.now();
        let state = self.lock();
        let tables = &state.tables;
        let live: Vec<&Consultation> = tables.consultations.values().filter(|c| c.status.is_live()).collect();
        let mut found = Vec::new();
        shared_time(&live, &mut found);
        slots(tables, &live, &mut found);
        calendars(tables, now, &mut found);
        for consultation in tables.consultations.values() {
            steps(tables, consultation, &mut found);
        }
        found
    }
}

fn shared_time(live: &[&Consultation], found: &mut Vec<String>) {
    for (at, one) in live.iter().enumerate() {
        for other in live.iter().skip(at + 1) {
            if one.slot == other.slot || (one.doctor == other.doctor && one.range.overlaps(&other.range)) {
                found.push(format!("I1: {} and {} share a slot or a practitioner's time", one.id, other.id));
            }
        }
    }
}

fn slots(tables: &Tables, live: &[&Consultation], found: &mut Vec<String>) {
    for one in live {
        let slot = tables.slots.get(&one.slot);
        if slot.is_none_or(|slot| slot.consultation != Some(one.id)) {
            found.push(format!("I4: {} is live, but {} is not its", one.id, one.slot));
        }
    }
    for slot in tables.slots.values() {
        let holder = slot.consultation.and_then(|id| tables.consultations.get(&id)).filter(|c| c.status.keeps_slot());
        if (slot.status == SlotStatus::Booked) != holder.is_some() {
            found.push(format!("I4: {} is {} without a consultation to match", slot.id, slot.status.as_str()));
        }
        if holder.is_some_and(|holder| holder.hold_expires_at != slot.held_until) {
            found.push(format!("I4: {} and its consultation differ about the hold", slot.id));
        }
    }
}

// A hold that ran out counts nowhere, nor does a visit that was over a day ago, so a calendar may still name them and need not.
fn calendars(tables: &Tables, now: Timestamp, found: &mut Vec<String>) {
    let counts = |visit: &LiveVisit| {
        let over = now.duration_since(visit.range.end()) > jiff::SignedDuration::from_hours(24);
        visit.held_until.is_none_or(|until| now < until) && !over
    };
    let key = |visit: LiveVisit| (visit.consultation, visit.dependant, visit.range, visit.held_until);
    let patients: BTreeSet<_> =
        tables.calendars.keys().copied().chain(tables.consultations.values().map(|c| c.patient)).collect();
    for patient in patients {
        let noted: BTreeSet<_> = tables.calendar(patient).live.into_iter().filter(counts).map(key).collect();
        let visits = tables.consultations.values().filter(|c| c.patient == patient).filter_map(LiveVisit::of);
        if noted != visits.filter(counts).map(key).collect() {
            found.push(format!("I4: the calendar of {patient} differs from their live consultations"));
        }
    }
}

fn steps(tables: &Tables, consultation: &Consultation, found: &mut Vec<String>) {
    let mut version = 0;
    let mut before = None;
    for entry in tables.timeline.get(&consultation.id).into_iter().flat_map(std::collections::BTreeMap::values) {
        version += 1;
        let legal = before.is_none_or(|from: amrutam_booking::model::ConsultationStatus| match entry.kind {
            TimelineKind::StatusChanged => from.can_become(entry.to),
            TimelineKind::Rescheduled | TimelineKind::ModeChanged | TimelineKind::Noted => from == entry.to,
        });
        if entry.version != version || entry.from != before || !legal {
            found.push(format!("I13: {} version {} does not follow", consultation.id, entry.version));
        }
        before = Some(entry.to);
    }
    if version != consultation.version || before != Some(consultation.status) {
        found.push(format!("I13: {} does not stand where its timeline ends", consultation.id));
    }
}
