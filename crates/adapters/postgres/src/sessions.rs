//! Sessions and refresh tokens.

use crate::{
    effects::{EffectRows, hex, verdict},
    error::{Optional, unreadable},
    functions,
    json::Json,
    pool::{Postgres, bounded},
    schema::{refresh_tokens, sessions},
};
use amrutam_identity::{
    model::{EndReason, SecretDigest, Session, SessionLabel},
    ports::{ByLogIn, EndSessions, Presented, Rotated, Rotation, SessionStore, StoredRefresh},
};
use amrutam_kernel::{AccountId, CommitError, Effects, Page, PageRequest, PortError, SessionId, Unrecorded};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;
use serde::Serialize;
use uuid::Uuid;

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::sessions)]
struct StoredSessionRow {
    id: Uuid,
    account_id: Uuid,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    created_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    last_used_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    idle_expires_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    expires_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    second_factor_at: Option<Timestamp>,
    label: String,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    ended_at: Option<Timestamp>,
    end_reason: Option<String>,
}

impl TryFrom<StoredSessionRow> for Session {
    type Error = PortError;
    fn try_from(row: StoredSessionRow) -> Result<Self, PortError> {
        let reason = row.end_reason.as_deref().map(str::parse).transpose().map_err(unreadable)?;
        Ok(Self {
            id: SessionId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            idle_expires_at: row.idle_expires_at,
            expires_at: row.expires_at,
            second_factor_at: row.second_factor_at,
            label: SessionLabel::new(&row.label),
            ended: row.ended_at.zip(reason),
        })
    }
}

/// As the SQL functions take it.
#[derive(Debug, Serialize)]
struct SessionRow<'a> {
    id: SessionId,
    account_id: AccountId,
    created_at: Timestamp,
    last_used_at: Timestamp,
    idle_expires_at: Timestamp,
    expires_at: Timestamp,
    second_factor_at: Option<Timestamp>,
    label: &'a str,
    ended_at: Option<Timestamp>,
    end_reason: Option<&'static str>,
}

impl<'a> From<&'a Session> for SessionRow<'a> {
    fn from(session: &'a Session) -> Self {
        Self {
            id: session.id,
            account_id: session.account,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            idle_expires_at: session.idle_expires_at,
            expires_at: session.expires_at,
            second_factor_at: session.second_factor_at,
            label: session.label.as_str(),
            ended_at: session.ended.map(|(at, _)| at),
            end_reason: session.ended.map(|(_, reason)| reason.as_str()),
        }
    }
}

#[derive(Debug, Serialize)]
struct TokenRow {
    digest: String,
    generation: u32,
    issued_at: Timestamp,
}

impl From<&StoredRefresh> for TokenRow {
    fn from(token: &StoredRefresh) -> Self {
        Self { digest: hex(token.digest.as_bytes()), generation: token.generation, issued_at: token.issued_at }
    }
}

/// Which sessions of an account end, as the SQL functions take it.
#[derive(Debug, Serialize)]
pub(crate) struct EndingRow {
    reason: &'static str,
    except: Option<SessionId>,
    at: Timestamp,
}

impl From<EndSessions> for EndingRow {
    fn from(end: EndSessions) -> Self {
        Self { reason: end.reason.as_str(), except: end.except, at: end.at }
    }
}

#[derive(Debug, Serialize)]
struct Open<'a> {
    session: SessionRow<'a>,
    token: TokenRow,
    password_set_at: Option<Timestamp>,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct Rotate<'a> {
    presented: String,
    next: TokenRow,
    session: SessionRow<'a>,
    effects: EffectRows<'a>,
    reused_at: Timestamp,
    reused_effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct End<'a> {
    session: SessionId,
    at: Timestamp,
    reason: &'static str,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct EndAll<'a> {
    account: AccountId,
    ending: EndingRow,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct StepUp<'a> {
    session: SessionId,
    at: Timestamp,
    effects: EffectRows<'a>,
}

#[async_trait]
impl SessionStore for Postgres {
    async fn open(
        &self,
        session: &Session,
        first: &StoredRefresh,
        password_set_at: Option<Timestamp>,
        effects: &Effects,
    ) -> Result<(), CommitError> {
        let effects = EffectRows::of(&[effects]);
        let change = Open { session: session.into(), token: first.into(), password_set_at, effects };
        let word: String = self.ask(diesel::select(functions::open_session(Json(change)))).await?;
        verdict(&word)
    }

