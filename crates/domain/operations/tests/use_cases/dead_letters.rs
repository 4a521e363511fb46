use crate::Desk;
use amrutam_kernel::{
    AggregateRef, Clock, CorrelationId, DeadMessage, DeadSource, Denial, EventEnvelope, EventId, Role,
};
use amrutam_kernel::{Limit, PageRequest};
use amrutam_memory::Fault;
use amrutam_operations::{
    LetterError,
    model::{DeadLetter, DiscardReason, LetterState, Payload},
    ports::LetterFilter,
    use_cases::{discard, list_letters, open_payload, read_letter, requeue, settle, take},
};
use jiff::SignedDuration;
use uuid::Uuid;

fn dead(desk: &Desk, requeue: u32) -> DeadMessage {
    let event = EventEnvelope {
        id: EventId::from_uuid(Uuid::from_u128(77)),
        event_type: "consultation.confirmed.v1".to_owned(),
        aggregate: AggregateRef { kind: "consultation".to_owned(), id: Uuid::from_u128(5), version: 2 },
        occurred_at: desk.clock.now(),
        actor: "system:test".to_owned(),
        correlation_id: CorrelationId::from(Uuid::from_u128(6)),
        trace_parent: None,
        payload: serde_json::json!({ "patient_id": Uuid::from_u128(8) }),
    };
    DeadMessage {
        consumer: "notifications".to_owned(),
        body: serde_json::to_vec(&event).unwrap(),
        event: Some(event),
        headers: [("x-attempts".to_owned(), "6".to_owned())].into(),
        error: "for good: no".to_owned(),
        attempts: 6,
        redeliveries: 0,
        requeue,
        first_failed_at: Some(desk.clock.now() - SignedDuration::from_secs(16)),
    }
}

async fn taken(desk: &Desk) -> DeadLetter {
    assert!(take(desk.deps(), &dead(desk, 0)).await.unwrap());
    desk.world.dead_letters().remove(0)
}

#[tokio::test]
async fn the_same_death_is_news_once_and_an_old_copy_says_nothing_of_the_new_one() {
    let desk = Desk::new();
    // The store is away, answers late, is busy: the broker tells again.
    desk.world.fail_next_commits([Fault::Unavailable, Fault::LostAnswer, Fault::Busy]);
    assert!(take(desk.deps(), &dead(&desk, 0)).await.is_err());
    assert!(take(desk.deps(), &dead(&desk, 0)).await.is_err());
    assert!(!take(desk.deps(), &dead(&desk, 0)).await.unwrap());
    let letter = desk.world.dead_letters().remove(0);
    assert_eq!((letter.state, letter.deaths, letter.attempts), (LetterState::Dead, 1, 6));

    let (letter, _) = requeue(desk.deps(), &desk.admin(), letter.id, None).await.unwrap();
    assert_eq!((letter.state, letter.requeues), (LetterState::Requeued, 1));
    assert!(!take(desk.deps(), &dead(&desk, 0)).await.unwrap(), "that death was before the requeue");
    assert_eq!(desk.world.dead_letters()[0].state, LetterState::Requeued);
    assert!(take(desk.deps(), &dead(&desk, 1)).await.unwrap());
    assert!(!take(desk.deps(), &dead(&desk, 1)).await.unwrap());
    let letter = desk.world.dead_letters().remove(0);
    assert_eq!((letter.state, letter.deaths), (LetterState::Dead, 2));
    assert_eq!(desk.world.dead_letters().len(), 1);
}

#[tokio::test]
async fn what_is_requeued_goes_to_its_consumer_alone_and_is_settled_once() {
    let desk = Desk::new();
    let letter = taken(&desk).await;
    desk.world.fail_next_commits([Fault::Stale, Fault::Busy]);
    let admin = desk.admin();
    requeue(desk.deps(), &admin, letter.id, None).await.unwrap();
    // Its message may have been lost with a broker: once more, harmless.
    requeue(desk.deps(), &admin, letter.id, None).await.unwrap();
    let handed_out = desk.world.requeued();
    assert_eq!(
        handed_out.iter().map(|(to, _)| (to.consumer.as_str(), to.number)).collect::<Vec<_>>(),
        [("notifications", 1), ("notifications", 2)]
    );
    assert!(desk.world.outbox().is_empty(), "nobody else hears of it");
    let refused = discard(desk.deps(), &admin, letter.id, DiscardReason::Obsolete, None).await;
    assert!(matches!(refused, Err(LetterError::InvalidTransition(_))), "{refused:?}");

    let subject = letter.subject;
    assert!(settle(desk.deps(), DeadSource::Event, "notifications", subject).await.unwrap());
    assert!(!settle(desk.deps(), DeadSource::Event, "notifications", subject).await.unwrap());
    assert!(!settle(desk.deps(), DeadSource::Event, "another", subject).await.unwrap());
    assert!(!take(desk.deps(), &dead(&desk, 2)).await.unwrap(), "nothing is both dead and applied");
    let refused = requeue(desk.deps(), &admin, letter.id, None).await;
    assert!(matches!(refused, Err(LetterError::InvalidTransition(_))), "{refused:?}");
    let requeued = "dead_letter.requeue allowed";
    assert_eq!(desk.deeds(), [requeued, requeued, "dead_letter.discard failed", "dead_letter.requeue failed"]);
}

