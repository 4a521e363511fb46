//! Who asks.

use super::RequestInfo;
use crate::{
    problem::{Code, Problem},
    services::Services,
};
use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, HeaderMap},
    web::Data,
};
use amrutam_identity::{model::SessionState, ports::AccessClaims};
use amrutam_kernel::{AccountId, Actor, AuditEntry, AuditEntryId, Context, Outcome, SessionId};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::HashMap,
    future::{Ready, ready},
    sync::{Mutex, PoisonError},
};

/// Longer tokens are none of ours.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// A signed-in caller. Without a valid token the handler is not reached.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Context);

/// A caller who need not be signed in. A token that is sent must be valid all the same.
#[derive(Debug, Clone)]
pub(crate) struct Visitor(pub(crate) Context);

/// What a request's token says, verified once for all who ask.
#[derive(Debug)]
pub(crate) enum Bearer {
    /// No token was sent.
    Absent,
    /// It is ours and in force.
    Valid(AccessClaims),
    /// It is not, or more than one was sent.
    Invalid,
}

impl Bearer {
    /// Of this request.
    pub(crate) fn of<'a>(info: &'a RequestInfo, headers: &HeaderMap, services: &Services) -> &'a Self {
        info.bearer.get_or_init(|| Self::read(headers, services))
    }

    fn read(headers: &HeaderMap, services: &Services) -> Self {
        let mut sent = headers.get_all(AUTHORIZATION);
        let token = match (sent.next(), sent.next()) {
            (None, _) => return Self::Absent,
            (Some(header), None) => header.to_str().ok().and_then(bearer),
            // Two parties that read different ones of two headers can be played against each other.
            (Some(_), Some(_)) => None,
        };
        let claims = token.and_then(|token| services.verifier.verify_access(token, services.clock.now()).ok());
        claims.map_or(Self::Invalid, Self::Valid)
    }

    /// Whose it is.
    pub(crate) fn account(&self) -> Option<AccountId> {
        match self {
            Self::Valid(claims) => Some(claims.account),
            Self::Absent | Self::Invalid => None,
        }
    }
}

impl Visitor {
    /// Whether a valid token was sent.
    pub(crate) fn is_signed_in(&self) -> bool {
        self.0.actor.account().is_some()
    }
}

impl Caller {
    /// Whose account.
    pub(crate) fn account(&self) -> Result<AccountId, Problem> {
        self.0.actor.account().ok_or_else(|| Code::Unauthenticated.into())
    }

    /// Whom limits count.
    pub(crate) fn subject(&self) -> Option<String> {
        self.0.actor.account().map(|account| account.to_string())
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

/// How the session of a valid token stands, looked up before the handler: its other arguments must not answer first.
pub(super) async fn look_up(info: &RequestInfo, headers: &HeaderMap, services: &Services) {
    if let Bearer::Valid(claims) = Bearer::of(info, headers, services) {
        let state = services.gate.state(claims.session, services.clock.now()).await;
        if let Ok(found) = &state
            && found.as_ref().is_none_or(|state| !in_force(state, claims))
        {
            record_refusal(info, services, claims).await;
        }
        // It is looked up once.
        drop(info.session.set(state.map_err(Problem::from)));
    }
}

/// Whether what the token says still holds.
fn in_force(state: &SessionState, claims: &AccessClaims) -> bool {
    !state.ended && state.account == claims.account && state.role == claims.role
}

/// A token of ours whose session has ended, or says another role, tells of a known account: once a minute on its record. Refused it is
/// either way.
async fn record_refusal(info: &RequestInfo, services: &Services, claims: &AccessClaims) {
    let now = services.clock.now();
    if !services.refusals.is_news(claims.session, now) {
        return;
    }
    let context = info.claimed(Actor::Account { id: claims.account, role: claims.role });
    let id = AuditEntryId::from_uuid(services.ids.uuid_v7(now));
    let session = claims.session.to_string();
    let entry = AuditEntry::new(id, now, &context, "session.use", "session", session, Outcome::Denied);
    if let Err(error) = services.trail.record(vec![entry.about(claims.account)]).await {
        tracing::warn!(%error, reason = error.reason(), "a refused token is not on the record");
    }
}

/// Sessions whose refusal was put on the record within the last minute, by this process.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<SessionId, Timestamp>>);

impl Refusals {
    /// Between two entries of one session.
    const APART: SignedDuration = SignedDuration::from_mins(1);
    /// More are forgotten, and told of again.
    const MOST: usize = 10_000;

    fn is_news(&self, session: SessionId, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.get(&session).is_some_and(|at| now.duration_since(*at) < Self::APART) {
            return false;
        }
        if told.len() >= Self::MOST {
            told.retain(|_, at| now.duration_since(*at) < Self::APART);
            if told.len() >= Self::MOST {
                told.clear();
            }
        }
        told.insert(session, now);
        true
    }
}

/// The token says who it was issued to; the session says what holds now.
fn context(request: &HttpRequest) -> Result<Context, Problem> {
    let services = request.app_data::<Data<Services>>().ok_or_else(|| Problem::internal("no services"))?;
    let info = RequestInfo::of(request).ok_or_else(|| Problem::internal("the edge was not passed"))?;
    let claims = match Bearer::of(&info, request.headers(), services) {
        Bearer::Absent => return Ok(info.anonymous()),
        Bearer::Invalid => return Err(Code::Unauthenticated.into()),
        Bearer::Valid(claims) => claims,
    };
    let state = info.session.get().ok_or_else(|| Problem::internal("the session was not looked up"))?.clone()?;
    let state = state.filter(|state| in_force(state, claims)).ok_or(Code::Unauthenticated)?;
    let actor = Actor::Account { id: state.account, role: state.role };
    Ok(info.context(actor, Some(state.sign_in(claims.session, &services.identity_rules))))
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
    fn a_refused_session_is_news_once_a_minute() {
        let (refusals, now) = (Refusals::default(), Timestamp::UNIX_EPOCH);
        let session = |number| SessionId::from_uuid(uuid::Uuid::from_u128(number));
        assert!(refusals.is_news(session(1), now) && refusals.is_news(session(2), now));
        assert!(!refusals.is_news(session(1), now + SignedDuration::from_secs(59)));
        assert!(refusals.is_news(session(1), now + SignedDuration::from_secs(60)));
        for number in 0..Refusals::MOST as u128 * 2 {
            refusals.is_news(session(number), now);
        }
        assert!(refusals.0.lock().unwrap().len() <= Refusals::MOST);
    }

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