    async fn by_refresh(&self, digest: &SecretDigest) -> Result<Option<Presented>, PortError> {
        let spent = refresh_tokens::spent_at.is_not_null();
        let query = refresh_tokens::table
            .inner_join(sessions::table)
            .filter(refresh_tokens::digest.eq(digest.as_bytes().as_slice()))
            .select((StoredSessionRow::as_select(), refresh_tokens::generation, spent));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<(StoredSessionRow, i32, bool)>(conn.raw()?)).await;
        let Some((session, generation, spent)) = conn.settle(result.optional())? else { return Ok(None) };
        let generation = generation.try_into().map_err(unreadable)?;
        Ok(Some(Presented { session: session.try_into()?, generation, spent }))
    }

    async fn rotate(
        &self,
        rotation: Rotation<'_>,
        effects: &Effects,
        (reused_at, reused): (Timestamp, &Effects),
    ) -> Result<Rotated, PortError> {
        let change = Rotate {
            presented: hex(rotation.presented.as_bytes()),
            next: rotation.next.into(),
            session: rotation.session.into(),
            effects: EffectRows::of(&[effects]),
            reused_at,
            reused_effects: EffectRows::of(&[reused]),
        };
        let verdict: String = self.ask(diesel::select(functions::rotate_refresh_token(Json(change)))).await?;
        match verdict.as_str() {
            "rotated" => Ok(Rotated::Rotated),
            "reused" => Ok(Rotated::Reused),
            "ended" => Ok(Rotated::Ended),
            other => Err(unreadable(other)),
        }
    }

    async fn by_id(&self, id: SessionId) -> Result<Option<Session>, PortError> {
        let query = sessions::table.find(id.as_uuid()).select(StoredSessionRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<StoredSessionRow>(conn.raw()?)).await;
        conn.settle(result.optional())?.map(Session::try_from).transpose()
    }

    async fn live(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>, PortError> {
        let query = sessions::table
            .filter(sessions::account_id.eq(account.as_uuid()))
            .filter(sessions::ended_at.is_null())
            .filter(sessions::idle_expires_at.gt(now.to_diesel()))
            .filter(sessions::expires_at.gt(now.to_diesel()))
            .order((sessions::last_used_at.desc(), sessions::id.desc()))
            .select(StoredSessionRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<StoredSessionRow>(conn.raw()?)).await;
        conn.settle(result)?.into_iter().map(Session::try_from).collect()
    }

    async fn page(
        &self,
        account: AccountId,
        now: Timestamp,
        page: PageRequest<ByLogIn>,
    ) -> Result<Unrecorded<Page<Session, ByLogIn>>, PortError> {
        let mut query = sessions::table
            .filter(sessions::account_id.eq(account.as_uuid()))
            .filter(sessions::ended_at.is_null())
            .filter(sessions::idle_expires_at.gt(now.to_diesel()))
            .filter(sessions::expires_at.gt(now.to_diesel()))
            .into_boxed();
        if let Some((began, id)) = page.after {
            let began = began.to_diesel();
            query = query.filter(
                sessions::created_at.lt(began).or(sessions::created_at.eq(began).and(sessions::id.lt(id.as_uuid()))),
            );
        }
        let query = query
            .order((sessions::created_at.desc(), sessions::id.desc()))
            .limit(i64::from(page.limit.get()) + 1)
            .select(StoredSessionRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<StoredSessionRow>(conn.raw()?)).await;
        let found = conn.settle(result)?.into_iter().map(Session::try_from).collect::<Result<_, _>>()?;
        Ok(Unrecorded::new(Page::cut(found, page.limit, |last: &Session| (last.created_at, last.id))))
    }

    async fn end(&self, id: SessionId, at: Timestamp, reason: EndReason, effects: &Effects) -> Result<bool, PortError> {
        let change = End { session: id, at, reason: reason.as_str(), effects: EffectRows::of(&[effects]) };
        Ok(self.ask(diesel::select(functions::end_session(Json(change)))).await?)
    }

    async fn end_all(
        &self,
        account: AccountId,
        end: EndSessions,
        effects: &Effects,
    ) -> Result<Vec<SessionId>, PortError> {
        let change = EndAll { account, ending: end.into(), effects: EffectRows::of(&[effects]) };
        let ended: Vec<Uuid> = self.ask(diesel::select(functions::end_sessions(Json(change)))).await?;
        Ok(ended.into_iter().map(SessionId::from_uuid).collect())
    }

    async fn step_up(&self, id: SessionId, at: Timestamp, effects: &Effects) -> Result<(), PortError> {
        let change = StepUp { session: id, at, effects: EffectRows::of(&[effects]) };
        let _ok: String = self.ask(diesel::select(functions::step_up_session(Json(change)))).await?;
        Ok(())
    }
}