#[tokio::test]
async fn what_can_not_be_read_is_kept_sealed_and_can_only_be_discarded() {
    let desk = Desk::new();
    let body = b"Asha Nair, headache".to_vec();
    let unreadable = DeadMessage { event: None, body: body.clone(), ..dead(&desk, 0) };
    assert!(take(desk.deps(), &unreadable).await.unwrap());
    assert!(!take(desk.deps(), &unreadable).await.unwrap(), "known by its digest");
    let letter = desk.world.dead_letters().remove(0);
    let Payload::Sealed(sealed) = &letter.payload else { unreachable!("{letter:?}") };
    assert!(!sealed.windows(4).any(|window| window == b"Asha"));
    let admin = desk.admin();
    let refused = requeue(desk.deps(), &admin, letter.id, None).await;
    assert!(matches!(refused, Err(LetterError::Unreadable)), "{refused:?}");
    let opened = open_payload(desk.deps(), &desk.operator(), letter.id).await.unwrap().unwrap();
    assert_eq!(*opened.expose(), body);
    let (letter, _) = discard(desk.deps(), &admin, letter.id, DiscardReason::Unreadable, None).await.unwrap();
    assert_eq!((letter.state, letter.discard_reason), (LetterState::Discarded, Some(DiscardReason::Unreadable)));
    let deeds = ["dead_letter.requeue failed", "dead_letter.open_payload allowed", "dead_letter.discard allowed"];
    assert_eq!(desk.deeds(), deeds);
}

#[tokio::test]
async fn who_may_not_is_refused_on_the_record_and_support_sees_no_payload() {
    let desk = Desk::new();
    let letter = taken(&desk).await;
    for role in [Role::Patient, Role::Doctor, Role::Auditor] {
        let refused = read_letter(desk.deps(), &desk.person(2, role), letter.id).await;
        assert!(matches!(refused, Err(LetterError::Denied(Denial::Forbidden))), "{role}: {refused:?}");
    }
    let support = desk.person(3, Role::Support);
    assert!(!read_letter(desk.deps(), &support, letter.id).await.unwrap().shows_payload);
    let page = PageRequest { limit: Limit::default(), after: None };
    let listed = list_letters(desk.deps(), &support, &LetterFilter::default(), page).await.unwrap();
    assert_eq!(listed.items, std::slice::from_ref(&letter));
    let refused = requeue(desk.deps(), &support, letter.id, None).await;
    assert!(matches!(refused, Err(LetterError::Denied(Denial::Forbidden))), "{refused:?}");
    let admin = desk.admin();
    desk.clock.advance(SignedDuration::from_mins(6));
    assert!(read_letter(desk.deps(), &admin, letter.id).await.unwrap().shows_payload);
    let refused = requeue(desk.deps(), &admin, letter.id, None).await;
    assert!(matches!(refused, Err(LetterError::Denied(Denial::StepUpRequired))), "{refused:?}");
    assert_eq!(
        desk.deeds(),
        [
            "dead_letter.read denied",
            "dead_letter.read denied",
            "dead_letter.read denied",
            "dead_letter.read allowed",
            "dead_letter.list allowed",
            "dead_letter.requeue denied",
            "dead_letter.read allowed",
            "dead_letter.requeue denied",
        ]
    );
    // The letter of a list by its id, and whom it is about.
    let listed = desk.world.audit().into_iter().find(|entry| entry.action == "dead_letter.list").unwrap();
    assert_eq!((listed.resource_id, listed.patient), (letter.id.to_string(), letter.patient()));
    assert_eq!(letter.patient().map(|patient| patient.as_uuid()), Some(Uuid::from_u128(8)));
    assert!(desk.world.requeued().is_empty());
}
