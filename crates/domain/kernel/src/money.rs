//! Money in integer minor units.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The currencies we charge in, all of two decimals (ISO 4217).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Currency {
    /// Indian rupee, minor unit paisa.
    Inr,
    /// United States dollar, minor unit cent.
    Usd,
    /// Euro, minor unit cent.
    Eur,
    /// Pound sterling, minor unit penny.
    Gbp,
    /// UAE dirham, minor unit fils (1/100).
    Aed,
}

impl Currency {
    /// The ISO 4217 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Inr => "INR",
            Self::Usd => "USD",
            Self::Eur => "EUR",
            Self::Gbp => "GBP",
            Self::Aed => "AED",
        }
    }
}

/// Not a currency we charge in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of INR, USD, EUR, GBP, AED")]
pub struct UnknownCurrency;

impl FromStr for Currency {
    type Err = UnknownCurrency;
    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        [Self::Inr, Self::Usd, Self::Eur, Self::Gbp, Self::Aed]
            .into_iter()
            .find(|c| c.code() == code)
            .ok_or(UnknownCurrency)
    }
}

/// A price or fee: not negative, at most ten million major units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    amount: i64,
    currency: Currency,
}

/// The amount is negative or absurd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an amount is between 0 and {} minor units", Money::MAX_MINOR)]
pub struct InvalidMoney;

impl Money {
    /// Upper bound in minor units (ten million rupees): whatever is above is a slip of the keyboard.
    pub const MAX_MINOR: i64 = 1_000_000_000;

    /// `amount` in minor units.
    pub fn new(amount: i64, currency: Currency) -> Result<Self, InvalidMoney> {
        if (0..=Self::MAX_MINOR).contains(&amount) { Ok(Self { amount, currency }) } else { Err(InvalidMoney) }
    }

    /// Nothing, in this currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: 0, currency }
    }

    /// Whether it is nothing.
    pub const fn is_zero(&self) -> bool {
        self.amount == 0
    }

    /// The sum; nothing when the currencies differ or it exceeds [`Money::MAX_MINOR`].
    pub fn plus(&self, other: &Self) -> Option<Self> {
        let sum = self.amount.checked_add(other.amount).filter(|_| self.currency == other.currency)?;
        Self::new(sum, self.currency).ok()
    }

    /// What is left; nothing when the currencies differ or `other` is more.
    pub fn minus(&self, other: &Self) -> Option<Self> {
        let left = self.amount.checked_sub(other.amount).filter(|_| self.currency == other.currency)?;
        Self::new(left, self.currency).ok()
    }

    /// So many hundredths of it, rounded down to the minor unit; more than 100 count as 100.
    pub fn percent(&self, percent: u8) -> Self {
        Self { amount: self.amount * i64::from(percent.min(100)) / 100, currency: self.currency }
    }

    /// In minor units.
    pub const fn amount(&self) -> i64 {
        self.amount
    }

    /// What the amount is counted in.
    pub const fn currency(&self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02} {}", self.amount / 100, self.amount % 100, self.currency.code())
    }
}
