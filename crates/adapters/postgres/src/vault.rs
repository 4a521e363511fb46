//! What the tables must not show is sealed on its way in and opened on its way out.

use crate::{effects::hex, error::unreadable};
use amrutam_kernel::{BlindIndex, PortError, SealPlace, Sealer};
use std::{
    fmt::{self, Display},
    str::FromStr,
    sync::Arc,
};

/// Seals personal data and secrets, and finds an address without storing it. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    sealer: Arc<dyn Sealer>,
    index: Arc<dyn BlindIndex>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl Vault {
    /// Of a sealer and a blind index, each with keys of its own.
    pub fn new(sealer: Arc<dyn Sealer>, index: Arc<dyn BlindIndex>) -> Self {
        Self { sealer, index }
    }

    /// For PostgreSQL's `decode(.., 'hex')`.
    pub(crate) fn seal(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<String, PortError> {
        Ok(hex(&self.sealer.seal(place, plain)?))
    }

    /// What does not open is ours to mend: the error names the row and never the content.
    pub(crate) fn open(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, PortError> {
        self.sealer.open(place, sealed).map_err(|error| unreadable(Unopened { place, error: &error }))
    }

    /// Opens a text that is the form of something else.
    pub(crate) fn open_text<T: FromStr<Err: Display>>(
        &self,
        place: &SealPlace<'_>,
        sealed: &[u8],
    ) -> Result<T, PortError> {
        // Not the parser's own error: some repeat what they were given.
        let broken = || unreadable(Unopened { place, error: &"what was sealed is not of its form" });
        String::from_utf8(self.open(place, sealed)?).ok().and_then(|text| text.parse().ok()).ok_or_else(broken)
    }

    pub(crate) fn digest(&self, column: &str, normalized: &str) -> [u8; 16] {
        self.index.digest(column, normalized)
    }
}

struct Unopened<'a> {
    place: &'a SealPlace<'a>,
    error: &'a dyn Display,
}

impl Display for Unopened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SealPlace { schema, table, column, row, version, .. } = self.place;
        write!(f, "{schema}.{table}.{column} of {row}, version {version}: {}", self.error)
    }
}
