//! Which messages follow from an event.

use crate::{
    CONSULTATION_CANCELLED, CONSULTATION_CONFIRMED, CONSULTATION_EXPIRED, CONSULTATION_RESCHEDULED,
    CONSULTATION_UNCONFIRMABLE, Channel, EMAIL_VERIFICATION_REQUESTED, INVITED, MalformedEvent, MessageKind,
    PASSWORD_CHANGED, PASSWORD_RESET_REQUESTED, PAYMENT_REFUNDED, RECORD_OPENED, REGISTRATION_REPEATED,
    SECOND_FACTOR_CHANGED, SESSION_REVOKED, ScheduledMessage,
    error::MalformedPayload,
    model::{
        SmsKind,
        decision::{FIRST_REMINDER, LAST_REMINDER},
    },
};
use amrutam_kernel::{AccountId, ConsultationId, EventEnvelope, IdSource, LinkId, MessageId};
use jiff::{Timestamp, tz::TimeZone};
use serde::Deserialize;

// Fields that are not read here may come and go.
#[derive(Deserialize)]
struct VisitPayload {
    consultation_id: String,
    patient_id: String,
    starts_at: Timestamp,
    #[serde(default)]
    cause: Option<String>,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Deserialize)]
struct AccountPayload {
    account_id: String,
    link_id: Option<String>,
}

struct Visit {
    consultation: ConsultationId,
    patient: AccountId,
    starts_at: Timestamp,
    cause: Option<String>,
    status: Option<String>,
}

/// The messages that follow from `event`; none from an event this domain has no message for.
///
/// Their dedupe keys depend on the event alone, so that the same event planned again, at whatever time, names no
/// message it has not named before.
pub fn plan(
    event: &EventEnvelope,
    now: Timestamp,
    ids: &dyn IdSource,
) -> Result<Vec<ScheduledMessage>, MalformedEvent> {
    let malformed = |source| MalformedEvent { event_type: event.event_type.clone(), source };
    let planner = Planner { event, now, ids };
    match event.event_type.as_str() {
        CONSULTATION_CONFIRMED => {
            let visit = read_visit(event).map_err(malformed)?;
            let key = visit_key(MessageKind::BookingConfirmed, &visit);
            let first = planner.about(&visit, MessageKind::BookingConfirmed, key, now);
            Ok(std::iter::once(first).chain(planner.reminders(&visit)).collect())
        }
        CONSULTATION_RESCHEDULED => {
            let visit = read_visit(event).map_err(malformed)?;
            // A visit may move away and back again, and each move is told; hence the event's own id.
            let key = format!("{}:{}:{}", MessageKind::BookingRescheduled, visit.consultation, event.id);
            let first = planner.about(&visit, MessageKind::BookingRescheduled, key, now);
            Ok(std::iter::once(first).chain(planner.reminders(&visit)).collect())
        }
        CONSULTATION_CANCELLED => {
            let visit = read_visit(event).map_err(malformed)?;
            if refunded(&visit) && visit.starts_at <= event.occurred_at {
                // Its time is past, and the refund is told by itself.
                return Ok(Vec::new());
            }
            let unpaid = visit.cause.as_deref() == Some("payment_failed");
            let kind = if unpaid { MessageKind::PaymentFailed } else { MessageKind::BookingCancelled };
            Ok(vec![planner.once(&visit, kind)])
        }
        CONSULTATION_EXPIRED => planner.told_once(MessageKind::HoldExpired).map_err(malformed),
        // The money did not come late: a person had it given back, and the refund is told by itself.
        CONSULTATION_UNCONFIRMABLE if refunded(&read_visit(event).map_err(malformed)?) => Ok(Vec::new()),
        CONSULTATION_UNCONFIRMABLE => planner.told_once(MessageKind::LatePayment).map_err(malformed),
        // Money that nobody has claimed went back to where it came from: there is nobody to tell.
        PAYMENT_REFUNDED if event.payload.get("patient_id").is_none() => Ok(Vec::new()),
        PAYMENT_REFUNDED => {
            let visit = read_visit(event).map_err(malformed)?;
            let kind = match (visit.cause.as_deref(), visit.status.as_deref()) {
                (Some("paid_twice" | "wrong_amount"), _) => MessageKind::PaymentReturned,
                (_, Some("partially_refunded")) => MessageKind::RefundMadeInPart,
                _ => MessageKind::RefundMade,
            };
            // Each refund is told.
            let key = format!("{kind}:{}:{}", visit.consultation, event.id);
            Ok(vec![planner.about(&visit, kind, key, now)])
        }
        REGISTRATION_REPEATED => {
            let (account, _) = read_account(event).map_err(malformed)?;
            // At most one a day: whoever knows an address could otherwise fill its inbox.
            let day = event.occurred_at.to_zoned(TimeZone::UTC).date();
            let key = format!("{}:{account}:{day}", MessageKind::RegistrationRepeated);
            Ok(vec![planner.message(MessageKind::RegistrationRepeated, account, None, key, now)])
        }
        EMAIL_VERIFICATION_REQUESTED => planner.with_link(MessageKind::VerifyEmail).map_err(malformed),
        PASSWORD_RESET_REQUESTED => planner.with_link(MessageKind::ResetPassword).map_err(malformed),
        INVITED => planner.with_link(MessageKind::Invitation).map_err(malformed),
        PASSWORD_CHANGED => planner.notice(MessageKind::PasswordChanged).map_err(malformed),
        SECOND_FACTOR_CHANGED => planner.notice(MessageKind::SecondFactorChanged).map_err(malformed),
        RECORD_OPENED => planner.notice(MessageKind::RecordOpened).map_err(malformed),
        SESSION_REVOKED => planner.notice(MessageKind::SessionRevoked).map_err(malformed),
        _ => Ok(Vec::new()),
    }
}

