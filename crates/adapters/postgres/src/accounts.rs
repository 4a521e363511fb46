//! Accounts.

use crate::{
    contacts::{ContactRow, SealedContact},
    effects::{EffectRows, hex},
    error::{Optional, unreadable},
    functions,
    json::Json,
    links::LinkRow,
    pool::{Postgres, bounded},
    schema::{accounts, contacts},
    sessions::EndingRow,
    vault::{Unopened, Vault, unless_erased},
};
use amrutam_identity::{
    model::{Account, EmailAddress, Link, PasswordHash},
    ports::{AccountChange, AccountStore, Inserted},
};
use amrutam_kernel::{AccountId, CommitError, Effects, LinkId, PortError, SessionId, Unrecorded, recorded};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The stores of what is kept sealed of an account: the account with its contact details, and its second factors. An account
/// without contact details reads as absent. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    pub(crate) db: Postgres,
    pub(crate) vault: Vault,
}

impl Accounts {
    /// Over that pool.
    pub fn new(db: Postgres, vault: Vault) -> Self {
        Self { db, vault }
    }

    fn email_index(&self, email: &EmailAddress) -> [u8; 16] {
        self.vault.digest("account.email", email.as_str())
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::accounts)]
struct AccountRow {
    id: Uuid,
    role: String,
    status: String,
    email_index: Vec<u8>,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    email_verified_at: Option<Timestamp>,
    password_hash: Option<String>,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    password_set_at: Option<Timestamp>,
    time_zone: String,
    version: i64,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    created_at: Timestamp,
}

impl AccountRow {
    async fn open(self, contact: ContactRow, vault: &Vault) -> Result<Account, Unopened> {
        let (email, profile) = contact.open(self.time_zone, vault).await?;
        Ok(Account {
            id: AccountId::from_uuid(self.id),
            role: self.role.parse().map_err(unreadable)?,
            status: self.status.parse().map_err(unreadable)?,
            email,
            email_verified_at: self.email_verified_at,
            password_hash: self.password_hash.map(PasswordHash::from_phc),
            password_set_at: self.password_set_at,
            profile,
            created_at: self.created_at,
            version: self.version,
        })
    }
}

#[derive(Debug, Serialize)]
struct NewAccountRow<'a> {
    id: AccountId,
    role: &'static str,
    status: &'static str,
    email_index: String,
    email_verified_at: Option<Timestamp>,
    #[serde(serialize_with = "phc")]
    password_hash: Option<&'a PasswordHash>,
    password_set_at: Option<Timestamp>,
    time_zone: &'a str,
    version: i64,
    created_at: Timestamp,
    #[serde(flatten)]
    contact: SealedContact,
}

fn phc<S: Serializer>(hash: &Option<&PasswordHash>, serializer: S) -> Result<S::Ok, S::Error> {
    hash.map(PasswordHash::as_phc).serialize(serializer)
}

impl Accounts {
    async fn row<'a>(&self, account: &'a Account) -> Result<NewAccountRow<'a>, PortError> {
        Ok(NewAccountRow {
            id: account.id,
            role: account.role.as_str(),
            status: account.status.as_str(),
            email_index: hex(&self.email_index(account.email.expose())),
            email_verified_at: account.email_verified_at,
            password_hash: account.password_hash.as_ref(),
            password_set_at: account.password_set_at,
            time_zone: &account.profile.time_zone,
            version: account.version,
            created_at: account.created_at,
            contact: SealedContact::of(account, &self.vault).await?,
        })
    }
}

#[derive(Debug, Serialize)]
struct Insert<'a> {
    account: NewAccountRow<'a>,
    link: Option<LinkRow>,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct Update<'a> {
    account: NewAccountRow<'a>,
    spend: Option<Spend>,
    void_links: Option<Timestamp>,
    end_sessions: Option<EndingRow>,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct Spend {
    id: LinkId,
    at: Timestamp,
}

#[async_trait]
impl AccountStore for Accounts {
    async fn prepare(&self, id: AccountId) {
        self.vault.prepare(id).await;
    }

    async fn insert(&self, account: &Account, link: Option<&Link>, effects: &Effects) -> Result<Inserted, PortError> {
        let (account, link) = (self.row(account).await?, link.map(LinkRow::from));
        let change = Insert { account, link, effects: EffectRows::of(&[effects]) };
        let query = diesel::select(functions::insert_account(Json(change)));
        let mut conn = self.db.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Option<Uuid>>(conn.raw()?)).await;
        match conn.settle(result) {
            Ok(None) => Ok(Inserted::Created),
            Ok(Some(owner)) => Ok(Inserted::EmailTaken(AccountId::from_uuid(owner))),
            Err(error) if error.is_answered() => Ok(Inserted::AlreadyAnswered),
            Err(error) => Err(error.into()),
        }
    }

    async fn update(&self, change: AccountChange<'_>, effects: &Effects) -> Result<Vec<SessionId>, CommitError> {
        let change = Update {
            account: self.row(change.account).await?,
            spend: change.spend.map(|(id, at)| Spend { id, at }),
            void_links: change.void_links,
            end_sessions: change.end_sessions.map(EndingRow::from),
            effects: EffectRows::of(&[effects]),
        };
        let query = diesel::select(functions::update_account(Json(change)));
        let ended: Option<Vec<Uuid>> = self.db.ask(query).await?;
        Ok(ended.ok_or(CommitError::Stale)?.into_iter().map(SessionId::from_uuid).collect())
    }

    async fn record(&self, effects: &Effects) -> Result<(), PortError> {
        recorded(self.db.commit_effects(effects).await)
    }

    async fn by_email(&self, email: &EmailAddress) -> Result<Unrecorded<Option<Account>>, PortError> {
        let wanted = self.email_index(email);
        // The next one when that one is not there: as much is read of the tables either way.
        let query = accounts::table
            .left_join(contacts::table)
            .filter(accounts::email_index.ge(wanted.as_slice()))
            .order(accounts::email_index.asc())
            .select((AccountRow::as_select(), Option::<ContactRow>::as_select()));
        let mut conn = self.db.connection().await?;
        let result = bounded(conn.limit(), query.first::<(AccountRow, Option<ContactRow>)>(conn.raw()?)).await;
        let Some((account, Some(contact))) = conn.settle(result.optional())? else { return Ok(nobody()) };
        let is_wanted = account.email_index == wanted;
        // The next one is opened, too: a key is fetched and as much is opened either way.
        let opened = account.open(contact, &self.vault).await;
        Ok(if is_wanted { Unrecorded::new(unless_erased(opened)?) } else { nobody() })
    }

    async fn by_id(&self, id: AccountId) -> Result<Unrecorded<Option<Account>>, PortError> {
        let query = accounts::table
            .inner_join(contacts::table)
            .filter(accounts::id.eq(id.as_uuid()))
            .select((AccountRow::as_select(), ContactRow::as_select()));
        let mut conn = self.db.connection().await?;
        let result = bounded(conn.limit(), query.first::<(AccountRow, ContactRow)>(conn.raw()?)).await;
        let Some((account, contact)) = conn.settle(result.optional())? else { return Ok(nobody()) };
        Ok(Unrecorded::new(unless_erased(account.open(contact, &self.vault).await)?))
    }
}

fn nobody() -> Unrecorded<Option<Account>> {
    Unrecorded::new(None)
}
