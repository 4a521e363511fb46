//! Booking's consultations and the slots they stand in.

use super::after;
use crate::world::{MemoryWorld, Tables, defect};
use amrutam_booking::{
    model::{BookableDoctor, Consultation, ConsultationStatus, Practitioner, TimelineEntry},
    ports::{
        BookingSnapshot, ByStart, Changes, ConsultationFilter, ConsultationPage, ConsultationSnapshot,
        ConsultationStore, ConsultationView, SlotUpdate, Whose,
    },
};
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, DependantId, IdempotencyClaim, Page, PageRequest, PortError, SlotId,
    Unrecorded,
};
use async_trait::async_trait;
use jiff::Timestamp;

fn bookable(practitioner: &Practitioner) -> BookableDoctor {
    BookableDoctor {
        id: practitioner.id,
        account: practitioner.account,
        status: practitioner.status,
        version: practitioner.version,
        registration: practitioner.details.registration(),
        modes: practitioner.details.modes.clone(),
        fee: practitioner.details.fee,
    }
}

fn view(tables: &Tables, consultation: &Consultation) -> Result<ConsultationView, PortError> {
    let practitioner = tables.practitioner(consultation.doctor)?;
    Ok(ConsultationView {
        consultation: consultation.clone(),
        doctor_account: practitioner.account,
        doctor_name: practitioner.details.full_name.clone(),
        doctor_council: practitioner.details.council.clone(),
        doctor_registration: practitioner.details.registration_number.clone(),
        doctor_qualifications: practitioner.details.qualifications.clone(),
    })
}

