//! A gateway's notification, verified, is taken over.

use super::{
    Deps,
    record::{Noted, note, record_alone, update},
    take_unclaimed::take_unclaimed,
};
use crate::{
    NewsError,
    model::{Evidence, GatewayName, PaymentSighting, Progress, Webhook, WebhookNews},
    ports::{Locator, PaymentChanges},
};
use amrutam_kernel::{Context, PaymentId};

/// What became of a notification. Each is answered with success: to send it again would change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// Taken over.
    Applied,
    /// Taken over before.
    Duplicate,
    /// Of no use to us.
    Ignored,
    /// Money for no visit of ours: it is on the books, and a person is asked.
    Unknown,
}

/// Takes a notification over: once, however often and in whatever order it comes. The gateway is not asked anything.
pub async fn record_webhook(
    deps: Deps<'_>,
    context: &Context,
    gateway: &GatewayName,
    webhook: &Webhook,
) -> Result<WebhookOutcome, NewsError> {
    let Some(payment) = find(deps, gateway, &webhook.news).await? else {
        return without_payment(deps, context, gateway, webhook).await;
    };
    let evidence = Evidence::Webhook(webhook.event.clone());
    let noted = note(deps, Locator::Id(payment), |snapshot| {
        let mut changes =
            PaymentChanges { seen: Some((gateway.clone(), webhook.event.clone())), ..PaymentChanges::default() };
        if let Some(before) = snapshot.payment {
            let mut progress = Progress::of(before.clone(), deps.rules, deps.clock.now());
            match &webhook.news {
                WebhookNews::Payment(seen) => progress.see_payment(seen, &evidence),
                WebhookNews::Refund(seen) => progress.see_refund(seen, &evidence),
                WebhookNews::Ignored { .. } => {}
            }
            update(deps, context, &before, progress, &mut changes);
        }
        Ok(changes)
    });
    Ok(match noted.await? {
        Noted::Committed => WebhookOutcome::Applied,
        Noted::Already => WebhookOutcome::Duplicate,
    })
}

/// The payment that news is about: the one that has the money on its books, else by the order, else by our own name for it.
async fn find(deps: Deps<'_>, gateway: &GatewayName, news: &WebhookNews) -> Result<Option<PaymentId>, NewsError> {
    let locators = match news {
        WebhookNews::Payment(seen) => [
            Some(Locator::Capture(gateway, &seen.reference)),
            seen.order.as_ref().map(|order| Locator::Order(gateway, order)),
            seen.payment.map(Locator::Id),
        ],
        WebhookNews::Refund(seen) => [Some(Locator::Capture(gateway, &seen.of)), None, None],
        WebhookNews::Ignored { .. } => [None; 3],
    };
    for locator in locators.into_iter().flatten() {
        // The same gateway's only: a name of one is nothing at another.
        let found =
            deps.store.snapshot(locator, None).await?.undisclosed().payment.filter(|found| found.gateway == *gateway);
        if let Some(payment) = found {
            return Ok(Some(payment.id));
        }
    }
    Ok(None)
}

async fn without_payment(
    deps: Deps<'_>,
    context: &Context,
    gateway: &GatewayName,
    webhook: &Webhook,
) -> Result<WebhookOutcome, NewsError> {
    let told = (gateway.clone(), webhook.event.clone());
    if let WebhookNews::Payment(seen) = &webhook.news
        && seen.state == PaymentSighting::Captured
    {
        let evidence = Evidence::Webhook(webhook.event.clone());
        take_unclaimed(deps, context, gateway, seen, &evidence, Some(told)).await?;
        return Ok(WebhookOutcome::Unknown);
    }
    record_alone(deps, &PaymentChanges { seen: Some(told), ..PaymentChanges::default() }).await?;
    Ok(WebhookOutcome::Ignored)
}
