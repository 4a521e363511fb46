//! The changes of booking use cases as the argument of `commit_bookings`.

use crate::{
    effects::{EffectRows, Of, hex, number},
    rows::{ConsultationRow, LiveVisitRow},
};
use amrutam_booking::{
    model::{Consultation, ConsultationStatus, PatientCalendar, TimelineEntry},
    ports::{Changes, NewConsultation, SlotUpdate},
};
use amrutam_kernel::{AccountId, ConsultationId, CorrelationId, DependantId, DoctorId, EventId, SlotId};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(crate) struct ChangeRows<'a> {
    doctors: Vec<Of<DoctorVersionRow>>,
    slots: Vec<Of<SlotUpdateRow>>,
    calendars: Vec<Of<CalendarUpdateRow>>,
    created: Vec<Of<ConsultationRow>>,
    reasons: Vec<Of<ReasonRow>>,
    summaries: Vec<Of<SummaryRow>>,
    updated: Vec<Of<UpdatedRow>>,
    timeline: Vec<Of<TimelineEntryRow<'a>>>,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct DoctorVersionRow {
    id: DoctorId,
    version: i64,
}

#[derive(Debug, Serialize)]
struct SlotUpdateRow {
    id: SlotId,
    status: &'static str,
    consultation_id: Option<ConsultationId>,
    held_until: Option<Timestamp>,
    version: i64,
}

#[derive(Debug, Serialize)]
struct CalendarUpdateRow {
    patient_id: AccountId,
    version: i64,
    live: Vec<LiveVisitRow>,
}

#[derive(Debug, Serialize)]
struct ReasonRow {
    consultation_id: ConsultationId,
    patient_id: AccountId,
    sealed: String,
}

#[derive(Debug, Serialize)]
struct SummaryRow {
    consultation_id: ConsultationId,
    patient_id: AccountId,
    dependant_id: Option<DependantId>,
    sealed: String,
}

#[derive(Debug, Serialize)]
struct UpdatedRow {
    #[serde(flatten)]
    row: ConsultationRow,
    expected_version: i64,
}

#[derive(Debug, Serialize)]
struct TimelineEntryRow<'a> {
    consultation_id: ConsultationId,
    consultation_created_at: Timestamp,
    version: i64,
    at: Timestamp,
    kind: &'static str,
    from_status: Option<&'static str>,
    to_status: &'static str,
    slot_id: SlotId,
    actor: &'a str,
    cause: &'a str,
    event_id: EventId,
    correlation_id: &'a CorrelationId,
}

impl<'a> ChangeRows<'a> {
    pub(crate) fn of(units: &'a [Changes]) -> Self {
        let effects: Vec<_> = units.iter().map(|unit| &unit.effects).collect();
        Self {
            doctors: number(units, |unit| {
                unit.doctors.iter().map(|&(id, version)| DoctorVersionRow { id, version }).collect()
            }),
            slots: number(units, |unit| unit.slots.iter().map(SlotUpdateRow::from).collect()),
            calendars: number(units, |unit| unit.calendars.iter().map(CalendarUpdateRow::from).collect()),
            created: number(units, |unit| {
                unit.created.iter().map(|created| ConsultationRow::from(&created.consultation)).collect()
            }),
            reasons: number(units, |unit| unit.created.iter().filter_map(ReasonRow::of).collect()),
            summaries: number(units, SummaryRow::all),
            updated: number(units, |unit| unit.updated.iter().map(UpdatedRow::from).collect()),
            timeline: number(units, |unit| {
                unit.timeline.iter().map(|entry| TimelineEntryRow::new(entry, born(entry, unit))).collect()
            }),
            effects: EffectRows::of(&effects),
        }
    }
}

/// When the entry's consultation was created: the timeline lies in its consultation's partition.
fn born(entry: &TimelineEntry, changes: &Changes) -> Timestamp {
    let created = changes.created.iter().map(|created| &created.consultation);
    let known = created.chain(changes.updated.iter().map(|(consultation, _)| consultation));
    let born = known.into_iter().find(|known| known.id == entry.consultation).map(|known| known.created_at);
    born.unwrap_or_else(|| crate::booking::millisecond_of(entry.consultation).map_or(entry.at, |(born, _)| born))
}

impl From<&SlotUpdate> for SlotUpdateRow {
    fn from(SlotUpdate(slot): &SlotUpdate) -> Self {
        Self {
            id: slot.id,
            status: slot.status.as_str(),
            consultation_id: slot.consultation,
            held_until: slot.held_until,
            version: slot.version,
        }
    }
}

impl From<&(AccountId, PatientCalendar)> for CalendarUpdateRow {
    fn from((patient, calendar): &(AccountId, PatientCalendar)) -> Self {
        let live = calendar.live.iter().map(LiveVisitRow::from).collect();
        Self { patient_id: *patient, version: calendar.version, live }
    }
}

impl ReasonRow {
    fn of(created: &NewConsultation) -> Option<Self> {
        let consultation = &created.consultation;
        let sealed = hex(created.sealed_reason.as_deref()?);
        Some(Self { consultation_id: consultation.id, patient_id: consultation.patient, sealed })
    }
}

impl SummaryRow {
    /// A summary comes with the change of its consultation.
    fn all(unit: &Changes) -> Vec<Self> {
        let of = |(id, sealed): &(ConsultationId, Vec<u8>)| {
            let (consultation, _) = unit.updated.iter().find(|(updated, _)| updated.id == *id)?;
            let (patient_id, dependant_id) = (consultation.patient, consultation.dependant);
            Some(Self { consultation_id: *id, patient_id, dependant_id, sealed: hex(sealed) })
        };
        unit.summaries.iter().filter_map(of).collect()
    }
}

impl From<&(Consultation, i64)> for UpdatedRow {
    fn from((consultation, expected_version): &(Consultation, i64)) -> Self {
        Self { row: consultation.into(), expected_version: *expected_version }
    }
}

impl<'a> TimelineEntryRow<'a> {
    fn new(entry: &'a TimelineEntry, consultation_created_at: Timestamp) -> Self {
        Self {
            consultation_id: entry.consultation,
            consultation_created_at,
            version: entry.version,
            at: entry.at,
            kind: entry.kind.as_str(),
            from_status: entry.from.map(ConsultationStatus::as_str),
            to_status: entry.to.as_str(),
            slot_id: entry.slot,
            actor: &entry.actor,
            cause: &entry.cause,
            event_id: entry.event,
            correlation_id: &entry.correlation_id,
        }
    }
}
