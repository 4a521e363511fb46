//! Wrapped data keys, in a schema, or a database, of their own.

use crate::{
    effects::{hex, unhex},
    error::{DbError, unreadable},
    functions,
    json::Json,
    pool::{Postgres, Settings, bounded},
    schema::{data_keys, keks, owners},
    target::Target,
};
use amrutam_kernel::{AccountId, Effects, PortError, recorded};
use amrutam_keys::{
    model::{DataKeyId, KekId, KekState, MAX_SEALS, StoredKey, WrappedKey},
    ports::{Found, KeyStore, Put, Records, Retired, Taken},
};
use amrutam_settings::{Problems, SecretUrl, Validate};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Section `keys`: where the data keys are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysSettings {
    /// A database for them alone, as in section `database`. Without it they share the main one, and its backups: then destroying a
    /// person's keys erases nothing from those.
    #[serde(default)]
    pub database_url: Option<SecretUrl>,
    /// A role to take on there after logging in.
    #[serde(default)]
    pub role: Option<String>,
    /// Connections of this process to it; 4 unless given.
    #[serde(default)]
    pub pool_size: Option<usize>,
    /// Says that they are meant to lie in the main database, which production does not take for granted.
    #[serde(default)]
    pub beside_data: bool,
}

impl KeysSettings {
    /// Settings of a database of their own.
    fn separate(&self) -> Option<Settings> {
        let url = self.database_url.clone()?;
        let pool_size = self.pool_size.unwrap_or(4);
        Some(Settings { role: self.role.clone(), pool_size, ..Settings::for_url(url) })
    }

    /// The pool of that database, or the main one.
    pub fn connect(&self, main: &Postgres) -> Result<Postgres, PortError> {
        self.separate().map_or_else(|| Ok(main.clone()), |settings| Postgres::connect(&settings))
    }
}

impl Validate for KeysSettings {
    fn validate(&self, problems: &mut Problems) {
        if let Some(settings) = self.separate() {
            // Its fields are called otherwise here.
            let mut found = Problems::default();
            settings.validate(&mut found);
            if let Err(error) = found.into_result() {
                for problem in error.problems() {
                    problems.add("database_url", problem);
                }
            }
        }
    }
}

/// What production asks of section `keys`: that the keys lie elsewhere than what they open. What holds both, be it a backup, erases
/// nothing when a person's keys are destroyed.
pub struct ProductionKeys<'a> {
    /// The section.
    pub keys: &'a KeysSettings,
    /// The main database.
    pub main: &'a SecretUrl,
}

impl Validate for ProductionKeys<'_> {
    fn validate(&self, problems: &mut Problems) {
        let Self { keys, main } = self;
        let apart = keys.database_url.as_ref().is_some_and(|url| !is_same_database(url, main));
        problems.check(
            apart || keys.beside_data,
            "database_url",
            "production needs a database other than the main one for the data keys, or keys.beside_data = true",
        );
    }
}

/// Whether both name one database of one server, as whichever user. What can't be read is named elsewhere.
fn is_same_database(one: &SecretUrl, other: &SecretUrl) -> bool {
    let place = |url: &SecretUrl| {
        let config = Target::of(url.expose()).ok()?.config;
        let ports = if config.get_ports().is_empty() { vec![5432] } else { config.get_ports().to_vec() };
        let database = config.get_dbname().or_else(|| config.get_user()).map(str::to_owned);
        Some((config.get_hosts().to_vec(), ports, database))
    };
    matches!((place(one), place(other)), (Some(one), Some(other)) if one == other)
}

/// What `keys.take_seals` and `keys.find_key` answer.
#[derive(Debug, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum KeyRow {
    Key { owner: Uuid, version: u32, kek: String, wrapped: String, check_value: String },
    Next { version: u32 },
    Unknown,
    Erased,
}

