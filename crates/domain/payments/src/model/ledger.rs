//! The ledger: append-only, double entry, in minor units. A journal that does not balance can't be made.

use super::{Capture, Evidence, GatewayName, Payment, payment::words};
use amrutam_kernel::{Currency, JournalId, Money, PaymentId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Where money is, or whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Account {
    /// What a gateway holds for us (asset).
    GatewayReceivable(GatewayName),
    /// Paid by patients for visits whose outcome is open (liability).
    PatientDeposits,
    /// Came to us by mistake, nobody knows from whom or for what (liability).
    UnclaimedReceipts,
    /// Owed to patients (liability).
    RefundsPayable,
    /// Earned by visits that took place (income).
    FeesEarned,
    /// Kept of visits that were called off late (income).
    CancellationFees,
    /// Paid out by another way than the gateway (asset, contra).
    PaidElsewhere,
    /// Differences that a person took as a loss or a gain (expense).
    WriteOffs,
}

impl Account {
    /// What has arrived and is not yet decided upon.
    fn held_by(payment: &Payment) -> Self {
        if payment.parties.is_some() { Self::PatientDeposits } else { Self::UnclaimedReceipts }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GatewayReceivable(gateway) => write!(f, "gateway_receivable:{gateway}"),
            Self::PatientDeposits => f.write_str("patient_deposits"),
            Self::UnclaimedReceipts => f.write_str("unclaimed_receipts"),
            Self::RefundsPayable => f.write_str("refunds_payable"),
            Self::FeesEarned => f.write_str("fees_earned"),
            Self::CancellationFees => f.write_str("cancellation_fees"),
            Self::PaidElsewhere => f.write_str("paid_elsewhere"),
            Self::WriteOffs => f.write_str("write_offs"),
        }
    }
}

impl FromStr for Account {
    type Err = super::Unknown;
    fn from_str(word: &str) -> Result<Self, super::Unknown> {
        let unknown = super::Unknown("ledger account");
        Ok(match word {
            "patient_deposits" => Self::PatientDeposits,
            "unclaimed_receipts" => Self::UnclaimedReceipts,
            "refunds_payable" => Self::RefundsPayable,
            "fees_earned" => Self::FeesEarned,
            "cancellation_fees" => Self::CancellationFees,
            "paid_elsewhere" => Self::PaidElsewhere,
            "write_offs" => Self::WriteOffs,
            other => {
                let gateway = other.strip_prefix("gateway_receivable:").ok_or(unknown)?;
                Self::GatewayReceivable(gateway.parse().map_err(|_| unknown)?)
            }
        })
    }
}

impl TryFrom<String> for Account {
    type Error = super::Unknown;
    fn try_from(word: String) -> Result<Self, super::Unknown> {
        word.parse()
    }
}

impl From<Account> for String {
    fn from(account: Account) -> Self {
        account.to_string()
    }
}

words! {
    /// Why a journal was written.
    JournalKind = "journal kind" {
        /// Money arrived.
        Capture = "capture",
        /// Money is to go back.
        RefundDecided = "refund_decided",
        /// Money went back.
        RefundProcessed = "refund_processed",
        /// What had gone back came back to the gateway: it is owed again.
        RefundReturned = "refund_returned",
        /// The visit took place.
        Earned = "earned",
        /// The part that the policy keeps.
        Retained = "retained",
        /// A refund paid out by another way.
        PaidElsewhere = "paid_elsewhere",
        /// A difference taken by a person.
        WrittenOff = "written_off",
    }
    /// Which side of an account.
    Entry = "entry" {
        /// Assets and expenses rise.
        Debit = "debit",
        /// Liabilities and income rise.
        Credit = "credit",
    }
}

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which account.
    pub account: Account,
    /// Which side of it.
    pub entry: Entry,
    /// How much; never nothing.
    pub amount: Money,
}

/// Debits and credits differ, or there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a journal's debits equal its credits, in each currency, and are not nothing")]
pub struct Unbalanced;

/// Lines that balance in each currency, written together or not at all, and never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Its id.
    pub id: JournalId,
    /// The payment it is about.
    pub payment: PaymentId,
    /// Why.
    pub kind: JournalKind,
    /// When.
    pub at: Timestamp,
    /// What proves it.
    pub evidence: Evidence,
    lines: Vec<Line>,
}

