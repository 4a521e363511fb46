//! What every resource shares: who asks, what was sent, how it is answered.

mod answer;
mod auth;
mod body;
mod client_address;
mod cursor;
mod edge;
mod idempotency;
mod info;
mod limits;
mod query;
mod routes;
mod unread;
mod validate;

pub(crate) use answer::{Listing, cacheable, entity, if_match, json, rfc3339, stored};
pub(crate) use auth::{Bearer, Caller, Visitor};
pub(crate) use body::{Body, NoBody, Object};
pub(crate) use cursor::{Cursors, Paging};
pub(crate) use edge::edge;
pub(crate) use idempotency::{Attempt, InFlight, claim_of, conclude};
pub(crate) use info::RequestInfo;
pub(crate) use limits::{CLASS_EXTENSION, LimitFields, Quotas, Throttle, limit};
pub(crate) use query::Query;
pub(crate) use routes::Routes;
pub(crate) use validate::{Fields, path_id};
