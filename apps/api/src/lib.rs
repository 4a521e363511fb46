//! The HTTP API: a thin layer that extracts, parses, calls a use case and maps its outcome. Decisions are the domains'.
//!
//! [`Application::build`] makes the whole process of [`Settings`]; tests start the same thing. To add a resource: a file
//! in `resources/` with its views, handlers and `configure`; a new refusal gets its answer in `problem/mapping.rs`, where
//! it does not compile without one. `docs/openapi.json` is generated from the handlers and checked.
#![deny(missing_docs)]

mod application;
mod http;
mod openapi;
mod privacy;
mod problem;
mod readiness;
mod resources;
mod services;
mod settings;
#[cfg(test)]
mod tests;
mod tls;
mod wiring;

pub use amrutam_settings::{Business, Environment};
pub use application::{Addresses, Application, BuildError, RunError};
pub use http::Cors;
pub use settings::{
    ClassLimit, ForwardedField, Hasher, Http, Mfa, Payments, PaymentsMode, Proxies, RateLimits, Retention, RouteClass,
    Settings, Tokens,
};
pub use tls::{CertificateError, Tls, TlsError};
pub use wiring::WiringError;

/// The OpenAPI document, as it is served and committed.
pub fn openapi_json() -> String {
    openapi::document().text
}
