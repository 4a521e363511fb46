//! What goes back, by the rules of the field.

use super::*;
use amrutam_payments::model::{PaymentRules, RefundPolicy, RefundTier, Side, notice, refund_for_cancellation};
use proptest::prelude::*;

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

#[test]
fn full_until_four_hours_before_and_nothing_later() {
    let policy = PaymentRules::v1().refunds;
    let moment = SignedDuration::from_micros(1);
    let start = at(600);
    let back = |by, when| refund_for_cancellation(&policy, rupees(499), by, notice(start, None, when));
    assert_eq!(back(Side::Patient, start - hours(4)), rupees(499));
    assert_eq!(back(Side::Patient, start - hours(4) + moment), rupees(0));
    assert_eq!(back(Side::Patient, start), rupees(0));
    for by in [Side::Doctor, Side::System] {
        for when in [start - hours(100), start - moment, start, start + hours(1)] {
            assert_eq!(back(by, when), rupees(499), "{by}: always");
        }
    }
}

#[test]
fn tiers_apply_by_the_longest_time_kept_in_whatever_order_they_stand() {
    let tier = |hours, percent| RefundTier { at_least: SignedDuration::from_hours(hours), percent };
    let mut tiers = vec![tier(1, 25), tier(24, 100), tier(4, 50)];
    for _ in 0..3 {
        tiers.rotate_left(1);
        let policy = RefundPolicy { version: "t".to_owned(), source: "test".to_owned(), tiers: tiers.clone() };
        let back = |ahead| refund_for_cancellation(&policy, rupees(500), Side::Patient, hours(ahead));
        let amounts: Vec<_> = [30, 24, 23, 4, 3, 1, 0].into_iter().map(|ahead| back(ahead).amount()).collect();
        assert_eq!(amounts, [50_000, 50_000, 25_000, 25_000, 12_500, 12_500, 0]);
    }
}

proptest! {
    #[test]
    fn never_more_than_was_paid_and_never_less_for_calling_off_earlier(
        tiers in proptest::collection::vec((0_i64..72, 0_u8..=100), 0..5),
        price in 0_i64..=Money::MAX_MINOR,
        one in 0_i64..5_000, other in 0_i64..5_000,
    ) {
        // A policy that gives more for less time would be one that nobody means: tiers are made to rise with time.
        let mut percents: Vec<_> = tiers.iter().map(|(_, percent)| *percent).collect();
        let mut times: Vec<_> = tiers.iter().map(|(hours, _)| *hours).collect();
        percents.sort_unstable();
        times.sort_unstable();
        let tiers = times.into_iter().zip(percents);
        let tiers = tiers.map(|(hours, percent)| RefundTier { at_least: SignedDuration::from_hours(hours), percent });
        let policy = RefundPolicy { version: "p".to_owned(), source: "test".to_owned(), tiers: tiers.collect() };
        let price = Money::new(price, Currency::Inr).unwrap();
        let back =
            |ahead: i64| refund_for_cancellation(&policy, price, Side::Patient, SignedDuration::from_mins(ahead)).amount();
        prop_assert!(back(one) <= price.amount() && back(one) >= 0);
        prop_assert!(back(one.max(other)) >= back(one.min(other)));
    }
}

proptest! {
    /// Whatever a patient moves, and how often: calling off in the end gives back no more than calling off instead of any of
    /// the moves would have, and no less than the worst of them.
    #[test]
    fn moving_a_visit_away_gives_nothing_that_calling_it_off_then_would_not(
        // Each: so many minutes ahead when it is moved, and how long after that the next thing happens.
        moves in proptest::collection::vec((1_i64..3_000, 0_i64..3_000), 0..6),
        last in 1_i64..6_000,
        percents in proptest::collection::vec((0_i64..72, 0_u8..=100), 1..4),
    ) {
        let (mut hours, mut shares): (Vec<_>, Vec<_>) = percents.into_iter().unzip();
        hours.sort_unstable();
        shares.sort_unstable();
        let tiers = hours.into_iter().zip(shares);
        let tiers = tiers.map(|(hours, percent)| RefundTier { at_least: SignedDuration::from_hours(hours), percent });
        let policy = RefundPolicy { version: "p".to_owned(), source: "test".to_owned(), tiers: tiers.collect() };
        let back = |notice| refund_for_cancellation(&policy, rupees(500), Side::Patient, notice).amount();
        let minutes = SignedDuration::from_mins;
        let (mut now, mut least, mut instead) = (at(0), None, vec![back(minutes(last))]);
        for (ahead, wait) in moves {
            let start = now + minutes(ahead);
            let given = notice(start, least, now);
            instead.push(back(minutes(ahead)));
            least = Some(given);
            now += minutes(wait);
        }
        let start = now + minutes(last);
        prop_assert_eq!(back(notice(start, least, now)), instead.into_iter().min().unwrap());
    }
}

