//! The decisions, alone.
#![expect(clippy::unwrap_used, reason = "tests")]

use amrutam_kernel::{
    AggregateRef, CorrelationId, Currency, DeadLetterId, DeadMessage, EventEnvelope, EventId, Money, ReviewCaseId,
};
use amrutam_operations::model::{
    ApprovalLimits, Choice, DeadLetter, Decider, DiscardReason, InvalidTransition, LetterAct, LetterState, ReviewAct,
    ReviewCase, ReviewRefusal, ReviewState, Subject,
};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

#[test]
fn a_letter_goes_from_dead_to_requeued_to_settled_or_dead_again_and_nowhere_from_its_end() {
    use LetterAct::{Die, Discard, Requeue, Settle};
    use LetterState::{Dead, Discarded, Requeued, Settled};
    let arrows = [
        (Dead, Die, Some(Dead)),
        (Dead, Requeue, Some(Requeued)),
        (Dead, Settle, Some(Settled)),
        (Dead, Discard, Some(Discarded)),
        (Requeued, Die, Some(Dead)),
        (Requeued, Requeue, Some(Requeued)),
        (Requeued, Settle, Some(Settled)),
        (Requeued, Discard, None),
    ];
    for (from, act, to) in arrows {
        assert_eq!(from.after(act).ok(), to, "{from} {act:?}");
    }
    for from in [Settled, Discarded] {
        for act in LetterAct::ALL {
            assert!(matches!(from.after(act), Err(InvalidTransition { from: told, .. }) if told == from));
        }
    }
    for (from, act, to) in [
        (ReviewState::Open, ReviewAct::Propose, Some(ReviewState::AwaitingApproval)),
        (ReviewState::Open, ReviewAct::Resolve, Some(ReviewState::Resolved)),
        (ReviewState::AwaitingApproval, ReviewAct::Propose, Some(ReviewState::AwaitingApproval)),
        (ReviewState::AwaitingApproval, ReviewAct::Resolve, Some(ReviewState::Resolved)),
        (ReviewState::Resolved, ReviewAct::Propose, None),
        (ReviewState::Resolved, ReviewAct::Resolve, None),
    ] {
        assert_eq!(from.after(act), to, "{from} {act:?}");
    }
}

fn dead(requeue: u32) -> DeadMessage {
    let event = EventEnvelope {
        id: EventId::from_uuid(Uuid::from_u128(1)),
        event_type: "payment.captured.v1".to_owned(),
        aggregate: AggregateRef { kind: "payment".to_owned(), id: Uuid::from_u128(2), version: 1 },
        occurred_at: at(0),
        actor: "system:test".to_owned(),
        correlation_id: CorrelationId::from(Uuid::nil()),
        trace_parent: None,
        payload: serde_json::json!({}),
    };
    DeadMessage {
        consumer: "booking".to_owned(),
        body: Vec::new(),
        event: Some(event),
        headers: [].into(),
        error: format!("died in life {requeue}"),
        attempts: 6,
        redeliveries: 0,
        requeue,
        first_failed_at: Some(at(99)),
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A copy of that life, or the same again.
    Die(u32),
    Requeue,
    Settle,
    Discard,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => (0..4u32).prop_map(Step::Die),
        4 => Just(Step::Requeue),
        1 => Just(Step::Settle),
        1 => Just(Step::Discard),
    ];
    prop::collection::vec(step, 0..20)
}

proptest! {
    /// Whatever is redelivered and in which order: a death counts once per life, the dead one is the latest, and what is over
    /// stays over.
    #[test]
    fn a_letter_dies_at_most_once_a_life_and_ends_for_good(steps in steps()) {
        let mut letter = DeadLetter::of(&dead(0), DeadLetterId::from_uuid(Uuid::nil()), Vec::new(), at(0));
        for (step, second) in steps.into_iter().zip(1..) {
            let now = at(second);
            let next = match step {
                // No copy comes from a life that has not begun.
                Step::Die(life) => letter.died(&dead(life.min(letter.requeues)), now),
                Step::Requeue => letter.requeued(now).ok(),
                Step::Settle => letter.settled(now),
                Step::Discard => letter.discarded(DiscardReason::Obsolete, now).ok(),
            };
            let Some(next) = next else { continue };
            prop_assert!(!matches!(letter.state, LetterState::Settled | LetterState::Discarded));
            prop_assert_eq!((next.version, next.updated_at, next.opened_at), (letter.version + 1, now, at(0)));
            prop_assert_eq!(next.discard_reason.is_some(), next.state == LetterState::Discarded);
            prop_assert!(next.first_failed_at <= next.opened_at);
            if next.deaths > letter.deaths {
                prop_assert_eq!((letter.state, next.state), (LetterState::Requeued, LetterState::Dead));
                prop_assert_eq!(&next.error, &format!("died in life {}", next.requeues));
            }
            letter = next;
        }
        prop_assert!(letter.deaths <= letter.requeues + 1);
    }
}

