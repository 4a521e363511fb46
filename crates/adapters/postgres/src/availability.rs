//! Rules, absences and the slots made of them.

use crate::{
    effects::{EffectRows, verdict},
    error::unreadable,
    functions,
    pool::{Postgres, bounded},
    rows::{DoctorRow, SlotRow, mode_words, modes, range},
    schema::{availability, availability_rules, doctors, slots, time_off},
};
use amrutam_booking::{
    model::{Mode, Slot, TimeOff, WeeklyRule},
    ports::{AvailabilityChanges, AvailabilitySnapshot, AvailabilityStore, ByStart},
};
use amrutam_kernel::{CommitError, DoctorId, Page, PageRequest, PortError, SlotId, TimeOffId, TimeRange};
use async_trait::async_trait;
use diesel::{OptionalExtension, dsl::exists, prelude::*};
use diesel_async::RunQueryDsl;
use jiff::{
    Timestamp,
    civil::{Date, Time, Weekday},
};
use jiff_diesel::ToDiesel;
use serde_json::{Value, json};
use uuid::Uuid;

#[derive(Queryable, Selectable)]
#[diesel(table_name = crate::schema::availability_rules)]
struct RuleRow {
    weekday: i16,
    #[diesel(deserialize_as = jiff_diesel::Time)]
    start_time: Time,
    #[diesel(deserialize_as = jiff_diesel::Time)]
    end_time: Time,
    slot_minutes: i32,
    buffer_minutes: i32,
    modes: Vec<String>,
    #[diesel(deserialize_as = jiff_diesel::NullableDate)]
    valid_from: Option<Date>,
    #[diesel(deserialize_as = jiff_diesel::NullableDate)]
    valid_until: Option<Date>,
}

impl TryFrom<RuleRow> for WeeklyRule {
    type Error = PortError;
    fn try_from(row: RuleRow) -> Result<Self, PortError> {
        let weekday = i8::try_from(row.weekday).map_err(unreadable)?;
        Ok(Self {
            weekday: Weekday::from_monday_one_offset(weekday).map_err(unreadable)?,
            start: row.start_time,
            end: row.end_time,
            slot_minutes: u16::try_from(row.slot_minutes).map_err(unreadable)?,
            buffer_minutes: u16::try_from(row.buffer_minutes).map_err(unreadable)?,
            modes: modes(&row.modes)?,
            valid_from: row.valid_from,
            valid_until: row.valid_until,
        })
    }
}

fn rule_to_json(rule: &WeeklyRule) -> Value {
    json!({
        "weekday": rule.weekday.to_monday_one_offset(),
        "start_time": rule.start,
        "end_time": rule.end,
        "slot_minutes": rule.slot_minutes,
        "buffer_minutes": rule.buffer_minutes,
        "modes": mode_words(&rule.modes),
        "valid_from": rule.valid_from,
        "valid_until": rule.valid_until,
    })
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = crate::schema::time_off)]
struct TimeOffRow {
    id: Uuid,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    starts_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    ends_at: Timestamp,
    note: Option<String>,
}

#[async_trait]
impl AvailabilityStore for Postgres {
    /// Four reads, not one snapshot: whatever changes between them raises the version or a slot's, and the commit refuses.
    /// The version is read first, so that a change is never missed.
    async fn load(&self, doctor: DoctorId, now: Timestamp) -> Result<Option<AvailabilitySnapshot>, PortError> {
        let id = doctor.as_uuid();
        let mut conn = self.connection().await?;
        let limit = conn.limit();
        let raw = conn.raw()?;
        let result = bounded(limit, async {
            let state = availability::table
                .find(id)
                .select((availability::version, availability::generated_until))
                .first::<(i64, jiff_diesel::Date)>(raw)
                .await
                .optional()?;
            let practitioner = doctors::table.find(id).select(DoctorRow::as_select()).first(raw).await.optional()?;
            let rules = availability_rules::table
                .filter(availability_rules::doctor_id.eq(id))
                .order(availability_rules::position.asc())
                .select(RuleRow::as_select())
                .load(raw)
                .await?;
            let absences = time_off::table
                .filter(time_off::doctor_id.eq(id))
                .filter(time_off::ends_at.gt(now.to_diesel()))
                .order((time_off::starts_at.asc(), time_off::id.asc()))
                .select(TimeOffRow::as_select())
                .load(raw)
                .await?;
            Ok((state, practitioner, rules, absences))
        })
        .await;
        let (state, practitioner, rules, absences) = conn.settle(result)?;
        let Some(practitioner) = practitioner else { return Ok(None) };
        let absence = |row: TimeOffRow| {
            Ok(TimeOff { id: TimeOffId::from_uuid(row.id), range: range(row.starts_at, row.ends_at)?, note: row.note })
        };
        Ok(Some(AvailabilitySnapshot {
            practitioner: practitioner.try_into()?,
            rules: rules.into_iter().map(WeeklyRule::try_from).collect::<Result<_, _>>()?,
            version: state.map_or(0, |(version, _)| version),
            time_off: absences.into_iter().map(absence).collect::<Result<_, PortError>>()?,
            generated_until: state.map(|(_, until)| until.to_jiff()),
        }))
    }

