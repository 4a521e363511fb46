//! The checkout page: an order, and what the payer may do about it.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::Pay;
use super::api::Shared;
use super::error::ApiError;
use super::model::{OrderTally, PaymentStatus};
use crate::http::{Text, document, page};

const NOTE: &str = "This is the sandbox, a fake for development and tests: no money moves.";
/// A hold lasts 15 minutes.
const LATE_MS: u64 = 16 * 60 * 1_000;

/// A button.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Click {
    Pay,
    Fail,
    PayIn30s,
    PayLate,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    act: Click,
}

pub(super) async fn show(gateway: Shared, order: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let tally = gateway.store.tally(&order).ok_or_else(ApiError::no_such_id)?;
    let order = gateway.store.order(&order)?;
    let currency = order.get("currency").and_then(|currency| currency.as_str()).unwrap_or_default();
    Ok(page(checkout(&tally, currency)))
}

pub(super) async fn click(
    gateway: Shared,
    order: web::Path<String>,
    form: web::Form<Form>,
) -> Result<HttpResponse, ApiError> {
    let tally = gateway.store.tally(&order).ok_or_else(ApiError::no_such_id)?;
    if tally.captures > 0 {
        return Err(ApiError::bad_request("Order has already been paid"));
    }
    let (outcome, after_ms) = match form.act {
        Click::Pay => (PaymentStatus::Captured, 0),
        Click::Fail => (PaymentStatus::Failed, 0),
        Click::PayIn30s => (PaymentStatus::Captured, 30_000),
        Click::PayLate => (PaymentStatus::Captured, LATE_MS),
    };
    let pay = Pay { outcome, after_ms, amount: None, error_code: None };
    gateway.pay(&order, &pay).map_err(ApiError::bad_request)?;
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, format!("/checkout/{order}"))).finish())
}

fn checkout(order: &OrderTally, currency: &str) -> String {
    let money = |amount: i64| format!("{currency} {}.{:02}", amount / 100, amount % 100);
    let rows: String = order
        .payments
        .iter()
        .map(|payment| {
            let status = format!("{:?}", payment.status).to_lowercase();
            format!(
                "<tr><td>{}</td><td>{}</td><td>{status}</td><td>{}</td></tr>\n",
                Text(&payment.id),
                Text(&money(payment.amount)),
                Text(&money(payment.refunded))
            )
        })
        .collect();
    let tries = if rows.is_empty() {
        String::new()
    } else {
        format!(
            "<h2>Payments</h2>\n<table><thead><tr><th>Payment</th><th>Amount</th><th>Status</th><th>Refunded</th></tr>\
             </thead>\n<tbody>\n{rows}</tbody></table>\n"
        )
    };
    let act = if order.captures > 0 {
        "<p><strong>Paid.</strong> You can close this page.</p>\n".to_owned()
    } else {
        let button = |act: &str, label: &str| format!("<button name=\"act\" value=\"{act}\">{label}</button>\n");
        let buttons = [
            button("pay", "Pay"),
            button("fail", "Fail"),
            button("pay_in30s", "Pay in 30 s"),
            button("pay_late", "Pay late (16 min)"),
        ];
        format!("<form method=\"post\">\n{}</form>\n", buttons.concat())
    };
    let receipt = order.receipt.as_deref().unwrap_or("none");
    let body = format!(
        "<h1>{}</h1>\n<p>Order {}, receipt {}</p>\n{act}{tries}",
        Text(&money(order.amount)),
        Text(&order.id),
        Text(receipt)
    );
    document("Checkout", NOTE, &body)
}
