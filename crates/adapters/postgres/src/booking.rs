//! Consultations and slots: the booking's two round trips, and the reads.

use crate::{
    changes::ChangeRows,
    effects::{unhex, verdict},
    error::{DbError, Optional, unreadable},
    functions,
    group::{Company, PEOPLE, Together, WORKER},
    json::Json,
    pool::{Postgres, bounded},
    rows::{BookableDoctorRow, CalendarRow, ConsultationRow, SlotRow},
    schema::{consultation_timeline, consultations, doctors, visit_reasons, visit_summaries},
};
use amrutam_booking::{
    model::{Consultation, ConsultationStatus, PatientCalendar, Slot, TimelineEntry},
    ports::{
        BookingSnapshot, ByStart, Changes, ConsultationFilter, ConsultationPage, ConsultationSnapshot,
        ConsultationStore, ConsultationView, Whose,
    },
};
use amrutam_crash::Point;
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, DependantId, EventId, Fingerprint, IdempotencyClaim, Page, PageRequest,
    PortError, Recorded, SlotId, StoredAnswer, Unrecorded,
};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::{SignedDuration, Timestamp};
use jiff_diesel::ToDiesel;
use serde::Deserialize;
use std::collections::HashMap;
use uuid::Uuid;

#[derive(Debug, Deserialize)]
pub(crate) struct RecordedRow {
    fingerprint: String,
    answer: StoredAnswer,
}

#[derive(Debug, Deserialize)]
struct TargetRow {
    slot: SlotRow,
    occupant: Option<ConsultationRow>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SnapshotRow {
    recorded: Option<RecordedRow>,
    slot: Option<SlotRow>,
    doctor: Option<BookableDoctorRow>,
    occupant: Option<ConsultationRow>,
    calendar: Option<CalendarRow>,
    keeps_dependant: Option<bool>,
    #[serde(default)]
    consultation: Option<ConsultationRow>,
    #[serde(default)]
    target: Option<TargetRow>,
}

impl RecordedRow {
    pub(crate) fn against(self, claim: &IdempotencyClaim) -> Result<Recorded, PortError> {
        let fingerprint = unhex(&self.fingerprint).and_then(|bytes| bytes.try_into().ok());
        let fingerprint = fingerprint.ok_or_else(|| unreadable("fingerprint"))?;
        let same = Fingerprint::from_bytes(fingerprint) == claim.fingerprint;
        Ok(if same { Recorded::Same(self.answer) } else { Recorded::Other })
    }
}

pub(crate) fn recorded(
    row: Option<RecordedRow>,
    claim: Option<&IdempotencyClaim>,
) -> Result<Option<Recorded>, PortError> {
    match (row, claim) {
        (Some(row), Some(claim)) => row.against(claim).map(Some),
        _ => Ok(None),
    }
}

fn calendar(row: Option<CalendarRow>) -> Result<PatientCalendar, PortError> {
    row.unwrap_or_default().try_into()
}

fn occupant(row: Option<ConsultationRow>) -> Result<Option<Consultation>, PortError> {
    row.map(Consultation::try_from).transpose()
}

/// What one booking wants to read.
pub(crate) struct Wanted {
    slot: Uuid,
    patient: Uuid,
    dependant: Option<Uuid>,
    caller: Option<Uuid>,
    key: Option<String>,
}

impl Together for Wanted {
    type Db = Postgres;
    type Answer = SnapshotRow;
    const ABREAST: usize = 2;
    const COMPANY: Company = PEOPLE;
    async fn ask(db: &Postgres, wanted: &[Self]) -> Result<Vec<SnapshotRow>, DbError> {
        let slots: Vec<_> = wanted.iter().map(|wanted| wanted.slot).collect();
        let patients: Vec<_> = wanted.iter().map(|wanted| wanted.patient).collect();
        let dependants: Vec<_> = wanted.iter().map(|wanted| wanted.dependant).collect();
        let callers: Vec<_> = wanted.iter().map(|wanted| wanted.caller).collect();
        let keys: Vec<_> = wanted.iter().map(|wanted| wanted.key.as_deref()).collect();
        let query = diesel::select(functions::booking_snapshots(slots, patients, dependants, callers, keys));
        let mut conn = db.connection().await?;
        let result = bounded(conn.limit(), query.load::<Json<SnapshotRow>>(conn.raw()?)).await;
        Ok(conn.settle(result)?.into_iter().map(|Json(row)| row).collect())
    }
}

impl Together for Changes {
    type Db = Postgres;
    /// The verdict.
    type Answer = String;
    const ABREAST: usize = 2;
    const COMPANY: Company = PEOPLE;
    async fn ask(db: &Postgres, units: &[Self]) -> Result<Vec<String>, DbError> {
        let query = diesel::select(functions::commit_bookings(Json(ChangeRows::of(units))));
        let mut conn = db.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Vec<String>>(conn.raw()?)).await;
        conn.settle(result)
    }
}

