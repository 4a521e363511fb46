//! Identity's sessions, and how they stand.

use crate::world::{MemoryWorld, RefreshRow, defect, into_port_error};
use amrutam_identity::{
    Account,
    model::{EndReason, SecretDigest, Session, SessionState},
    ports::{ByLogIn, EndSessions, Presented, Rotated, Rotation, SessionGate, SessionStore, StoredRefresh},
};
use amrutam_kernel::{AccountId, CommitError, Effects, Page, PageRequest, PortError, SessionId, Unrecorded};
use async_trait::async_trait;
use jiff::Timestamp;
use std::cmp::Reverse;

fn row(session: SessionId, token: &StoredRefresh) -> RefreshRow {
    RefreshRow { session, generation: token.generation, spent_at: None }
}

#[async_trait]
impl SessionStore for MemoryWorld {
    async fn open(
        &self,
        session: &Session,
        first: &StoredRefresh,
        password_set_at: Option<Timestamp>,
        effects: &Effects,
    ) -> Result<(), CommitError> {
        let mut tx = self.begin(effects)?;
        let tables = tx.tables();
        let as_read = |account: &&Account| account.is_active() && account.password_set_at == password_set_at;
        if tables.accounts.get(&session.account).filter(as_read).is_none() {
            return Err(CommitError::Stale);
        }
        if tables.sessions.insert(session.id, session.clone()).is_some()
            || tables.refresh_tokens.insert(first.digest, row(session.id, first)).is_some()
        {
            return Err(defect("a session's id and a refresh token's digest are unique").into());
        }
        tx.commit()
    }

    async fn by_refresh(&self, digest: &SecretDigest) -> Result<Option<Presented>, PortError> {
        self.read(|tables| {
            let token = tables.refresh_tokens.get(digest)?;
            let session = tables.sessions.get(&token.session)?.clone();
            Some(Presented { session, generation: token.generation, spent: token.spent_at.is_some() })
        })
    }

    async fn rotate(
        &self,
        rotation: Rotation<'_>,
        effects: &Effects,
        (at, reused): (Timestamp, &Effects),
    ) -> Result<Rotated, PortError> {
        let Rotation { presented, next, session } = rotation;
        let mut tx = self.begin(&Effects::default()).map_err(into_port_error)?;
        let tables = tx.tables();
        let token = tables.refresh_tokens.get_mut(presented).filter(|token| token.session == session.id);
        let stored = tables.sessions.get_mut(&session.id).filter(|stored| stored.ended.is_none());
        let (Some(token), Some(stored)) = (token, stored) else { return Ok(Rotated::Ended) };
        let rotated = if token.spent_at.is_some() {
            stored.ended = Some((at, EndReason::TokenReused));
            Rotated::Reused
        } else {
            token.spent_at = Some(next.issued_at);
            stored.last_used_at = session.last_used_at;
            stored.idle_expires_at = session.idle_expires_at;
            if tables.refresh_tokens.insert(next.digest, row(session.id, next)).is_some() {
                return Err(defect("a refresh token's digest is unique"));
            }
            Rotated::Rotated
        };
        let carried = if rotated == Rotated::Rotated { effects } else { reused };
        tx.carry(carried).and_then(|()| tx.commit()).map_err(into_port_error)?;
        Ok(rotated)
    }

    async fn by_id(&self, id: SessionId) -> Result<Option<Session>, PortError> {
        self.read(|tables| tables.sessions.get(&id).cloned())
    }

    async fn live(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>, PortError> {
        self.read(|tables| {
            let wanted = |session: &&Session| session.account == account && session.is_live(now);
            let mut sessions: Vec<_> = tables.sessions.values().filter(wanted).cloned().collect();
            sessions.sort_by_key(|session| Reverse((session.last_used_at, session.id)));
            sessions
        })
    }

    async fn page(
        &self,
        account: AccountId,
        now: Timestamp,
        page: PageRequest<ByLogIn>,
    ) -> Result<Unrecorded<Page<Session, ByLogIn>>, PortError> {
        let key = |session: &Session| (session.created_at, session.id);
        self.read(|tables| {
            let wanted = |session: &&Session| {
                let later = page.after.is_none_or(|after| key(session) < after);
                session.account == account && session.is_live(now) && later
            };
            let mut sessions: Vec<_> = tables.sessions.values().filter(wanted).cloned().collect();
            sessions.sort_by_key(|session| Reverse(key(session)));
            Unrecorded::new(Page::cut(sessions, page.limit, key))
        })
    }

    async fn end(&self, id: SessionId, at: Timestamp, reason: EndReason, effects: &Effects) -> Result<bool, PortError> {
        let mut tx = self.begin(effects).map_err(into_port_error)?;
        if !tx.tables().end_session(id, at, reason) {
            return Ok(false);
        }
        tx.commit().map_err(into_port_error)?;
        Ok(true)
    }

    async fn end_all(
        &self,
        account: AccountId,
        end: EndSessions,
        effects: &Effects,
    ) -> Result<Vec<SessionId>, PortError> {
        let mut tx = self.begin(effects).map_err(into_port_error)?;
        let ended = tx.tables().end_sessions(account, end);
        tx.commit().map_err(into_port_error)?;
        Ok(ended)
    }

    async fn step_up(&self, id: SessionId, at: Timestamp, effects: &Effects) -> Result<(), PortError> {
        let mut tx = self.begin(effects).map_err(into_port_error)?;
        if let Some(session) = tx.tables().sessions.get_mut(&id) {
            session.second_factor_at = Some(at);
        }
        tx.commit().map_err(into_port_error)
    }
}

#[async_trait]
impl SessionGate for MemoryWorld {
    async fn state(&self, session: SessionId, now: Timestamp) -> Result<Option<SessionState>, PortError> {
        self.read(|tables| {
            let session = tables.sessions.get(&session)?;
            let account = tables.accounts.get(&session.account)?;
            Some(SessionState {
                account: account.id,
                role: account.role,
                ended: !account.is_active() || !session.is_live(now),
                second_factor_at: session.second_factor_at,
                enrolled: tables.factors.get(&account.id).is_some_and(|row| row.confirmed.is_some()),
            })
        })
    }
}
