//! The formulary as released, and what a formulary must keep.

use super::*;
use amrutam_clinical::model::{
    Formulary, MINERAL_INGREDIENTS, NDPS_INGREDIENTS, PrescribingList, Rule, RuleSet, SCHEDULE_E1_INGREDIENTS, notices,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const RELEASED: &str = include_str!("../../../../../infra/formulary/ayurveda-v1.json");

fn released() -> Formulary {
    Formulary::parse(RELEASED).unwrap()
}

#[test]
fn it_holds_the_classics_each_with_its_text() {
    let formulary = released();
    assert!(formulary.len() >= 150, "{}", formulary.len());
    let codes: BTreeSet<_> = formulary.items().map(|item| &item.code).collect();
    assert_eq!(codes.len(), formulary.len());
    assert!(formulary.items().all(|item| item.reference.chars().count() > 5 && item.system == System::Ayurveda));
    let forms: BTreeSet<_> = formulary.items().map(|item| item.form).collect();
    for form in Form::ALL {
        assert!(forms.contains(form), "{form} has no preparation");
    }
    for list in PrescribingList::ALL {
        assert!(formulary.items().any(|item| item.list == *list), "list {list} has no preparation");
    }
}

#[test]
fn the_schedules_follow_from_the_ingredients() {
    for item in released().items() {
        let any = |list: &[&str]| item.key_ingredients.iter().any(|one| list.contains(&one.as_str()));
        assert_eq!(item.schedule_e1, any(SCHEDULE_E1_INGREDIENTS), "{}", item.name);
        assert_eq!(item.ndps, any(NDPS_INGREDIENTS), "{}", item.name);
        assert_eq!(item.mineral, any(MINERAL_INGREDIENTS), "{}", item.name);
    }
}

#[test]
fn what_everybody_knows_is_right() {
    let formulary = released();
    let named =
        |name: &str| formulary.items().find(|item| item.name.starts_with(name)).unwrap_or_else(|| panic!("{name}"));
    for (name, list, e1, ndps, mineral) in [
        ("Triphalā Cūrṇa", "O", false, false, false),
        ("Cyavanaprāśa", "O", false, false, false),
        ("Ārogyavardhinī", "A", true, false, true),
        ("Tribhuvanakīrti", "A", true, false, true),
        ("Viṣatinduka", "B", true, false, false),
        ("Kanakāsava", "A", true, false, false),
        ("Makaradhvaja", "B", true, false, true),
        ("Lauha Bhasma", "A", false, false, true),
        ("Ahiphenāsava", "prohibited", true, true, false),
        ("Jātīphalādi", "prohibited", true, true, false),
        ("Śaṅkha Bhasma", "A", false, false, true),
    ] {
        let item = named(name);
        let found = (item.list.as_str(), item.schedule_e1, item.ndps, item.mineral);
        assert_eq!(found, (list, e1, ndps, mineral), "{name}");
    }
}

#[test]
fn a_row_that_contradicts_itself_is_named() {
    let mut file: Value = serde_json::from_str(RELEASED).unwrap();
    let broken: [(&str, &str, Value, &str); 9] = [
        ("AYU-CHU-001", "reference", json!(" "), "a reference text"),
        ("AYU-CHU-002", "name_deva", json!("Trikatu"), "a name in Devanagari"),
        ("AYU-CHU-003", "schedule_e1", json!(true), "schedule_e1 says"),
        ("AYU-VAT-002", "schedule_e1", json!(false), "schedule_e1 says"),
        ("AYU-CHU-028", "ndps", json!(false), "ndps says"),
        ("AYU-CHU-004", "list", json!("prohibited"), "prohibited exactly when"),
        ("AYU-BHA-001", "mineral", json!(false), "mineral says"),
        ("AYU-CHU-005", "min_age_years", json!(30), "a minimum age"),
        ("AYU-CHU-006", "external", json!(true), "what is for the outside"),
    ];
    let items = file["items"].as_array_mut().unwrap();
    for (code, field, value, _) in &broken {
        let item = items.iter_mut().find(|item| item["code"] == *code).unwrap();
        item[*field] = value.clone();
    }
    let twice = items[20].clone();
    items.push(twice);
    let error = Formulary::parse(&file.to_string()).unwrap_err().to_string();
    for (code, _, _, problem) in &broken {
        assert!(error.contains(&format!("{code}: {problem}")), "{code} {problem}: {error}");
    }
    assert!(error.contains("the code is given twice"), "{error}");
    assert!(Formulary::parse("{}").is_err());
    file["items"][0]["colour"] = json!("red");
    assert!(Formulary::parse(&file.to_string()).unwrap_err().to_string().contains("colour"));
}

#[test]
fn every_set_of_rules_names_its_sources_and_approver() {
    let known = RuleSet::known();
    assert_eq!(known.len(), 1, "each file of data/ is of the form");
    for set in known {
        assert!(Rule::ALL.iter().all(|rule| !set.source(*rule).is_empty()));
        assert!(!set.approved_by.is_empty());
        assert!(!set.is_approved(), "{}: by whom?", set.version);
    }
    assert_eq!(RuleSet::in_force("2025-12-31".parse().unwrap()), None, "not before it holds");
    let without = include_str!("../../data/prescribing-1.json").replacen("\"list_b\"", "\"list_a\"", 1);
    assert!(RuleSet::parse(&without).is_err());
    let text = include_str!("../../data/prescribing-1.json").replace(
        r#""approved_by": "nobody yet: draft for review by a registered Ayurveda practitioner""#,
        r#""approved_by": """#,
    );
    assert!(RuleSet::parse(&text).is_err());
}

#[test]
fn every_purpose_has_a_notice_in_two_languages() {
    let notices = notices();
    for purpose in amrutam_clinical::model::ConsentPurpose::ALL {
        let notice = notices.iter().find(|notice| notice.purpose == *purpose).unwrap_or_else(|| panic!("{purpose}"));
        assert!(!notice.version.is_empty() && !notice.text.is_empty() && !notice.text_hi.is_ascii());
    }
}
