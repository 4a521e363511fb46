//! Payments, their steps and the ledger.

use super::{
    Harness, id,
    stage::{Stage, answer, claim_of, minutes, rupees, word},
};
use crate::model::{
    GatewayEventId, GatewayName, GatewayPayment, MoneyState, Move, Payment, PaymentSighting, Refund, RefundReason,
    RefundStep, Review, ReviewReason, Ruling, Side, StepKind, VisitFate, unclaimed,
};
use crate::ports::{Booked, Locator, PaymentChanges, PaymentStore, PaymentWrite};
use amrutam_kernel::{
    CommitError, ConsultationId, Currency, Effects, EventId, GatewayTaskId, InboxMark, PaymentId, Recorded, TimeRange,
};
use futures::channel::oneshot;
use std::sync::Arc;

fn gateway() -> GatewayName {
    "fake".parse().unwrap()
}

/// By none of its names.
pub async fn a_payment_that_is_not_there_reads_as_absent(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let unknown = PaymentId::of(ConsultationId::from_uuid(id(stage.now)));
    let (order, capture) = (word("order").parse().unwrap(), word("pay").parse().unwrap());
    let gateway = gateway();
    let task = GatewayTaskId::from_uuid(id(stage.now));
    let names = [
        Locator::Id(unknown),
        Locator::Order(&gateway, &order),
        Locator::Capture(&gateway, &capture),
        Locator::Task(task),
    ];
    for locator in names {
        let read = stage.store.snapshot(locator, None).await.unwrap().undisclosed();
        assert_eq!((read.payment, read.tasks, read.recorded), (None, vec![], None), "{locator:?}");
    }
    assert_eq!(stage.store.timeline(unknown).await.unwrap().undisclosed(), []);
    assert_eq!(stage.store.balances().await.unwrap().values().sum::<i64>(), 0);
}

/// With everything that is optional and with nothing of it, and with what came along.
pub async fn a_payment_reads_back_whole(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.payment().await;
    let creation = stage.creation(&payment);
    stage.store.commit(&creation).await.unwrap();
    assert_eq!(stage.read(&payment).await, payment);
    assert_eq!(stage.store.timeline(payment.id).await.unwrap().undisclosed(), creation.timeline);
    assert_eq!(harness.announced(payment.id.as_uuid()).await, [creation.effects.events[0].id]);
    assert_eq!(harness.audited(&payment.id.to_string()).await, [creation.effects.audit[0].id]);

    let full = full(&stage, &payment);
    stage.store.commit(&stage.update(&full, StepKind::Captured)).await.unwrap();
    assert_eq!(stage.read(&payment).await, full);
}

fn full(stage: &Stage<'_>, payment: &Payment) -> Payment {
    let refund = |step, reason| Refund {
        amount: rupees(99),
        reason,
        round: 2,
        step,
        decided_at: stage.now,
        returned: vec!["rfnd_old".parse().unwrap()],
    };
    let reference = word("refund").parse().unwrap();
    let steps = [
        RefundStep::Asked,
        RefundStep::Pending { reference: word("refund").parse().unwrap() },
        RefundStep::Processed { reference: Some(reference), at: stage.now },
        RefundStep::Processed { reference: None, at: stage.now },
        RefundStep::Failed { code: "bank_refused".to_owned() },
    ];
    let captures = steps.into_iter().zip(RefundReason::ALL).map(|(step, reason)| crate::model::Capture {
        refund: Some(refund(step, *reason)),
        written_off: 7,
        foreign_refunds: vec![("rfnd_7".parse().unwrap(), 7)],
        ..stage.capture(rupees(499), stage.now)
    });
    let captures: Vec<_> = captures.collect();
    stage.next(payment, |next| {
        next.state = MoneyState::Captured;
        next.order = Some(stage.order(payment));
        next.order_opened_at = Some(stage.now);
        next.failed_attempts = vec![word("pay").parse().unwrap(), word("pay").parse().unwrap()];
        next.reviews = ReviewReason::ALL
            .iter()
            .zip([Some(rupees(1)), None].into_iter().cycle())
            .map(|(reason, amount)| Review {
                reason: *reason,
                amount,
                of: amount.map(|_| captures[0].reference.clone()),
                covers: captures.iter().map(|capture| capture.reference.clone()).collect(),
                asked_version: 3,
                looking: amount.is_none(),
            })
            .collect();
        next.captures = captures;
        next.announced_at = Some(stage.now);
        next.ruling = Some(Ruling::RefundByPolicy { as_of: stage.now });
        next.look_at = Some(stage.now + minutes(60));
    })
}

