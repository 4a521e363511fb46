//! One-time links.

use crate::{
    effects::{EffectRows, hex},
    error::Optional,
    functions,
    json::Json,
    pool::{Postgres, bounded},
    schema::account_links,
};
use amrutam_identity::{
    model::{Link, SecretDigest},
    ports::LinkStore,
};
use amrutam_kernel::{AccountId, CommitError, Effects, LinkId, LinkPurpose, PortError};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

/// As the SQL functions take it.
#[derive(Debug, Serialize)]
pub(crate) struct LinkRow {
    id: LinkId,
    account_id: AccountId,
    purpose: &'static str,
    digest: String,
    expires_at: Timestamp,
    spent_at: Option<Timestamp>,
}

impl From<&Link> for LinkRow {
    fn from(link: &Link) -> Self {
        Self {
            id: link.id,
            account_id: link.account,
            purpose: link.purpose.as_str(),
            digest: hex(link.digest.as_bytes()),
            expires_at: link.expires_at,
            spent_at: link.spent_at,
        }
    }
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::account_links)]
struct StoredLinkRow {
    id: Uuid,
    account_id: Uuid,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    expires_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    spent_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Issue<'a> {
    link: LinkRow,
    now: Timestamp,
    effects: EffectRows<'a>,
}

#[async_trait]
impl LinkStore for Postgres {
    async fn issue(&self, link: &Link, now: Timestamp, effects: &Effects) -> Result<(), CommitError> {
        let change = Issue { link: link.into(), now, effects: EffectRows::of(&[effects]) };
        let _ok: String = self.ask(diesel::select(functions::issue_link(Json(change)))).await?;
        Ok(())
    }

    async fn by_digest(&self, purpose: LinkPurpose, digest: &SecretDigest) -> Result<Option<Link>, PortError> {
        let query = account_links::table
            .filter(account_links::digest.eq(digest.as_bytes().as_slice()))
            .filter(account_links::purpose.eq(purpose.as_str()))
            .select(StoredLinkRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<StoredLinkRow>(conn.raw()?)).await;
        Ok(conn.settle(result.optional())?.map(|row| Link {
            id: LinkId::from_uuid(row.id),
            purpose,
            account: AccountId::from_uuid(row.account_id),
            digest: *digest,
            expires_at: row.expires_at,
            spent_at: row.spent_at,
        }))
    }
}
