//! What a message says. No text names a complaint, a diagnosis or a drug; the subject, which anyone may read over a
//! shoulder, names no person either.

use crate::{Contact, LinkPages, ScheduledMessage, VisitFacts};
use amrutam_kernel::{CorrelationId, LinkId, LinkPurpose, MessageId, Sensitive};
use jiff::tz::TimeZone;

/// What is to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letter<'a> {
    /// The visit is certain.
    BookingConfirmed(&'a VisitFacts),
    /// The visit has moved.
    BookingRescheduled(&'a VisitFacts),
    /// The visit will not take place.
    BookingCancelled(&'a VisitFacts),
    /// The visit is near.
    Reminder(&'a VisitFacts),
    /// The visit could not be paid.
    PaymentFailed(&'a VisitFacts),
    /// The visit was not paid in time.
    HoldExpired(&'a VisitFacts),
    /// Money came after the slot had gone.
    LatePayment(&'a VisitFacts),
    /// All that was paid went back.
    RefundMade(&'a VisitFacts),
    /// A part of it went back.
    RefundMadeInPart(&'a VisitFacts),
    /// A payment that was one too many, or of the wrong amount, went back.
    PaymentReturned(&'a VisitFacts),
    /// Somebody registered with this person's address.
    RegistrationRepeated,
    /// A one-time link.
    Link(LinkPurpose, LinkId),
    /// The password has changed.
    PasswordChanged,
    /// The second factor has changed.
    SecondFactorChanged,
    /// A session was ended because a spent refresh token came back.
    SessionRevoked,
    /// A doctor who does not treat the person opened their record in an emergency. Says nothing of what is in it.
    RecordOpened,
}

/// A mail, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The message it carries.
    pub message: MessageId,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
    /// The recipient's address.
    pub to: Sensitive<String>,
    /// The recipient's name.
    pub to_name: Sensitive<String>,
    /// One line.
    pub subject: String,
    /// Plain text, lines end in `\n`.
    pub body: Sensitive<String>,
}

impl Mail {
    /// The `Message-ID`. It follows from the message alone, so that a mail sent twice can be told to be one.
    pub fn message_id(&self, domain: &str) -> String {
        format!("<{}@{domain}>", self.message)
    }
}

/// Puts a letter into words, in the recipient's time zone. A zone we do not know becomes UTC, and says so.
pub fn render(letter: &Letter<'_>, message: &ScheduledMessage, contact: &Contact, pages: LinkPages<'_>) -> Mail {
    let zone = TimeZone::get(&contact.time_zone).unwrap_or(TimeZone::UTC);
    let (subject, text) = match letter {
        Letter::BookingConfirmed(visit) => (
            format!("Your appointment on {} is confirmed", short_time(visit, &zone)),
            format!("your appointment is confirmed.\n\n{}", particulars(visit, &zone)),
        ),
        Letter::BookingRescheduled(visit) => (
            format!("Your appointment has moved to {}", short_time(visit, &zone)),
            format!("your appointment has moved. The new time:\n\n{}", particulars(visit, &zone)),
        ),
        Letter::BookingCancelled(visit) => (
            format!("Your appointment on {} is cancelled", short_time(visit, &zone)),
            format!("this appointment is cancelled:\n\n{}", particulars(visit, &zone)),
        ),
        Letter::Reminder(visit) => (
            format!("Reminder: your appointment on {}", short_time(visit, &zone)),
            format!("this is a reminder of your appointment.\n\n{}", particulars(visit, &zone)),
        ),
        Letter::PaymentFailed(visit) => (
            format!("Your payment for {} did not go through", short_time(visit, &zone)),
            format!(
                "this appointment could not be paid, so it is not booked, and its time is open to others again. You have \
                 not been charged; if you see a charge all the same, it goes back by itself. You are welcome to book \
                 again.\n\n{}",
                particulars(visit, &zone)
            ),
        ),
        Letter::HoldExpired(visit) => (
            format!("Your appointment on {} was not paid in time", short_time(visit, &zone)),
            format!(
                "this appointment was not paid in time, so it is not booked, and its time is open to others again. If \
                 you have paid meanwhile, you will hear from us: the appointment is booked if its time is still free, \
                 and otherwise your money goes back.\n\n{}",
                particulars(visit, &zone)
            ),
        ),
        Letter::LatePayment(visit) => (
            format!("Your payment for {} came too late", short_time(visit, &zone)),
            format!(
                "your payment of {} arrived when the time of this appointment was no longer free. You get all of it back; \
                 there is nothing for you to do.\n\n{}",
                visit.fee,
                particulars(visit, &zone)
            ),
        ),
        Letter::RefundMade(visit) => (
            "Your refund is on its way".to_owned(),
            format!(
                "we have given back what you paid for this appointment: {}. Your bank shows it within some days, where \
                 you paid from.\n\n{}",
                visit.fee,
                particulars(visit, &zone)
            ),
        ),
        Letter::RefundMadeInPart(visit) => (
            "Your refund is on its way".to_owned(),
            format!(
                "we have given back a part of the {} that you paid for this appointment, as shown when it was called off. \
                 Your bank shows it within some days, where you paid from.\n\n{}",
                visit.fee,
                particulars(visit, &zone)
            ),
        ),
        Letter::PaymentReturned(visit) => (
            "A payment of yours is on its way back".to_owned(),
            format!(
                "we have given back a payment for this appointment that was one too many, or not of the right amount. \
                 Your bank shows it within some days, where you paid from.\n\n{}",
                particulars(visit, &zone)
            ),
        ),
        Letter::RegistrationRepeated => (
            "Somebody registered with your e-mail address".to_owned(),
            "somebody tried to open an account at Amrutam with this e-mail address. You have one already: if it was you, \
             log in with it. If it was not you, there is nothing to do, and nobody has learnt that the account exists.\n"
                .to_owned(),
        ),
        Letter::Link(purpose, link) => one_time_link(*purpose, pages.url(*purpose, *link).expose()),
        Letter::PasswordChanged => (
            "Your password has changed".to_owned(),
            format!("the password of your account at Amrutam has changed, and other devices are logged out. {NOT_YOU}"),
        ),
        Letter::SecondFactorChanged => (
            "Your second factor has changed".to_owned(),
            "the second factor of your account at Amrutam, or its recovery codes, has been set up, replaced or removed. "
                .to_owned()
                + NOT_YOU,
        ),
        Letter::RecordOpened => (
            "Your record was opened in an emergency".to_owned(),
            "a doctor who does not treat you has opened your record at Amrutam, and gave an emergency as the reason. This is \
             allowed where care can't wait, is kept on the record, and is always told to the patient. If you do not know \
             of it, answer this mail: it will be looked into.\n"
                .to_owned(),
        ),
        Letter::SessionRevoked => (
            "One of your devices was logged out".to_owned(),
            "a device was logged out of your account at Amrutam, because its key was used twice: by it and by a copy. \
             Somebody may have read it on that device or on the way. Log in again there, look at the list of your \
             sessions, and if you do not know one of them, end it and change your password.\n"
                .to_owned(),
        ),
    };
    // To an address that nobody has shown to be theirs, no word of whoever has typed it: it could be an advertisement.
    let greeting = match letter {
        Letter::RegistrationRepeated | Letter::Link(LinkPurpose::VerifyEmail, _) => "Good day".to_owned(),
        _ => format!("Dear {}", one_line(contact.name.expose())),
    };
    let body = format!("{greeting},\n\n{text}\nAmrutam\n");
    Mail {
        message: message.id,
        correlation_id: message.correlation_id.clone(),
        to: contact.email.clone(),
        to_name: contact.name.clone(),
        subject,
        body: Sensitive::new(body),
    }
}

const NOT_YOU: &str =
    "If it was you, there is nothing to do. If it was not you, reset your password now and write to us.\n";

fn one_time_link(purpose: LinkPurpose, url: &str) -> (String, String) {
    let (subject, first, last) = match purpose {
        LinkPurpose::VerifyEmail => (
            "Confirm your e-mail address",
            "please confirm that this address is yours, by opening this page within 24 hours",
            "If you have not opened an account at Amrutam, leave it: nothing further will be sent.",
        ),
        LinkPurpose::ResetPassword => (
            "Reset your password",
            "somebody asked to reset the password of your account at Amrutam. To choose a new one, open this page within \
             30 minutes",
            "If it was not you, leave it: your password stays as it is.",
        ),
        LinkPurpose::Invitation => (
            "You are invited to Amrutam",
            "an account at Amrutam has been prepared for you. To choose its password, open this page within 7 days",
            "If you do not expect this, leave it: nobody can use the account without the page.",
        ),
    };
    (subject.to_owned(), format!("{first}:\n\n{url}\n\nIt works once. {last}\n"))
}

fn short_time(visit: &VisitFacts, zone: &TimeZone) -> String {
    visit.starts_at.to_zoned(zone.clone()).strftime("%a %-d %b %Y, %H:%M").to_string()
}

fn particulars(visit: &VisitFacts, zone: &TimeZone) -> String {
    let starts_at = visit.starts_at.to_zoned(zone.clone());
    let ends_at = visit.ends_at.to_zoned(zone.clone());
    format!(
        "When: {} to {} ({}, UTC{})\nHow: {}\nWith: {}, {}\nRegistration: {}, {}\n",
        starts_at.strftime("%A, %-d %B %Y, %H:%M"),
        ends_at.strftime("%H:%M"),
        zone.iana_name().unwrap_or("UTC"),
        starts_at.strftime("%:z"),
        visit.mode,
        one_line(&visit.doctor_name),
        one_line(&visit.doctor_qualification),
        one_line(&visit.doctor_registration_number),
        one_line(&visit.doctor_council),
    )
}

// A line break in a name would let it write lines of its own.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}
