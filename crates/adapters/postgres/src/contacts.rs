//! The sealed half of an account: who it is of, and how they are reached.

use crate::{
    accounts::Accounts,
    error::DbError,
    group::Together,
    pool::{Postgres, bounded},
    schema::{accounts, contacts},
    vault::Vault,
};
use amrutam_identity::{
    EmailAddress, PersonName,
    model::{Account, AccountStatus, Profile, Sex},
};
use amrutam_kernel::{AccountId, PortError, SealPlace, Sensitive};
use amrutam_notifications::{Contact, ports::Contacts};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde::Serialize;
use std::{collections::HashMap, str::FromStr};
use uuid::Uuid;

/// Where a value of that row lies; what binds its ciphertext to it.
fn place(account: AccountId, version: i64, column: &'static str) -> SealPlace<'static> {
    SealPlace { schema: "phi", table: "contacts", column, row: account.as_uuid(), owner: account, version }
}

/// As the SQL functions take it.
#[derive(Debug, Serialize)]
pub(crate) struct SealedContact {
    email: String,
    full_name: String,
    phone: Option<String>,
    date_of_birth: Option<String>,
    sex: Option<String>,
}

impl SealedContact {
    /// Sealed for the row of this account and version.
    pub(crate) fn of(account: &Account, vault: &Vault) -> Result<Self, PortError> {
        let seal = |column, text: &str| vault.seal(&place(account.id, account.version, column), text.as_bytes());
        let Profile { full_name, phone, date_of_birth, sex, time_zone: _ } = &account.profile;
        let date_of_birth = date_of_birth.as_ref().map(|date| date.expose().to_string());
        Ok(Self {
            email: seal("email", account.email.expose().as_str())?,
            full_name: seal("full_name", full_name.expose().as_str())?,
            phone: phone.as_ref().map(|phone| seal("phone", phone.expose())).transpose()?,
            date_of_birth: date_of_birth.map(|date| seal("date_of_birth", &date)).transpose()?,
            sex: sex.as_ref().map(|sex| seal("sex", sex_word(*sex.expose()))).transpose()?,
        })
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::contacts)]
pub(crate) struct ContactRow {
    account_id: Uuid,
    version: i64,
    email: Vec<u8>,
    full_name: Vec<u8>,
    phone: Option<Vec<u8>>,
    date_of_birth: Option<Vec<u8>>,
    sex: Option<Vec<u8>>,
}

impl ContactRow {
    pub(crate) fn open(
        self,
        time_zone: String,
        vault: &Vault,
    ) -> Result<(Sensitive<EmailAddress>, Profile), PortError> {
        let place = |column| place(AccountId::from_uuid(self.account_id), self.version, column);
        let profile = Profile {
            full_name: Sensitive::new(vault.open_text::<PersonName>(&place("full_name"), &self.full_name)?),
            phone: open(vault, place("phone"), self.phone)?,
            date_of_birth: open(vault, place("date_of_birth"), self.date_of_birth)?,
            sex: open::<SexWord>(vault, place("sex"), self.sex)?.map(|word| Sensitive::new(word.expose().0)),
            time_zone,
        };
        Ok((Sensitive::new(vault.open_text(&place("email"), &self.email)?), profile))
    }
}

fn open<T: FromStr<Err: std::fmt::Display>>(
    vault: &Vault,
    place: SealPlace<'_>,
    sealed: Option<Vec<u8>>,
) -> Result<Option<Sensitive<T>>, PortError> {
    sealed.map(|sealed| vault.open_text(&place, &sealed).map(Sensitive::new)).transpose()
}

fn sex_word(sex: Sex) -> &'static str {
    match sex {
        Sex::Female => "female",
        Sex::Male => "male",
        Sex::Other => "other",
    }
}

struct SexWord(Sex);

impl FromStr for SexWord {
    type Err = &'static str;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let known = [Sex::Female, Sex::Male, Sex::Other].into_iter().find(|sex| sex_word(*sex) == word);
        known.map(Self).ok_or("not a word for a sex")
    }
}

/// Whoever is to be reached.
pub(crate) struct Reached(AccountId);

#[derive(Debug, Clone, Queryable)]
pub(crate) struct ReachRow {
    account_id: Uuid,
    version: i64,
    email: Vec<u8>,
    full_name: Vec<u8>,
    time_zone: String,
}

impl Together for Reached {
    type Db = Postgres;
    type Answer = Option<ReachRow>;
    const ABREAST: usize = 1;
    async fn ask(db: &Postgres, reached: &[Self]) -> Result<Vec<Option<ReachRow>>, DbError> {
        let ids: Vec<_> = reached.iter().map(|Self(id)| id.as_uuid()).collect();
        let columns =
            (contacts::account_id, contacts::version, contacts::email, contacts::full_name, accounts::time_zone);
        let query = contacts::table.inner_join(accounts::table).filter(contacts::account_id.eq_any(ids));
        let query = query.filter(accounts::status.eq(AccountStatus::Active.as_str())).select(columns);
        let mut conn = db.connection().await?;
        let result = bounded(conn.limit(), query.load::<ReachRow>(conn.raw()?)).await;
        let found: HashMap<_, _> = conn.settle(result)?.into_iter().map(|row| (row.account_id, row)).collect();
        Ok(reached.iter().map(|Self(id)| found.get(&id.as_uuid()).cloned()).collect())
    }
}

#[async_trait]
impl Contacts for Accounts {
    async fn contact(&self, id: AccountId) -> Result<Option<Contact>, PortError> {
        let Some(row) = self.db.groups.contacts.call(&self.db, Reached(id)).await? else { return Ok(None) };
        Ok(Some(Contact {
            email: Sensitive::new(self.vault.open_text(&place(id, row.version, "email"), &row.email)?),
            name: Sensitive::new(self.vault.open_text(&place(id, row.version, "full_name"), &row.full_name)?),
            time_zone: row.time_zone,
        }))
    }
}
