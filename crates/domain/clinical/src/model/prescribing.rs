//! What may be prescribed to whom: one pure decision, with its reasons.

use super::{
    FormularyItem, Measure, Mode, Pregnancy, PregnancyFlag, PrescribingList, Rule, RuleSet, System, VisitKind,
};
use serde::{Deserialize, Serialize};

/// What is to be decided on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate<'a> {
    /// A preparation of the formulary.
    Known(&'a FormularyItem),
    /// Something else.
    Unknown,
}

/// How much of it, how often and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// A single dose.
    pub dose: Measure,
    /// How often a day.
    pub times_per_day: u8,
    /// For how many days.
    pub days: u16,
    /// How much is dispensed.
    pub quantity: Measure,
}

/// At what visit, to whom, by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// How the visit is held now.
    pub mode: Mode,
    /// First or follow-up.
    pub visit: VisitKind,
    /// The patient's, in whole years.
    pub age_years: Option<u16>,
    /// The patient's state.
    pub pregnancy: Pregnancy,
    /// The practitioner's.
    pub system: System,
    /// Whether there is a diagnosis, provisional at least.
    pub diagnosed: bool,
}

/// One reason, with the rule it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// In a sentence for the practitioner.
    pub reason: String,
    /// Where the rule comes from.
    pub source: String,
    /// A check that could not run: it has to be acknowledged, and never passes silently.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unavailable: bool,
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Decision {
    /// Nothing against it.
    Allow,
    /// Allowed, once each caution has been answered with a reason.
    AllowWithCaution {
        /// What to weigh.
        cautions: Vec<Finding>,
    },
    /// Not allowed, whatever the reason.
    Deny {
        /// Each rule that forbids it, the gravest first.
        denials: Vec<Finding>,
    },
}

impl Decision {
    /// The cautions, if it is allowed with some.
    pub fn cautions(&self) -> &[Finding] {
        match self {
            Self::AllowWithCaution { cautions } => cautions,
            Self::Allow | Self::Deny { .. } => &[],
        }
    }

    /// The denials, if it is denied.
    pub fn denials(&self) -> &[Finding] {
        match self {
            Self::Deny { denials } => denials,
            Self::Allow | Self::AllowWithCaution { .. } => &[],
        }
    }

    /// The same, denied on these grounds, too, which come first.
    pub(super) fn but_denied(self, mut grounds: Vec<Finding>) -> Self {
        if grounds.is_empty() {
            return self;
        }
        if let Self::Deny { denials } = self {
            grounds.extend(denials);
        }
        Self::Deny { denials: grounds }
    }
}

struct Findings<'a> {
    rules: &'a RuleSet,
    denials: Vec<Finding>,
    cautions: Vec<Finding>,
}

impl Findings<'_> {
    fn finding(&self, rule: Rule, reason: impl Into<String>) -> Finding {
        Finding { rule, reason: reason.into(), source: self.rules.source(rule).to_owned(), unavailable: false }
    }

    fn deny_if(&mut self, so: bool, rule: Rule, reason: impl Into<String>) {
        if so {
            let finding = self.finding(rule, reason);
            self.denials.push(finding);
        }
    }

    fn caution_if(&mut self, so: bool, rule: Rule, reason: impl Into<String>) {
        if so {
            let finding = self.finding(rule, reason);
            self.cautions.push(finding);
        }
    }

    fn unavailable(&mut self, rule: Rule, reason: &str) {
        let finding = Finding { unavailable: true, ..self.finding(rule, reason) };
        self.cautions.push(finding);
    }

    fn decision(self) -> Decision {
        if !self.denials.is_empty() {
            Decision::Deny { denials: self.denials }
        } else if !self.cautions.is_empty() {
            Decision::AllowWithCaution { cautions: self.cautions }
        } else {
            Decision::Allow
        }
    }
}

/// Decides on one item.
pub fn decide(rules: &RuleSet, candidate: Candidate<'_>, course: &Course, at: &Circumstances) -> Decision {
    let mut found = Findings { rules, denials: Vec::new(), cautions: Vec::new() };
    let list = match candidate {
        Candidate::Known(item) => {
            never(&mut found, item, at);
            item.list
        }
        Candidate::Unknown => rules.unknown_item_list,
    };
    found.deny_if(
        !at.diagnosed,
        Rule::DiagnosisRequired,
        "a diagnosis, provisional at least, comes before the first item",
    );
    by_list(&mut found, list, at);
    found.deny_if(at.age_years.is_none(), Rule::AgeKnown, "the patient's age is not known");
    match candidate {
        Candidate::Known(item) => {
            if item.schedule_e1 {
                schedule_e1(&mut found, item, course, at);
            }
            by_age(&mut found, item, at);
            in_pregnancy(&mut found, item, at.pregnancy);
            by_dose(&mut found, item, course);
        }
        Candidate::Unknown => {
            found.caution_if(true, Rule::UnknownItem, "not in the formulary: it counts as list A");
            found.unavailable(Rule::OwnSystem, "to which system of medicine this item belongs is not known");
            if at.pregnancy != Pregnancy::No {
                found.unavailable(Rule::PregnancyCheck, "nothing is known of this item in pregnancy");
            }
            found.unavailable(Rule::DoseCheck, "no reference dose is known of this item");
        }
    }
    found.decision()
}

