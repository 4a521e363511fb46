//! What must be done about a payment: one pure function of money, fate, rules and clock.
//!
//! Nothing here remembers how the news came: whatever the order, the same knowledge makes the same thing due.

use super::{
    Capture, GatewayPaymentRef, MoneyState, Payment, PaymentRules, RefundPolicy, RefundReason, RefundStep,
    ReviewReason, Ruling, Side, TaskKind, Visit, VisitFate,
};
use amrutam_kernel::Money;
use jiff::{SignedDuration, Timestamp};

/// What becomes of the price of a visit that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// All of it is earned.
    Earned,
    /// All of it is a gain that nobody can be named for.
    WrittenOff,
    /// So much goes back, the rest is a cancellation fee.
    GiveBack {
        /// How much; nothing up to the whole price.
        amount: Money,
        /// Why.
        reason: RefundReason,
    },
}

/// What is due now. At most one thing at a time: whoever does it asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Money can't be expected any more: the visit has ended.
    EndUnpaid,
    /// Money is not to be expected any more: too many attempts failed.
    GiveUp,
    /// The price is ours.
    Settle(Settlement),
    /// Capture number `index` pays nothing and goes back whole.
    RefundStray {
        /// Which of [`Payment::captures`].
        index: usize,
        /// Why.
        reason: RefundReason,
    },
    /// A person is to be asked.
    AskPerson(ReviewReason),
}

/// The notice that a patient gives who calls off at `at`: the time left until the start, or what was left when they moved the
/// visit, if that was less. Else who is too late could move the visit away first, and call it off for nothing then.
pub fn notice(starts_at: Timestamp, least_notice: Option<SignedDuration>, at: Timestamp) -> SignedDuration {
    let left = starts_at.duration_since(at);
    least_notice.map_or(left, |least| least.min(left))
}

/// How much of `price` goes back when `by` calls off a confirmed visit, with this [`notice`].
pub fn refund_for_cancellation(policy: &RefundPolicy, price: Money, by: Side, notice: SignedDuration) -> Money {
    match by {
        Side::Doctor | Side::System => price,
        Side::Patient => {
            let kept = policy.tiers.iter().filter(|tier| notice >= tier.at_least).max_by_key(|tier| tier.at_least);
            price.percent(kept.map_or(0, |tier| tier.percent))
        }
    }
}

/// What becomes of a captured price, when that is known.
fn settlement(price: Money, visit: &Visit, ruling: Option<Ruling>, policy: &RefundPolicy) -> Option<Settlement> {
    let give_back = |amount, reason| Some(Settlement::GiveBack { amount, reason });
    let called_off =
        |by, at| refund_for_cancellation(policy, price, by, notice(visit.starts_at, visit.least_notice, at));
    match (ruling, visit.fate) {
        (Some(Ruling::RefundFull), _) => give_back(price, RefundReason::Ruled),
        (Some(Ruling::RefundByPolicy { as_of }), _) => give_back(called_off(Side::Patient, as_of), RefundReason::Ruled),
        (Some(Ruling::Earned), _) | (None, VisitFate::Completed | VisitFate::NoShow { absent: Side::Patient }) => {
            Some(Settlement::Earned)
        }
        (Some(Ruling::WrittenOff), _) => Some(Settlement::WrittenOff),
        (None, VisitFate::Open | VisitFate::Confirmed | VisitFate::Expired | VisitFate::Unknown) => None,
        // The patient's word alone moves no money: a person looks at it.
        (None, VisitFate::BrokenOff { by: Side::Patient, .. }) => None,
        (None, VisitFate::BrokenOff { by: Side::Doctor | Side::System, .. }) => {
            give_back(price, RefundReason::VisitBrokenOff)
        }
        // Nobody had been promised the visit: there is nothing to charge for.
        (None, VisitFate::Cancelled { unpaid: true, .. }) => give_back(price, RefundReason::VisitCancelled),
        (None, VisitFate::Cancelled { by, at, unpaid: false }) => {
            give_back(called_off(by, at), RefundReason::VisitCancelled)
        }
        (None, VisitFate::NoShow { absent: Side::Doctor | Side::System }) => {
            give_back(price, RefundReason::DoctorAbsent)
        }
        (None, VisitFate::Unconfirmable) => give_back(price, RefundReason::LatePayment),
    }
}

