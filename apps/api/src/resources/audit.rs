//! The audit trail, for auditors: entries, proofs, checkpoints, exports.

use super::shared::Time;
use crate::{
    http::{Caller, Cursors, Fields, JSON, Listing, Paging, Query, json, path_id},
    problem::{Code, Problem},
    services::Services,
};
use actix_web::{
    HttpRequest, HttpResponse, get,
    web::{Data, Path},
};
use amrutam_audit::{
    ReadError,
    model::Placed,
    ports::{ByTime, EntryFilter, Witnessed},
    use_cases,
};
use amrutam_kernel::{AccountId, AuditEntryId, CorrelationId, PageRequest, is_audit_word, is_object_id};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// Routes.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config.service(events).service(prove).service(checkpoints).service(consistency).service(export);
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Denied(denial) => denial.into(),
            ReadError::NotFound => Code::NotFound.into(),
            ReadError::OutOfRange(range) => Self::new(Code::ValidationFailed).detail(range.to_string()),
            ReadError::AlreadyRaised => Code::ObjectionRaised.into(),
            ReadError::Port(error) => error.into(),
        }
    }
}

/// Which entries; those that match all that is said.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Done by this account.
    #[param(value_type = Option<uuid::Uuid>)]
    actor: Option<String>,
    /// About this person's data.
    #[param(value_type = Option<uuid::Uuid>)]
    patient: Option<String>,
    /// On this object: `consultation:019aaf00-0000-7000-8000-000000000007`.
    #[param(pattern = "^[a-z_]{1,40}:[0-9A-Za-z_.:/+-]{0,80}$")]
    resource: Option<String>,
    /// Of this action: `consultation.read`.
    #[param(pattern = "^[a-z_]{1,40}[.][a-z_]{1,40}$")]
    action: Option<String>,
    /// Of this flow: what `X-Correlation-Id` said.
    correlation_id: Option<String>,
    /// At or after.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Before.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl EventQuery {
    fn cursors(&self) -> Cursors {
        let filters =
            [&self.actor, &self.patient, &self.resource, &self.action, &self.correlation_id, &self.from, &self.to];
        Cursors::new("audit", &filters.map(Option::as_deref))
    }

    fn filter(&self, fields: &mut Fields) -> EntryFilter {
        let actor = self.actor.as_deref().and_then(|text| fields.id::<AccountId>("/actor", text));
        let patient = self.patient.as_deref().and_then(|text| fields.id::<AccountId>("/patient", text));
        // What is looked for is on the record itself: only what can stand there is taken.
        let resource = self.resource.as_deref().and_then(|text| text.split_once(':'));
        let resource = resource.filter(|(kind, id)| is_audit_word(kind) && is_object_id(id));
        fields.check(resource.is_some() == self.resource.is_some(), "/resource", "invalid", "kind:id");
        let is_action = |text: &str| {
            text.split_once('.').is_some_and(|(noun, verb)| [noun, verb].iter().all(|word| is_audit_word(word)))
        };
        fields.check(self.action.as_deref().is_none_or(is_action), "/action", "invalid", "noun.verb");
        let flow = self.correlation_id.as_deref();
        let flow = flow.and_then(|text| fields.parse::<CorrelationId>("/correlation_id", "invalid", text));
        let time = |fields: &mut Fields, pointer, text: &Option<String>| {
            text.as_deref().and_then(|text| fields.time(pointer, text))
        };
        let (from, to) = (time(fields, "/from", &self.from), time(fields, "/to", &self.to));
        let ordered = !matches!((from, to), (Some(from), Some(to)) if to <= from);
        fields.check(ordered, "/to", "not_after_from", "after from");
        EntryFilter {
            actor,
            patient,
            resource: resource.map(|(kind, id)| (kind.to_owned(), id.to_owned())),
            action: self.action.clone(),
            correlation_id: flow.map(|flow| flow.to_string()),
            from,
            to,
        }
    }

    fn parse(&self, cursors: &Cursors) -> Result<(EntryFilter, PageRequest<ByTime>), Problem> {
        let mut fields = Fields::of_query();
        let filter = self.filter(&mut fields);
        let limit = Paging::limit(&mut fields, self.limit.as_deref());
        fields.finish()?;
        Ok((filter, PageRequest { limit, after: cursors.key(self.cursor.as_deref())? }))
    }
}

