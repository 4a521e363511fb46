//! Money that is for no visit of ours is booked, and a person is asked what becomes of it.

use super::{
    Deps,
    record::{Noted, create, note, update},
};
use crate::{
    NewsError,
    model::{Evidence, GatewayEventId, GatewayName, GatewayPayment, Progress, unclaimed},
    ports::{Locator, PaymentChanges},
};
use amrutam_kernel::Context;

/// Books it once, however often and by whomever it is told. `told` is the notification, when one tells.
pub(super) async fn take_unclaimed(
    deps: Deps<'_>,
    context: &Context,
    gateway: &GatewayName,
    seen: &GatewayPayment,
    evidence: &Evidence,
    told: Option<(GatewayName, GatewayEventId)>,
) -> Result<Noted, NewsError> {
    let id = unclaimed(gateway, seen, deps.clock.now()).id;
    note(deps, Locator::Id(id), |snapshot| {
        let now = deps.clock.now();
        let mut changes = PaymentChanges { seen: told.clone(), ..PaymentChanges::default() };
        let before = snapshot.payment;
        let payment = before.clone().unwrap_or_else(|| unclaimed(gateway, seen, now));
        let mut progress = Progress::of(payment, deps.rules, now);
        progress.see_payment(seen, evidence);
        match before {
            Some(before) => update(deps, context, &before, progress, &mut changes),
            None => create(deps, context, progress, &mut changes),
        }
        Ok(changes)
    })
    .await
}
