//! The suites of the ports.

use crate::support::{Database, World, becoming, insert_account, now, vault};
use amrutam_booking::{
    model::{ConsultationStatus, Mode},
    ports::{AvailabilityStore, ConsultationStore, DirectoryStore},
};
use amrutam_identity::{
    Account,
    model::AccountStatus,
    ports::{AccountChange, AccountStore, FactorStore, LinkStore, SessionGate, SessionStore},
};
use amrutam_kernel::{
    AccountId, AuditEntryId, ConsultationId, CorrelationId, Effects, EventId, MessageId, PortError, RedeliveryLedger,
    Requeue, Role, Sensitive,
};
use amrutam_notifications::{
    Channel, Contact, MessageKind, ScheduledMessage, VisitFacts, VisitMode, VisitStatus,
    ports::{Contacts, MessageStore, Settled, VisitReader},
};
use amrutam_operations::ports::{DeadLetterStore, ReviewStore};
use amrutam_postgres::{Accounts, Postgres};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

struct Real {
    store: Arc<Postgres>,
    accounts: Arc<Accounts>,
    db: Arc<Database>,
    /// A suite asks for the time again and again, and means one instant.
    began: Timestamp,
}

impl Real {
    fn on(db: Arc<Database>) -> Self {
        // Many wait for one row in the races, on a machine that is busy.
        let store = db.pool_with(|settings| settings.lock_timeout_ms = 4_000);
        let accounts = Arc::new(Accounts::new(store.clone(), vault()));
        Self { store: Arc::new(store), accounts, db, began: now() }
    }

    async fn events_about(&self, aggregate: Uuid) -> Vec<EventId> {
        let sql = "SELECT event_id::text FROM outbox WHERE aggregate_id::text = $1 AND requeue IS NULL ORDER BY seq";
        let ids = self.db.app().await.column(sql, &[&aggregate.to_string()]).await;
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    async fn entries_on(&self, resource_id: &str) -> Vec<AuditEntryId> {
        let sql = "SELECT id::text FROM audit_entries WHERE resource_id = $1";
        let ids = self.db.app().await.column(sql, &[&resource_id]).await;
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }
}

/// Among others.
async fn shared() -> Real {
    Real::on(Database::shared())
}

/// Alone.
async fn own() -> Real {
    Real::on(Arc::new(Database::new()))
}

async fn close_account(accounts: &Accounts, id: AccountId) {
    change_account(accounts, id, |account| account.status = AccountStatus::Deactivated).await;
}

async fn change_account(accounts: &Accounts, id: AccountId, change: impl FnOnce(&mut Account)) {
    let mut account = accounts.by_id(id).await.unwrap().undisclosed().unwrap();
    change(&mut account);
    account.version += 1;
    let change = AccountChange { account: &account, spend: None, void_links: None, end_sessions: None };
    accounts.update(change, &Effects::default()).await.unwrap();
}

#[async_trait]
impl amrutam_booking::contract::Harness for Real {
    fn consultations(&self) -> Arc<dyn ConsultationStore> {
        self.store.clone()
    }

    fn availability(&self) -> Arc<dyn AvailabilityStore> {
        self.store.clone()
    }

    fn directory(&self) -> Arc<dyn DirectoryStore> {
        self.store.clone()
    }

    fn now(&self) -> Timestamp {
        self.began
    }

    async fn insert_account(&self, id: AccountId, role: Role) {
        insert_account(&self.accounts, id, role).await;
    }

    async fn close_account(&self, id: AccountId) {
        close_account(&self.accounts, id).await;
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.events_about(aggregate).await
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.entries_on(resource_id).await
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }
}

#[async_trait]
impl amrutam_identity::contract::Harness for Real {
    fn accounts(&self) -> Arc<dyn AccountStore> {
        self.accounts.clone()
    }

    fn links(&self) -> Arc<dyn LinkStore> {
        self.store.clone()
    }

    fn sessions(&self) -> Arc<dyn SessionStore> {
        self.store.clone()
    }

    fn gate(&self) -> Arc<dyn SessionGate> {
        self.store.clone()
    }

    fn factors(&self) -> Arc<dyn FactorStore> {
        self.accounts.clone()
    }

    fn now(&self) -> Timestamp {
        self.began
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.events_about(aggregate).await
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.entries_on(resource_id).await
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }
}

#[async_trait]
impl amrutam_notifications::contract::Harness for Real {
    fn messages(&self) -> Arc<dyn MessageStore> {
        self.store.clone()
    }

    fn now(&self) -> Timestamp {
        self.began
    }

    async fn pass(&self, time: SignedDuration) {
        let micros = time.as_micros();
        let sql = format!(
            "UPDATE scheduled_messages SET next_attempt_at = next_attempt_at - {micros} * interval '1 us',
               leased_until = leased_until - {micros} * interval '1 us'"
        );
        self.db.owner().await.run(&sql).await;
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.events_about(aggregate).await
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.entries_on(resource_id).await
    }

    async fn dead_letters(&self, message: MessageId) -> Vec<String> {
        let sql =
            "SELECT consumer || ': ' || error FROM dead_letters WHERE subject_id::text = $1 AND source = 'message'";
        self.db.app().await.column(sql, &[&message.to_string()]).await
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }
}

#[async_trait]
impl amrutam_operations::contract::Harness for Real {
    fn letters(&self) -> Arc<dyn DeadLetterStore> {
        self.store.clone()
    }

    fn reviews(&self) -> Arc<dyn ReviewStore> {
        self.store.clone()
    }

    fn now(&self) -> Timestamp {
        self.began
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.events_about(aggregate).await
    }

