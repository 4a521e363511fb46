//! What booking hears of accounts: a practitioner whose account is closed holds no more visits.

use super::{Cancel, Deps, DirectoryDeps, cancel, directory::suspend};
use crate::{
    ConsultationError, ConsumeError, DirectoryError,
    model::{CancelReason, ConsultationStatus, PractitionerStatus},
    ports::{Changes, ConsultationFilter, Whose},
};
use amrutam_kernel::{
    AccountId, ConsultationId, Context, Denial, Effects, EventEnvelope, Handled, InboxMark, Limit, PageRequest,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::time::Duration;

/// The consumer's fixed name: its queue and its inbox marks are known by it.
pub const DEPARTURES_CONSUMER: &str = "departures";

/// What it hears.
pub const DEPARTURES_BINDINGS: &[&str] = &["account.deactivated.v1"];

/// No statement takes longer (`statement_timeout`, 5 s unless configured), with a margin for clocks that differ.
const LONGEST_COMMIT: SignedDuration = SignedDuration::from_secs(10);

// Fields that are not read here may come and go.
#[derive(Deserialize)]
struct Payload {
    account_id: AccountId,
}

/// Handles `account.deactivated.v1`: the profile is suspended, so that nobody books it any more, and then every visit that is to
/// come is called off for the practitioner: nobody will be there. Their patients are told, and get all of their money back,
/// as with any visit that the practitioner calls off. Visits that have begun are left alone.
///
/// Each step is a commit of its own and does nothing when it is done already; the inbox mark comes last. Whoever dies in between is
/// redelivered the event.
pub async fn account_closed(
    deps: Deps<'_>,
    directory: DirectoryDeps<'_>,
    event: &EventEnvelope,
) -> Result<Handled, ConsumeError> {
    let payload = Payload::deserialize(&event.payload).map_err(|_| ConsumeError::Malformed)?;
    let context = Context::following(DEPARTURES_CONSUMER, event);
    let practitioner = directory.store.by_account(payload.account_id).await?;
    if let Some(practitioner) = &practitioner {
        if practitioner.status != PractitionerStatus::Suspended {
            match suspend(directory, &context, practitioner.id, None).await {
                // By somebody else, just now.
                Ok(_) | Err(DirectoryError::InvalidStatus { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        bookings_settled(deps, directory, payload.account_id).await?;
        for visit in to_come(deps, payload.account_id).await? {
            let command = Cancel { id: visit, reason: CancelReason::DoctorUnavailable, idempotency: None };
            match cancel(deps, &context, command).await {
                // It has begun, or is over, meanwhile.
                Ok(_) | Err(ConsultationError::InvalidTransition(_) | ConsultationError::Timing(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let inbox = Some(InboxMark { consumer: DEPARTURES_CONSUMER, event: event.id });
    let changes = Changes { effects: Effects { inbox, ..Effects::default() }, ..Changes::default() };
    amrutam_kernel::recorded(deps.store.commit(&changes).await)?;
    Ok(if practitioner.is_some() { Handled::Applied } else { Handled::Ignored })
}

/// A booking looks at the profile and then may wait for locks: it can commit after the suspension, by which it was not stopped.
/// When it has had its time, each is in the list of visits.
async fn bookings_settled(
    deps: Deps<'_>,
    directory: DirectoryDeps<'_>,
    account: AccountId,
) -> Result<(), ConsumeError> {
    let Some(suspended) = directory.store.by_account(account).await? else { return Ok(()) };
    let since = deps.clock.now().duration_since(suspended.updated_at);
    if let Ok(left) = Duration::try_from(LONGEST_COMMIT - since)
        && !left.is_zero()
    {
        deps.pause.pause(left).await;
    }
    Ok(())
}

/// Those that can still be called off.
async fn to_come(deps: Deps<'_>, account: AccountId) -> Result<Vec<ConsultationId>, ConsumeError> {
    let now = deps.clock.now();
    let filter = ConsultationFilter { whose: Whose::Doctor(account), status: None, from: Some(now), to: None, now };
    let mut visits = Vec::new();
    let mut after: Option<(Timestamp, ConsultationId)> = None;
    loop {
        let limit = Limit::new(Limit::MAX).unwrap_or_default();
        let page = deps.store.list(&filter, PageRequest { limit, after }).await?;
        after = page.judge(|page| {
            let waits = |status| matches!(status, ConsultationStatus::Pending | ConsultationStatus::Confirmed);
            let waiting = page.items.iter().map(|view| &view.consultation);
            visits.extend(waiting.filter(|visit| waits(visit.status_at(now))).map(|visit| visit.id));
            page.next
        });
        if after.is_none() {
            return Ok(visits);
        }
    }
}

impl From<DirectoryError> for ConsumeError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Port(error) => Self::Port(error),
            DirectoryError::Denied(denial) => Self::Denied(denial),
            DirectoryError::NotFound => Self::Denied(Denial::Hidden),
            // Nothing else is asked of a profile here: somebody was quicker.
            _ => Self::Contended,
        }
    }
}

impl From<ConsultationError> for ConsumeError {
    fn from(error: ConsultationError) -> Self {
        match error {
            ConsultationError::Port(error) => Self::Port(error),
            ConsultationError::Denied(denial) => Self::Denied(denial),
            ConsultationError::NotFound => Self::Denied(Denial::Hidden),
            _ => Self::Contended,
        }
    }
}
