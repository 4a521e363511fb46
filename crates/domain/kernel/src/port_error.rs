//! How a port fails, in words a use case can act on. A driver's error never crosses a port.

use std::fmt;

/// What we depend on, by the name operators know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dependency {
    /// PostgreSQL.
    Database,
    /// Redis.
    Cache,
    /// RabbitMQ.
    Broker,
    /// The mail server.
    Mail,
    /// The password hasher's queue.
    Hasher,
    /// A payment gateway.
    Gateway,
    /// Where checkpoints and a witness's memory are kept.
    Archive,
}

impl Dependency {
    /// The word in `/readyz`, metrics and problem details.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Cache => "cache",
            Self::Broker => "broker",
            Self::Mail => "mail",
            Self::Hasher => "hasher",
            Self::Gateway => "gateway",
            Self::Archive => "archive",
        }
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A port's failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// Away, slow or full: the caller may try again shortly. `reason` is for logs, without personal data.
    #[error("the {dependency} is unavailable")]
    Unavailable {
        /// Which one.
        dependency: Dependency,
        /// For logs.
        reason: String,
    },
    /// Ours to mend: a row that breaks a rule, a statement the database refuses. `reason` is for logs.
    #[error("the {dependency} adapter failed")]
    Defect {
        /// Which one.
        dependency: Dependency,
        /// For logs.
        reason: String,
    },
}

impl PortError {
    /// `Unavailable`, from anything that can be shown.
    pub fn unavailable(dependency: Dependency, reason: impl fmt::Display) -> Self {
        Self::Unavailable { dependency, reason: reason.to_string() }
    }

    /// `Defect`, from anything that can be shown.
    pub fn defect(dependency: Dependency, reason: impl fmt::Display) -> Self {
        Self::Defect { dependency, reason: reason.to_string() }
    }

    /// The detail for logs.
    pub fn reason(&self) -> &str {
        match self {
            Self::Unavailable { reason, .. } | Self::Defect { reason, .. } => reason,
        }
    }
}
