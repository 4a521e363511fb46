//! Words and values that several resources show.

use crate::http::{Fields, Integer};
use amrutam_booking::model::{Mode, Modes, Slot};
use amrutam_identity::NewPassword;
use amrutam_kernel::{Currency, DoctorId, Money, Sensitive, SlotId};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// A point in time: UTC with microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(as = Time, value_type = String, format = DateTime, example = "2026-11-23T03:30:00.000000Z")]
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.6}", self.0))
    }
}

/// Enums whose words are documented here and decided in the domain; a test compares the two.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($word:ident),+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Serialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[expect(dead_code, reason = "only its schema is used")]
        pub(crate) enum $name { $(
            #[doc = concat!("`", stringify!($word), "`")]
            $word
        ),+ }
    )+};
}

words! {
    /// How a visit is held.
    ModeWord { Video, Audio, Chat }
    /// What can be done with a slot.
    SlotStatusWord { Open, Booked, Blocked, Withdrawn }
    /// Where a consultation stands.
    StatusWord { Pending, Confirmed, InProgress, Completed, Expired, Cancelled, NoShow }
    /// Why a consultation is called off: the first five are the patient's to give, the others the doctor's.
    CancelReasonWord {
        PatientEmergency, PatientImproved, PatientBookedInError, PatientAlternative, PatientOther,
        DoctorUnavailable, DoctorScheduleChange, TechnicalIssue, DoctorOther
    }
    /// Why a consultation was called off: by a person, or because it could not be paid or its money was given back.
    CancelCauseWord {
        PatientEmergency, PatientImproved, PatientBookedInError, PatientAlternative, PatientOther,
        DoctorUnavailable, DoctorScheduleChange, TechnicalIssue, DoctorOther, PaymentFailed, Refunded
    }
    /// How the doctor made sure of the patient's identity: asked for name and age and compared them with the record, saw a photo id on
    /// camera, or knows them from an earlier visit.
    IdentityWord { Asked, PhotoId, Known }
    /// Why a visit under way is over: `needs_visit_in_person` and `emergency_referral` are the doctor's to say.
    EndReasonWord { Concluded, TechnicalIssue, PatientLeft, DoctorLeft, NeedsVisitInPerson, EmergencyReferral }
    /// What a dependant is to the account's owner.
    DependantRelationWord { Child, Parent, Spouse, Sibling, Grandparent, Grandchild, Ward, OtherRelative }
    /// Where the money for a visit stands.
    PaymentStatusWord {
        Created, Pending, Failed, Cancelled, Captured, Settled, Refunding, Refunded, PartiallyRefunded, RefundFailed
    }
    /// What a line of the timeline tells: of a consultation the first four, of a payment the others.
    TimelineKindWord {
        StatusChanged, Rescheduled, ModeChanged, Noted, Created, OrderOpened, AttemptFailed, Failed, Cancelled, Captured, StrayCaptured,
        Settled, RefundDecided, Refunded, RefundFailed, ReviewNeeded, ReviewWithdrawn,
        Ruled
    }
    /// What a line of the timeline is about.
    TimelineSubjectWord { Consultation, Payment }
    /// A system of medicine.
    SystemWord { Ayurveda, Siddha, Unani, Homoeopathy, Allopathy }
    /// Where a doctor stands with us.
    DoctorStatusWord { Applied, Verified, Listed, Suspended, Expired }
    /// What an account may be.
    RoleWord { Patient, Doctor, Admin, Auditor, Support }
    /// What an account may be that an admin makes.
    StaffRoleWord { Doctor, Admin, Auditor, Support }
    /// As recorded in identity documents.
    SexWord { Female, Male, Other }
    /// What kind of work a dead letter is.
    DeadSourceWord { Event, Message, GatewayTask }
    /// Where a dead letter stands.
    DeadLetterStateWord { Dead, Requeued, Settled, Discarded }
    /// Why a dead letter need not be handled any more.
    DiscardReasonWord { Obsolete, HandledByHand, Duplicate, Unreadable, MadeInError }
    /// Where a review case stands.
    ReviewStateWord { Open, AwaitingApproval, Resolved }
    /// A day of the week.
    WeekdayWord { Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday }
}

/// ISO 4217.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) enum CurrencyWord {
    /// Indian rupee.
    #[serde(rename = "INR")]
    Inr,
    /// United States dollar.
    #[serde(rename = "USD")]
    Usd,
    /// Euro.
    #[serde(rename = "EUR")]
    Eur,
    /// Pound sterling.
    #[serde(rename = "GBP")]
    Gbp,
    /// UAE dirham.
    #[serde(rename = "AED")]
    Aed,
}

