//! What a person is asked about a payment, and what they have decided.

use super::{
    Capture, Evidence, GatewayPayment, GatewayPaymentRef, GatewayRefund, MoneyState, Move, Progress, Refund,
    RefundStep, Review, ReviewReason, Ruling, Step, StepKind, decide::concerned,
};
use amrutam_kernel::Money;

impl Progress {
    /// A person decided about the money.
    pub fn ruled(&mut self, ruling: Ruling, evidence: &Evidence) {
        if self.payment.state == MoneyState::Captured {
            self.payment.ruling = Some(ruling);
            let cause = match ruling {
                Ruling::RefundFull => "refund_full",
                Ruling::RefundByPolicy { .. } => "refund_by_policy",
                Ruling::Earned => "mark_earned",
                Ruling::WrittenOff => "write_off",
            };
            self.step(StepKind::Ruled, None, cause, evidence);
            self.advance(evidence);
        }
    }

    /// A person has booking asked again.
    pub fn announce_again(&mut self, evidence: &Evidence) {
        if self.payment.state == MoneyState::Captured {
            self.close(ReviewReason::NotConfirmed, evidence);
            self.payment.announced_at = Some(self.now);
            self.step(StepKind::Captured, Some(self.payment.amount), "confirm_again", evidence);
            self.advance(evidence);
        }
    }

    /// A person has every failed refund tried again, each under a new key.
    pub fn retry_refunds(&mut self, evidence: &Evidence) {
        for index in 0..self.payment.captures.len() {
            if self.payment.captures.get(index).is_some_and(Capture::refund_failed) {
                self.retry_refund(index, evidence);
            }
        }
        self.close_answered(evidence);
        self.advance(evidence);
    }

    /// The refund of this capture is tried again, when it failed. No other is.
    pub fn retry_failed_refund(&mut self, of: &GatewayPaymentRef, evidence: &Evidence) {
        let failed = self.payment.capture(of).filter(|(_, capture)| capture.refund_failed()).map(|(index, _)| index);
        if let Some(index) = failed {
            self.retry_refund(index, evidence);
            self.close_answered(evidence);
            self.advance(evidence);
        }
    }

    /// The refund of capture number `index` is to be made, under a new key.
    fn retry_refund(&mut self, index: usize, evidence: &Evidence) {
        let Some(refund) = self.refund(index).cloned() else { return };
        if let Some(capture) = self.payment.captures.get_mut(index) {
            let (amount, round, decided_at) = (refund.amount, refund.round + 1, self.now);
            capture.refund = Some(Refund { round, decided_at, step: RefundStep::Asked, ..refund });
            if self.pays(index) {
                self.payment.become_state(MoneyState::Refunding).ok();
            }
            self.step(StepKind::RefundDecided, Some(amount), "retry", evidence);
        }
    }

    /// A person has the refunds made again that our books have and the gateway has not: what was booked is reversed, since nothing
    /// has gone back. Whoever asks for the new one looks first: should the old one be there after all, it is taken for the new one.
    pub fn make_missing_refunds(&mut self, evidence: &Evidence) {
        let reason = ReviewReason::RefundMissingThere;
        let covered = self.payment.review(reason).map_or_else(Vec::new, |asked| asked.covers.clone());
        self.close(reason, evidence);
        for reference in covered {
            let made = |step: &RefundStep| matches!(step, RefundStep::Processed { reference: Some(_), .. });
            let Some((index, _)) = self.payment.capture(&reference) else { continue };
            if let Some(amount) = self.refund(index).filter(|refund| made(&refund.step)).map(|refund| refund.amount) {
                self.moves.push((Move::refund_returned(&self.payment.gateway, amount), evidence.clone()));
                if self.pays(index) {
                    self.payment.become_state(MoneyState::RefundFailed).ok();
                }
                self.retry_refund(index, evidence);
            }
        }
        self.advance(evidence);
    }

