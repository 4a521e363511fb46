//! The audit trail that proves itself.
//!
//! Each access to a person's data leaves an [`Entry`](model::Entry): committed with the change, or durable before the answer
//! of a read. A sealer takes entries in, gives them their places without gaps, and extends one Merkle log over them (RFC 6962);
//! each batch ends in a signed [`Checkpoint`](model::Checkpoint) in C2SP's form. A witness with a key and a memory of its own
//! cosigns a checkpoint only when the log it saw before is the beginning of it ([`model::cosign`]). So whoever can write
//! to the database, even with the log's key, can neither change, drop, insert nor reorder anything unseen:
//! [`model::Verification`] says at which entry.
//!
//! Nothing here needs a server: `examples/verify_offline.rs` checks an export with this crate alone.
#![deny(missing_docs)]

mod error;
pub mod events;
pub mod model;
pub mod ports;
pub mod use_cases;

pub use error::{ReadError, SealError};
