//! A payment: what is known of the money for one visit, and of the visit.

use super::{Checkout, GatewayName, GatewayPaymentRef, GatewayRefundRef, Order, OrderRef, ReviewReason, Visit};
use amrutam_kernel::{AccountId, ConsultationId, DoctorId, Money, PaymentId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A word that is not in the vocabulary named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {0}")]
pub struct Unknown(pub &'static str);

/// An enum of words: stored, sent, read back.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $what:literal { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// The word stored and sent.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)+ } }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::Unknown;
            fn from_str(word: &str) -> Result<Self, $crate::model::Unknown> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word).ok_or($crate::model::Unknown($what))
            }
        }
    )+};
}
pub(crate) use words;

words! {
    /// Where the money for the visit stands.
    MoneyState = "payment status" {
        /// No order is open yet.
        Created = "created",
        /// An order is open and can be paid.
        Pending = "pending",
        /// The gateway refuses the order, or too many attempts to pay it failed. Money may still come late.
        Failed = "failed",
        /// The visit ended before money came. Money may still come late.
        Cancelled = "cancelled",
        /// The money is with the gateway, and nothing is decided about it.
        Captured = "captured",
        /// It is ours: the visit took place, or the policy gives nothing back.
        Settled = "settled",
        /// All or part of it is on its way back.
        Refunding = "refunding",
        /// All of it went back.
        Refunded = "refunded",
        /// Part of it went back, the rest is ours.
        PartiallyRefunded = "partially_refunded",
        /// The gateway could not give it back: a person must.
        RefundFailed = "refund_failed",
    }
    /// Why money goes back.
    RefundReason = "refund reason" {
        /// Called off in time, or by the practitioner or the system.
        VisitCancelled = "visit_cancelled",
        /// The practitioner did not come.
        DoctorAbsent = "doctor_absent",
        /// The visit was broken off because the technology failed or the practitioner was gone.
        VisitBrokenOff = "visit_broken_off",
        /// It came after the hold had run out, and the slot was gone.
        LatePayment = "late_payment",
        /// The order was paid twice.
        PaidTwice = "paid_twice",
        /// It is not the amount that was asked for.
        WrongAmount = "wrong_amount",
        /// A person decided so.
        Ruled = "ruled",
    }
}

impl MoneyState {
    /// The arrows of the state machine; there are no others.
    pub const fn can_become(self, to: Self) -> bool {
        use MoneyState::{
            Cancelled, Captured, Created, Failed, PartiallyRefunded, Pending, RefundFailed, Refunded, Refunding,
            Settled,
        };
        matches!(
            (self, to),
            (Created, Pending)
                | (Created | Pending, Failed | Cancelled)
                // Money that arrives is never ignored, however late.
                | (Created | Pending | Failed | Cancelled, Captured)
                | (Captured, Settled | Refunding)
                | (Refunding, Refunded | PartiallyRefunded | RefundFailed)
                // What had gone back came back to the gateway.
                | (Refunded | PartiallyRefunded, RefundFailed)
                // A person had it tried again, or paid it out another way.
                | (RefundFailed, Refunding | Refunded | PartiallyRefunded)
        )
    }

    /// Whether no money has been seen.
    pub const fn is_unpaid(self) -> bool {
        matches!(self, Self::Created | Self::Pending | Self::Failed | Self::Cancelled)
    }
}

/// The state machine has no such arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a payment that is {from} can't become {to}")]
pub struct InvalidTransition {
    /// Where it stands.
    pub from: MoneyState,
    /// Where the act would lead.
    pub to: MoneyState,
}

/// How far a refund has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum RefundStep {
    /// Decided; the gateway has not said that it knows.
    Asked,
    /// The gateway is at it.
    Pending {
        /// Its name there.
        reference: GatewayRefundRef,
    },
    /// Done.
    Processed {
        /// Its name there; nothing when it was paid out another way.
        reference: Option<GatewayRefundRef>,
        /// Since when.
        at: Timestamp,
    },
    /// The gateway can't: a person must.
    Failed {
        /// Its code for why.
        code: String,
    },
}