fn case() -> ReviewCase {
    let money = |amount| Some(Money::new(amount, Currency::Inr).unwrap());
    let choice = |word: &str, moves| Choice { word: word.parse().unwrap(), moves };
    ReviewCase {
        id: ReviewCaseId::from_uuid(Uuid::nil()),
        kind: "payment".parse().unwrap(),
        subject: Subject { kind: "payment".parse().unwrap(), id: Uuid::nil() },
        patient: None,
        consultation: None,
        reason: "refund_failed".parse().unwrap(),
        amount: money(2_000),
        choices: vec![choice("large", money(2_000)), choice("small", money(1_000)), choice("none", None)],
        tried: Vec::new(),
        opened_at: at(0),
        opened_by_event: EventId::from_uuid(Uuid::nil()),
        asked_version: 1,
        correlation_id: CorrelationId::from(Uuid::nil()),
        state: ReviewState::Open,
        decision: None,
        updated_at: at(0),
        version: 1,
    }
}

fn decide(case: &ReviewCase, choice: &str, by: &str) -> Result<ReviewCase, ReviewRefusal> {
    let limits = ApprovalLimits::new([(Currency::Inr, 1_000)]);
    case.decided(choice, Decider::stored(by.to_owned()), &limits, at(1))
}

#[test]
fn one_person_decides_up_to_the_limit_and_two_above_it() {
    for choice in ["small", "none"] {
        let resolved = decide(&case(), choice, "admin:a").unwrap();
        assert_eq!((resolved.state, resolved.is_approved()), (ReviewState::Resolved, false), "{choice}");
    }
    let proposed = decide(&case(), "large", "admin:a").unwrap();
    assert_eq!(proposed.state, ReviewState::AwaitingApproval);
    assert_eq!(decide(&proposed, "large", "admin:a"), Err(ReviewRefusal::OwnApproval));
    let approved = decide(&proposed, "large", "admin:b").unwrap();
    assert_eq!((approved.state, approved.version), (ReviewState::Resolved, 3));
    let decision = approved.decision.as_ref().unwrap();
    assert_eq!(decision.decided_by.as_str(), "admin:a");
    assert_eq!(decision.approval.as_ref().unwrap().by.as_str(), "admin:b");
    assert_eq!(decide(&approved, "none", "admin:c"), Err(ReviewRefusal::Resolved));

    let refused = decide(&case(), "burn", "admin:a");
    assert!(matches!(refused, Err(ReviewRefusal::NotOffered { offered }) if offered.len() == 3));
}

#[test]
fn another_choice_takes_the_place_of_what_was_proposed() {
    let proposed = decide(&case(), "large", "admin:a").unwrap();
    // Also by whoever proposed it.
    for by in ["admin:a", "admin:b"] {
        let resolved = decide(&proposed, "small", by).unwrap();
        let decision = resolved.decision.as_ref().unwrap();
        assert_eq!((resolved.state, decision.choice.as_str()), (ReviewState::Resolved, "small"));
        assert_eq!((decision.decided_by.as_str(), &decision.approval), (by, &None));
    }
    let both = ReviewCase {
        choices: [
            proposed.choices.clone(),
            vec![Choice { word: "larger".parse().unwrap(), moves: Some(Money::new(3_000, Currency::Inr).unwrap()) }],
        ]
        .concat(),
        ..proposed
    };
    let replaced = decide(&both, "larger", "admin:b").unwrap();
    assert_eq!(replaced.state, ReviewState::AwaitingApproval);
    assert_eq!(decide(&replaced, "larger", "admin:b"), Err(ReviewRefusal::OwnApproval));
    assert!(decide(&replaced, "larger", "admin:a").unwrap().is_approved());
}
