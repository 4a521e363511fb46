//! The ports of identity on the real technology: the contract's suites, attacks on tokens, and keys that change.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod attacks;
mod contracts;
mod downloads;
mod forge;
mod keks;
mod keys;
mod naive;
mod prescriptions;
mod rotation;
mod support;
mod tokens;
