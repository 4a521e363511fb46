//! The mail sink: a mail server that delivers nothing.
//!
//! What `smtp` accepts goes to the store, which keeps the newest messages in memory; `http` shows them; the
//! [`Behaviour`] says how the server misbehaves. One [`MailSink`] holds all three together.

mod behaviour;
pub(crate) mod http;
mod message;
mod page;
pub(crate) mod smtp;
mod store;

use std::sync::atomic::{AtomicU64, Ordering};

pub use self::behaviour::{Behaviour, InvalidBehaviour, Stage};
pub use self::message::Message;
pub use self::store::{Filter, Found};

use self::behaviour::Script;
use self::store::Store;

/// Everything the mail sink knows, shared by the SMTP sessions and the HTTP handlers.
#[derive(Debug, Default)]
pub struct MailSink {
    store: Store,
    script: Script,
    refused: AtomicU64,
    connections: AtomicU64,
}

/// What happened since the start; clearing the messages does not reset it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Stats {
    /// Messages stored, also those whose acceptance the client never heard of.
    pub received: u64,
    /// Replies of 4xx and 5xx, and connections cut because the sink plays dead.
    pub refused: u64,
    /// Connections accepted, also those cut at once.
    pub connections: u64,
}

impl MailSink {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The messages that match, newest last.
    #[must_use]
    pub fn find(&self, filter: &Filter) -> Found {
        self.store.find(filter)
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            received: self.store.received(),
            refused: self.refused.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
        }
    }

    /// How the sink behaves now; `fail_next` is what is left of it.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.script.get()
    }

    /// Replaces the behaviour, for connections that exist as well as for new ones.
    ///
    /// # Errors
    /// When a field is out of its range; the behaviour is then as before.
    pub fn behave(&self, behaviour: Behaviour) -> Result<(), InvalidBehaviour> {
        self.script.set(behaviour)
    }

    fn count_refusal(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn count_connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }
}
