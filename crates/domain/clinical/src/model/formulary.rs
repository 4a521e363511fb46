//! The formulary: what may be prescribed by its name, as versioned data.

use super::{Amount, Form, Measure, PregnancyFlag, PrescribingList, System, Unit};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A formulary's code of a preparation: `AYU-CHU-001`. 3 to 32 of `A-Z 0-9 -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemCode(String);

/// Not a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a formulary code is 3 to 32 of A-Z, 0-9 and -")]
pub struct InvalidItemCode;

impl ItemCode {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ItemCode {
    type Error = InvalidItemCode;
    fn try_from(text: String) -> Result<Self, InvalidItemCode> {
        let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
        if (3..=32).contains(&text.len()) && text.bytes().all(allowed) { Ok(Self(text)) } else { Err(InvalidItemCode) }
    }
}

impl From<ItemCode> for String {
    fn from(code: ItemCode) -> Self {
        code.0
    }
}

impl std::fmt::Display for ItemCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A single dose and how often a day, as the reference text gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DoseBounds {
    /// The least.
    pub min: Amount,
    /// The most.
    pub max: Amount,
    /// Of which unit.
    pub unit: Unit,
    /// How often a day at most.
    pub max_times_per_day: u8,
}

impl DoseBounds {
    /// The largest single dose.
    pub fn largest(&self) -> Measure {
        Measure { amount: self.max, unit: self.unit }
    }
}

/// A preparation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormularyItem {
    /// Its code; never given to another preparation.
    pub code: ItemCode,
    /// Its name in IAST.
    pub name: String,
    /// Its name in Devanagari.
    pub name_deva: String,
    /// Whose preparation it is.
    pub system: System,
    /// Its dosage form.
    pub form: Form,
    /// The guidelines' list.
    pub list: PrescribingList,
    /// What it is made of, as far as the rules ask: botanical or mineral names in the schedule's spelling.
    #[serde(default)]
    pub key_ingredients: Vec<String>,
    /// Contains a poison of Schedule E(1).
    pub schedule_e1: bool,
    /// Contains a narcotic or psychotropic.
    pub ndps: bool,
    /// Contains what Schedule X names.
    pub schedule_x: bool,
    /// Contains minerals or metals.
    pub mineral: bool,
    /// In pregnancy.
    pub pregnancy: PregnancyFlag,
    /// From which age, in years.
    pub min_age_years: u16,
    /// The text's dose for adults, where it gives one for inner use.
    #[serde(default)]
    pub dose: Option<DoseBounds>,
    /// For the skin, nose, eyes or ears only.
    #[serde(default)]
    pub external: bool,
    /// Where it is described.
    pub reference: String,
}

/// A version of the formulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Formulary {
    /// Its name; stored with every decision.
    pub version: String,
    /// From which day it holds.
    pub effective_from: Date,
    /// Who approved it, by office; begins with [`NOBODY_YET`](super::NOBODY_YET) until somebody has.
    pub approved_by: String,
    items: BTreeMap<ItemCode, FormularyItem>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: String,
    effective_from: Date,
    approved_by: String,
    items: Vec<FormularyItem>,
}

/// Why a formulary is not taken.
#[derive(Debug, thiserror::Error)]
pub enum InvalidFormulary {
    /// Not of the form.
    #[error("not a formulary: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Rows contradict the rules; each is named.
    #[error("{} rows are wrong: {}", .0.len(), .0.join("; "))]
    Rows(Vec<String>),
}

/// The poisons of Schedule E(1), Drugs and Cosmetics Rules 1945, "Ayurvedic (including Siddha) system", as ingredients are named
/// here: of plants, of animals, of minerals. Metals that it does not name (copper, lead, iron) are minerals all the same.
pub const SCHEDULE_E1_INGREDIENTS: &[&str] = &[
    "ahiphena",
    "arka",
    "bhallataka",
    "bhanga",
    "danti",
    "dhattura",
    "gunja",
    "jayapala",
    "karavira",
    "langali",
    "parasika yavani",
    "snuhi",
    "vatsanabha",
    "vishamushti",
    "shringivisha",
    "sarpavisha",
    "gauripashana",
    "haritala",
    "manahshila",
    "parada",
    "rasakarpura",
    "tuttha",
    "hingula",
    "sindura",
    "girisindura",
];

/// Opium, which the Narcotic Drugs and Psychotropic Substances Act names; and hemp, whose leaf (bhanga) the Act leaves to the states and
/// we treat alike (ours).
pub const NDPS_INGREDIENTS: &[&str] = &["ahiphena", "bhanga"];