/// The one decision: what must be done about this payment now, if anything.
pub fn due(payment: &Payment, rules: &PaymentRules, now: Timestamp) -> Option<Due> {
    stray(payment).or_else(|| of_the_price(payment, rules)).or_else(|| refunds(payment, rules, now)).or_else(|| {
        deadlines(payment, rules)
            .find(|(reason, at)| *at <= now && !payment.asks(*reason))
            .map(|(reason, _)| Due::AskPerson(reason))
    })
}

fn stray(payment: &Payment) -> Option<Due> {
    let paying = payment.paying().map(|capture| &capture.reference);
    let stray = |(_, capture): &(usize, &Capture)| paying != Some(&capture.reference) && capture.refund.is_none();
    let (index, capture) = payment.captures.iter().enumerate().find(stray)?;
    let twice = capture.amount == payment.amount;
    Some(Due::RefundStray { index, reason: if twice { RefundReason::PaidTwice } else { RefundReason::WrongAmount } })
}

fn of_the_price(payment: &Payment, rules: &PaymentRules) -> Option<Due> {
    match payment.state {
        MoneyState::Created | MoneyState::Pending => {
            if payment.visit.fate.ends_unpaid() {
                Some(Due::EndUnpaid)
            } else {
                (payment.failed_attempts.len() >= rules.max_failed_attempts).then_some(Due::GiveUp)
            }
        }
        MoneyState::Captured => {
            settlement(payment.amount, &payment.visit, payment.ruling, &rules.refunds).map(Due::Settle)
        }
        MoneyState::Failed
        | MoneyState::Cancelled
        | MoneyState::Settled
        | MoneyState::Refunding
        | MoneyState::Refunded
        | MoneyState::PartiallyRefunded
        | MoneyState::RefundFailed => None,
    }
}

/// Refunds that failed, or that the gateway has been at for too long, are before a person until they are no more: those that
/// there are now, and not those of an hour ago.
fn refunds(payment: &Payment, rules: &PaymentRules, now: Timestamp) -> Option<Due> {
    let asked = |reason: &ReviewReason| {
        let concerned = concerned(payment, rules, now, *reason);
        let known = payment.review(*reason).is_some_and(|open| open.looking || open.covers == concerned);
        !concerned.is_empty() && !known
    };
    [ReviewReason::RefundFailed, ReviewReason::RefundStuck].into_iter().find(asked).map(Due::AskPerson)
}

/// The captures whose refunds give reason to ask a person now.
pub(super) fn concerned(
    payment: &Payment,
    rules: &PaymentRules,
    now: Timestamp,
    reason: ReviewReason,
) -> Vec<GatewayPaymentRef> {
    match reason {
        ReviewReason::RefundFailed => {
            let failed = payment.captures.iter().filter(|capture| capture.refund_failed());
            failed.map(|capture| capture.reference.clone()).collect()
        }
        ReviewReason::RefundStuck => stuck_at(payment, rules)
            .filter(|(_, at)| *at <= now)
            .map(|(capture, _)| capture.reference.clone())
            .collect(),
        _ => Vec::new(),
    }
}

/// Refunds that the gateway is at, each with when that has been too long.
fn stuck_at<'a>(payment: &'a Payment, rules: &'a PaymentRules) -> impl Iterator<Item = (&'a Capture, Timestamp)> {
    payment.captures.iter().filter_map(|capture| {
        let refund = capture.refund.as_ref().filter(|refund| matches!(refund.step, RefundStep::Pending { .. }))?;
        Some((capture, after(refund.decided_at, rules.refund_within)))
    })
}

/// Until when something may stay as it is before a person is asked.
fn deadlines(payment: &Payment, rules: &PaymentRules) -> impl Iterator<Item = (ReviewReason, Timestamp)> {
    let price = payment.paying().filter(|_| payment.state == MoneyState::Captured).map(|capture| {
        match payment.visit.fate {
            VisitFate::Confirmed => (ReviewReason::NoOutcome, after(payment.visit.ends_at, rules.outcome_within)),
            VisitFate::BrokenOff { at, .. } => (ReviewReason::BrokenOff, at),
            // There is nothing to wait for.
            VisitFate::Unknown => (ReviewReason::UnknownPayment, capture.seen_at),
            _ => {
                let told = payment.announced_at.map_or(capture.seen_at, |again| again.max(capture.seen_at));
                (ReviewReason::NotConfirmed, after(told, rules.confirm_within))
            }
        }
    });
    price.into_iter()
}