/// Words and fates.
pub async fn every_state_of_money_and_visit_reads_back(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let mut payment = stage.created().await;
    let fates = [
        VisitFate::Open,
        VisitFate::Confirmed,
        VisitFate::Expired,
        VisitFate::Cancelled { by: Side::Patient, at: stage.now, unpaid: false },
        VisitFate::Cancelled { by: Side::Doctor, at: stage.now, unpaid: true },
        VisitFate::NoShow { absent: Side::Doctor },
        VisitFate::Completed,
        VisitFate::BrokenOff { by: Side::Patient, at: stage.now },
        VisitFate::Unconfirmable,
        VisitFate::Unknown,
    ];
    let rulings = [None, Some(Ruling::RefundFull), Some(Ruling::Earned), Some(Ruling::WrittenOff)];
    for (at, state) in MoneyState::ALL.iter().enumerate() {
        payment = stage.next(&payment, |next| {
            next.state = *state;
            next.visit.fate = fates[at % fates.len()];
            next.visit.version += 1;
            next.visit.hold_until = None;
            next.visit.least_notice = (at % 2 == 0).then(|| minutes(90));
            next.ruling = rulings[at % rulings.len()];
        });
        let kind = StepKind::ALL[at % StepKind::ALL.len()];
        stage.store.commit(&stage.update(&payment, kind)).await.unwrap();
        assert_eq!(stage.read(&payment).await, payment);
    }
}

/// Nobody's name is on it, and all else is as with any payment.
pub async fn unclaimed_money_is_kept_like_any_other(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let gateway = gateway();
    let seen = GatewayPayment {
        reference: word("pay").parse().unwrap(),
        order: None,
        payment: None,
        amount: rupees(499),
        refunded: rupees(0),
        state: PaymentSighting::Captured,
        at: stage.now,
    };
    let found = unclaimed(&gateway, &seen, stage.now);
    let capture = crate::model::Capture { reference: seen.reference.clone(), ..stage.capture(seen.amount, stage.now) };
    let moved = Move::captured(&found, &capture);
    let payment = stage.next(&found, |next| {
        next.state = MoneyState::Captured;
        next.captures = vec![capture];
    });
    let mut changes = stage.update(&payment, StepKind::StrayCaptured);
    changes.payment = Some(PaymentWrite::Create(payment.clone()));
    changes.journals = vec![stage.journal(&payment, &moved)];
    stage.store.commit(&changes).await.unwrap();
    assert!(matches!(stage.store.commit(&changes).await, Err(CommitError::Stale)), "it is there");
    let read = stage.store.snapshot(Locator::Capture(&gateway, &seen.reference), None).await.unwrap().undisclosed();
    assert_eq!(read.payment, Some(payment));
    let balances = stage.store.balances().await.unwrap();
    assert_eq!(balances.get(&("unclaimed_receipts".to_owned(), Currency::Inr)), Some(&-49_900));
}

/// By its id, its order, each of its captures, each of its tasks; by the same name at another gateway it is not.
pub async fn a_payment_is_found_by_each_of_its_names(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let (payment, other) = (stage.created().await, stage.created().await);
    let known = stage.next(&payment, |next| {
        next.state = MoneyState::Captured;
        next.order = Some(stage.order(&payment));
        next.order_opened_at = Some(stage.now);
        next.captures = vec![stage.capture(rupees(499), stage.now), stage.capture(rupees(499), stage.now)];
    });
    stage.store.commit(&stage.update(&known, StepKind::Captured)).await.unwrap();
    let task = stage.task(&payment, crate::model::TaskKind::Poll, 1);
    stage.put(std::slice::from_ref(&task)).await;
    let (here, elsewhere) = (gateway(), "elsewhere".parse().unwrap());
    let order = known.order_ref().unwrap();
    for locator in [
        Locator::Id(payment.id),
        Locator::Order(&here, order),
        Locator::Capture(&here, &known.captures[0].reference),
        Locator::Capture(&here, &known.captures[1].reference),
        Locator::Task(task.id),
    ] {
        let found = stage.store.snapshot(locator, None).await.unwrap().undisclosed().payment;
        assert_eq!(found.map(|found| found.id), Some(payment.id), "{locator:?}");
    }
    for locator in [Locator::Order(&elsewhere, order), Locator::Capture(&elsewhere, &known.captures[0].reference)] {
        assert_eq!(stage.store.snapshot(locator, None).await.unwrap().undisclosed().payment, None, "{locator:?}");
    }
    assert_eq!(stage.read(&other).await, other);
}

