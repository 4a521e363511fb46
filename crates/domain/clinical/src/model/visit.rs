//! The visit as this domain sees it, and what is computed from visits.

use super::{Mode, RuleSet, Sex, System, VisitKind, VisitStatus};
use amrutam_kernel::{AccountId, ConsultationId, DependantId, DoctorId, Sensitive, TimeRange};
use jiff::{SignedDuration, Span, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Whose record it is: an account's own, or that of a person it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The account's own.
    Account(AccountId),
    /// A dependant's, booked by `keeper`.
    Dependant {
        /// Who books.
        keeper: AccountId,
        /// Who is treated.
        dependant: DependantId,
    },
}

impl Subject {
    /// The account that books and reads.
    pub const fn keeper(&self) -> AccountId {
        match self {
            Self::Account(account) => *account,
            Self::Dependant { keeper, .. } => *keeper,
        }
    }

    /// Who is treated, when it is not the account's owner.
    pub const fn dependant(&self) -> Option<DependantId> {
        match self {
            Self::Account(_) => None,
            Self::Dependant { dependant, .. } => Some(*dependant),
        }
    }

    /// Under whose key the record is sealed: a dependant has one of their own.
    pub const fn key_owner(&self) -> AccountId {
        match self {
            Self::Account(account) => *account,
            Self::Dependant { dependant, .. } => AccountId::from_uuid(dependant.as_uuid()),
        }
    }
}

/// Who is treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// As in identity documents.
    pub name: String,
    /// When known.
    pub date_of_birth: Option<Date>,
    /// When known.
    pub sex: Option<Sex>,
}

/// The practitioner as they are listed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practitioner {
    /// Their profile.
    pub id: DoctorId,
    /// The account that acts for it.
    pub account: AccountId,
    /// With title.
    pub name: String,
    /// Degrees.
    pub qualifications: Vec<String>,
    /// The registering council.
    pub council: String,
    /// Its number.
    pub registration: String,
    /// What they practise.
    pub system: System,
    /// In the directory.
    pub listed: bool,
    /// First day of the registration, when it is known.
    pub registered_on: Option<Date>,
    /// Its last day, when it is limited.
    pub valid_until: Option<Date>,
}

impl Practitioner {
    /// Whether they may practise on `day` (business zone): listed, and registered.
    pub fn practises_on(&self, day: Date) -> bool {
        self.listed
            && self.registered_on.is_none_or(|from| from <= day)
            && self.valid_until.is_none_or(|until| day <= until)
    }
}

/// A visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// The consultation.
    pub id: ConsultationId,
    /// Whose record it goes to.
    pub subject: Subject,
    /// Who is treated.
    pub person: Sensitive<Person>,
    /// Who treats.
    pub practitioner: Practitioner,
    /// When.
    pub range: TimeRange,
    /// How it is held now.
    pub mode: Mode,
    /// How far it is.
    pub status: VisitStatus,
    /// Rises with every change of the consultation.
    pub version: i64,
    /// The last change of its status: of a completed one, its end.
    pub changed_at: Timestamp,
}

impl Visit {
    /// The age at the visit's start, in whole years.
    pub fn age_years(&self, zone: &TimeZone) -> Option<u16> {
        let born = self.person.expose().date_of_birth?;
        age_on(born, zone.to_datetime(self.range.start()).date())
    }

    /// Whether a visit may begin, and be prescribed at, only with an adult beside the patient. Whose age is not known is not taken for
    /// a minor: the visit is where it is asked, and before it is known nothing is signed.
    pub fn is_of_minor(&self, rules: &RuleSet, zone: &TimeZone) -> bool {
        self.age_years(zone).is_some_and(|age| age < rules.adult_age_years)
    }

    /// Whether it is over, by its practitioner's word or because nobody has begun it in its time.
    pub fn is_over(&self, now: Timestamp) -> bool {
        match self.status {
            VisitStatus::InProgress => false,
            VisitStatus::Completed => true,
            VisitStatus::Confirmed | VisitStatus::Other => self.range.end() <= now,
        }
    }

    /// Whether its prescription may be written and signed at `now`: while it is under way, and for the ruleset's hours after.
    pub fn is_open_for_prescribing(&self, rules: &RuleSet, now: Timestamp) -> bool {
        match self.status {
            VisitStatus::InProgress => true,
            VisitStatus::Completed => {
                now.duration_since(self.changed_at) <= SignedDuration::from_hours(i64::from(rules.sign_within_hours))
            }
            VisitStatus::Confirmed | VisitStatus::Other => false,
        }
    }
}

/// Whole years from `born` to `day`; nothing when not born yet.
pub fn age_on(born: Date, day: Date) -> Option<u16> {
    let had_birthday = (day.month(), day.day()) >= (born.month(), born.day());
    let years = i32::from(day.year()) - i32::from(born.year()) - i32::from(!had_birthday);
    if day < born { None } else { u16::try_from(years).ok() }
}

/// A condition, to be told from others: its code where one is known, else its text without regard to case and spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition(String);

impl Condition {
    /// Of a diagnosis.
    pub fn of(text: &str) -> Self {
        Self(text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" "))
    }
}

/// An earlier visit of the same patient with the same practitioner that took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierVisit {
    /// Which.
    pub consultation: ConsultationId,
    /// When it began.
    pub started_at: Timestamp,
    /// What it was for.
    pub conditions: Vec<Condition>,
}

/// First visit or follow-up: computed from what was, never typed. `downgraded` is the practitioner's word that a follow-up is to
/// be treated as a first visit; there is no word for the reverse.
pub fn visit_kind(
    rules: &RuleSet,
    zone: &TimeZone,
    starts_at: Timestamp,
    conditions: &[Condition],
    earlier: &[EarlierVisit],
    downgraded: bool,
) -> VisitKind {
    let months = Span::new().months(i64::from(rules.follow_up_months));
    let since = starts_at.to_zoned(zone.clone()).checked_sub(months).map_or(Timestamp::MIN, |since| since.timestamp());
    let continues = |visit: &EarlierVisit| {
        since <= visit.started_at
            && visit.started_at < starts_at
            && visit.conditions.iter().any(|condition| conditions.contains(condition))
    };
    if !downgraded && earlier.iter().any(continues) { VisitKind::FollowUp } else { VisitKind::FirstVisit }
}

/// (ours) How long after its end a visit that is confirmed and that nobody has begun still counts as one at which somebody is treated.
/// It may begin late, and what was said at it is written up the day after; but nobody closes one that neither side came to, and who
/// was not treated is not read about for a year.
pub const NOT_BEGUN: SignedDuration = SignedDuration::from_hours(24);

/// Whether a practitioner who last treated the patient in a visit that ended then may still read the record.
pub fn is_treating(rules: &RuleSet, last_visit_ended: Timestamp, now: Timestamp) -> bool {
    now.duration_since(last_visit_ended) <= SignedDuration::from_hours(24 * i64::from(rules.treating_days))
}