/// A consultation to be shown, as the mails of a moment ask for them. Readers over HTTP ask each for themselves.
pub(crate) struct Viewed(pub(crate) ConsultationId);

impl Together for Viewed {
    type Db = Postgres;
    type Answer = Result<Option<ConsultationView>, PortError>;
    const ABREAST: usize = 1;
    const COMPANY: Company = WORKER;
    async fn ask(db: &Postgres, viewed: &[Self]) -> Result<Vec<Self::Answer>, DbError> {
        let born: Vec<_> = viewed.iter().filter_map(|Self(id)| millisecond_of(*id)).collect();
        let first = born.iter().map(|(from, _)| *from).min().unwrap_or(Timestamp::UNIX_EPOCH);
        let next = born.iter().map(|(_, to)| *to).max().unwrap_or(Timestamp::UNIX_EPOCH);
        let ids: Vec<_> = viewed.iter().map(|Self(id)| id.as_uuid()).collect();
        // The bounds name the partitions.
        let query = views()
            .filter(consultations::id.eq_any(ids))
            .filter(consultations::created_at.ge(first.to_diesel()))
            .filter(consultations::created_at.lt(next.to_diesel()));
        let mut conn = db.connection().await?;
        let result = bounded(conn.limit(), query.load::<ViewRow>(conn.raw()?)).await;
        let found: HashMap<_, _> = conn.settle(result)?.into_iter().map(|row| (row.0.id, view(row))).collect();
        Ok(viewed.iter().map(|Self(id)| found.get(&id.as_uuid()).cloned().transpose()).collect())
    }
}

#[async_trait]
impl ConsultationStore for Postgres {
    async fn booking_snapshot(
        &self,
        slot: SlotId,
        patient: AccountId,
        dependant: Option<DependantId>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<BookingSnapshot, PortError> {
        let (caller, key) = claim_columns(claim);
        let wanted = Wanted {
            slot: slot.as_uuid(),
            patient: patient.as_uuid(),
            dependant: dependant.map(|dependant| dependant.as_uuid()),
            caller,
            key: key.map(str::to_owned),
        };
        let row = self.groups.snapshots.call(self, wanted).await?;
        Ok(BookingSnapshot {
            recorded: recorded(row.recorded, claim)?,
            slot: row.slot.map(Slot::try_from).transpose()?,
            doctor: row.doctor.map(TryInto::try_into).transpose()?,
            occupant: occupant(row.occupant)?,
            calendar: calendar(row.calendar)?,
            keeps_dependant: row.keeps_dependant.unwrap_or_default(),
        })
    }

    async fn consultation_snapshot(
        &self,
        id: ConsultationId,
        target: Option<SlotId>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Option<ConsultationSnapshot>, PortError> {
        let (caller, key) = claim_columns(claim);
        let target = target.map(|slot| slot.as_uuid());
        let query = diesel::select(functions::consultation_snapshot(id.as_uuid(), target, caller, key));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Option<Json<SnapshotRow>>>(conn.raw()?)).await;
        let Some(Json(row)) = conn.settle(result)? else { return Ok(None) };
        let (Some(consultation), Some(slot), Some(doctor)) = (row.consultation, row.slot, row.doctor) else {
            return Err(unreadable("a consultation without its slot or practitioner"));
        };
        let target = row.target.map(|target| Ok::<_, PortError>((target.slot.try_into()?, occupant(target.occupant)?)));
        Ok(Some(ConsultationSnapshot {
            recorded: recorded(row.recorded, claim)?,
            consultation: consultation.try_into()?,
            slot: slot.try_into()?,
            occupant: occupant(row.occupant)?,
            doctor: doctor.try_into()?,
            target: target.transpose()?,
            calendar: calendar(row.calendar)?,
        }))
    }

    async fn commit(&self, changes: &Changes) -> Result<(), CommitError> {
        amrutam_crash::here(Point::BookingBeforeCommit);
        let word = self.groups.bookings.call(self, changes.clone()).await?;
        amrutam_crash::here(Point::BookingAfterCommit);
        verdict(&word)
    }

    async fn view(&self, id: ConsultationId) -> Result<Option<Unrecorded<ConsultationView>>, PortError> {
        Ok(self.visit_view(id).await?.map(Unrecorded::new))
    }

    async fn sealed_reason(&self, id: ConsultationId) -> Result<Option<Vec<u8>>, PortError> {
        // Of an erased person nobody reads it, whether or not its key is there.
        let query = visit_reasons::table
            .find(id.as_uuid())
            .filter(diesel::dsl::not(functions::record_locked(visit_reasons::patient_id)))
            .select(visit_reasons::sealed);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<Vec<u8>>(conn.raw()?)).await;
        Ok(conn.settle(result.optional())?)
    }

