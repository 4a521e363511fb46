//! A doctor's weekly working hours.

use super::shared::{ModeWord, Time, WeekdayWord, mode_words, parse_modes};
use crate::{
    http::{Body, Caller, Fields, Integer, Object, entity, if_match, path_id},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::StatusCode,
    put,
    web::{Data, Path},
};
use amrutam_booking::{
    model::{Slot, WeeklyRule},
    use_cases::{self, AvailabilityState},
};
use amrutam_kernel::{ConsultationId, SlotId};
use jiff::civil::{Date, Time as LocalTime, Weekday};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(read).service(replace);
}

/// Hours on one weekday, in the doctor's own zone, cut into slots.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WeeklyRule, example = json!({
    "weekday": "monday", "start": "09:00", "end": "13:00", "slot_minutes": 20, "buffer_minutes": 5, "modes": ["video", "audio"]
}))]
pub(crate) struct RuleDto {
    #[schema(value_type = WeekdayWord)]
    weekday: String,
    /// Local time of the first slot, `HH:MM`.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    start: String,
    /// Local time by which the last slot has ended, `HH:MM`, on the same day.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    end: String,
    #[schema(value_type = u16, minimum = 5, maximum = 240)]
    slot_minutes: Integer,
    /// Pause after each slot.
    #[serde(default)]
    #[schema(value_type = u16, minimum = 0, maximum = 120)]
    buffer_minutes: Integer,
    #[schema(value_type = Vec<ModeWord>)]
    modes: Vec<String>,
    /// First day it applies to.
    #[schema(format = Date)]
    valid_from: Option<String>,
    /// Last day it applies to, inclusive.
    #[schema(format = Date)]
    valid_until: Option<String>,
}

/// All rules; they replace the ones there are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAvailabilityRequest {
    #[schema(value_type = Vec<RuleDto>)]
    rules: Vec<Object<RuleDto>>,
}

/// A booked slot that no longer fits the rules: it stands, and a person decides.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BookingOutsideRules)]
pub(crate) struct OutsideRulesView {
    #[schema(value_type = Uuid)]
    slot_id: SlotId,
    #[schema(value_type = Option<Uuid>)]
    consultation_id: Option<ConsultationId>,
    starts_at: Time,
    ends_at: Time,
}

/// What a change did to the slots.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SlotChanges)]
pub(crate) struct SlotChangesView {
    /// Made.
    pub(crate) created: usize,
    /// Open ones no longer offered.
    pub(crate) withdrawn: usize,
}

/// Working hours, and what stands outside them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Availability, example = json!({
    "time_zone": "Asia/Kolkata",
    "rules": [{
        "weekday": "monday", "start": "09:00", "end": "13:00", "slot_minutes": 20, "buffer_minutes": 5,
        "modes": ["video", "audio"], "valid_from": null, "valid_until": null
    }],
    "outside_rules": [{
        "slot_id": "019aaf00-0000-7000-8000-000000000003",
        "consultation_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f",
        "starts_at": "2026-11-23T03:30:00.000000Z", "ends_at": "2026-11-23T03:50:00.000000Z"
    }],
    "slots": {"created": 96, "withdrawn": 0},
    "version": 3
}))]
pub(crate) struct AvailabilityView {
    /// The zone the rules are local to; part of the profile.
    time_zone: String,
    rules: Vec<RuleDto>,
    /// Bookings outside the rules.
    outside_rules: Vec<OutsideRulesView>,
    /// Of a change: what it did to the slots.
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<SlotChangesView>,
    /// Rises with every change to rules or time off; also the `ETag`.
    version: i64,
}

/// The rules, and the bookings that stand outside them.
#[utoipa::path(tag = "Availability", operation_id = "read_availability", security(("bearer" = [])),
    params(("doctor_id" = Uuid, Path, description = "Which doctor")), responses(
    (status = 200, description = "The rules", body = AvailabilityView),
    (status = 403, description = "`forbidden`: for the doctor and admins"),
    (status = 404, description = "`not_found`"),
))]
#[get("/v1/doctors/{doctor_id}/availability")]
async fn read(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let state = use_cases::read_availability(services.availability(), &caller.0, path_id(&path)?).await?;
    Ok(entity(StatusCode::OK, state.version, None, &AvailabilityView::of(&state, false)))
}