/// What goes back of one captured payment. There is never a second one beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// How much.
    pub amount: Money,
    /// Why.
    pub reason: RefundReason,
    /// Rises when a person has a failed one tried again: the gateway would repeat its refusal under the old key.
    pub round: u32,
    /// How far it has come.
    pub step: RefundStep,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Those of it that the gateway had made, and whose money came back to it: whatever is told of them later is old.
    #[serde(default)]
    pub returned: Vec<GatewayRefundRef>,
}

/// Money that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The gateway's name for the payment.
    pub reference: GatewayPaymentRef,
    /// How much.
    pub amount: Money,
    /// When, by the gateway's clock.
    pub at: Timestamp,
    /// When we learned of it.
    pub seen_at: Timestamp,
    /// What goes back of it.
    pub refund: Option<Refund>,
    /// What the gateway gave back of it unasked, as far as a person has taken it as a loss; in minor units.
    #[serde(default)]
    pub written_off: i64,
    /// Refunds that nobody here asked for, each with its amount: those that were told of by their names, and have not failed. Stored
    /// under the name that those of them had which are written off.
    #[serde(default, rename = "written_off_refunds")]
    pub foreign_refunds: Vec<(GatewayRefundRef, i64)>,
}

impl Capture {
    /// Whether its refund failed.
    pub fn refund_failed(&self) -> bool {
        self.refund.as_ref().is_some_and(|refund| matches!(refund.step, RefundStep::Failed { .. }))
    }

    /// How much of what the gateway is known to have given back unasked, by name, no person has taken as a loss yet; in minor units.
    /// Less than nothing when they were told of more than has a name by now.
    pub fn unasked(&self) -> i64 {
        self.given_unasked() - self.written_off
    }

    pub(super) fn given_unasked(&self) -> i64 {
        self.foreign_refunds.iter().map(|(_, amount)| amount).sum()
    }

    /// Whether this refund is known as one that nobody here asked for.
    pub fn is_foreign(&self, refund: &GatewayRefundRef) -> bool {
        self.foreign_refunds.iter().any(|(reference, _)| reference == refund)
    }
}

/// What a person is being asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// What.
    pub reason: ReviewReason,
    /// How much is at stake.
    pub amount: Option<Money>,
    /// About which of the captures, when it is about one.
    pub of: Option<GatewayPaymentRef>,
    /// Which captures it is about: what a choice acts on, and what [`Review::amount`] is the sum of.
    #[serde(default)]
    pub covers: Vec<GatewayPaymentRef>,
    /// The payment's version by which it was asked: a choice answers this question and none that took its place. 0 when it was
    /// asked before this was kept.
    #[serde(default)]
    pub asked_version: i64,
    /// A person has answered it with a look at the gateway: what the look shows decides whether one is asked again.
    #[serde(default)]
    pub looking: bool,
}

impl Review {
    /// Whether it is about something else than `open`, which is asked for the same reason.
    pub(super) fn is_another(&self, open: &Self) -> bool {
        match self.reason {
            // A capture may be missing or differ, and its refund as well.
            ReviewReason::MissingHere | ReviewReason::AmountsDiffer => {
                (&self.of, self.amount) != (&open.of, open.amount)
            }
            _ => self.of != open.of,
        }
    }

    /// Whether it is about what `open` is about, and about more of it: more has been given back unasked since.
    pub(super) fn is_more_than(&self, open: &Self) -> bool {
        let more = self.amount.zip(open.amount).is_some_and(|(amount, known)| amount.amount() > known.amount());
        self.reason == ReviewReason::ForeignRefund && self.of == open.of && more
    }
}

/// What a person decided about the money, which overrules the visit's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// All goes back.
    RefundFull,
    /// As if the patient had called off at this instant.
    RefundByPolicy {
        /// When that was.
        as_of: Timestamp,
    },
    /// The visit took place, or counts as if it had.
    Earned,
    /// Unclaimed money is taken as a gain.
    WrittenOff,
}

/// Whose a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parties {
    /// What is paid for.
    pub consultation: ConsultationId,
    /// Who pays.
    pub patient: AccountId,
    /// Whose visit it is.
    pub doctor: DoctorId,
}

