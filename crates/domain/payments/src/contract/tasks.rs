//! What is to be done at a gateway.

use super::{
    Harness,
    stage::{Stage, minutes, word},
};
use crate::model::{GatewayTask, TaskEnd, TaskKind};
use crate::ports::{Locator, PaymentChanges, PaymentStore};
use amrutam_kernel::{CommitError, GatewayTaskId};
use futures::{channel::oneshot, future::join_all};
use jiff::SignedDuration;
use std::{collections::BTreeSet, sync::Arc};

const LEASE: SignedDuration = SignedDuration::from_secs(60);
/// More than a case takes, less than what it waits for: a store's own clock goes on meanwhile.
const MARGIN: SignedDuration = SignedDuration::from_secs(25);

async fn claim(stage: &Stage<'_>, limit: u16) -> Vec<GatewayTask> {
    stage.store.claim_tasks(LEASE, limit).await.unwrap()
}

fn ids(tasks: &[GatewayTask]) -> Vec<GatewayTaskId> {
    tasks.iter().map(|task| task.id).collect()
}

async fn end(stage: &Stage<'_>, task: &GatewayTask, end: TaskEnd) -> Result<(), CommitError> {
    let ended = Some((task.id, task.claims, end));
    stage.store.commit(&PaymentChanges { ended, ..PaymentChanges::default() }).await
}

/// Whole, of every kind, and no more than asked for.
pub async fn a_task_is_claimed_when_due_earliest_first(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let of = word("pay").parse().unwrap();
    let tasks = [
        stage.task(&payment, TaskKind::Poll, 3),
        stage.task(&payment, TaskKind::OpenOrder, 1),
        stage.task(&payment, TaskKind::Refund { of }, 2),
        stage.task(&payment, TaskKind::Poll, 60),
    ];
    stage.put(&tasks).await;
    assert_eq!(claim(&stage, 10).await, []);
    harness.pass(minutes(10)).await;
    let first = claim(&stage, 2).await;
    assert_eq!(ids(&first), [tasks[1].id, tasks[2].id]);
    let second = claim(&stage, 10).await;
    assert_eq!(ids(&second), [tasks[0].id]);
    for claimed in first.iter().chain(&second) {
        let put = tasks.iter().find(|task| task.id == claimed.id).unwrap();
        let same = GatewayTask { due_at: claimed.due_at, tries: 1, claims: 1, ..put.clone() };
        assert_eq!(*claimed, same);
    }
}

/// Then it is due again, one try and one claim on.
pub async fn a_claimed_task_is_nobody_elses_until_its_lease_ends(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    stage.put(&[stage.task(&payment, TaskKind::Poll, -1)]).await;
    assert_eq!(claim(&stage, 10).await.len(), 1);
    harness.pass(LEASE - MARGIN).await;
    assert_eq!(claim(&stage, 10).await, []);
    harness.pass(MARGIN * 2).await;
    let again = claim(&stage, 10).await;
    assert_eq!(again.iter().map(|task| (task.tries, task.claims)).collect::<Vec<_>>(), [(2, 2)]);
}

/// Done and dead ones come no more, others when they said.
pub async fn a_tasks_ends_are_kept(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let error = || "the gateway is away: contract".to_owned();
    let at = stage.now + minutes(30);
    let ends = [
        (TaskEnd::Done, false),
        (TaskEnd::Dead { error: error() }, false),
        (TaskEnd::Again { at }, true),
        (TaskEnd::Retry { at, error: error() }, true),
        (TaskEnd::Wait { at, error: error() }, true),
        (TaskEnd::Rest { at, error: error() }, true),
        (TaskEnd::Renew { at, error: error() }, true),
    ];
    let tasks: Vec<_> = ends.iter().map(|_| stage.task(&payment, TaskKind::Poll, -1)).collect();
    stage.put(&tasks).await;
    let claimed = claim(&stage, 10).await;
    assert_eq!(claimed.len(), ends.len());
    for (task, (ended, _)) in tasks.iter().zip(&ends) {
        let claimed = claimed.iter().find(|claimed| claimed.id == task.id).unwrap();
        end(&stage, claimed, ended.clone()).await.unwrap();
    }
    harness.pass(LEASE + MARGIN).await;
    assert_eq!(claim(&stage, 10).await, []);
    harness.pass(minutes(30)).await;
    let due: BTreeSet<_> = ids(&claim(&stage, 10).await).into_iter().collect();
    let expected = tasks.iter().zip(&ends).filter(|(_, (_, comes))| *comes).map(|(task, _)| task.id);
    assert_eq!(due, expected.collect());
    let live = stage.store.snapshot(Locator::Id(payment.id), None).await.unwrap().undisclosed().tasks;
    assert_eq!(live.len(), 5);
}

/// A retry uses a try up, waiting does not, another turn begins anew; claims always rise.
pub async fn a_tries_number_is_kept_by_its_end(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    stage.put(&[stage.task(&payment, TaskKind::Poll, -1)]).await;
    let at = stage.now - minutes(1);
    let error = || "contract".to_owned();
    let ends = [
        (TaskEnd::Retry { at, error: error() }, 2),
        (TaskEnd::Retry { at, error: error() }, 3),
        (TaskEnd::Wait { at, error: error() }, 3),
        (TaskEnd::Wait { at, error: error() }, 3),
        (TaskEnd::Again { at }, 1),
        (TaskEnd::Retry { at, error: error() }, 2),
        (TaskEnd::Rest { at, error: error() }, 1),
        (TaskEnd::Wait { at, error: error() }, 1),
    ];
    let mut task = claim(&stage, 1).await.remove(0);
    for (claims, (ended, tries)) in (2..).zip(ends) {
        end(&stage, &task, ended.clone()).await.unwrap();
        task = claim(&stage, 1).await.remove(0);
        assert_eq!((task.tries, task.claims), (tries, claims), "after {ended:?}");
    }
}

