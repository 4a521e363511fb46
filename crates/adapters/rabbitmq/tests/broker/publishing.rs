//! Only what the broker has taken counts as published.

use crate::harness::{EVENT, Jitter, SOON, event, on_stand};
use amrutam_kernel::{Dependency, EventEnvelope, EventPublisher, PortError, TraceParent};
use amrutam_rabbitmq::Publisher;
use futures::future::join_all;
use lapin::{
    options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_event_is_in_its_queue() {
    on_stand(
        Jitter::Random,
        |_| {},
        async |stand| {
            let mut event = event();
            event.trace_parent = Some(TraceParent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()));
            stand.publisher.publish(&event).await.unwrap();

            let delivery = stand.wait_for(&stand.topology.work_queue("subject")).await;
            let properties = &delivery.properties;
            assert_eq!(serde_json::from_slice::<EventEnvelope>(&delivery.data).unwrap(), event);
            assert_eq!(delivery.routing_key.as_str(), EVENT);
            assert_eq!(properties.message_id().as_ref().unwrap().as_str(), event.id.to_string());
            assert_eq!(properties.kind().as_ref().unwrap().as_str(), EVENT);
            assert_eq!(properties.correlation_id().as_ref().unwrap().as_str(), "flow-1");
            assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
            assert_eq!(*properties.delivery_mode(), Some(2));
            assert_eq!(*properties.timestamp(), Some(1_772_359_200));
            let headers = properties.headers().as_ref().unwrap().inner();
            let text = |value: &str| Some(AMQPValue::LongString(value.into()));
            assert_eq!(headers.get("traceparent").cloned(), text(&event.trace_parent.unwrap().0));
            assert_eq!(headers.get("x-aggregate-id").cloned(), text(&event.aggregate.id.to_string()));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_no_queue_wants_is_an_error_also_among_others() {
    on_stand(
        Jitter::Random,
        |_| {},
        async |stand| {
            let events: Vec<_> = (0..400)
                .map(|n| {
                    let mut event = event();
                    if n % 2 == 1 {
                        event.event_type = "nobody.listens.v1".into();
                    }
                    event
                })
                .collect();
            let outcomes = join_all(events.iter().map(|event| {
                let (publisher, event) = (stand.publisher.clone(), event.clone());
                tokio::spawn(async move { publisher.publish(&event).await })
            }))
            .await;
            for (event, outcome) in events.iter().zip(outcomes) {
                match outcome.unwrap() {
                    Ok(()) => assert_eq!(event.event_type, EVENT, "an unroutable event passed as published"),
                    Err(PortError::Defect { dependency: Dependency::Broker, reason }) => {
                        assert_eq!(event.event_type, "nobody.listens.v1", "{reason}");
                        assert!(reason.contains("no queue is bound"), "{reason}");
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            for _ in 0..200 {
                stand.wait_for(&stand.topology.work_queue("subject")).await;
            }
            assert!(stand.publisher.health());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_nobody_need_hear_is_published_without_a_queue() {
    on_stand(
        Jitter::Random,
        |_| {},
        async |stand| {
            let publisher = Publisher::start_with(
                &stand.settings,
                vec![],
                &["nobody.listens.v1"],
                std::sync::Arc::new(Jitter::Random),
            );
            assert!(publisher.ready(SOON).await);
            let named = |name: &str| EventEnvelope { event_type: name.into(), ..event() };
            publisher.publish(&named("nobody.listens.v1")).await.unwrap();
            let refused = publisher.publish(&named("nobody.listens.v2")).await.unwrap_err();
            assert!(matches!(refused, PortError::Defect { dependency: Dependency::Broker, .. }), "{refused:?}");
            publisher.close().await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_event_is_an_error() {
    on_stand(Jitter::Random, |_| {}, async |stand| {
        let full = format!("{}.full", stand.settings.prefix);
        let channel = stand.admin.create_channel().await.unwrap();
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(1));
        channel.queue_declare(full.as_str().into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
        let exchange = stand.topology.events_exchange();
        channel
            .queue_bind(
                full.as_str().into(),
                exchange.as_str().into(),
                EVENT.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await
            .unwrap();

        // The limit is soft: a few more than one fit in.
        let began = Instant::now();
        let refusal = loop {
            if let Err(error) = stand.publisher.publish(&event()).await {
                break error;
            }
            assert!(began.elapsed() < SOON, "the full queue took everything");
        };
        channel.queue_delete(full.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        assert!(
            matches!(&refusal, PortError::Unavailable { dependency: Dependency::Broker, reason } if reason.contains("refused")),
            "{refusal:?}"
        );
        stand.publisher.publish(&event()).await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_given_up_half_way_leaves_no_trace_for_the_next() {
    on_stand(
        Jitter::Random,
        |_| {},
        async |stand| {
            for n in 0..200u64 {
                let mut stray = event();
                stray.event_type = "nobody.listens.v1".into();
                let _ = tokio::time::timeout(Duration::from_micros(n * 10), stand.publisher.publish(&stray)).await;
                stand.publisher.publish(&event()).await.unwrap();
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_depth_of_each_queue_is_told() {
    on_stand(
        Jitter::Random,
        |_| {},
        async |stand| {
            stand.publisher.publish(&event()).await.unwrap();
            let work = stand.topology.work_queue("subject");
            let began = Instant::now();
            loop {
                let depths = stand.publisher.queue_depths().await.unwrap();
                assert_eq!(depths.len(), 7);
                if depths.iter().any(|depth| depth.queue == work && depth.messages == 1 && depth.consumers == 0) {
                    break;
                }
                assert!(began.elapsed() < SOON, "{depths:?}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let channel = stand.admin.create_channel().await.unwrap();
            let dead = stand.topology.dead_queue("subject");
            channel.queue_delete(dead.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
            assert_eq!(stand.publisher.queue_depths().await.unwrap().len(), 6);
            assert!(stand.publisher.health());
        },
    )
    .await;
}