/// Minerals, metals and animal earths, as ingredients are named here. The salts and alkalis of the kitchen are not among them: they
/// make no preparation a mineral one.
pub const MINERAL_INGREDIENTS: &[&str] = &[
    "abhraka",
    "akika",
    "gandhaka",
    "gairika",
    "gauripashana",
    "girisindura",
    "godanti",
    "hajrulyahuda",
    "haritala",
    "hingula",
    "jaharmohara",
    "kapardika",
    "kasisa",
    "lauha",
    "mandura",
    "manahshila",
    "manikya",
    "mukta",
    "naga",
    "parada",
    "pravala",
    "rajata",
    "rasakarpura",
    "samudraphena",
    "shankha",
    "shilajatu",
    "shukti",
    "sindura",
    "sphatika",
    "suvarna",
    "swarnamakshika",
    "tamra",
    "tankana",
    "trinakantamani",
    "tuttha",
    "vaikranta",
    "vajra",
    "vanga",
    "yashada",
    "mrigashringa",
    "kantaloha",
    "manikyarasa",
];

impl Formulary {
    /// Reads one and checks every row.
    pub fn parse(json: &str) -> Result<Self, InvalidFormulary> {
        let file: File = serde_json::from_str(json)?;
        let mut wrong = Vec::new();
        if [&file.version, &file.approved_by].iter().any(|text| text.trim().is_empty()) {
            wrong.push("version and approver are named".to_owned());
        }
        let mut items = BTreeMap::new();
        for item in file.items {
            wrong.extend(problems(&item).map(|problem| format!("{}: {problem}", item.code)));
            let code = item.code.clone();
            if items.insert(code.clone(), item).is_some() {
                wrong.push(format!("{code}: the code is given twice"));
            }
        }
        let mut names: Vec<_> = items.values().map(|item: &FormularyItem| (&item.name, item.form)).collect();
        names.sort();
        wrong.extend(names.windows(2).filter_map(|pair| match pair {
            [one, other] if one == other => Some(format!("{}: the name is given twice", one.0)),
            _ => None,
        }));
        if !wrong.is_empty() {
            return Err(InvalidFormulary::Rows(wrong));
        }
        let File { version, effective_from, approved_by, .. } = File {
            items: Vec::new(),
            version: file.version,
            effective_from: file.effective_from,
            approved_by: file.approved_by,
        };
        Ok(Self { version, effective_from, approved_by, items })
    }

    /// Of rows that were checked before they were stored.
    pub fn of_stored(version: String, effective_from: Date, approved_by: String, items: Vec<FormularyItem>) -> Self {
        Self {
            version,
            effective_from,
            approved_by,
            items: items.into_iter().map(|item| (item.code.clone(), item)).collect(),
        }
    }

    /// Whether somebody stands for it.
    pub fn is_approved(&self) -> bool {
        !self.approved_by.starts_with(super::NOBODY_YET)
    }

    /// By code.
    pub fn get(&self, code: &ItemCode) -> Option<&FormularyItem> {
        self.items.get(code)
    }

    /// Every preparation, by code.
    pub fn items(&self) -> impl Iterator<Item = &FormularyItem> {
        self.items.values()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

fn names_any(item: &FormularyItem, list: &[&str]) -> bool {
    item.key_ingredients.iter().any(|ingredient| list.contains(&ingredient.as_str()))
}

fn problems(item: &FormularyItem) -> impl Iterator<Item = &'static str> {
    let text = |text: &str, most: usize| {
        (1..=most).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control)
    };
    let devanagari = |text: &str| {
        text.chars().any(|c| ('\u{900}'..='\u{97f}').contains(&c)) && !text.chars().any(|c| c.is_ascii_alphabetic())
    };
    let dose_is_wrong =
        item.dose.is_some_and(|dose| dose.min > dose.max || !(1..=12).contains(&dose.max_times_per_day));
    let never = item.ndps || item.schedule_x;
    [
        (!text(&item.name, 120), "a name of 1 to 120 characters"),
        (!(text(&item.name_deva, 120) && devanagari(&item.name_deva)), "a name in Devanagari"),
        (!text(&item.reference, 200), "a reference text"),
        (item.key_ingredients.iter().any(|one| !text(one, 60)), "an ingredient has a name"),
        (item.schedule_e1 != names_any(item, SCHEDULE_E1_INGREDIENTS), "schedule_e1 says what the ingredients say"),
        (item.ndps != names_any(item, NDPS_INGREDIENTS), "ndps says what the ingredients say"),
        (item.mineral != names_any(item, MINERAL_INGREDIENTS), "mineral says what the ingredients say"),
        (never != (item.list == PrescribingList::Prohibited), "prohibited exactly when a schedule prohibits it"),
        (item.schedule_e1 && item.list == PrescribingList::O, "what Schedule E(1) names is not of list O"),
        (
            item.schedule_e1 && item.pregnancy == PregnancyFlag::Used,
            "what Schedule E(1) names is not used in pregnancy",
        ),
        (item.min_age_years > 18, "a minimum age of 0 to 18 years"),
        (dose_is_wrong, "a dose from the least to the most, 1 to 12 times a day"),
        (item.external && item.dose.is_some(), "what is for the outside has no inner dose"),
    ]
    .into_iter()
    .filter_map(|(wrong, problem)| wrong.then_some(problem))
}