    async fn slots(&self, doctor: DoctorId, range: TimeRange) -> Result<Vec<Slot>, PortError> {
        let query = slots::table
            .filter(slots::doctor_id.eq(doctor.as_uuid()))
            .filter(slots::withdrawn.eq(false))
            .filter(slots::starts_at.ge(range.start().to_diesel()))
            .filter(slots::starts_at.lt(range.end().to_diesel()))
            .order((slots::starts_at.asc(), slots::id.asc()))
            .select(SlotRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<SlotRow>(conn.raw()?)).await;
        conn.settle(result)?.into_iter().map(Slot::try_from).collect()
    }

    async fn open_slots(
        &self,
        doctor: DoctorId,
        range: TimeRange,
        mode: Option<Mode>,
        now: Timestamp,
        page: PageRequest<ByStart<SlotId>>,
    ) -> Result<Page<Slot, ByStart<SlotId>>, PortError> {
        let from = range.start().max(now);
        // Outside the rules, a slot is withdrawn when its hold is cleared away.
        let run_out = slots::status
            .eq("booked")
            .and(slots::held_until.le(now.to_diesel()).assume_not_null())
            .and(slots::outside_rules.eq(false));
        let mut query = slots::table
            .filter(slots::doctor_id.eq(doctor.as_uuid()))
            .filter(slots::withdrawn.eq(false))
            .filter(slots::starts_at.ge(from.to_diesel()))
            .filter(slots::starts_at.gt(now.to_diesel()))
            .filter(slots::starts_at.lt(range.end().to_diesel()))
            .filter(slots::status.eq("open").or(run_out))
            .select(SlotRow::as_select())
            .into_boxed();
        if let Some(mode) = mode {
            query = query.filter(slots::modes.contains(vec![mode.as_str().to_owned()]));
        }
        if let Some((start, id)) = page.after {
            let start = start.to_diesel();
            query =
                query.filter(slots::starts_at.gt(start).or(slots::starts_at.eq(start).and(slots::id.gt(id.as_uuid()))));
        }
        let query = query.order((slots::starts_at.asc(), slots::id.asc())).limit(i64::from(page.limit.get()) + 1);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<SlotRow>(conn.raw()?)).await;
        let found = conn.settle(result)?.into_iter().map(Slot::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(found, page.limit, |last| (last.range.start(), last.id)))
    }

    async fn commit(&self, changes: &AvailabilityChanges) -> Result<(), CommitError> {
        let argument = changes_to_json(changes).map_err(|error| CommitError::Port(unreadable(error)))?;
        let mut conn = self.connection().await?;
        let query = diesel::select(functions::commit_availability(argument));
        let result = bounded(conn.limit(), query.get_result::<String>(conn.raw()?)).await;
        match conn.settle(result) {
            Ok(word) => verdict(&word),
            Err(error) if error.violated() == Some("slots_do_not_overlap") => Err(CommitError::Stale),
            Err(error) => Err(error.into()),
        }
    }

    async fn due_for_extension(&self, until: Date, limit: u16) -> Result<Vec<DoctorId>, PortError> {
        let query = availability::table
            .filter(availability::generated_until.lt(until.to_diesel()))
            .filter(exists(availability_rules::table.filter(availability_rules::doctor_id.eq(availability::doctor_id))))
            .order(availability::doctor_id.asc())
            .limit(i64::from(limit))
            .select(availability::doctor_id);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<Uuid>(conn.raw()?)).await;
        Ok(conn.settle(result)?.into_iter().map(DoctorId::from_uuid).collect())
    }
}

fn changes_to_json(changes: &AvailabilityChanges) -> Result<Value, serde_json::Error> {
    let time_off = changes.add_time_off.iter().map(
        |off| json!({ "id": off.id, "starts_at": off.range.start(), "ends_at": off.range.end(), "note": off.note }),
    );
    let create = changes.plan.create.iter().zip(&changes.new_slots).map(|(slot, id)| {
        json!({
            "id": id,
            "starts_at": slot.range.start(),
            "ends_at": slot.range.end(),
            "modes": mode_words(&slot.modes),
        })
    });
    let withdraw = changes.plan.withdraw.iter().map(|(id, version)| json!({ "id": id, "version": version }));
    let mark = changes
        .plan
        .mark
        .iter()
        .map(|(id, version, outside)| json!({ "id": id, "version": version, "outside": outside }));
    Ok(json!({
        "doctor_id": changes.doctor,
        "expected_version": changes.expected_version,
        "generated_until": changes.generated_until,
        "rules": changes.rules.as_ref().map(|rules| rules.iter().map(rule_to_json).collect::<Vec<_>>()),
        "add_time_off": time_off.collect::<Vec<_>>(),
        "remove_time_off": changes.remove_time_off,
        "withdraw": withdraw.collect::<Vec<_>>(),
        "mark": mark.collect::<Vec<_>>(),
        "create": create.collect::<Vec<_>>(),
        "effects": EffectRows::of(&[&changes.effects]),
    }))
}
