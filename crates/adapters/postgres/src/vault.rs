//! What the tables must not show is sealed on its way in and opened on its way out.

use crate::{
    effects::hex,
    error::unreadable,
    pool::{Postgres, bounded},
};
use amrutam_kernel::{AccountId, BlindIndex, PortError, SealError, SealPlace, Sealer};
use diesel::{
    QueryableByName,
    sql_types::{BigInt, Bytea},
};
use diesel_async::RunQueryDsl;
use std::{
    fmt::{self, Display},
    str::FromStr,
    sync::Arc,
};
use zeroize::Zeroizing;

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

    /// Has the owner's key at hand.
    pub(crate) async fn prepare(&self, owner: AccountId) {
        self.sealer.prepare(owner).await;
    }

    /// For PostgreSQL's `decode(.., 'hex')`.
    pub(crate) async fn seal(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<String, PortError> {
        Ok(hex(&self.sealer.seal(place, plain).await?))
    }

    /// As it is bound to a parameter.
    pub(crate) async fn seal_bytes(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, PortError> {
        Ok(self.sealer.seal(place, plain).await?)
    }

    /// What does not open is ours to mend: the error names the row and never the content.
    pub(crate) async fn open(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, Unopened> {
        self.sealer.open(place, sealed).await.map_err(|error| match error {
            SealError::Erased => Unopened::Erased,
            SealError::Port(error) => Unopened::Port(error),
            error => unreadable(At { place, error: &error }).into(),
        })
    }

    /// Opens a text that is the form of something else.
    pub(crate) async fn open_text<T: FromStr<Err: Display>>(
        &self,
        place: &SealPlace<'_>,
        sealed: &[u8],
    ) -> Result<T, Unopened> {
        // Not the parser's own error: some repeat what they were given.
        let broken = || unreadable(At { place, error: &"what was sealed is not of its form" });
        let plain = Zeroizing::new(self.open(place, sealed).await?);
        let text = std::str::from_utf8(&plain).ok().and_then(|text| text.parse().ok());
        Ok(text.ok_or_else(broken)?)
    }

    pub(crate) fn digest(&self, column: &str, normalized: &str) -> [u8; 16] {
        self.index.digest(column, normalized)
    }
}

/// Why a value did not open.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// Its owner's keys have been destroyed.
    Erased,
    Port(PortError),
}

impl From<PortError> for Unopened {
    fn from(error: PortError) -> Self {
        Self::Port(error)
    }
}

impl From<Unopened> for PortError {
    fn from(error: Unopened) -> Self {
        match error {
            Unopened::Erased => SealError::Erased.into(),
            Unopened::Port(error) => error,
        }
    }
}

/// What is sealed of an erased person reads as absent.
pub(crate) fn unless_erased<T>(opened: Result<T, Unopened>) -> Result<Option<T>, PortError> {
    match opened {
        Ok(value) => Ok(Some(value)),
        Err(Unopened::Erased) => Ok(None),
        Err(Unopened::Port(error)) => Err(error),
    }
}

struct At<'a> {
    place: &'a SealPlace<'a>,
    error: &'a dyn Display,
}

impl Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SealPlace { schema, table, column, row, version, .. } = self.place;
        write!(f, "{schema}.{table}.{column} of {row}, version {version}: {}", self.error)
    }
}

impl Postgres {
    /// How many values are sealed directly under a key of that name: from before there were data keys.
    pub async fn sealed_directly_under(&self, kek: &str) -> Result<u64, PortError> {
        let length = u8::try_from(kek.len()).map_err(unreadable)?;
        let prefix = [&[1, 1, length], kek.as_bytes()].concat();
        let query = diesel::sql_query(DIRECTLY_SEALED).bind::<Bytea, _>(prefix);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Counted>(conn.raw()?)).await;
        u64::try_from(conn.settle(result)?.count).map_err(unreadable)
    }
}

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Every column that ever held such a value.
const DIRECTLY_SEALED: &str = "SELECT count(*) FROM (
  SELECT unnest(ARRAY[email, full_name, phone, date_of_birth, sex]) AS value FROM phi.contacts
  UNION ALL SELECT sealed FROM phi.visit_reasons
  UNION ALL SELECT secret FROM totp_factors
) AS sealed WHERE substr(value, 1, length($1)) = $1";
