//! What a text to a telephone says. India's operators deliver a business's text only when it is one of the templates that were
//! registered with them (TRAI's Telecom Commercial Communications Customer Preference Regulations, 2018: DLT), word by word but
//! for its variables, each of at most 30 characters, and named by its template's id. So the words are data with a version,
//! and the ids under which they are registered come from the settings. No text names a complaint, a diagnosis or a drug.

use crate::{Contact, MessageKind, ScheduledMessage, VisitFacts};
use amrutam_kernel::{CorrelationId, MessageId, Sensitive};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// What a variable of a registered template may have at most, in characters.
const LONGEST_VARIABLE: usize = 30;
/// Numbers in India, which a registered sender reaches. (ours) Nobody abroad is sent a text: operators there go by other rules.
const REACHED: &str = "+91";

/// The kinds of messages that go out as texts as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SmsKind {
    /// The visit is certain.
    Confirmed,
    /// The visit will not take place.
    Cancelled,
    /// The visit is within the hour.
    Reminder,
    /// All that was paid went back.
    Refunded,
    /// A part of it went back.
    RefundedInPart,
    /// A payment that was one too many, or of the wrong amount, went back.
    Returned,
}

/// Of the words below. With another version every text is registered anew.
pub const SMS_TEXTS_VERSION: &str = "sms-1";

impl SmsKind {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Confirmed, Self::Cancelled, Self::Reminder, Self::Refunded, Self::RefundedInPart, Self::Returned];

    /// The one that a message goes out as, if it does.
    pub const fn of(kind: MessageKind) -> Option<Self> {
        match kind {
            MessageKind::BookingConfirmed => Some(Self::Confirmed),
            MessageKind::BookingCancelled => Some(Self::Cancelled),
            MessageKind::Reminder1h => Some(Self::Reminder),
            MessageKind::RefundMade => Some(Self::Refunded),
            MessageKind::RefundMadeInPart => Some(Self::RefundedInPart),
            MessageKind::PaymentReturned => Some(Self::Returned),
            _ => None,
        }
    }

    /// The word in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "booking_confirmed",
            Self::Cancelled => "booking_cancelled",
            Self::Reminder => "reminder_1h",
            Self::Refunded => "refund_made",
            Self::RefundedInPart => "refund_made_in_part",
            Self::Returned => "payment_returned",
        }
    }

    /// As it is registered, with `{#var#}` for each variable. Whoever practises is named with qualification and registration,
    /// as in every message (domain-rules, Practitioner).
    pub const fn template(self) -> &'static str {
        match self {
            Self::Confirmed => {
                "Amrutam: your appointment on {#var#} with {#var#}, {#var#}, Reg. No. {#var#} is confirmed."
            }
            Self::Cancelled => {
                "Amrutam: your appointment on {#var#} with {#var#}, {#var#}, Reg. No. {#var#} is cancelled."
            }
            Self::Reminder => {
                "Amrutam: reminder of your appointment on {#var#} with {#var#}, {#var#}, Reg. No. {#var#}."
            }
            Self::Refunded => {
                "Amrutam: your payment for the appointment on {#var#} with {#var#}, {#var#}, Reg. No. {#var#} is refunded."
            }
            Self::RefundedInPart => {
                "Amrutam: a part of your payment for the appointment on {#var#} with {#var#}, {#var#}, Reg. No. {#var#} is \
                 refunded."
            }
            Self::Returned => {
                "Amrutam: an extra payment for the appointment on {#var#} with {#var#}, {#var#}, Reg. No. {#var#} is \
                 refunded."
            }
        }
    }
}

/// The ids under which the texts are registered, one for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsTemplates(BTreeMap<SmsKind, String>);

/// There is no id for one of the texts, or one that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the template id of {} is missing, or is not 1 to 30 digits", .0.as_str())]
pub struct NoTemplate(pub SmsKind);

impl SmsTemplates {
    /// From the id of each kind.
    ///
    /// # Errors
    /// With the first kind that has none.
    pub fn new(id: impl Fn(SmsKind) -> Option<String>) -> Result<Self, NoTemplate> {
        let named = SmsKind::ALL.into_iter().map(|kind| {
            let fits = |id: &String| (1..=30).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit());
            Ok((kind, id(kind).filter(fits).ok_or(NoTemplate(kind))?))
        });
        Ok(Self(named.collect::<Result<_, _>>()?))
    }
}

/// A text, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sms {
    /// The message it carries.
    pub message: MessageId,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
    /// The recipient's number, in E.164.
    pub to: Sensitive<String>,
    /// The id under which its words are registered.
    pub template: String,
    /// One line.
    pub text: Sensitive<String>,
}

/// Puts a message into a few words, in the recipient's time zone. Nothing when there is no number that it could be sent to, or no
/// text of its kind.
pub fn render_sms(
    message: &ScheduledMessage,
    visit: &VisitFacts,
    contact: &Contact,
    templates: &SmsTemplates,
) -> Option<Sms> {
    let to = contact.phone.clone().filter(|phone| phone.expose().starts_with(REACHED))?;
    let kind = SmsKind::of(message.kind)?;
    let template = templates.0.get(&kind)?.clone();
    let zone = TimeZone::get(&contact.time_zone).unwrap_or(TimeZone::UTC);
    let when = visit.starts_at.to_zoned(zone).strftime("%a %-d %b %Y, %H:%M %Z").to_string();
    let variables = [&when, &visit.doctor_name, &visit.doctor_qualification, &visit.doctor_registration_number]
        .map(|v| variable(v));
    let mut parts = kind.template().split("{#var#}");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (variable, rest) in variables.iter().zip(parts) {
        text.push_str(variable);
        text.push_str(rest);
    }
    let (message, correlation_id) = (message.id, message.correlation_id.clone());
    Some(Sms { message, correlation_id, to, template, text: Sensitive::new(text) })
}

/// On one line, and no longer than a template allows.
fn variable(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c });
    line.take(LONGEST_VARIABLE).collect()
}
