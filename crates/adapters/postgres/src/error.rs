//! What diesel and the pool report, in words the adapter can act on. None of it crosses a port.

use amrutam_kernel::{CommitError, Dependency, PortError};
use diesel::result::{DatabaseErrorKind, Error as DieselError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum DbError {
    #[error("no connection: {0}")]
    NoConnection(String),
    #[error("no answer in time")]
    NoAnswer,
    #[error(transparent)]
    Diesel(#[from] DieselError),
}

/// diesel does not tell SQLSTATE, so the text decides: the server must speak English, which is a superuser's setting
/// (`lc_messages = C`, see docs/operations.md). These texts have been the same since PostgreSQL 9.
impl DbError {
    fn message(&self) -> &str {
        match self {
            Self::Diesel(DieselError::DatabaseError(_, info)) => info.message(),
            _ => "",
        }
    }

    /// Whether the server itself answered, so that the connection can serve the next.
    pub(crate) fn leaves_connection_sound(&self) -> bool {
        match self {
            Self::NoConnection(_) | Self::NoAnswer => false,
            Self::Diesel(DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _)) => false,
            // A transaction manager in doubt reports itself as such; the pool's recycling discards those.
            Self::Diesel(DieselError::DatabaseError(..) | DieselError::NotFound | DieselError::RollbackTransaction) => {
                !self.is_shutdown()
            }
            Self::Diesel(_) => false,
        }
    }

    fn is_shutdown(&self) -> bool {
        let text = self.message();
        text.starts_with("terminating connection")
            || text.starts_with("the database system is")
            || text.starts_with("connection closed")
            || text.contains("error communicating with the server")
    }

    pub(crate) fn is_lock_timeout(&self) -> bool {
        let text = self.message();
        text.starts_with("canceling statement due to lock timeout") || text.starts_with("deadlock detected")
    }

    fn is_statement_timeout(&self) -> bool {
        self.message().starts_with("canceling statement due to statement timeout")
    }

    /// What a SQL function that had written already raised, so that its work was taken back.
    fn refusal(&self) -> Option<&str> {
        self.message().strip_prefix("amrutam:")
    }

    /// Whether an idempotency claim among the effects has an answer already.
    pub(crate) fn is_answered(&self) -> bool {
        self.refusal() == Some("answered")
    }

    /// The constraint a write ran into.
    pub(crate) fn violated(&self) -> Option<&str> {
        match self {
            Self::Diesel(DieselError::DatabaseError(
                DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::CheckViolation
                | DatabaseErrorKind::ExclusionViolation,
                info,
            )) => info.constraint_name(),
            _ => None,
        }
    }
}

impl From<DbError> for PortError {
    fn from(error: DbError) -> Self {
        let away = match &error {
            DbError::NoConnection(_) | DbError::NoAnswer => true,
            DbError::Diesel(DieselError::DatabaseError(kind, _)) => {
                matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::ReadOnlyTransaction)
                    || error.is_shutdown()
                    || error.is_lock_timeout()
                    || error.is_statement_timeout()
                    || error.message().contains("could not extend file")
                    || error.message().contains("too many clients")
            }
            DbError::Diesel(DieselError::BrokenTransactionManager) => true,
            DbError::Diesel(_) => false,
        };
        // The text names statements and constraints; DETAIL, which may hold values, is left out.
        let reason = if error.message().is_empty() { error.to_string() } else { error.message().to_owned() };
        if away {
            Self::Unavailable { dependency: Dependency::Database, reason }
        } else {
            Self::Defect { dependency: Dependency::Database, reason }
        }
    }
}

impl From<DbError> for CommitError {
    fn from(error: DbError) -> Self {
        if let Some(Err(refused)) = error.refusal().map(crate::effects::verdict) {
            refused
        } else if error.is_lock_timeout() {
            Self::Busy
        } else {
            Self::Port(error.into())
        }
    }
}

/// A stored value that the domain does not know: ours to mend.
pub(crate) fn unreadable(error: impl std::fmt::Display) -> PortError {
    PortError::defect(Dependency::Database, format!("a stored value can't be read: {error}"))
}

/// Absence is no error.
pub(crate) trait Optional<T> {
    fn optional(self) -> Result<Option<T>, DbError>;
}

impl<T> Optional<T> for Result<T, DbError> {
    fn optional(self) -> Result<Option<T>, DbError> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(DbError::Diesel(DieselError::NotFound)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
