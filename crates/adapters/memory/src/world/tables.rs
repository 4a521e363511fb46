//! What is kept, and the rules every row keeps.

use super::{
    shared::{Set, Shared, Table},
    transaction::defect,
};
use amrutam_booking::model::{
    Consultation, PatientCalendar, Practitioner, Slot, SlotStatus, TimeOff, TimelineEntry, WeeklyRule,
};
use amrutam_clinical::{
    model::{Consent, Dependant, Formulary, Note, Prescription, Presence},
    ports::{Document, RecordedGuardian},
};
use amrutam_identity::{
    Account,
    model::{ConfirmedFactor, EndReason, Link, PendingFactor, SecretDigest, Session, Tries},
    ports::EndSessions,
};
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, DeadLetterId, DeadSource, DependantId, DoctorId, Effects, EventEnvelope,
    EventId, ExportId, Fingerprint, GatewayTaskId, GivenUp, IdempotencyClaim, LinkId, MessageId, PaymentId, PortError,
    PrescriptionId, Recorded, Requeue, ReviewCaseId, SessionId, SlotId, StoredAnswer,
};
use amrutam_notifications::ScheduledMessage;
use amrutam_operations::model::{DeadLetter, ReviewCase};
use amrutam_payments::model::{GatewayEventId, GatewayName, GatewayTask, Journal, Payment, PaymentEntry};
use amrutam_privacy::model::{Erasure, Export, HoldReference, LegalHold};
use jiff::{SignedDuration, Timestamp, civil::Date};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// How long an idempotent answer is kept.
const ANSWERS_LIVE: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) answer: StoredAnswer,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Clone)]
pub(crate) struct RefreshRow {
    pub(crate) session: SessionId,
    pub(crate) generation: u32,
    pub(crate) spent_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FactorRow {
    pub(crate) confirmed: Option<ConfirmedFactor>,
    pub(crate) pending: Option<PendingFactor>,
    pub(crate) codes: BTreeSet<SecretDigest>,
    pub(crate) tries: Tries,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Availability {
    pub(crate) rules: Vec<WeeklyRule>,
    pub(crate) version: i64,
    pub(crate) revision: i64,
    pub(crate) time_off: Vec<TimeOff>,
    pub(crate) generated_until: Option<Date>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MessageState {
    Waiting,
    Claimed { until: Timestamp },
    Done,
}

#[derive(Debug, Clone)]
pub(crate) struct StoredMessage {
    pub(crate) message: ScheduledMessage,
    pub(crate) state: MessageState,
    pub(crate) next_at: Timestamp,
    pub(crate) settled: Option<amrutam_notifications::ports::Settled>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskState {
    Waiting,
    Claimed { until: Timestamp },
    Done,
    Dead,
}

#[derive(Debug, Clone)]
pub(crate) struct StoredTask {
    pub(crate) task: GatewayTask,
    pub(crate) state: TaskState,
    pub(crate) error: Option<String>,
    pub(crate) ended_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Tables {
    pub(crate) accounts: Table<AccountId, Account>,
    pub(crate) links: Table<LinkId, Link>,
    pub(crate) sessions: Table<SessionId, Session>,
    pub(crate) refresh_tokens: Table<SecretDigest, RefreshRow>,
    pub(crate) factors: Table<AccountId, FactorRow>,
    pub(crate) practitioners: Table<DoctorId, Practitioner>,
    pub(crate) availability: Table<DoctorId, Availability>,
    pub(crate) slots: Table<SlotId, Slot>,
    pub(crate) consultations: Table<ConsultationId, Consultation>,
    pub(crate) reasons: Table<ConsultationId, Vec<u8>>,
    pub(crate) summaries: Table<ConsultationId, Vec<u8>>,
    pub(crate) calendars: Table<AccountId, PatientCalendar>,
    pub(crate) timeline: Table<ConsultationId, BTreeMap<i64, TimelineEntry>>,
    pub(crate) answers: Table<(AccountId, String), Answer>,
    pub(crate) inbox: Set<(String, EventId)>,
    pub(crate) messages: Table<MessageId, StoredMessage>,
    pub(crate) beginnings: Table<(String, EventId), u32>,
    pub(crate) payments: Table<PaymentId, Payment>,
    pub(crate) payment_timeline: Table<PaymentId, BTreeMap<i64, PaymentEntry>>,
    pub(crate) journals: Shared<Vec<Journal>>,
    pub(crate) gateway_tasks: Table<GatewayTaskId, StoredTask>,
    pub(crate) webhooks: Set<(GatewayName, GatewayEventId)>,
    pub(crate) letters: BTreeMap<DeadLetterId, DeadLetter>,
    pub(crate) requeued: Vec<(Requeue, EventEnvelope)>,
    pub(crate) reviews: BTreeMap<ReviewCaseId, ReviewCase>,
    pub(crate) dependants: Table<DependantId, Dependant>,
    /// With who kept them: of whom no visit names nothing else is left.
    pub(crate) removed_dependants: Table<DependantId, AccountId>,
    pub(crate) notes: Table<ConsultationId, BTreeMap<i64, Note>>,
    pub(crate) consents: Shared<Vec<Consent>>,
    pub(crate) guardians: Table<ConsultationId, RecordedGuardian>,
    pub(crate) presence: Table<ConsultationId, Vec<Presence>>,
    pub(crate) prescriptions: Table<PrescriptionId, Prescription>,
    pub(crate) documents: Table<PrescriptionId, Document>,
    pub(crate) formularies: Table<String, Formulary>,
    pub(crate) exports: Table<ExportId, Export>,
    pub(crate) archives: Table<ExportId, Vec<u8>>,
    pub(crate) erasures: Table<AccountId, Erasure>,
    pub(crate) holds: Table<(AccountId, HoldReference), LegalHold>,
}

impl Tables {
    /// What is known of a claim at `now`.
    pub(crate) fn recorded(&self, claim: Option<&IdempotencyClaim>, now: Timestamp) -> Option<Recorded> {
        let claim = claim?;
        let known = self.answers.get(&(claim.caller, claim.key.as_str().to_owned()))?;
        let forgotten = known.at.checked_add(ANSWERS_LIVE).is_ok_and(|until| until <= now);
        (!forgotten).then(|| {
            if known.fingerprint == claim.fingerprint { Recorded::Same(known.answer.clone()) } else { Recorded::Other }
        })
    }

    /// The inbox mark and the idempotent answer.
    pub(crate) fn mark(&mut self, effects: &Effects, now: Timestamp) -> Result<(), CommitError> {
        if let Some(mark) = &effects.inbox
            && !self.inbox.insert((mark.consumer.to_owned(), mark.event))
        {
            return Err(CommitError::AlreadyHandled);
        }
        if let Some((claim, answer)) = &effects.answer {
            if self.recorded(Some(claim), now).is_some() {
                return Err(CommitError::AlreadyAnswered);
            }
            let answer = Answer { fingerprint: claim.fingerprint, answer: answer.clone(), at: now };
            self.answers.insert((claim.caller, claim.key.as_str().to_owned()), answer);
        }
        Ok(())
    }

    /// The dead letter of a task that is given up.
    pub(crate) fn give_up(&mut self, given_up: &GivenUp) {
        let same = |letter: &&DeadLetter| {
            (letter.source, letter.subject) == (given_up.source, given_up.subject)
                && letter.consumer == given_up.consumer
        };
        let letter = DeadLetter::of_task(given_up, self.letters.values().find(same));
        self.letters.insert(letter.id, letter);
    }

    /// A requeued message was done with.
    pub(crate) fn settle_letter(&mut self, message: Uuid, at: Timestamp) {
        let theirs = |letter: &&mut DeadLetter| (letter.source, letter.subject) == (DeadSource::Message, message);
        if let Some(letter) = self.letters.values_mut().find(theirs)
            && let Some(settled) = letter.settled(at)
        {
            *letter = settled;
        }
    }

    /// Stores a new link for an account that is there.
    pub(crate) fn put_link(&mut self, link: &Link) -> Result<(), PortError> {
        if !self.accounts.contains_key(&link.account) {
            return Err(defect("a link names an account that is there"));
        }
        let known = self.links.values().any(|other| other.digest == link.digest);
        if known || self.links.insert(link.id, *link).is_some() {
            return Err(defect("a link's id and digest are unique"));
        }
        Ok(())
    }

    /// Ends the account's sessions that have not ended yet.
    pub(crate) fn end_sessions(&mut self, account: AccountId, end: EndSessions) -> Vec<SessionId> {
        let standing = |session: &&mut Session| {
            session.account == account && session.ended.is_none() && Some(session.id) != end.except
        };
        let mut ended = Vec::new();
        for session in self.sessions.values_mut().filter(standing) {
            session.ended = Some((end.at, end.reason));
            ended.push(session.id);
        }
        ended
    }

    /// Ends one session; `false` when it had ended.
    pub(crate) fn end_session(&mut self, id: SessionId, at: Timestamp, reason: EndReason) -> bool {
        match self.sessions.get_mut(&id).filter(|session| session.ended.is_none()) {
            Some(session) => {
                session.ended = Some((at, reason));
                true
            }
            None => false,
        }
    }

    /// Those an account keeps now.
    pub(crate) fn kept_by(&self, keeper: AccountId) -> impl Iterator<Item = &Dependant> {
        self.dependants.values().filter(move |one| one.keeper == keeper && one.removed_at.is_none())
    }

    pub(crate) fn practitioner(&self, id: DoctorId) -> Result<&Practitioner, PortError> {
        self.practitioners.get(&id).ok_or_else(|| defect("a row names a practitioner that is not there"))
    }

    pub(crate) fn calendar(&self, patient: AccountId) -> PatientCalendar {
        self.calendars.get(&patient).cloned().unwrap_or_default()
    }

    /// The consultation that has the slot.
    pub(crate) fn occupant(&self, slot: &Slot) -> Result<Option<Consultation>, PortError> {
        let Some(id) = slot.consultation else { return Ok(None) };
        let occupant = self.consultations.get(&id).cloned();
        occupant.map(Some).ok_or_else(|| defect("a slot names a consultation that is not there"))
    }

    /// Stores a slot, new or changed, under the constraints of its row and the exclusion of overlaps.
    pub(crate) fn put_slot(&mut self, slot: &Slot) -> Result<(), CommitError> {
        if (slot.status == SlotStatus::Booked) != slot.consultation.is_some() {
            return Err(defect("a slot is booked exactly when it has a consultation").into());
        }
        if slot.held_until.is_some() && slot.status != SlotStatus::Booked {
            return Err(defect("only a booked slot is held").into());
        }
        let stands = |slot: &Slot| slot.status != SlotStatus::Withdrawn;
        let clash = stands(slot)
            && self.slots.values().any(|other| {
                other.id != slot.id && other.doctor == slot.doctor && stands(other) && other.range.overlaps(&slot.range)
            });
        if clash {
            return Err(CommitError::Stale);
        }
        self.slots.insert(slot.id, slot.clone());
        Ok(())
    }
}
