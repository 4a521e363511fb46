//! The outside world over the network: mail by SMTP, texts by Exotel, payments by Razorpay and Stripe.
//!
//! To add a payment gateway: one module like [`Stripe`]'s for its API (implements `PaymentGateway`) and one for its
//! notifications (implements `WebhookVerifier`). Calls go through the shared caller, which bounds and classifies them and
//! keeps the [`Circuit`]; signatures are compared by the shared secrets.
#![deny(missing_docs)]

mod caller;
mod circuit;
mod exotel;
mod razorpay;
mod razorpay_webhooks;
mod signature;
mod smtp;
mod stripe;
mod stripe_webhooks;

pub use caller::{InvalidGatewaySettings, Network};
pub use circuit::{Circuit, CircuitOpen, CircuitPolicy, Pass};
pub use exotel::{ExotelSettings, ExotelSms};
pub use razorpay::{Razorpay, RazorpaySettings};
pub use razorpay_webhooks::RazorpayWebhooks;
pub use smtp::{InvalidSmtpSettings, SmtpMailer, SmtpSettings};
pub use stripe::{Stripe, StripeSettings};
pub use stripe_webhooks::StripeWebhooks;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
