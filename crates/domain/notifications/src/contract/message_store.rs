//! Messages.

use super::{Harness, id, random};
use crate::{Channel, MessageKind, ScheduledMessage, SkipReason, ports::Settled};
use amrutam_kernel::{
    AccountId, Actor, AggregateRef, AuditEntry, AuditEntryId, CommitError, ConsultationId, CorrelationId, Effects,
    EventEnvelope, EventId, InboxMark, LinkId, MessageId, Outcome, Purpose, TraceParent,
};
use futures::{channel::oneshot, future::join_all};
use jiff::SignedDuration;
use std::collections::BTreeMap;

const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// More than a case takes, less than what it waits for: a store's own clock goes on meanwhile.
const MARGIN: SignedDuration = SignedDuration::from_secs(25);

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// Due so many minutes from now.
fn message(harness: &dyn Harness, due_in: i64) -> ScheduledMessage {
    let now = harness.now();
    ScheduledMessage {
        id: MessageId::from_uuid(id(now)),
        kind: MessageKind::Reminder1h,
        channel: Channel::Mail,
        dedupe_key: format!("contract:{:016x}", random()),
        recipient: AccountId::from_uuid(id(now)),
        consultation: Some(ConsultationId::from_uuid(id(now))),
        slot_starts_at: Some(now + minutes(due_in + 60)),
        link: Some(LinkId::from_uuid(id(now))),
        due_at: now + minutes(due_in),
        attempts: 0,
        maybe_sent: false,
        correlation_id: CorrelationId::from(id(now)),
        trace_parent: Some(TraceParent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned())),
    }
}

async fn plan(harness: &dyn Harness, messages: &[ScheduledMessage]) {
    harness.messages().plan(messages, &Effects::default()).await.unwrap();
}

async fn claim(harness: &dyn Harness, limit: u16) -> Vec<ScheduledMessage> {
    harness.messages().claim_due(LEASE, limit).await.unwrap()
}

/// After so much more time.
async fn claim_after(harness: &dyn Harness, time: SignedDuration, limit: u16) -> Vec<ScheduledMessage> {
    harness.pass(time).await;
    claim(harness, limit).await
}