fn stored(owner: Uuid, version: u32, kek: &str, wrapped: Vec<u8>, check: &[u8]) -> Result<StoredKey, PortError> {
    Ok(StoredKey {
        id: DataKeyId { owner: AccountId::from_uuid(owner), version },
        wrapped: WrappedKey { kek: kek.parse().map_err(unreadable)?, bytes: wrapped },
        check: check.try_into().map_err(unreadable)?,
    })
}

fn from_hex(owner: Uuid, version: u32, kek: &str, wrapped: &str, check: &str) -> Result<StoredKey, PortError> {
    let bytes = |text| unhex(text).ok_or_else(|| unreadable("a data key that is no hexadecimal digits"));
    stored(owner, version, kek, bytes(wrapped)?, &bytes(check)?)
}

/// As the SQL functions take it.
#[derive(Debug, Serialize)]
pub(crate) struct NewKeyRow<'a> {
    owner: AccountId,
    version: u32,
    kek: &'a str,
    wrapped: String,
    check_value: String,
}

impl<'a> From<&'a StoredKey> for NewKeyRow<'a> {
    fn from(key: &'a StoredKey) -> Self {
        Self {
            owner: key.id.owner,
            version: key.id.version,
            kek: key.wrapped.kek.as_str(),
            wrapped: hex(&key.wrapped.bytes),
            check_value: hex(&key.check),
        }
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::data_keys)]
struct DataKeyRow {
    owner_id: Uuid,
    version: i32,
    kek_id: String,
    wrapped: Vec<u8>,
    check_value: Vec<u8>,
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::keks)]
struct KekRow {
    id: String,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    first_used_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    retired_at: Option<Timestamp>,
}

fn version(number: u32) -> Result<i32, PortError> {
    i32::try_from(number).map_err(unreadable)
}

fn count(number: i64) -> Result<u64, PortError> {
    u64::try_from(number).map_err(unreadable)
}

#[async_trait]
impl KeyStore for Postgres {
    async fn take(&self, owner: AccountId, seals: u32, born_after: Timestamp) -> Result<Taken, PortError> {
        let (wanted, most) = (i64::from(seals), i64::from(MAX_SEALS));
        let query = functions::take_seals(owner.as_uuid(), wanted, most, born_after.to_diesel());
        let Json(row) = self.ask(diesel::select(query)).await?;
        match row {
            KeyRow::Key { owner, version, kek, wrapped, check_value } => {
                Ok(Taken::Key(from_hex(owner, version, &kek, &wrapped, &check_value)?))
            }
            KeyRow::Next { version } => Ok(Taken::Next(version)),
            KeyRow::Erased => Ok(Taken::Erased),
            KeyRow::Unknown => Err(unreadable("a newest key without its row")),
        }
    }

    async fn put(&self, key: &StoredKey, seals: u32, at: Timestamp) -> Result<Put, PortError> {
        let query = functions::put_key(Json(NewKeyRow::from(key)), i64::from(seals), at.to_diesel());
        let word: String = self.ask(diesel::select(query)).await?;
        match word.as_str() {
            "stored" => Ok(Put::Stored),
            "outrun" => Ok(Put::Outrun),
            "erased" => Ok(Put::Erased),
            "kek_retired" => Ok(Put::KekRetired),
            other => Err(unreadable(other)),
        }
    }

    async fn find(&self, id: DataKeyId) -> Result<Found, PortError> {
        // A version that a forged value names may be any.
        let Ok(wanted) = i32::try_from(id.version) else { return Ok(Found::Unknown) };
        let Json(row) = self.ask(diesel::select(functions::find_key(id.owner.as_uuid(), wanted))).await?;
        match row {
            KeyRow::Key { owner, version, kek, wrapped, check_value } => {
                Ok(Found::Key(from_hex(owner, version, &kek, &wrapped, &check_value)?))
            }
            KeyRow::Erased => Ok(Found::Erased),
            KeyRow::Unknown | KeyRow::Next { .. } => Ok(Found::Unknown),
        }
    }

