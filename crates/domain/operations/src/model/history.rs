//! What happened to a visit, as a reviewer sees it.

use amrutam_kernel::EventId;
use jiff::Timestamp;

/// One change of a consultation, in booking's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The visit's version.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// The kind of change: `status_changed`.
    pub kind: String,
    /// The status before, when there was one.
    pub from: Option<String>,
    /// The status after.
    pub to: String,
    /// Who: a person by role alone, a part of the system by its name.
    pub actor: String,
    /// A fixed word: `booked`, `hold_expired`.
    pub cause: String,
    /// The event that announced it.
    pub event: EventId,
}