/// Whether debits equal credits in each currency, and no line is empty.
fn balanced(lines: &[Line]) -> bool {
    let currencies = lines.iter().map(|line| line.amount.currency());
    let sum = |currency: Currency| -> i128 {
        let own = lines.iter().filter(|line| line.amount.currency() == currency);
        own.map(|line| match line.entry {
            Entry::Debit => i128::from(line.amount.amount()),
            Entry::Credit => -i128::from(line.amount.amount()),
        })
        .sum()
    };
    !lines.is_empty() && lines.iter().all(|line| !line.amount.is_zero()) && currencies.into_iter().all(|c| sum(c) == 0)
}

impl Journal {
    /// The only way to a journal.
    pub fn new(
        id: JournalId,
        payment: PaymentId,
        kind: JournalKind,
        at: Timestamp,
        evidence: Evidence,
        lines: Vec<Line>,
    ) -> Result<Self, Unbalanced> {
        if balanced(&lines) { Ok(Self { id, payment, kind, at, evidence, lines }) } else { Err(Unbalanced) }
    }

    /// Its lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// An amount moved from one account to another: what most journals are. Balanced by its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Why.
    pub kind: JournalKind,
    /// The account debited.
    pub debit: Account,
    /// The account credited.
    pub credit: Account,
    /// How much.
    pub amount: Money,
}

impl Move {
    /// Money arrived.
    pub fn captured(payment: &Payment, capture: &Capture) -> Self {
        let debit = Account::GatewayReceivable(payment.gateway.clone());
        Self { kind: JournalKind::Capture, debit, credit: Account::held_by(payment), amount: capture.amount }
    }

    /// Money is to go back.
    pub fn refund_decided(payment: &Payment, amount: Money) -> Self {
        let (debit, credit) = (Account::held_by(payment), Account::RefundsPayable);
        Self { kind: JournalKind::RefundDecided, debit, credit, amount }
    }

    /// Money went back.
    pub fn refund_processed(gateway: &GatewayName, amount: Money) -> Self {
        let credit = Account::GatewayReceivable(gateway.clone());
        Self { kind: JournalKind::RefundProcessed, debit: Account::RefundsPayable, credit, amount }
    }

    /// What had gone back came back to the gateway.
    pub fn refund_returned(gateway: &GatewayName, amount: Money) -> Self {
        let debit = Account::GatewayReceivable(gateway.clone());
        Self { kind: JournalKind::RefundReturned, debit, credit: Account::RefundsPayable, amount }
    }

    /// The visit took place.
    pub fn earned(amount: Money) -> Self {
        Self { kind: JournalKind::Earned, debit: Account::PatientDeposits, credit: Account::FeesEarned, amount }
    }

    /// The policy keeps it.
    pub fn retained(amount: Money) -> Self {
        let (debit, credit) = (Account::PatientDeposits, Account::CancellationFees);
        Self { kind: JournalKind::Retained, debit, credit, amount }
    }

    /// Owed money was paid out by another way.
    pub fn paid_elsewhere(amount: Money) -> Self {
        let (debit, credit) = (Account::RefundsPayable, Account::PaidElsewhere);
        Self { kind: JournalKind::PaidElsewhere, debit, credit, amount }
    }

    /// A refund that we never asked for: a loss, until its reason is found.
    pub fn written_off(gateway: &GatewayName, amount: Money) -> Self {
        let credit = Account::GatewayReceivable(gateway.clone());
        Self { kind: JournalKind::WrittenOff, debit: Account::WriteOffs, credit, amount }
    }

    /// Unclaimed money is taken as a gain, until whose it is is found.
    pub fn unclaimed_written_off(amount: Money) -> Self {
        let (debit, credit) = (Account::UnclaimedReceipts, Account::WriteOffs);
        Self { kind: JournalKind::WrittenOff, debit, credit, amount }
    }

    /// The journal's lines.
    pub fn lines(&self) -> Vec<Line> {
        let line = |account: &Account, entry| Line { account: account.clone(), entry, amount: self.amount };
        vec![line(&self.debit, Entry::Debit), line(&self.credit, Entry::Credit)]
    }
}
