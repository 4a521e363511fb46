//! A practitioner's public profile.

use crate::model::{Modes, Unknown};
use amrutam_kernel::{AccountId, DoctorId, Money};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A system of medicine; a practitioner prescribes within their own only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MedicalSystem {
    /// Ayurveda.
    Ayurveda,
    /// Siddha.
    Siddha,
    /// Unani.
    Unani,
    /// Homoeopathy.
    Homoeopathy,
    /// Modern medicine.
    Allopathy,
}

impl MedicalSystem {
    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ayurveda => "ayurveda",
            Self::Siddha => "siddha",
            Self::Unani => "unani",
            Self::Homoeopathy => "homoeopathy",
            Self::Allopathy => "allopathy",
        }
    }
}

impl FromStr for MedicalSystem {
    type Err = Unknown;
    fn from_str(word: &str) -> Result<Self, Unknown> {
        [Self::Ayurveda, Self::Siddha, Self::Unani, Self::Homoeopathy, Self::Allopathy]
            .into_iter()
            .find(|system| system.as_str() == word)
            .ok_or(Unknown("system of medicine"))
    }
}

/// Where a practitioner stands with us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PractitionerStatus {
    /// Has applied.
    Applied,
    /// Documents checked.
    Verified,
    /// In the public directory.
    Listed,
    /// Taken out by an admin.
    Suspended,
    /// The registration ran out.
    Expired,
}

impl PractitionerStatus {
    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Verified => "verified",
            Self::Listed => "listed",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
        }
    }

    /// The arrows: `applied -> verified -> listed -> suspended | expired`, and back to `listed` once checked again.
    pub const fn can_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Applied, Self::Verified)
                | (Self::Verified | Self::Suspended | Self::Expired, Self::Listed)
                | (Self::Applied | Self::Verified | Self::Listed | Self::Expired, Self::Suspended)
                | (Self::Listed, Self::Expired)
        )
    }
}

impl fmt::Display for PractitionerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PractitionerStatus {
    type Err = Unknown;
    fn from_str(word: &str) -> Result<Self, Unknown> {
        [Self::Applied, Self::Verified, Self::Listed, Self::Suspended, Self::Expired]
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or(Unknown("practitioner status"))
    }
}

/// A branch of the art.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Specialization {
    /// Stored and sent.
    pub code: &'static str,
    /// In Sanskrit, as on the door.
    pub name: &'static str,
    /// In plain words.
    pub description: &'static str,
}

macro_rules! specializations {
    ($($code:literal, $name:literal, $description:literal;)+) => {
        [$(Specialization { code: $code, name: $name, description: $description }),+]
    };
}

/// The eight classical branches (ashtanga, Charaka Samhita, Sutrasthana 30.28) and the specialities in which
/// postgraduate degrees are given (NCISM, MD and MS Ayurveda).
pub const SPECIALIZATIONS: [Specialization; 15] = specializations! {
    "kayachikitsa", "Kayachikitsa", "General medicine";
    "shalya-tantra", "Shalya Tantra", "Surgery and anorectal disorders";
    "shalakya-tantra", "Shalakya Tantra", "Eyes, ears, nose, throat and head";
    "kaumarabhritya", "Kaumarabhritya", "Children's health";
    "bhutavidya", "Bhutavidya (Manasa Roga)", "Mind and behaviour";
    "agada-tantra", "Agada Tantra", "Toxicology";
    "rasayana", "Rasayana", "Rejuvenation and healthy ageing";
    "vajikarana", "Vajikarana", "Reproductive and sexual health";
    "panchakarma", "Panchakarma", "Purification therapies";
    "prasuti-stri-roga", "Prasuti Tantra evam Stri Roga", "Obstetrics and gynaecology";
    "swasthavritta", "Swasthavritta and Yoga", "Prevention, diet and yoga";
    "dravyaguna", "Dravyaguna", "Medicinal plants";
    "rasashastra", "Rasashastra evam Bhaishajya Kalpana", "Pharmaceutics";
    "roga-nidana", "Roga Nidana evam Vikriti Vigyana", "Diagnosis and pathology";
    "twak-roga", "Twak Roga", "Skin and hair";
};

/// What a practitioner or an admin fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PractitionerDetails {
    /// Public name, with title.
    pub full_name: String,
    /// System of medicine.
    pub system: MedicalSystem,
    /// The registering council.
    pub council: String,
    /// Unique within the council.
    pub registration_number: String,
    /// When the council registered them.
    pub registered_on: Option<Date>,
    /// Last day of the registration, when it is limited.
    pub valid_until: Option<Date>,
    /// Degrees, as on the door plate.
    pub qualifications: Vec<String>,
    /// Codes of [`SPECIALIZATIONS`].
    pub specializations: Vec<String>,
    /// BCP 47 tags: `hi`, `en`, `ml`.
    pub languages: Vec<String>,
    /// Modes offered at all.
    pub modes: Modes,
    /// Price of a visit.
    pub fee: Money,
    /// A few sentences.
    pub bio: String,
    /// IANA zone of the working hours.
    pub time_zone: String,
}

