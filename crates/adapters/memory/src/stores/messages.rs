//! Notifications' messages.

use crate::world::{MemoryWorld, MessageState, StoredMessage, defect, into_port_error};
use amrutam_kernel::{CommitError, DeadLetterId, DeadSource, Effects, GivenUp, MessageId, PortError};
use amrutam_notifications::{
    Channel, ScheduledMessage,
    ports::{MessageStore, Settled},
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

#[async_trait]
impl MessageStore for MemoryWorld {
    async fn plan(&self, messages: &[ScheduledMessage], effects: &Effects) -> Result<(), CommitError> {
        // A text that is due within a minute goes out at once.
        let at_once = self.now().checked_add(SignedDuration::from_mins(1)).unwrap_or(Timestamp::MAX);
        let mut tx = self.begin(effects)?;
        let tables = tx.tables();
        let stored = &mut tables.messages;
        for message in messages {
            let recipient = tables.accounts.get(&message.recipient);
            let has_no_number = recipient.is_some_and(|account| account.profile.phone.is_none());
            if message.channel == Channel::Sms && message.due_at <= at_once && has_no_number {
                continue;
            }
            if stored.values().any(|known| known.message.dedupe_key == message.dedupe_key) {
                continue;
            }
            let waiting = StoredMessage {
                message: message.clone(),
                state: MessageState::Waiting,
                next_at: message.due_at,
                settled: None,
            };
            if stored.insert(message.id, waiting).is_some() {
                return Err(defect("a message's id is unique").into());
            }
        }
        tx.commit()
    }

    async fn claim_due(&self, lease: SignedDuration, limit: u16) -> Result<Vec<ScheduledMessage>, PortError> {
        let now = self.clock.now();
        let mut tx = self.begin(&Effects::default()).map_err(into_port_error)?;
        let is_due = |stored: &StoredMessage| match stored.state {
            MessageState::Waiting => stored.next_at <= now,
            MessageState::Claimed { until } => until <= now,
            MessageState::Done => false,
        };
        let mut due: Vec<_> = tx.tables().messages.values_mut().filter(|stored| is_due(stored)).collect();
        due.sort_by_key(|stored| (stored.next_at, stored.message.id));
        let until = now.checked_add(lease).unwrap_or(Timestamp::MAX);
        let claimed = due
            .into_iter()
            .take(usize::from(limit))
            .map(|stored| {
                stored.state = MessageState::Claimed { until };
                stored.message.attempts += 1;
                stored.message.clone()
            })
            .collect();
        tx.commit().map_err(into_port_error)?;
        Ok(claimed)
    }

    async fn settle(&self, id: MessageId, attempt: u32, settled: Settled) -> Result<bool, PortError> {
        let mut tx = self.begin(&Effects::default()).map_err(into_port_error)?;
        let stored = tx.tables().messages.get_mut(&id);
        let ours =
            |stored: &&mut StoredMessage| stored.message.attempts == attempt && stored.state != MessageState::Done;
        let Some(stored) = stored.filter(ours) else { return Ok(false) };
        match &settled {
            Settled::RetryAt { at, .. } | Settled::MaybeSent { at, .. } => {
                stored.state = MessageState::Waiting;
                stored.next_at = *at;
                stored.message.maybe_sent |= matches!(settled, Settled::MaybeSent { .. });
            }
            Settled::Sent { .. } | Settled::Skipped { .. } | Settled::GaveUp { .. } => {
                stored.state = MessageState::Done;
            }
        }
        stored.settled = Some(settled.clone());
        let message = stored.message.clone();
        match settled {
            Settled::GaveUp { error, at } => tx.tables().give_up(&given_up(&message, error, at)),
            Settled::Sent { at } | Settled::Skipped { at, .. } => tx.tables().settle_letter(message.id.as_uuid(), at),
            Settled::RetryAt { .. } | Settled::MaybeSent { .. } => {}
        }
        tx.commit().map_err(into_port_error)?;
        Ok(true)
    }
}

fn given_up(message: &ScheduledMessage, error: String, at: Timestamp) -> GivenUp {
    GivenUp {
        id: DeadLetterId::from_uuid(message.id.as_uuid()),
        source: DeadSource::Message,
        consumer: message.channel.as_str(),
        subject: message.id.as_uuid(),
        kind: message.kind.as_str().to_owned(),
        payload: serde_json::json!({
            "message_id": message.id,
            "recipient_id": message.recipient,
            "consultation_id": message.consultation,
            "slot_starts_at": message.slot_starts_at,
            "link_id": message.link,
            "due_at": message.due_at,
            "maybe_sent": message.maybe_sent,
        }),
        error,
        attempts: message.attempts,
        correlation_id: message.correlation_id.clone(),
        first_failed_at: None,
        at,
    }
}
