//! Handled once when all is well; tried again, buried and counted when not.

use crate::harness::{Jitter, SOON, Scripted, event, event_of, eventually, on_stand};
use amrutam_kernel::{Dependency, EventPublisher, Handled, HandlerError, PortError, TraceParent};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

fn retry() -> HandlerError {
    HandlerError::Retry("not yet".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_twice_comes_again_after_growing_delays() {
    on_stand(
        Jitter::Most,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, n| if n < 2 { Err(retry()) } else { Ok(Handled::Applied) });
            let _consumers = stand.consume(&handler);
            let event = event();
            stand.publisher.publish(&event).await.unwrap();
            eventually("three attempts", || handler.times(event.id).len() == 3).await;

            let times = handler.times(event.id);
            let delays: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            for (delay, bound) in delays.iter().zip([500, 1000].map(Duration::from_millis)) {
                assert!((bound..bound + Duration::from_millis(900)).contains(delay), "{delays:?}");
            }
            sleep(Duration::from_millis(2500)).await;
            assert_eq!(handler.times(event.id).len(), 3);
            assert!(stand.ledger.counts.lock().unwrap().is_empty(), "a retry is no redelivery");
            for queue in stand.topology.queues("subject") {
                assert!(stand.take(&queue).await.is_none(), "{queue} is not empty");
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_always_fails_runs_six_times_and_is_buried() {
    // No jitter at all: a message that expires at once must still pass through its queue.
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, _| Err(retry()));
            let _consumers = stand.consume(&handler);
            let event = event();
            stand.publisher.publish(&event).await.unwrap();
            let dead = stand.dead_letter().await;
            assert_eq!(handler.times(event.id).len(), 6);
            assert_eq!(dead.header("x-attempts").as_deref(), Some("6"));
            assert_eq!(dead.header("x-error").as_deref(), Some("not yet"));
            assert_eq!(dead.header("x-original-routing-key").as_deref(), Some("consultation.requested.v1"));
            assert!(dead.header("x-first-failed-at").unwrap().parse::<jiff::Timestamp>().is_ok());
            assert_eq!(dead.delivery.data, serde_json::to_vec(&event).unwrap());
            sleep(Duration::from_millis(500)).await;
            assert_eq!(handler.times(event.id).len(), 6);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_dependency_uses_up_no_retry() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            // Four failures of its own, an outage between them, and still one retry left.
            let handler = Scripted::new(async |_, n| match n {
                0 | 1 | 3 | 4 => Err(retry()),
                2 => Err(HandlerError::from(PortError::unavailable(Dependency::Database, "away"))),
                5 => Err(HandlerError::Unavailable("still away".into())),
                6 => Err(retry()),
                _ => Ok(Handled::Applied),
            });
            let _consumers = stand.consume(&handler);
            let event = event();
            stand.publisher.publish(&event).await.unwrap();
            eventually("eight attempts", || handler.times(event.id).len() == 8).await;
            let times = handler.times(event.id);
            for waited in [times[3] - times[2], times[6] - times[5]] {
                assert!((4..8).contains(&waited.as_secs()), "{waited:?}");
            }
            assert!(stand.take(&stand.topology.dead_queue("subject")).await.is_none());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_is_moved_back_begins_afresh() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, _| Ok(Handled::Applied));
            let killer = event();
            stand.publisher.publish(&killer).await.unwrap();
            stand.ledger.counts.lock().unwrap().insert(killer.id, 5);
            stand.take_and_die(1).await;
            let _consumers = stand.consume(&handler);
            let dead = stand.dead_letter().await;
            assert_eq!(handler.times(killer.id).len(), 0);

            // It comes back redelivered, as after a lost connection.
            stand.ledger.counts.lock().unwrap().insert(killer.id, 6);
            stand.move_back(&dead).await;
            eventually("its handling", || handler.times(killer.id).len() == 1).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_failure_is_buried_at_once() {
    on_stand(
        Jitter::Random,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, _| Err(HandlerError::Permanent("unknown\nslot".into())));
            let _consumers = stand.consume(&handler);
            let event = event();
            stand.publisher.publish(&event).await.unwrap();
            let dead = stand.dead_letter().await;
            assert_eq!(dead.header("x-error").as_deref(), Some("unknown slot"));
            assert_eq!(dead.header("x-attempts").as_deref(), Some("1"));
            assert_eq!(dead.delivery.properties.message_id().as_ref().unwrap().as_str(), event.id.to_string());
            assert_eq!(handler.times(event.id).len(), 1);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_event_is_buried_unhandled_and_harms_no_neighbour() {
    on_stand(
        Jitter::Random,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, _| Ok(Handled::Applied));
            let _consumers = stand.consume(&handler);
            let neighbour = event();
            stand.publish_raw(b"{\"canary\"").await;
            stand.publisher.publish(&neighbour).await.unwrap();
            stand.publish_raw(b"{\"aggregate\":\"canary\"}").await;
            for _ in 0..2 {
                let error = stand.dead_letter().await.header("x-error").unwrap();
                assert!(error.starts_with("not an event envelope") && !error.contains("canary"), "{error}");
            }
            eventually("the neighbour", || handler.times(neighbour.id).len() == 1).await;
            assert_eq!(handler.begun.lock().unwrap().len(), 1);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failure_like_others() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, n| {
                assert!(n > 0, "a panic made by the test");
                Ok(Handled::Applied)
            });
            let _consumers = stand.consume(&handler);
            let event = event();
            stand.publisher.publish(&event).await.unwrap();
            eventually("the second attempt", || handler.times(event.id).len() == 2).await;
            sleep(Duration::from_millis(300)).await;
            assert!(stand.take(&stand.topology.dead_queue("subject")).await.is_none());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_hangs_is_dropped_and_tried_again() {
    on_stand(
        Jitter::None,
        |settings| settings.handler_timeout_ms = 200,
        async |stand| {
            let handler = Scripted::new(async |_, n| {
                if n == 0 {
                    sleep(Duration::from_secs(3600)).await;
                }
                Ok(Handled::Applied)
            });
            let _consumers = stand.consume(&handler);
            let event = event();
            stand.publisher.publish(&event).await.unwrap();
            eventually("the second attempt", || handler.times(event.id).len() == 2).await;
            let times = handler.times(event.id);
            assert!(times[1] - times[0] >= Duration::from_millis(200));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_aggregates_events_run_in_order_and_others_beside_them() {
    on_stand(
        Jitter::Random,
        |_| {},
        async |stand| {
            let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
            let busy = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
            let handler = Scripted::new(move |event, _| {
                let (now, peak, busy) = (Arc::clone(&now), Arc::clone(&peak), Arc::clone(&busy));
                async move {
                    assert!(busy.lock().unwrap().insert(event.aggregate.id), "two events of one aggregate at once");
                    peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // The earlier, the slower: any overtaking shows.
                    sleep(Duration::from_millis(40 - u64::try_from(event.aggregate.version).unwrap() * 10)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    busy.lock().unwrap().remove(&event.aggregate.id);
                    Ok(Handled::Applied)
                }
            });
            let aggregates: Vec<_> = (1..=8).map(|n| Uuid::from_u64_pair(n, n)).collect();
            for version in 1..=3 {
                for aggregate in &aggregates {
                    stand.publisher.publish(&event_of(*aggregate, version)).await.unwrap();
                }
            }
            let _consumers = stand.consume(&handler);
            eventually("all events", || handler.begun.lock().unwrap().len() >= 24).await;
            sleep(Duration::from_millis(300)).await;
            let begun = handler.begun.lock().unwrap();
            assert_eq!(begun.len(), 24, "something panicked and was tried again");
            for aggregate in aggregates {
                let versions: Vec<_> = begun
                    .iter()
                    .filter(|(_, e)| e.aggregate.id == aggregate)
                    .map(|(_, e)| e.aggregate.version)
                    .collect();
                assert_eq!(versions, [1, 2, 3]);
            }
            assert!(most.load(Ordering::SeqCst) > 1, "nothing ran in parallel");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_comes_back_is_counted_and_it_runs_alone() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let running = Arc::new(AtomicUsize::new(0));
            let crowd = Arc::new(AtomicUsize::new(0));
            let (now, most) = (Arc::clone(&running), Arc::clone(&crowd));
            let handler = Scripted::new(move |_, _| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sleep(Duration::from_millis(30)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(Handled::Applied)
                }
            });
            let suspects: Vec<_> = (0..8).map(|_| event()).collect();
            for suspect in &suspects {
                stand.publisher.publish(suspect).await.unwrap();
            }
            stand.take_and_die(8).await;
            let _consumers = stand.consume(&handler);
            eventually("the suspects", || handler.begun.lock().unwrap().len() == 8).await;
            let fresh = event();
            stand.publisher.publish(&fresh).await.unwrap();
            eventually("the fresh one", || handler.times(fresh.id).len() == 1).await;
            assert_eq!(crowd.load(Ordering::SeqCst), 1, "suspects must not run together");
            let counts = stand.ledger.counts.lock().unwrap();
            assert!(suspects.iter().all(|event| counts.get(&event.id) == Some(&1)), "{counts:?}");
            assert_eq!(counts.get(&fresh.id), None);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_killed_the_process_six_times_is_buried_unhandled() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, _| Err(retry()));
            let (killer, unlucky) = (event(), event());
            for event in [&killer, &unlucky] {
                stand.publisher.publish(event).await.unwrap();
            }
            // Begun once at first, five times since.
            stand.ledger.counts.lock().unwrap().insert(killer.id, 5);
            stand.take_and_die(2).await;
            let _consumers = stand.consume(&handler);
            let dead = [stand.dead_letter().await, stand.dead_letter().await];
            let of = |id: amrutam_kernel::EventId| {
                let id = id.to_string();
                dead.iter().find(|d| d.delivery.properties.message_id().as_ref().unwrap().as_str() == id).unwrap()
            };
            assert_eq!(handler.times(killer.id).len(), 0);
            assert!(of(killer.id).header("x-error").unwrap().contains("never came to an end"));
            assert_eq!(of(killer.id).header("x-attempts").as_deref(), Some("6"));
            // Its first beginning ended with the process, so five are left; each counts once.
            assert_eq!(handler.times(unlucky.id).len(), 5);
            assert_eq!(of(unlucky.id).header("x-attempts").as_deref(), Some("6"));
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_runs_and_gives_back_the_rest() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let ended = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&ended);
            let handler = Scripted::new(move |_, _| {
                let count = Arc::clone(&count);
                async move {
                    sleep(Duration::from_millis(800)).await;
                    count.fetch_add(1, Ordering::SeqCst);
                    Ok(Handled::Applied)
                }
            });
            let consumers = stand.consume(&handler);
            let aggregate = Uuid::from_u64_pair(7, 7);
            for version in 1..=3 {
                stand.publisher.publish(&event_of(aggregate, version)).await.unwrap();
            }
            eventually("a beginning", || !handler.begun.lock().unwrap().is_empty()).await;
            assert!(consumers.health());
            let began = Instant::now();
            stand.stop.cancel();
            timeout(SOON, consumers.stopped()).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
            assert_eq!((handler.begun.lock().unwrap().len(), ended.load(Ordering::SeqCst)), (1, 1));
            let work = stand.topology.work_queue("subject");
            stand.wait_for(&work).await;
            stand.wait_for(&work).await;
            assert!(stand.take(&work).await.is_none(), "what was finished is acknowledged");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_outlasts_the_stop_is_dropped_and_its_message_comes_again() {
    on_stand(
        Jitter::None,
        |settings| settings.stop_timeout_ms = 300,
        async |stand| {
            let handler = Scripted::new(async |_, _| {
                sleep(Duration::from_secs(3600)).await;
                Ok(Handled::Applied)
            });
            let consumers = stand.consume(&handler);
            stand.publisher.publish(&event()).await.unwrap();
            eventually("a beginning", || !handler.begun.lock().unwrap().is_empty()).await;
            stand.stop.cancel();
            timeout(Duration::from_secs(5), consumers.stopped()).await.unwrap();
            stand.wait_for(&stand.topology.work_queue("subject")).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_queue_that_was_deleted_is_made_again() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, n| if n == 0 { Err(retry()) } else { Ok(Handled::Applied) });
            let consumers = stand.consume(&handler);
            eventually("consuming", || consumers.health()).await;
            let channel = stand.admin.create_channel().await.unwrap();
            let step = stand.topology.retry_queue("subject", Duration::from_millis(500));
            channel.queue_delete(step.as_str().into(), Default::default()).await.unwrap();
            let event = event();
            stand.publisher.publish(&event).await.unwrap();
            eventually("the second attempt", || handler.times(event.id).len() == 2).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_work_queue_that_was_deleted_is_made_again_and_consumed() {
    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let handler = Scripted::new(async |_, _| Ok(Handled::Applied));
            let consumers = stand.consume(&handler);
            eventually("consuming", || consumers.health()).await;
            let channel = stand.admin.create_channel().await.unwrap();
            let work = stand.topology.work_queue("subject");
            channel.queue_delete(work.as_str().into(), Default::default()).await.unwrap();
            let event = event();
            let began = Instant::now();
            while stand.publisher.publish(&event).await.is_err() {
                assert!(began.elapsed() < SOON);
                sleep(Duration::from_millis(50)).await;
            }
            eventually("handled", || handler.times(event.id).len() == 1).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_continues_the_events_trace_and_is_counted() {
    use opentelemetry::trace::TracerProvider;
    use tracing_subscriber::layer::SubscriberExt;
    let tracer = opentelemetry_sdk::trace::SdkTracerProvider::builder().build().tracer("test");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    let telemetry = amrutam_telemetry::Telemetry::metrics_only().unwrap();

    on_stand(
        Jitter::None,
        |_| {},
        async |stand| {
            let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
            let notes = Arc::clone(&seen);
            let handler = Scripted::new(move |_, n| {
                notes.lock().unwrap().push(amrutam_telemetry::current_trace_parent());
                async move { if n == 0 { Err(retry()) } else { Ok(Handled::Duplicate) } }
            });
            let _consumers = stand.consume(&handler);
            let mut event = event();
            let trace = "0af7651916cd43dd8448eb211c80319c";
            event.trace_parent = Some(TraceParent(format!("00-{trace}-b7ad6b7169203331-01")));
            stand.publisher.publish(&event).await.unwrap();
            let line = "amrutam_messages_handled_total{consumer=\"subject\",result=\"duplicate\"} ";
            eventually(line, || telemetry.render().lines().any(|l| l.starts_with(line))).await;

            let parents: Vec<_> = seen.lock().unwrap().iter().map(|parent| parent.clone().unwrap().0).collect();
            assert_eq!(parents.len(), 2);
            assert!(parents.iter().all(|parent| parent.contains(trace)), "{parents:?}");
            assert_ne!(parents[0], parents[1]);
            stand.publisher.queue_depths().await.unwrap();
            let scrape = telemetry.render();
            for start in [
                "amrutam_events_published_total{result=\"confirmed\"} ",
                "amrutam_messages_handled_total{consumer=\"subject\",result=\"retried\"} ",
                "amrutam_message_seconds_bucket{consumer=\"subject\",le=\"0.005\"} ",
                "amrutam_queue_messages{queue=\"test-",
            ] {
                assert!(scrape.lines().any(|line| line.starts_with(start)), "{start} is not in\n{scrape}");
            }
        },
    )
    .await;
}