fn ids(messages: &[ScheduledMessage]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

/// Every kind, with and without what is optional.
pub async fn a_planned_message_reads_back_whole(harness: &dyn Harness) {
    let mut planned = Vec::new();
    for ((kind, channel), due_in) in MessageKind::ALL.into_iter().zip(Channel::ALL.into_iter().cycle()).zip(1..) {
        let mut message = ScheduledMessage { kind, channel, ..message(harness, due_in) };
        if kind == MessageKind::RegistrationRepeated {
            message.consultation = None;
            message.slot_starts_at = None;
            message.link = None;
            message.trace_parent = None;
        }
        planned.push(message);
    }
    plan(harness, &planned).await;
    plan(harness, &[]).await;
    let claimed = claim_after(harness, minutes(100), 100).await;
    let expected: Vec<_> = planned.into_iter().map(|message| ScheduledMessage { attempts: 1, ..message }).collect();
    assert_eq!(claimed, expected);
}

/// By its key, in one plan or two; the rest of the plan and its effects are stored all the same.
pub async fn a_message_planned_twice_is_one(harness: &dyn Harness) {
    let (one, other, third) = (message(harness, 0), message(harness, 1), message(harness, 2));
    let again = |message: &ScheduledMessage| ScheduledMessage {
        id: MessageId::from_uuid(id(harness.now())),
        due_at: message.due_at + minutes(5),
        ..message.clone()
    };
    plan(harness, &[one.clone(), again(&one), other.clone()]).await;
    let effects = effects(harness);
    let about = effects.events[0].aggregate.id;
    harness.messages().plan(&[again(&one), again(&other), third.clone()], &effects).await.unwrap();
    assert_eq!(harness.announced(about).await, [effects.events[0].id]);
    assert_eq!(harness.audited(&about.to_string()).await, [effects.audit[0].id]);
    let claimed = claim_after(harness, minutes(100), 100).await;
    assert_eq!(ids(&claimed), [one.id, other.id, third.id]);
    // Settled for good, its key is known still.
    for message in &claimed {
        let settled = Settled::Sent { at: harness.now() };
        assert!(harness.messages().settle(message.id, 1, settled).await.unwrap());
    }
    plan(harness, &[again(&one)]).await;
    assert_eq!(claim_after(harness, minutes(100), 100).await, []);
}

fn effects(harness: &dyn Harness) -> Effects {
    let now = harness.now();
    let about = id(now);
    let correlation_id = CorrelationId::from(id(now));
    Effects {
        events: vec![EventEnvelope {
            id: EventId::from_uuid(id(now)),
            event_type: "contract.happened.v1".to_owned(),
            aggregate: AggregateRef { kind: "contract".to_owned(), id: about, version: 1 },
            occurred_at: now,
            actor: "system:contract".to_owned(),
            correlation_id: correlation_id.clone(),
            trace_parent: None,
            payload: serde_json::json!({}),
        }],
        audit: vec![AuditEntry {
            id: AuditEntryId::from_uuid(id(now)),
            occurred_at: now,
            actor: Actor::System("contract"),
            action: "message.plan",
            resource_kind: "contract",
            resource_id: about.to_string(),
            patient: None,
            outcome: Outcome::Allowed,
            correlation_id,
            purpose: Purpose::Operation,
            origin: None,
            ruleset: None,
            break_glass: false,
        }],
        inbox: Some(InboxMark { consumer: "contract", event: EventId::from_uuid(id(now)) }),
        ..Effects::default()
    }
}

/// The inbox: a redelivered event plans nothing, whatever it names.
pub async fn planning_handles_its_event_once(harness: &dyn Harness) {
    let first = effects(harness);
    let planned = message(harness, 0);
    harness.messages().plan(std::slice::from_ref(&planned), &first).await.unwrap();
    let redelivered = Effects { inbox: first.inbox, ..effects(harness) };
    let refused = harness.messages().plan(&[message(harness, 0)], &redelivered).await;
    assert!(matches!(refused, Err(CommitError::AlreadyHandled)), "{refused:?}");
    assert_eq!(ids(&claim(harness, 100).await), [planned.id]);
    let about = redelivered.events[0].aggregate.id;
    assert_eq!(harness.announced(about).await, []);
    assert_eq!(harness.audited(&about.to_string()).await, []);
}

/// By the store's own time; never more than asked for.
pub async fn only_due_messages_are_claimed_earliest_first(harness: &dyn Harness) {
    let planned: Vec<_> = [3, 1, 4, 2, 5].into_iter().map(|due_in| message(harness, due_in)).collect();
    plan(harness, &planned).await;
    let due = |minute: usize| planned[[1, 3, 0, 2, 4][minute - 1]].id;
    assert_eq!(claim_after(harness, minutes(1) - MARGIN, 100).await, []);
    assert_eq!(ids(&claim_after(harness, MARGIN, 100).await), [due(1)]);
    assert!(harness.messages().settle(due(1), 1, Settled::Sent { at: harness.now() }).await.unwrap());
    assert_eq!(claim_after(harness, minutes(3), 0).await, []);
    assert_eq!(ids(&claim(harness, 2).await), [due(2), due(3)]);
    assert_eq!(ids(&claim(harness, 2).await), [due(4)]);
}

/// The lease ends when so much time has passed for the store; then it is due again, and its attempts have risen.
pub async fn a_claimed_message_is_nobody_elses_until_its_lease_ends(harness: &dyn Harness) {
    let planned = message(harness, 0);
    plan(harness, std::slice::from_ref(&planned)).await;
    for attempts in 1..=4 {
        assert_eq!(claim(harness, 100).await, [ScheduledMessage { attempts, ..planned.clone() }]);
        assert_eq!(claim(harness, 100).await, []);
        assert_eq!(claim_after(harness, LEASE - MARGIN, 100).await, []);
        harness.pass(MARGIN).await;
    }
}

/// Sent, skipped or given up: never due again, and not settled a second time.
pub async fn a_settled_message_is_done_with(harness: &dyn Harness) {
    let now = harness.now();
    let error = || "451 4.7.1 try later".to_owned();
    let finals = [
        Settled::Sent { at: now },
        Settled::Skipped { reason: SkipReason::Moved, at: now },
        Settled::GaveUp { error: error(), at: now },
    ];
    let planned: Vec<_> = finals.iter().map(|_| message(harness, 0)).collect();
    plan(harness, &planned).await;
    assert_eq!(claim(harness, 100).await.len(), finals.len());
    for (message, settled) in planned.iter().zip(&finals) {
        assert!(harness.messages().settle(message.id, 1, settled.clone()).await.unwrap(), "{settled:?}");
        let retry = Settled::RetryAt { at: now, error: error() };
        for again in finals.iter().chain([&retry]) {
            assert!(
                !harness.messages().settle(message.id, 1, again.clone()).await.unwrap(),
                "{settled:?}, then {again:?}"
            );
        }
    }
    assert_eq!(claim_after(harness, minutes(100_000), 100).await, []);
    let unknown = MessageId::from_uuid(id(now));
    assert!(!harness.messages().settle(unknown, 1, Settled::Sent { at: now }).await.unwrap());
}

/// From the moment it is settled so, and only by whoever holds it.
pub async fn what_is_given_up_lies_among_the_dead_letters(harness: &dyn Harness) {
    let text = ScheduledMessage { channel: Channel::Sms, ..message(harness, 0) };
    let planned = [message(harness, 0), message(harness, 0), message(harness, 0)];
    plan(harness, &planned).await;
    plan(harness, std::slice::from_ref(&text)).await;
    assert_eq!(claim(harness, 100).await.len(), 4);
    let at = harness.now();
    let gave_up = || Settled::GaveUp { error: "550 no such user".to_owned(), at };
    assert!(!harness.messages().settle(planned[0].id, 2, gave_up()).await.unwrap());
    assert_eq!(harness.dead_letters(planned[0].id).await, [""; 0]);
    assert!(harness.messages().settle(planned[0].id, 1, gave_up()).await.unwrap());
    assert!(!harness.messages().settle(planned[0].id, 1, gave_up()).await.unwrap());
    assert_eq!(harness.dead_letters(planned[0].id).await, ["mail: 550 no such user"]);
    assert!(harness.messages().settle(text.id, 1, gave_up()).await.unwrap());
    assert_eq!(harness.dead_letters(text.id).await, ["sms: 550 no such user"]);
    assert!(harness.messages().settle(planned[1].id, 1, Settled::Sent { at }).await.unwrap());
    let retry = Settled::RetryAt { at, error: "later".to_owned() };
    assert!(harness.messages().settle(planned[2].id, 1, retry).await.unwrap());
    for message in &planned[1..] {
        assert_eq!(harness.dead_letters(message.id).await, [""; 0]);
    }
}

/// From the time given, whatever its lease was.
pub async fn a_message_to_be_retried_is_due_again(harness: &dyn Harness) {
    let planned = message(harness, 0);
    plan(harness, std::slice::from_ref(&planned)).await;
    for (attempts, delay) in [(1, minutes(1)), (2, minutes(30)), (3, minutes(2))] {
        assert_eq!(claim(harness, 100).await, [ScheduledMessage { attempts, ..planned.clone() }]);
        let settled = Settled::RetryAt { at: harness.now() + delay, error: "the server is away".to_owned() };
        assert!(harness.messages().settle(planned.id, attempts, settled).await.unwrap());
        assert_eq!(claim_after(harness, delay - MARGIN, 100).await, []);
        harness.pass(MARGIN).await;
    }
    assert_eq!(claim(harness, 100).await, [ScheduledMessage { attempts: 4, ..planned }]);
}

/// It is due again like any other, and is known for what it is from then on.
pub async fn a_message_that_may_have_been_sent_says_so(harness: &dyn Harness) {
    let planned = message(harness, 0);
    plan(harness, std::slice::from_ref(&planned)).await;
    let (at, error) = (harness.now(), "no answer".to_owned());
    let retry = Settled::RetryAt { at, error: error.clone() };
    let outcomes = [(retry.clone(), false), (Settled::MaybeSent { at, error }, true), (retry, true)];
    assert_eq!(claim(harness, 100).await.len(), 1);
    for ((settled, maybe_sent), attempts) in outcomes.into_iter().zip(1..) {
        assert!(harness.messages().settle(planned.id, attempts, settled).await.unwrap());
        let again = claim(harness, 100).await;
        assert_eq!(again, [ScheduledMessage { attempts: attempts + 1, maybe_sent, ..planned.clone() }]);
    }
}

/// Whoever was too slow, and lost the message to another, notes nothing; whoever was slow, and did not, still does.
pub async fn only_the_last_attempt_settles(harness: &dyn Harness) {
    let planned = message(harness, 0);
    plan(harness, std::slice::from_ref(&planned)).await;
    assert_eq!(claim(harness, 100).await.len(), 1);
    assert_eq!(claim_after(harness, LEASE, 100).await.len(), 1);
    let at = harness.now();
    for settled in [
        Settled::Sent { at },
        Settled::GaveUp { error: "late".to_owned(), at },
        Settled::RetryAt { at, error: "late".to_owned() },
        Settled::MaybeSent { at, error: "late".to_owned() },
    ] {
        assert!(!harness.messages().settle(planned.id, 1, settled.clone()).await.unwrap(), "{settled:?}");
    }
    assert_eq!(claim(harness, 100).await, [], "the second claim stands");
    assert!(!harness.messages().settle(planned.id, 3, Settled::Sent { at }).await.unwrap());
    // The lease has run out, but nobody has claimed it since.
    harness.pass(LEASE + LEASE).await;
    assert!(harness.messages().settle(planned.id, 2, Settled::Sent { at: harness.now() }).await.unwrap());
    assert_eq!(claim_after(harness, minutes(100), 100).await, []);
}

async fn race<T: Send + 'static>(
    harness: &dyn Harness,
    work: impl IntoIterator<Item = futures::future::BoxFuture<'static, T>>,
) -> Vec<T> {
    let mut results = Vec::new();
    for task in work {
        let (sender, receiver) = oneshot::channel();
        results.push(receiver);
        harness.spawn(Box::pin(async move {
            // Nobody waits any more only when the case has failed already.
            let _ = sender.send(task.await);
        }));
    }
    join_all(results).await.into_iter().map(|result| result.expect("a task of the race panicked")).collect()
}

