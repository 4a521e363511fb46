//! One file per resource: what is sent, what is answered, and the handlers between.

mod access_log;
mod accounts;
mod audit;
mod audit_csv;
mod auth;
mod availability;
mod clinical_dtos;
mod clinical_views;
mod consents;
mod consultation_views;
mod consultations;
mod dead_letters;
mod dependants;
mod doctor_dtos;
mod doctors;
mod erasures;
mod exports;
mod factors;
mod formulary;
mod notes;
mod ops;
mod passwords;
mod payment_views;
mod payments;
mod prescriptions;
mod records;
mod reviews;
mod sessions;
mod shared;
mod slots;
mod staff;
mod time_off;
mod webhooks;

use utoipa_actix_web::service_config::ServiceConfig;

/// Every route of the public listener but the browsable documentation.
pub(crate) fn configure(config: &mut ServiceConfig<'_>) {
    config
        .configure(ops::configure)
        .configure(auth::configure)
        .configure(passwords::configure)
        .configure(accounts::configure)
        .configure(sessions::configure)
        .configure(factors::configure)
        .configure(staff::configure)
        .configure(doctors::configure)
        .configure(availability::configure)
        .configure(time_off::configure)
        .configure(slots::configure)
        .configure(consultations::configure)
        .configure(consents::configure)
        .configure(notes::configure)
        .configure(prescriptions::configure)
        .configure(formulary::configure)
        .configure(dependants::configure)
        .configure(records::configure)
        .configure(payments::configure)
        .configure(webhooks::configure)
        .configure(dead_letters::configure)
        .configure(reviews::configure)
        .configure(exports::configure)
        .configure(erasures::configure)
        .configure(access_log::configure)
        .configure(audit::configure);
}

pub(crate) use ops::alive;
