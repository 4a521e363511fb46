//! The calls of a merchant's server, in Razorpay's dialect, and the checkout page.

use std::convert::Infallible;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use data_encoding::BASE64;
use futures::stream;
use serde::Deserialize;
use serde_json::{Value, json};

use super::behaviour::{Call, Fault};
use super::error::ApiError;
use super::store::{NewOrder, NewRefund, Window};
use super::{Gateway, page, serve};

const BODY_LIMIT: usize = 64 * 1024;
/// One piece of an answer without an end.
const FLOOD: Bytes = Bytes::from_static(&[b' '; 16 * 1024]);

pub(super) type Shared = web::Data<Gateway>;

/// Mounts the routes of the gateway's own listener.
pub(super) fn configure(config: &mut web::ServiceConfig, gateway: &Arc<Gateway>) {
    let bad = |text: String| actix_web::Error::from(ApiError::bad_request(text));
    config
        .app_data(Shared::from(Arc::clone(gateway)))
        .app_data(web::JsonConfig::default().limit(BODY_LIMIT).error_handler(move |error, _| bad(error.to_string())))
        .app_data(web::QueryConfig::default().error_handler(move |error, _| bad(error.to_string())))
        .route("/v1/orders", web::post().to(create_order))
        .route("/v1/orders", web::get().to(orders))
        .route("/v1/orders/{id}", web::get().to(order))
        .route("/v1/orders/{id}/payments", web::get().to(order_payments))
        .route("/v1/payments", web::get().to(payments))
        .route("/v1/payments/{id}", web::get().to(payment))
        .route("/v1/payments/{id}/capture", web::post().to(capture))
        .route("/v1/payments/{id}/refund", web::post().to(create_refund))
        .route("/v1/payments/{id}/refunds", web::get().to(refunds_of))
        .route("/v1/refunds", web::get().to(refunds))
        .route("/v1/refunds/{id}", web::get().to(refund))
        .route("/checkout/{order}", web::get().to(page::show))
        .route("/checkout/{order}", web::post().to(page::click))
        .default_service(web::to(|| async { Err::<HttpResponse, _>(ApiError::no_such_url()) }));
}

/// Does what is asked, or what the behaviour says.
async fn perform(
    gateway: &Gateway,
    request: &HttpRequest,
    call: Call,
    act: impl FnOnce() -> Result<Value, ApiError>,
) -> Result<HttpResponse, ApiError> {
    authenticate(gateway, request)?;
    gateway.count(call);
    let verdict = gateway.script.arrive(call);
    let undone = matches!(verdict.fault, Some(Fault::Error | Fault::Limited | Fault::DropBefore));
    let done = if undone { Ok(Value::Null) } else { act() };
    tokio::time::sleep(verdict.delay).await;
    match verdict.fault {
        None => done.map(|value| HttpResponse::Ok().json(value)),
        Some(Fault::Error | Fault::ErrorAfter) => Err(ApiError::scripted(verdict.status)),
        Some(Fault::Limited) => Err(ApiError::limited(verdict.retry_after)),
        Some(Fault::DropBefore | Fault::DropAfter) => {
            serve::cut(request);
            Ok(HttpResponse::Ok().finish())
        }
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Nonsense) => Ok(HttpResponse::Ok().content_type("text/html").body("<h1>Welcome</h1>")),
        Some(Fault::Flood) => {
            let pieces = stream::repeat_with(|| Ok::<_, Infallible>(FLOOD));
            Ok(HttpResponse::Ok().content_type("application/json").streaming(pieces))
        }
    }
}