    /// A person paid out what the gateway would not: the refunds that they were asked about, and no others.
    pub fn paid_out_elsewhere(&mut self, reason: ReviewReason, evidence: &Evidence) {
        let covered = self.payment.review(reason).map_or_else(Vec::new, |asked| asked.covers.clone());
        for reference in covered {
            let Some((index, _)) = self.payment.capture(&reference) else { continue };
            let open = |refund: &&Refund| !matches!(refund.step, RefundStep::Processed { .. });
            if let Some(amount) = self.refund(index).filter(open).map(|refund| refund.amount) {
                let done = RefundStep::Processed { reference: None, at: self.now };
                self.refund_done(index, Move::paid_elsewhere(amount), done, evidence);
            }
        }
        self.close(reason, evidence);
        self.advance(evidence);
    }

    /// What a person was asked about refunds, as far as none of them gives reason to ask any more.
    pub(super) fn close_answered(&mut self, evidence: &Evidence) {
        for reason in [ReviewReason::RefundFailed, ReviewReason::RefundStuck] {
            if concerned(&self.payment, &self.rules, self.now, reason).is_empty() {
                self.close(reason, evidence);
            }
        }
    }

    /// A person is asked about the refunds that give reason to, and about none that did before.
    pub(super) fn ask_about_refunds(&mut self, reason: ReviewReason, evidence: &Evidence) {
        self.close(reason, evidence);
        let covers = concerned(&self.payment, &self.rules, self.now, reason);
        let refund = |of| self.payment.capture(of).and_then(|(_, capture)| Some(capture.refund.as_ref()?.amount));
        let amount = covers.iter().filter_map(refund).reduce(|sum, amount| sum.plus(&amount).unwrap_or(sum));
        let asked = Review { reason, amount, of: None, covers, asked_version: 0, looking: false };
        self.ask(asked, evidence);
    }

    /// A person has the gateway looked at: the question rests until the look has been.
    pub fn look_again(&mut self, reason: ReviewReason) {
        let asked = self.payment.reviews.iter_mut().filter(|open| open.reason == reason);
        asked.for_each(|open| open.looking = true);
    }

    /// A look that was given up is begun again: nobody is asked about it until it has been, and it is wanted whether or not one is
    /// due.
    pub fn look_after_failure(&mut self, evidence: &Evidence) {
        let reason = ReviewReason::TaskFailed;
        self.close(reason, evidence);
        let asked_version = self.payment.version;
        let covers = Vec::new();
        self.payment.reviews.push(Review { reason, amount: None, of: None, covers, asked_version, looking: true });
    }

    /// A look is given up, it may be one that was begun again.
    pub fn look_failed(&mut self, evidence: &Evidence) {
        let reason = ReviewReason::TaskFailed;
        self.payment.reviews.retain(|open| open.reason != reason || !open.looking);
        self.ask_person(reason, None, None, evidence);
    }

    /// A look at the gateway. What a person wanted to have looked at before it began, and `asked` says so, is asked anew where the
    /// look does not answer it; what they want since needs another look.
    pub fn look(
        &mut self,
        asked: &[Review],
        payments: &[GatewayPayment],
        refunds: &[GatewayRefund],
        evidence: &Evidence,
    ) {
        let looked = |open: &Review| open.looking && asked.contains(open);
        // These are due by what is known after the look; the others are asked by what it shows.
        let by_itself = |open: &Review| matches!(open.reason, ReviewReason::RefundFailed | ReviewReason::RefundStuck);
        // What waits behind them the look shows as well, but for what our books had to be told of: that is no difference any more.
        let answered: Vec<_> =
            self.payment.reviews.iter().filter(|open| looked(open)).map(|open| open.reason).collect();
        let stays = |reason| reason == ReviewReason::MissingHere || !answered.contains(&reason);
        self.payment.waiting.retain(|next| stays(next.reason));
        self.payment.reviews.retain(|open| !looked(open) || by_itself(open));
        payments.iter().for_each(|seen| self.see_payment(seen, evidence));
        refunds.iter().for_each(|seen| self.see_refund(seen, evidence));
        self.payment.reviews.retain(|open| !looked(open));
        self.advance(evidence);
    }

