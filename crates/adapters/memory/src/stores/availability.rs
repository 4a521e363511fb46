//! Booking's rules, absences and slots.

use super::{after, directory::put_profile};
use crate::world::{MemoryWorld, defect};
use amrutam_booking::{
    model::{Mode, Slot, SlotStatus},
    ports::{AvailabilityChanges, AvailabilitySnapshot, AvailabilityStore, ByStart},
};
use amrutam_kernel::{CommitError, DoctorId, Effects, Page, PageRequest, PortError, SlotId, TimeRange};
use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};

#[async_trait]
impl AvailabilityStore for MemoryWorld {
    async fn load(&self, doctor: DoctorId, now: Timestamp) -> Result<Option<AvailabilitySnapshot>, PortError> {
        self.read(|tables| {
            let practitioner = tables.practitioners.get(&doctor)?.clone();
            let mut stored = tables.availability.get(&doctor).cloned().unwrap_or_default();
            stored.time_off.retain(|off| now < off.range.end());
            stored.time_off.sort_by_key(|off| (off.range, off.id));
            Some(AvailabilitySnapshot {
                practitioner,
                rules: stored.rules,
                version: stored.version,
                revision: stored.revision,
                time_off: stored.time_off,
                generated_until: stored.generated_until,
            })
        })
    }

    async fn slots(&self, doctor: DoctorId, range: TimeRange) -> Result<Vec<Slot>, PortError> {
        self.read(|tables| {
            let wanted = |slot: &&Slot| {
                slot.doctor == doctor && slot.status != SlotStatus::Withdrawn && range.contains(slot.range.start())
            };
            let mut slots: Vec<_> = tables.slots.values().filter(wanted).cloned().collect();
            slots.sort_by_key(|slot| slot.range);
            slots
        })
    }

    async fn open_slots(
        &self,
        doctor: DoctorId,
        range: TimeRange,
        mode: Option<Mode>,
        now: Timestamp,
        page: PageRequest<ByStart<SlotId>>,
    ) -> Result<Page<Slot, ByStart<SlotId>>, PortError> {
        self.read(|tables| {
            let wanted = |slot: &&Slot| {
                slot.doctor == doctor
                    && slot.is_offered(now)
                    && range.contains(slot.range.start())
                    && mode.is_none_or(|mode| slot.modes.contains(mode))
            };
            let key = |slot: &Slot| (slot.range.start(), slot.id);
            let slots = tables.slots.values().filter(wanted).cloned().collect();
            Page::cut(after(slots, &page, key), page.limit, key)
        })
    }

    async fn commit(&self, changes: &AvailabilityChanges) -> Result<(), CommitError> {
        let mut tx = self.begin(&changes.effects)?;
        let tables = tx.tables();
        let profile = tables.practitioners.get(&changes.doctor).ok_or(CommitError::Stale)?;
        if profile.version != changes.expected_profile {
            return Err(CommitError::Stale);
        }
        if let Some(profile) = &changes.profile {
            put_profile(tables, profile)?;
        }
        let stored = tables.availability.entry(changes.doctor).or_default();
        if stored.revision != changes.expected_revision {
            return Err(CommitError::Stale);
        }
        stored.revision += 1;
        stored.version += i64::from(changes.change_the_schedule());
        stored.generated_until = Some(changes.generated_until);
        if let Some(rules) = &changes.rules {
            stored.rules.clone_from(rules);
        }
        if let Some(gone) = changes.remove_time_off {
            stored.time_off.retain(|off| off.id != gone);
        }
        if let Some(off) = &changes.add_time_off {
            if tables.availability.values().flat_map(|other| &other.time_off).any(|other| other.id == off.id) {
                return Err(defect("an absence's id is unique").into());
            }
            tables.availability.entry(changes.doctor).or_default().time_off.push(off.clone());
        }
        let as_planned = |slot: Option<&Slot>, version: i64, status: SlotStatus| {
            slot.filter(|slot| slot.doctor == changes.doctor && slot.version == version && slot.status == status)
                .cloned()
                .ok_or(CommitError::Stale)
        };
        for (id, version) in &changes.plan.withdraw {
            let slot = as_planned(tables.slots.get(id), *version, SlotStatus::Open)?;
            tables.put_slot(&Slot { status: SlotStatus::Withdrawn, version: slot.version + 1, ..slot })?;
        }
        for (id, version, outside_rules) in &changes.plan.mark {
            let slot = as_planned(tables.slots.get(id), *version, SlotStatus::Booked)?;
            tables.put_slot(&Slot { outside_rules: *outside_rules, version: slot.version + 1, ..slot })?;
        }
        if changes.new_slots.len() != changes.plan.create.len() {
            return Err(defect("one id for each slot to be made").into());
        }
        for (id, wanted) in changes.new_slots.iter().zip(&changes.plan.create) {
            if tables.slots.contains_key(id) {
                return Err(defect("a slot's id is unique").into());
            }
            tables.put_slot(&Slot {
                id: *id,
                doctor: changes.doctor,
                range: wanted.range,
                modes: wanted.modes.clone(),
                status: SlotStatus::Open,
                consultation: None,
                held_until: None,
                outside_rules: false,
                version: 1,
            })?;
        }
        tx.commit()
    }

    async fn due_for_extension(
        &self,
        until: Date,
        after: Option<DoctorId>,
        limit: u16,
    ) -> Result<Vec<DoctorId>, PortError> {
        self.read(|tables| {
            let due = tables
                .availability
                .iter()
                .filter(|(_, stored)| !stored.rules.is_empty() && stored.generated_until.is_none_or(|end| end < until))
                .map(|(doctor, _)| *doctor)
                .filter(|doctor| after.is_none_or(|after| after < *doctor));
            due.take(usize::from(limit)).collect()
        })
    }

    async fn record(&self, effects: &Effects) -> Result<(), PortError> {
        self.record_alone(effects)
    }
}