fn authenticate(gateway: &Gateway, request: &HttpRequest) -> Result<(), ApiError> {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let expected = BASE64.encode(format!("{}:{}", gateway.key_id, gateway.key_secret).as_bytes());
    let right = given.and_then(|given| given.strip_prefix("Basic ")).is_some_and(|given| given == expected);
    if right { Ok(()) } else { Err(ApiError::unauthenticated()) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    amount: i64,
    currency: String,
    receipt: Option<String>,
    notes: Option<Value>,
    /// Every payment here is captured at once, or not at all.
    #[serde(rename = "payment")]
    _payment: Option<Value>,
    #[serde(rename = "partial_payment")]
    _partial_payment: Option<bool>,
}

async fn create_order(
    gateway: Shared,
    request: HttpRequest,
    body: web::Json<OrderBody>,
) -> Result<HttpResponse, ApiError> {
    let OrderBody { amount, currency, receipt, notes, .. } = body.into_inner();
    let notes = notes.unwrap_or_else(|| json!([]));
    let new = NewOrder { amount, currency, receipt, notes };
    perform(&gateway, &request, Call::CreateOrder, || gateway.store.create_order(new)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    from: Option<i64>,
    to: Option<i64>,
    count: Option<usize>,
    skip: Option<usize>,
    receipt: Option<String>,
}

impl Query {
    fn window(&self) -> Window {
        Window { from: self.from, to: self.to, count: self.count, skip: self.skip }
    }
}

async fn orders(gateway: Shared, request: HttpRequest, query: web::Query<Query>) -> Result<HttpResponse, ApiError> {
    let find = || gateway.store.orders(query.receipt.as_deref(), &query.window());
    perform(&gateway, &request, Call::Read, find).await
}

async fn order(gateway: Shared, request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    perform(&gateway, &request, Call::Read, || gateway.store.order(&id)).await
}

async fn order_payments(
    gateway: Shared,
    request: HttpRequest,
    id: web::Path<String>,
) -> Result<HttpResponse, ApiError> {
    perform(&gateway, &request, Call::Read, || gateway.store.order_payments(&id)).await
}

async fn payments(gateway: Shared, request: HttpRequest, query: web::Query<Query>) -> Result<HttpResponse, ApiError> {
    perform(&gateway, &request, Call::Read, || gateway.store.payments(&query.window())).await
}

async fn payment(gateway: Shared, request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    perform(&gateway, &request, Call::Read, || gateway.store.payment(&id)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaptureBody {
    amount: i64,
    #[serde(rename = "currency")]
    _currency: String,
}

async fn capture(
    gateway: Shared,
    request: HttpRequest,
    id: web::Path<String>,
    body: web::Json<CaptureBody>,
) -> Result<HttpResponse, ApiError> {
    perform(&gateway, &request, Call::Capture, || {
        let (payment, news) = gateway.store.capture(&id, body.amount)?;
        gateway.tell(news);
        Ok(payment)
    })
    .await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    amount: Option<i64>,
    receipt: Option<String>,
    notes: Option<Value>,
    #[serde(rename = "speed")]
    _speed: Option<String>,
}

async fn create_refund(
    gateway: Shared,
    request: HttpRequest,
    id: web::Path<String>,
    body: web::Json<RefundBody>,
) -> Result<HttpResponse, ApiError> {
    let key = request.headers().get("X-Refund-Idempotency").and_then(|key| key.to_str().ok());
    let RefundBody { amount, receipt, notes, .. } = body.into_inner();
    let new = NewRefund { payment: id.into_inner(), amount, receipt, notes: notes.unwrap_or_else(|| json!([])) };
    perform(&gateway, &request, Call::Refund, || {
        let (refund, news) = gateway.store.create_refund(key, new, gateway.behaviour().refunds)?;
        gateway.tell(news);
        Ok(refund)
    })
    .await
}

async fn refunds_of(
    gateway: Shared,
    request: HttpRequest,
    id: web::Path<String>,
    query: web::Query<Query>,
) -> Result<HttpResponse, ApiError> {
    perform(&gateway, &request, Call::Read, || gateway.store.refunds(Some(&id), &query.window())).await
}

async fn refunds(gateway: Shared, request: HttpRequest, query: web::Query<Query>) -> Result<HttpResponse, ApiError> {
    perform(&gateway, &request, Call::Read, || gateway.store.refunds(None, &query.window())).await
}

async fn refund(gateway: Shared, request: HttpRequest, id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    perform(&gateway, &request, Call::Read, || gateway.store.refund(&id)).await
}
