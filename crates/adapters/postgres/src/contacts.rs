//! The sealed half of an account: who it is of, and how they are reached.

use crate::{
    accounts::Accounts,
    error::DbError,
    group::{Company, Together, WORKER},
    pool::{Postgres, bounded},
    schema::{accounts, contacts},
    vault::{Unopened, Vault, unless_erased},
};
use amrutam_identity::{
    EmailAddress, PersonName,
    model::{Account, AccountStatus, Profile, Sex},
};
use amrutam_kernel::{AccountId, PortError, SealPlace, Sensitive, Unrecorded};
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
    pub(crate) async fn of(account: &Account, vault: &Vault) -> Result<Self, PortError> {
        let place = |column| place(account.id, account.version, column);
        let seal = async |column, text: &str| vault.seal(&place(column), text.as_bytes()).await;
        let seal_some = async |column, text: Option<&str>| match text {
            Some(text) => seal(column, text).await.map(Some),
            None => Ok(None),
        };
        let Profile { full_name, phone, date_of_birth, sex, time_zone: _ } = &account.profile;
        let date_of_birth = date_of_birth.as_ref().map(|date| date.expose().to_string());
        Ok(Self {
            email: seal("email", account.email.expose().as_str()).await?,
            full_name: seal("full_name", full_name.expose().as_str()).await?,
            phone: seal_some("phone", phone.as_ref().map(|phone| phone.expose().as_str())).await?,
            date_of_birth: seal_some("date_of_birth", date_of_birth.as_deref()).await?,
            sex: seal_some("sex", sex.as_ref().map(|sex| sex_word(*sex.expose()))).await?,
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
    pub(crate) async fn open(
        self,
        time_zone: String,
        vault: &Vault,
    ) -> Result<(Sensitive<EmailAddress>, Profile), Unopened> {
        let place = |column| place(AccountId::from_uuid(self.account_id), self.version, column);
        let sex = open::<SexWord>(vault, place("sex"), self.sex).await?;
        let profile = Profile {
            full_name: Sensitive::new(vault.open_text::<PersonName>(&place("full_name"), &self.full_name).await?),
            phone: open(vault, place("phone"), self.phone).await?,
            date_of_birth: open(vault, place("date_of_birth"), self.date_of_birth).await?,
            sex: sex.map(|word| Sensitive::new(word.expose().0)),
            time_zone,
        };
        Ok((Sensitive::new(vault.open_text(&place("email"), &self.email).await?), profile))
    }
}

async fn open<T: FromStr<Err: std::fmt::Display>>(
    vault: &Vault,
    place: SealPlace<'_>,
    sealed: Option<Vec<u8>>,
) -> Result<Option<Sensitive<T>>, Unopened> {
    let Some(sealed) = sealed else { return Ok(None) };
    Ok(Some(Sensitive::new(vault.open_text(&place, &sealed).await?)))
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
    phone: Option<Vec<u8>>,
    time_zone: String,
}

impl Together for Reached {
    type Db = Postgres;
    type Answer = Option<ReachRow>;
    const ABREAST: usize = 1;
    const COMPANY: Company = WORKER;
    async fn ask(db: &Postgres, reached: &[Self]) -> Result<Vec<Option<ReachRow>>, DbError> {
        let ids: Vec<_> = reached.iter().map(|Self(id)| id.as_uuid()).collect();
        let columns = (
            contacts::account_id,
            contacts::version,
            contacts::email,
            contacts::full_name,
            contacts::phone,
            accounts::time_zone,
        );
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
    async fn contact(&self, id: AccountId) -> Result<Option<Unrecorded<Contact>>, PortError> {
        let Some(row) = self.db.groups.contacts.call(&self.db, Reached(id)).await? else { return Ok(None) };
        let opened = async {
            Ok(Contact {
                account: id,
                email: Sensitive::new(self.vault.open_text(&place(id, row.version, "email"), &row.email).await?),
                name: Sensitive::new(self.vault.open_text(&place(id, row.version, "full_name"), &row.full_name).await?),
                phone: open(&self.vault, place(id, row.version, "phone"), row.phone).await?,
                time_zone: row.time_zone,
            })
        };
        Ok(unless_erased(opened.await)?.map(Unrecorded::new))
    }
}