    async fn renew(&self, owner: AccountId) -> Result<bool, PortError> {
        let theirs = owners::owner_id.eq(owner.as_uuid()).and(owners::destroyed_at.is_null());
        let query = diesel::update(owners::table.filter(theirs.and(owners::version.gt(0))))
            .set(owners::seals.eq(i64::from(MAX_SEALS)));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.execute(conn.raw()?)).await;
        Ok(conn.settle(result)? > 0)
    }

    async fn destroy(&self, owner: AccountId, at: Timestamp) -> Result<u64, PortError> {
        let query = functions::destroy_keys(owner.as_uuid(), at.to_diesel());
        count(self.ask(diesel::select(query)).await?)
    }

    async fn destroyed_since(&self, since: Timestamp) -> Result<Vec<AccountId>, PortError> {
        let query = owners::table.filter(owners::destroyed_at.ge(since.to_diesel())).select(owners::owner_id);
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<Uuid>(conn.raw()?)).await;
        Ok(conn.settle(result)?.into_iter().map(AccountId::from_uuid).collect())
    }

    async fn keks(&self) -> Result<Vec<KekState>, PortError> {
        let query = keks::table.order((keks::first_used_at, keks::id)).select(KekRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<KekRow>(conn.raw()?)).await;
        let state = |row: KekRow| {
            let id = row.id.parse().map_err(unreadable)?;
            Ok(KekState { id, first_used_at: row.first_used_at, retired_at: row.retired_at })
        };
        conn.settle(result)?.into_iter().map(state).collect()
    }

    async fn count(&self, kek: &KekId) -> Result<u64, PortError> {
        let query = data_keys::table.filter(data_keys::kek_id.eq(kek.as_str())).count();
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<i64>(conn.raw()?)).await;
        count(conn.settle(result)?)
    }

    async fn wrapped_under(
        &self,
        kek: &KekId,
        after: Option<DataKeyId>,
        most: u16,
    ) -> Result<Vec<StoredKey>, PortError> {
        let id = (data_keys::owner_id, data_keys::version);
        let mut query = data_keys::table.filter(data_keys::kek_id.eq(kek.as_str())).into_boxed();
        if let Some(after) = after {
            let (owner, version) = (after.owner.as_uuid(), version(after.version)?);
            let later = data_keys::owner_id.eq(owner).and(data_keys::version.gt(version));
            query = query.filter(data_keys::owner_id.ge(owner)).filter(data_keys::owner_id.gt(owner).or(later));
        }
        let query = query.order(id).limit(i64::from(most)).select(DataKeyRow::as_select());
        let mut conn = self.connection().await?;
        let result: Result<Vec<DataKeyRow>, DbError> = bounded(conn.limit(), query.load(conn.raw()?)).await;
        let key = |row: DataKeyRow| {
            let version = u32::try_from(row.version).map_err(unreadable)?;
            stored(row.owner_id, version, &row.kek_id, row.wrapped, &row.check_value)
        };
        conn.settle(result)?.into_iter().map(key).collect()
    }

    async fn rewrap(&self, from: &KekId, keys: &[StoredKey], at: Timestamp) -> Result<u64, PortError> {
        let rows: Vec<_> = keys.iter().map(NewKeyRow::from).collect();
        let query = functions::rewrap_keys(from.as_str(), Json(rows), at.to_diesel());
        count(self.ask(diesel::select(query)).await?)
    }

    async fn retire(&self, kek: &KekId, at: Timestamp) -> Result<Retired, PortError> {
        let query = functions::retire_kek(kek.as_str(), at.to_diesel());
        match count(self.ask(diesel::select(query)).await?)? {
            0 => Ok(Retired::Done),
            wraps => Ok(Retired::Wraps(wraps)),
        }
    }
}

#[async_trait]
impl Records for Postgres {
    async fn record(&self, effects: &Effects) -> Result<(), PortError> {
        recorded(self.commit_effects(effects).await)
    }
}
