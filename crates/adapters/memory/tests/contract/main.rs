//! The fake passes every suite that the real technologies pass.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod booking;
mod clinical;
mod fake;
mod identity;
mod keys;
mod memory;
mod notifications;
mod operations;
mod payments;
mod privacy;
