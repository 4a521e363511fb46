//! A payment in the course of one change: takes news, then does what is due. Pure: ids and time come with it.

use super::{
    Capture, Due, Evidence, GatewayPayment, MoneyState, Move, Order, Payment, PaymentRules, PaymentSighting,
    ReviewReason, Settlement, StepKind, TaskKind, Visit, VisitFate, due, look_at, wanted_tasks,
};
use amrutam_kernel::Money;
use jiff::Timestamp;

/// Attempts to pay that are remembered, so that each is counted once.
const MAX_REMEMBERED: usize = 32;

/// One step, as it will stand in the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The version it leads to.
    pub version: i64,
    /// Where the money stands after it.
    pub state: MoneyState,
    /// What.
    pub kind: StepKind,
    /// How much is meant.
    pub amount: Option<Money>,
    /// Why: a fixed word, or the gateway's code.
    pub cause: String,
    /// What proves it.
    pub evidence: Evidence,
    /// With [`StepKind::ReviewNeeded`] and [`StepKind::ReviewWithdrawn`]: what is asked, or no longer.
    pub review: Option<ReviewReason>,
}

/// A payment, what it went through in this change, and what follows.
#[derive(Debug, Clone)]
pub struct Progress {
    /// As it stands now.
    pub payment: Payment,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// For the ledger, in order, each with what proves it.
    pub moves: Vec<(Move, Evidence)>,
    /// The question that a person has just answered: its case is closed by the answer.
    pub(super) answered: Option<ReviewReason>,
    before: Vec<(TaskKind, String, Timestamp)>,
    pub(super) rules: PaymentRules,
    pub(super) now: Timestamp,
}

impl Progress {
    /// A payment that has just been made.
    pub fn begun(payment: Payment, rules: &PaymentRules, now: Timestamp, evidence: &Evidence) -> Self {
        let (rules, before) = (rules.clone(), Vec::new());
        let mut begun = Self { payment, steps: Vec::new(), moves: Vec::new(), answered: None, before, rules, now };
        let price = begun.payment.amount;
        begun.step(StepKind::Created, Some(price), "visit_requested", evidence);
        begun.advance(evidence);
        begun
    }

    /// A payment as it was read.
    pub fn of(payment: Payment, rules: &PaymentRules, now: Timestamp) -> Self {
        let before = wanted_tasks(&payment, rules, now);
        let (steps, moves, rules) = (Vec::new(), Vec::new(), rules.clone());
        Self { payment, steps, moves, answered: None, before, rules, now }
    }

    /// Tasks that were not wanted before, or not so early.
    pub fn new_tasks(&self) -> Vec<(TaskKind, String, Timestamp)> {
        let known = |(_, key, at): &(TaskKind, String, Timestamp)| {
            self.before.iter().any(|(_, before, then)| before == key && then <= at)
        };
        let mut wanted = wanted_tasks(&self.payment, &self.rules, self.now);
        wanted.retain(|task| !known(task));
        wanted
    }

    /// Booking tells what became of the visit. Older news than what is known changes nothing.
    pub fn see_visit(&mut self, visit: Visit, evidence: &Evidence) {
        if visit.version > self.payment.visit.version {
            // The hold's end outlives the hold: it says until when the order could be paid in time.
            let hold_until = visit.hold_until.or(self.payment.visit.hold_until);
            self.payment.visit = Visit { hold_until, ..visit };
            if !matches!(visit.fate, VisitFate::Open | VisitFate::Expired) {
                self.close(ReviewReason::NotConfirmed, evidence);
            }
            if visit.fate != VisitFate::Confirmed {
                self.close(ReviewReason::NoOutcome, evidence);
            }
            self.advance(evidence);
        }
    }

    /// The gateway tells how a payment stands.
    pub fn see_payment(&mut self, seen: &GatewayPayment, evidence: &Evidence) {
        match &seen.state {
            PaymentSighting::Authorized => {}
            PaymentSighting::Failed { code } => self.see_failed_attempt(seen, code, evidence),
            PaymentSighting::Captured | PaymentSighting::Refunded => {
                self.see_capture(seen, evidence);
                self.advance(evidence);
                self.check_given_back(seen, evidence);
            }
        }
        self.advance(evidence);
    }

    fn see_capture(&mut self, seen: &GatewayPayment, evidence: &Evidence) {
        if let Some((_, known)) = self.payment.capture(&seen.reference) {
            if known.amount != seen.amount {
                self.ask_person(ReviewReason::AmountsDiffer, Some(seen.amount), Some(&seen.reference), evidence);
            }
            return;
        }
        if seen.amount.is_zero() {
            return;
        }
        let pays = self.payment.paying().is_none() && seen.amount == self.payment.amount;
        let capture = Capture {
            reference: seen.reference.clone(),
            amount: seen.amount,
            at: seen.at,
            seen_at: self.now,
            refund: None,
            written_off: 0,
            foreign_refunds: Vec::new(),
        };
        self.moves.push((Move::captured(&self.payment, &capture), evidence.clone()));
        self.payment.captures.push(capture);
        let pays = pays && self.payment.become_state(MoneyState::Captured).is_ok();
        if pays && self.payment.parties.is_some() {
            self.step(StepKind::Captured, Some(seen.amount), "paid", evidence);
        } else {
            self.step(StepKind::StrayCaptured, Some(seen.amount), "paid", evidence);
        }
    }

    /// The gateway gave back more than we ever asked it to.
    fn check_given_back(&mut self, seen: &GatewayPayment, evidence: &Evidence) {
        let Some((_, capture)) = self.payment.capture(&seen.reference) else { return };
        let decided = capture.refund.as_ref().map_or(0, |refund| refund.amount.amount());
        self.ask_about_unasked(&seen.reference, seen.refunded.amount() - decided, evidence);
    }

