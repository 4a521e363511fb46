//! The audit trail's log, the same for every process.

use crate::{Problems, SecretUrl, Validate};
use serde::{Deserialize, Serialize};

/// Section `audit`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// The log's name, in checkpoints and in its verifier key. It stays.
    pub origin: String,
    /// Where the log is when it is not in the database itself: another PostgreSQL with the same schema.
    pub url: Option<SecretUrl>,
    /// How long the sealer rests while there is little to seal, in milliseconds.
    pub seal_ms: u64,
}

impl Default for Audit {
    fn default() -> Self {
        Self { origin: "amrutam.example/audit".to_owned(), url: None, seal_ms: 1_000 }
    }
}

impl Validate for Audit {
    fn validate(&self, problems: &mut Problems) {
        let plain = !self.origin.is_empty() && self.origin.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
        problems.check(plain, "origin", "visible ASCII without spaces and +");
        problems.check((50..=10_000).contains(&self.seal_ms), "seal_ms", "50 to 10000 milliseconds");
    }
}
