//! Rows as they come from JSON or from the query builder, and their way into the domain.

use crate::error::unreadable;
use amrutam_booking::model::{
    BookableDoctor, Consultation, LiveVisit, Mode, Modes, PatientCalendar, Practitioner, PractitionerDetails,
    Registration, Slot,
};
use amrutam_kernel::{AccountId, ConsultationId, DependantId, DoctorId, Money, PortError, SlotId, TimeRange};
use diesel::prelude::*;
use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) fn money(amount: i64, currency: &str) -> Result<Money, PortError> {
    Money::new(amount, currency.parse().map_err(unreadable)?).map_err(unreadable)
}

pub(crate) fn range(start: Timestamp, end: Timestamp) -> Result<TimeRange, PortError> {
    TimeRange::new(start, end).ok_or_else(|| unreadable("an empty interval"))
}

pub(crate) fn modes(words: &[String]) -> Result<Modes, PortError> {
    let modes = words.iter().map(|word| word.parse::<Mode>()).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    Modes::new(modes).ok_or_else(|| unreadable("no modes"))
}

pub(crate) fn mode_words(modes: &Modes) -> Vec<&'static str> {
    modes.as_slice().iter().map(|mode| mode.as_str()).collect()
}

/// A slot's columns.
#[derive(Debug, Queryable, Selectable, Deserialize)]
#[diesel(table_name = crate::schema::slots)]
pub(crate) struct SlotRow {
    id: Uuid,
    doctor_id: Uuid,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    starts_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    ends_at: Timestamp,
    modes: Vec<String>,
    status: String,
    consultation_id: Option<Uuid>,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    held_until: Option<Timestamp>,
    outside_rules: bool,
    version: i64,
}

impl TryFrom<SlotRow> for Slot {
    type Error = PortError;
    fn try_from(row: SlotRow) -> Result<Self, PortError> {
        Ok(Self {
            id: SlotId::from_uuid(row.id),
            doctor: DoctorId::from_uuid(row.doctor_id),
            range: range(row.starts_at, row.ends_at)?,
            modes: modes(&row.modes)?,
            status: row.status.parse().map_err(unreadable)?,
            consultation: row.consultation_id.map(ConsultationId::from_uuid),
            held_until: row.held_until,
            outside_rules: row.outside_rules,
            version: row.version,
        })
    }
}

/// A consultation's columns.
#[derive(Debug, Queryable, Selectable, Serialize, Deserialize)]
#[diesel(table_name = crate::schema::consultations)]
pub(crate) struct ConsultationRow {
    pub(crate) id: Uuid,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    created_at: Timestamp,
    patient_id: Uuid,
    dependant_id: Option<Uuid>,
    doctor_id: Uuid,
    slot_id: Uuid,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    starts_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    ends_at: Timestamp,
    mode: String,
    status: String,
    fee_amount: i64,
    fee_currency: String,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    hold_expires_at: Option<Timestamp>,
    cancel_reason: Option<String>,
    least_notice_s: Option<i64>,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    updated_at: Timestamp,
    version: i64,
}

impl From<&Consultation> for ConsultationRow {
    fn from(consultation: &Consultation) -> Self {
        Self {
            id: consultation.id.as_uuid(),
            created_at: consultation.created_at,
            patient_id: consultation.patient.as_uuid(),
            dependant_id: consultation.dependant.map(|dependant| dependant.as_uuid()),
            doctor_id: consultation.doctor.as_uuid(),
            slot_id: consultation.slot.as_uuid(),
            starts_at: consultation.range.start(),
            ends_at: consultation.range.end(),
            mode: consultation.mode.as_str().to_owned(),
            status: consultation.status.as_str().to_owned(),
            fee_amount: consultation.fee.amount(),
            fee_currency: consultation.fee.currency().code().to_owned(),
            hold_expires_at: consultation.hold_expires_at,
            cancel_reason: consultation.cancel_reason.map(|reason| reason.as_str().to_owned()),
            least_notice_s: consultation.least_notice.map(|notice| notice.as_secs()),
            updated_at: consultation.updated_at,
            version: consultation.version,
        }
    }
}

impl TryFrom<ConsultationRow> for Consultation {
    type Error = PortError;
    fn try_from(row: ConsultationRow) -> Result<Self, PortError> {
        Ok(Self {
            id: ConsultationId::from_uuid(row.id),
            patient: AccountId::from_uuid(row.patient_id),
            dependant: row.dependant_id.map(DependantId::from_uuid),
            doctor: DoctorId::from_uuid(row.doctor_id),
            slot: SlotId::from_uuid(row.slot_id),
            range: range(row.starts_at, row.ends_at)?,
            mode: row.mode.parse().map_err(unreadable)?,
            status: row.status.parse().map_err(unreadable)?,
            fee: money(row.fee_amount, &row.fee_currency)?,
            hold_expires_at: row.hold_expires_at,
            cancel_reason: row.cancel_reason.as_deref().map(str::parse).transpose().map_err(unreadable)?,
            least_notice: row.least_notice_s.map(SignedDuration::from_secs),
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        })
    }
}