    async fn requeued(&self) -> Vec<(Requeue, EventId)> {
        let rows = self.store.outbox_batch(100).await.unwrap().into_iter();
        rows.filter_map(|row| Some((row.requeue?, row.event.unwrap().id))).collect()
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.entries_on(resource_id).await
    }

    async fn give_up_message(&self, id: Uuid) {
        let message = ScheduledMessage {
            id: MessageId::from_uuid(id),
            kind: MessageKind::PasswordChanged,
            channel: Channel::Mail,
            dedupe_key: id.to_string(),
            recipient: AccountId::from_uuid(id),
            consultation: None,
            slot_starts_at: None,
            link: None,
            due_at: self.began - SignedDuration::from_secs(1),
            attempts: 0,
            maybe_sent: false,
            correlation_id: CorrelationId::from(id),
            trace_parent: None,
        };
        self.store.plan(&[message], &Effects::default()).await.unwrap();
        let claimed = self.store.claim_due(SignedDuration::from_secs(60), 1).await.unwrap().remove(0);
        let settled = Settled::GaveUp { error: "550 no".to_owned(), at: self.began };
        assert!(self.store.settle(claimed.id, claimed.attempts, settled).await.unwrap());
    }

    async fn message(&self, id: Uuid) -> (bool, u32) {
        let sql = "SELECT (status = 'scheduled' AND next_attempt_at <= now() AND leased_until IS NULL) || ' ' || attempts FROM scheduled_messages \
                   WHERE id::text = $1";
        let found = self.db.app().await.column(sql, &[&id.to_string()]).await;
        let (due, attempts) = found[0].split_once(' ').unwrap();
        (due == "true", attempts.parse().unwrap())
    }
}

#[async_trait]
impl amrutam_notifications::contract::Readers for World {
    fn visits(&self) -> Arc<dyn VisitReader> {
        Arc::new(self.store.clone())
    }

    fn contacts(&self) -> Arc<dyn Contacts> {
        Arc::new(self.accounts.clone())
    }

    async fn visits_in_every_state(&self) -> Vec<(ConsultationId, &'static str, VisitFacts)> {
        use ConsultationStatus::{Cancelled, Completed, Confirmed, Expired, InProgress, NoShow};
        let paths: [&[ConsultationStatus]; 7] = [
            &[],
            &[Confirmed],
            &[Confirmed, InProgress],
            &[Confirmed, InProgress, Completed],
            &[Expired],
            &[Cancelled],
            &[Confirmed, NoShow],
        ];
        let mut visits = Vec::new();
        for path in paths {
            let slot = self.slots(1).await.remove(0);
            let doctor = DirectoryStore::by_id(&self.store, slot.doctor).await.unwrap().unwrap().details;
            let mut visit = self.book(&slot).await.created.remove(0).consultation;
            for status in path {
                visit = becoming(&self.store, &visit, *status).await;
            }
            assert_eq!(visit.mode, Mode::Video);
            let facts = VisitFacts {
                status: VisitStatus::from_word(visit.status.as_str()),
                starts_at: visit.range.start(),
                ends_at: visit.range.end(),
                mode: VisitMode::Video,
                fee: visit.fee,
                doctor_name: doctor.full_name,
                doctor_qualification: "BAMS, MD (Ayurveda)".to_owned(),
                doctor_registration_number: doctor.registration_number,
                doctor_council: doctor.council,
            };
            visits.push((visit.id, visit.status.as_str(), facts));
        }
        visits
    }

    async fn person(&self) -> (AccountId, Contact) {
        let id = self.patient().await;
        let account = self.accounts.by_id(id).await.unwrap().undisclosed().unwrap();
        let contact = Contact {
            account: account.id,
            email: Sensitive::new(account.email.expose().as_str().to_owned()),
            phone: account.profile.phone.clone(),
            name: Sensitive::new(account.profile.full_name.expose().as_str().to_owned()),
            time_zone: account.profile.time_zone,
        };
        (id, contact)
    }

    fn messages(&self) -> Arc<dyn MessageStore> {
        Arc::new(self.store.clone())
    }

    async fn have_number(&self, id: AccountId, number: Option<&str>) {
        let number = number.map(|number| Sensitive::new(number.to_owned()));
        change_account(&self.accounts, id, |account| account.profile.phone = number).await;
    }

    async fn close(&self, id: AccountId) {
        close_account(&self.accounts, id).await;
    }

    fn now(&self) -> Timestamp {
        now()
    }
}

#[async_trait]
impl RedeliveryLedger for Real {
    async fn begin(&self, consumer: &str, event: EventId) -> Result<u32, PortError> {
        self.store.begin(consumer, event).await
    }
}

async fn ledger() -> Arc<dyn RedeliveryLedger> {
    Arc::new(shared().await)
}

async fn world() -> World {
    World::new()
}

mod consultations {
    amrutam_booking::consultation_store_contract!(super::shared());
}

mod availability {
    amrutam_booking::availability_store_contract!(super::shared());
}

mod directory {
    amrutam_booking::directory_store_contract!(super::shared());
}

mod accounts {
    amrutam_identity::account_store_contract!(super::shared());
}

mod links {
    amrutam_identity::link_store_contract!(super::shared());
}

mod sessions {
    amrutam_identity::session_store_contract!(super::shared());
}

mod gate {
    amrutam_identity::session_gate_contract!(super::shared());
}

mod factors {
    amrutam_identity::factor_store_contract!(super::shared());
}

mod messages {
    amrutam_notifications::message_store_contract!(super::own());
}

mod dead_letters {
    amrutam_operations::dead_letter_store_contract!(super::own());
}

mod reviews {
    amrutam_operations::review_store_contract!(super::own());
}

mod readers {
    amrutam_notifications::readers_contract!(super::world());
}

mod redeliveries {
    amrutam_notifications::redelivery_ledger_contract!(super::ledger());
}
