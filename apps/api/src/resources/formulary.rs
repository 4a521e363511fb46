//! What may be prescribed, for those who prescribe.

use super::shared::SystemWord;
use crate::{
    http::{Caller, Cursors, Fields, Paging, Query, json_answer, next_link},
    problem::Problem,
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    http::{StatusCode, header::LINK},
    web::Data,
};
use amrutam_clinical::{
    model::{Form, FormularyFilter, FormularyItem, ItemCode, PrescribingList},
    use_cases::{self, FoundItems},
};
use amrutam_kernel::PageRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

const MAX_TEXT_CHARS: usize = 100;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(search);
}

/// Which preparations.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FormularyQuery {
    /// Words of a code, a name (in IAST, without its diacritics, or in Devanagari) or an ingredient; each of them must be found.
    #[param(max_length = 100)]
    q: Option<String>,
    /// `vati`, `churna`, `taila`, ...
    form: Option<String>,
    /// `O`, `A`, `B`, `prohibited`.
    list: Option<String>,
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// The reference dose of a preparation, for an adult.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReferenceDose)]
pub(crate) struct DoseView {
    /// The least single dose, in decimal.
    min: String,
    /// The most.
    max: String,
    unit: &'static str,
    max_times_per_day: u8,
}

/// A preparation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FormularyItem, example = json!({
    "code": "AYU-CHU-005", "name": "Avipattikara Cūrṇa", "name_devanagari": "अविपत्तिकर चूर्ण", "system": "ayurveda", "form": "churna",
    "list": "O", "key_ingredients": ["trivrit"], "schedule_e1": false, "ndps": false, "schedule_x": false, "mineral": false,
    "pregnancy": "caution", "min_age_years": 12, "dose": {"min": "3", "max": "6", "unit": "g", "max_times_per_day": 2},
    "external": false, "reference": "AFI Part I"
}))]
pub(crate) struct FormularyItemView {
    code: String,
    /// In IAST.
    name: String,
    name_devanagari: String,
    #[schema(value_type = SystemWord)]
    system: &'static str,
    form: &'static str,
    /// `O`, `A`, `B`, `prohibited`.
    list: &'static str,
    key_ingredients: Vec<String>,
    /// Contains a poison of Schedule E(1).
    schedule_e1: bool,
    /// Contains a narcotic or psychotropic.
    ndps: bool,
    /// Contains what Schedule X names.
    schedule_x: bool,
    /// Contains minerals or metals.
    mineral: bool,
    /// `used`, `caution`, `avoid`, `unknown`.
    pregnancy: &'static str,
    min_age_years: u16,
    #[schema(required)]
    dose: Option<DoseView>,
    /// For the outside only.
    external: bool,
    /// Where it is described.
    reference: String,
}

/// A page of the formulary in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FormularyPage, example = json!({"version": "ayurveda-1", "items": [], "next_cursor": null}))]
pub(crate) struct FormularyPageView {
    /// Of the formulary: the one by which a prescription would be decided now.
    version: String,
    items: Vec<FormularyItemView>,
    #[schema(required)]
    next_cursor: Option<String>,
}

impl From<FormularyItem> for FormularyItemView {
    fn from(item: FormularyItem) -> Self {
        Self {
            code: item.code.into(),
            name: item.name,
            name_devanagari: item.name_deva,
            system: item.system.as_str(),
            form: item.form.as_str(),
            list: item.list.as_str(),
            key_ingredients: item.key_ingredients,
            schedule_e1: item.schedule_e1,
            ndps: item.ndps,
            schedule_x: item.schedule_x,
            mineral: item.mineral,
            pregnancy: item.pregnancy.as_str(),
            min_age_years: item.min_age_years,
            dose: item.dose.map(|dose| DoseView {
                min: dose.min.to_string(),
                max: dose.max.to_string(),
                unit: dose.unit.as_str(),
                max_times_per_day: dose.max_times_per_day,
            }),
            external: item.external,
            reference: item.reference,
        }
    }
}

/// Looks up preparations in the formulary in force, by code.
#[utoipa::path(tag = "Clinical", operation_id = "search_formulary", params(FormularyQuery), security(("bearer" = [])),
    responses(
    (status = 200, description = "A page", body = FormularyPageView),
    (status = 403, description = "`forbidden`: for doctors"),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/formulary")]
async fn search(
    caller: Caller,
    request: HttpRequest,
    query: Query<FormularyQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = query.value.cursors();
    let (filter, page) = query.value.parse(&cursors)?;
    let FoundItems { version, page } =
        use_cases::search_formulary(services.clinical(), &caller.0, &filter, page).await?;
    let next_cursor = page.next.map(|code| cursors.text(code));
    let link = next_cursor.as_deref().and_then(|cursor| next_link(request.path(), &query.raw, cursor));
    let items = page.items.into_iter().map(FormularyItemView::from).collect();
    let mut response = json_answer(StatusCode::OK, &FormularyPageView { version, items, next_cursor });
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

impl FormularyQuery {
    fn cursors(&self) -> Cursors {
        Cursors::new("formulary", &[self.q.as_deref(), self.form.as_deref(), self.list.as_deref()])
    }

    fn parse(&self, cursors: &Cursors) -> Result<(FormularyFilter, PageRequest<ItemCode>), Problem> {
        let mut fields = Fields::of_query();
        let text = self.q.clone();
        let fits = text.as_ref().is_none_or(|text| text.chars().count() <= MAX_TEXT_CHARS);
        fields.check(fits, "/q", "out_of_range", "at most 100 characters");
        let form = self.form.as_deref().and_then(|word| fields.parse::<Form>("/form", "unknown_value", word));
        let list =
            self.list.as_deref().and_then(|word| fields.parse::<PrescribingList>("/list", "unknown_value", word));
        let limit = Paging::limit(&mut fields, self.limit.as_deref());
        fields.finish()?;
        let page = PageRequest { limit, after: cursors.key(self.cursor.as_deref())? };
        Ok((FormularyFilter { text, form, list }, page))
    }
}
