//! `decide` against a table written from the guidelines, not from the code: a cell for each list, kind of visit and mode, and one
//! line for each further rule. Whatever the circumstances, both must say the same rules.

use super::*;
use amrutam_clinical::model::{Candidate, Rule, decide};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Telemedicine Practice Guidelines 2020, table 3: video, audio, text; at a first consult and at a follow-up.
const TABLE: &str = "
    O           first_visit   yes yes yes
    O           follow_up     yes yes yes
    A           first_visit   yes no  no
    A           follow_up     yes yes yes
    B           first_visit   no  no  no
    B           follow_up     yes yes yes
    prohibited  first_visit   no  no  no
    prohibited  follow_up     no  no  no
";

fn in_table(list: &str, visit: &str, mode: &str) -> bool {
    let row = TABLE
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|row| row.starts_with(&[list, visit]));
    let column = ["video", "audio", "chat"].iter().position(|one| *one == mode).unwrap();
    row.unwrap()[2 + column] == "yes"
}

fn words(rules: impl IntoIterator<Item = Rule>) -> BTreeSet<&'static str> {
    rules.into_iter().map(Rule::as_str).collect()
}

/// What the guidelines and the house's own rules deny, by name.
fn expected_denials(
    item: Option<&FormularyItem>,
    grams: u32,
    often: u32,
    days: u32,
    total: u32,
    at: &Circumstances,
) -> BTreeSet<&'static str> {
    let mut denied = BTreeSet::new();
    let list = item.map_or("A", |item| item.list.as_str());
    if !in_table(list, at.visit.as_str(), at.mode.as_str()) {
        match list {
            "O" => denied.insert("list_o"),
            "A" => denied.insert("list_a"),
            "B" => denied.insert("list_b"),
            _ => match item {
                Some(item) if item.ndps || item.schedule_x => false,
                _ => denied.insert("prohibited_list"),
            },
        };
    }
    if !at.diagnosed {
        denied.insert("diagnosis_required");
    }
    if at.age_years.is_none() {
        denied.insert("age_known");
    }
    let Some(item) = item else { return denied };
    let age = at.age_years.unwrap_or(999);
    let pregnant = at.pregnancy == Pregnancy::Yes;
    let bound = item.dose.map_or(0, |dose| dose.max.thousandths() / 1_000 * u32::from(dose.max_times_per_day) * days);
    for (so, word) in [
        (item.schedule_x, "schedule_x"),
        (item.ndps, "ndps"),
        (item.system != at.system, "own_system"),
        (age < item.min_age_years, "minimum_age"),
        (item.schedule_e1 && at.mode != Mode::Video, "e1_mode"),
        (item.schedule_e1 && age < 18, "e1_adult"),
        (item.schedule_e1 && days > 30, "e1_duration"),
        (item.schedule_e1 && (total > grams * often * days || total > bound), "e1_quantity"),
        (pregnant && item.pregnancy == PregnancyFlag::Avoid, "pregnancy_avoid"),
        (pregnant && item.mineral, "mineral_pregnancy"),
    ] {
        if so {
            denied.insert(word);
        }
    }
    denied
}

fn expected_cautions(
    item: Option<&FormularyItem>,
    grams: u32,
    often: u32,
    at: &Circumstances,
) -> BTreeSet<&'static str> {
    let asked = at.pregnancy;
    let Some(item) = item else {
        let mut cautions = BTreeSet::from(["unknown_item", "own_system", "dose_check"]);
        if asked != Pregnancy::No {
            cautions.insert("pregnancy_check");
        }
        return cautions;
    };
    let not_checked = match asked {
        Pregnancy::No => false,
        Pregnancy::Yes => item.pregnancy == PregnancyFlag::Unknown,
        Pregnancy::Unknown => item.mineral || item.pregnancy != PregnancyFlag::Used,
    };
    let above = item
        .dose
        .is_some_and(|dose| grams * 1_000 > dose.max.thousandths() || often > u32::from(dose.max_times_per_day));
    [
        (item.schedule_e1, "e1_caution"),
        (item.mineral && at.age_years.is_some_and(|age| age < 18), "mineral_minor"),
        (asked == Pregnancy::Yes && item.pregnancy == PregnancyFlag::Caution, "pregnancy_caution"),
        (not_checked, "pregnancy_check"),
        (above && !item.external, "dose_bound"),
        (item.dose.is_none() && !item.external, "dose_check"),
    ]
    .into_iter()
    .filter_map(|(so, word)| so.then_some(word))
    .collect()
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

prop_compose! {
    fn an_item()(
        list in one_of(PrescribingList::ALL), system in one_of(System::ALL), pregnancy in one_of(PregnancyFlag::ALL),
        flags in proptest::array::uniform5(any::<bool>()), min_age_years in 0_u16..=18, with_dose in any::<bool>(),
    ) -> FormularyItem {
        let [schedule_e1, ndps, schedule_x, mineral, external] = flags;
        let dose = powder().dose.filter(|_| with_dose);
        FormularyItem { list, system, pregnancy, schedule_e1, ndps, schedule_x, mineral, external, min_age_years, dose, ..powder() }
    }
}

prop_compose! {
    fn circumstances()(
        mode in one_of(Mode::ALL), visit in one_of(VisitKind::ALL), age_years in proptest::option::of(0_u16..100),
        pregnancy in one_of(Pregnancy::ALL), system in one_of(System::ALL), diagnosed in any::<bool>(),
    ) -> Circumstances {
        Circumstances { mode, visit, age_years, pregnancy, system, diagnosed }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn decide_says_what_the_table_says(
        item in proptest::option::of(an_item()), grams in 1_u32..12, often in 1_u32..5, days in 1_u32..60, total in 1_u32..2_000,
        at in circumstances(),
    ) {
        let course = Course {
            dose: measure(&grams.to_string(), Unit::Gram),
            times_per_day: u8::try_from(often).unwrap(),
            days: u16::try_from(days).unwrap(),
            quantity: measure(&total.to_string(), Unit::Gram),
        };
        let candidate = item.as_ref().map_or(Candidate::Unknown, Candidate::Known);
        let decision = decide(&rules(), candidate, &course, &at);
        let denied = expected_denials(item.as_ref(), grams, often, days, total, &at);
        prop_assert_eq!(words(decision.denials().iter().map(|finding| finding.rule)), denied.clone());
        if denied.is_empty() {
            let cautions = expected_cautions(item.as_ref(), grams, often, &at);
            prop_assert_eq!(words(decision.cautions().iter().map(|finding| finding.rule)), cautions);
        }
    }
}

#[test]
fn every_cell_of_the_table() {
    for list in PrescribingList::ALL {
        for visit in VisitKind::ALL {
            for mode in Mode::ALL {
                let item = FormularyItem { list: *list, ..powder() };
                let here = Circumstances { mode: *mode, visit: *visit, ..plain() };
                let allowed = decide(&rules(), Candidate::Known(&item), &course(), &here).denials().is_empty();
                assert_eq!(allowed, in_table(list.as_str(), visit.as_str(), mode.as_str()), "{list} {visit} {mode}");
            }
        }
    }
}