    async fn sealed_summary(&self, id: ConsultationId) -> Result<Option<Vec<u8>>, PortError> {
        let query = visit_summaries::table
            .find(id.as_uuid())
            .filter(diesel::dsl::not(functions::record_locked(visit_summaries::patient_id)))
            .select(visit_summaries::sealed);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<Vec<u8>>(conn.raw()?)).await;
        Ok(conn.settle(result.optional())?)
    }

    async fn list(
        &self,
        filter: &ConsultationFilter,
        page: PageRequest<ByStart<ConsultationId>>,
    ) -> Result<Unrecorded<ConsultationPage>, PortError> {
        let whose = diesel::alias!(doctors as whose);
        let mut query = views().into_boxed();
        query = match filter.whose {
            Whose::Patient(patient) => query.filter(consultations::patient_id.eq(patient.as_uuid())),
            // As a value, not through the join: then each partition's index gives the order, and a page costs a page.
            Whose::Doctor(account) => {
                let theirs = whose.filter(whose.field(doctors::account_id).eq(account.as_uuid()));
                query.filter(
                    consultations::doctor_id.nullable().eq(theirs.select(whose.field(doctors::id)).single_value()),
                )
            }
            Whose::Everybody => query,
        };
        let now = filter.now.to_diesel();
        let pending = || consultations::status.eq(ConsultationStatus::Pending.as_str());
        query = match filter.status {
            Some(ConsultationStatus::Pending) => {
                query.filter(pending()).filter(consultations::hold_expires_at.assume_not_null().gt(now))
            }
            Some(ConsultationStatus::Expired) => query.filter(
                consultations::status
                    .eq(ConsultationStatus::Expired.as_str())
                    .or(pending().and(consultations::hold_expires_at.assume_not_null().le(now))),
            ),
            Some(status) => query.filter(consultations::status.eq(status.as_str())),
            None => query,
        };
        if let Some(from) = filter.from {
            query = query.filter(consultations::starts_at.ge(from.to_diesel()));
        }
        if let Some(to) = filter.to {
            query = query.filter(consultations::starts_at.lt(to.to_diesel()));
        }
        if let Some((start, id)) = page.after {
            let start = start.to_diesel();
            // Says nothing new, but bounds the scan of an index: an OR can't.
            query = query.filter(consultations::starts_at.ge(start)).filter(
                consultations::starts_at
                    .gt(start)
                    .or(consultations::starts_at.eq(start).and(consultations::id.gt(id.as_uuid()))),
            );
        }
        let query = query
            .order((consultations::starts_at.asc(), consultations::id.asc()))
            .limit(i64::from(page.limit.get()) + 1);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<ViewRow>(conn.raw()?)).await;
        let views = conn.settle(result)?.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
        let key = |last: &ConsultationView| (last.consultation.range.start(), last.consultation.id);
        Ok(Unrecorded::new(Page::cut(views, page.limit, key)))
    }

    async fn timeline(&self, id: ConsultationId) -> Result<Unrecorded<Vec<TimelineEntry>>, PortError> {
        let Some((born, next)) = millisecond_of(id) else { return Ok(Unrecorded::new(Vec::new())) };
        let query = consultation_timeline::table
            .filter(consultation_timeline::consultation_id.eq(id.as_uuid()))
            .filter(consultation_timeline::consultation_created_at.ge(born.to_diesel()))
            .filter(consultation_timeline::consultation_created_at.lt(next.to_diesel()))
            .order(consultation_timeline::version.asc())
            .select(TimelineRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<TimelineRow>(conn.raw()?)).await;
        let lines = conn.settle(result)?.into_iter().map(|row| row.into_entry(id));
        Ok(Unrecorded::new(lines.collect::<Result<_, _>>()?))
    }

    async fn expired_holds(&self, now: Timestamp, limit: u16) -> Result<Vec<ConsultationId>, PortError> {
        let query = consultations::table
            .filter(consultations::status.eq(ConsultationStatus::Pending.as_str()))
            .filter(consultations::hold_expires_at.assume_not_null().le(now.to_diesel()))
            .order(consultations::hold_expires_at.asc())
            .limit(i64::from(limit))
            .select(consultations::id);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<Uuid>(conn.raw()?)).await;
        Ok(conn.settle(result)?.into_iter().map(ConsultationId::from_uuid).collect())
    }
}

