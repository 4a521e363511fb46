//! One file per resource: what is sent, what is answered, and the handlers between.

mod accounts;
mod auth;
mod availability;
mod consultation_views;
mod consultations;
mod doctor_dtos;
mod doctors;
mod ops;
mod shared;
mod slots;
mod time_off;

use utoipa_actix_web::service_config::ServiceConfig;

/// Every route of the public listener but the browsable documentation.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config
        .configure(ops::configure)
        .configure(auth::configure)
        .configure(accounts::configure)
        .configure(doctors::configure)
        .configure(availability::configure)
        .configure(time_off::configure)
        .configure(slots::configure)
        .configure(consultations::configure);
}

pub(crate) use ops::alive;