/// When the clock alone makes something due that is not due yet.
pub fn look_at(payment: &Payment, rules: &PaymentRules) -> Option<Timestamp> {
    let open = deadlines(payment, rules).filter(|(reason, _)| !payment.asks(*reason)).map(|(_, at)| at);
    let known = payment.review(ReviewReason::RefundStuck);
    let unasked = |capture: &Capture| known.is_none_or(|asked| !asked.covers.contains(&capture.reference));
    open.chain(stuck_at(payment, rules).filter(|(capture, _)| unasked(capture)).map(|(_, at)| at)).min()
}

/// What is to be done at the gateway, with the instant before which it need not be: kind, key, due time.
pub fn wanted_tasks(payment: &Payment, rules: &PaymentRules, now: Timestamp) -> Vec<(TaskKind, String, Timestamp)> {
    let mut wanted = Vec::new();
    if payment.state == MoneyState::Created && payment.visit.fate == VisitFate::Open {
        wanted.push((TaskKind::OpenOrder, payment.order_key(), now));
    }
    for (index, capture) in payment.captures.iter().enumerate() {
        if let Some(refund) = capture.refund.as_ref().filter(|refund| refund.step == RefundStep::Asked) {
            let of = capture.reference.clone();
            wanted.push((TaskKind::Refund { of }, payment.refund_key(index, refund.round), now));
        }
    }
    if let Some(at) = next_poll(payment, rules, now) {
        wanted.push((TaskKind::Poll, payment.poll_key(), at));
    }
    wanted
}

/// When the gateway is to be looked at next: in case a notification was lost. The looks lie ever farther apart, with one
/// shortly before the hold ends and one shortly after.
pub fn next_poll(payment: &Payment, rules: &PaymentRules, now: Timestamp) -> Option<Timestamp> {
    if payment.asks(ReviewReason::TaskFailed) {
        return None;
    }
    let order = payment.order_opened_at.filter(|_| payment.state.is_unpaid()).into_iter().flat_map(|opened| {
        let dies = after(opened, rules.order_lives);
        let around =
            payment.visit.hold_until.into_iter().flat_map(|until| {
                [until.checked_sub(rules.first_poll).unwrap_or(until), after(until, rules.first_poll)]
            });
        let looks = doubling(opened, rules.first_poll).take_while(move |at| *at < dies);
        looks.chain([dies]).chain(around).filter(move |at| *at <= dies)
    });
    let refunds = payment.captures.iter().filter_map(|capture| capture.refund.as_ref());
    let refunds = refunds.filter(|refund| matches!(refund.step, RefundStep::Pending { .. })).flat_map(|refund| {
        let stuck = after(refund.decided_at, rules.refund_within);
        doubling(refund.decided_at, rules.first_poll).take_while(move |at| *at < stuck)
    });
    order.chain(refunds).filter(|at| now < *at).min()
}

/// Whether a look at the gateway is of use: a person waits for one, money could still come, or a refund be done. Money is looked for
/// as long as an order lives, and beyond that as long as the gateway may be away.
pub fn poll_wanted(payment: &Payment, rules: &PaymentRules, now: Timestamp) -> bool {
    let order = payment.order_opened_at.filter(|_| payment.state.is_unpaid());
    let order = order.is_some_and(|opened| now <= after(after(opened, rules.order_lives), rules.patience));
    let refund = |capture: &Capture| {
        let open = |refund: &super::Refund| !matches!(refund.step, RefundStep::Processed { .. });
        capture.refund.as_ref().is_some_and(open)
    };
    order || payment.captures.iter().any(refund) || payment.reviews.iter().any(|review| review.looking)
}

/// `first`, twice, four times `first` after `since`, and so on: for about 90 years from one minute.
fn doubling(since: Timestamp, first: SignedDuration) -> impl Iterator<Item = Timestamp> {
    (0..26).filter_map(move |n| first.checked_mul(1 << n)).map(move |wait| after(since, wait))
}

/// `wait` later, or the end of time.
fn after(since: Timestamp, wait: SignedDuration) -> Timestamp {
    since.checked_add(wait).unwrap_or(Timestamp::MAX)
}