/// A second creation is stale.
pub async fn a_payment_is_made_once(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let again = stage.store.commit(&stage.creation(&payment)).await;
    assert!(matches!(again, Err(CommitError::Stale)), "{again:?}");
    assert_eq!(harness.announced(payment.id.as_uuid()).await.len(), 1);
}

/// Its revision is the guard, not its version.
pub async fn a_payment_at_another_revision_refuses_the_commit(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let unannounced = Payment { revision: 2, look_at: Some(stage.now), ..payment.clone() };
    let silent =
        PaymentChanges { payment: Some(PaymentWrite::Update(unannounced.clone())), ..PaymentChanges::default() };
    stage.store.commit(&silent).await.unwrap();
    for revision in [1, 2, 4] {
        let late = Payment { revision, ..stage.next(&payment, |_| {}) };
        let refused = stage.store.commit(&stage.update(&late, StepKind::Failed)).await;
        assert!(matches!(refused, Err(CommitError::Stale)), "{revision}: {refused:?}");
    }
    let missing = stage.payment().await;
    let refused = stage.store.commit(&stage.update(&stage.next(&missing, |_| {}), StepKind::Failed)).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");
    assert_eq!(stage.read(&payment).await, unannounced);
}

/// None of its parts.
pub async fn a_refused_payment_commit_changes_nothing(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let late = Payment { revision: 7, ..stage.next(&payment, |next| next.state = MoneyState::Failed) };
    let mut changes = stage.update(&late, StepKind::Failed);
    let capture = stage.capture(rupees(499), stage.now);
    changes.journals.push(stage.journal(&payment, &Move::captured(&payment, &capture)));
    changes.tasks.push(stage.task(&payment, crate::model::TaskKind::Poll, 0));
    let event: GatewayEventId = word("evt").parse().unwrap();
    changes.seen = Some((gateway(), event.clone()));
    let (caller, mark) =
        (payment.patient().unwrap(), InboxMark { consumer: "payments", event: EventId::from_uuid(id(stage.now)) });
    let claim = claim_of(caller);
    changes.effects =
        Effects { inbox: Some(mark.clone()), answer: Some((claim.clone(), answer())), ..stage.effects(&late) };
    let refused = stage.store.commit(&changes).await;
    assert!(matches!(refused, Err(CommitError::Stale)), "{refused:?}");

    let read = stage.store.snapshot(Locator::Id(payment.id), Some(&claim)).await.unwrap().undisclosed();
    assert_eq!((read.payment, read.tasks, read.recorded), (Some(payment.clone()), vec![], None));
    assert_eq!(stage.store.timeline(payment.id).await.unwrap().undisclosed().len(), 1);
    assert_eq!(stage.store.balances().await.unwrap().len(), 0);
    assert_eq!(harness.announced(payment.id.as_uuid()).await.len(), 1);
    assert_eq!(harness.audited(&payment.id.to_string()).await.len(), 1);
    let effects = Effects { inbox: Some(mark), ..Effects::default() };
    let alone = PaymentChanges { seen: Some((gateway(), event)), effects, ..PaymentChanges::default() };
    stage.store.commit(&alone).await.unwrap();
}

/// By the gateway's name for it; another gateway's is another.
pub async fn a_notification_is_taken_over_once(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let event: GatewayEventId = word("evt").parse().unwrap();
    let mut payment = payment;
    for (gateway, taken) in [("fake", true), ("fake", false), ("elsewhere", true), ("elsewhere", false)] {
        let next = stage.next(&payment, |_| {});
        let seen = Some((gateway.parse().unwrap(), event.clone()));
        let changes = PaymentChanges { seen, ..stage.update(&next, StepKind::AttemptFailed) };
        match stage.store.commit(&changes).await {
            Ok(()) if taken => payment = next,
            Err(CommitError::AlreadyHandled) if !taken => {}
            other => panic!("{gateway}: {other:?}"),
        }
        assert_eq!(stage.read(&payment).await, payment);
    }
}

