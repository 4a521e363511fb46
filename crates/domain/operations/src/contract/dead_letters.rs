//! Dead letters.

use super::{Harness, answer, claim, effects, event, id};
use crate::{
    model::{DeadLetter, DiscardReason, LetterState, Payload},
    ports::{LetterChange, LetterFilter},
};
use amrutam_kernel::{
    CommitError, CorrelationId, DeadLetterId, DeadMessage, DeadSource, Effects, EventId, Fingerprint, GivenUp,
    IdempotencyClaim, Limit, PageRequest, Recorded, Requeue,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// One that died in this life.
pub(super) fn dead_message(now: Timestamp, requeue: u32) -> DeadMessage {
    let event = event(now);
    DeadMessage {
        consumer: "contract".to_owned(),
        body: serde_json::to_vec(&event).unwrap(),
        event: Some(event),
        headers: [("x-attempts".to_owned(), "6".to_owned())].into(),
        error: "to be tried again: no".to_owned(),
        attempts: 6,
        redeliveries: 2,
        requeue,
        first_failed_at: Some(now - SignedDuration::from_secs(16)),
    }
}

fn letter(now: Timestamp) -> DeadLetter {
    DeadLetter::of(&dead_message(now, 0), DeadLetterId::from_uuid(id(now)), Vec::new(), now)
}

async fn put(harness: &dyn Harness, letter: &DeadLetter) {
    change(harness, letter, false, &Effects::default()).await.unwrap();
}

async fn change(
    harness: &dyn Harness,
    letter: &DeadLetter,
    requeue: bool,
    effects: &Effects,
) -> Result<(), CommitError> {
    harness.letters().put_letter(LetterChange { letter, requeue }, effects).await
}

async fn read(harness: &dyn Harness, id: DeadLetterId) -> DeadLetter {
    harness.letters().letter(id, None).await.unwrap().undisclosed().expect("the letter").found
}

/// Whatever it says, in every state.
pub async fn a_letter_reads_back_whole(harness: &dyn Harness) {
    let now = harness.now();
    let of_event = letter(now);
    put(harness, &of_event).await;
    let found = harness.letters().letter(of_event.id, None).await.unwrap().undisclosed().unwrap();
    assert_eq!((found.found, found.recorded), (of_event.clone(), None));
    let about =
        harness.letters().letter_about(DeadSource::Event, "contract", of_event.subject).await.unwrap().undisclosed();
    assert_eq!(about.as_ref(), Some(&of_event));
    for (source, consumer) in [(DeadSource::Message, "contract"), (DeadSource::Event, "another")] {
        assert_eq!(
            harness.letters().letter_about(source, consumer, of_event.subject).await.unwrap().undisclosed(),
            None
        );
    }
    assert!(harness.letters().letter(DeadLetterId::from_uuid(id(now)), None).await.unwrap().undisclosed().is_none());

    let unreadable = DeadMessage { event: None, body: vec![0, 159], ..dead_message(now, 0) };
    let sealed = DeadLetter::of(&unreadable, DeadLetterId::from_uuid(id(now)), vec![0, 159, 146, 150, 255], now);
    assert!(matches!(sealed.payload, Payload::Sealed(_)) && sealed.correlation_id.is_none());
    put(harness, &sealed).await;
    assert_eq!(read(harness, sealed.id).await, sealed);
    let discarded = sealed.discarded(DiscardReason::Unreadable, now).unwrap();
    put(harness, &discarded).await;
    assert_eq!(read(harness, sealed.id).await, discarded);

    let requeued = of_event.requeued(now).unwrap();
    put(harness, &requeued).await;
    let again = DeadMessage { requeue: 1, attempts: 3, error: "another".to_owned(), ..dead_message(now, 1) };
    let died = requeued.died(&again, now).unwrap();
    put(harness, &died).await;
    assert_eq!(read(harness, of_event.id).await, died);
    let settled = died.settled(now).unwrap();
    put(harness, &settled).await;
    assert_eq!(read(harness, of_event.id).await, settled);
}

/// Told by two workers at once, it is kept once.
pub async fn there_is_one_letter_for_one_piece_of_work(harness: &dyn Harness) {
    let first = letter(harness.now());
    put(harness, &first).await;
    let second = DeadLetter { id: DeadLetterId::from_uuid(id(harness.now())), ..first.clone() };
    let refused = change(harness, &second, false, &Effects::default()).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
    // Another consumer's death of the same event is another piece of work.
    put(harness, &DeadLetter { consumer: "another".to_owned(), ..second }).await;
    assert_eq!(read(harness, first.id).await, first);
}

/// And with what goes with it, or with nothing.
pub async fn a_letter_changes_only_from_the_version_that_was_read(harness: &dyn Harness) {
    let now = harness.now();
    let first = letter(now);
    put(harness, &first).await;
    let about = first.id.as_uuid();
    let requeued = first.requeued(now).unwrap();
    let with = effects(now, about);
    change(harness, &requeued, false, &with).await.unwrap();
    let discarded = first.discarded(DiscardReason::Obsolete, now).unwrap();
    let refused = change(harness, &discarded, false, &effects(now, about)).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
    assert_eq!(read(harness, first.id).await, requeued);
    assert_eq!(harness.announced(about).await, [with.events[0].id]);
    assert_eq!(harness.audited(&about.to_string()).await, [with.audit[0].id]);
    let unknown = DeadLetter { id: DeadLetterId::from_uuid(id(now)), subject: id(now), ..requeued };
    let refused = change(harness, &unknown, false, &Effects::default()).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
}

/// To its consumer alone, with the number of its life.
pub async fn a_requeued_event_is_handed_out_with_the_change_or_not_at_all(harness: &dyn Harness) {
    let now = harness.now();
    let first = letter(now);
    put(harness, &first).await;
    let requeued = first.requeued(now).unwrap();
    change(harness, &requeued, true, &Effects::default()).await.unwrap();
    let event = EventId::from_uuid(first.subject);
    let to = |number| Requeue { consumer: "contract".to_owned(), number, redeliveries: 2 };
    assert_eq!(harness.requeued().await, [(to(1), event)]);
    let Payload::Event(envelope) = &first.payload else { unreachable!("a letter of an event") };
    assert_eq!(harness.announced(envelope.aggregate.id).await, [], "nobody else gets it");

    let refused = change(harness, &requeued, true, &Effects::default()).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
    assert_eq!(harness.requeued().await.len(), 1);
    change(harness, &requeued.requeued(now).unwrap(), true, &Effects::default()).await.unwrap();
    assert_eq!(harness.requeued().await, [(to(1), event), (to(2), event)]);
}

/// With all its tries.
pub async fn a_requeued_message_is_due_at_once(harness: &dyn Harness) {
    let message = id(harness.now());
    harness.give_up_message(message).await;
    let (due, tried) = harness.message(message).await;
    assert!(!due && tried > 0, "{due} {tried}");
    let dead =
        harness.letters().letter_about(DeadSource::Message, "mail", message).await.unwrap().undisclosed().unwrap();
    assert_eq!((dead.state, dead.attempts, dead.deaths), (LetterState::Dead, tried, 1));
    let Payload::Task(about) = &dead.payload else { unreachable!("a letter of a task") };
    assert_eq!(about["message_id"], message.to_string());
    change(harness, &dead.requeued(harness.now()).unwrap(), true, &Effects::default()).await.unwrap();
    assert_eq!(harness.message(message).await, (true, 0));
    assert_eq!(harness.requeued().await, [], "it goes through no broker");
}

/// In the transaction that gives it up.
pub async fn a_task_that_is_given_up_is_a_letter_and_the_same_one_when_it_dies_again(harness: &dyn Harness) {
    let now = harness.now();
    let given_up = |id: Uuid, subject: Uuid, error: &str| GivenUp {
        id: DeadLetterId::from_uuid(id),
        source: DeadSource::GatewayTask,
        consumer: "payments",
        subject,
        kind: "refund".to_owned(),
        payload: serde_json::json!({ "payment_id": subject }),
        error: error.to_owned(),
        attempts: 6,
        correlation_id: CorrelationId::from(subject),
        first_failed_at: Some(now - SignedDuration::from_secs(20)),
        at: now,
    };
    let (first, other) = (id(now), id(now));
    let both = vec![given_up(id(now), first, "no"), given_up(id(now), other, "no")];
    let (letter_id, expected) = (both[0].id, both[0].clone());
    let effects = Effects { given_up: both, ..Effects::default() };
    harness.letters().put_on_record(&effects).await.unwrap();
    let about = async |subject| {
        let found = harness.letters().letter_about(DeadSource::GatewayTask, "payments", subject).await;
        found.unwrap().undisclosed().expect("the task's letter")
    };
    let dead = about(first).await;
    assert_eq!(dead, DeadLetter::of_task(&expected, None));
    assert_eq!(about(other).await.deaths, 1);

    let requeued = dead.requeued(now).unwrap();
    change(harness, &requeued, true, &Effects::default()).await.unwrap();
    let again = given_up(id(now), first, "no again");
    harness.letters().put_on_record(&Effects { given_up: vec![again.clone()], ..Effects::default() }).await.unwrap();
    let died = about(first).await;
    assert_eq!(died, DeadLetter::of_task(&again, Some(&requeued)));
    assert_eq!((died.id, died.state, died.deaths, died.requeues), (letter_id, LetterState::Dead, 2, 1));
}

/// Page by page.
pub async fn letters_are_listed_by_first_death_and_filtered(harness: &dyn Harness) {
    let now = harness.now();
    let mut all = Vec::new();
    for minute in [3, 1, 2, 5, 4] {
        let at = now - SignedDuration::from_mins(10 - minute);
        let consumer = if minute % 2 == 0 { "even" } else { "odd" };
        let letter = DeadLetter { consumer: consumer.to_owned(), ..letter(at) };
        put(harness, &letter).await;
        all.push(letter);
    }
    all.sort_by_key(|letter| letter.opened_at);
    let requeued = all[1].requeued(now).unwrap();
    put(harness, &requeued).await;
    all[1] = requeued;
    let list = async |filter: &LetterFilter, after, limit| {
        let page = harness.letters().letters(filter, PageRequest { limit: Limit::new(limit).unwrap(), after }).await;
        page.unwrap().undisclosed()
    };
    let everything = LetterFilter::default();
    let first = list(&everything, None, 3).await;
    assert_eq!((first.items.as_slice(), first.next), (&all[..3], Some((all[2].opened_at, all[2].id))));
    let rest = list(&everything, first.next, 3).await;
    assert_eq!((rest.items.as_slice(), rest.next), (&all[3..], None));
    let of = |filter: LetterFilter| async move { list(&filter, None, 100).await.items };
    let even = of(LetterFilter { consumer: Some("even".to_owned()), ..LetterFilter::default() }).await;
    assert_eq!(even, [all[1].clone(), all[3].clone()]);
    let dead = of(LetterFilter { state: Some(LetterState::Dead), ..LetterFilter::default() }).await;
    assert_eq!(dead.len(), 4);
    assert_eq!(of(LetterFilter { source: Some(DeadSource::Message), ..LetterFilter::default() }).await, []);
}

/// And known to whoever asks with it.
pub async fn an_answer_is_kept_with_the_change_of_a_letter(harness: &dyn Harness) {
    let now = harness.now();
    let first = letter(now);
    put(harness, &first).await;
    let claim = claim(now);
    let effects = Effects { answer: Some((claim.clone(), answer())), ..Effects::default() };
    let requeued = first.requeued(now).unwrap();
    change(harness, &requeued, true, &effects).await.unwrap();
    let recorded = async |claim: &IdempotencyClaim| {
        harness.letters().letter(first.id, Some(claim)).await.unwrap().undisclosed().unwrap().recorded
    };
    assert_eq!(recorded(&claim).await, Some(Recorded::Same(answer())));
    let other = IdempotencyClaim { fingerprint: Fingerprint::of("POST", "/other", b""), ..claim.clone() };
    assert_eq!(recorded(&other).await, Some(Recorded::Other));
    let refused = change(harness, &requeued.requeued(now).unwrap(), true, &effects).await;
    assert!(matches!(refused, Err(CommitError::AlreadyAnswered)), "{refused:?}");
    assert_eq!((read(harness, first.id).await, harness.requeued().await.len()), (requeued, 1));
}
