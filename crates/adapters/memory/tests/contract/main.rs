//! The fake passes every suite that the real technologies pass.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod booking;
mod fake;
mod identity;
mod memory;
mod notifications;
mod operations;
mod payments;
