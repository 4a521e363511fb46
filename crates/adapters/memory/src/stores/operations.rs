//! Operations' dead letters and review cases.

use super::after;
use crate::world::{MemoryWorld, MessageState, StoredTask, TaskState};
use amrutam_booking::model::ConsultationStatus;
use amrutam_kernel::{
    CommitError, ConsultationId, DeadLetterId, DeadSource, Effects, IdempotencyClaim, MessageId, Page, PageRequest,
    PaymentId, PortError, Requeue, ReviewCaseId, Unrecorded,
};
use amrutam_operations::{
    model::{
        Attempts, Code, DeadLetter, Decider, HistoryEntry, HistorySubject, Payload, ReviewCase, ReviewState, Subject,
    },
    ports::{
        ByTime, DeadLetterStore, LetterChange, LetterFilter, Records, ReviewFilter, ReviewStore, Snapshot, VisitHistory,
    },
};
use async_trait::async_trait;
use uuid::Uuid;

#[async_trait]
impl Records for MemoryWorld {
    async fn put_on_record(&self, effects: &Effects) -> Result<(), PortError> {
        self.record_alone(effects)
    }
}

#[async_trait]
impl DeadLetterStore for MemoryWorld {
    async fn letter(
        &self,
        id: DeadLetterId,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<Option<Snapshot<DeadLetter>>>, PortError> {
        let now = self.now();
        self.read(|tables| {
            let found = tables.letters.get(&id).cloned();
            Unrecorded::new(found.map(|found| Snapshot { found, recorded: tables.recorded(claim, now) }))
        })
    }

    async fn letter_about(
        &self,
        source: DeadSource,
        consumer: &str,
        subject: Uuid,
    ) -> Result<Unrecorded<Option<DeadLetter>>, PortError> {
        let wanted = |letter: &&DeadLetter| {
            (letter.source, letter.consumer.as_str(), letter.subject) == (source, consumer, subject)
        };
        self.read(|tables| Unrecorded::new(tables.letters.values().find(wanted).cloned()))
    }

    async fn letters(
        &self,
        filter: &LetterFilter,
        page: PageRequest<ByTime<DeadLetterId>>,
    ) -> Result<Unrecorded<Page<DeadLetter, ByTime<DeadLetterId>>>, PortError> {
        let wanted = |letter: &&DeadLetter| {
            filter.state.is_none_or(|state| letter.state == state)
                && filter.consumer.as_ref().is_none_or(|consumer| letter.consumer == *consumer)
                && filter.source.is_none_or(|source| letter.source == source)
        };
        let rows = self.read(|tables| tables.letters.values().filter(wanted).cloned().collect())?;
        let key = |letter: &DeadLetter| (letter.opened_at, letter.id);
        Ok(Unrecorded::new(Page::cut(after(rows, &page, key), page.limit, key)))
    }

    async fn put_letter(&self, change: LetterChange<'_>, effects: &Effects) -> Result<(), CommitError> {
        let mut tx = self.begin(effects)?;
        let now = self.now();
        let (tables, letter) = (tx.tables(), change.letter);
        let work = |letter: &DeadLetter| (letter.source, letter.consumer.clone(), letter.subject);
        let stored = tables.letters.values().find(|stored| work(stored) == work(letter) || stored.id == letter.id);
        if stored.map_or(0, |stored| stored.version) != letter.version - 1 {
            return Err(CommitError::Stale);
        }
        if change.requeue {
            match (&letter.payload, letter.source) {
                (Payload::Event(event), _) => {
                    let requeue = Requeue {
                        consumer: letter.consumer.clone(),
                        number: letter.requeues,
                        redeliveries: letter.redeliveries,
                    };
                    tables.requeued.push((requeue, event.clone()));
                }
                (_, DeadSource::Message) => {
                    let message = tables.messages.get_mut(&MessageId::from_uuid(letter.subject));
                    if let Some(message) = message.filter(|message| message.state == MessageState::Done) {
                        message.state = MessageState::Waiting;
                        message.message.attempts = 0;
                        message.next_at = now;
                        if message.message.link.is_none() {
                            message.message.due_at = letter.updated_at;
                        }
                    }
                }
                _ => {}
            }
        }
        tables.letters.insert(letter.id, letter.clone());
        tx.commit()
    }
}

#[async_trait]
impl ReviewStore for MemoryWorld {
    async fn review(
        &self,
        id: ReviewCaseId,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<Option<Snapshot<ReviewCase>>>, PortError> {
        let now = self.now();
        self.read(|tables| {
            let found = tables.reviews.get(&id).cloned();
            Unrecorded::new(found.map(|found| Snapshot { found, recorded: tables.recorded(claim, now) }))
        })
    }

    async fn reviews(
        &self,
        filter: &ReviewFilter,
        page: PageRequest<ByTime<ReviewCaseId>>,
    ) -> Result<Unrecorded<Page<ReviewCase, ByTime<ReviewCaseId>>>, PortError> {
        let wanted = |case: &&ReviewCase| {
            filter.state.is_none_or(|state| case.state == state)
                && filter.kind.as_ref().is_none_or(|kind| case.kind == *kind)
        };
        let rows = self.read(|tables| tables.reviews.values().filter(wanted).cloned().collect())?;
        let key = |case: &ReviewCase| (case.opened_at, case.id);
        Ok(Unrecorded::new(Page::cut(after(rows, &page, key), page.limit, key)))
    }

    async fn open_review_about(
        &self,
        subject: &Subject,
        reason: &Code,
    ) -> Result<Unrecorded<Option<ReviewCase>>, PortError> {
        let about = |case: &&ReviewCase| {
            case.state != ReviewState::Resolved && (&case.subject, &case.reason) == (subject, reason)
        };
        self.read(|tables| Unrecorded::new(tables.reviews.values().find(about).cloned()))
    }

    async fn open_review(&self, case: &ReviewCase, effects: &Effects) -> Result<bool, CommitError> {
        let is_same = |other: &ReviewCase| {
            other.state != ReviewState::Resolved && (&other.subject, &other.reason) == (&case.subject, &case.reason)
        };
        if self.read(|tables| tables.reviews.values().any(is_same))? {
            let effects = Effects { events: Vec::new(), audit: Vec::new(), ..effects.clone() };
            return self.begin(&effects)?.commit().map(|()| false);
        }
        let mut tx = self.begin(effects)?;
        if tx.tables().reviews.values().any(is_same) {
            return Err(CommitError::Stale);
        }
        tx.tables().reviews.insert(case.id, case.clone());
        tx.commit().map(|()| true)
    }

    async fn put_review(&self, case: &ReviewCase, effects: &Effects) -> Result<(), CommitError> {
        let mut tx = self.begin(effects)?;
        if tx.tables().reviews.get(&case.id).map(|stored| stored.version) != Some(case.version - 1) {
            return Err(CommitError::Stale);
        }
        tx.tables().reviews.insert(case.id, case.clone());
        tx.commit()
    }
}

#[async_trait]
impl VisitHistory for MemoryWorld {
    async fn history(&self, id: ConsultationId) -> Result<Unrecorded<Vec<HistoryEntry>>, PortError> {
        self.read(|tables| {
            let entries = tables.timeline.get(&id).into_iter().flat_map(|entries| entries.values());
            let entry = |entry: &amrutam_booking::model::TimelineEntry| HistoryEntry {
                about: HistorySubject::Consultation,
                version: entry.version,
                at: entry.at,
                kind: entry.kind.as_str().to_owned(),
                from: entry.from.map(ConsultationStatus::as_str).map(str::to_owned),
                to: Some(entry.to.as_str().to_owned()),
                amount: None,
                evidence: None,
                actor: Decider::stored(entry.actor.clone()).role().to_owned(),
                cause: entry.cause.clone(),
                event: entry.event,
            };
            Unrecorded::new(entries.map(entry).collect())
        })
    }

