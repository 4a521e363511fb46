//! The OpenAPI document: made of the handlers' own annotations, completed with what every route has in common.

use crate::{
    http::Routes,
    problem::{Code, PROBLEM_JSON, ProblemBody},
    resources,
};
use actix_web::App;
use serde_json::{Value, json};
use utoipa::{OpenApi as _, PartialSchema, ToSchema, openapi::OpenApi};
use utoipa_actix_web::AppExt;

/// The document as it is served.
#[derive(Debug)]
pub(crate) struct Document {
    /// JSON.
    pub(crate) text: String,
    /// Which methods each path has.
    pub(crate) routes: Routes,
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Amrutam API",
        description = "Consultations with practitioners of Ayurveda: accounts, the directory, availability, booking.\n\nErrors are RFC 9457 problems with a stable `code`. Times are RFC 3339, UTC with microseconds on the way out. Money is in integer minor units.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/", description = "This host")),
    tags(
        (name = "Accounts", description = "Registering, logging in, one's own account"),
        (name = "Directory", description = "Doctors and their specializations"),
        (name = "Availability", description = "Working hours, absences and the slots they make"),
        (name = "Consultations", description = "Booking a slot and everything that may become of it"),
        (name = "Audit", description = "Who did what, and the proof of it"),
        (name = "Clinical", description = "Consent, notes, prescriptions, records"),
        (name = "Privacy", description = "A copy of what is held of one, and its end"),
        (name = "Administration", description = "For admins"),
        (name = "Operations", description = "For those who run the service")
    )
)]
struct Base;

/// The document of every route.
pub(crate) fn document() -> Document {
    let (_, api) =
        App::new().into_utoipa_app().openapi(Base::openapi()).configure(resources::configure).split_for_parts();
    let routes = Routes::of(&api);
    Document { text: text(&api), routes }
}

/// Pretty, so that a change to it can be read.
fn text(api: &OpenApi) -> String {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    complete(&mut document);
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// What no handler needs to repeat: the shape of errors, the token, the correlation id.
fn complete(document: &mut Value) {
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("securitySchemes".to_owned(), json!({
            "bearer": {
                "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                "description": "The `access_token` of `POST /v1/auth/login`. RS256; the keys are at `/.well-known/jwks.json`."
            }
        }));
        let header = |(_, name, description): &(&str, &str, &str)| {
            ((*name).to_owned(), json!({ "description": description, "schema": { "type": "string" } }))
        };
        let headers: serde_json::Map<_, _> = HEADERS.iter().map(header).collect();
        components.insert("headers".to_owned(), headers.into());
        components.insert("responses".to_owned(), shared_responses());
        if let Some(schemas) = components.get_mut("schemas").and_then(Value::as_object_mut) {
            let mut nested = Vec::new();
            ProblemBody::schemas(&mut nested);
            nested.push((ProblemBody::name().into_owned(), ProblemBody::schema()));
            for (name, schema) in nested {
                schemas.insert(name, serde_json::to_value(schema).unwrap_or_default());
            }
            exemplify_listings(schemas);
        }
    }
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.as_object_mut() {
                complete_operation(path, method, operation);
            }
        }
    }
}

/// A list's example is a list of its item's.
fn exemplify_listings(schemas: &mut serde_json::Map<String, Value>) {
    let examples = schemas.iter().filter_map(|(name, schema)| Some((name.clone(), schema.get("example")?.clone())));
    for (item, example) in examples.collect::<Vec<_>>() {
        if let Some(listing) = schemas.get_mut(&format!("Listing_{item}")).and_then(Value::as_object_mut) {
            listing.insert("example".to_owned(), json!({ "items": [example], "next_cursor": null }));
        }
    }
}

/// The header fields that many answers share: name, component, description.
const HEADERS: [(&str, &str, &str); 6] = [
    (
        "X-Correlation-Id",
        "CorrelationId",
        "The caller's `X-Correlation-Id` if it was 1 to 128 visible ASCII characters, else one of ours.",
    ),
    ("ETag", "Version", "A strong tag of what is shown, for `If-Match` or `If-None-Match`"),
    ("Idempotency-Replayed", "Replayed", "`true` when this answer was given before; absent otherwise"),
    ("Link", "NextPage", "The next page, as `rel=\"next\"`; absent on the last one"),
    (
        "RateLimit-Policy",
        "RateLimitPolicy",
        "The limits that hold for this request, each with its quota `q` in any span of `w` seconds (a true sliding window): `\"default\";q=100;w=900`. draft-ietf-httpapi-ratelimit-headers.",
    ),
    (
        "RateLimit",
        "RateLimit",
        "How each of them stands: `r` requests remain, and in `t` seconds more do: `\"default\";r=87;t=412`",
    ),
];