impl Postgres {
    /// For the stores of this adapter, which show nothing of it.
    pub(crate) async fn visit_view(&self, id: ConsultationId) -> Result<Option<ConsultationView>, PortError> {
        let Some(partition) = in_partition_of(id) else { return Ok(None) };
        let query = views().filter(consultations::id.eq(id.as_uuid())).filter(partition);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<ViewRow>(conn.raw()?)).await;
        conn.settle(result.optional())?.map(view).transpose()
    }
}

pub(crate) fn claim_columns(claim: Option<&IdempotencyClaim>) -> (Option<Uuid>, Option<&str>) {
    (claim.map(|claim| claim.caller.as_uuid()), claim.map(|claim| claim.key.as_str()))
}

/// The millisecond in a UUIDv7: the bounds of `created_at`, which name the partition. Nothing of ours was made after the
/// year 9999, where the calendar ends.
pub(crate) fn millisecond_of(id: ConsultationId) -> Option<(Timestamp, Timestamp)> {
    let (millis, _) = id.as_uuid().as_u64_pair();
    let born = Timestamp::from_millisecond(i64::try_from(millis >> 16).ok()?).ok()?;
    Some((born, born.checked_add(SignedDuration::from_millis(1)).ok()?))
}

type ById = diesel::dsl::And<
    diesel::dsl::GtEq<consultations::created_at, jiff_diesel::Timestamp>,
    diesel::dsl::Lt<consultations::created_at, jiff_diesel::Timestamp>,
>;

fn in_partition_of(id: ConsultationId) -> Option<ById> {
    let (born, next) = millisecond_of(id)?;
    Some(consultations::created_at.ge(born.to_diesel()).and(consultations::created_at.lt(next.to_diesel())))
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::doctors)]
struct ViewDoctorRow {
    account_id: Uuid,
    full_name: String,
    council: String,
    registration_number: String,
    qualifications: Vec<String>,
}

type ViewRow = (ConsultationRow, ViewDoctorRow);

#[diesel::dsl::auto_type]
fn views() -> _ {
    let row: diesel::dsl::AsSelect<(ConsultationRow, ViewDoctorRow), diesel::pg::Pg> = ViewRow::as_select();
    consultations::table.inner_join(doctors::table).select(row)
}

fn view((row, doctor): ViewRow) -> Result<ConsultationView, PortError> {
    Ok(ConsultationView {
        consultation: row.try_into()?,
        doctor_account: AccountId::from_uuid(doctor.account_id),
        doctor_name: doctor.full_name,
        doctor_council: doctor.council,
        doctor_registration: doctor.registration_number,
        doctor_qualifications: doctor.qualifications,
    })
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::consultation_timeline)]
struct TimelineRow {
    version: i64,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    at: Timestamp,
    kind: String,
    from_status: Option<String>,
    to_status: String,
    slot_id: Uuid,
    actor: String,
    cause: String,
    event_id: Uuid,
    correlation_id: String,
}

impl TimelineRow {
    fn into_entry(self, consultation: ConsultationId) -> Result<TimelineEntry, PortError> {
        Ok(TimelineEntry {
            consultation,
            version: self.version,
            at: self.at,
            kind: self.kind.parse().map_err(unreadable)?,
            from: self.from_status.as_deref().map(str::parse).transpose().map_err(unreadable)?,
            to: self.to_status.parse().map_err(unreadable)?,
            slot: SlotId::from_uuid(self.slot_id),
            actor: self.actor,
            cause: self.cause,
            event: EventId::from_uuid(self.event_id),
            correlation_id: self.correlation_id.parse().map_err(unreadable)?,
        })
    }
}
