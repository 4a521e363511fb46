//! One random history, and then rest.

use crate::{
    cast::Stage,
    interleave::{Act, finish, step},
    oracle::violations,
    wrap::{Wrapped, WrappedGateway},
};
use amrutam_booking::{
    model::{CancelReason, Consultation, ConsultationStatus, EndReason, IdentityCheck, Mode},
    use_cases::{Book, Cancel, book, cancel, complete, end, expire_holds, no_show, reschedule, start},
};
use amrutam_identity::PolicyTable;
use amrutam_kernel::{
    Actor, AggregateRef, Clock, Context, CorrelationId, EventEnvelope, EventId, Handled, IdSource, Role, TimeRange,
};
use amrutam_memory::{Clinic, Fault, GatewayFault, RefundMode};
use amrutam_payments::{
    model::{GatewayEventId, MoneyState, Webhook, WebhookNews},
    ports::PaymentGateway,
    use_cases::{reconcile, record_webhook, retry_payment, run_due_tasks, sweep_deadlines},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

const STEPS: u32 = 120;
/// Use cases that run in each other's way.
const AT_ONCE: usize = 4;

/// What is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutant {
    None,
    /// Consumers forget what they have handled.
    InboxOff,
    /// The gateway heeds no key and does not say it again: a refund asked for twice is made twice.
    NoKeys,
    /// Booking never hears of money for a visit that has expired.
    LateMoneyIgnored,
    /// A refund is decided, and that it is to be made is not written down.
    RefundTasksLost,
    /// One kind of journal is missing.
    LedgerForgets,
    /// Nobody looks at the gateway for what notifications did not say.
    NoPolls,
    /// Payments never hears that a visit was called off.
    CancellationsIgnored,
}

impl Mutant {
    pub(crate) const ALL: &[Self] = &[
        Self::InboxOff,
        Self::NoKeys,
        Self::LateMoneyIgnored,
        Self::RefundTasksLost,
        Self::LedgerForgets,
        Self::NoPolls,
        Self::CancellationsIgnored,
    ];
}

/// What happened, over all histories.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tally {
    pub(crate) bookings: u64,
    pub(crate) captures: u64,
    pub(crate) late: u64,
    pub(crate) late_confirmed: u64,
    pub(crate) unconfirmable: u64,
    pub(crate) refunds: u64,
    pub(crate) settled: u64,
    pub(crate) crashes: u64,
    pub(crate) redelivered: u64,
    pub(crate) webhooks_lost: u64,
    pub(crate) reviews: u64,
    pub(crate) resolved: u64,
    pub(crate) given_up: u64,
    pub(crate) strays: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.bookings += other.bookings;
        self.captures += other.captures;
        self.late += other.late;
        self.late_confirmed += other.late_confirmed;
        self.unconfirmable += other.unconfirmable;
        self.refunds += other.refunds;
        self.settled += other.settled;
        self.crashes += other.crashes;
        self.redelivered += other.redelivered;
        self.webhooks_lost += other.webhooks_lost;
        self.reviews += other.reviews;
        self.resolved += other.resolved;
        self.given_up += other.given_up;
        self.strays += other.strays;
    }

    pub(crate) fn assert_eventful(&self) {
        let all = [
            self.bookings,
            self.captures,
            self.late,
            self.late_confirmed,
            self.unconfirmable,
            self.refunds,
            self.settled,
            self.crashes,
            self.redelivered,
            self.webhooks_lost,
            self.reviews,
            self.resolved,
            self.strays,
        ];
        assert!(all.iter().all(|count| *count >= 20), "too little happened: {self:?}");
    }
}

/// A queued event, and for whom.
#[derive(Debug, Clone)]
struct Queued {
    consumer: &'static str,
    event: EventEnvelope,
}

