//! The numbers that payments are decided by, as data with a version and a source.

use jiff::SignedDuration;

/// So much goes back when a patient calls off with this much notice: before the start, and before any start that they moved the
/// visit away from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundTier {
    /// From this much notice on.
    pub at_least: SignedDuration,
    /// This many hundredths of the price.
    pub percent: u8,
}

/// What goes back when a patient calls off. When the practitioner or the system does, or the practitioner does not come,
/// everything goes back, whatever the tiers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundPolicy {
    /// Of these tiers; shown with each preview and kept with each refund.
    pub version: String,
    /// Where they come from.
    pub source: String,
    /// In any order; the one with the longest time that is kept applies, and none means nothing.
    pub tiers: Vec<RefundTier>,
}

/// The rules of payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentRules {
    /// Of this set.
    pub version: &'static str,
    /// Where the numbers come from.
    pub source: &'static str,
    /// What goes back when a visit is called off.
    pub refunds: RefundPolicy,
    /// Failed attempts to pay after which an order counts as failed.
    pub max_failed_attempts: usize,
    /// How long after money came booking may take to confirm or decline, until a person is asked.
    pub confirm_within: SignedDuration,
    /// How long after a paid visit's end its outcome may be open, until a person is asked.
    pub outcome_within: SignedDuration,
    /// How long a gateway may be at a refund, until a person is asked.
    pub refund_within: SignedDuration,
    /// The first look at an unanswered order or refund comes this long after it was asked for, the next after double that.
    pub first_poll: SignedDuration,
    /// How long an order is looked at: money could come as late as this.
    pub order_lives: SignedDuration,
    /// How long one call's claim on its task lasts: longer than all of a task's calls together.
    pub lease: SignedDuration,
    /// The least and the most a task waits while its gateway is away.
    pub slow_lane: (SignedDuration, SignedDuration),
    /// How long a task may wait for its gateway, until a person is asked.
    pub patience: SignedDuration,
}

impl PaymentRules {
    /// (ours) Design decisions of 2026-11: `domain-rules` "The visit" for the refund policy, `reliability` for the rest.
    pub fn v1() -> Self {
        Self {
            version: "payments-1",
            source: "Amrutam domain rules, The visit; reliability",
            refunds: RefundPolicy {
                version: "refunds-2".to_owned(),
                source:
                    "Amrutam domain rules, The visit: full until 4 hours before; who moves late has called off late"
                        .to_owned(),
                tiers: vec![RefundTier { at_least: SignedDuration::from_hours(4), percent: 100 }],
            },
            max_failed_attempts: 3,
            confirm_within: SignedDuration::from_hours(1),
            outcome_within: SignedDuration::from_hours(24),
            refund_within: SignedDuration::from_hours(7 * 24),
            first_poll: SignedDuration::from_mins(1),
            order_lives: SignedDuration::from_hours(24),
            lease: SignedDuration::from_secs(60),
            // With the tick of whoever claims it, 30 s after the gateway is back all is under way.
            slow_lane: (SignedDuration::from_secs(5), SignedDuration::from_secs(20)),
            patience: SignedDuration::from_hours(24),
        }
    }
}