/// Those of `messages` that go out as texts as well: the same, at the same time, each with an id and a dedupe key of its own.
pub fn as_texts(messages: &[ScheduledMessage], now: Timestamp, ids: &dyn IdSource) -> Vec<ScheduledMessage> {
    let short = messages.iter().filter(|message| SmsKind::of(message.kind).is_some());
    let text = |message: &ScheduledMessage| ScheduledMessage {
        id: MessageId::from_uuid(ids.uuid_v7(now)),
        channel: Channel::Sms,
        dedupe_key: format!("{}:{}", Channel::Sms.as_str(), message.dedupe_key),
        ..message.clone()
    };
    short.map(text).collect()
}

/// Whether a person had the visit's money given back.
fn refunded(visit: &Visit) -> bool {
    visit.cause.as_deref() == Some("refunded")
}

fn read_visit(event: &EventEnvelope) -> Result<Visit, MalformedPayload> {
    let payload = VisitPayload::deserialize(&event.payload)?;
    Ok(Visit {
        consultation: payload.consultation_id.parse()?,
        patient: payload.patient_id.parse()?,
        starts_at: payload.starts_at,
        cause: payload.cause,
        status: payload.status,
    })
}

fn read_account(event: &EventEnvelope) -> Result<(AccountId, Option<LinkId>), MalformedPayload> {
    let payload = AccountPayload::deserialize(&event.payload)?;
    let link = payload.link_id.map(|link| link.parse()).transpose()?;
    Ok((payload.account_id.parse()?, link))
}

fn visit_key(kind: MessageKind, visit: &Visit) -> String {
    format!("{kind}:{}:{}", visit.consultation, visit.starts_at)
}

struct Planner<'a> {
    event: &'a EventEnvelope,
    now: Timestamp,
    ids: &'a dyn IdSource,
}

impl Planner<'_> {
    fn reminders(&self, visit: &Visit) -> impl Iterator<Item = ScheduledMessage> {
        let ahead = [(MessageKind::Reminder24h, FIRST_REMINDER), (MessageKind::Reminder1h, LAST_REMINDER)];
        ahead.into_iter().filter_map(|(kind, before)| {
            let due_at = visit.starts_at.checked_sub(before).ok()?;
            // By when it happened, not by when we hear of it: what is late is decided upon when it is sent.
            (due_at > self.event.occurred_at).then(|| self.about(visit, kind, visit_key(kind, visit), due_at))
        })
    }

    /// Each one is told.
    fn notice(&self, kind: MessageKind) -> Result<Vec<ScheduledMessage>, MalformedPayload> {
        let (account, _) = read_account(self.event)?;
        Ok(vec![self.message(kind, account, None, format!("{kind}:{account}:{}", self.event.id), self.now)])
    }

    /// Due since its link was made, which is what its link's end is reckoned from.
    fn with_link(&self, kind: MessageKind) -> Result<Vec<ScheduledMessage>, MalformedPayload> {
        let (account, link) = read_account(self.event)?;
        let link = link.ok_or(MalformedPayload::NoLink)?;
        let message = self.message(kind, account, None, format!("{kind}:{link}"), self.event.occurred_at);
        Ok(vec![ScheduledMessage { link: Some(link), ..message }])
    }

    /// At most one of this kind about one visit.
    fn once(&self, visit: &Visit, kind: MessageKind) -> ScheduledMessage {
        self.about(visit, kind, format!("{kind}:{}", visit.consultation), self.now)
    }

    fn told_once(&self, kind: MessageKind) -> Result<Vec<ScheduledMessage>, MalformedPayload> {
        Ok(vec![self.once(&read_visit(self.event)?, kind)])
    }

    fn about(&self, visit: &Visit, kind: MessageKind, key: String, due_at: Timestamp) -> ScheduledMessage {
        self.message(kind, visit.patient, Some(visit), key, due_at)
    }

    fn message(
        &self,
        kind: MessageKind,
        recipient: AccountId,
        visit: Option<&Visit>,
        dedupe_key: String,
        due_at: Timestamp,
    ) -> ScheduledMessage {
        ScheduledMessage {
            id: MessageId::from_uuid(self.ids.uuid_v7(self.now)),
            kind,
            channel: Channel::Mail,
            dedupe_key,
            recipient,
            consultation: visit.map(|v| v.consultation),
            slot_starts_at: visit.map(|v| v.starts_at),
            link: None,
            due_at,
            attempts: 0,
            maybe_sent: false,
            correlation_id: self.event.correlation_id.clone(),
            trace_parent: self.event.trace_parent.clone(),
        }
    }
}
