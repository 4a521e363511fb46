//! The control of the gateway, for tests and people.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::behaviour::{Behaviour, InvalidBehaviour, Tamper};
use super::model::{Delivery, Event, PaymentStatus, RefundStatus};
use super::{DECLINED, Gateway, GatewayStats, OrderTally, Pay, Webhook};
use crate::http::{Behaves, Problem, behaviour, resource};

/// How many events are listed, the newest of them.
const EVENTS: usize = 1_000;

type Shared = web::Data<Gateway>;

/// Mounts the control's routes.
pub(crate) fn configure(config: &mut web::ServiceConfig, gateway: &Arc<Gateway>) {
    config
        .app_data(Shared::from(Arc::clone(gateway)))
        .service(resource("/api/gateway").route(web::delete().to(clear)))
        .service(behaviour::<Gateway>("/api/gateway/behaviour"))
        .service(resource("/api/gateway/webhook").route(web::get().to(webhook)).route(web::put().to(set_webhook)))
        .service(resource("/api/gateway/stats").route(web::get().to(stats)))
        .service(resource("/api/gateway/orders").route(web::get().to(orders)))
        .service(resource("/api/gateway/orders/{id}").route(web::get().to(order)))
        .service(resource("/api/gateway/orders/{id}/payments").route(web::post().to(pay)))
        .service(resource("/api/gateway/payments/{id}").route(web::post().to(move_payment)))
        .service(resource("/api/gateway/refunds/{id}").route(web::post().to(move_refund)))
        .service(resource("/api/gateway/events").route(web::get().to(events)))
        .service(resource("/api/gateway/events/release").route(web::post().to(release)))
        .service(resource("/api/gateway/events/{id}/send").route(web::post().to(send)));
}

async fn clear(gateway: Shared) -> HttpResponse {
    gateway.clear();
    HttpResponse::NoContent().finish()
}

impl Behaves for Gateway {
    type Behaviour = Behaviour;
    type Invalid = InvalidBehaviour;

    fn behaviour(&self) -> Behaviour {
        Self::behaviour(self)
    }

    fn behave(&self, behaviour: Behaviour) -> Result<(), InvalidBehaviour> {
        Self::behave(self, behaviour)
    }
}

async fn webhook(gateway: Shared) -> web::Json<Webhook> {
    web::Json(gateway.webhook())
}

async fn set_webhook(gateway: Shared, webhook: web::Json<Webhook>) -> web::Json<Webhook> {
    gateway.set_webhook(webhook.into_inner());
    web::Json(gateway.webhook())
}

async fn stats(gateway: Shared) -> web::Json<GatewayStats> {
    web::Json(gateway.stats())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderFilter {
    receipt: Option<String>,
}

#[derive(Serialize)]
struct Items<T> {
    items: Vec<T>,
    total: usize,
}

async fn orders(gateway: Shared, filter: web::Query<OrderFilter>) -> web::Json<Items<OrderTally>> {
    let items = gateway.tallies(filter.receipt.as_deref());
    web::Json(Items { total: items.len(), items })
}

async fn order(gateway: Shared, id: web::Path<String>) -> Result<web::Json<OrderTally>, Problem> {
    gateway.store.tally(&id).map(web::Json).ok_or_else(|| Problem::not_found("there is no such order"))
}

async fn pay(gateway: Shared, order: web::Path<String>, pay: web::Json<Pay>) -> Result<HttpResponse, Problem> {
    let payment = gateway.pay(&order, &pay).map_err(Problem::invalid)?;
    Ok(HttpResponse::Created().json(json!({ "payment": payment })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MovePayment {
    status: PaymentStatus,
    #[serde(default)]
    after_ms: u64,
    error_code: Option<String>,
}

async fn move_payment(
    gateway: Shared,
    id: web::Path<String>,
    to: web::Json<MovePayment>,
) -> Result<HttpResponse, Problem> {
    let code = to.error_code.as_deref().unwrap_or(DECLINED);
    gateway.move_payment(&id, to.status, code, to.after_ms).map_err(Problem::invalid)?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoveRefund {
    status: RefundStatus,
    #[serde(default)]
    after_ms: u64,
}

async fn move_refund(
    gateway: Shared,
    id: web::Path<String>,
    to: web::Json<MoveRefund>,
) -> Result<HttpResponse, Problem> {
    gateway.move_refund(&id, to.status, to.after_ms).map_err(Problem::invalid)?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Serialize)]
struct EventView {
    id: String,
    event: &'static str,
    created_at: i64,
    body: Value,
    deliveries: Vec<Delivery>,
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let body = serde_json::from_slice(&event.body).unwrap_or_default();
        Self { id: event.id, event: event.name, created_at: event.created_at, body, deliveries: event.deliveries }
    }
}

async fn events(gateway: Shared) -> web::Json<Items<EventView>> {
    let mut events = gateway.store.events();
    let total = events.len();
    let items = events.split_off(total.saturating_sub(EVENTS)).into_iter().map(EventView::from).collect();
    web::Json(Items { items, total })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Turn {
    #[default]
    AsMade,
    Reversed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    #[serde(default)]
    order: Turn,
}

async fn release(gateway: Shared, how: web::Json<Release>) -> HttpResponse {
    let released = gateway.release(matches!(how.order, Turn::Reversed));
    HttpResponse::Accepted().json(json!({ "released": released }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    #[serde(default)]
    tamper: Tamper,
}

async fn send(gateway: Shared, id: web::Path<String>, how: web::Json<Send>) -> Result<HttpResponse, Problem> {
    if gateway.resend(&id, how.tamper) {
        Ok(HttpResponse::Accepted().finish())
    } else {
        Err(Problem::not_found("there is no such event"))
    }
}
