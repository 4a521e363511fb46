//! Our books against the gateway's list.

use super::{
    Deps,
    record::{note, update},
    take_unclaimed::take_unclaimed,
};
use crate::{
    NewsError,
    model::{
        Capture, Evidence, GatewayName, GatewayPayment, GatewayPaymentRef, GatewayRefund, PaymentSighting, Progress,
        RefundState, RefundStep, ReviewReason,
    },
    ports::{Booked, GatewayError, Locator, PaymentChanges, PaymentGateway},
};
use amrutam_kernel::{Context, Dependency, Money, PaymentId, PortError, TimeRange};
use jiff::SignedDuration;
use std::collections::BTreeSet;

/// How many of our own entries are read at a time.
const PAGE: u16 = 500;

/// What a reconciliation found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Captures and refunds compared, theirs and ours.
    pub compared: usize,
    /// Differences; each is before a person now, unless it was already.
    pub differences: usize,
}

/// Compares what moved at a gateway in `range` with our books. What the gateway has and we have not is taken over, as its own
/// word for it is proof enough; each difference goes before a person, once.
pub async fn reconcile(
    deps: Deps<'_>,
    context: &Context,
    gateway: &GatewayName,
    range: TimeRange,
) -> Result<Reconciled, NewsError> {
    let Some(gateway) = deps.gateway(gateway) else { return Err(NewsError::Malformed("a gateway's name")) };
    let mut found = Reconciled::default();
    let mut theirs = BTreeSet::new();
    let mut cursor = None;
    loop {
        let page = gateway.settled(range, cursor).await.map_err(away)?;
        for seen in &page.payments {
            if matches!(seen.state, PaymentSighting::Captured | PaymentSighting::Refunded) {
                theirs.insert(seen.reference.as_str().to_owned());
                found.compared += 1;
                found.differences += usize::from(capture(deps, context, gateway.name(), seen).await?);
            }
        }
        for seen in &page.refunds {
            match seen.state {
                RefundState::Processed => {
                    theirs.insert(seen.reference.as_str().to_owned());
                    found.compared += 1;
                    found.differences += usize::from(refund(deps, context, gateway.name(), seen).await?);
                }
                RefundState::Failed { .. } => {
                    found.differences += usize::from(returned(deps, context, gateway.name(), seen).await?);
                }
                RefundState::Pending => {}
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let mut after: Option<Booked> = None;
    loop {
        let ours = deps.store.booked(gateway.name(), range, after.as_ref(), PAGE).await?;
        for booked in &ours {
            found.compared += 1;
            let name = booked.refund.as_ref().map_or(booked.of.as_str(), |refund| refund.as_str());
            found.differences += usize::from(!theirs.contains(name) && differs(deps, context, gateway, booked).await?);
        }
        if ours.len() < usize::from(PAGE) {
            return Ok(found);
        }
        after = ours.into_iter().next_back();
    }
}

/// A gateway that is away now is asked again at the next turn: nothing is lost, the comparison begins anew.
fn away(error: GatewayError) -> NewsError {
    NewsError::Port(PortError::unavailable(Dependency::Gateway, error))
}

/// Whether our books differ about a captured payment. What they lack they have afterwards.
async fn capture(
    deps: Deps<'_>,
    context: &Context,
    gateway: &GatewayName,
    seen: &GatewayPayment,
) -> Result<bool, NewsError> {
    let mut locators = vec![Locator::Capture(gateway, &seen.reference)];
    locators.extend(seen.order.as_ref().map(|order| Locator::Order(gateway, order)));
    locators.extend(seen.payment.map(Locator::Id));
    for locator in locators {
        let payment = deps.store.snapshot(locator, None).await?.undisclosed().payment;
        let Some(payment) = payment.filter(|payment| payment.gateway == *gateway) else { continue };
        let booked = payment.capture(&seen.reference).map(|(_, capture)| capture.amount);
        // The look is taken over also where the capture is known: it tells what was given back unasked.
        let asked = match booked {
            None => Some(ReviewReason::MissingHere),
            Some(amount) => (amount != seen.amount).then_some(ReviewReason::AmountsDiffer),
        };
        take_over(deps, context, payment.id, asked, (seen.amount, &seen.reference), |progress| {
            progress.see_payment(seen, &Evidence::List);
        })
        .await?;
        return Ok(asked.is_some());
    }
    if seen.refunded == seen.amount {
        // It came and went before we saw it: nothing of it is with the gateway.
        return Ok(false);
    }
    take_unclaimed(deps, context, gateway, seen, &Evidence::List, None).await?;
    Ok(true)
}

/// Whether our books differ about a refund that was made.
async fn refund(
    deps: Deps<'_>,
    context: &Context,
    gateway: &GatewayName,
    seen: &GatewayRefund,
) -> Result<bool, NewsError> {
    let payment = deps.store.snapshot(Locator::Capture(gateway, &seen.of), None).await?.undisclosed().payment;
    // Of a payment that is not ours: the payment itself is the case.
    let Some(payment) = payment else { return Ok(false) };
    let booked = payment.capture(&seen.of).and_then(|(_, capture)| capture.refund.as_ref());
    let known = booked.is_some_and(|refund| {
        matches!(&refund.step, RefundStep::Processed { reference: Some(reference), .. } if *reference == seen.reference)
            && refund.amount == seen.amount
    });
    let capture = payment.capture(&seen.of).map(|(_, capture)| capture);
    let named = capture.is_some_and(|capture| capture.is_foreign(&seen.reference));
    // A person may have taken it as a loss, also when it was told of without its name.
    let left = capture.map_or(0, Capture::unasked) + if named { 0 } else { seen.amount.amount() };
    let taken = left <= 0 && capture.is_some_and(|capture| capture.written_off > 0);
    if known || named && taken {
        return Ok(false);
    }
    let asked = (!taken).then_some(ReviewReason::MissingHere);
    take_over(deps, context, payment.id, asked, (seen.amount, &seen.of), |progress| {
        progress.see_refund(seen, &Evidence::List);
    })
    .await?;
    Ok(asked.is_some())
}

/// Whether our books have a refund as made that the gateway says failed. It did after we had seen it made: its money is back.
async fn returned(
    deps: Deps<'_>,
    context: &Context,
    gateway: &GatewayName,
    seen: &GatewayRefund,
) -> Result<bool, NewsError> {
    let payment = deps.store.snapshot(Locator::Capture(gateway, &seen.of), None).await?.undisclosed().payment;
    let refund = payment.as_ref().and_then(|payment| payment.capture(&seen.of)?.1.refund.as_ref());
    let made = |step: &RefundStep| matches!(step, RefundStep::Processed { reference: Some(made), .. } if *made == seen.reference);
    let Some((payment, _)) = payment.as_ref().zip(refund.filter(|refund| made(&refund.step))) else { return Ok(false) };
    // The failed refund is the question; there is no other.
    take_over(deps, context, payment.id, None, (seen.amount, &seen.of), |progress| {
        progress.see_refund(seen, &Evidence::List);
    })
    .await?;
    Ok(true)
}

async fn take_over(
    deps: Deps<'_>,
    context: &Context,
    id: PaymentId,
    asked: Option<ReviewReason>,
    (amount, of): (Money, &GatewayPaymentRef),
    see: impl Fn(&mut Progress) + Send + Sync,
) -> Result<(), NewsError> {
    let noted = note(deps, Locator::Id(id), |snapshot| {
        let mut changes = PaymentChanges::default();
        if let Some(before) = snapshot.payment {
            let mut progress = Progress::of(before.clone(), deps.rules, deps.clock.now());
            see(&mut progress);
            if let Some(reason) = asked {
                progress.ask_person(reason, Some(amount), Some(of), &Evidence::List);
            }
            update(deps, context, &before, progress, &mut changes);
        }
        Ok(changes)
    });
    noted.await.map(drop)
}

/// Whether our books differ about what is not in the list. Days are cut differently on the two sides: it may be in its
/// neighbour's.
async fn differs(
    deps: Deps<'_>,
    context: &Context,
    gateway: &dyn PaymentGateway,
    booked: &Booked,
) -> Result<bool, NewsError> {
    let there = match &booked.refund {
        Some(refund) => {
            let refunds = gateway.refunds_of(&booked.of).await.map_err(away)?;
            let seen = refunds.iter().find(|seen| seen.reference == *refund);
            if let Some(failed) = seen.filter(|seen| matches!(seen.state, RefundState::Failed { .. })) {
                // Not missing: its money came back, and that is taken over.
                return returned(deps, context, gateway.name(), failed).await;
            }
            seen.is_some_and(|seen| seen.amount == booked.amount)
        }
        None => is_captured(deps, gateway, booked).await?,
    };
    if !there {
        missing(deps, context, booked).await?;
    }
    Ok(!there)
}

async fn is_captured(deps: Deps<'_>, gateway: &dyn PaymentGateway, booked: &Booked) -> Result<bool, NewsError> {
    let payment = deps.store.snapshot(Locator::Id(booked.payment), None).await?.undisclosed().payment;
    let same = |seen: &GatewayPayment| seen.reference == booked.of && seen.amount == booked.amount;
    if let Some(order) = payment.as_ref().and_then(|payment| payment.order_ref()) {
        return Ok(gateway.order_payments(order).await.map_err(away)?.iter().any(same));
    }
    // Unclaimed money has no order of ours to ask for.
    let at = |hours| booked.at.checked_add(SignedDuration::from_hours(hours)).ok();
    let Some(days) = at(-24).zip(at(24)).and_then(|(from, to)| TimeRange::new(from, to)) else { return Ok(false) };
    let mut cursor = None;
    loop {
        let page = gateway.settled(days, cursor).await.map_err(away)?;
        cursor = page.next;
        if page.payments.iter().any(same) {
            return Ok(true);
        }
        if cursor.is_none() {
            return Ok(false);
        }
    }
}

async fn missing(deps: Deps<'_>, context: &Context, booked: &Booked) -> Result<(), NewsError> {
    let reason = if booked.refund.is_some() { ReviewReason::RefundMissingThere } else { ReviewReason::MissingThere };
    let noted = note(deps, Locator::Id(booked.payment), |snapshot| {
        let mut changes = PaymentChanges::default();
        if let Some(before) = snapshot.payment {
            let mut progress = Progress::of(before.clone(), deps.rules, deps.clock.now());
            progress.ask_person(reason, Some(booked.amount), Some(&booked.of), &Evidence::List);
            update(deps, context, &before, progress, &mut changes);
        }
        Ok(changes)
    });
    noted.await.map(drop)
}
