//! The field's rules as data: each set with a version, its sources, who approved it, and from when it holds.

use super::{Mode, PrescribingList, UnknownWord, VisitKind};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr, sync::LazyLock};

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// One rule of prescribing; its source stands in the [`RuleSet`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Rule { $($(#[$doc])* #[serde(rename = $word)] $name,)+ }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// The word stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

rules! {
    /// A diagnosis, provisional at least, comes before the first item.
    DiagnosisRequired = "diagnosis_required",
    /// Within the practitioner's own system only.
    OwnSystem = "own_system",
    /// Schedule X never.
    ScheduleX = "schedule_x",
    /// Narcotics and psychotropics never.
    Ndps = "ndps",
    /// The prohibited list never.
    ProhibitedList = "prohibited_list",
    /// List O in the modes of the set.
    ListO = "list_o",
    /// List A in the modes of the set: at a first visit by video.
    ListA = "list_a",
    /// List B at a follow-up only.
    ListB = "list_b",
    /// The age must be known.
    AgeKnown = "age_known",
    /// Not below the formulary's age.
    MinimumAge = "minimum_age",
    /// Schedule E(1): by video.
    E1Mode = "e1_mode",
    /// Schedule E(1): to adults.
    E1Adult = "e1_adult",
    /// Schedule E(1): for so many days at most.
    E1Duration = "e1_duration",
    /// Schedule E(1): no more than the course takes, nor than the reference text's largest doses make.
    E1Quantity = "e1_quantity",
    /// Schedule E(1): with the caution line.
    E1Caution = "e1_caution",
    /// Not in the formulary: counts as list A, and is flagged.
    UnknownItem = "unknown_item",
    /// Not in pregnancy.
    PregnancyAvoid = "pregnancy_avoid",
    /// What has a code is called as the formulary calls it.
    ItemName = "item_name",
    /// What has a code is of the formulary's form.
    ItemForm = "item_form",
    /// What is called like a preparation of the formulary says which.
    ItemCode = "item_code",
    /// In pregnancy with care.
    PregnancyCaution = "pregnancy_caution",
    /// Whether it may be given in pregnancy can't be checked.
    PregnancyCheck = "pregnancy_check",
    /// Minerals and metals are not for the pregnant.
    MineralPregnancy = "mineral_pregnancy",
    /// Minerals and metals with care in minors.
    MineralMinor = "mineral_minor",
    /// More than the reference text gives.
    DoseBound = "dose_bound",
    /// Whether the dose is within the text's can't be checked.
    DoseCheck = "dose_check",
    /// Interactions with what the patient takes otherwise can't be checked.
    InteractionCheck = "interaction_check",
    /// Allergies can't be checked.
    AllergyCheck = "allergy_check",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Rule {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.iter().copied().find(|rule| rule.as_str() == word).ok_or(UnknownWord("rule"))
    }
}

/// What holds for Schedule E(1) items beside their list.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleE1 {
    /// In which modes.
    pub modes: Vec<Mode>,
    /// For how many days at most.
    pub max_days: u16,
    /// The line printed beside each such item.
    pub caution: String,
    /// The same in Hindi.
    pub caution_hi: String,
}

/// How `approved_by` begins while nobody has approved. What is a draft serves development, never production.
pub const NOBODY_YET: &str = "nobody yet";

/// A set of rules. Nothing in code repeats its numbers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSet {
    /// Stored with every decision made by it.
    pub version: String,
    /// From which day (business zone) it holds.
    pub effective_from: Date,
    /// Who approved it, by office; begins with [`NOBODY_YET`] until somebody has.
    pub approved_by: String,
    /// From which age a person is an adult, in years.
    pub adult_age_years: u16,
    /// Within how many months of the last visit a visit can be a follow-up.
    pub follow_up_months: u16,
    /// (ours) For how many days after a completed visit its practitioner may read the record.
    pub treating_days: u16,
    /// (ours) For how many hours after a visit its prescription may still be signed.
    pub sign_within_hours: u16,
    /// In which modes a list may be prescribed, by kind of visit.
    pub lists: BTreeMap<PrescribingList, BTreeMap<VisitKind, Vec<Mode>>>,
    /// The list that an item counts as that is not in the formulary.
    pub unknown_item_list: PrescribingList,
    /// Schedule E(1).
    pub schedule_e1: ScheduleE1,
    /// Where each rule comes from; `(ours)` where it is a conservative choice of our own.
    pub sources: BTreeMap<Rule, String>,
}

/// Why a set of rules can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRuleSet {
    /// Not of the form.
    #[error("not a set of rules")]
    Malformed(#[from] serde_json::Error),
    /// Something is missing or contradicts itself.
    #[error("{0}")]
    Incomplete(String),
}

impl RuleSet {
    /// Reads and checks one.
    pub fn parse(json: &str) -> Result<Self, InvalidRuleSet> {
        let set: Self = serde_json::from_str(json)?;
        let incomplete = |what: String| Err(InvalidRuleSet::Incomplete(what));
        if [&set.version, &set.approved_by].iter().any(|text| text.trim().is_empty()) {
            return incomplete("version and approver are named".to_owned());
        }
        if let Some(rule) = Rule::ALL.iter().find(|rule| set.source(**rule).trim().is_empty()) {
            return incomplete(format!("the source of {rule} is missing"));
        }
        for list in PrescribingList::ALL {
            for kind in VisitKind::ALL {
                if set.lists.get(list).and_then(|kinds| kinds.get(kind)).is_none() {
                    return incomplete(format!("the modes of list {list} at a {kind} are missing"));
                }
            }
        }
        if set.modes(PrescribingList::Prohibited, VisitKind::FirstVisit).len()
            + set.modes(PrescribingList::Prohibited, VisitKind::FollowUp).len()
            > 0
        {
            return incomplete("what is prohibited has no modes".to_owned());
        }
        Ok(set)
    }

    /// The sets this release knows, oldest first. One that is not of the form can't be released: a test reads them.
    pub fn known() -> &'static [Self] {
        // Read once: every draft, signature and record asks for them.
        static KNOWN: LazyLock<Vec<RuleSet>> = LazyLock::new(|| {
            [include_str!("../../data/prescribing-1.json")]
                .iter()
                .filter_map(|json| RuleSet::parse(json).ok())
                .collect()
        });
        &KNOWN
    }

    /// The set that holds on `day`: of those in force, the one that came last.
    pub fn in_force(day: Date) -> Option<&'static Self> {
        Self::known().iter().filter(|set| set.effective_from <= day).max_by_key(|set| set.effective_from)
    }

    /// The modes in which `list` may be prescribed at such a visit.
    pub fn modes(&self, list: PrescribingList, kind: VisitKind) -> &[Mode] {
        self.lists.get(&list).and_then(|kinds| kinds.get(&kind)).map_or(&[], Vec::as_slice)
    }

    /// Whether somebody stands for it.
    pub fn is_approved(&self) -> bool {
        !self.approved_by.starts_with(NOBODY_YET)
    }

    /// Where the rule comes from.
    pub fn source(&self, rule: Rule) -> &str {
        self.sources.get(&rule).map_or("", String::as_str)
    }
}
