//! A dead letter, from its first death to its end.

use amrutam_kernel::{AccountId, CorrelationId, DeadLetterId, DeadMessage, DeadSource, EventEnvelope, GivenUp};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt, str::FromStr};
use uuid::Uuid;

/// Not one of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown {0}")]
pub struct UnknownWord(pub(crate) &'static str);

/// Where a dead letter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LetterState {
    /// Nobody works on it: somebody must look at it.
    Dead,
    /// It is on its way again.
    Requeued,
    /// It was handled in the end.
    Settled,
    /// Somebody has said why it need not be handled.
    Discarded,
}

/// What happens to a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LetterAct {
    /// Its tries are used up (again).
    Die,
    /// It begins afresh.
    Requeue,
    /// It was handled.
    Settle,
    /// It is not to be handled any more.
    Discard,
}

impl LetterAct {
    /// Every act.
    pub const ALL: [Self; 4] = [Self::Die, Self::Requeue, Self::Settle, Self::Discard];
}

/// The state machine has no such arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is {from} can't become {to}")]
pub struct InvalidTransition {
    /// The state.
    pub from: LetterState,
    /// The state it can't take.
    pub to: LetterState,
}

impl LetterState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Dead, Self::Requeued, Self::Settled, Self::Discarded];

    /// The word in tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Requeued => "requeued",
            Self::Settled => "settled",
            Self::Discarded => "discarded",
        }
    }

    /// The one transition function.
    ///
    /// What was requeued may be requeued again, should its message have been lost with a broker: the inbox makes a second
    /// copy harmless. What is settled or discarded stays so: nothing is both dead and applied.
    pub const fn after(self, act: LetterAct) -> Result<Self, InvalidTransition> {
        let to = match act {
            LetterAct::Die => Self::Dead,
            LetterAct::Requeue => Self::Requeued,
            LetterAct::Settle => Self::Settled,
            LetterAct::Discard => Self::Discarded,
        };
        match (self, act) {
            (Self::Dead | Self::Requeued, LetterAct::Die | LetterAct::Requeue | LetterAct::Settle)
            | (Self::Dead, LetterAct::Discard) => Ok(to),
            (Self::Requeued, LetterAct::Discard) | (Self::Settled | Self::Discarded, _) => {
                Err(InvalidTransition { from: self, to })
            }
        }
    }
}

impl fmt::Display for LetterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LetterState {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|state| state.as_str() == word).ok_or(UnknownWord("state of a dead letter"))
    }
}

/// Why it need not be handled any more. A word, not a text: texts about events gather names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiscardReason {
    /// What it was for is over.
    Obsolete,
    /// Somebody has done by hand what it was for.
    HandledByHand,
    /// The same work was done for another message.
    Duplicate,
    /// Nobody can tell what it is.
    Unreadable,
    /// It was made by a defect or a test.
    MadeInError,
}

impl DiscardReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Obsolete, Self::HandledByHand, Self::Duplicate, Self::Unreadable, Self::MadeInError];

    /// The word in tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Obsolete => "obsolete",
            Self::HandledByHand => "handled_by_hand",
            Self::Duplicate => "duplicate",
            Self::Unreadable => "unreadable",
            Self::MadeInError => "made_in_error",
        }
    }
}

impl FromStr for DiscardReason {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word).ok_or(UnknownWord("reason to discard"))
    }
}

/// What the letter says.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// An event: ids and codes only, by the rule of the envelope.
    Event(EventEnvelope),
    /// What a task of ours was about: ids and codes only.
    Task(serde_json::Value),
    /// A body that is no event of ours may hold anything: it is kept sealed.
    Sealed(Vec<u8>),
}

/// A dead letter. One per source, consumer and subject, however often it dies.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// Its id.
    pub id: DeadLetterId,
    /// What kind of work it is.
    pub source: DeadSource,
    /// Whose work it is.
    pub consumer: String,
    /// The event's, message's or task's id; of an unreadable body: made from its digest.
    pub subject: Uuid,
    /// The event's type, the message's or task's kind; `unreadable` of what can't be read.
    pub kind: String,
    /// What it says.
    pub payload: Payload,
    /// Its header fields, as text.
    pub headers: BTreeMap<String, String>,
    /// What went wrong last.
    pub error: String,
    /// How often it was tried in its last life.
    pub attempts: u32,
    /// How many beginnings the redelivery ledger has counted, over all its lives.
    pub redeliveries: u32,
    /// How often it has died.
    pub deaths: u32,
    /// How often it was requeued.
    pub requeues: u32,
    /// The flow it belongs to, where that is known.
    pub correlation_id: Option<CorrelationId>,
    /// When it failed first, where that is known; never after `opened_at`.
    pub first_failed_at: Timestamp,
    /// When it died first; lists are in this order.
    pub opened_at: Timestamp,
    /// When it died last.
    pub died_at: Timestamp,
    /// Where it stands.
    pub state: LetterState,
    /// Why it was discarded, exactly when it is.
    pub discard_reason: Option<DiscardReason>,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Rises by one per change, from 1.
    pub version: i64,
}