/// An entry of the trail: opaque ids only.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent, example = json!({
    "index": 4711, "id": "019aaf00-0000-7000-8000-00000000000b", "occurred_at": "2026-11-22T08:15:00.123456Z",
    "actor": "doctor:019aaf00-0000-7000-8000-000000000001", "actor_id": "019aaf00-0000-7000-8000-000000000001", "role": "doctor",
    "purpose": "treatment", "action": "consultation.read", "resource_kind": "consultation",
    "resource_id": "019aaf00-0000-7000-8000-000000000007", "patient_id": "019aaf00-0000-7000-8000-000000000004",
    "outcome": "allowed", "correlation_id": "019aaf00-0000-7000-8000-00000000000c", "origin": "203.0.113.0/24", "ruleset": null,
    "break_glass": false
}))]
pub(crate) struct EventView {
    /// Its place in the log, from 0.
    index: u64,
    #[schema(value_type = uuid::Uuid)]
    id: AuditEntryId,
    occurred_at: Time,
    /// `role:id`, `system:name` or `anonymous`.
    actor: String,
    #[schema(value_type = Option<uuid::Uuid>)]
    actor_id: Option<AccountId>,
    role: String,
    /// What for.
    purpose: String,
    /// `noun.verb`.
    action: String,
    resource_kind: String,
    /// Empty when no single one was reached.
    resource_id: String,
    /// Whose data it is.
    #[schema(value_type = Option<uuid::Uuid>)]
    patient_id: Option<AccountId>,
    /// `allowed`, `denied`, `failed`.
    outcome: String,
    correlation_id: String,
    /// The caller's network, not their address.
    origin: Option<String>,
    /// The version of the rules it was decided by.
    ruleset: Option<String>,
    break_glass: bool,
}

impl From<Placed> for EventView {
    fn from(Placed { index, entry }: Placed) -> Self {
        Self {
            index,
            id: entry.id,
            occurred_at: Time(entry.occurred_at),
            actor: entry.actor,
            actor_id: entry.actor_id,
            role: entry.role,
            purpose: entry.purpose,
            action: entry.action,
            resource_kind: entry.resource_kind,
            resource_id: entry.resource_id,
            patient_id: entry.patient_id,
            outcome: entry.outcome,
            correlation_id: entry.correlation_id,
            origin: entry.origin,
            ruleset: entry.ruleset,
            break_glass: entry.break_glass,
        }
    }
}

/// A signed checkpoint of the log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditCheckpoint, example = json!({
    "size": 4712, "root": "XcnaeacGWamtVZy3Ad7Zoqudgjqi1JYM/jcO+K9oVDI=", "time": "2026-11-22T08:15:01.000000Z",
    "note": "amrutam.example/audit\n4712\n..."
}))]
pub(crate) struct CheckpointView {
    /// How many entries the log had.
    size: u64,
    /// Their Merkle root, base64.
    root: String,
    time: Time,
    /// As signed: C2SP's tlog-checkpoint, with the witnesses' cosignatures.
    note: String,
}

impl From<Witnessed> for CheckpointView {
    fn from(witnessed: Witnessed) -> Self {
        let checkpoint = &witnessed.checkpoint;
        Self {
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
            time: Time(checkpoint.time),
            note: witnessed.note.to_string(),
        }
    }
}

/// That an entry is in the log. The leaf is SHA-256 over 0x00 and the entry's canonical bytes (docs/audit.md); RFC 9162, 2.1.3.2
/// tells how the hashes lead from it to the root.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InclusionProof, example = json!({
    "event": null, "leaf": "XcnaeacGWamtVZy3Ad7Zoqudgjqi1JYM/jcO+K9oVDI=", "size": 4712,
    "proof": ["XcnaeacGWamtVZy3Ad7Zoqudgjqi1JYM/jcO+K9oVDI="], "checkpoint": "amrutam.example/audit\n4712\n..."
}))]
pub(crate) struct ProofView {
    event: EventView,
    leaf: String,
    /// Of the log in which it is proven.
    size: u64,
    /// From the leaf to the root.
    proof: Vec<String>,
    /// The signed note with that size and root.
    checkpoint: String,
}