pub(crate) struct Play<'a> {
    pub(crate) clinic: &'a Clinic,
    pub(crate) store: &'a Wrapped<'a>,
    stage: &'a Stage,
    gateways: Vec<Arc<dyn PaymentGateway>>,
    mutant: Mutant,
    queue: RefCell<Vec<Queued>>,
    notices: RefCell<Vec<(GatewayEventId, WebhookNews)>>,
    numbered: Cell<u64>,
    /// Each event that a consumer said it had handled.
    pub(crate) handled: RefCell<BTreeSet<(&'static str, EventId)>>,
    pub(crate) reviews: RefCell<Vec<EventEnvelope>>,
    pub(crate) tally: RefCell<Tally>,
}

/// Plays the history of a seed, lets everything come to rest, and tells what is wrong then.
pub(crate) fn play(stage: &Stage, seed: u64, mutant: Mutant) -> (Tally, Vec<String>) {
    let clinic = stage.clinic.fork(seed);
    if mutant == Mutant::NoKeys {
        clinic.gateway.ignore_keys();
    }
    let store = Wrapped { world: &clinic.world, mutant, effects: Mutex::default() };
    let play = Play {
        clinic: &clinic,
        store: &store,
        stage,
        gateways: vec![Arc::new(WrappedGateway(clinic.gateway.clone()))],
        mutant,
        queue: RefCell::default(),
        notices: RefCell::default(),
        numbered: Cell::new(0),
        handled: RefCell::default(),
        reviews: RefCell::default(),
        tally: RefCell::default(),
    };
    let mut wrong = play.history();
    if wrong.is_empty() {
        wrong = play.rest();
    }
    let tally = play.tally.borrow().clone();
    (tally, wrong)
}

impl<'a> Play<'a> {
    fn below(&self, bound: usize) -> usize {
        usize::try_from(self.clinic.ids.below(bound as u64)).unwrap()
    }

