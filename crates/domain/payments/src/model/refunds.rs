//! What goes back of a payment's money, and what the gateway says of it.

use super::{
    Evidence, GatewayPaymentRef, GatewayRefund, MoneyState, Move, Progress, Refund, RefundReason, RefundState,
    RefundStep, ReviewReason, StepKind, progress::word,
};
use amrutam_kernel::Money;

impl Progress {
    /// The gateway tells how a refund stands.
    pub fn see_refund(&mut self, seen: &GatewayRefund, evidence: &Evidence) {
        let Some((index, capture)) = self.payment.capture(&seen.of) else {
            // Of a payment we have not seen captured: the next look at the order tells.
            return;
        };
        let Some(refund) = capture.refund.clone() else {
            self.see_foreign(seen, evidence);
            return;
        };
        if refund.returned.contains(&seen.reference) {
            return;
        }
        if capture.is_foreign(&seen.reference) || !self.is_ours(index, &refund, seen) {
            // One of an earlier round failed before its successor was made; any other is a second one.
            self.see_foreign(seen, evidence);
            return;
        }
        if seen.amount != refund.amount {
            self.ask_person(ReviewReason::AmountsDiffer, Some(seen.amount), Some(&seen.of), evidence);
            return;
        }
        match (&seen.state, &refund.step) {
            // Paid out by another way, and now by the gateway as well.
            (RefundState::Processed, RefundStep::Processed { reference: None, .. }) => {
                self.see_foreign(seen, evidence);
            }
            (RefundState::Failed { code }, RefundStep::Processed { reference: Some(_), .. }) => {
                self.refund_returned(index, code, seen, evidence);
            }
            (_, RefundStep::Processed { .. })
            | (RefundState::Pending, RefundStep::Pending { .. } | RefundStep::Failed { .. }) => {}
            (RefundState::Pending, RefundStep::Asked) => {
                self.set_step(index, RefundStep::Pending { reference: seen.reference.clone() });
            }
            (RefundState::Processed, _) => {
                let done = RefundStep::Processed { reference: Some(seen.reference.clone()), at: seen.at };
                self.refund_done(index, Move::refund_processed(&self.payment.gateway, seen.amount), done, evidence);
            }
            (RefundState::Failed { code }, _) => self.refund_failed(index, code, evidence),
        }
        self.advance(evidence);
    }

    /// A refund that nobody here asked for: a person is asked about all that has been given back of its capture like that, and has not
    /// been taken as a loss.
    fn see_foreign(&mut self, seen: &GatewayRefund, evidence: &Evidence) {
        let Some(capture) = self.payment.captures.iter_mut().find(|capture| capture.reference == seen.of) else {
            return;
        };
        let known = capture.foreign_refunds.iter().position(|(reference, _)| *reference == seen.reference);
        match (&seen.state, known) {
            (RefundState::Failed { .. }, None) => return,
            (RefundState::Failed { .. }, Some(known)) => {
                capture.foreign_refunds.remove(known);
                self.forget_foreign(&seen.of, evidence);
            }
            (_, None) => capture.foreign_refunds.push((seen.reference.clone(), seen.amount.amount())),
            (_, Some(_)) => {}
        }
        self.ask_about_unasked(&seen.of, 0, evidence);
    }

    /// A person is asked about what was given back of a capture unasked: what is known by name, or `told` in minor units if that is
    /// more.
    pub(super) fn ask_about_unasked(&mut self, of: &GatewayPaymentRef, told: i64, evidence: &Evidence) {
        let Some((_, capture)) = self.payment.capture(of) else { return };
        let more = capture.given_unasked().max(told) - capture.written_off;
        if let Some(more) = Money::new(more, capture.amount.currency()).ok().filter(|more| !more.is_zero()) {
            self.ask_person(ReviewReason::ForeignRefund, Some(more), Some(of), evidence);
        }
    }