/// That the log was only added to (RFC 9162, 2.1.4.2).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsistencyProof, example = json!({
    "from": 4000, "to": 4712, "proof": ["XcnaeacGWamtVZy3Ad7Zoqudgjqi1JYM/jcO+K9oVDI="]
}))]
pub(crate) struct ConsistencyView {
    from: u64,
    to: u64,
    proof: Vec<String>,
}

/// What was sealed of the trail, newest first. An entry is sealed about a second after it is written.
#[utoipa::path(tag = "Audit", operation_id = "search_audit_events", params(EventQuery), security(("bearer" = [])), responses(
    (status = 200, description = "A page of entries", body = Listing<EventView>),
    (status = 404, description = "`not_found`: a patient's own is at `/v1/me/access-log`"),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/audit/events")]
async fn events(
    caller: Caller,
    request: HttpRequest,
    query: Query<EventQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = query.value.cursors();
    let (filter, page) = query.value.parse(&cursors)?;
    let page = use_cases::search(services.audit(), &caller.0, &filter, page).await?;
    let next_cursor = page.next.map(|key| cursors.text(key));
    let items = page.items.into_iter().map(EventView::from).collect();
    Ok(Listing { items, next_cursor }.respond(&request, &query.raw))
}

/// That an entry is in the log, as of the last checkpoint.
#[utoipa::path(tag = "Audit", operation_id = "prove_audit_event", security(("bearer" = [])),
    params(("event_id" = Uuid, Path, description = "Which entry")), responses(
    (status = 200, description = "The proof", body = ProofView),
    (status = 404, description = "`not_found`: absent, or not sealed yet"),
))]
#[get("/v1/audit/events/{event_id}/proof")]
async fn prove(caller: Caller, path: Path<String>, services: Data<Services>) -> Result<HttpResponse, Problem> {
    let proven = use_cases::prove(services.audit(), &caller.0, path_id(&path)?).await?;
    let view = ProofView {
        leaf: proven.leaf.to_string(),
        size: proven.checkpoint.size,
        proof: proven.proof.iter().map(ToString::to_string).collect(),
        checkpoint: proven.note.to_string(),
        event: proven.placed.into(),
    };
    Ok(HttpResponse::Ok().content_type(JSON).body(json(&view)))
}

/// Which checkpoints.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CheckpointQuery {
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// Signed checkpoints, newest first. Keep one: no later log that is not a continuation of it can be made to fit.
#[utoipa::path(tag = "Audit", operation_id = "list_audit_checkpoints", params(CheckpointQuery), security(("bearer" = [])), responses(
    (status = 200, description = "A page of checkpoints", body = Listing<CheckpointView>),
    (status = 404, description = "`not_found`: a patient's own is at `/v1/me/access-log`"),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/audit/checkpoints")]
async fn checkpoints(
    caller: Caller,
    request: HttpRequest,
    query: Query<CheckpointQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let cursors = Cursors::new("audit-checkpoints", &[]);
    let mut fields = Fields::of_query();
    let limit = Paging::limit(&mut fields, query.value.limit.as_deref());
    fields.finish()?;
    let before: Option<u64> = cursors.key(query.value.cursor.as_deref())?;
    let found = use_cases::checkpoints(services.audit(), &caller.0, before, limit.get()).await?;
    let full = found.len() == usize::from(limit.get());
    let next_cursor = found.last().filter(|_| full).map(|last| cursors.text(last.checkpoint.size));
    let items = found.into_iter().map(CheckpointView::from).collect();
    Ok(Listing { items, next_cursor }.respond(&request, &query.raw))
}

/// Between which two sizes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConsistencyQuery {
    /// The smaller size.
    #[param(value_type = u64)]
    from: Option<String>,
    /// The larger one.
    #[param(value_type = u64)]
    to: Option<String>,
}

