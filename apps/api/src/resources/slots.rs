//! The public list of open slots.

use super::shared::{MODES, ModeWord, SlotView};
use crate::{
    http::{Cursors, Fields, Listing, Paging, Query, Visitor, cacheable, path_id},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    web::{Data, Path},
};
use amrutam_booking::{
    model::{Mode, SlotStatus},
    ports::ByStart,
    use_cases,
};
use amrutam_kernel::{DoctorId, PageRequest, SlotId, TimeRange};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;

const DEFAULT_RANGE: SignedDuration = SignedDuration::from_hours(24 * 7);
const MAX_RANGE: SignedDuration = SignedDuration::from_hours(24 * 92);
/// Slots go at any moment; this only takes the edge off a crowd.
const SLOTS_SECONDS: u32 = 5;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(list);
}

/// Which slots.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SlotQuery {
    /// Starting at or after; now unless said.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Starting before; 7 days after `from` unless said, at most 92.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// Offered in this mode.
    #[param(value_type = Option<ModeWord>)]
    mode: Option<String>,
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Open slots of a listed doctor, by start.
#[utoipa::path(tag = "Availability", operation_id = "list_slots",
    params(("doctor_id" = Uuid, Path, description = "Which doctor"), SlotQuery), responses(
    (status = 200, description = "A page of open slots", body = Listing<SlotView>),
    (status = 304, description = "Unchanged"),
    (status = 404, description = "`not_found`: no listed doctor"),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/doctors/{doctor_id}/slots")]
async fn list(
    request: HttpRequest,
    visitor: Visitor,
    path: Path<String>,
    query: Query<SlotQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let doctor: DoctorId = path_id(&path)?;
    let cursors = query.value.cursors(&path);
    let (range, mode, page) = query.value.parse(services.clock.now(), &cursors)?;
    let page = use_cases::list_open_slots(services.availability(), &visitor.0, doctor, range, mode, page).await?;
    let next_cursor = page.next.map(|key| cursors.text(key));
    // A hold that ran out is open to whoever asks, whether or not the sweeper has come by.
    let view = |slot| SlotView { status: SlotStatus::Open.as_str(), ..SlotView::from(slot) };
    let answer = Listing { items: page.items.iter().map(view).collect(), next_cursor }.respond(&request, &query.raw);
    Ok(cacheable(&request, visitor.is_signed_in(), SLOTS_SECONDS, answer))
}

type SlotPage = PageRequest<ByStart<SlotId>>;

impl SlotQuery {
    fn cursors(&self, doctor: &str) -> Cursors {
        Cursors::new("slots", &[Some(doctor), self.from.as_deref(), self.to.as_deref(), self.mode.as_deref()])
    }

    fn parse(&self, now: Timestamp, cursors: &Cursors) -> Result<(TimeRange, Option<Mode>, SlotPage), Problem> {
        let mut fields = Fields::of_query();
        let from = self.from.as_deref().map_or(Some(now), |text| fields.time("/from", text));
        let to = match (&self.to, from) {
            (Some(text), _) => fields.time("/to", text),
            (None, Some(from)) => from.checked_add(DEFAULT_RANGE).ok(),
            (None, None) => None,
        };
        let mode = self.mode.as_deref().and_then(|word| fields.word("/mode", MODES, word));
        let limit = Paging::limit(&mut fields, self.limit.as_deref());
        let (Some(from), Some(to)) = (from, to) else { return Err(fields.into_problem()) };
        let Some(range) = TimeRange::new(from, to) else {
            fields.refuse("/to", "not_after_from", "after from");
            return Err(fields.into_problem());
        };
        fields.check(to.duration_since(from) <= MAX_RANGE, "/to", "out_of_range", "at most 92 days after from");
        fields.finish()?;
        Ok((range, mode, PageRequest { limit, after: cursors.key(self.cursor.as_deref())? }))
    }
}
