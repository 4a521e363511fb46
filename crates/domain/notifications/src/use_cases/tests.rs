use super::*;
use crate::{
    CONSULTATION_CONFIRMED, CONSUMER, Channel, Contact, Mail, MessageKind, PlanError, ScheduledMessage, SkipReason,
    Sms, SmsTemplates, VisitFacts, VisitStatus,
    model::tests::{FakeIds, NOW, PAGES, START, at, contact, event, facts, visit_event},
    ports::{MailError, Settled, SmsError, Watch},
};
use amrutam_kernel::{
    AccountId, AuditEntry, AuditTrail, CommitError, ConsultationId, Dependency, Effects, Handled, InboxMark, MessageId,
    PortError, Unrecorded,
};
use async_trait::async_trait;
use futures::{executor::block_on, future::BoxFuture};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

struct Row {
    message: ScheduledMessage,
    not_before: Timestamp,
    settled: Option<Settled>,
}

/// The world, small: what is planned, who can be reached, what the mail server says, and the time.
struct World {
    rows: Mutex<Vec<Row>>,
    inbox: Mutex<Vec<Effects>>,
    visit: Mutex<Result<Option<VisitFacts>, ()>>,
    contact: Option<Contact>,
    refuses: Mutex<HashMap<MessageId, MailError>>,
    sent: Mutex<Vec<Mail>>,
    templates: Option<SmsTemplates>,
    refuses_texts: Mutex<Vec<SmsError>>,
    texts: Mutex<Vec<Sms>>,
    watched: Mutex<Vec<MessageId>>,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
    now: Mutex<Timestamp>,
    slow_claim: SignedDuration,
    slow_read: SignedDuration,
    settle_fails: bool,
    record: Mutex<Result<Vec<AuditEntry>, ()>>,
    ids: FakeIds,
}

impl World {
    fn new() -> Self {
        Self {
            rows: Mutex::default(),
            inbox: Mutex::default(),
            visit: Mutex::new(Ok(Some(facts(VisitStatus::Confirmed, at(START))))),
            contact: Some(contact()),
            refuses: Mutex::default(),
            sent: Mutex::default(),
            templates: None,
            refuses_texts: Mutex::default(),
            texts: Mutex::default(),
            watched: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
            now: Mutex::new(at(NOW)),
            slow_claim: SignedDuration::ZERO,
            slow_read: SignedDuration::ZERO,
            settle_fails: false,
            record: Mutex::new(Ok(Vec::new())),
            ids: FakeIds::default(),
        }
    }

    fn deps(&self) -> Deps<'_> {
        let (clock, ids, pages) = (self, &self.ids, PAGES);
        let texts = self.templates.as_ref().map(|templates| Texts { sender: self, templates });
        Deps { messages: self, visits: self, contacts: self, trail: self, pages, mailer: self, texts, clock, ids }
    }

    fn set_now(&self, text: &str) {
        *self.now.lock().unwrap() = at(text);
    }

    fn plan_confirmation(&self) -> MessageId {
        block_on(plan_messages(self.deps(), &visit_event(CONSULTATION_CONFIRMED, at(START), 1))).unwrap();
        self.rows.lock().unwrap()[0].message.id
    }

    fn deliver(&self) -> DeliverySummary {
        block_on(deliver_due(self.deps(), self, 100)).unwrap()
    }

    /// Whose contact was read, by what the record says since it was last asked.
    fn reached(&self) -> Vec<AccountId> {
        let entries = std::mem::take(self.record.lock().unwrap().as_mut().unwrap());
        entries.iter().for_each(|entry| assert_eq!(entry.action, "contact.read"));
        entries.into_iter().filter_map(|entry| entry.patient).collect()
    }

    fn settled(&self, id: MessageId) -> Option<Settled> {
        self.rows.lock().unwrap().iter().find(|r| r.message.id == id).and_then(|r| r.settled.clone())
    }
}

