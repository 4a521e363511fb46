//! What is kept for a time only.

use crate::{
    pool::{Postgres, bounded},
    schema::{account_links, idempotency_keys, inbox, inbox_attempts, sessions},
};
use amrutam_kernel::PortError;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::{SignedDuration, Timestamp};
use jiff_diesel::ToDiesel;

/// Keys live 24 hours (contract).
const IDEMPOTENCY: SignedDuration = SignedDuration::from_hours(24);
/// Longer than any message can stay in the broker, the dead letters excepted.
const INBOX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A link is told to be over, not unknown, for so long.
const LINKS: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Postgres {
    /// Forgets idempotency answers, inbox marks, links and sessions whose time is over; says how many rows went, the refresh
    /// tokens that go with their sessions not counted.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<usize, PortError> {
        let keys = diesel::delete(
            idempotency_keys::table.filter(idempotency_keys::created_at.lt((now - IDEMPOTENCY).to_diesel())),
        );
        let marks = diesel::delete(inbox::table.filter(inbox::handled_at.lt((now - INBOX).to_diesel())));
        let attempts =
            diesel::delete(inbox_attempts::table.filter(inbox_attempts::updated_at.lt((now - INBOX).to_diesel())));
        let links =
            diesel::delete(account_links::table.filter(account_links::expires_at.lt((now - LINKS).to_diesel())));
        let sessions = diesel::delete(sessions::table.filter(sessions::expires_at.lt(now.to_diesel())));
        let mut conn = self.connection().await?;
        let limit = conn.limit();
        let raw = conn.raw()?;
        let result = bounded(limit, async {
            let messages = marks.execute(raw).await? + attempts.execute(raw).await?;
            Ok(keys.execute(raw).await? + messages + links.execute(raw).await? + sessions.execute(raw).await?)
        })
        .await;
        Ok(conn.settle(result)?)
    }
}
