//! What ties one request together across HTTP, SQL, messages and logs.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A caller's or our own name for one flow. At most 128 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CorrelationId(String);

/// Empty, too long, or with a character that is not visible ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a correlation id is 1 to 128 visible ASCII characters")]
pub struct InvalidCorrelationId;

impl CorrelationId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CorrelationId {
    type Err = InvalidCorrelationId;
    fn from_str(text: &str) -> Result<Self, InvalidCorrelationId> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidCorrelationId)
        }
    }
}

impl TryFrom<String> for CorrelationId {
    type Error = InvalidCorrelationId;
    fn try_from(text: String) -> Result<Self, InvalidCorrelationId> {
        text.parse()
    }
}

impl From<uuid::Uuid> for CorrelationId {
    fn from(id: uuid::Uuid) -> Self {
        Self(id.hyphenated().to_string())
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A W3C `traceparent`, carried as text from the request to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceParent(pub String);

/// Who acts, under which names the flow is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Who acts.
    pub actor: crate::Actor,
    /// How they signed in, when a person acts through a session.
    pub sign_in: Option<crate::SignIn>,
    /// The flow's name.
    pub correlation_id: CorrelationId,
    /// The trace to continue, when one is recorded.
    pub trace_parent: Option<TraceParent>,
    /// From where, when the act came over the network.
    pub origin: Option<crate::Network>,
}

impl Context {
    /// A part of the system, in a flow.
    pub fn of_system(name: &'static str, correlation_id: CorrelationId) -> Self {
        Self { actor: crate::Actor::System(name), sign_in: None, correlation_id, trace_parent: None, origin: None }
    }

    /// A part of the system that does what follows from an event: in its flow and its trace.
    pub fn following(name: &'static str, event: &crate::EventEnvelope) -> Self {
        Self { trace_parent: event.trace_parent.clone(), ..Self::of_system(name, event.correlation_id.clone()) }
    }
}
