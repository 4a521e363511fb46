//! Review cases.

use super::{Harness, answer, claim, effects, id};
use crate::{
    model::{ApprovalLimits, Choice, Decider, ReviewCase, ReviewState, Subject},
    ports::ReviewFilter,
};
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, CorrelationId, Currency, Effects, EventId, InboxMark, Limit, Money,
    PageRequest, Recorded, ReviewCaseId,
};
use jiff::{SignedDuration, Timestamp};

fn money(amount: i64) -> Option<Money> {
    Some(Money::new(amount, Currency::Inr).unwrap())
}

fn limits() -> ApprovalLimits {
    ApprovalLimits::new([(Currency::Inr, 1_000)])
}

fn case(now: Timestamp) -> ReviewCase {
    let choice = |word: &str, moves| Choice { word: word.parse().unwrap(), moves };
    ReviewCase {
        id: ReviewCaseId::from_uuid(id(now)),
        kind: "payment".parse().unwrap(),
        subject: Subject { kind: "payment".parse().unwrap(), id: id(now) },
        patient: Some(AccountId::from_uuid(id(now))),
        consultation: Some(ConsultationId::from_uuid(id(now))),
        reason: "refund_failed".parse().unwrap(),
        amount: money(2_000),
        choices: vec![choice("refund_full", money(2_000)), choice("retry", money(500)), choice("write_off", None)],
        tried: vec!["refund".parse().unwrap()],
        opened_at: now,
        opened_by_event: EventId::from_uuid(id(now)),
        asked_version: 7,
        correlation_id: CorrelationId::from(id(now)),
        state: ReviewState::Open,
        decision: None,
        updated_at: now,
        version: 1,
    }
}

fn by(name: &str) -> Decider {
    Decider::stored(format!("admin:{name}"))
}

async fn open(harness: &dyn Harness, case: &ReviewCase) {
    assert!(harness.reviews().open_review(case, &Effects::default()).await.unwrap());
}

async fn put(harness: &dyn Harness, case: &ReviewCase) {
    harness.reviews().put_review(case, &Effects::default()).await.unwrap();
}

async fn read(harness: &dyn Harness, id: ReviewCaseId) -> ReviewCase {
    harness.reviews().review(id, None).await.unwrap().undisclosed().expect("the case").found
}

/// With and without what is optional.
pub async fn a_case_reads_back_whole_in_every_state(harness: &dyn Harness) {
    let now = harness.now();
    let opened = case(now);
    open(harness, &opened).await;
    assert_eq!(read(harness, opened.id).await, opened);
    let proposed = opened.decided("refund_full", by("a"), &limits(), now).unwrap().noted(vec![0, 255, 7]);
    put(harness, &proposed).await;
    assert_eq!(read(harness, opened.id).await, proposed);
    let approved = proposed.decided("refund_full", by("b"), &limits(), now).unwrap().noted(vec![1, 2, 3]);
    put(harness, &approved).await;
    assert_eq!(read(harness, opened.id).await, approved);
    assert!(approved.is_approved() && approved.state == ReviewState::Resolved);

    let bare = ReviewCase { patient: None, consultation: None, amount: None, tried: Vec::new(), ..case(now) };
    open(harness, &bare).await;
    assert_eq!(read(harness, bare.id).await, bare);
    let resolved = bare.decided("write_off", by("a"), &limits(), now).unwrap();
    put(harness, &resolved).await;
    assert_eq!(read(harness, bare.id).await, resolved);
    assert!(harness.reviews().review(ReviewCaseId::from_uuid(id(now)), None).await.unwrap().undisclosed().is_none());
}

/// By subject and reason, until it is resolved.
pub async fn one_trouble_has_one_open_case(harness: &dyn Harness) {
    let now = harness.now();
    let first = case(now);
    open(harness, &first).await;
    let again = ReviewCase { id: ReviewCaseId::from_uuid(id(now)), ..first.clone() };
    let about = again.id.as_uuid();
    assert!(!harness.reviews().open_review(&again, &effects(now, about)).await.unwrap());
    assert!(harness.reviews().review(again.id, None).await.unwrap().undisclosed().is_none());
    assert_eq!(harness.announced(about).await, [], "nothing was opened that this could tell of");
    assert_eq!(harness.audited(&about.to_string()).await, []);

    open(harness, &ReviewCase { reason: "another".parse().unwrap(), ..again.clone() }).await;
    put(harness, &first.decided("retry", by("a"), &limits(), now).unwrap()).await;
    open(harness, &ReviewCase { id: ReviewCaseId::from_uuid(id(now)), ..again }).await;
}

/// Never one that is resolved.
pub async fn the_open_case_is_found_by_what_it_is_about(harness: &dyn Harness) {
    let now = harness.now();
    let first = case(now);
    let about = async |reason: &str| {
        harness.reviews().open_review_about(&first.subject, &reason.parse().unwrap()).await.unwrap().undisclosed()
    };
    assert_eq!(about("refund_failed").await, None);
    open(harness, &first).await;
    assert_eq!((about("refund_failed").await, about("another").await), (Some(first.clone()), None));
    let proposed = first.decided("refund_full", by("a"), &limits(), now).unwrap();
    put(harness, &proposed).await;
    assert_eq!(about("refund_failed").await, Some(proposed.clone()));
    let moot = proposed.moot(Decider::stored("system:payments".to_owned()), now).unwrap();
    put(harness, &moot).await;
    assert_eq!(read(harness, first.id).await, moot);
    assert_eq!(about("refund_failed").await, None);
    open(harness, &ReviewCase { id: ReviewCaseId::from_uuid(id(now)), ..first.clone() }).await;
}

