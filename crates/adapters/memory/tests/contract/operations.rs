use crate::memory::{Memory, memory};
use amrutam_kernel::{AccountId, AuditEntryId, Clock, CorrelationId, Effects, EventId, MessageId, Requeue};
use amrutam_notifications::{
    Channel, MessageKind, ScheduledMessage,
    ports::{MessageStore, Settled},
};
use amrutam_operations::{
    contract::Harness,
    ports::{DeadLetterStore, ReviewStore},
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use uuid::Uuid;

#[async_trait]
impl Harness for Memory {
    fn letters(&self) -> Arc<dyn DeadLetterStore> {
        self.world.clone()
    }

    fn reviews(&self) -> Arc<dyn ReviewStore> {
        self.world.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.announced_about(aggregate)
    }

    async fn requeued(&self) -> Vec<(Requeue, EventId)> {
        self.world.requeued().into_iter().map(|(to, event)| (to, event.id)).collect()
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.audited_on(resource_id)
    }

    async fn give_up_message(&self, id: Uuid) {
        let now = self.clock.now();
        let message = ScheduledMessage {
            id: MessageId::from_uuid(id),
            kind: MessageKind::PasswordChanged,
            channel: Channel::Mail,
            dedupe_key: id.to_string(),
            recipient: AccountId::from_uuid(id),
            consultation: None,
            slot_starts_at: None,
            link: None,
            due_at: now,
            attempts: 0,
            maybe_sent: false,
            correlation_id: CorrelationId::from(id),
            trace_parent: None,
        };
        self.world.plan(&[message], &Effects::default()).await.unwrap();
        let claimed = self.world.claim_due(SignedDuration::from_secs(60), 1).await.unwrap().remove(0);
        let settled = Settled::GaveUp { error: "550 no".to_owned(), at: now };
        assert!(self.world.settle(claimed.id, claimed.attempts, settled).await.unwrap());
    }

    async fn message(&self, id: Uuid) -> (bool, u32) {
        let messages = self.world.messages();
        let (message, _) = messages.into_iter().find(|(message, _)| message.id.as_uuid() == id).unwrap();
        let due = self.world.claim_due(SignedDuration::from_secs(0), 1).await.unwrap();
        (!due.is_empty(), message.attempts)
    }
}

mod letters {
    amrutam_operations::dead_letter_store_contract!(super::memory());
}

mod reviews {
    amrutam_operations::review_store_contract!(super::memory());
}
