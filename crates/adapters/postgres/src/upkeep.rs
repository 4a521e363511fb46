//! What is kept for a time only.

use crate::{
    pool::{Postgres, bounded},
    schema::{idempotency_keys, inbox, inbox_attempts},
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

impl Postgres {
    /// Forgets idempotency answers and inbox marks whose time is over; says how many rows went.
    pub async fn forget_expired(&self, now: Timestamp) -> Result<usize, PortError> {
        let keys = diesel::delete(
            idempotency_keys::table.filter(idempotency_keys::created_at.lt((now - IDEMPOTENCY).to_diesel())),
        );
        let marks = diesel::delete(inbox::table.filter(inbox::handled_at.lt((now - INBOX).to_diesel())));
        let attempts =
            diesel::delete(inbox_attempts::table.filter(inbox_attempts::updated_at.lt((now - INBOX).to_diesel())));
        let mut conn = self.connection().await?;
        let limit = conn.limit();
        let raw = conn.raw()?;
        let result = bounded(limit, async {
            Ok(keys.execute(raw).await? + marks.execute(raw).await? + attempts.execute(raw).await?)
        })
        .await;
        Ok(conn.settle(result)?)
    }
}
