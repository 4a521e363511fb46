//! How a session stands. Requests ask together when they come together.

use crate::{
    error::{DbError, unreadable},
    functions,
    group::{Company, PEOPLE, Together},
    json::Json,
    pool::{Postgres, bounded},
};
use amrutam_identity::{model::SessionState, ports::SessionGate};
use amrutam_kernel::{AccountId, PortError, SessionId};
use async_trait::async_trait;
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

/// A session that is asked for.
pub(crate) struct Asked(Uuid);

#[derive(Debug, Deserialize)]
pub(crate) struct StateRow {
    account: Uuid,
    role: String,
    ended: bool,
    ends_at: Timestamp,
    second_factor_at: Option<Timestamp>,
    enrolled: bool,
}

impl Together for Asked {
    const ABREAST: usize = 2;
    const COMPANY: Company = PEOPLE;
    type Db = Postgres;
    type Answer = Option<StateRow>;
    async fn ask(db: &Postgres, asked: &[Self]) -> Result<Vec<Option<StateRow>>, DbError> {
        let sessions: Vec<_> = asked.iter().map(|asked| asked.0).collect();
        let query = diesel::select(functions::session_states(sessions));
        let mut conn = db.connection().await?;
        let result = bounded(conn.limit(), query.load::<Option<Json<StateRow>>>(conn.raw()?)).await;
        Ok(conn.settle(result)?.into_iter().map(|row| row.map(|Json(row)| row)).collect())
    }
}

#[async_trait]
impl SessionGate for Postgres {
    async fn state(&self, session: SessionId, now: Timestamp) -> Result<Option<SessionState>, PortError> {
        let Some(row) = self.groups.sessions.call(self, Asked(session.as_uuid())).await? else { return Ok(None) };
        Ok(Some(SessionState {
            account: AccountId::from_uuid(row.account),
            role: row.role.parse().map_err(unreadable)?,
            ended: row.ended || now >= row.ends_at,
            second_factor_at: row.second_factor_at,
            enrolled: row.enrolled,
        }))
    }
}