/// The payment of one visit; or money that a gateway holds for us and that is for no visit of ours, until a person has
/// decided what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its id: the consultation's UUID. Of unclaimed money, one that follows from the gateway's name for it.
    pub id: PaymentId,
    /// Whose it is; nothing exactly while the money is unclaimed.
    pub parties: Option<Parties>,
    /// What is asked for.
    pub amount: Money,
    /// Where it is paid.
    pub gateway: GatewayName,
    /// Where the money stands.
    pub state: MoneyState,
    /// What is known of the visit.
    pub visit: Visit,
    /// The order, once it is open.
    pub order: Option<Order>,
    /// When the order was opened.
    pub order_opened_at: Option<Timestamp>,
    /// Attempts to pay that failed, each once however often it is told.
    pub failed_attempts: Vec<GatewayPaymentRef>,
    /// Money that arrived, in the order in which we learned of it. The first that fits [`Payment::amount`] pays the visit;
    /// all others go back whole.
    pub captures: Vec<Capture>,
    /// When a person last had the money announced again: booking gets its time to answer anew.
    #[serde(default)]
    pub announced_at: Option<Timestamp>,
    /// What a person decided.
    pub ruling: Option<Ruling>,
    /// What is open before a person.
    pub reviews: Vec<Review>,
    /// What a person is asked once they have answered what is open for the same reason: each difference has a case of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Review>,
    /// When the clock alone makes something due; nothing when it never will. Computed at each change.
    pub look_at: Option<Timestamp>,
    /// Since when.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Rises by one with every step and its event.
    pub version: i64,
    /// Rises by one with every commit: what the next one is guarded by.
    pub revision: i64,
}

impl Payment {
    /// The one transition function: moves to `to`, or says why there is no such arrow.
    pub fn become_state(&mut self, to: MoneyState) -> Result<(), InvalidTransition> {
        if self.state.can_become(to) {
            self.state = to;
            Ok(())
        } else {
            Err(InvalidTransition { from: self.state, to })
        }
    }

    /// Which of the captures pays the visit: the first of the amount asked for.
    pub fn paying(&self) -> Option<&Capture> {
        self.captures.iter().find(|capture| capture.amount == self.amount)
    }

    /// How much of the visit's price has gone back, as far as the gateway has confirmed it.
    pub fn refunded(&self) -> Money {
        let back = self.paying().and_then(|capture| capture.refund.as_ref());
        back.filter(|refund| matches!(refund.step, RefundStep::Processed { .. }))
            .map_or(Money::zero(self.amount.currency()), |refund| refund.amount)
    }

    /// How to pay, while that is of use at `now`: an order is open and the slot is held.
    pub fn checkout_at(&self, now: Timestamp) -> Option<&Checkout> {
        let open = self.state == MoneyState::Pending && self.visit.hold_until.is_some_and(|until| now < until);
        self.order.as_ref().filter(|_| open).map(|order| &order.checkout)
    }

    /// Whose visit it pays for, if it is known.
    pub fn patient(&self) -> Option<AccountId> {
        self.parties.map(|parties| parties.patient)
    }

    /// The visit it pays for, if it is known.
    pub fn consultation(&self) -> Option<ConsultationId> {
        self.parties.map(|parties| parties.consultation)
    }

    /// Whether a person is being asked this.
    pub fn asks(&self, reason: ReviewReason) -> bool {
        self.reviews.iter().any(|review| review.reason == reason)
    }

    /// What a person is asked for this reason.
    pub fn review(&self, reason: ReviewReason) -> Option<&Review> {
        self.reviews.iter().find(|review| review.reason == reason)
    }

    /// The key under which the order is opened. At most 40 characters: Razorpay's bound for a receipt.
    pub fn order_key(&self) -> String {
        format!("or-{}", self.id.as_uuid().simple())
    }

    /// The name of the task that looks at the gateway.
    pub fn poll_key(&self) -> String {
        format!("look-{}", self.id.as_uuid().simple())
    }

    /// The order's name at the gateway.
    pub fn order_ref(&self) -> Option<&OrderRef> {
        self.order.as_ref().map(|order| &order.order)
    }

    /// The key under which the refund of capture number `index` is asked for in its round. At most 40 characters.
    pub fn refund_key(&self, index: usize, round: u32) -> String {
        format!("rf-{}-{index}-{round}", self.id.as_uuid().simple())
    }

    /// The capture with this reference, and its number.
    pub fn capture(&self, reference: &GatewayPaymentRef) -> Option<(usize, &Capture)> {
        self.captures.iter().enumerate().find(|(_, capture)| capture.reference == *reference)
    }
}