    fn pick<'b, T>(&self, among: &'b [T]) -> Option<&'b T> {
        if among.is_empty() { None } else { among.get(self.below(among.len())) }
    }

    fn booking(&self) -> amrutam_booking::use_cases::Deps<'_> {
        amrutam_booking::use_cases::Deps { store: self.store, ..self.clinic.deps() }
    }

    fn payments(&self) -> amrutam_payments::use_cases::Deps<'_> {
        amrutam_payments::use_cases::Deps {
            store: self.store,
            gateways: &self.gateways,
            policy: &PolicyTable,
            ..self.clinic.payment_deps()
        }
    }

    fn system(&self) -> Context {
        self.clinic.context(Actor::System("test"))
    }

    fn now(&self) -> Timestamp {
        self.clinic.clock.now()
    }

    /// Use cases in each other's way; some are dropped at an await, as when their process dies.
    fn history(&self) -> Vec<String> {
        let mut under_way: Vec<Act<'_>> = Vec::new();
        for at in 0..STEPS {
            if under_way.len() < AT_ONCE && self.below(3) > 0 {
                under_way.extend(self.act());
            }
            if self.below(12) == 0 {
                self.trouble();
            }
            for _ in 0..self.below(12) {
                if under_way.is_empty() {
                    break;
                }
                let which = self.below(under_way.len());
                if self.below(150) == 0 {
                    self.tally.borrow_mut().crashes += 1;
                    drop(under_way.swap_remove(which));
                } else if step(&mut under_way[which]) {
                    drop(under_way.swap_remove(which));
                }
            }
            let look = at % 10 == 0;
            let wrong = if look { self.clinic.world.violations() } else { Vec::new() };
            if !wrong.is_empty() {
                return wrong.into_iter().map(|text| format!("step {at}: {text}")).collect();
            }
        }
        Vec::new()
    }

    fn trouble(&self) {
        match self.below(8) {
            0 => self.clinic.world.fail_next_commits([Fault::LostAnswer]),
            1 => self.clinic.world.fail_next_commits([Fault::Unavailable]),
            2 => self.clinic.world.fail_next_commits([Fault::Stale]),
            3 => self.clinic.gateway.fail_next_calls([GatewayFault::LostAnswer]),
            4 => self.clinic.gateway.fail_next_calls([[
                GatewayFault::LostRequest,
                GatewayFault::Stored { done: self.below(2) == 0 },
                GatewayFault::Limited(Some(Duration::from_secs(20))),
                GatewayFault::Rejected,
            ][self.below(4)]
            .clone()]),
            5 => self.clinic.gateway.set_away(self.below(3) == 0),
            6 => self.clinic.gateway.set_refunds([RefundMode::AtOnce, RefundMode::Pending][self.below(2)]),
            _ => self.clinic.gateway.end_refunds(self.below(4) > 0),
        }
    }

    fn act(&self) -> Option<Act<'_>> {
        Some(match self.below(26) {
            0..=2 => self.book()?,
            3..=4 | 23..=24 => self.pay()?,
            5 => self.decline()?,
            6..=10 => self.deliver()?,
            11..=13 => Box::pin(async {
                let _ = run_due_tasks(self.payments(), 3).await;
            }),
            14..=15 => self.notify()?,
            16..=17 | 22 => self.visit()?,
            18 => Box::pin(async {
                let _ = expire_holds(self.booking(), &self.system(), 10).await;
            }),
            19 => Box::pin(async {
                let _ = sweep_deadlines(self.payments(), &self.system(), 10).await;
            }),
            20 | 25 => self.resolve()?,
            _ => {
                let wait = [5, 20, 60, 300, 900, 3_600, 20_000][self.below(7)];
                self.clinic.clock.advance(SignedDuration::from_secs(wait));
                return None;
            }
        })
    }

    fn book(&self) -> Option<Act<'_>> {
        let patient = *self.pick(&self.stage.patients)?;
        let slot = *self.pick(&self.stage.slots)?;
        Some(Box::pin(async move {
            let command = Book {
                doctor: self.clinic.doctor,
                slot,
                mode: Mode::Video,
                reason: None,
                for_dependent: None,
                idempotency: None,
            };
            if book(self.booking(), &self.clinic.patient(patient), command).await.is_ok() {
                self.tally.borrow_mut().bookings += 1;
            }
        }))
    }

    /// A patient pays an order: one of their own that is open, or one whose page they left open.
    fn pay(&self) -> Option<Act<'_>> {
        let payments = self.clinic.world.payments();
        let payment = self.pick(&payments)?;
        let order = payment.order_ref()?;
        // Twice only now and then, as only now and then two attempts run beside each other.
        if !payment.state.is_unpaid() && self.below(25) > 0 {
            return None;
        }
        let wrong = self.below(40) == 0;
        let amount = if wrong { payment.amount.percent(50) } else { payment.amount };
        self.clinic.gateway.pay(order, amount)?;
        let mut tally = self.tally.borrow_mut();
        tally.captures += 1;
        tally.late += u64::from(payment.visit.hold_until.is_some_and(|until| until <= self.now()));
        None
    }

    fn decline(&self) -> Option<Act<'_>> {
        let payments = self.clinic.world.payments();
        let payment = self.pick(&payments)?;
        let (order, parties) = (payment.order_ref()?, payment.parties?);
        self.clinic.gateway.decline(order, "card_declined")?;
        Some(Box::pin(async move {
            let patient = self.clinic.patient(parties.patient);
            let _ = retry_payment(self.payments(), &patient, parties.consultation, None).await;
        }))
    }

    /// The relay and the broker: to every consumer, in whatever order, sometimes again.
    fn relay(&self) {
        for event in self.clinic.world.drain_outbox() {
            let mut queue = self.queue.borrow_mut();
            if event.event_type == "payment.review_needed.v1" {
                self.tally.borrow_mut().reviews += 1;
                self.reviews.borrow_mut().push(event.clone());
            }
            let deaf = self.mutant == Mutant::CancellationsIgnored && event.event_type == "consultation.cancelled.v1";
            if event.event_type.starts_with("consultation.") && !deaf || event.event_type == "review.resolved.v1" {
                queue.push(Queued { consumer: "payments", event: event.clone() });
            }
            if amrutam_booking::use_cases::BINDINGS.contains(&event.event_type.as_str()) {
                queue.push(Queued { consumer: "booking", event });
            }
        }
    }

    fn deliver(&self) -> Option<Act<'_>> {
        self.relay();
        let queued = {
            let mut queue = self.queue.borrow_mut();
            if queue.is_empty() {
                return None;
            }
            // Mostly in order; a retried one is overtaken.
            let which = if self.below(4) == 0 { self.below(queue.len()) } else { 0 };
            queue.remove(which)
        };
        // Unacknowledged until it is handled: whatever becomes of this try, it comes again.
        self.queue.borrow_mut().push(queued.clone());
        Some(Box::pin(self.handle(queued)))
    }

    async fn handle(&self, queued: Queued) {
        let event = &queued.event;
        let handled = if queued.consumer == "booking" {
            if self.ignores(event) {
                self.queue.borrow_mut().retain(|other| other.event.id != event.id);
                return;
            } else {
                amrutam_booking::use_cases::handle(self.booking(), event).await.map_err(|error| error.to_string())
            }
        } else {
            amrutam_payments::use_cases::handle(self.payments(), event).await.map_err(|error| error.to_string())
        };
        if let Ok(handled) = handled {
            self.handled.borrow_mut().insert((queued.consumer, event.id));
            if handled == Handled::Duplicate {
                self.tally.borrow_mut().redelivered += 1;
            }
            // Now and then the acknowledgement is lost.
            if self.below(5) > 0 {
                let same = |other: &Queued| other.event.id == event.id && other.consumer == queued.consumer;
                let mut queue = self.queue.borrow_mut();
                if let Some(at) = queue.iter().position(same) {
                    queue.remove(at);
                }
            }
        }
    }

    fn ignores(&self, event: &EventEnvelope) -> bool {
        let id = event.payload["consultation_id"].as_str().unwrap_or_default().to_owned();
        let now = self.now();
        let expired =
            |visit: &Consultation| visit.id.to_string() == id && visit.status_at(now) == ConsultationStatus::Expired;
        self.mutant == Mutant::LateMoneyIgnored && self.clinic.world.consultations().iter().any(expired)
    }

    /// The gateway notifies: in whatever order, sometimes again, sometimes not at all.
    fn collect_notices(&self) {
        for news in self.clinic.gateway.drain_notices() {
            if self.below(6) == 0 {
                self.tally.borrow_mut().webhooks_lost += 1;
                continue;
            }
            let number = self.numbered.get() + 1;
            self.numbered.set(number);
            self.notices.borrow_mut().push((format!("evt_{number}").parse().unwrap(), news));
        }
    }

    fn notify(&self) -> Option<Act<'_>> {
        self.collect_notices();
        let (event, news) = {
            let mut notices = self.notices.borrow_mut();
            if notices.is_empty() {
                return None;
            }
            let which = self.below(notices.len());
            if self.below(3) == 0 { notices[which].clone() } else { notices.remove(which) }
        };
        Some(Box::pin(async move {
            let webhook = Webhook { event, at: None, news };
            let gateway = self.gateways[0].name();
            if record_webhook(self.payments(), &self.system(), gateway, &webhook).await.is_err() {
                // It is answered with an error, so it comes again.
                self.notices.borrow_mut().push((webhook.event, webhook.news));
            }
        }))
    }

    /// What people do with a visit.
    fn visit(&self) -> Option<Act<'_>> {
        let visits = self.clinic.world.consultations();
        let visit = self.pick(&visits)?.clone();
        let doctor = self.clinic.context(Actor::Account { id: self.clinic.doctor_account, role: Role::Doctor });
        let patient = self.clinic.patient(visit.patient);
        let deps = self.booking();
        let what = self.below(12);
        // Now and then its time has come.
        let begins = visit.range.start() - SignedDuration::from_mins(5);
        if visit.status == ConsultationStatus::Confirmed && self.below(3) == 0 && self.now() < begins {
            self.clinic.clock.set(begins + SignedDuration::from_mins([0, 20][self.below(2)]));
        }
        let to = *self.pick(&self.stage.slots)?;
        let id = visit.id;
        Some(Box::pin(async move {
            match what {
                0..=1 => {
                    let command = Cancel { id, reason: CancelReason::PatientOther, idempotency: None };
                    cancel(deps, &patient, command).await.ok();
                }
                2 => {
                    let command = Cancel { id, reason: CancelReason::DoctorUnavailable, idempotency: None };
                    cancel(deps, &doctor, command).await.ok();
                }
                3 => {
                    reschedule(deps, &patient, id, to, None).await.ok();
                }
                4..=5 => {
                    start(deps, &doctor, id, IdentityCheck::Asked, None).await.ok();
                }
                6..=7 => {
                    complete(deps, &doctor, id, None, None).await.ok();
                }
                8 => {
                    end(deps, &doctor, id, EndReason::TechnicalIssue, None).await.ok();
                }
                9 => {
                    end(deps, &patient, id, EndReason::DoctorLeft, None).await.ok();
                }
                10 => {
                    no_show(deps, &doctor, id, None).await.ok();
                }
                _ => {
                    no_show(deps, &patient, id, None).await.ok();
                }
            }
        }))
    }

    /// A person decides a case; now and then one that is moot by now.
    fn resolve(&self) -> Option<Act<'_>> {
        let needed = {
            let reviews = self.reviews.borrow();
            self.pick(&reviews)?.clone()
        };
        let choices = needed.payload["choices"].as_array()?;
        let choice = self.pick(choices)?["choice"].clone();
        self.resolved(&needed, &choice);
        None
    }

    fn resolved(&self, needed: &EventEnvelope, choice: &serde_json::Value) {
        self.tally.borrow_mut().resolved += 1;
        let now = self.now();
        let case = self.clinic.ids.uuid_v7(now);
        let event = EventEnvelope {
            id: EventId::from_uuid(self.clinic.ids.uuid_v7(now)),
            event_type: "review.resolved.v1".to_owned(),
            aggregate: AggregateRef { kind: "review".to_owned(), id: case, version: 1 },
            occurred_at: now,
            actor: "admin:test".to_owned(),
            correlation_id: CorrelationId::from(case),
            trace_parent: None,
            payload: serde_json::json!({
                "case": case,
                "kind": "payment",
                "subject": { "kind": needed.aggregate.kind, "id": needed.aggregate.id },
                "reason": needed.payload["reason"],
                "asked_version": needed.aggregate.version,
                "choice": choice,
            }),
        };
        self.queue.borrow_mut().push(Queued { consumer: "payments", event });
    }

    /// No more trouble, and nobody does anything: what is left to be done is done.
    fn rest(&self) -> Vec<String> {
        self.clinic.world.clear_faults();
        self.clinic.gateway.recover();
        self.clinic.gateway.set_refunds(RefundMode::AtOnce);
        self.come_to_rest();
        // The daily job finds what no notification told and no look met: money that came after the last look.
        let days = TimeRange::new(self.stage.clinic.clock.now(), self.now() + SignedDuration::from_hours(1)).unwrap();
        let gateway = self.gateways[0].name();
        finish(reconcile(self.payments(), &self.system(), gateway, days)).unwrap();
        self.come_to_rest();
        // A person works off the cases; some are left open.
        let cases = self.reviews.borrow().clone();
        for needed in cases.iter().filter(|_| self.below(2) == 0) {
            let choices = needed.payload["choices"].as_array().cloned().unwrap_or_default();
            if let Some(choice) = self.pick(&choices) {
                self.resolved(needed, &choice["choice"]);
            }
        }
        self.come_to_rest();
        let twice = finish(reconcile(self.payments(), &self.system(), gateway, days)).unwrap();
        self.count();
        let mut wrong = violations(self);
        if twice.differences > 0 {
            wrong.push(format!("reconciliation finds {} differences in its own result", twice.differences));
        }
        wrong
    }

    fn come_to_rest(&self) {
        // Two weeks: beyond every deadline, lease and look.
        let end = self.now() + SignedDuration::from_hours(14 * 24);
        loop {
            self.settle();
            let next = self.clinic.world.next_gateway_task_at();
            let looks = self.clinic.world.payments().into_iter().filter_map(|payment| payment.look_at).min();
            let holds = self.clinic.world.consultations().into_iter().filter_map(|visit| visit.hold_expires_at).min();
            let Some(next) = [next, looks, holds].into_iter().flatten().min().filter(|next| *next < end) else { break };
            self.clinic.clock.set(next.max(self.now()));
        }
        self.settle();
    }

    fn settle(&self) {
        for _ in 0..200 {
            self.relay();
            self.clinic.gateway.end_refunds(true);
            for news in self.clinic.gateway.drain_notices() {
                let number = self.numbered.get() + 1;
                self.numbered.set(number);
                self.notices.borrow_mut().push((format!("evt_{number}").parse().unwrap(), news));
            }
            let (events, notices) = (self.queue.borrow().clone(), std::mem::take(&mut *self.notices.borrow_mut()));
            for (event, news) in notices {
                let webhook = Webhook { event, at: None, news };
                let gateway = self.gateways[0].name();
                finish(record_webhook(self.payments(), &self.system(), gateway, &webhook)).unwrap();
            }
            for queued in &events {
                finish(self.handle(queued.clone()));
            }
            let ran = if self.mutant == Mutant::NoPolls {
                let only =
                    |task: &amrutam_payments::model::GatewayTask| task.kind != amrutam_payments::model::TaskKind::Poll;
                let tasks = finish(self.clinic.payment_deps().store.claim_tasks(SignedDuration::from_hours(9_999), 50));
                let tasks: Vec<_> = tasks.unwrap().into_iter().filter(only).collect();
                for task in &tasks {
                    finish(amrutam_payments::use_cases::run_task(self.payments(), task)).unwrap();
                }
                tasks.len()
            } else {
                finish(run_due_tasks(self.payments(), 50)).unwrap().len()
            };
            let expired = finish(expire_holds(self.booking(), &self.system(), 100)).unwrap();
            let swept = finish(sweep_deadlines(self.payments(), &self.system(), 100)).unwrap();
            let quiet = self.queue.borrow().is_empty() && self.clinic.world.outbox().is_empty();
            if quiet && ran + expired + swept == 0 && self.notices.borrow().is_empty() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn count(&self) {
        let mut tally = self.tally.borrow_mut();
        for payment in self.clinic.world.payments() {
            tally.settled += u64::from(payment.state == MoneyState::Settled);
            tally.strays += payment.captures.len().saturating_sub(1) as u64;
        }
        let tasks = self.clinic.world.gateway_tasks();
        tally.given_up += tasks.iter().filter(|(_, error, over)| *over && error.is_some()).count() as u64;
        tally.refunds += self.clinic.gateway.refunds().len() as u64;
        for visit in self.clinic.world.consultations() {
            let store: &dyn amrutam_booking::ports::ConsultationStore = &self.clinic.world;
            let timeline = finish(store.timeline(visit.id)).unwrap().judge(Clone::clone);
            tally.unconfirmable += timeline.iter().filter(|entry| entry.cause == "late_payment").count() as u64;
            let back = |pair: &[amrutam_booking::model::TimelineEntry]| {
                pair[0].cause == "hold_expired" && pair[1].cause == "paid"
            };
            tally.late_confirmed += timeline.windows(2).filter(|pair| back(pair)).count() as u64;
        }
    }
}