/// Money in integer minor units.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Money, example = json!({"amount": 49900, "currency": "INR"}))]
pub(crate) struct Fee {
    /// Minor units: 49900 is 499 rupees.
    #[schema(value_type = i64, minimum = 0, maximum = 1_000_000_000)]
    pub(crate) amount: Integer,
    /// ISO 4217.
    #[schema(value_type = CurrencyWord)]
    pub(crate) currency: String,
}

impl From<Money> for Fee {
    fn from(money: Money) -> Self {
        Self { amount: Integer(money.amount()), currency: money.currency().code().to_owned() }
    }
}

impl Fee {
    /// Checked.
    pub(crate) fn parse(&self, fields: &mut Fields, pointer: &str) -> Option<Money> {
        let currency: Currency = fields.parse(&format!("{pointer}/currency"), "unknown_value", &self.currency)?;
        let money = Money::new(self.amount.0, currency);
        money.map_err(|error| fields.refuse(format!("{pointer}/amount"), "out_of_range", error.to_string())).ok()
    }
}

/// One bookable interval of a doctor.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Slot, example = json!({
    "id": "019aaf00-0000-7000-8000-000000000003", "doctor_id": "019aaf00-0000-7000-8000-000000000001",
    "starts_at": "2026-11-23T03:30:00.000000Z", "ends_at": "2026-11-23T03:50:00.000000Z",
    "modes": ["video", "audio"], "status": "open"
}))]
pub(crate) struct SlotView {
    #[schema(value_type = uuid::Uuid)]
    pub(crate) id: SlotId,
    #[schema(value_type = uuid::Uuid)]
    pub(crate) doctor_id: DoctorId,
    /// First instant inside.
    pub(crate) starts_at: Time,
    /// First instant after.
    pub(crate) ends_at: Time,
    /// How a visit in it may be held.
    #[schema(value_type = Vec<ModeWord>)]
    pub(crate) modes: Vec<&'static str>,
    #[schema(value_type = SlotStatusWord)]
    pub(crate) status: &'static str,
}

impl From<&Slot> for SlotView {
    fn from(slot: &Slot) -> Self {
        Self {
            id: slot.id,
            doctor_id: slot.doctor,
            starts_at: Time(slot.range.start()),
            ends_at: Time(slot.range.end()),
            modes: mode_words(&slot.modes),
            status: slot.status.as_str(),
        }
    }
}

/// The words of a set of modes.
pub(crate) fn mode_words(modes: &Modes) -> Vec<&'static str> {
    modes.as_slice().iter().map(|mode| mode.as_str()).collect()
}

/// A set of modes from words.
pub(crate) fn parse_modes(fields: &mut Fields, pointer: &str, words: &[String]) -> Option<Modes> {
    let parse = |(index, word): (usize, &String)| fields.word::<Mode>(&format!("{pointer}/{index}"), MODES, word);
    let modes: Vec<_> = words.iter().enumerate().map(parse).collect();
    let modes: Vec<_> = modes.into_iter().collect::<Option<_>>()?;
    let set = Modes::new(modes);
    if set.is_none() {
        fields.refuse(pointer, "empty", "at least one of video, audio, chat");
    }
    set
}

/// The modes in a sentence.
pub(crate) const MODES: &str = "video, audio, chat";

/// Tells `null` from absent.
pub(super) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The new value of what can't be cleared, if there is one.
pub(super) fn kept<T>(fields: &mut Fields, pointer: &str, sent: Option<Option<T>>) -> Option<T> {
    fields.check(!matches!(sent, Some(None)), pointer, "required", "can't be cleared");
    sent.flatten()
}

