//! The slot lock: Redlock over independent Redis nodes.
//!
//! [`RedlockSlots`] implements [`SlotLocks`](amrutam_booking::ports::SlotLocks). Each node has a lock manager of its
//! own (`rslock` over one node) and the majority is counted here, because `rslock` over several waits for the slowest
//! and says the same of a lock that is held as of a node that is down. A node is asked only while its breaker is
//! closed; a watcher closes it after a lock on a key of its own has succeeded, so a closed breaker means an open
//! connection and a node that takes writes.
//!
//! What no caller waits for runs in the background, each piece within a bound: releases, answers that come after the
//! decision (a late lock joins those to be released), and the watchers. [`RedlockSlots::drain`] waits for all but the
//! watchers.
//!
//! Metrics: `amrutam_lock_attempts_total{outcome="held|taken|unavailable"}`, `amrutam_lock_seconds`,
//! `amrutam_lock_release_failures_total`, `amrutam_lock_node_up{node="0"}`.
#![deny(missing_docs)]

mod hold;
mod node;
mod settings;
mod slots;
mod tally;

pub use settings::{InvalidSettings, Settings};
pub use slots::{NodeHealth, RedlockSlots};