/// Two hours before its start it is too late to call the visit off, and so it is when it has been moved to next week first.
#[tokio::test]
async fn who_moves_a_visit_too_late_gets_nothing_back_later() {
    use amrutam_booking::{
        model::CancelReason,
        use_cases::{Cancel, cancel, reschedule},
    };
    use amrutam_payments::use_cases::preview_cancellation;
    for (late, expected) in [(true, rupees(0)), (false, rupees(499))] {
        let mut till = Till::paid().await;
        let asha = till.clinic.patient(till.patient);
        let slots = till.clinic.open_slots().await.unwrap();
        let far = |nth: usize| slots[slots.len() - nth].id;
        if !late {
            // The practitioner's house moves it for them: that is no act of theirs, and keeps their right.
            reschedule(till.clinic.deps(), &till.system(), till.visit, far(2), None).await.unwrap();
        }
        reschedule(till.clinic.deps(), &asha, till.visit, far(1), None).await.unwrap();
        let unheard = preview_cancellation(till.clinic.payment_deps(), &asha, till.visit).await.unwrap();
        assert_eq!(unheard.refund, expected, "by the visit, before payments have heard of the move");
        till.relay().await;
        let preview = preview_cancellation(till.clinic.payment_deps(), &asha, till.visit).await.unwrap();
        assert_eq!((preview.refund, preview.policy.as_str()), (expected, "refunds-2"));
        let called_off = Cancel { id: till.visit, reason: CancelReason::PatientOther, idempotency: None };
        cancel(till.clinic.deps(), &asha, called_off).await.unwrap();
        till.relay().await;
        till.run().await;
        let back: i64 = till.clinic.gateway.refunds().iter().map(|refund| refund.amount.amount()).sum();
        assert_eq!(back, expected.amount(), "what was shown");
    }
}

#[tokio::test]
async fn a_preview_says_what_calling_off_then_does() {
    use amrutam_booking::{
        model::CancelReason,
        use_cases::{Cancel, cancel},
    };
    use amrutam_payments::use_cases::preview_cancellation;
    // The visit starts two hours after it was booked: too late for the patient to get anything back.
    for (by_doctor, expected) in [(false, rupees(0)), (true, rupees(499))] {
        let mut till = Till::paid().await;
        let who = if by_doctor {
            till.clinic.context(Actor::Account { id: till.clinic.doctor_account, role: Role::Doctor })
        } else {
            till.clinic.patient(till.patient)
        };
        let preview = preview_cancellation(till.clinic.payment_deps(), &who, till.visit).await.unwrap();
        assert_eq!((preview.paid, preview.refund), (rupees(499), expected));
        assert_eq!(preview.fee, rupees(499).minus(&expected).unwrap());
        assert_eq!(preview.policy, "refunds-2");
        let reason = if by_doctor { CancelReason::DoctorUnavailable } else { CancelReason::PatientOther };
        cancel(till.clinic.deps(), &who, Cancel { id: till.visit, reason, idempotency: None }).await.unwrap();
        till.relay().await;
        till.run().await;
        let back: i64 = till.clinic.gateway.refunds().iter().map(|refund| refund.amount.amount()).sum();
        assert_eq!(back, expected.amount());
        let again = preview_cancellation(till.clinic.payment_deps(), &who, till.visit).await;
        assert!(matches!(again, Err(amrutam_payments::PaymentError::NotCancellable)), "{again:?}");
    }
}

/// Booking has confirmed the visit, and payments have not heard of it yet: the preview goes by the visit, as the refund will.
#[tokio::test]
async fn a_preview_goes_by_the_visit_and_not_by_what_payments_have_heard() {
    use amrutam_booking::{
        model::CancelReason,
        use_cases::{Cancel, cancel},
    };
    use amrutam_payments::use_cases::preview_cancellation;
    let mut till = Till::with_order().await;
    till.pay();
    till.notify().await;
    for event in till.clinic.world.drain_outbox() {
        amrutam_booking::use_cases::handle(till.clinic.deps(), &event).await.unwrap();
    }
    let asha = till.clinic.patient(till.patient);
    let preview = preview_cancellation(till.clinic.payment_deps(), &asha, till.visit).await.unwrap();
    assert_eq!((preview.paid, preview.refund), (rupees(499), rupees(0)));
    let called_off = Cancel { id: till.visit, reason: CancelReason::PatientOther, idempotency: None };
    cancel(till.clinic.deps(), &asha, called_off).await.unwrap();
    till.relay().await;
    till.run().await;
    assert!(till.clinic.gateway.refunds().is_empty());
}