    /// A person takes as a loss what is missing at the gateway, or as a gain what nobody claims there.
    pub fn write_off(&mut self, reason: ReviewReason, evidence: &Evidence) {
        if reason == ReviewReason::UnknownPayment {
            return self.ruled(Ruling::WrittenOff, evidence);
        }
        let open = self.payment.reviews.iter().find(|review| review.reason == reason).cloned();
        let Some(Review { amount: Some(amount), of, .. }) = open else { return };
        let of = of.and_then(|of| self.payment.captures.iter_mut().find(|capture| capture.reference == of));
        if let Some(capture) = of {
            capture.written_off += amount.amount();
        }
        self.moves.push((Move::written_off(&self.payment.gateway, amount), evidence.clone()));
        self.close(reason, evidence);
        self.step(StepKind::Ruled, Some(amount), "write_off", evidence);
        self.advance(evidence);
    }

    /// A person has answered this question. Its case is closed by that: nothing is announced of it.
    #[must_use]
    pub fn answering(mut self, reason: ReviewReason) -> Self {
        self.answered = Some(reason);
        self
    }

    /// A person is asked this no longer. Unless it is the question that they have just answered, whoever keeps the cases is told
    /// that this one is moot.
    pub fn close(&mut self, reason: ReviewReason, evidence: &Evidence) {
        let before = self.payment.reviews.iter().any(|open| open.reason == reason && !open.looking);
        self.payment.reviews.retain(|open| open.reason != reason);
        if before && self.answered != Some(reason) {
            self.about_review(StepKind::ReviewWithdrawn, reason, None, evidence);
        }
    }

    /// A person is asked, unless one is being asked this already. Another question for the same reason waits for that one's answer.
    pub fn ask_person(
        &mut self,
        reason: ReviewReason,
        amount: Option<Money>,
        of: Option<&GatewayPaymentRef>,
        evidence: &Evidence,
    ) {
        let (of, covers) = (of.cloned(), of.cloned().into_iter().collect());
        let asked = Review { reason, amount, of, covers, asked_version: 0, looking: false };
        self.ask_in_turn(asked, evidence);
    }

    fn ask_in_turn(&mut self, review: Review, evidence: &Evidence) {
        match self.payment.review(review.reason) {
            None => self.ask(review, evidence),
            Some(open) if review.is_another(open) => {
                let same = |next: &&mut Review| next.reason == review.reason && !review.is_another(next);
                match self.payment.waiting.iter_mut().find(same) {
                    Some(next) if review.is_more_than(next) => *next = review,
                    Some(_) => {}
                    None => self.payment.waiting.push(review),
                }
            }
            // Whoever is asked about a part of it is asked about all of it instead.
            Some(open) if review.is_more_than(open) && !open.looking => {
                self.close(review.reason, evidence);
                self.ask(review, evidence);
            }
            Some(_) => {}
        }
    }

    /// A person is asked no longer about what has been given back of this capture unasked.
    pub(super) fn forget_foreign(&mut self, of: &GatewayPaymentRef, evidence: &Evidence) {
        let reason = ReviewReason::ForeignRefund;
        let about = |asked: &Review| asked.reason == reason && asked.of.as_ref() == Some(of);
        self.payment.waiting.retain(|next| !about(next));
        if self.payment.reviews.iter().any(about) {
            self.close(reason, evidence);
        }
    }

    /// What waited for an answer is asked now that it is there.
    pub(super) fn ask_waiting(&mut self, evidence: &Evidence) {
        for next in std::mem::take(&mut self.payment.waiting) {
            self.ask_in_turn(next, evidence);
        }
    }

    fn ask(&mut self, review: Review, evidence: &Evidence) {
        self.about_review(StepKind::ReviewNeeded, review.reason, review.amount, evidence);
        self.payment.reviews.push(Review { asked_version: self.payment.version, ..review });
    }

    fn about_review(&mut self, kind: StepKind, reason: ReviewReason, amount: Option<Money>, evidence: &Evidence) {
        self.version();
        let step = self.step_of(kind, amount, reason.as_str(), evidence);
        self.steps.push(Step { review: Some(reason), ..step });
    }
}