/// Many workers claim at once: each message goes to one of them, and none is left.
pub async fn one_message_has_one_claimant(harness: &dyn Harness) {
    let planned: Vec<_> = (0..60).map(|_| message(harness, 0)).collect();
    plan(harness, &planned).await;
    let mut claimed: BTreeMap<MessageId, usize> = BTreeMap::new();
    // A claim skips what another one is just looking at, so what is left over is asked for again.
    for _ in 0..10 {
        let claims = (0..12).map(|_| -> futures::future::BoxFuture<'static, _> {
            let store = harness.messages();
            Box::pin(async move { store.claim_due(LEASE, 7).await.unwrap() })
        });
        for message in race(harness, claims).await.into_iter().flatten() {
            assert_eq!(message.attempts, 1);
            *claimed.entry(message.id).or_default() += 1;
        }
    }
    assert!(claimed.values().all(|times| *times == 1), "claimed twice: {claimed:?}");
    let mut all = ids(&planned);
    all.sort();
    assert_eq!(claimed.into_keys().collect::<Vec<_>>(), all);
}

/// One event handled by two workers at once: one of them learns that it is too late.
pub async fn one_plan_has_one_winner(harness: &dyn Harness) {
    let effects = effects(harness);
    let planned = message(harness, 0);
    let plans = (0..12).map(|_| -> futures::future::BoxFuture<'static, _> {
        let store = harness.messages();
        let messages = [ScheduledMessage { id: MessageId::from_uuid(id(harness.now())), ..planned.clone() }];
        let events = Vec::new();
        let effects = Effects { events, audit: Vec::new(), ..effects.clone() };
        Box::pin(async move { store.plan(&messages, &effects).await })
    });
    let results = race(harness, plans).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    let late = |error: &CommitError| matches!(error, CommitError::AlreadyHandled | CommitError::Busy);
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(late), "{results:?}");
    assert_eq!(claim(harness, 100).await.len(), 1);
}
