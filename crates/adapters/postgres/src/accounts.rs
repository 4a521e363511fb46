//! Accounts.

use crate::{
    effects::{EffectRows, verdict},
    error::{Optional, unreadable},
    functions,
    json::Json,
    pool::{Postgres, bounded},
    schema::accounts,
};
use amrutam_identity::{
    model::{Account, EmailAddress, PasswordHash, Profile, Sex},
    ports::{AccountStore, Inserted},
};
use amrutam_kernel::{AccountId, CommitError, Effects, PortError, Sensitive};
use amrutam_notifications::{Contact, ports::Contacts};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::{Timestamp, civil::Date};
use serde_json::json;
use uuid::Uuid;

#[derive(Queryable, Selectable)]
#[diesel(table_name = crate::schema::accounts)]
struct AccountRow {
    id: Uuid,
    role: String,
    email: String,
    password_hash: String,
    full_name: String,
    phone: Option<String>,
    #[diesel(deserialize_as = jiff_diesel::NullableDate)]
    date_of_birth: Option<Date>,
    sex: Option<String>,
    time_zone: String,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    created_at: Timestamp,
}

fn sex_word(sex: Sex) -> &'static str {
    match sex {
        Sex::Female => "female",
        Sex::Male => "male",
        Sex::Other => "other",
    }
}

impl TryFrom<AccountRow> for Account {
    type Error = PortError;
    fn try_from(row: AccountRow) -> Result<Self, PortError> {
        let sex = match row.sex.as_deref() {
            None => None,
            Some("female") => Some(Sex::Female),
            Some("male") => Some(Sex::Male),
            Some("other") => Some(Sex::Other),
            Some(_) => return Err(unreadable("sex")),
        };
        Ok(Self {
            id: AccountId::from_uuid(row.id),
            role: row.role.parse().map_err(unreadable)?,
            email: Sensitive::new(row.email.parse().map_err(unreadable)?),
            password_hash: PasswordHash::from_phc(row.password_hash),
            profile: Profile {
                full_name: Sensitive::new(row.full_name.parse().map_err(unreadable)?),
                phone: row.phone.map(Sensitive::new),
                date_of_birth: row.date_of_birth.map(Sensitive::new),
                sex: sex.map(Sensitive::new),
                time_zone: row.time_zone,
            },
            created_at: row.created_at,
        })
    }
}

#[async_trait]
impl AccountStore for Postgres {
    async fn insert(&self, account: &Account, effects: &Effects) -> Result<Inserted, PortError> {
        let profile = &account.profile;
        let row = json!({
            "id": account.id,
            "role": account.role.as_str(),
            "email": account.email.expose().as_str(),
            "password_hash": account.password_hash.as_phc(),
            "full_name": profile.full_name.expose().as_str(),
            "phone": profile.phone.as_ref().map(Sensitive::expose),
            "date_of_birth": profile.date_of_birth.as_ref().map(Sensitive::expose),
            "sex": profile.sex.as_ref().map(|sex| sex_word(*sex.expose())),
            "time_zone": profile.time_zone,
            "created_at": account.created_at,
        });
        let query = diesel::select(functions::insert_account(row, Json(EffectRows::of(&[effects]))));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Option<Uuid>>(conn.raw()?)).await;
        Ok(match conn.settle(result)? {
            None => Inserted::Created,
            Some(owner) => Inserted::EmailTaken(AccountId::from_uuid(owner)),
        })
    }

    async fn record(&self, effects: &Effects) -> Result<(), PortError> {
        match self.commit_effects(effects).await {
            Err(CommitError::Port(error)) => Err(error),
            // A repeated effect has been recorded already.
            _ => Ok(()),
        }
    }

    async fn by_email(&self, email: &EmailAddress) -> Result<Option<Account>, PortError> {
        let query = accounts::table.filter(accounts::email.eq(email.as_str())).select(AccountRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<AccountRow>(conn.raw()?)).await;
        conn.settle(result.optional())?.map(Account::try_from).transpose()
    }

    async fn by_id(&self, id: AccountId) -> Result<Option<Account>, PortError> {
        let query = accounts::table.find(id.as_uuid()).select(AccountRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<AccountRow>(conn.raw()?)).await;
        conn.settle(result.optional())?.map(Account::try_from).transpose()
    }
}

#[async_trait]
impl Contacts for Postgres {
    async fn contact(&self, id: AccountId) -> Result<Option<Contact>, PortError> {
        let query =
            accounts::table.find(id.as_uuid()).select((accounts::email, accounts::full_name, accounts::time_zone));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<(String, String, String)>(conn.raw()?)).await;
        let contact =
            |(email, name, time_zone)| Contact { email: Sensitive::new(email), name: Sensitive::new(name), time_zone };
        Ok(conn.settle(result.optional())?.map(contact))
    }
}

impl Postgres {
    /// Commits effects alone.
    pub(crate) async fn commit_effects(&self, effects: &Effects) -> Result<(), CommitError> {
        let mut conn = self.connection().await?;
        let query = diesel::select(functions::commit_effects(Json(EffectRows::of(&[effects]))));
        let result = bounded(conn.limit(), query.get_result::<Vec<String>>(conn.raw()?)).await;
        conn.settle(result)?.iter().try_for_each(|word| verdict(word))
    }
}
