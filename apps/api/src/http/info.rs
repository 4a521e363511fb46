//! What is known of a request before anything is decided.

use super::{Bearer, LimitFields};
use crate::problem::Problem;
use actix_web::{HttpMessage, HttpRequest};
use amrutam_identity::model::SessionState;
use amrutam_kernel::{Actor, Context, CorrelationId, Network, SignIn, TraceParent};
use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
};

/// Made once by the edge; everything about one request is told by it.
#[derive(Debug)]
pub(crate) struct RequestInfo {
    /// The flow's name.
    pub(crate) correlation_id: CorrelationId,
    /// The trace it belongs to.
    pub(crate) trace_parent: Option<TraceParent>,
    /// From where, as far as we know.
    origin: Option<Network>,
    /// As asked for, without the query.
    pub(crate) path: String,
    /// Its answer's head alone is asked for, although it is routed as the whole.
    pub(crate) head_only: Cell<bool>,
    /// Who acts, once it is established.
    pub(crate) actor: Cell<Option<Actor>>,
    /// What its token says, once somebody has asked.
    pub(super) bearer: OnceCell<Bearer>,
    /// How the token's session stands, once it was looked up.
    pub(super) session: OnceCell<Result<Option<SessionState>, Problem>>,
    /// How its limits stand, once it has been counted.
    pub(super) limits: OnceCell<LimitFields>,
}

impl RequestInfo {
    /// At its beginning.
    pub(crate) fn new(
        correlation_id: CorrelationId,
        trace_parent: Option<TraceParent>,
        origin: Option<Network>,
        path: String,
    ) -> Self {
        let (head_only, actor, bearer, session, limits) = Default::default();
        Self { correlation_id, trace_parent, origin, path, head_only, actor, bearer, session, limits }
    }

    /// Of this request.
    pub(crate) fn of(request: &HttpRequest) -> Option<Rc<Self>> {
        request.extensions().get::<Rc<Self>>().cloned()
    }

    /// Whether its token's session was found, and lives.
    pub(crate) fn is_signed_in(&self) -> bool {
        matches!(self.session.get(), Some(Ok(Some(state))) if !state.ended)
    }

    /// For a use case of nobody in particular.
    pub(crate) fn anonymous(&self) -> Context {
        self.context(Actor::Anonymous, None)
    }

    /// For a use case; from here on the request is this actor's.
    pub(crate) fn context(&self, actor: Actor, sign_in: Option<SignIn>) -> Context {
        self.actor.set(Some(actor));
        Context { sign_in, ..self.claimed(actor) }
    }

    /// For the record of a request that says it is this actor's, and is refused.
    pub(super) fn claimed(&self, actor: Actor) -> Context {
        let (correlation_id, trace_parent) = (self.correlation_id.clone(), self.trace_parent.clone());
        Context { actor, sign_in: None, correlation_id, trace_parent, origin: self.origin }
    }
}
