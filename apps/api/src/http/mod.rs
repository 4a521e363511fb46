//! What every resource shares: who asks, what was sent, how it is answered.

mod answer;
mod auth;
mod beat;
mod body;
mod client_address;
mod completion;
mod cors;
mod cursor;
mod edge;
mod headers;
mod idempotency;
mod info;
mod limits;
mod query;
mod routes;
mod unread;
mod validate;

pub(crate) use answer::{JSON, Listing, cacheable, entity, if_match, json, json_answer, next_link, rfc3339};
pub(crate) use auth::{Bearer, Caller, Refusals, Visitor};
pub(crate) use beat::Beat;
pub(crate) use body::{Body, Integer, MaybeBody, NoBody, Object, RawBody};
pub(crate) use completion::to_the_end;
pub use cors::Cors;
pub(crate) use cors::ProductionCors;
pub(crate) use cursor::{Cursors, Paging};
pub(crate) use edge::{edge, pattern};
pub(crate) use headers::Headers;
pub(crate) use idempotency::{Attempt, InFlight, key_of, once};
pub(crate) use info::RequestInfo;
pub(crate) use limits::{CLASS_EXTENSION, LimitFields, Quotas, Throttle, limit};
pub(crate) use query::Query;
pub(crate) use routes::Routes;
pub(crate) use validate::{Fields, path_id};
