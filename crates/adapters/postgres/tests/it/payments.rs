//! The payment store's suite. Each case has a database of its own: whoever claims gets whatever is due.

use crate::support::{Database, id, now};
use amrutam_kernel::{AccountId, AuditEntryId, ConsultationId, DoctorId, EventId};
use amrutam_payments::{contract::Harness, ports::PaymentStore};
use amrutam_postgres::Postgres;
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

struct Real {
    store: Arc<Postgres>,
    db: Database,
    /// A suite asks for the time again and again, and means one instant.
    began: Timestamp,
}

async fn real() -> Real {
    let db = Database::new();
    // Many wait for one row in the races, on a machine that is busy.
    let store = Arc::new(db.pool_with(|settings| settings.lock_timeout_ms = 4_000));
    Real { store, db, began: now() }
}

#[async_trait]
impl Harness for Real {
    fn payments(&self) -> Arc<dyn PaymentStore> {
        self.store.clone()
    }

    fn now(&self) -> Timestamp {
        self.began
    }

    async fn pass(&self, time: SignedDuration) {
        let micros = time.as_micros();
        let sql = format!(
            "UPDATE gateway_tasks SET due_at = due_at - {micros} * interval '1 us', leased_until = leased_until - {micros} * interval '1 us'"
        );
        self.db.owner().await.run(&sql).await;
    }

    /// A payment's rows name the visit and its people, and hang on none of them: books of account outlive them.
    async fn visit(&self) -> (ConsultationId, AccountId, DoctorId) {
        (
            ConsultationId::from_uuid(id(self.began)),
            AccountId::from_uuid(id(self.began)),
            DoctorId::from_uuid(id(self.began)),
        )
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        let sql = "SELECT event_id::text FROM outbox WHERE aggregate_id::text = $1 ORDER BY seq";
        let ids = self.db.app().await.column(sql, &[&aggregate.to_string()]).await;
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        let sql = "SELECT id::text FROM audit_entries WHERE resource_id = $1";
        let ids = self.db.app().await.column(sql, &[&resource_id]).await;
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }
}

amrutam_payments::payment_store_contract!(real());