/// What a booking reads of a practitioner.
#[derive(Debug, Deserialize)]
pub(crate) struct BookableDoctorRow {
    id: Uuid,
    account_id: Uuid,
    status: String,
    version: i64,
    registered_on: Option<Date>,
    valid_until: Option<Date>,
    modes: Vec<String>,
    fee_amount: i64,
    fee_currency: String,
}

impl TryFrom<BookableDoctorRow> for BookableDoctor {
    type Error = PortError;
    fn try_from(row: BookableDoctorRow) -> Result<Self, PortError> {
        Ok(Self {
            id: DoctorId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            status: row.status.parse().map_err(unreadable)?,
            version: row.version,
            registration: Registration { from: row.registered_on, until: row.valid_until },
            modes: modes(&row.modes)?,
            fee: money(row.fee_amount, &row.fee_currency)?,
        })
    }
}

/// A patient's calendar as stored.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct CalendarRow {
    version: i64,
    live: Vec<LiveVisitRow>,
}

/// One entry of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LiveVisitRow {
    consultation_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dependant_id: Option<Uuid>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    held_until: Option<Timestamp>,
}

impl From<&LiveVisit> for LiveVisitRow {
    fn from(visit: &LiveVisit) -> Self {
        Self {
            consultation_id: visit.consultation.as_uuid(),
            dependant_id: visit.dependant.map(|dependant| dependant.as_uuid()),
            starts_at: visit.range.start(),
            ends_at: visit.range.end(),
            held_until: visit.held_until,
        }
    }
}

impl TryFrom<CalendarRow> for PatientCalendar {
    type Error = PortError;
    fn try_from(row: CalendarRow) -> Result<Self, PortError> {
        let visit = |visit: LiveVisitRow| {
            Ok(LiveVisit {
                consultation: ConsultationId::from_uuid(visit.consultation_id),
                dependant: visit.dependant_id.map(DependantId::from_uuid),
                range: range(visit.starts_at, visit.ends_at)?,
                held_until: visit.held_until,
            })
        };
        Ok(Self { version: row.version, live: row.live.into_iter().map(visit).collect::<Result<_, PortError>>()? })
    }
}

/// A practitioner's columns, in the table's order.
#[derive(Debug, Queryable, Selectable, Serialize)]
#[diesel(table_name = crate::schema::doctors)]
pub(crate) struct DoctorRow {
    id: Uuid,
    account_id: Uuid,
    full_name: String,
    system: String,
    council: String,
    registration_number: String,
    #[diesel(deserialize_as = jiff_diesel::NullableDate)]
    registered_on: Option<Date>,
    #[diesel(deserialize_as = jiff_diesel::NullableDate)]
    valid_until: Option<Date>,
    qualifications: Vec<String>,
    specializations: Vec<String>,
    languages: Vec<String>,
    modes: Vec<String>,
    fee_amount: i64,
    fee_currency: String,
    bio: String,
    time_zone: String,
    status: String,
    version: i64,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    created_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    updated_at: Timestamp,
}

impl From<&Practitioner> for DoctorRow {
    fn from(practitioner: &Practitioner) -> Self {
        let details = practitioner.details.clone();
        Self {
            id: practitioner.id.as_uuid(),
            account_id: practitioner.account.as_uuid(),
            full_name: details.full_name,
            system: details.system.as_str().to_owned(),
            council: details.council,
            registration_number: details.registration_number,
            registered_on: details.registered_on,
            valid_until: details.valid_until,
            qualifications: details.qualifications,
            specializations: details.specializations,
            languages: details.languages,
            modes: mode_words(&details.modes).into_iter().map(str::to_owned).collect(),
            fee_amount: details.fee.amount(),
            fee_currency: details.fee.currency().code().to_owned(),
            bio: details.bio,
            time_zone: details.time_zone,
            status: practitioner.status.as_str().to_owned(),
            version: practitioner.version,
            created_at: practitioner.created_at,
            updated_at: practitioner.updated_at,
        }
    }
}

impl TryFrom<DoctorRow> for Practitioner {
    type Error = PortError;
    fn try_from(row: DoctorRow) -> Result<Self, PortError> {
        Ok(Self {
            id: DoctorId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            status: row.status.parse().map_err(unreadable)?,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            details: PractitionerDetails {
                full_name: row.full_name,
                system: row.system.parse().map_err(unreadable)?,
                council: row.council,
                registration_number: row.registration_number,
                registered_on: row.registered_on,
                valid_until: row.valid_until,
                qualifications: row.qualifications,
                specializations: row.specializations,
                languages: row.languages,
                modes: modes(&row.modes)?,
                fee: money(row.fee_amount, &row.fee_currency)?,
                bio: row.bio,
                time_zone: row.time_zone,
            },
        })
    }
}