fn refer_to(headers: &mut Value, wanted: &str) {
    let found = HEADERS.iter().find(|(name, ..)| *name == wanted);
    if let (Some(headers), Some((name, component, _))) = (headers.as_object_mut(), found) {
        headers.insert((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{component}") }));
    }
}

/// What is shown with its version.
const VERSIONED: [&str; 8] =
    ["Account", "AddedDependant", "Availability", "Consultation", "DeadLetter", "Dependant", "Doctor", "Review"];

/// The header fields of a success, which follow from what it shows and how it is asked for.
fn complete_success(takes_key: bool, is_cacheable: bool, response: &mut Value) {
    let shown = response.pointer("/content/application~1json/schema/$ref").and_then(Value::as_str).unwrap_or_default();
    let shown = shown.rsplit('/').next().unwrap_or_default();
    let (is_versioned, is_list) =
        (VERSIONED.contains(&shown), shown.starts_with("Listing_") || shown == "FormularyPage");
    let Some(response) = response.as_object_mut() else { return };
    let headers = response.entry("headers").or_insert_with(|| json!({}));
    for (name, applies) in
        [("ETag", is_versioned || is_cacheable), ("Idempotency-Replayed", takes_key), ("Link", is_list)]
    {
        if applies {
            refer_to(headers, name);
        }
    }
}

/// The answers that many operations share: status, name, description.
const SHARED: [(&str, &str, &str); 12] = [
    ("400", "BadBody", "`malformed_body`, `invalid_type`, `unknown_field`"),
    ("400", "BadInput", "`unknown_field`, `malformed_query`, `invalid_cursor` or `malformed_body`, where there is one"),
    ("401", "Unauthenticated", "`unauthenticated`: no valid access token"),
    ("401", "InvalidToken", "`unauthenticated`: a token was sent, and it is not valid"),
    (
        "403",
        "Forbidden",
        "`forbidden`: not for this role; `second_factor_required`: set one up first, the role needs it",
    ),
    ("408", "RequestTimeout", "`request_timeout`: the body did not arrive in time"),
    ("413", "PayloadTooLarge", "`payload_too_large`"),
    ("415", "UnsupportedMediaType", "`unsupported_media_type`: send `application/json`"),
    ("429", "RateLimited", "`rate_limited`: come back after `Retry-After`"),
    ("431", "HeadersTooLarge", "`headers_too_large`"),
    ("500", "Internal", "`internal_error`: ours to mend"),
    ("503", "Unavailable", "`dependency_unavailable`, `contended`, `timeout`: come back after `Retry-After`"),
];

fn shared_responses() -> Value {
    let response = |(status, name, description): &(&str, &str, &str)| {
        let mut response = json!({ "description": description });
        complete_response("/v1", status, &mut response);
        ((*name).to_owned(), response)
    };
    SHARED.iter().map(response).collect::<serde_json::Map<_, _>>().into()
}

fn complete_operation(path: &str, method: &str, operation: &mut serde_json::Map<String, Value>) {
    let has_body = operation.contains_key("requestBody");
    let is_signed_in = operation.contains_key("security");
    let has_input = has_body || operation.contains_key("parameters");
    let reads_body = has_body || method == "post" || method == "put" || method == "patch";
    let is_resource = path.starts_with("/v1/");
    let parameters = operation.get("parameters").and_then(Value::as_array);
    let takes_key = parameters.into_iter().flatten().any(|parameter| parameter["name"] == "Idempotency-Key");
    let applies = |name: &str| match name {
        "BadBody" => has_body,
        "BadInput" => !has_body && (has_input || reads_body),
        "Unauthenticated" | "Forbidden" => is_signed_in,
        "InvalidToken" => !is_signed_in && is_resource && method == "get",
        "RequestTimeout" | "PayloadTooLarge" | "UnsupportedMediaType" => reads_body,
        "Unavailable" => is_resource,
        _ => true,
    };
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    let is_cacheable = responses.contains_key("304");
    for (status, response) in responses.iter_mut() {
        if status.starts_with('2') {
            complete_success(takes_key, is_cacheable, response);
        }
        complete_response(path, status, response);
    }
    for (status, name, _) in SHARED.iter().filter(|(_, name, _)| applies(name)) {
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        responses.entry((*status).to_owned()).or_insert(reference);
    }
}

fn complete_response(path: &str, status: &str, response: &mut Value) {
    let Some(response) = response.as_object_mut() else { return };
    let headers = response.entry("headers").or_insert_with(|| json!({}));
    for name in ["X-Correlation-Id", "RateLimit-Policy", "RateLimit"] {
        refer_to(headers, name);
    }
    if let Some(headers) = headers.as_object_mut() {
        if status == "503" || status == "429" {
            headers
                .insert("Retry-After".to_owned(), json!({ "schema": { "type": "integer" }, "description": "Seconds" }));
        }
        if status == "401" {
            headers.insert(
                "WWW-Authenticate".to_owned(),
                json!({ "schema": { "type": "string" }, "description": "`Bearer`" }),
            );
        }
    }
    let number: u16 = status.parse().unwrap_or_default();
    if number < 400 || response.contains_key("content") {
        return;
    }
    let description = response.get("description").and_then(Value::as_str).unwrap_or_default();
    let word = description.split('`').nth(1).unwrap_or_default();
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == word && code.number() == number);
    let mut content = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
    if let (Some(code), Some(content)) = (code, content.as_object_mut()) {
        content.insert(
            "example".to_owned(),
            json!({
                "type": format!("https://amrutam.example/problems/{}", code.as_str()),
                "title": code.title(), "status": number, "detail": code.title(), "instance": path,
                "code": code.as_str(), "correlation_id": "019390d2-7c7e-7b60-8f0a-5a1a5c7d2f10"
            }),
        );
    }
    response.insert("content".to_owned(), json!({ PROBLEM_JSON: content }));
}
