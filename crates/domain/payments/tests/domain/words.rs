use amrutam_payments::model::{Choice, Entry, JournalKind, MoneyState, RefundReason, ReviewReason, Side, StepKind};
use std::collections::BTreeSet;

/// As stored, as sent and as serde has it.
macro_rules! reads_back {
    ($($word:ty),+) => {$({
        let mut known = BTreeSet::new();
        for one in <$word>::ALL {
            assert_eq!(one.as_str().parse(), Ok(*one));
            assert_eq!(serde_json::to_value(one).unwrap(), serde_json::json!(one.as_str()));
            assert!(known.insert(one.as_str()), "{one} twice");
        }
        assert!("nonsense".parse::<$word>().is_err());
    })+};
}

#[test]
fn every_word_reads_back() {
    reads_back!(Choice, Entry, JournalKind, MoneyState, RefundReason, ReviewReason, Side, StepKind);
}

#[test]
fn the_money_has_these_arrows_and_no_others() {
    use MoneyState::*;
    let arrows = [
        (Created, Pending),
        (Created, Failed),
        (Created, Cancelled),
        (Created, Captured),
        (Pending, Failed),
        (Pending, Cancelled),
        (Pending, Captured),
        (Failed, Captured),
        (Cancelled, Captured),
        (Captured, Settled),
        (Captured, Refunding),
        (Refunding, Refunded),
        (Refunding, PartiallyRefunded),
        (Refunding, RefundFailed),
        (Refunded, RefundFailed),
        (PartiallyRefunded, RefundFailed),
        (RefundFailed, Refunding),
        (RefundFailed, Refunded),
        (RefundFailed, PartiallyRefunded),
    ];
    for from in MoneyState::ALL {
        for to in MoneyState::ALL {
            assert_eq!(from.can_become(*to), arrows.contains(&(*from, *to)), "{from} -> {to}");
        }
    }
}

#[test]
fn every_case_can_be_resolved() {
    for reason in ReviewReason::ALL {
        assert!(!reason.choices().is_empty(), "{reason}");
        // By then the visit's time is past: the policy gives nothing, and the case would say how much it moved.
        assert!(!reason.choices().contains(&Choice::RefundByPolicy), "{reason}");
    }
}
