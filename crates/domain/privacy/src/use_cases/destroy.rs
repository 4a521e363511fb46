//! What was kept of somebody ends.

use super::shared::{Told, event_id};
use crate::{
    events,
    model::{Erasure, ErasureState},
    ports::{ErasureStore, KeyDestroyer},
};
use amrutam_kernel::{
    AccountId, Clock, CommitError, Context, Dependency, Effects, EventEnvelope, Handled, HandlerError, IdSource,
    InboxMark, Outcome, PortError,
};

/// The system's part that destroys.
const DESTROYER: &str = "record-destroyer";

/// What destroying works with.
#[derive(Clone, Copy)]
pub struct DestroyDeps<'a> {
    /// Erasures.
    pub store: &'a dyn ErasureStore,
    /// Keys of people.
    pub keys: &'a dyn KeyDestroyer,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
}

/// Handles `erasure.accepted.v1`: of whom no record must be kept, the keys end at once. Others wait for [`destroy_due`].
pub async fn handle_erasure(deps: DestroyDeps<'_>, event: &EventEnvelope) -> Result<Handled, HandlerError> {
    if event.event_type != events::ERASURE_ACCEPTED {
        return Ok(Handled::Ignored);
    }
    let id = event.payload.get("account_id").and_then(serde_json::Value::as_str).and_then(|id| id.parse().ok());
    let account: AccountId = id.ok_or_else(|| HandlerError::Permanent("account_id is no id".to_owned()))?;
    let context = Context::following(DESTROYER, event);
    let mark = InboxMark { consumer: events::CONSUMER, event: event.id };
    match destroy(deps, &context, account, Some(mark)).await {
        Ok(true) => Ok(Handled::Applied),
        Ok(false) => Ok(Handled::Ignored),
        Err(CommitError::AlreadyHandled) => Ok(Handled::Duplicate),
        Err(CommitError::Port(error)) => Err(error.into()),
        Err(error) => Err(HandlerError::Retry(error.to_string())),
    }
}

/// Destroys what is due, at most so many, and says how many. The keys first, then what was sealed: a process that dies between the
/// two is followed by another one that begins anew, and destroying twice is destroying once.
pub async fn destroy_due(deps: DestroyDeps<'_>, context: &Context, most: u16) -> Result<usize, PortError> {
    let mut destroyed = 0;
    for account in deps.store.due(deps.clock.now(), most).await? {
        match destroy(deps, context, account, None).await {
            Ok(true) => destroyed += 1,
            // A hold came, or another worker was faster.
            Ok(false) | Err(CommitError::Stale | CommitError::Busy) => {}
            Err(CommitError::Port(error)) => return Err(error),
            Err(error @ (CommitError::AlreadyAnswered | CommitError::AlreadyHandled)) => {
                return Err(PortError::defect(Dependency::Database, error));
            }
        }
    }
    Ok(destroyed)
}

/// Whether it was due.
async fn destroy(
    deps: DestroyDeps<'_>,
    context: &Context,
    account: AccountId,
    inbox: Option<InboxMark>,
) -> Result<bool, CommitError> {
    let Some(owners) = deps.store.begin_destruction(account, deps.clock.now()).await? else { return Ok(false) };
    for owner in owners {
        deps.keys.destroy(context, owner).await?;
    }
    let now = deps.clock.now();
    let Some(begun) = deps.store.find(account).await? else { return Ok(false) };
    let done = Erasure { state: ErasureState::Destroyed { at: now }, ..begun };
    let told = Told { name: "record.destroy", kind: "record", id: account.to_string(), about: Some(account), context };
    let effects = Effects {
        events: vec![events::erasure_event(events::ERASURE_COMPLETED, event_id(deps.ids, now), &done, context, now)],
        audit: vec![told.entry(deps.ids, Outcome::Allowed, now).decided_by(done.rules.clone())],
        inbox,
        ..Effects::default()
    };
    deps.store.finish_destruction(account, now, &effects).await?;
    Ok(true)
}
