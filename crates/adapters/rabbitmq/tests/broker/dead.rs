//! From the dead letters to the office, and back to one consumer.

use crate::harness::{Jitter, Scripted, event, eventually, on_stand};
use amrutam_kernel::{EventPublisher, Handled, HandlerError, PortError, Requeue};
use amrutam_rabbitmq::DeadLetters;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_leaves_the_broker_when_the_office_has_it() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, _| Err(HandlerError::Permanent("no".into())));
            let _consumers = stand.consume(&handler);
            // The office is away at first: nothing is lost, and nothing given back.
            stand.office.refusals.store(2, Ordering::SeqCst);
            let office = DeadLetters::start(&stand.settings, &stand.parts(), &stand.stop);
            let event = event();
            stand.publisher.publish(&event).await.unwrap();
            stand.publish_raw(b"not an event").await;
            eventually("both are taken", || stand.office.taken.lock().unwrap().len() == 2).await;
            assert!(office.watch().all_consuming());
            let taken = stand.office.taken.lock().unwrap().clone();
            let dead = taken.iter().find(|dead| dead.event.is_some()).unwrap();
            assert_eq!((dead.consumer.as_str(), dead.event.as_ref()), ("subject", Some(&event)));
            assert_eq!((dead.error.as_str(), dead.attempts, dead.requeue), ("no", 1, 0));
            assert!(dead.first_failed_at.is_some());
            let unreadable = taken.iter().find(|dead| dead.event.is_none()).unwrap();
            assert_eq!(unreadable.body, b"not an event");
            stand.stop.cancel();
            office.stopped().await;
            assert!(stand.take(&stand.topology.dead_queue("subject")).await.is_none());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requeued_event_is_settled_before_it_is_acknowledged_and_dies_in_its_own_life() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let fails = event();
            let failing = fails.id;
            let handler = Scripted::new(move |event: amrutam_kernel::EventEnvelope, _| async move {
                if event.id == failing { Err(HandlerError::Permanent("no".into())) } else { Ok(Handled::Applied) }
            });
            let _consumers = stand.consume(&handler);
            let event = event();
            // What can't be noted at first is noted when the message comes again.
            stand.office.refusals.store(1, Ordering::SeqCst);
            let to = |number| Requeue { consumer: "subject".into(), number, redeliveries: 0 };
            stand.publisher.requeue(&event, &to(1)).await.unwrap();
            eventually("it is settled", || *stand.office.settled.lock().unwrap() == [event.id]).await;
            assert_eq!(handler.times(event.id).len(), 2);

            // In its first life nobody asks.
            stand.publisher.publish(&crate::harness::event()).await.unwrap();
            stand.publisher.requeue(&fails, &to(3)).await.unwrap();
            let dead = stand.dead_letter().await;
            assert_eq!(dead.header("x-requeue").as_deref(), Some("3"));
            assert_eq!(dead.header("x-original-routing-key").as_deref(), Some("consultation.requested.v1"));
            assert_eq!(*stand.office.settled.lock().unwrap(), [event.id]);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_no_more_gets_nothing() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let to = Requeue { consumer: "gone".into(), number: 1, redeliveries: 0 };
            let refused = stand.publisher.requeue(&event(), &to).await;
            assert!(matches!(refused, Err(PortError::Defect { .. })), "{refused:?}");
        },
    )
    .await;
}
