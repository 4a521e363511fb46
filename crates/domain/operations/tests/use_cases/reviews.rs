use crate::Desk;
use amrutam_kernel::{
    AggregateRef, Clock, Context, CorrelationId, Denial, EventEnvelope, EventId, Fingerprint, Handled,
    IdempotencyClaim, Idempotent, Limit, PageRequest, ReviewCaseId, Role, Sensitive, StoredAnswer,
};
use amrutam_memory::Fault;
use amrutam_operations::{
    OpenError, ReviewError,
    model::{ReviewCase, ReviewRefusal, ReviewState},
    ports::ReviewFilter,
    use_cases::{Resolve, list_reviews, open_review, read_review, resolve, withdraw_review},
};
use serde_json::{Value, json};
use uuid::Uuid;

fn needed(desk: &Desk, number: u128, payload: Value) -> EventEnvelope {
    EventEnvelope {
        id: EventId::from_uuid(Uuid::from_u128(number)),
        event_type: "payment.review_needed.v1".to_owned(),
        aggregate: AggregateRef { kind: "payment".to_owned(), id: Uuid::from_u128(50), version: 3 },
        occurred_at: desk.clock.now(),
        actor: "system:payments".to_owned(),
        correlation_id: CorrelationId::from(Uuid::from_u128(60)),
        trace_parent: None,
        payload,
    }
}

fn payload() -> Value {
    json!({
        "reason": "refund_failed", "amount": { "amount": 2_000_000, "currency": "INR" },
        "choices": ["refund_full", { "choice": "refund_by_policy", "amount": { "amount": 500_000, "currency": "INR" } },
                    { "choice": "write_off" }],
        "tried": ["refund"], "patient_id": Uuid::from_u128(8),
    })
}

async fn opened(desk: &Desk) -> ReviewCase {
    assert_eq!(open_review(desk.deps(), &needed(desk, 1, payload())).await.unwrap(), Handled::Applied);
    desk.world.review_cases().remove(0)
}

fn choose<'a>(id: ReviewCaseId, choice: &str) -> Resolve<'a> {
    Resolve { id, choice: choice.to_owned(), note: None, idempotency: None }
}

async fn resolved(desk: &Desk, context: &Context, id: ReviewCaseId, choice: &str) -> Result<ReviewCase, ReviewError> {
    resolve(desk.deps(), context, choose(id, choice)).await.map(|(case, _)| case)
}

#[tokio::test]
async fn an_event_opens_a_case_once_and_one_trouble_has_one() {
    let desk = Desk::new();
    let case = opened(&desk).await;
    assert_eq!(
        (case.kind.as_str(), case.subject.kind.as_str(), case.subject.id),
        ("payment", "payment", Uuid::from_u128(50))
    );
    assert_eq!(
        case.choices.iter().map(|choice| choice.moves.map(|money| money.amount())).collect::<Vec<_>>(),
        [Some(2_000_000), Some(500_000), None]
    );
    assert_eq!(open_review(desk.deps(), &needed(&desk, 1, payload())).await.unwrap(), Handled::Duplicate);
    assert_eq!(open_review(desk.deps(), &needed(&desk, 2, payload())).await.unwrap(), Handled::Ignored);
    assert_eq!(open_review(desk.deps(), &needed(&desk, 2, payload())).await.unwrap(), Handled::Duplicate);
    assert_eq!(desk.world.review_cases(), [case]);
    assert_eq!(desk.deeds(), ["review.open allowed"]);

    for (name, value) in
        [("choices", json!([])), ("reason", json!("Asha's")), ("amount", json!(7)), ("choices", json!([""]))]
    {
        let mut bad = payload();
        bad[name] = value;
        let refused = open_review(desk.deps(), &needed(&desk, 3, bad)).await;
        let Err(OpenError::Malformed(error)) = refused else { unreachable!("{name}: {refused:?}") };
        assert!(!error.to_string().contains("Asha"), "{error}");
    }
}