/// By that the gateway is asked under another key each time.
pub async fn only_a_renewal_is_counted_as_one(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    stage.put(&[stage.task(&payment, TaskKind::Poll, -1)]).await;
    let at = stage.now - minutes(1);
    let error = || "contract".to_owned();
    let mut task = claim(&stage, 1).await.remove(0);
    let first = task.idempotency_key();
    assert_eq!(first, task.key);
    let ends = [
        (TaskEnd::Renew { at, error: error() }, 1),
        (TaskEnd::Rest { at, error: error() }, 1),
        (TaskEnd::Retry { at, error: error() }, 1),
        (TaskEnd::Renew { at, error: error() }, 2),
    ];
    let mut keys = BTreeSet::from([first]);
    for (ended, renewals) in ends {
        end(&stage, &task, ended.clone()).await.unwrap();
        task = claim(&stage, 1).await.remove(0);
        assert_eq!((task.renewals, &task.key), (renewals, keys.first().unwrap()), "after {ended:?}");
        keys.insert(task.idempotency_key());
    }
    assert_eq!(keys.len(), 3);
    let live = stage.store.snapshot(Locator::Id(payment.id), None).await.unwrap().undisclosed().tasks;
    assert_eq!(live.iter().map(|task| task.renewals).collect::<Vec<_>>(), [2]);
}

/// Whoever has lost the task says nothing about it any more, and nothing that comes with it is committed.
pub async fn an_end_by_a_lapsed_claim_is_refused(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    stage.put(&[stage.task(&payment, TaskKind::Poll, -1)]).await;
    let lapsed = claim(&stage, 1).await.remove(0);
    harness.pass(LEASE + MARGIN).await;
    let current = claim(&stage, 1).await.remove(0);
    let next = stage.next(&payment, |_| {});
    let mut changes = stage.update(&next, crate::model::StepKind::Captured);
    changes.ended = Some((lapsed.id, lapsed.claims, TaskEnd::Done));
    let refused = stage.store.commit(&changes).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
    assert_eq!(stage.read(&payment).await, payment);
    changes.ended = Some((current.id, current.claims, TaskEnd::Done));
    stage.store.commit(&changes).await.unwrap();
    assert_eq!(stage.read(&payment).await, next);
    let twice = end(&stage, &current, TaskEnd::Done).await;
    assert!(matches!(twice, Err(CommitError::Stale)), "{twice:?}");
}

/// It becomes due at the earlier of the two times.
pub async fn a_live_task_stands_for_another_of_its_key(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let first = stage.task(&payment, TaskKind::Poll, 30);
    let again = |due_in| GatewayTask { key: first.key.clone(), ..stage.task(&payment, TaskKind::Poll, due_in) };
    stage.put(std::slice::from_ref(&first)).await;
    stage.put(&[again(60)]).await;
    stage.put(&[again(10)]).await;
    let live = stage.store.snapshot(Locator::Id(payment.id), None).await.unwrap().undisclosed().tasks;
    assert_eq!(ids(&live), [first.id]);
    harness.pass(minutes(11)).await;
    assert_eq!(ids(&claim(&stage, 10).await), [first.id]);
    // One that is at work stands for another, too.
    stage.put(&[again(0)]).await;
    assert_eq!(claim(&stage, 10).await, []);
}

/// With the same key.
pub async fn a_task_that_is_over_makes_room_for_another(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let mut task = stage.task(&payment, TaskKind::Poll, -1);
    for ended in [TaskEnd::Done, TaskEnd::Dead { error: "contract".to_owned() }, TaskEnd::Done] {
        stage.put(std::slice::from_ref(&task)).await;
        let claimed = claim(&stage, 10).await;
        assert_eq!(ids(&claimed), [task.id]);
        end(&stage, &claimed[0], ended).await.unwrap();
        task = GatewayTask { key: task.key.clone(), ..stage.task(&payment, TaskKind::Poll, -1) };
    }
}

/// The live ones, by key.
pub async fn tasks_are_read_with_their_payment(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let (payment, other) = (stage.created().await, stage.created().await);
    let mut tasks: Vec<_> = (1..4).map(|due_in| stage.task(&payment, TaskKind::Poll, due_in)).collect();
    stage.put(&tasks).await;
    stage.put(&[stage.task(&other, TaskKind::OpenOrder, 1)]).await;
    tasks.sort_by(|one, other| one.key.cmp(&other.key));
    let read = stage.store.snapshot(Locator::Id(payment.id), None).await.unwrap().undisclosed().tasks;
    assert_eq!(read, tasks);
}

/// And none is left over.
pub async fn of_many_who_claim_each_task_has_one(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let tasks: Vec<_> = (0..40).map(|_| stage.task(&payment, TaskKind::Poll, -1)).collect();
    stage.put(&tasks).await;
    let claims = (0..8).map(|_| {
        let (tell, told) = oneshot::channel();
        let store: Arc<dyn PaymentStore> = harness.payments();
        harness.spawn(Box::pin(async move {
            let mut mine = Vec::new();
            loop {
                let claimed = store.claim_tasks(LEASE, 3).await.unwrap();
                if claimed.is_empty() {
                    break;
                }
                mine.extend(claimed.into_iter().map(|task| task.id));
            }
            tell.send(mine).ok();
        }));
        told
    });
    let mut claimed: Vec<_> = join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    claimed.extend(ids(&claim(&stage, 100).await));
    claimed.sort_unstable();
    let mut all = ids(&tasks);
    all.sort_unstable();
    assert_eq!(claimed, all);
}