/// The inbox.
pub async fn an_event_moves_money_once(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let mark = InboxMark { consumer: "payments", event: EventId::from_uuid(id(stage.now)) };
    let next = stage.next(&payment, |next| next.state = MoneyState::Cancelled);
    let mut changes = stage.update(&next, StepKind::Cancelled);
    changes.effects.inbox = Some(mark.clone());
    stage.store.commit(&changes).await.unwrap();
    let again = stage.next(&next, |_| {});
    let mut changes = stage.update(&again, StepKind::Cancelled);
    changes.effects.inbox = Some(mark);
    let refused = stage.store.commit(&changes).await;
    assert!(matches!(refused, Err(CommitError::AlreadyHandled)), "{refused:?}");
    assert_eq!(stage.read(&payment).await, next);
}

/// With the fingerprint it was given for.
pub async fn an_answer_about_money_is_kept(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let claim = claim_of(payment.patient().unwrap());
    let effects = Effects { answer: Some((claim.clone(), answer())), ..Effects::default() };
    let changes = PaymentChanges { effects, ..PaymentChanges::default() };
    stage.store.commit(&changes).await.unwrap();
    let again = stage.store.commit(&changes).await;
    assert!(matches!(again, Err(CommitError::AlreadyAnswered)), "{again:?}");
    let read = stage.store.snapshot(Locator::Id(payment.id), Some(&claim)).await.unwrap().undisclosed();
    assert_eq!(read.recorded, Some(Recorded::Same(answer())));
}

/// A refusal on the record, an event that is none of ours.
pub async fn payment_effects_alone_are_committed(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.payment().await;
    let effects = stage.effects(&payment);
    stage.store.commit(&PaymentChanges { effects: effects.clone(), ..PaymentChanges::default() }).await.unwrap();
    assert_eq!(harness.announced(payment.id.as_uuid()).await, [effects.events[0].id]);
    assert_eq!(harness.audited(&payment.id.to_string()).await, [effects.audit[0].id]);
}

/// Also those of one commit.
pub async fn steps_are_ordered_by_version(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let mut steps = stage.store.timeline(payment.id).await.unwrap().undisclosed();
    let mut next = stage.next(&payment, |next| next.version += 1);
    let mut changes = stage.update(&next, StepKind::Settled);
    let earlier = Payment { version: 2, ..next.clone() };
    changes.timeline.insert(0, stage.step(&earlier, StepKind::Captured));
    stage.store.commit(&changes).await.unwrap();
    steps.extend(changes.timeline);
    next = stage.next(&next, |_| {});
    let changes = stage.update(&next, StepKind::Ruled);
    stage.store.commit(&changes).await.unwrap();
    steps.extend(changes.timeline);
    assert_eq!(stage.store.timeline(payment.id).await.unwrap().undisclosed(), steps);
}

/// Each account's debits less its credits.
pub async fn journals_add_up_and_balance(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let capture = stage.capture(rupees(499), stage.now);
    let moves = [
        Move::captured(&payment, &capture),
        Move::retained(rupees(99)),
        Move::refund_decided(&payment, rupees(400)),
        Move::refund_processed(&payment.gateway, rupees(400)),
    ];
    let next = stage.next(&payment, |_| {});
    let mut changes = stage.update(&next, StepKind::Captured);
    changes.journals = moves.iter().map(|moved| stage.journal(&payment, moved)).collect();
    stage.store.commit(&changes).await.unwrap();
    let balances = stage.store.balances().await.unwrap();
    let balance = |account: &str| balances.get(&(account.to_owned(), Currency::Inr)).copied();
    assert_eq!(balance("gateway_receivable:fake"), Some(9900));
    assert_eq!(balance("cancellation_fees"), Some(-9900));
    assert_eq!(balance("patient_deposits"), Some(0));
    assert_eq!(balance("refunds_payable"), Some(0));
    assert_eq!(balances.len(), 4);
}

/// Earliest first, up to the limit.
pub async fn payments_that_are_overdue_are_found(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let mut waiting = Vec::new();
    for due_in in [3, 1, 2, 30] {
        let payment = Payment { look_at: Some(stage.now + minutes(due_in)), ..stage.payment().await };
        stage.store.commit(&stage.creation(&payment)).await.unwrap();
        waiting.push(payment.id);
    }
    stage.created().await;
    let overdue = async |after, limit| stage.store.overdue(stage.now + minutes(after), limit).await.unwrap();
    assert_eq!(overdue(0, 10).await, []);
    assert_eq!(overdue(3, 10).await, [waiting[1], waiting[2], waiting[0]]);
    assert_eq!(overdue(60, 2).await, [waiting[1], waiting[2]]);
}