/// The domain has gone on by itself: there is nothing to carry out, and nothing left to choose.
#[tokio::test]
async fn what_came_about_by_itself_is_resolved_without_anybody() {
    let desk = Desk::new();
    let case = opened(&desk).await;
    let withdrawn = |number: u128, reason: &str| EventEnvelope {
        event_type: "payment.review_withdrawn.v1".to_owned(),
        ..needed(&desk, number, json!({ "reason": reason, "patient_id": Uuid::from_u128(8) }))
    };
    let other = withdraw_review(desk.deps(), &withdrawn(2, "refund_stuck")).await.unwrap();
    assert_eq!((other, desk.world.review_cases()[0].state), (Handled::Ignored, ReviewState::Open));
    resolved(&desk, &desk.admin(), case.id, "refund_full").await.unwrap();
    desk.world.fail_next_commits([Fault::Stale]);
    let event = withdrawn(3, "refund_failed");
    assert_eq!(withdraw_review(desk.deps(), &event).await.unwrap(), Handled::Applied);
    let moot = desk.world.review_cases().remove(0);
    let decision = moot.decision.clone().unwrap();
    assert_eq!((moot.state, decision.choice.as_str(), decision.moves), (ReviewState::Resolved, "moot", None));
    assert_eq!((decision.decided_by.as_str(), moot.is_approved()), ("system:payments", false));
    assert!(desk.world.outbox().is_empty(), "nothing is carried out");
    assert!(withdraw_review(desk.deps(), &event).await.unwrap() != Handled::Applied);
    assert_eq!(desk.world.review_cases(), [moot]);
    let refused = resolved(&desk, &desk.admin(), case.id, "refund_full").await;
    assert!(matches!(refused, Err(ReviewError::Refused(ReviewRefusal::Resolved))), "{refused:?}");
    assert_eq!(desk.deeds()[1..], ["review.propose allowed", "review.withdraw allowed", "review.resolve failed"]);
    let garbled = EventEnvelope { payload: json!({}), ..withdrawn(4, "refund_failed") };
    assert!(matches!(withdraw_review(desk.deps(), &garbled).await, Err(OpenError::Malformed(_))));
}

/// The word that takes a question back was held up, and the next question about the same came first.
#[tokio::test]
async fn a_late_withdrawal_leaves_the_case_of_the_next_question() {
    let desk = Desk::new();
    let first = opened(&desk).await;
    let of_version = |number: u128, version: i64, event: EventEnvelope| EventEnvelope {
        id: EventId::from_uuid(Uuid::from_u128(number)),
        aggregate: AggregateRef { version, ..event.aggregate.clone() },
        ..event
    };
    let mut larger = payload();
    larger["amount"]["amount"] = json!(3_000_000);
    let next = of_version(5, 5, needed(&desk, 5, larger));
    desk.world.fail_next_commits([Fault::Stale; 10]);
    assert!(open_review(desk.deps(), &next).await.is_err(), "it is told again");
    desk.world.fail_next_commits([Fault::Stale]);
    assert_eq!(open_review(desk.deps(), &next).await.unwrap(), Handled::Applied);
    assert_eq!(open_review(desk.deps(), &next).await.unwrap(), Handled::Duplicate);
    let withdrawn =
        EventEnvelope { event_type: "payment.review_withdrawn.v1".to_owned(), ..needed(&desk, 4, payload()) };
    let late = of_version(4, 4, withdrawn.clone());
    assert_eq!(withdraw_review(desk.deps(), &late).await.unwrap(), Handled::Ignored);
    let cases = desk.world.review_cases();
    let seen: Vec<_> = cases.iter().map(|case| (case.asked_version, case.state)).collect();
    assert_eq!(seen, [(3, ReviewState::Resolved), (5, ReviewState::Open)]);
    assert_eq!((cases[0].id, cases[0].decision.as_ref().unwrap().choice.as_str()), (first.id, "moot"));
    assert_eq!(desk.deeds(), ["review.open allowed", "review.withdraw allowed", "review.open allowed"]);
    // What was asked earlier opens nothing beside it, and the next withdrawal is about it.
    assert_eq!(open_review(desk.deps(), &needed(&desk, 6, payload())).await.unwrap(), Handled::Ignored);
    let own = of_version(7, 6, withdrawn);
    assert_eq!(withdraw_review(desk.deps(), &own).await.unwrap(), Handled::Applied);
}

