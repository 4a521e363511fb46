//! The provider's API for one text, and the control of it.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use bytes::Bytes;
use futures::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Behaviour, InvalidBehaviour, SmsSink, Stats, Text, Verdict};
use crate::http::{Behaves, behaviour, resource};

type Sink = web::Data<SmsSink>;

/// Mounts the routes of the provider.
pub(crate) fn configure(config: &mut web::ServiceConfig, sink: &Arc<SmsSink>) {
    config
        .app_data(Sink::from(Arc::clone(sink)))
        .service(resource("/v1/Accounts/{sid}/Sms/send.json").route(web::post().to(send)))
        .service(resource("/api/sms").route(web::get().to(list)).route(web::delete().to(clear)))
        .service(resource("/api/sms/stats").route(web::get().to(stats)))
        .service(behaviour::<SmsSink>("/api/sms/behaviour"));
}

/// The fields of the form, in the provider's spelling.
#[derive(Deserialize)]
struct Form {
    #[serde(rename = "From")]
    from: String,
    #[serde(rename = "To")]
    to: String,
    #[serde(rename = "Body")]
    body: String,
    #[serde(rename = "EncodingType", default)]
    encoding: Option<String>,
    #[serde(rename = "DltEntityId", default)]
    entity_id: Option<String>,
    #[serde(rename = "DltTemplateId", default)]
    template_id: Option<String>,
    #[serde(rename = "CustomField", default)]
    custom_field: Option<String>,
}

/// The provider's error body.
fn exception(status: u16, message: &str) -> serde_json::Value {
    json!({ "RestException": { "Status": status, "Message": message } })
}

async fn send(sink: Sink, request: actix_web::HttpRequest, form: web::Form<Form>) -> HttpResponse {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if !authorization.is_some_and(|value| value.starts_with("Basic ")) {
        return HttpResponse::Unauthorized().json(exception(401, "Authentication is required"));
    }
    let Form { from, to, body, encoding, entity_id, template_id, custom_field } = form.into_inner();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let (Some(entity_id), Some(template_id)) = (given(entity_id), given(template_id)) else {
        return HttpResponse::BadRequest().json(exception(400, "Invalid Parameters"));
    };
    let (number, said) = (to.clone(), body.clone());
    let (verdict, delay) = sink.arrive(|id, received_at| Text {
        id,
        received_at,
        from,
        to,
        body,
        encoding: encoding.unwrap_or_else(|| "plain".to_owned()),
        entity_id,
        template_id,
        custom_field,
    });
    actix_web::rt::time::sleep(delay).await;
    match verdict {
        Verdict::Taken(id) => HttpResponse::Ok().json(json!({ "SMSMessage": {
            "Sid": format!("sandbox{id}"), "To": number, "Body": said, "Status": "queued", "Direction": "outbound-api",
        } })),
        Verdict::Refused(status, retry_after) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut answer = HttpResponseBuilder::new(status);
            if let Some(wait) = retry_after {
                answer.insert_header((header::RETRY_AFTER, wait));
            }
            // As providers do: it quotes the number, which nobody may keep.
            answer.json(exception(status.as_u16(), &format!("Invalid Recipient [{number}]")))
        }
        // A body that breaks off at once: the connection is cut after the head.
        Verdict::Cut => HttpResponse::Ok()
            .no_chunking(100)
            .streaming(stream::once(async { Err::<Bytes, _>(std::io::Error::other("played")) })),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    to: Option<String>,
}

#[derive(Serialize)]
struct List {
    items: Vec<Text>,
    total: usize,
}

async fn list(sink: Sink, filter: web::Query<Filter>) -> web::Json<List> {
    let items = sink.texts(filter.to.as_deref().filter(|to| !to.is_empty()));
    web::Json(List { total: items.len(), items })
}

async fn clear(sink: Sink) -> HttpResponse {
    sink.clear();
    HttpResponse::NoContent().finish()
}

async fn stats(sink: Sink) -> web::Json<Stats> {
    web::Json(sink.stats())
}

impl Behaves for SmsSink {
    type Behaviour = Behaviour;
    type Invalid = InvalidBehaviour;

    fn behaviour(&self) -> Behaviour {
        Self::behaviour(self)
    }

    fn behave(&self, behaviour: Behaviour) -> Result<(), InvalidBehaviour> {
        Self::behave(self, behaviour)
    }
}