/// Replaces the rules.
///
/// Open slots follow at once. Booked ones are never touched: those that now stand outside the rules are named.
#[utoipa::path(tag = "Availability", operation_id = "set_availability", request_body = SetAvailabilityRequest,
    security(("bearer" = [])),
    params(("doctor_id" = Uuid, Path, description = "Which doctor"),
        ("If-Match" = Option<String>, Header, description = "The `ETag` that was read; a stale one is refused")),
    responses(
    (status = 200, description = "Replaced", body = AvailabilityView),
    (status = 403, description = "`forbidden`"),
    (status = 404, description = "`not_found`"),
    (status = 412, description = "`precondition_failed`"),
    (status = 422, description = "`validation_failed`: each invalid rule is named"),
))]
#[put("/v1/doctors/{doctor_id}/availability")]
async fn replace(
    caller: Caller,
    request: HttpRequest,
    path: Path<String>,
    body: Body<SetAvailabilityRequest>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let doctor = path_id(&path)?;
    let rules = body.value.parse()?;
    let versions = if_match(&request);
    let state =
        use_cases::set_availability(services.availability(), &caller.0, doctor, rules, versions.as_deref()).await?;
    Ok(entity(StatusCode::OK, state.version, None, &AvailabilityView::of(&state, true)))
}

impl AvailabilityView {
    fn of(state: &AvailabilityState, changed: bool) -> Self {
        Self {
            time_zone: state.time_zone.clone(),
            rules: state.rules.iter().map(RuleDto::of).collect(),
            outside_rules: outside(state),
            slots: changed.then(|| slot_changes(state)),
            version: state.version,
        }
    }
}

/// What a change did.
pub(crate) fn slot_changes(state: &AvailabilityState) -> SlotChangesView {
    SlotChangesView { created: state.slots_created, withdrawn: state.slots_withdrawn }
}

/// The bookings that stand outside.
pub(crate) fn outside(state: &AvailabilityState) -> Vec<OutsideRulesView> {
    let view = |slot: &Slot| OutsideRulesView {
        slot_id: slot.id,
        consultation_id: slot.consultation,
        starts_at: Time(slot.range.start()),
        ends_at: Time(slot.range.end()),
    };
    state.outside.iter().map(view).collect()
}

impl SetAvailabilityRequest {
    fn parse(&self) -> Result<Vec<WeeklyRule>, Problem> {
        let mut fields = Fields::default();
        let rules = self
            .rules
            .iter()
            .enumerate()
            .map(|(index, Object(rule))| rule.parse(&mut fields, &format!("/rules/{index}")));
        let rules: Vec<_> = rules.collect();
        let rules: Option<Vec<_>> = rules.into_iter().collect();
        match rules {
            Some(rules) => fields.finish().map(|()| rules),
            None => Err(fields.into_problem()),
        }
    }
}

impl RuleDto {
    fn of(rule: &WeeklyRule) -> Self {
        let weekday = WEEKDAYS.iter().find(|(_, day)| *day == rule.weekday).map_or("", |(word, _)| word);
        Self {
            weekday: weekday.to_owned(),
            start: rule.start.strftime("%H:%M").to_string(),
            end: rule.end.strftime("%H:%M").to_string(),
            slot_minutes: Integer(rule.slot_minutes.into()),
            buffer_minutes: Integer(rule.buffer_minutes.into()),
            modes: mode_words(&rule.modes).into_iter().map(str::to_owned).collect(),
            valid_from: rule.valid_from.map(|date| date.to_string()),
            valid_until: rule.valid_until.map(|date| date.to_string()),
        }
    }

    fn parse(&self, fields: &mut Fields, at: &str) -> Option<WeeklyRule> {
        let weekday = WEEKDAYS.iter().find(|(word, _)| *word == self.weekday).map(|(_, day)| *day);
        if weekday.is_none() {
            fields.refuse(format!("{at}/weekday"), "unknown_value", "one of monday to sunday");
        }
        let start = local_time(fields, &format!("{at}/start"), &self.start);
        let end = local_time(fields, &format!("{at}/end"), &self.end);
        let modes = parse_modes(fields, &format!("{at}/modes"), &self.modes);
        let valid_from = optional_date(fields, &format!("{at}/valid_from"), self.valid_from.as_deref());
        let valid_until = optional_date(fields, &format!("{at}/valid_until"), self.valid_until.as_deref());
        Some(WeeklyRule {
            weekday: weekday?,
            start: start?,
            end: end?,
            slot_minutes: minutes(self.slot_minutes),
            buffer_minutes: minutes(self.buffer_minutes),
            modes: modes?,
            valid_from: valid_from?,
            valid_until: valid_until?,
        })
    }
}

/// The domain knows the ranges; what does not fit the type is outside of each of them.
fn minutes(Integer(number): Integer) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

fn local_time(fields: &mut Fields, pointer: &str, text: &str) -> Option<LocalTime> {
    let time = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2);
    let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i8>().ok()).flatten();
    let time = time.and_then(|(hour, minute)| LocalTime::new(number(hour)?, number(minute)?, 0, 0).ok());
    if time.is_none() {
        fields.refuse(pointer, "invalid_time", "a local time HH:MM");
    }
    time
}

fn optional_date(fields: &mut Fields, pointer: &str, text: Option<&str>) -> Option<Option<Date>> {
    text.map_or(Some(None), |text| fields.date(pointer, text).map(Some))
}