/// What no visit can change.
fn never(found: &mut Findings<'_>, item: &FormularyItem, at: &Circumstances) {
    found.deny_if(item.schedule_x, Rule::ScheduleX, "Schedule X drugs are never prescribed by telemedicine");
    found.deny_if(item.ndps, Rule::Ndps, "narcotics and psychotropics are never prescribed by telemedicine");
    found.deny_if(
        item.list == PrescribingList::Prohibited && !item.schedule_x && !item.ndps,
        Rule::ProhibitedList,
        "it is on the prohibited list",
    );
    let (own, its) = (at.system, item.system);
    found.deny_if(
        own != its,
        Rule::OwnSystem,
        format!("a practitioner of {own} does not prescribe what belongs to {its}"),
    );
}

fn by_list(found: &mut Findings<'_>, list: PrescribingList, at: &Circumstances) {
    let rule = match list {
        PrescribingList::O => Rule::ListO,
        PrescribingList::A => Rule::ListA,
        PrescribingList::B => Rule::ListB,
        // Said before, with the schedule it is prohibited by.
        PrescribingList::Prohibited => return,
    };
    let modes = found.rules.modes(list, at.visit);
    let reason = if modes.is_empty() {
        format!("list {list} is not prescribed at a {}", at.visit)
    } else {
        let modes: Vec<_> = modes.iter().map(|mode| mode.as_str()).collect();
        format!("list {list} is prescribed at a {} by {} only", at.visit, modes.join(", "))
    };
    found.deny_if(!modes.contains(&at.mode), rule, reason);
}

fn schedule_e1(found: &mut Findings<'_>, item: &FormularyItem, course: &Course, at: &Circumstances) {
    let bounds = &found.rules.schedule_e1;
    let (by_mode, adult) = (bounds.modes.contains(&at.mode), found.rules.adult_age_years);
    let (most_days, caution) = (bounds.max_days, bounds.caution.clone());
    found.deny_if(!by_mode, Rule::E1Mode, "it contains a poison of Schedule E(1): by video only");
    found.deny_if(
        at.age_years.is_some_and(|age| age < adult),
        Rule::E1Adult,
        "it contains a poison of Schedule E(1): for adults only",
    );
    found.deny_if(
        course.days > most_days,
        Rule::E1Duration,
        format!("it contains a poison of Schedule E(1): for {most_days} days at most"),
    );
    let doses = u64::from(course.times_per_day) * u64::from(course.days);
    match course.quantity.exceeds(course.dose, doses) {
        Some(more) => found.deny_if(more, Rule::E1Quantity, "the quantity is more than the course takes"),
        None => found.deny_if(true, Rule::E1Quantity, "dose and quantity are given in units that can't be compared"),
    }
    // The prescriber's own dose bounds nothing: the text's does.
    let most = item.dose.map(|bounds| {
        let doses = u64::from(bounds.max_times_per_day) * u64::from(course.days);
        course.quantity.exceeds(bounds.largest(), doses)
    });
    match most.flatten() {
        Some(more) => {
            found.deny_if(more, Rule::E1Quantity, "the quantity is more than the reference text's largest doses make");
        }
        None => found.deny_if(true, Rule::E1Quantity, "no reference dose bounds this quantity"),
    }
    found.caution_if(true, Rule::E1Caution, caution);
}

fn by_age(found: &mut Findings<'_>, item: &FormularyItem, at: &Circumstances) {
    let Some(age) = at.age_years else { return };
    let least = item.min_age_years;
    found.deny_if(age < least, Rule::MinimumAge, format!("from the age of {least} years"));
    let minor = age < found.rules.adult_age_years;
    found.caution_if(
        minor && item.mineral,
        Rule::MineralMinor,
        "it contains minerals or metals, and the patient is a minor",
    );
}

fn in_pregnancy(found: &mut Findings<'_>, item: &FormularyItem, state: Pregnancy) {
    match state {
        Pregnancy::No => {}
        Pregnancy::Yes => {
            found.deny_if(item.pregnancy == PregnancyFlag::Avoid, Rule::PregnancyAvoid, "not in pregnancy");
            found.deny_if(item.mineral, Rule::MineralPregnancy, "it contains minerals or metals: not in pregnancy");
            found.caution_if(
                item.pregnancy == PregnancyFlag::Caution,
                Rule::PregnancyCaution,
                "in pregnancy with care",
            );
            if item.pregnancy == PregnancyFlag::Unknown {
                found.unavailable(Rule::PregnancyCheck, "nothing is known of this item in pregnancy");
            }
        }
        Pregnancy::Unknown => {
            if item.mineral || item.pregnancy != PregnancyFlag::Used {
                found.unavailable(Rule::PregnancyCheck, "whether the patient is pregnant is not known");
            }
        }
    }
}

fn by_dose(found: &mut Findings<'_>, item: &FormularyItem, course: &Course) {
    if item.external {
        return;
    }
    let Some(bounds) = item.dose else {
        found.unavailable(Rule::DoseCheck, "the formulary has no reference dose");
        return;
    };
    match course.dose.exceeds(bounds.largest(), 1) {
        Some(more) => {
            let often = course.times_per_day > bounds.max_times_per_day;
            let text = format!("more than {} {} times a day", bounds.largest(), bounds.max_times_per_day);
            found.caution_if(more || often, Rule::DoseBound, text);
        }
        None => found.unavailable(Rule::DoseCheck, "the dose is given in another unit than the reference's"),
    }
}

/// The checks that look at the prescription as a whole. None of them can run: nothing here knows what else the patient takes or
/// does not bear.
pub fn checks_of_the_whole(rules: &RuleSet) -> Vec<Finding> {
    let mut found = Findings { rules, denials: Vec::new(), cautions: Vec::new() };
    found.unavailable(Rule::InteractionCheck, "interactions with what the patient takes otherwise were not checked");
    found.unavailable(Rule::AllergyCheck, "allergies were not checked");
    found.cautions
}
