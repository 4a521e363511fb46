//! The formulary is data: a file that was reviewed becomes a version.

use crate::{accounts::operator, settings::Settings};
use amrutam_clinical::{
    model::{Formulary, RuleSet},
    ports::{FormularyStore, Imported},
};
use amrutam_crypto::{SystemClock, SystemIds};
use amrutam_kernel::{AuditEntry, AuditEntryId, Clock, Effects, IdSource, Outcome};
use amrutam_postgres::Postgres;
use amrutam_settings::Environment;
use std::{error::Error, path::Path};

pub(crate) async fn import(settings: &Settings, file: &Path) -> Result<(), Box<dyn Error>> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let formulary = Formulary::parse(&text)?;
    if settings.environment == Environment::Production {
        refuse_drafts(&formulary, RuleSet::known())?;
    }
    let postgres = Postgres::connect(&settings.database.pool())?;
    let (clock, ids) = (SystemClock, SystemIds);
    let now = clock.now();
    let entry = AuditEntry::new(
        AuditEntryId::from_uuid(ids.uuid_v7(now)),
        now,
        &operator(&ids, &clock),
        "formulary.import",
        "formulary",
        formulary.version.clone(),
        Outcome::Allowed,
    );
    let effects = Effects { audit: vec![entry], ..Effects::default() };
    let version = &formulary.version;
    match postgres.import(&formulary, &effects).await? {
        Imported::New => {
            println!("imported {} items as {version}, from {} on", formulary.len(), formulary.effective_from);
        }
        Imported::Known => println!("{version} is there already, with the same items"),
        Imported::VersionTaken => {
            return Err(format!(
                "{version} is there already with other items: give the changed file a version of its own"
            )
            .into());
        }
    }
    Ok(())
}

/// Without a formulary nothing is prescribed, so production prescribes by nothing that no practitioner stands for.
fn refuse_drafts(formulary: &Formulary, rules: &[RuleSet]) -> Result<(), String> {
    let drafts = rules.iter().filter(|set| !set.is_approved()).map(|set| (&set.version, &set.approved_by));
    let drafts = drafts.chain((!formulary.is_approved()).then_some((&formulary.version, &formulary.approved_by)));
    let drafts: Vec<_> = drafts.map(|(version, by)| format!("{version} (approved by {by})")).collect();
    if drafts.is_empty() {
        return Ok(());
    }
    Err(format!("production takes only what is approved, and these are drafts: {}", drafts.join("; ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn production_takes_no_draft() {
        let formulary = |by: &str| Formulary::of_stored("f-1".into(), "2026-01-01".parse().unwrap(), by.into(), vec![]);
        let mut rules = RuleSet::known().to_vec();
        let error = refuse_drafts(&formulary("the council"), &rules).unwrap_err();
        assert!(error.contains("prescribing-1") && !error.contains("f-1"), "{error}");
        rules.iter_mut().for_each(|set| set.approved_by = "the council".into());
        let error = refuse_drafts(&formulary("nobody yet: a draft"), &rules).unwrap_err();
        assert!(error.contains("f-1") && !error.contains("prescribing-1"), "{error}");
        assert_eq!(refuse_drafts(&formulary("the council"), &rules), Ok(()));
    }
}