#[tokio::test]
async fn a_resolution_is_announced_with_it_or_not_at_all() {
    let desk = Desk::new();
    let case = opened(&desk).await;
    desk.world.fail_next_commits([Fault::Unavailable]);
    assert!(matches!(resolved(&desk, &desk.admin(), case.id, "write_off").await, Err(ReviewError::Port(_))));
    assert!(desk.world.outbox().is_empty());
    let refused = resolved(&desk, &desk.admin(), case.id, "burn").await;
    assert!(matches!(refused, Err(ReviewError::Refused(ReviewRefusal::NotOffered { .. }))), "{refused:?}");

    desk.world.fail_next_commits([Fault::Stale, Fault::Busy]);
    let done = resolved(&desk, &desk.admin(), case.id, "refund_by_policy").await.unwrap();
    assert_eq!(done.state, ReviewState::Resolved);
    let [event] = &desk.world.outbox()[..] else { unreachable!("one event") };
    assert_eq!(event.event_type, "review.resolved.v1");
    let admin = format!("admin:{}", Uuid::from_u128(1));
    assert_eq!(
        event.payload,
        json!({
            "case": case.id, "kind": "payment", "subject": { "kind": "payment", "id": Uuid::from_u128(50) },
            "reason": "refund_failed", "asked_version": 3, "consultation_id": null, "choice": "refund_by_policy",
            "amount": { "amount": 500_000, "currency": "INR" }, "decided_by": admin, "approved_by": null,
        })
    );
    let refused = resolved(&desk, &desk.admin(), case.id, "write_off").await;
    assert!(matches!(refused, Err(ReviewError::Refused(ReviewRefusal::Resolved))), "{refused:?}");
}

#[tokio::test]
async fn much_money_moves_by_two_people_and_never_by_the_same_one_twice() {
    let desk = Desk::new();
    let case = opened(&desk).await;
    let (first, second) = (desk.admin(), desk.person(2, Role::Admin));
    let proposed = resolved(&desk, &first, case.id, "refund_full").await.unwrap();
    assert_eq!(proposed.state, ReviewState::AwaitingApproval);
    assert!(desk.world.outbox().is_empty(), "nobody carries out a proposal");
    let refused = resolved(&desk, &first, case.id, "refund_full").await;
    assert!(matches!(refused, Err(ReviewError::Refused(ReviewRefusal::OwnApproval))), "{refused:?}");
    // The command line shows no second factor.
    let refused = resolved(&desk, &desk.operator(), case.id, "refund_full").await;
    assert!(matches!(refused, Err(ReviewError::Denied(Denial::Forbidden))), "{refused:?}");
    desk.clock.advance(jiff::SignedDuration::from_mins(6));
    let refused = resolved(&desk, &second, case.id, "refund_full").await;
    assert!(matches!(refused, Err(ReviewError::Denied(Denial::StepUpRequired))), "{refused:?}");
    let done = resolved(&desk, &desk.person(2, Role::Admin), case.id, "refund_full").await.unwrap();
    assert_eq!((done.state, done.is_approved()), (ReviewState::Resolved, true));
    let payload = &desk.world.outbox()[0].payload;
    assert_eq!(payload["decided_by"], format!("admin:{}", Uuid::from_u128(1)));
    assert_eq!(payload["approved_by"], format!("admin:{}", Uuid::from_u128(2)));
    assert_eq!(
        desk.deeds(),
        [
            "review.open allowed",
            "review.propose allowed",
            "review.approve denied",
            "review.approve denied",
            "review.resolve denied",
            "review.approve allowed",
        ]
    );
}

