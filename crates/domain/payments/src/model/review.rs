//! What a payment can't finish by itself, and what a person can do about it.

use super::payment::words;

words! {
    /// Why a person is asked. One case per payment and reason is open at a time.
    ReviewReason = "review reason" {
        /// The gateway could not give the money back.
        RefundFailed = "refund_failed",
        /// The gateway has been at a refund for days.
        RefundStuck = "refund_stuck",
        /// The money is there, and booking has not said whether the visit takes place.
        NotConfirmed = "not_confirmed",
        /// The money is there, the visit's time is long past, and nobody has said whether it took place.
        NoOutcome = "no_outcome",
        /// The patient says that the visit was broken off, by the technology or the practitioner.
        BrokenOff = "broken_off",
        /// Something that had to be asked of the gateway was given up.
        TaskFailed = "task_failed",
        /// The gateway gave back money that we did not ask it to.
        ForeignRefund = "foreign_refund",
        /// The gateway holds money that belongs to no payment of ours.
        UnknownPayment = "unknown_payment",
        /// Reconciliation: the gateway has it, our ledger did not.
        MissingHere = "missing_here",
        /// Reconciliation: our ledger has a payment, the gateway does not.
        MissingThere = "missing_there",
        /// Reconciliation: our ledger has a refund, the gateway does not.
        RefundMissingThere = "refund_missing_there",
        /// Reconciliation: both have it, with different amounts.
        AmountsDiffer = "amounts_differ",
    }
    /// What a person can have done about it.
    Choice = "choice" {
        /// Give all of it back.
        RefundFull = "refund_full",
        /// Give back what the policy gives if the patient calls off now.
        RefundByPolicy = "refund_by_policy",
        /// The visit took place, or counts as if it had.
        MarkEarned = "mark_earned",
        /// Announce the money again, so that booking confirms or declines.
        ConfirmAgain = "confirm_again",
        /// Try again what was given up.
        Retry = "retry",
        /// Look at the gateway again, and take over what it says.
        LookAgain = "look_again",
        /// It was paid out by another way than the gateway.
        PaidOutElsewhere = "paid_out_elsewhere",
        /// Take the difference as a loss or a gain, on the record.
        WriteOff = "write_off",
    }
}

impl ReviewReason {
    /// What has been tried by itself before a person is asked.
    pub const fn tried(self) -> &'static [&'static str] {
        match self {
            Self::RefundFailed => &["refund"],
            Self::RefundStuck => &["refund", "look"],
            Self::NotConfirmed => &["announce"],
            Self::TaskFailed => &["look"],
            Self::MissingHere | Self::MissingThere | Self::RefundMissingThere | Self::AmountsDiffer => &["compare"],
            Self::NoOutcome | Self::BrokenOff | Self::ForeignRefund | Self::UnknownPayment => &[],
        }
    }

    /// What can be done about it.
    pub const fn choices(self) -> &'static [Choice] {
        match self {
            Self::RefundFailed => &[Choice::Retry, Choice::LookAgain, Choice::PaidOutElsewhere],
            Self::RefundStuck => &[Choice::LookAgain, Choice::PaidOutElsewhere],
            Self::NotConfirmed => &[Choice::ConfirmAgain, Choice::RefundFull],
            Self::NoOutcome => &[Choice::MarkEarned, Choice::RefundFull],
            Self::BrokenOff => &[Choice::MarkEarned, Choice::RefundFull],
            Self::TaskFailed => &[Choice::Retry],
            Self::UnknownPayment => &[Choice::RefundFull, Choice::WriteOff],
            Self::MissingThere => &[Choice::WriteOff],
            Self::RefundMissingThere => &[Choice::Retry],
            Self::MissingHere | Self::AmountsDiffer => &[Choice::LookAgain],
            Self::ForeignRefund => &[Choice::LookAgain, Choice::WriteOff],
        }
    }
}