/// That the log of one checkpoint is the beginning of the log of another.
#[utoipa::path(tag = "Audit", operation_id = "prove_audit_consistency", params(ConsistencyQuery), security(("bearer" = [])), responses(
    (status = 200, description = "The proof", body = ConsistencyView),
    (status = 404, description = "`not_found`: a patient's own is at `/v1/me/access-log`"),
    (status = 422, description = "`validation_failed`: not two sizes of this log, the smaller one first"),
))]
#[get("/v1/audit/consistency")]
async fn consistency(
    caller: Caller,
    query: Query<ConsistencyQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let mut fields = Fields::of_query();
    let mut size = |pointer, text: &Option<String>| {
        let text = text.as_deref().unwrap_or_default();
        fields.parse::<u64>(pointer, "invalid", text).filter(|size| *size <= i64::MAX as u64)
    };
    let (Some(from), Some(to)) = (size("/from", &query.value.from), size("/to", &query.value.to)) else {
        fields.check(false, "/to", "out_of_range", "two sizes of the log");
        return Err(fields.into_problem());
    };
    let proof = use_cases::prove_consistency(services.audit(), &caller.0, from, to).await?;
    let view = ConsistencyView { from, to, proof: proof.iter().map(ToString::to_string).collect() };
    Ok(HttpResponse::Ok().content_type(JSON).body(json(&view)))
}

/// What to export.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `ndjson`, an entry per line, from which leaves can be computed; or `csv`, for a spreadsheet.
    #[param(value_type = Option<String>, default = "ndjson")]
    format: Option<String>,
    /// About this person's data.
    #[param(value_type = Option<uuid::Uuid>)]
    patient: Option<String>,
    /// Done by this account.
    #[param(value_type = Option<uuid::Uuid>)]
    actor: Option<String>,
    /// At or after.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Before.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// From the `Link` of the part before.
    cursor: Option<String>,
}

/// Entries for keeping, newest first, 10,000 at a time; the `Link` leads to the next part.
#[utoipa::path(tag = "Audit", operation_id = "export_audit_events", params(ExportQuery), security(("bearer" = [])), responses(
    (status = 200, description = "The entries", content((String = "application/x-ndjson", example = json!("{\"index\":42,\"action\":\"consultation.read\"}\n")), (String = "text/csv"))),
    (status = 404, description = "`not_found`: a patient's own is at `/v1/me/access-log`"),
    (status = 422, description = "`validation_failed`"),
))]
#[get("/v1/audit/export")]
async fn export(
    caller: Caller,
    request: HttpRequest,
    query: Query<ExportQuery>,
    services: Data<Services>,
) -> Result<HttpResponse, Problem> {
    let ExportQuery { format, patient, actor, from, to, cursor } = query.value;
    let query_of = EventQuery { patient, actor, from, to, cursor, ..EventQuery::default() };
    let cursors = query_of.cursors();
    let mut fields = Fields::of_query();
    let filter = query_of.filter(&mut fields);
    let csv = match format.as_deref() {
        None | Some("ndjson") => false,
        Some("csv") => true,
        Some(_) => {
            fields.refuse("/format", "unknown_value", "ndjson or csv");
            false
        }
    };
    fields.finish()?;
    let after = cursors.key(query_of.cursor.as_deref())?;
    let page = use_cases::export(services.audit(), &caller.0, &filter, after).await?;
    let mut response = HttpResponse::Ok();
    if let Some(link) = page.next.and_then(|key| crate::http::next_link(request.path(), &query.raw, &cursors.text(key)))
    {
        response.insert_header((actix_web::http::header::LINK, link));
    }
    Ok(if csv {
        response.content_type("text/csv; charset=utf-8; header=present").body(super::audit_csv::csv_of(&page.items))
    } else {
        let lines: String = page.items.iter().map(|placed| json(placed) + "\n").collect();
        response.content_type("application/x-ndjson").body(lines)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_has_the_form_of_what_is_on_the_record() {
        let taken = |resource: Option<&str>, action: Option<&str>| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            let query = EventQuery { resource: own(resource), action: own(action), ..EventQuery::default() };
            let mut fields = Fields::of_query();
            query.filter(&mut fields);
            fields.finish().is_ok()
        };
        let id = "019aaf00-0000-7000-8000-000000000007";
        assert!(taken(Some(&format!("consultation:{id}")), Some("consultation.read")));
        assert!(taken(Some("key_encryption_key:kek-2026"), None) && taken(Some("audit_trail:"), None));
        for resource in
            ["consultation", "", ":x", "Consultation:x", "x:Asha Rao", "x:a,b", &format!("x:{}", "y".repeat(4_096))]
        {
            assert!(!taken(Some(resource), None), "{resource}");
        }
        for action in ["consultation", "a.b.c", ".read", "a. b", &format!("a.{}", "b".repeat(41))] {
            assert!(!taken(None, Some(action)), "{action}");
        }
    }
}
