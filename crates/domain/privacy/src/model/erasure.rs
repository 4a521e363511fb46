//! An end of what is kept of a person: what goes at once, what stays until when, and why.

use super::{Grounded, RecordClass, RetentionRules};
use amrutam_kernel::{AccountId, ConsultationId};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// (ours) How long after its slot a visit that was begun and not ended still counts as under way: its practitioner is to
/// complete the record first.
pub const WRITING_UP: SignedDuration = SignedDuration::from_hours(24);

macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The word stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// What a line of the report is about.
    Item {
        /// Address, phone.
        ContactDetails = "contact_details",
        /// Name, date of birth, sex, time zone, and consents to marketing with them.
        Identity = "identity",
        /// Password, second factor, recovery codes, log-ins, links in mails.
        SignIn = "sign_in",
        /// Archives made for the person.
        Exports = "exports",
        /// What was to be sent.
        PendingMessages = "pending_messages",
        /// Visits that were booked.
        UpcomingVisits = "upcoming_visits",
        /// What was said for visits that never took place (reasons, consents, who accompanies a minor), and people kept whom no visit
        /// that did names.
        UnheldVisits = "unheld_visits",
        /// Visits that took place with their reasons, consents, notes and prescriptions, and the people whom they name.
        ClinicalRecord = "clinical_record",
        /// Payments and bookings, by opaque ids.
        Payments = "payments",
        /// Who did what, by opaque ids.
        AuditTrail = "audit_trail",
    }
}

words! {
    /// What becomes of it.
    Fate {
        /// It is gone, or goes with its keys within seconds.
        Erased = "erased",
        /// It was called off.
        Cancelled = "cancelled",
        /// It stays.
        Kept = "kept",
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// About what.
    pub item: Item,
    /// What becomes of it.
    pub fate: Fate,
    /// How many, where they are counted.
    pub count: Option<u32>,
    /// Until when it is kept, where that is known.
    pub until: Option<Timestamp>,
    /// Why.
    #[serde(flatten)]
    pub why: Grounded,
}

/// A visit that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveVisit {
    /// Which.
    pub id: ConsultationId,
    /// Its start.
    pub starts_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
    /// Somebody has begun it.
    pub begun: bool,
}

/// What an erasure is decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whose.
    pub account: AccountId,
    /// The account's version.
    pub account_version: i64,
    /// The version of the calendar that `live` was read under; 0 when there is none.
    pub calendar_version: i64,
    /// Visits that are not over.
    pub live: Vec<LiveVisit>,
    /// When the last visit that took place ended; none when none has.
    pub last_visit: Option<Timestamp>,
    /// Whether a legal hold is in force.
    pub on_hold: bool,
}

impl Erasure {
    /// Whether what was said for visits that never took place goes at once.
    pub fn forgets_unheld(&self) -> bool {
        self.report.iter().any(|line| line.item == Item::UnheldVisits && line.fate == Fate::Erased)
    }
}

/// A visit takes place: it can be asked again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a visit is under way, until {until} at the latest")]
pub struct UnderWay {
    /// From then on it does not stand in the way any more.
    pub until: Timestamp,
}

/// The visits to call off, unless one is under way. One that nobody began in its time stands in nobody's way.
pub fn upcoming(facts: &Facts, now: Timestamp) -> Result<Vec<ConsultationId>, UnderWay> {
    let mut ahead = Vec::new();
    for visit in &facts.live {
        let until = if visit.begun { visit.ends_at + WRITING_UP } else { visit.ends_at };
        if !visit.begun && now < visit.starts_at {
            ahead.push(visit.id);
        } else if now < until {
            return Err(UnderWay { until });
        }
    }
    Ok(ahead)
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureState {
    /// What is kept is locked.
    Locked,
    /// Its keys are being destroyed: nothing stops that any more.
    Destroying,
    /// Nothing of it opens, and what was sealed is deleted.
    Destroyed {
        /// Since when.
        at: Timestamp,
    },
}

impl ErasureState {
    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Destroying => "destroying",
            Self::Destroyed { .. } => "destroyed",
        }
    }
}

/// An erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Whose. By this id alone the rest is known from now on.
    pub account: AccountId,
    /// When.
    pub erased_at: Timestamp,
    /// When the last visit that took place had ended.
    pub last_visit: Option<Timestamp>,
    /// The first instant at which the clinical record may be destroyed, and is unless a hold keeps it.
    pub keep_until: Timestamp,
    /// The version of the rules it was decided by.
    pub rules: String,
    /// What became of what.
    pub report: Vec<Line>,
    /// How far it is.
    pub state: ErasureState,
}

/// Decides: what goes, what stays, until when and why. `cancelled`: so many visits were called off for it.
pub fn decide_erasure(
    rules: &RetentionRules,
    zone: &TimeZone,
    facts: &Facts,
    cancelled: u32,
    now: Timestamp,
) -> Erasure {
    let erased = |item| Line { item, fate: Fate::Erased, count: None, until: None, why: rules.erasure.clone() };
    let kept = |item, until, why| Line { item, fate: Fate::Kept, count: None, until, why };
    let of_class = |class, since| rules.keep_until(class, since, zone);
    let why = |class| rules.rule(class).map_or_else(|| rules.erasure.clone(), super::ClassRule::grounded);

    let mut report =
        [Item::ContactDetails, Item::Identity, Item::SignIn, Item::Exports, Item::PendingMessages].map(erased).to_vec();
    if cancelled > 0 {
        let line = erased(Item::UpcomingVisits);
        report.push(Line { fate: Fate::Cancelled, count: Some(cancelled), ..line });
    }
    // No duty covers what never came to be a record.
    let unheld = erased(Item::UnheldVisits);
    report.push(if facts.on_hold { kept(Item::UnheldVisits, None, rules.legal_hold.clone()) } else { unheld });
    // Without a visit that took place there is no record that anybody must keep. Where nobody says how long, it is kept.
    let keep_until =
        facts.last_visit.map_or(now, |last| of_class(RecordClass::ClinicalRecord, last).unwrap_or(Timestamp::MAX));
    report.push(if facts.on_hold {
        kept(Item::ClinicalRecord, None, rules.legal_hold.clone())
    } else if keep_until <= now {
        erased(Item::ClinicalRecord)
    } else {
        kept(Item::ClinicalRecord, Some(keep_until), why(RecordClass::ClinicalRecord))
    });
    let last_money = facts.live.iter().map(|visit| visit.ends_at).chain(facts.last_visit).chain([now]).max();
    let books = last_money.and_then(|since| of_class(RecordClass::Payments, since));
    report.push(kept(Item::Payments, books, why(RecordClass::Payments)));
    let trail = of_class(RecordClass::AuditTrail, now);
    report.push(kept(Item::AuditTrail, trail, why(RecordClass::AuditTrail)));
    Erasure {
        account: facts.account,
        erased_at: now,
        last_visit: facts.last_visit,
        keep_until,
        rules: rules.version.clone(),
        report,
        state: ErasureState::Locked,
    }
}
