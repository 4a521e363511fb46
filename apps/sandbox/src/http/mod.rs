//! What the stand-ins share on the HTTP side: the health check, the errors, the mounting of their routes.

mod behaviour;
mod html;
mod problem;

use std::sync::Arc;

use actix_web::{HttpResponse, web};

pub(crate) use self::behaviour::{Behaves, behaviour};
pub(crate) use self::html::{Text, document, page};
pub(crate) use self::problem::Problem;

use crate::gateway::{self, Gateway};
use crate::mail::{self, MailSink};
use crate::sms::{self, SmsSink};

/// Largest request body: a behaviour is some fields.
const BODY_LIMIT: usize = 16 * 1024;

/// Mounts the routes of every stand-in.
pub(crate) fn configure(
    config: &mut web::ServiceConfig,
    mail: &Arc<MailSink>,
    sms: &Arc<SmsSink>,
    gateway: Option<&Arc<Gateway>>,
) {
    config
        .app_data(web::JsonConfig::default().limit(BODY_LIMIT).error_handler(|error, _| Problem::from(&error).into()))
        .app_data(web::QueryConfig::default().error_handler(|error, _| Problem::bad_query(&error).into()))
        .app_data(web::PathConfig::default().error_handler(|_, _| Problem::not_found("there is no such thing").into()))
        .service(resource("/healthz").route(web::get().to(healthz)))
        .configure(|config| mail::http::configure(config, mail))
        .configure(|config| sms::http::configure(config, sms))
        .configure(|config| {
            if let Some(gateway) = gateway {
                gateway::control::configure(config, gateway);
            }
        })
        .default_service(web::to(|| async { Err::<HttpResponse, _>(Problem::not_found("there is no such page")) }));
}

/// A resource that answers a method it does not know with a problem.
pub(crate) fn resource(path: &str) -> actix_web::Resource {
    web::resource(path).default_service(web::to(|| async { Err::<HttpResponse, _>(Problem::method_not_allowed()) }))
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}