impl amrutam_kernel::Clock for World {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }
}

#[async_trait]
impl crate::ports::MessageStore for World {
    async fn plan(&self, messages: &[ScheduledMessage], effects: &Effects) -> Result<(), CommitError> {
        let mut inbox = self.inbox.lock().unwrap();
        if inbox.iter().any(|seen| seen.inbox == effects.inbox) {
            return Err(CommitError::AlreadyHandled);
        }
        inbox.push(effects.clone());
        let mut rows = self.rows.lock().unwrap();
        for message in messages {
            if rows.iter().all(|r| r.message.dedupe_key != message.dedupe_key) {
                rows.push(Row { message: message.clone(), not_before: message.due_at, settled: None });
            }
        }
        Ok(())
    }

    async fn claim_due(&self, lease: SignedDuration, limit: u16) -> Result<Vec<ScheduledMessage>, PortError> {
        let now = *self.now.lock().unwrap();
        let mut claimed = Vec::new();
        for row in self.rows.lock().unwrap().iter_mut() {
            let open = matches!(row.settled, None | Some(Settled::RetryAt { .. } | Settled::MaybeSent { .. }));
            if open && row.not_before <= now && claimed.len() < usize::from(limit) {
                row.message.attempts += 1;
                row.not_before = now + lease;
                claimed.push(row.message.clone());
            }
        }
        *self.now.lock().unwrap() += self.slow_claim;
        Ok(claimed)
    }

    async fn settle(&self, id: MessageId, attempt: u32, settled: Settled) -> Result<bool, PortError> {
        if self.settle_fails {
            return Err(PortError::unavailable(Dependency::Database, "away"));
        }
        let mut rows = self.rows.lock().unwrap();
        let row = rows.iter_mut().find(|r| r.message.id == id && r.message.attempts == attempt);
        let Some(row) = row else { return Ok(false) };
        if let Settled::RetryAt { at, .. } | Settled::MaybeSent { at, .. } = &settled {
            row.not_before = *at;
        }
        row.message.maybe_sent |= matches!(settled, Settled::MaybeSent { .. });
        row.settled = Some(settled);
        Ok(true)
    }
}

#[async_trait]
impl crate::ports::VisitReader for World {
    async fn visit(&self, _: ConsultationId) -> Result<Option<VisitFacts>, PortError> {
        self.visit.lock().unwrap().clone().map_err(|()| PortError::unavailable(Dependency::Database, "away"))
    }
}

#[async_trait]
impl crate::ports::Contacts for World {
    async fn contact(&self, account: AccountId) -> Result<Option<Unrecorded<Contact>>, PortError> {
        *self.now.lock().unwrap() += self.slow_read;
        Ok(self.contact.clone().map(|contact| Unrecorded::new(Contact { account, ..contact })))
    }
}

#[async_trait]
impl AuditTrail for World {
    async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), PortError> {
        let mut record = self.record.lock().unwrap();
        let known = record.as_mut().map_err(|()| PortError::unavailable(Dependency::Database, "away"))?;
        known.extend(entries);
        Ok(())
    }
}