    /// Whether the refund seen is the one decided, in its present round.
    fn is_ours(&self, index: usize, refund: &Refund, seen: &GatewayRefund) -> bool {
        let known = match &refund.step {
            RefundStep::Pending { reference } | RefundStep::Processed { reference: Some(reference), .. } => {
                Some(reference)
            }
            RefundStep::Asked | RefundStep::Failed { .. } | RefundStep::Processed { reference: None, .. } => None,
        };
        match (known, &seen.key) {
            (Some(reference), _) => *reference == seen.reference,
            (None, Some(key)) => {
                // Of an earlier round counts as well when it gave the money back: there is none beside it.
                (0..=refund.round).any(|round| *key == self.payment.refund_key(index, round))
                    && (*key == self.payment.refund_key(index, refund.round)
                        || !matches!(seen.state, RefundState::Failed { .. }))
            }
            (None, None) => seen.amount == refund.amount,
        }
    }

    pub(super) fn refund_done(&mut self, index: usize, moved: Move, done: RefundStep, evidence: &Evidence) {
        let amount = moved.amount;
        self.set_step(index, done);
        self.moves.push((moved, evidence.clone()));
        if self.pays(index) {
            let whole = amount == self.payment.amount;
            let state = if whole { MoneyState::Refunded } else { MoneyState::PartiallyRefunded };
            // Every state in which its refund can be under way has the arrow.
            self.payment.become_state(state).ok();
        }
        self.close_answered(evidence);
        let cause = self.refund(index).map_or("refunded", |refund| refund.reason.as_str());
        self.step(StepKind::Refunded, Some(amount), cause, evidence);
    }

    /// The gateway had given it back, and its owner's bank would not have it: it is owed again.
    fn refund_returned(&mut self, index: usize, code: &str, seen: &GatewayRefund, evidence: &Evidence) {
        if let Some(refund) = self.payment.captures.get_mut(index).and_then(|capture| capture.refund.as_mut()) {
            refund.returned.push(seen.reference.clone());
            refund.step = RefundStep::Failed { code: word(code).to_owned() };
        }
        self.moves.push((Move::refund_returned(&self.payment.gateway, seen.amount), evidence.clone()));
        if self.pays(index) {
            self.payment.become_state(MoneyState::RefundFailed).ok();
        }
        self.step(StepKind::RefundFailed, Some(seen.amount), word(code), evidence);
    }

    /// The gateway will not give capture number `index` back, or it was given up: a person must.
    pub fn refund_failed(&mut self, index: usize, code: &str, evidence: &Evidence) {
        let Some(refund) = self.refund(index).cloned() else { return };
        if matches!(refund.step, RefundStep::Processed { .. } | RefundStep::Failed { .. }) {
            return;
        }
        self.set_step(index, RefundStep::Failed { code: word(code).to_owned() });
        if self.pays(index) {
            self.payment.become_state(MoneyState::RefundFailed).ok();
        }
        self.step(StepKind::RefundFailed, Some(refund.amount), word(code), evidence);
        self.advance(evidence);
    }

    pub(super) fn decide_refund(&mut self, index: usize, amount: Money, reason: RefundReason, evidence: &Evidence) {
        if let Some(capture) = self.payment.captures.get_mut(index) {
            let refund = Refund {
                amount,
                reason,
                round: 0,
                step: RefundStep::Asked,
                decided_at: self.now,
                returned: Vec::new(),
            };
            capture.refund = Some(refund);
            self.moves.push((Move::refund_decided(&self.payment, amount), evidence.clone()));
            self.step(StepKind::RefundDecided, Some(amount), reason.as_str(), evidence);
        }
    }

    pub(super) fn pays(&self, index: usize) -> bool {
        self.payment.captures.iter().position(|capture| capture.amount == self.payment.amount) == Some(index)
    }

    pub(super) fn refund(&self, index: usize) -> Option<&Refund> {
        self.payment.captures.get(index).and_then(|capture| capture.refund.as_ref())
    }

    pub(super) fn set_step(&mut self, index: usize, step: RefundStep) {
        if let Some(refund) = self.payment.captures.get_mut(index).and_then(|capture| capture.refund.as_mut()) {
            refund.step = step;
        }
    }
}
