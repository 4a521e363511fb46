//! Who asks.

use super::RequestInfo;
use crate::{
    problem::{Code, Problem},
    services::Services,
};
use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header::AUTHORIZATION, web::Data};
use amrutam_kernel::{Actor, Context};
use std::future::{Ready, ready};

/// Longer tokens are none of ours.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A signed-in caller. Without a valid token the handler is not reached.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Context);

/// A caller who need not be signed in. A token that is sent must be valid all the same.
#[derive(Debug, Clone)]
pub(crate) struct Visitor(pub(crate) Context);

impl Visitor {
    /// Whether a valid token was sent.
    pub(crate) fn is_signed_in(&self) -> bool {
        self.0.actor.account().is_some()
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(context(request).and_then(|context| match context.actor {
            Actor::Account { .. } => Ok(Self(context)),
            Actor::Anonymous | Actor::System(_) => Err(Code::Unauthenticated.into()),
        }))
    }
}

impl FromRequest for Visitor {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(context(request).map(Self))
    }
}

fn context(request: &HttpRequest) -> Result<Context, Problem> {
    let services = request.app_data::<Data<Services>>().ok_or_else(|| Problem::internal("no services"))?;
    let info = RequestInfo::of(request).ok_or_else(|| Problem::internal("the edge was not passed"))?;
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let actor = match (headers.next(), headers.next()) {
        (None, _) => Actor::Anonymous,
        // Two parties that read different ones of two headers can be played against each other.
        (Some(_), Some(_)) => return Err(Code::Unauthenticated.into()),
        (Some(header), None) => {
            let token = header.to_str().ok().and_then(bearer).ok_or(Code::Unauthenticated)?;
            let claims = services.verifier.verify(token, services.clock.now()).map_err(|_| Code::Unauthenticated)?;
            Actor::Account { id: claims.account, role: claims.role }
        }
    };
    Ok(info.context(actor))
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    let sane = !token.is_empty() && token.len() <= MAX_TOKEN_BYTES && token.bytes().all(|b| b.is_ascii_graphic());
    (scheme.eq_ignore_ascii_case("bearer") && sane).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_header_has_one_sane_token() {
        assert_eq!(bearer("Bearer abc.def"), Some("abc.def"));
        assert_eq!(bearer("bearer abc"), Some("abc"));
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        for bad in ["", "Bearer", "Bearer ", "Basic abc", "Bearer  abc", "Bearer a b", "Bearer a\tb", &long] {
            assert_eq!(bearer(bad), None, "{bad:.40}");
        }
    }
}