#[async_trait]
impl crate::ports::Mailer for World {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(under_way, Ordering::SeqCst);
        let mut turns = 3;
        futures::future::poll_fn(|context| {
            turns -= 1;
            context.waker().wake_by_ref();
            if turns == 0 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        if let Some(error) = self.refuses.lock().unwrap().get(&mail.message) {
            return Err(error.clone());
        }
        self.sent.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

#[async_trait]
impl crate::ports::SmsSender for World {
    async fn send(&self, sms: &Sms) -> Result<(), SmsError> {
        if let Some(error) = self.refuses_texts.lock().unwrap().pop() {
            return Err(error);
        }
        self.texts.lock().unwrap().push(sms.clone());
        Ok(())
    }
}

impl Watch for World {
    fn watch<'a>(
        &'a self,
        message: &ScheduledMessage,
        delivery: BoxFuture<'a, Option<Settled>>,
    ) -> BoxFuture<'a, Option<Settled>> {
        self.watched.lock().unwrap().push(message.id);
        delivery
    }
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn the_use_cases_can_run_on_any_thread() {
    let world = World::new();
    drop(is_send(deliver_due(world.deps(), &world, 1)));
    drop(is_send(plan_messages(world.deps(), &visit_event(CONSULTATION_CONFIRMED, at(START), 1))));
}

#[test]
fn a_redelivered_event_adds_nothing_and_every_event_is_marked() {
    let world = World::new();
    let confirmed = visit_event(CONSULTATION_CONFIRMED, at(START), 1);
    for expected in [Handled::Applied, Handled::Duplicate] {
        assert_eq!(block_on(plan_messages(world.deps(), &confirmed)).unwrap(), expected);
    }
    assert_eq!(world.rows.lock().unwrap().len(), 3);
    let other = block_on(plan_messages(world.deps(), &event("doctor.verified.v1", json!({}), 7)));
    assert_eq!(other.unwrap(), Handled::Ignored);
    let malformed = block_on(plan_messages(world.deps(), &event(CONSULTATION_CONFIRMED, json!({}), 8)));
    assert!(matches!(malformed, Err(PlanError::Malformed(_))));
    let marks: Vec<_> = world.inbox.lock().unwrap().iter().map(|effects| effects.inbox.clone()).collect();
    let mark = |number| Some(InboxMark { consumer: CONSUMER, event: event("", json!({}), number).id });
    assert_eq!(marks, [mark(1), mark(7)], "what was not handled is not marked");
}

#[test]
fn each_message_goes_out_once_at_its_time() {
    let world = World::new();
    world.plan_confirmation();
    let sent_at = |now| {
        world.set_now(now);
        (world.deliver().sent, world.deliver().claimed)
    };
    assert_eq!(sent_at(NOW), (1, 0));
    assert_eq!(sent_at("2026-08-02T04:59:59Z"), (0, 0));
    assert_eq!(sent_at("2026-08-02T05:00:00Z"), (1, 0));
    assert_eq!(sent_at("2026-08-03T04:00:00Z"), (1, 0));
    assert_eq!(world.sent.lock().unwrap().len(), 3);
}

#[test]
fn a_cancelled_visit_is_not_reminded_of_and_nobody_writes_to_a_closed_account() {
    let mut world = World::new();
    let id = world.plan_confirmation();
    *world.visit.lock().unwrap() = Ok(Some(facts(VisitStatus::Cancelled, at(START))));
    assert_eq!(world.deliver(), DeliverySummary { claimed: 1, skipped: 1, ..DeliverySummary::default() });
    assert_eq!(world.settled(id), Some(Settled::Skipped { reason: SkipReason::NotConfirmed, at: at(NOW) }));

    *world.visit.lock().unwrap() = Ok(Some(facts(VisitStatus::Confirmed, at(START))));
    world.contact = None;
    world.set_now("2026-08-02T05:00:00Z");
    assert_eq!(world.deliver().skipped, 1);
    assert_eq!(world.sent.lock().unwrap().len(), 0);
}

#[test]
fn whoever_is_reached_has_it_on_the_record_first_and_nobody_who_is_not() {
    let mut world = World::new();
    let id = world.plan_confirmation();
    let recipient = world.rows.lock().unwrap()[0].message.recipient;
    *world.visit.lock().unwrap() = Err(());
    world.deliver();
    assert_eq!(world.reached(), [], "nothing of the recipient was read");
    *world.visit.lock().unwrap() = Ok(Some(facts(VisitStatus::Confirmed, at(START))));
    // What can't be put on the record is not sent.
    *world.record.lock().unwrap() = Err(());
    world.set_now("2026-08-01T05:10:00Z");
    assert_eq!(world.deliver(), DeliverySummary { claimed: 1, retried: 1, ..DeliverySummary::default() });
    assert_eq!(world.sent.lock().unwrap().len(), 0);
    *world.record.lock().unwrap() = Ok(Vec::new());
    // Each time it is tried, whatever becomes of it.
    world.refuses.lock().unwrap().insert(id, MailError::Transient("busy".to_owned()));
    world.set_now("2026-08-01T05:20:00Z");
    world.deliver();
    assert_eq!(world.reached(), [recipient]);
    world.refuses.lock().unwrap().clear();
    world.set_now("2026-08-01T05:30:00Z");
    assert_eq!(world.deliver().sent, 1);
    assert_eq!(world.reached(), [recipient]);
    world.contact = None;
    world.set_now("2026-08-02T05:00:00Z");
    assert_eq!(world.deliver().skipped, 1);
    assert_eq!(world.reached(), [], "who is gone was not reached");
}

#[test]
fn a_busy_mail_server_is_tried_again_and_a_refusal_is_not() {
    let world = World::new();
    let id = world.plan_confirmation();
    world.refuses.lock().unwrap().insert(id, MailError::Transient("busy".to_owned()));
    assert_eq!(world.deliver(), DeliverySummary { claimed: 1, retried: 1, ..DeliverySummary::default() });
    let retry_at = at(NOW) + SignedDuration::from_millis(500);
    assert_eq!(world.settled(id), Some(Settled::RetryAt { at: retry_at, error: "busy".to_owned() }));

    world.set_now("2026-08-01T05:00:00.499999Z");
    assert_eq!(world.deliver().claimed, 0);
    world.set_now("2026-08-01T05:00:00.5Z");
    world.refuses.lock().unwrap().insert(id, MailError::Permanent("550".to_owned()));
    assert_eq!(world.deliver(), DeliverySummary { claimed: 1, gave_up: 1, ..DeliverySummary::default() });
    world.set_now("2026-08-01T20:00:00Z");
    assert_eq!(world.deliver().claimed, 0);
}

#[test]
fn an_outage_of_an_hour_delays_and_drops_nothing() {
    let world = World::new();
    let id = world.plan_confirmation();
    world.refuses.lock().unwrap().insert(id, MailError::Transient("away".to_owned()));
    let (back, mut attempts) = (at(NOW) + SignedDuration::from_hours(1), 0);
    while world.sent.lock().unwrap().is_empty() {
        if *world.now.lock().unwrap() >= back {
            world.refuses.lock().unwrap().clear();
        }
        attempts += world.deliver().claimed;
        *world.now.lock().unwrap() += SignedDuration::from_millis(500);
        assert!(*world.now.lock().unwrap() < back + SignedDuration::from_mins(5) + SignedDuration::from_secs(1));
    }
    assert!((12..=40).contains(&attempts), "{attempts}");
}

#[test]
fn a_read_that_fails_is_an_attempt_that_failed() {
    let world = World::new();
    let id = world.plan_confirmation();
    *world.visit.lock().unwrap() = Err(());
    assert_eq!(world.deliver().retried, 1);
    assert!(
        matches!(world.settled(id), Some(Settled::RetryAt { error, .. }) if error == "the database is unavailable: away")
    );
}

#[test]
fn an_unsettled_send_is_repeated_under_the_same_message_id() {
    let mut world = World::new();
    world.plan_confirmation();
    world.settle_fails = true;
    assert_eq!(world.deliver(), DeliverySummary { claimed: 1, unsettled: 1, ..DeliverySummary::default() });
    world.settle_fails = false;
    assert_eq!(world.deliver().claimed, 0, "the lease holds");
    *world.now.lock().unwrap() += lease_for(100);
    assert_eq!(world.deliver().sent, 1);
    let sent = world.sent.lock().unwrap();
    assert_eq!(sent[0].message_id("x"), sent[1].message_id("x"));
}

#[test]
fn nothing_is_sent_that_could_outlive_its_lease() {
    let too_long = lease_for(100) - SEND_BUDGET + SignedDuration::from_micros(1);
    for (slow_claim, slow_read) in [(too_long, SignedDuration::ZERO), (SignedDuration::ZERO, too_long)] {
        let world = World { slow_claim, slow_read, ..World::new() };
        let id = world.plan_confirmation();
        assert_eq!(world.deliver(), DeliverySummary { claimed: 1, unsettled: 1, ..DeliverySummary::default() });
        assert_eq!(world.sent.lock().unwrap().len(), 0);
        assert_eq!(*world.watched.lock().unwrap(), [id]);
    }
    assert_eq!(lease_for(CONCURRENT_SENDS), SignedDuration::from_secs(30));
}

#[test]
fn a_mail_that_may_have_been_taken_is_sent_once_more_and_no_third_time() {
    let world = World::new();
    let id = world.plan_confirmation();
    let answer = |error| world.refuses.lock().unwrap().insert(id, error);
    answer(MailError::Unknown("lost".to_owned()));
    assert_eq!(world.deliver().retried, 1);
    let soonest = at(NOW) + SignedDuration::from_secs(4);
    assert!(matches!(world.settled(id), Some(Settled::MaybeSent { at, .. }) if at >= soonest));

    *world.now.lock().unwrap() += SignedDuration::from_mins(5);
    answer(MailError::Transient("busy".to_owned()));
    assert_eq!(world.deliver().retried, 1, "this time it was surely not taken");

    *world.now.lock().unwrap() += SignedDuration::from_mins(5);
    answer(MailError::Unknown("lost".to_owned()));
    assert_eq!(world.deliver().gave_up, 1);
    *world.now.lock().unwrap() += SignedDuration::from_mins(5);
    assert_eq!(world.deliver().claimed, 0);
}

#[test]
fn a_few_at_a_time() {
    let world = World::new();
    world.plan_confirmation();
    {
        let mut rows = world.rows.lock().unwrap();
        let first = rows[0].message.clone();
        for n in 0..40 {
            let id = MessageId::from_uuid(uuid::Uuid::from_u64_pair(9, n));
            let message = ScheduledMessage { id, kind: MessageKind::BookingConfirmed, ..first.clone() };
            rows.push(Row { message, not_before: at(NOW), settled: None });
        }
    }
    assert_eq!(world.deliver().sent, 41);
    assert_eq!(world.most_under_way.load(Ordering::SeqCst), usize::from(CONCURRENT_SENDS));
}

/// With texts.
fn texting() -> World {
    let templates = SmsTemplates::new(|kind| Some(format!("1707{:02}", kind as u8))).unwrap();
    World { templates: Some(templates), ..World::new() }
}

/// What became of the texts, in the order of their kinds.
fn texts_of(world: &World) -> Vec<(MessageKind, u32, Option<Settled>)> {
    let rows = world.rows.lock().unwrap();
    let texts = rows.iter().filter(|row| row.message.channel == Channel::Sms);
    texts.map(|row| (row.message.kind, row.message.attempts, row.settled.clone())).collect()
}

#[test]
fn where_texts_are_sent_a_confirmation_is_a_mail_and_a_text_and_the_last_reminder_too() {
    let world = texting();
    for _ in 0..2 {
        drop(block_on(plan_messages(world.deps(), &visit_event(CONSULTATION_CONFIRMED, at(START), 1))));
    }
    let kinds: Vec<_> = texts_of(&world).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, [MessageKind::BookingConfirmed, MessageKind::Reminder1h], "the day before, a mail is enough");
    assert_eq!(world.deliver().sent, 2);
    assert_eq!(world.deliver().claimed, 0, "once");
    let texts = world.texts.lock().unwrap();
    assert_eq!((texts.len(), world.sent.lock().unwrap().len()), (1, 1));
    assert_eq!((texts[0].to.expose().as_str(), texts[0].template.as_str()), ("+919812345678", "170700"));
    assert_eq!(
        texts[0].text.expose(),
        "Amrutam: your appointment on Mon 3 Aug 2026, 10:30 IST with Dr. Asha Nair, BAMS, MD (Ayurveda), Reg. No. KL-12345 is \
         confirmed."
    );
}

#[test]
fn nobody_is_texted_who_has_no_number_in_india_and_nothing_is_where_texts_are_off() {
    for phone in [None, Some("+4915112345678")] {
        let phone = phone.map(|phone| amrutam_kernel::Sensitive::new(phone.to_owned()));
        let world = World { contact: Some(Contact { phone, ..contact() }), ..texting() };
        world.plan_confirmation();
        assert_eq!((world.deliver().sent, world.texts.lock().unwrap().len()), (1, 0));
        let skipped = Settled::Skipped { reason: SkipReason::NoPhone, at: at(NOW) };
        assert_eq!(texts_of(&world)[0], (MessageKind::BookingConfirmed, 1, Some(skipped)));
        assert_eq!(world.reached().len(), 1, "by the mail alone");
    }
    let mut world = texting();
    world.plan_confirmation();
    world.templates = None;
    assert_eq!((world.deliver().sent, texts_of(&world).len()), (1, 2));
    let skipped = Settled::Skipped { reason: SkipReason::ChannelOff, at: at(NOW) };
    assert_eq!(texts_of(&world)[0].2, Some(skipped));
    let off = World::new();
    off.plan_confirmation();
    assert_eq!(texts_of(&off), []);
}

#[test]
fn a_text_is_true_when_it_is_sent_or_is_not_sent() {
    let world = texting();
    world.plan_confirmation();
    *world.visit.lock().unwrap() = Ok(Some(facts(VisitStatus::Cancelled, at(START))));
    world.deliver();
    let skipped = Settled::Skipped { reason: SkipReason::NotConfirmed, at: at(NOW) };
    assert_eq!(texts_of(&world)[0].2, Some(skipped));
}

#[test]
fn a_provider_that_asks_to_wait_is_left_alone_so_long_and_a_refusal_is_final() {
    let busy = |seconds| SmsError::Transient {
        reason: "busy".to_owned(),
        retry_after: Some(std::time::Duration::from_secs(seconds)),
    };
    let world = texting();
    world.plan_confirmation();
    world.refuses_texts.lock().unwrap().push(busy(90));
    world.deliver();
    let later = Settled::RetryAt { at: at(NOW) + SignedDuration::from_secs(90), error: "busy".to_owned() };
    assert_eq!(texts_of(&world)[0], (MessageKind::BookingConfirmed, 1, Some(later)));
    *world.now.lock().unwrap() += SignedDuration::from_secs(89);
    assert_eq!(world.deliver().claimed, 0);
    *world.now.lock().unwrap() += SignedDuration::from_secs(1);
    world.refuses_texts.lock().unwrap().push(SmsError::Permanent("http_400".to_owned()));
    assert_eq!(world.deliver(), DeliverySummary { claimed: 1, gave_up: 1, ..DeliverySummary::default() });

    // Longer than the text is worth anything.
    let world = texting();
    world.plan_confirmation();
    world.refuses_texts.lock().unwrap().push(busy(25 * 3_600));
    assert_eq!(world.deliver().gave_up, 1);
}

#[test]
fn a_text_that_may_have_been_taken_is_sent_once_more_and_no_third_time() {
    let world = texting();
    world.plan_confirmation();
    for (minutes, gave_up) in [(0, 0), (5, 1)] {
        *world.now.lock().unwrap() += SignedDuration::from_mins(minutes);
        world.refuses_texts.lock().unwrap().push(SmsError::Unknown("lost".to_owned()));
        assert_eq!(world.deliver().gave_up, gave_up);
    }
    *world.now.lock().unwrap() += SignedDuration::from_mins(5);
    assert_eq!(world.deliver().claimed, 0);
}