/// By what an unreadable body is known again, when it comes again.
fn digest_id(dead: &DeadMessage) -> Uuid {
    let digest = Sha256::digest(&dead.body);
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    // Version 8: made by a rule of ours (RFC 9562).
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

impl DeadLetter {
    /// Whose data it is about, where what it says names one.
    pub fn patient(&self) -> Option<AccountId> {
        let says = match &self.payload {
            Payload::Event(event) => &event.payload,
            Payload::Task(about) => about,
            Payload::Sealed(_) => return None,
        };
        says.get("patient_id")?.as_str()?.parse().ok()
    }

    /// By what the letter of a dead message is known.
    pub fn subject_of(dead: &DeadMessage) -> Uuid {
        dead.event.as_ref().map_or_else(|| digest_id(dead), |event| event.id.as_uuid())
    }

    /// The letter of a message that has died for the first time. `sealed` is its body when it is no event.
    pub fn of(dead: &DeadMessage, id: DeadLetterId, sealed: Vec<u8>, now: Timestamp) -> Self {
        let (kind, payload, correlation_id) = match &dead.event {
            Some(event) => {
                (event.event_type.clone(), Payload::Event(event.clone()), Some(event.correlation_id.clone()))
            }
            None => ("unreadable".to_owned(), Payload::Sealed(sealed), None),
        };
        Self {
            id,
            source: DeadSource::Event,
            consumer: dead.consumer.clone(),
            subject: Self::subject_of(dead),
            kind,
            payload,
            headers: dead.headers.clone(),
            error: dead.error.clone(),
            attempts: dead.attempts,
            redeliveries: dead.redeliveries,
            deaths: 1,
            requeues: dead.requeue,
            correlation_id,
            first_failed_at: dead.first_failed_at.unwrap_or(now).min(now),
            opened_at: now,
            died_at: now,
            state: LetterState::Dead,
            discard_reason: None,
            updated_at: now,
            version: 1,
        }
    }

    /// The letter of a task of ours that is given up; that of an earlier life of it, when there is one. It is committed with
    /// what gives the task up, so it is told once.
    pub fn of_task(given_up: &GivenUp, before: Option<&Self>) -> Self {
        let at = given_up.at;
        let letter = Self {
            id: given_up.id,
            source: given_up.source,
            consumer: given_up.consumer.to_owned(),
            subject: given_up.subject,
            kind: given_up.kind.clone(),
            payload: Payload::Task(given_up.payload.clone()),
            headers: BTreeMap::new(),
            error: given_up.error.clone(),
            attempts: given_up.attempts,
            redeliveries: 0,
            deaths: 1,
            requeues: 0,
            correlation_id: Some(given_up.correlation_id.clone()),
            first_failed_at: given_up.first_failed_at.unwrap_or(at).min(at),
            opened_at: at,
            died_at: at,
            state: LetterState::Dead,
            discard_reason: None,
            updated_at: at,
            version: 1,
        };
        let Some(before) = before else { return letter };
        Self {
            id: before.id,
            deaths: before.deaths.saturating_add(1),
            requeues: before.requeues,
            correlation_id: before.correlation_id.clone(),
            first_failed_at: before.first_failed_at,
            opened_at: before.opened_at,
            version: before.version.saturating_add(1),
            ..letter
        }
    }

    /// After the death that is told; nothing when it is known already or is that of a copy from an earlier life, which says
    /// nothing about the one that is under way.
    pub fn died(&self, dead: &DeadMessage, now: Timestamp) -> Option<Self> {
        let known = self.state == LetterState::Dead && dead.requeue <= self.requeues;
        let state = self.state.after(LetterAct::Die).ok()?;
        if known || dead.requeue < self.requeues {
            return None;
        }
        Some(Self {
            state,
            headers: dead.headers.clone(),
            error: dead.error.clone(),
            attempts: dead.attempts,
            redeliveries: self.redeliveries.max(dead.redeliveries),
            deaths: self.deaths.saturating_add(1),
            requeues: dead.requeue,
            died_at: now,
            ..self.changed(now)
        })
    }

    /// On its way again.
    pub fn requeued(&self, now: Timestamp) -> Result<Self, InvalidTransition> {
        let state = self.state.after(LetterAct::Requeue)?;
        Ok(Self { state, requeues: self.requeues.saturating_add(1), ..self.changed(now) })
    }

    /// Handled in the end; nothing when it is over already.
    pub fn settled(&self, now: Timestamp) -> Option<Self> {
        let state = self.state.after(LetterAct::Settle).ok()?;
        Some(Self { state, ..self.changed(now) })
    }

    /// Not to be handled any more.
    pub fn discarded(&self, reason: DiscardReason, now: Timestamp) -> Result<Self, InvalidTransition> {
        let state = self.state.after(LetterAct::Discard)?;
        Ok(Self { state, discard_reason: Some(reason), ..self.changed(now) })
    }

    fn changed(&self, now: Timestamp) -> Self {
        Self { updated_at: now, version: self.version.saturating_add(1), ..self.clone() }
    }
}
