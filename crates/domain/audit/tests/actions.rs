//! The table of actions is that of the code: every name that stands in it or in a migration is known, and every known one stands there.
#![expect(clippy::unwrap_used, reason = "tests")]

use amrutam_kernel::{AUDIT_ACTIONS, Action};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Words of the form of an action that are none, by what comes after the dot, or whole.
const ELSE: &[&str] = &[
    "json",
    "pdf",
    "txt",
    "example",
    "test",
    "v1", // names of files, hosts, versions
    "account.email",
    "account.phone",
    "account.emai", // columns that are sealed
    "payment.authorized",
    "payment.captured",
    "payment.failed", // what a gateway calls its events
    "database_url",   // a setting
    "keys.destroy_keys",
    "keys.find_key",
    "keys.put_key",
    "keys.retire_kek",
    "keys.rewrap_keys",
    "keys.take_seals", // functions
    "contract.act",
    "payment.contract",
    "message.plan", // of suites
];

/// What the policy is asked for, and what is always on the record by a finer name.
const ONLY_ASKED: &[&str] = &[
    "audit.read",
    "availability.manage",
    "consent.record",
    "dependant.manage",
    "operations.manage",
    "operations.read",
    "payment.make",
    "record.write",
    "refund.approve",
    "report.read",
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !["tests", "contract", "target"].iter().any(|other| path.ends_with(other)) {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Every literal of the form `noun.verb` whose noun is one of the trail's.
fn named() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for entry in fs::read_dir(crates).unwrap() {
        sources(&entry.unwrap().path().join("src"), &mut files);
    }
    for app in ["amrutamctl", "api/src/http", "worker"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../apps").join(app), &mut files);
    }
    let nouns: BTreeSet<_> = AUDIT_ACTIONS.iter().filter_map(|action| action.split('.').next()).collect();
    let tables = ["access.rs", "audit_actions.rs", "words.rs"];
    let mut named = BTreeSet::new();
    for file in files.iter().filter(|file| !tables.iter().any(|table| file.ends_with(table))) {
        let text = fs::read_to_string(file).unwrap();
        for literal in text.split('"').skip(1) {
            let Some((noun, verb)) = literal.split_once('.') else { continue };
            let word =
                |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if nouns.contains(noun) && word(verb) && !ELSE.contains(&verb) && !ELSE.contains(&literal) {
                named.insert(literal.to_owned());
            }
        }
    }
    named
}

#[test]
fn every_action_that_is_put_on_the_record_is_known() {
    let named = named();
    let unknown: Vec<_> = named.iter().filter(|name| !AUDIT_ACTIONS.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "not in AUDIT_ACTIONS: {unknown:?}");
    let by_policy: BTreeSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
    let asked = by_policy.iter().filter(|action| !AUDIT_ACTIONS.contains(action)).copied().collect::<Vec<_>>();
    assert_eq!(asked, ONLY_ASKED);
    let gone =
        |action: &&&str| !named.contains(**action) && !by_policy.contains(**action) && **action != "audit.retire";
    let gone: Vec<_> = AUDIT_ACTIONS.iter().filter(gone).collect();
    assert!(gone.is_empty(), "in AUDIT_ACTIONS, and nowhere else: {gone:?}");
    assert!(AUDIT_ACTIONS.is_sorted());
}
