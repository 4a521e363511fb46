//! How often the API may be asked: who is counted, where, and what is told of it.
//!
//! Every request is counted once, in the class its route names in its documentation (`x-rate-limit`; `default` when it
//! names none). Callers are counted before anything else is done for them. Where a subject is counted, too (whose password is
//! tried), the handler says which one as soon as it knows, with [`Throttle`]; a request that was answered before that is
//! counted against its address all the same.

mod fields;
mod throttle;

pub(crate) use fields::LimitFields;
pub(crate) use throttle::Throttle;

use super::{Bearer, RequestInfo, auth::look_up, pattern};
use crate::{
    openapi::Document,
    problem::Problem,
    services::Services,
    settings::{Proxies, RateLimits, RouteClass},
};
use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    web::Data,
};
use amrutam_kernel::{BlindIndex, RateLimiter};
use std::sync::Arc;

/// The extension of an operation in the OpenAPI document that names its class.
pub(crate) const CLASS_EXTENSION: &str = "x-rate-limit";

/// What requests are counted by.
pub(crate) struct Quotas {
    /// How often.
    pub(crate) limits: RateLimits,
    /// Who may say where a request comes from.
    pub(crate) proxies: Proxies,
    /// Counts.
    pub(crate) limiter: Arc<dyn RateLimiter>,
    /// So that no key tells whom it is about.
    pub(crate) digests: Arc<dyn BlindIndex>,
}

/// Wraps every route, within the edge.
pub(crate) async fn limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (services, document) = (request.app_data::<Data<Services>>(), request.app_data::<Data<Document>>());
    let (Some(services), Some(document), Some(info)) = (services, document, RequestInfo::of(request.request())) else {
        return Err(Problem::internal("the limits lack what they work with").into());
    };
    let class = pattern(&request).and_then(|pattern| document.routes.class(request.method(), &pattern));
    let peer = request.peer_addr().map(|peer| peer.ip());
    let address = services.quotas.proxies.client(peer, request.headers());
    look_up(&info, request.headers(), services).await;
    // One whose session is over counts as whoever sends it.
    let account = Bearer::of(&info, request.headers(), services).account().filter(|_| info.is_signed_in());
    let throttle =
        Throttle::new(services.clone(), info.clone(), class.unwrap_or(RouteClass::Default), address, account);
    if throttle.knows_all()
        && let Err(problem) = throttle.count(None).await
    {
        return Ok(request.into_response(problem.response(&info)));
    }
    request.extensions_mut().insert(throttle.clone());
    let response = next.call(request).await?.map_into_boxed_body();
    match throttle.count(None).await {
        Ok(()) => Ok(response),
        Err(problem) => Ok(response.into_response(problem.response(&info))),
    }
}
