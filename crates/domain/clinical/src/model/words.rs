//! The vocabularies, each with the words stored and sent.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A word that is not in the vocabulary named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {0}")]
pub struct UnknownWord(pub &'static str);

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The word stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }

        impl FromStr for $name {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word).ok_or(UnknownWord($what))
            }
        }
    )+};
}

words! {
    /// How a visit is held at the moment.
    Mode, "mode of a visit" {
        /// Seeing and hearing each other.
        Video = "video",
        /// Hearing each other.
        Audio = "audio",
        /// In writing.
        Chat = "chat",
    }
    /// A system of medicine; a practitioner prescribes within their own only.
    System, "system of medicine" {
        /// Ayurveda.
        Ayurveda = "ayurveda",
        /// Siddha.
        Siddha = "siddha",
        /// Unani.
        Unani = "unani",
        /// Homoeopathy.
        Homoeopathy = "homoeopathy",
        /// Modern medicine.
        Allopathy = "allopathy",
    }
    /// Which kind of visit the guidelines take it for; computed, never typed.
    VisitKind, "kind of visit" {
        /// The first for this condition with this practitioner, or too long after the last.
        FirstVisit = "first_visit",
        /// Same practitioner, same condition, last visit within the ruleset's months.
        FollowUp = "follow_up",
    }
    /// The telemedicine guidelines' lists.
    PrescribingList, "prescribing list" {
        /// Over-the-counter kind.
        O = "O",
        /// Diagnosable on video, or the refill of a chronic therapy.
        A = "A",
        /// Added to a treatment under way.
        B = "B",
        /// Never by telemedicine.
        Prohibited = "prohibited",
    }
    /// A dosage form (kalpana).
    Form, "dosage form" {
        /// Tablet or pill (vati, gutika).
        Vati = "vati",
        /// Powder.
        Churna = "churna",
        /// Fermented infusion.
        Asava = "asava",
        /// Fermented decoction.
        Arishta = "arishta",
        /// Medicated oil.
        Taila = "taila",
        /// Medicated ghee.
        Ghrita = "ghrita",
        /// Decoction, or its dry ingredients.
        Kwatha = "kwatha",
        /// Ash of a metal or mineral.
        Bhasma = "bhasma",
        /// Fine powder of a mineral or shell, triturated (pishti).
        Pishti = "pishti",
        /// Preparation with processed mercury.
        Rasa = "rasa",
        /// Linctus (lehya, avaleha).
        Avaleha = "avaleha",
        /// Pill on a base of guggulu resin.
        Guggulu = "guggulu",
        /// Preparation of iron.
        Lauha = "lauha",
        /// Preparation of iron slag.
        Mandura = "mandura",
        /// Flakes of a melted mercurial.
        Parpati = "parpati",
        /// Distillate.
        Arka = "arka",
        /// Alkali.
        Kshara = "kshara",
        /// Water-soluble extract or dried juice (satva).
        Satva = "satva",
        /// Paste for the skin.
        Lepa = "lepa",
    }
    /// In what something is measured.
    Unit, "unit" {
        /// Milligrams.
        Milligram = "mg",
        /// Grams.
        Gram = "g",
        /// Millilitres.
        Millilitre = "ml",
        /// Tablets or pills.
        Tablet = "tablet",
        /// Drops.
        Drop = "drop",
        /// Applications to the skin.
        Application = "application",
    }
    /// What a text says of a preparation in pregnancy.
    PregnancyFlag, "pregnancy flag" {
        /// Used in pregnancy.
        Used = "used",
        /// Under close watch only.
        Caution = "caution",
        /// Not to be given.
        Avoid = "avoid",
        /// Nothing is known.
        Unknown = "unknown",
    }
    /// Whether the patient is pregnant.
    Pregnancy, "state of pregnancy" {
        /// Asked, and no; or can't be.
        No = "no",
        /// Yes.
        Yes = "yes",
        /// Not asked, or not known.
        Unknown = "unknown",
    }
    /// As recorded in identity documents.
    Sex, "sex" {
        /// Female.
        Female = "female",
        /// Male.
        Male = "male",
        /// Another.
        Other = "other",
    }
    /// When a medicine is taken, relative to food and day (aushadha-kala).
    AushadhaKala, "time of taking" {
        /// On an empty stomach.
        Abhakta = "abhakta",
        /// Before food.
        Pragbhakta = "pragbhakta",
        /// In the middle of a meal.
        Madhyabhakta = "madhyabhakta",
        /// After food.
        Adhobhakta = "adhobhakta",
        /// Between two meals.
        Antarabhakta = "antarabhakta",
        /// Mixed with food.
        Sabhakta = "sabhakta",
        /// Before and after a light meal.
        Samudga = "samudga",
        /// Again and again.
        Muhurmuhu = "muhurmuhu",
        /// With each morsel.
        Sagrasa = "sagrasa",
        /// Between morsels.
        Grasantara = "grasantara",
        /// At night.
        Nisha = "nisha",
        /// Not by the day: an application to the skin.
        AsDirected = "as_directed",
    }
    /// Why a caution was weighed and the item prescribed all the same.
    OverrideReason, "reason to go on" {
        /// The benefit outweighs it.
        BenefitOutweighsRisk = "benefit_outweighs_risk",
        /// The patient has taken it before without harm.
        ToleratedBefore = "tolerated_before",
        /// The practitioner has checked in another way.
        CheckedByPractitioner = "checked_by_practitioner",
        /// It will be watched by tests or a visit in person.
        MonitoringArranged = "monitoring_arranged",
        /// There is nothing else for it.
        NoAlternative = "no_alternative",
    }
    /// Why a signed prescription is taken back.
    RevokeReason, "reason to revoke" {
        /// For the wrong patient.
        WrongPatient = "wrong_patient",
        /// A wrong drug or dose.
        MedicationError = "medication_error",
        /// It harmed, or an allergy came out.
        AdverseReaction = "adverse_reaction",
        /// The diagnosis has changed.
        DiagnosisChanged = "diagnosis_changed",
        /// The patient asked for it.
        PatientRequest = "patient_request",
        /// Another one.
        Other = "other",
    }
    /// Why a record is opened by a practitioner who does not treat the patient.
    BreakGlassReason, "reason to break the glass" {
        /// Life or health is in danger now.
        Emergency = "emergency",
        /// The patient can't be asked.
        PatientIncapacitated = "patient_incapacitated",
        /// The treating practitioner can't be reached, and care can't wait.
        CoveringCare = "covering_care",
        /// A law asks for it.
        LegalDuty = "legal_duty",
    }
    /// What a consent is for.
    ConsentPurpose, "purpose of consent" {
        /// The visit itself.
        Teleconsultation = "teleconsultation",
        /// Showing the record to other practitioners.
        RecordSharing = "record_sharing",
        /// Recording the visit.
        Recording = "recording",
        /// Sending the prescription to a pharmacy.
        PharmacySharing = "pharmacy_sharing",
        /// Research.
        Research = "research",
        /// Offers.
        Marketing = "marketing",
    }
    /// How a consent came about.
    ConsentMethod, "method of consent" {
        /// The patient began it: by booking the visit.
        Implied = "implied",
        /// The patient pressed the button.
        InApp = "in_app",
        /// Said during a call.
        Verbal = "verbal",
        /// In a text message or chat.
        Message = "message",
        /// In a mail.
        Email = "email",
        /// On paper.
        Written = "written",
    }
    /// Whether a consent was given or withdrawn.
    ConsentDecision, "decision" {
        /// Given.
        Given = "given",
        /// Withdrawn.
        Withdrawn = "withdrawn",
    }
    /// What an accompanying adult is to a minor.
    Kinship, "relation" {
        /// Mother.
        Mother = "mother",
        /// Father.
        Father = "father",
        /// Grandparent.
        Grandparent = "grandparent",
        /// Brother or sister of age.
        Sibling = "sibling",
        /// Guardian by law.
        LegalGuardian = "legal_guardian",
        /// Another relative of age.
        OtherRelative = "other_relative",
    }
    /// What a dependant is to the account's owner.
    DependantRelation, "relation of a dependant" {
        /// Child.
        Child = "child",
        /// Mother or father.
        Parent = "parent",
        /// Wife or husband.
        Spouse = "spouse",
        /// Sister or brother.
        Sibling = "sibling",
        /// Grandparent.
        Grandparent = "grandparent",
        /// Grandchild.
        Grandchild = "grandchild",
        /// In their care by law.
        Ward = "ward",
        /// Another relative.
        OtherRelative = "other_relative",
    }
    /// With what an accompanying adult identified themself.
    IdType, "type of identity document" {
        /// Aadhaar card.
        Aadhaar = "aadhaar",
        /// PAN card.
        Pan = "pan",
        /// Voter's card.
        VoterId = "voter_id",
        /// Passport.
        Passport = "passport",
        /// Driving licence.
        DrivingLicence = "driving_licence",
        /// Another government document.
        Other = "other",
    }
    /// A side of a visit.
    Side, "side of a visit" {
        /// The patient's.
        Patient = "patient",
        /// The practitioner's.
        Doctor = "doctor",
    }
    /// How far a visit is, as far as this domain asks.
    VisitStatus, "status of a visit" {
        /// Yet to begin.
        Confirmed = "confirmed",
        /// Under way.
        InProgress = "in_progress",
        /// Over.
        Completed = "completed",
        /// Never took place, or is not certain to.
        Other = "other",
    }
}

impl VisitStatus {
    /// Booking's word; what this domain has nothing to do with is [`Self::Other`].
    pub fn from_word(word: &str) -> Self {
        word.parse().unwrap_or(Self::Other)
    }
}
