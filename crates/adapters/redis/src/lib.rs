//! Redis: the slot lock over independent nodes, and on one of them what is shared for a while: limits and sessions.
//!
//! # The lock
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
//!
//! # Limits and sessions
//!
//! [`Cache`] is one Redis behind a pool, a deadline and a breaker. Over it [`Limits`] implements
//! [`RateLimiter`](amrutam_kernel::RateLimiter), with [`LocalLimits`] for when it is away, and [`SessionCache`] keeps for
//! seconds how sessions stand, which [`CachedGate`] asks before the store. Neither is ever a reason for a request to fail or to wait longer than the deadline.
//!
//! Metrics: `amrutam_cache_up`, `amrutam_limit_checks_total{outcome="allowed|refused",by="redis|process"}`,
//! `amrutam_session_notices_lost_total`.
#![deny(missing_docs)]

mod cache;
mod gate;
mod hold;
mod limits;
mod local_limits;
mod node;
mod sessions;
mod settings;
mod slots;
mod tally;

pub use cache::Cache;
pub use gate::CachedGate;
pub use limits::Limits;
pub use local_limits::LocalLimits;
pub use sessions::{CachedSession, SessionCache};
pub use settings::{InvalidSettings, Settings};
pub use slots::{NodeHealth, RedlockSlots};