/// A password somebody wants to use from now on.
pub(super) fn parse_password(fields: &mut Fields, pointer: &str, password: Sensitive<String>) -> Option<NewPassword> {
    NewPassword::parse(password).map_err(|error| fields.refuse(pointer, "invalid_password", error.to_string())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_booking::model::{CancelReason, ConsultationStatus};
    use utoipa::PartialSchema;

    fn documented<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["enum"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_documented_words_are_the_domains() {
        use amrutam_booking::model::{MedicalSystem, PractitionerStatus, SlotStatus, TimelineKind};
        use amrutam_identity::model::Sex;
        use amrutam_kernel::Role;
        assert_eq!(documented::<ModeWord>(), Mode::ALL.map(Mode::as_str));
        assert_eq!(documented::<StatusWord>(), ConsultationStatus::ALL.map(ConsultationStatus::as_str));
        let persons = CancelReason::ALL.into_iter().filter(|reason| reason.is_a_persons());
        assert_eq!(documented::<CancelReasonWord>(), persons.map(CancelReason::as_str).collect::<Vec<_>>());
        assert_eq!(documented::<CancelCauseWord>(), CancelReason::ALL.map(CancelReason::as_str));
        // Each word in an exhaustive match, so that a new one does not compile until it is told here.
        let word = |system: MedicalSystem| match system {
            MedicalSystem::Ayurveda
            | MedicalSystem::Siddha
            | MedicalSystem::Unani
            | MedicalSystem::Homoeopathy
            | MedicalSystem::Allopathy => system.as_str(),
        };
        use MedicalSystem::{Allopathy, Ayurveda, Homoeopathy, Siddha, Unani};
        assert_eq!(documented::<SystemWord>(), [Ayurveda, Siddha, Unani, Homoeopathy, Allopathy].map(word));
        let word = |status: PractitionerStatus| match status {
            PractitionerStatus::Applied
            | PractitionerStatus::Verified
            | PractitionerStatus::Listed
            | PractitionerStatus::Suspended
            | PractitionerStatus::Expired => status.as_str(),
        };
        use PractitionerStatus::{Applied, Expired, Listed, Suspended, Verified};
        assert_eq!(documented::<DoctorStatusWord>(), [Applied, Verified, Listed, Suspended, Expired].map(word));
        let word = |currency: Currency| match currency {
            Currency::Inr | Currency::Usd | Currency::Eur | Currency::Gbp | Currency::Aed => currency.code(),
        };
        use Currency::{Aed, Eur, Gbp, Inr, Usd};
        assert_eq!(documented::<CurrencyWord>(), [Inr, Usd, Eur, Gbp, Aed].map(word));
        assert_eq!(documented::<RoleWord>(), Role::ALL.map(Role::as_str));
        let staff: Vec<_> = Role::ALL.into_iter().filter(|role| *role != Role::Patient).map(Role::as_str).collect();
        assert_eq!(documented::<StaffRoleWord>(), staff);
        let word = |status: SlotStatus| match status {
            SlotStatus::Open | SlotStatus::Booked | SlotStatus::Blocked | SlotStatus::Withdrawn => status.as_str(),
        };
        use SlotStatus::{Blocked, Booked, Open, Withdrawn};
        assert_eq!(documented::<SlotStatusWord>(), [Open, Booked, Blocked, Withdrawn].map(word));
        let word = |kind: TimelineKind| match kind {
            TimelineKind::StatusChanged
            | TimelineKind::Rescheduled
            | TimelineKind::ModeChanged
            | TimelineKind::Noted => kind.as_str(),
        };
        use TimelineKind::{ModeChanged, Noted, Rescheduled, StatusChanged};
        let visit = [StatusChanged, Rescheduled, ModeChanged, Noted].map(word).to_vec();
        let payment = amrutam_payments::model::StepKind::ALL.iter().map(|kind| kind.as_str());
        assert_eq!(documented::<TimelineKindWord>(), visit.into_iter().chain(payment).collect::<Vec<_>>());
        let states: Vec<_> = amrutam_payments::model::MoneyState::ALL.iter().map(|state| state.as_str()).collect();
        assert_eq!(documented::<PaymentStatusWord>(), states);
        {
            use amrutam_kernel::DeadSource;
            use amrutam_operations::model::{DiscardReason, LetterState, ReviewState};
            assert_eq!(documented::<DeadSourceWord>(), DeadSource::ALL.map(DeadSource::as_str));
            assert_eq!(documented::<DeadLetterStateWord>(), LetterState::ALL.map(LetterState::as_str));
            assert_eq!(documented::<DiscardReasonWord>(), DiscardReason::ALL.map(DiscardReason::as_str));
            assert_eq!(documented::<ReviewStateWord>(), ReviewState::ALL.map(ReviewState::as_str));
        }
        assert_eq!(
            documented::<EndReasonWord>(),
            amrutam_booking::model::EndReason::ALL.map(amrutam_booking::model::EndReason::as_str)
        );
        assert_eq!(
            documented::<IdentityWord>(),
            amrutam_booking::model::IdentityCheck::ALL.map(amrutam_booking::model::IdentityCheck::as_str)
        );
        let relations: Vec<_> =
            amrutam_clinical::model::DependantRelation::ALL.iter().map(|relation| relation.as_str()).collect();
        assert_eq!(documented::<DependantRelationWord>(), relations);
        let word = |sex: Sex| serde_json::to_value(sex).unwrap().as_str().unwrap().to_owned();
        assert_eq!(documented::<SexWord>(), [Sex::Female, Sex::Male, Sex::Other].map(word));
    }
}