/// Also the one that opens none.
pub async fn an_event_opens_a_case_once(harness: &dyn Harness) {
    let now = harness.now();
    let mark =
        |event| Effects { inbox: Some(InboxMark { consumer: "contract", event }), ..effects(now, first_about(now)) };
    let (opening, repeating) = (EventId::from_uuid(id(now)), EventId::from_uuid(id(now)));
    let first = case(now);
    assert!(harness.reviews().open_review(&first, &mark(opening)).await.unwrap());
    let other = case(now);
    let refused = harness.reviews().open_review(&other, &mark(opening)).await;
    assert!(matches!(refused, Err(CommitError::AlreadyHandled)), "{refused:?}");
    assert!(harness.reviews().review(other.id, None).await.unwrap().undisclosed().is_none());
    let again = ReviewCase { id: ReviewCaseId::from_uuid(id(now)), ..first };
    assert!(!harness.reviews().open_review(&again, &mark(repeating)).await.unwrap());
    let refused = harness.reviews().open_review(&again, &mark(repeating)).await;
    assert!(matches!(refused, Err(CommitError::AlreadyHandled)), "{refused:?}");
}

fn first_about(now: Timestamp) -> uuid::Uuid {
    id(now)
}

/// And with what goes with it, or with nothing.
pub async fn a_case_changes_only_from_the_version_that_was_read(harness: &dyn Harness) {
    let now = harness.now();
    let opened = case(now);
    open(harness, &opened).await;
    let about = opened.id.as_uuid();
    let with = effects(now, about);
    let retried = opened.decided("retry", by("a"), &limits(), now).unwrap();
    harness.reviews().put_review(&retried, &with).await.unwrap();
    let late = opened.decided("write_off", by("b"), &limits(), now).unwrap();
    let refused = harness.reviews().put_review(&late, &effects(now, about)).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
    assert_eq!(read(harness, opened.id).await, retried);
    assert_eq!(harness.announced(about).await, [with.events[0].id]);
    assert_eq!(harness.audited(&about.to_string()).await, [with.audit[0].id]);
}

/// The others hear that they are late.
pub async fn of_many_who_resolve_one_does(harness: &dyn Harness) {
    let now = harness.now();
    let opened = case(now);
    open(harness, &opened).await;
    let about = opened.id.as_uuid();
    let mut won = 0;
    for name in ["a", "b", "c", "d", "e", "f"] {
        let resolved = opened.decided("retry", by(name), &limits(), now).unwrap();
        match harness.reviews().put_review(&resolved, &effects(now, about)).await {
            Ok(()) => won += 1,
            Err(CommitError::Stale | CommitError::Busy) => {}
            Err(error) => unreachable!("{error:?}"),
        }
    }
    assert_eq!((won, harness.announced(about).await.len()), (1, 1));
}

/// Page by page.
pub async fn cases_are_listed_by_opening_and_filtered(harness: &dyn Harness) {
    let now = harness.now();
    let mut all = Vec::new();
    for minute in [3, 1, 2, 5, 4] {
        let kind = if minute % 2 == 0 { "clinical" } else { "payment" };
        let case = ReviewCase { kind: kind.parse().unwrap(), ..case(now - SignedDuration::from_mins(10 - minute)) };
        open(harness, &case).await;
        all.push(case);
    }
    all.sort_by_key(|case| case.opened_at);
    all[1] = all[1].decided("refund_full", by("a"), &limits(), now).unwrap();
    put(harness, &all[1]).await;
    let list = async |filter: &ReviewFilter, after, limit| {
        let page = harness.reviews().reviews(filter, PageRequest { limit: Limit::new(limit).unwrap(), after }).await;
        page.unwrap().undisclosed()
    };
    let everything = ReviewFilter::default();
    let first = list(&everything, None, 3).await;
    assert_eq!((first.items.as_slice(), first.next), (&all[..3], Some((all[2].opened_at, all[2].id))));
    let rest = list(&everything, first.next, 3).await;
    assert_eq!((rest.items.as_slice(), rest.next), (&all[3..], None));
    let clinical = ReviewFilter { kind: Some("clinical".parse().unwrap()), state: None };
    assert_eq!(list(&clinical, None, 100).await.items, [all[1].clone(), all[3].clone()]);
    let waiting = ReviewFilter { state: Some(ReviewState::AwaitingApproval), kind: None };
    assert_eq!(list(&waiting, None, 100).await.items, [all[1].clone()]);
}

/// And known to whoever asks with it.
pub async fn an_answer_is_kept_with_the_change_of_a_case(harness: &dyn Harness) {
    let now = harness.now();
    let opened = case(now);
    open(harness, &opened).await;
    let claim = claim(now);
    let effects = Effects { answer: Some((claim.clone(), answer())), ..Effects::default() };
    let resolved = opened.decided("retry", by("a"), &limits(), now).unwrap();
    harness.reviews().put_review(&resolved, &effects).await.unwrap();
    let recorded = harness.reviews().review(opened.id, Some(&claim)).await.unwrap().undisclosed().unwrap().recorded;
    assert_eq!(recorded, Some(Recorded::Same(answer())));
}