/// The days of the business zone on which a practitioner may practise, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registration {
    /// First day, when it is known.
    pub from: Option<Date>,
    /// Last day, when it is limited.
    pub until: Option<Date>,
}

impl Registration {
    /// Whether `day` is one of them.
    pub fn covers(self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|until| day <= until)
    }
}

/// A field of the profile that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidPractitioner {
    /// The field's name in the API.
    pub field: &'static str,
    /// What is wrong, in a sentence.
    pub problem: &'static str,
}

impl PractitionerDetails {
    /// When they may practise.
    pub fn registration(&self) -> Registration {
        Registration { from: self.registered_on, until: self.valid_until }
    }

    /// The first field that an admin checked against documents and that differs here.
    pub fn changed_after_check(&self, checked: &Self) -> Option<&'static str> {
        [
            ("full_name", self.full_name != checked.full_name),
            ("system", self.system != checked.system),
            ("registered_on", self.registered_on != checked.registered_on),
            ("valid_until", self.valid_until != checked.valid_until),
            ("qualifications", self.qualifications != checked.qualifications),
        ]
        .into_iter()
        .find_map(|(field, changed)| changed.then_some(field))
    }

    /// Whether other slots follow from the same rules than from `other`.
    pub fn cuts_other_slots_than(&self, other: &Self) -> bool {
        self.time_zone != other.time_zone || self.modes != other.modes || self.registration() != other.registration()
    }

    /// Checks every field; the first problem found is named.
    pub fn validate(&self) -> Result<(), InvalidPractitioner> {
        let invalid = |field, problem| Err(InvalidPractitioner { field, problem });
        let text = |text: &str, max: usize| {
            (1..=max).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control)
        };
        let texts = |texts: &[String], max_items: usize, max: usize| {
            (1..=max_items).contains(&texts.len()) && texts.iter().all(|item| text(item, max))
        };
        if !text(&self.full_name, 200) {
            return invalid("full_name", "1 to 200 characters without control characters");
        }
        if !text(&self.council, 200) {
            return invalid("council", "1 to 200 characters without control characters");
        }
        if !text(&self.registration_number, 64) {
            return invalid("registration_number", "1 to 64 characters without control characters");
        }
        if let (Some(from), Some(until)) = (self.registered_on, self.valid_until)
            && until < from
        {
            return invalid("valid_until", "not before registered_on");
        }
        if !texts(&self.qualifications, 20, 200) {
            return invalid("qualifications", "1 to 20 entries of 1 to 200 characters");
        }
        let known = |code: &String| SPECIALIZATIONS.iter().any(|known| known.code == code);
        if !(1..=15).contains(&self.specializations.len()) || !self.specializations.iter().all(known) {
            return invalid("specializations", "1 to 15 codes of GET /v1/specializations");
        }
        let tag =
            |tag: &String| (2..=35).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !(1..=30).contains(&self.languages.len()) || !self.languages.iter().all(tag) {
            return invalid("languages", "1 to 30 BCP 47 tags such as hi, en, ml");
        }
        if self.bio.chars().count() > 4_000 || self.bio.chars().any(|c| c.is_control() && c != '\n') {
            return invalid("bio", "at most 4000 characters without control characters");
        }
        if jiff::tz::TimeZone::get(&self.time_zone).is_err() {
            return invalid("time_zone", "an IANA zone such as Asia/Kolkata");
        }
        Ok(())
    }
}

/// A practitioner as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Practitioner {
    /// Its id.
    pub id: DoctorId,
    /// The account that acts for it.
    pub account: AccountId,
    /// What was filled in.
    pub details: PractitionerDetails,
    /// Where they stand with us.
    pub status: PractitionerStatus,
    /// Rises with every change; the `ETag`.
    pub version: i64,
    /// Since when.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
}

impl Practitioner {
    /// Whether the registration is valid on `day` (business zone).
    pub fn is_registered_on(&self, day: Date) -> bool {
        self.details.registration().covers(day)
    }

    /// Whether everybody may know of them on `day`: listed and registered.
    pub fn is_public_on(&self, day: Date) -> bool {
        self.status == PractitionerStatus::Listed && self.is_registered_on(day)
    }
}