    async fn payment_history(
        &self,
        id: PaymentId,
    ) -> Result<Unrecorded<(Vec<HistoryEntry>, Vec<Attempts>)>, PortError> {
        self.read(|tables| {
            let entries = tables.payment_timeline.get(&id).into_iter().flat_map(|entries| entries.values());
            let entry = |entry: &amrutam_payments::model::PaymentEntry| HistoryEntry {
                about: HistorySubject::Payment,
                version: entry.version,
                at: entry.at,
                kind: entry.kind.as_str().to_owned(),
                from: None,
                to: None,
                amount: entry.amount,
                evidence: Some(entry.evidence.to_string()),
                actor: Decider::stored(entry.actor.clone()).role().to_owned(),
                cause: entry.cause.clone(),
                event: entry.event,
            };
            let tasks = tables.gateway_tasks.values().filter(|stored| stored.task.payment == id);
            Unrecorded::new((entries.map(entry).collect(), tasks.map(attempts).collect()))
        })
    }
}

fn attempts(stored: &StoredTask) -> Attempts {
    let (state, due_at) = match stored.state {
        TaskState::Waiting => ("live", Some(stored.task.due_at)),
        TaskState::Claimed { until } => ("live", Some(until)),
        TaskState::Done => ("done", None),
        TaskState::Dead => ("dead", None),
    };
    Attempts {
        task: stored.task.kind.as_str().to_owned(),
        state: state.to_owned(),
        begun: stored.task.claims,
        last_error: stored.error.clone(),
        due_at,
        ended_at: stored.ended_at,
    }
}
