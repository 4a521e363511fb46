//! When one person is not enough.

use amrutam_kernel::{Currency, Money};
use std::collections::HashMap;

/// Up to how much one person alone may move, per currency in minor units. A currency that has no limit here always needs a
/// second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalLimits(HashMap<Currency, i64>);

impl ApprovalLimits {
    /// `limits` in minor units.
    pub fn new(limits: impl IntoIterator<Item = (Currency, i64)>) -> Self {
        Self(limits.into_iter().collect())
    }

    /// Whether moving this needs a second person: when it is more than the limit. Nothing moved needs none.
    ///
    /// ```
    /// # use amrutam_kernel::{Currency, Money}; use amrutam_operations::model::ApprovalLimits;
    /// let limits = ApprovalLimits::new([(Currency::Inr, 1_000_000)]);
    /// let money = |amount, currency| Money::new(amount, currency).ok();
    /// assert!(!limits.asks_two(money(1_000_000, Currency::Inr)));
    /// assert!(limits.asks_two(money(1_000_001, Currency::Inr)));
    /// assert!(limits.asks_two(money(1, Currency::Usd)));
    /// assert!(!limits.asks_two(None));
    /// ```
    pub fn asks_two(&self, moved: Option<Money>) -> bool {
        moved.is_some_and(|money| self.0.get(&money.currency()).is_none_or(|limit| money.amount() > *limit))
    }
}