/// Those of one gateway, page by page without loss or repetition.
pub async fn captures_and_refunds_are_listed_by_time(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let mut expected = Vec::new();
    for minute in [5, 3, 4] {
        let payment = stage.created().await;
        let at = stage.now + minutes(minute);
        let mut capture = stage.capture(rupees(499), at);
        let refund = word("refund").parse::<crate::model::GatewayRefundRef>().unwrap();
        let step = RefundStep::Processed { reference: Some(refund.clone()), at: at + minutes(10) };
        let reason = RefundReason::VisitCancelled;
        capture.refund =
            Some(Refund { amount: rupees(99), reason, round: 0, step, decided_at: stage.now, returned: Vec::new() });
        let booked = |refund: Option<_>, amount, at| Booked {
            payment: payment.id,
            of: capture.reference.clone(),
            refund,
            amount,
            at,
        };
        expected.push(booked(None, rupees(499), at));
        expected.push(booked(Some(refund), rupees(99), at + minutes(10)));
        let mut pending = stage.capture(rupees(1), stage.now + minutes(minute + 100));
        let step = RefundStep::Asked;
        pending.refund =
            Some(Refund { amount: rupees(1), reason, round: 0, step, decided_at: stage.now, returned: Vec::new() });
        expected.push(Booked {
            of: pending.reference.clone(),
            ..booked(None, rupees(1), stage.now + minutes(minute + 100))
        });
        let next = stage.next(&payment, |next| {
            next.state = MoneyState::Refunded;
            next.captures = vec![capture, pending];
        });
        stage.store.commit(&stage.update(&next, StepKind::Refunded)).await.unwrap();
    }
    expected.sort_by_key(|booked| booked.at);
    let range = |from, to| TimeRange::new(stage.now + minutes(from), stage.now + minutes(to)).unwrap();
    let all = stage.store.booked(&gateway(), range(0, 1_000), None, 100).await.unwrap();
    assert_eq!(all, expected);
    let some = stage.store.booked(&gateway(), range(4, 15), None, 100).await.unwrap();
    let inside = |booked: &&Booked| range(4, 15).contains(booked.at);
    assert_eq!(some, expected.iter().filter(inside).cloned().collect::<Vec<_>>());
    assert_eq!(stage.store.booked(&"elsewhere".parse().unwrap(), range(0, 1_000), None, 100).await.unwrap(), []);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = stage.store.booked(&gateway(), range(0, 1_000), after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last().cloned() else { break };
        after = Some(last);
        paged.extend(page);
    }
    assert_eq!(paged, expected);
}

/// Runs these commits at the same time; how many were committed, while all others were refused for that.
async fn at_once(harness: &dyn Harness, commits: Vec<PaymentChanges>) -> usize {
    let mut answers = Vec::new();
    for changes in commits {
        let (tell, told) = oneshot::channel();
        let store: Arc<dyn PaymentStore> = harness.payments();
        answers.push(told);
        harness.spawn(Box::pin(async move {
            tell.send(store.commit(&changes).await).ok();
        }));
    }
    let mut committed = 0;
    for answer in answers {
        match answer.await.unwrap() {
            Ok(()) => committed += 1,
            Err(CommitError::Stale | CommitError::Busy | CommitError::AlreadyHandled) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    committed
}

/// Of many changes of one state.
pub async fn one_payment_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.created().await;
    let next = stage.next(&payment, |next| next.state = MoneyState::Failed);
    let commits = (0..8).map(|_| stage.update(&next, StepKind::Failed)).collect();
    assert_eq!(at_once(harness, commits).await, 1);
    assert_eq!(stage.store.timeline(payment.id).await.unwrap().undisclosed().len(), 2);
}

/// Of many beginnings.
pub async fn one_creation_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let payment = stage.payment().await;
    let commits = (0..8).map(|_| stage.creation(&payment)).collect();
    assert_eq!(at_once(harness, commits).await, 1);
    assert_eq!(harness.announced(payment.id.as_uuid()).await.len(), 1);
}

/// Of many deliveries.
pub async fn one_notification_has_one_winner(harness: &dyn Harness) {
    let stage = Stage::of(harness);
    let event: GatewayEventId = word("evt").parse().unwrap();
    let payment = stage.payment().await;
    let seen = Some((gateway(), event));
    let commits = (0..8).map(|_| PaymentChanges {
        seen: seen.clone(),
        effects: stage.effects(&payment),
        ..PaymentChanges::default()
    });
    assert_eq!(at_once(harness, commits.collect()).await, 1);
    assert_eq!(harness.announced(payment.id.as_uuid()).await.len(), 1);
}