#[async_trait]
impl ConsultationStore for MemoryWorld {
    async fn booking_snapshot(
        &self,
        slot: SlotId,
        patient: AccountId,
        dependant: Option<DependantId>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<BookingSnapshot, PortError> {
        let now = self.now();
        self.read(|tables| {
            let slot = tables.slots.get(&slot).cloned();
            Ok(BookingSnapshot {
                recorded: tables.recorded(claim, now),
                doctor: slot.as_ref().map(|slot| tables.practitioner(slot.doctor).map(bookable)).transpose()?,
                occupant: slot.as_ref().map(|slot| tables.occupant(slot)).transpose()?.flatten(),
                calendar: tables.calendar(patient),
                keeps_dependant: dependant
                    .and_then(|dependant| tables.dependants.get(&dependant))
                    .is_some_and(|kept| kept.keeper == patient && kept.removed_at.is_none()),
                slot,
            })
        })?
    }

    async fn consultation_snapshot(
        &self,
        id: ConsultationId,
        target: Option<SlotId>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Option<ConsultationSnapshot>, PortError> {
        let now = self.now();
        self.read(|tables| {
            let Some(consultation) = tables.consultations.get(&id).cloned() else { return Ok(None) };
            let slot = tables.slots.get(&consultation.slot).cloned();
            let target = target.and_then(|target| tables.slots.get(&target).cloned());
            Ok(Some(ConsultationSnapshot {
                recorded: tables.recorded(claim, now),
                occupant: slot.as_ref().map(|slot| tables.occupant(slot)).transpose()?.flatten(),
                slot: slot.ok_or_else(|| defect("a consultation names a slot that is not there"))?,
                doctor: bookable(tables.practitioner(consultation.doctor)?),
                target: match target {
                    Some(target) => Some((target.clone(), tables.occupant(&target)?)),
                    None => None,
                },
                calendar: tables.calendar(consultation.patient),
                consultation,
            }))
        })?
    }

    async fn commit(&self, changes: &Changes) -> Result<(), CommitError> {
        let mut tx = self.begin(&changes.effects)?;
        let tables = tx.tables();
        for (doctor, version) in &changes.doctors {
            if tables.practitioner(*doctor)?.version != *version {
                return Err(CommitError::Stale);
            }
        }
        for (at, SlotUpdate(slot)) in changes.slots.iter().enumerate() {
            if changes.slots.iter().take(at).any(|SlotUpdate(earlier)| earlier.id == slot.id) {
                return Err(defect("a slot changes once in a transaction").into());
            }
            let stored = tables.slots.get(&slot.id).filter(|stored| stored.version == slot.version - 1);
            let stored = stored.ok_or(CommitError::Stale)?;
            if stored.doctor != slot.doctor || stored.range != slot.range || stored.modes != slot.modes {
                return Err(defect("a slot keeps its practitioner, its time and its modes").into());
            }
            tables.put_slot(slot)?;
        }
        create(tables, changes)?;
        update(tables, changes)?;
        for (id, sealed) in &changes.summaries {
            let written = tables.summaries.insert(*id, sealed.clone()).is_some();
            if written || !changes.updated.iter().any(|(updated, _)| updated.id == *id) {
                return Err(defect("a summary is written once, with a change of its consultation").into());
            }
        }
        for (patient, calendar) in &changes.calendars {
            if !tables.accounts.contains_key(patient) {
                return Err(defect("a calendar is an account's").into());
            }
            if tables.calendar(*patient).version != calendar.version - 1 {
                return Err(CommitError::Stale);
            }
            tables.calendars.insert(*patient, calendar.clone());
        }
        write_timeline(tables, changes)?;
        tx.commit()
    }

    async fn view(&self, id: ConsultationId) -> Result<Option<Unrecorded<ConsultationView>>, PortError> {
        let found = self
            .read(|tables| tables.consultations.get(&id).map(|consultation| view(tables, consultation)).transpose())?;
        Ok(found?.map(Unrecorded::new))
    }

    async fn sealed_reason(&self, id: ConsultationId) -> Result<Option<Vec<u8>>, PortError> {
        let locked = |tables: &Tables| {
            tables.consultations.get(&id).is_some_and(|one| tables.erasures.contains_key(&one.patient))
        };
        self.read(|tables| tables.reasons.get(&id).filter(|_| !locked(tables)).cloned())
    }

    async fn sealed_summary(&self, id: ConsultationId) -> Result<Option<Vec<u8>>, PortError> {
        self.read(|tables| tables.summaries.get(&id).cloned())
    }

    async fn list(
        &self,
        filter: &ConsultationFilter,
        page: PageRequest<ByStart<ConsultationId>>,
    ) -> Result<Unrecorded<ConsultationPage>, PortError> {
        self.read(|tables| {
            let mut found = Vec::new();
            for consultation in tables.consultations.values() {
                let start = consultation.range.start();
                let wanted = filter.status.is_none_or(|status| consultation.status_at(filter.now) == status)
                    && filter.from.is_none_or(|from| from <= start)
                    && filter.to.is_none_or(|to| start < to);
                let theirs = match filter.whose {
                    Whose::Patient(account) => consultation.patient == account,
                    Whose::Doctor(account) => tables.practitioner(consultation.doctor)?.account == account,
                    Whose::Everybody => true,
                };
                if wanted && theirs {
                    found.push(view(tables, consultation)?);
                }
            }
            let key = |view: &ConsultationView| (view.consultation.range.start(), view.consultation.id);
            Ok(Unrecorded::new(Page::cut(after(found, &page, key), page.limit, key)))
        })?
    }

    async fn timeline(&self, id: ConsultationId) -> Result<Unrecorded<Vec<TimelineEntry>>, PortError> {
        let lines = self
            .read(|tables| tables.timeline.get(&id).into_iter().flat_map(|lines| lines.values().cloned()).collect());
        lines.map(Unrecorded::new)
    }

    async fn expired_holds(&self, now: Timestamp, limit: u16) -> Result<Vec<ConsultationId>, PortError> {
        self.read(|tables| {
            let pending = tables.consultations.values().filter(|c| c.status == ConsultationStatus::Pending);
            let mut ended: Vec<_> = pending
                .filter_map(|c| c.hold_expires_at.filter(|until| *until <= now).map(|until| (until, c.id)))
                .collect();
            ended.sort_unstable();
            ended.into_iter().take(usize::from(limit)).map(|(_, id)| id).collect()
        })
    }
}

fn create(tables: &mut Tables, changes: &Changes) -> Result<(), CommitError> {
    for new in &changes.created {
        let consultation = &new.consultation;
        check_row(tables, consultation)?;
        if tables.consultations.insert(consultation.id, consultation.clone()).is_some() {
            return Err(defect("a consultation's id is unique").into());
        }
        if let Some(sealed) = &new.sealed_reason {
            tables.reasons.insert(consultation.id, sealed.clone());
        }
        check_steps(changes, consultation, 0)?;
    }
    Ok(())
}

fn update(tables: &mut Tables, changes: &Changes) -> Result<(), CommitError> {
    for (consultation, read) in &changes.updated {
        let stored = tables.consultations.get(&consultation.id).filter(|stored| stored.version == *read);
        let stored = stored.ok_or(CommitError::Stale)?;
        let kept = |c: &Consultation| (c.patient, c.dependant, c.doctor, c.created_at);
        if kept(stored) != kept(consultation) {
            return Err(defect("a consultation keeps its patient, its practitioner and its creation time").into());
        }
        check_row(tables, consultation)?;
        tables.consultations.insert(consultation.id, consultation.clone());
        check_steps(changes, consultation, *read)?;
    }
    Ok(())
}

fn check_row(tables: &Tables, consultation: &Consultation) -> Result<(), PortError> {
    let slot = tables.slots.get(&consultation.slot);
    if slot.is_none_or(|slot| slot.doctor != consultation.doctor || slot.range != consultation.range) {
        return Err(defect("a consultation has the practitioner and the time of its slot"));
    }
    if !tables.accounts.contains_key(&consultation.patient) {
        return Err(defect("a consultation's patient has an account"));
    }
    if consultation.hold_expires_at.is_some() != (consultation.status == ConsultationStatus::Pending) {
        return Err(defect("a consultation has a hold exactly while it is pending"));
    }
    if consultation.cancel_reason.is_some() != (consultation.status == ConsultationStatus::Cancelled) {
        return Err(defect("a consultation has a reason exactly when it is cancelled"));
    }
    Ok(())
}

fn check_steps(changes: &Changes, consultation: &Consultation, read: i64) -> Result<(), PortError> {
    let mut steps: Vec<_> = changes
        .timeline
        .iter()
        .filter(|entry| entry.consultation == consultation.id)
        .map(|entry| entry.version)
        .collect();
    steps.sort_unstable();
    let expected = (read + 1)..=consultation.version;
    if consultation.version > read && steps.iter().copied().eq(expected) {
        Ok(())
    } else {
        Err(defect("one line of the timeline for each new version of a consultation"))
    }
}

fn write_timeline(tables: &mut Tables, changes: &Changes) -> Result<(), CommitError> {
    for entry in &changes.timeline {
        if !tables.consultations.contains_key(&entry.consultation) {
            return Err(defect("a line of the timeline belongs to a consultation").into());
        }
        let lines = tables.timeline.entry(entry.consultation).or_default();
        if lines.insert(entry.version, entry.clone()).is_some() {
            return Err(defect("one line of the timeline for each version").into());
        }
    }
    Ok(())
}