/// Whoever proposes at the command line may have an account as well.
#[tokio::test]
async fn what_the_command_line_proposes_counts_as_nobodys_half() {
    let desk = Desk::new();
    let case = opened(&desk).await;
    let operator = Context { actor: amrutam_kernel::Actor::System("amrutamctl/root"), ..desk.operator() };
    let proposed = resolved(&desk, &operator, case.id, "refund_full").await.unwrap();
    assert_eq!(proposed.state, ReviewState::AwaitingApproval);
    let first = resolved(&desk, &desk.admin(), case.id, "refund_full").await.unwrap();
    assert_eq!((first.state, first.is_approved()), (ReviewState::AwaitingApproval, false));
    assert_eq!(first.decision.unwrap().decided_by.as_str(), format!("admin:{}", Uuid::from_u128(1)));
    assert!(desk.world.outbox().is_empty());
    let done = resolved(&desk, &desk.person(2, Role::Admin), case.id, "refund_full").await.unwrap();
    assert_eq!((done.state, done.is_approved()), (ReviewState::Resolved, true));
}

#[tokio::test]
async fn notes_are_sealed_and_shown_to_admins() {
    let desk = Desk::new();
    let case = opened(&desk).await;
    let note = |text: &str| Some(Sensitive::new(text.to_owned()));
    let command = Resolve { note: note("the bank says no"), ..choose(case.id, "refund_full") };
    resolve(desk.deps(), &desk.admin(), command).await.unwrap();
    let command = Resolve { note: note("agreed"), ..choose(case.id, "refund_full") };
    resolve(desk.deps(), &desk.person(2, Role::Admin), command).await.unwrap();
    let stored = format!("{:?}", desk.world.review_cases());
    assert!(!stored.contains("bank"), "{stored}");
    let seen = read_review(desk.deps(), &desk.admin(), case.id).await.unwrap();
    assert_eq!(seen.note.unwrap().expose(), "the bank says no");
    assert_eq!(seen.approval_note.unwrap().expose(), "agreed");
    let seen = read_review(desk.deps(), &desk.person(3, Role::Support), case.id).await.unwrap();
    assert!(seen.note.is_none() && seen.approval_note.is_none() && !seen.shows_people);
    let page = PageRequest { limit: Limit::default(), after: None };
    let (listed, shows_people) =
        list_reviews(desk.deps(), &desk.person(3, Role::Support), &ReviewFilter::default(), page).await.unwrap();
    assert_eq!((listed.items.len(), shows_people), (1, false));
    let told = desk.world.audit().into_iter().find(|entry| entry.action == "review.list").unwrap();
    assert_eq!((told.resource_id, told.patient), (case.id.to_string(), case.patient));
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_and_proposes_once() {
    let desk = Desk::new();
    let case = opened(&desk).await;
    let claim = IdempotencyClaim {
        caller: desk.admin().actor.account().unwrap(),
        key: "key".parse().unwrap(),
        fingerprint: Fingerprint::of("POST", "/", b""),
    };
    let render = |case: &ReviewCase| StoredAnswer {
        status: 200,
        location: None,
        content_type: "application/json".to_owned(),
        etag: None,
        body: case.state.to_string(),
    };
    let command = || Resolve {
        idempotency: Some(Idempotent { claim: &claim, render: &render }),
        ..choose(case.id, "refund_full")
    };
    let (_, answer) = resolve(desk.deps(), &desk.admin(), command()).await.unwrap();
    let again = resolve(desk.deps(), &desk.admin(), command()).await;
    let Err(ReviewError::Replay(replayed)) = again else { unreachable!("{again:?}") };
    assert_eq!((Some(replayed.clone()), replayed.body.as_str()), (answer, "awaiting_approval"));
}