    fn see_failed_attempt(&mut self, seen: &GatewayPayment, code: &str, evidence: &Evidence) {
        let waiting = matches!(self.payment.state, MoneyState::Created | MoneyState::Pending);
        let known = self.payment.failed_attempts.contains(&seen.reference);
        if waiting && !known && self.payment.failed_attempts.len() < MAX_REMEMBERED {
            self.payment.failed_attempts.push(seen.reference.clone());
            self.step(StepKind::AttemptFailed, Some(seen.amount), word(code), evidence);
        }
    }

    /// The order is open.
    pub fn order_opened(&mut self, order: Order, evidence: &Evidence) {
        if self.payment.order.is_none() {
            self.payment.order = Some(order);
            self.payment.order_opened_at = Some(self.now);
            // A visit that ended meanwhile keeps the order all the same: it could still be paid.
            if self.payment.become_state(MoneyState::Pending).is_ok() {
                self.step(StepKind::OrderOpened, Some(self.payment.amount), "order_opened", evidence);
            }
            self.advance(evidence);
        }
    }

    /// The order will not be opened.
    pub fn order_refused(&mut self, code: &str, evidence: &Evidence) {
        if self.payment.state == MoneyState::Created && self.payment.become_state(MoneyState::Failed).is_ok() {
            self.step(StepKind::Failed, None, word(code), evidence);
        }
    }

    /// Does what is due, until nothing is. Each thing done is not due again, so this ends.
    pub fn advance(&mut self, evidence: &Evidence) {
        while let Some(due) = due(&self.payment, &self.rules, self.now) {
            match due {
                Due::EndUnpaid => {
                    if self.payment.become_state(MoneyState::Cancelled).is_err() {
                        break;
                    }
                    let fate = self.payment.visit.fate.as_str();
                    self.step(StepKind::Cancelled, None, fate, evidence);
                }
                Due::GiveUp => {
                    if self.payment.become_state(MoneyState::Failed).is_err() {
                        break;
                    }
                    self.step(StepKind::Failed, None, "too_many_attempts", evidence);
                }
                Due::RefundStray { index, reason } => {
                    let Some(amount) = self.payment.captures.get(index).map(|capture| capture.amount) else { break };
                    self.decide_refund(index, amount, reason, evidence);
                }
                Due::Settle(settlement) => {
                    if !self.settle(settlement, evidence) {
                        break;
                    }
                }
                Due::AskPerson(reason @ (ReviewReason::RefundFailed | ReviewReason::RefundStuck)) => {
                    self.ask_about_refunds(reason, evidence);
                }
                Due::AskPerson(reason) => {
                    let amount = self.payment.paying().map(|capture| capture.amount);
                    // Of these, what told of it makes it due.
                    let told = matches!(reason, ReviewReason::UnknownPayment | ReviewReason::BrokenOff);
                    let by = if told { evidence } else { &Evidence::Clock };
                    self.ask_person(reason, amount, None, by);
                }
            }
        }
        self.ask_waiting(evidence);
        self.payment.look_at = look_at(&self.payment, &self.rules);
    }

    fn settle(&mut self, settlement: Settlement, evidence: &Evidence) -> bool {
        let price = self.payment.amount;
        let (back, reason) = match settlement {
            Settlement::Earned | Settlement::WrittenOff => (Money::zero(price.currency()), None),
            Settlement::GiveBack { amount, reason } => (amount, Some(reason)),
        };
        let kept = price.minus(&back).filter(|kept| !kept.is_zero());
        let to = if back.is_zero() { MoneyState::Settled } else { MoneyState::Refunding };
        if self.payment.become_state(to).is_err() {
            return false;
        }
        for answered in
            [ReviewReason::NotConfirmed, ReviewReason::NoOutcome, ReviewReason::BrokenOff, ReviewReason::UnknownPayment]
        {
            self.close(answered, evidence);
        }
        if let Some(kept) = kept {
            let moved = match settlement {
                Settlement::Earned => Move::earned(kept),
                Settlement::WrittenOff => Move::unclaimed_written_off(kept),
                Settlement::GiveBack { .. } => Move::retained(kept),
            };
            self.moves.push((moved, evidence.clone()));
        }
        let kept_as = match settlement {
            Settlement::Earned => "earned",
            Settlement::WrittenOff => "write_off",
            Settlement::GiveBack { .. } => "retained",
        };
        match (reason, self.payment.captures.iter().position(|capture| capture.amount == price)) {
            (Some(reason), Some(index)) if !back.is_zero() => self.decide_refund(index, back, reason, evidence),
            _ => self.step(StepKind::Settled, kept, kept_as, evidence),
        }
        true
    }

    pub(super) fn version(&mut self) {
        self.payment.version += 1;
        self.payment.updated_at = self.now;
    }

    pub(super) fn step(&mut self, kind: StepKind, amount: Option<Money>, cause: &str, evidence: &Evidence) {
        self.version();
        let step = self.step_of(kind, amount, cause, evidence);
        self.steps.push(step);
    }

    pub(super) fn step_of(&self, kind: StepKind, amount: Option<Money>, cause: &str, evidence: &Evidence) -> Step {
        let (version, state, cause) = (self.payment.version, self.payment.state, cause.to_owned());
        Step { version, state, kind, amount, cause, evidence: evidence.clone(), review: None }
    }
}

/// A gateway's code as a word of ours: short, and visible ASCII, or `other`.
pub(super) fn word(code: &str) -> &str {
    let fits = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { code } else { "other" }
}
