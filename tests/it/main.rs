//! The service from outside: real processes, real servers, HTTP, and a look at the tables. Run by `make test`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "these are tests, and live in real time"
)]

mod accounts;
mod audit;
mod bad_input;
mod canary;
mod cases;
mod checker;
mod clinical;
mod crashes;
mod dead_letters;
mod dependants;
mod dependency_rule;
mod disconnects;
mod documents;
mod faults;
mod flow;
mod holds;
mod keys;
mod limits;
mod mails;
mod path;
mod payments;
mod privacy;
mod races;
mod reviews;
mod routes;
mod sagas;
mod sealed;
mod second_factor;
mod seed;
mod sessions;
mod texts;
mod timing;
mod tls;
mod tokens;
mod webhooks;
