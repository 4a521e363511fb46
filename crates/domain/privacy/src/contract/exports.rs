//! Copies.

use super::{Harness, effects, id, once, random};
use crate::{
    model::{ARCHIVE_LIVES, Export, ExportState, FailureReason, PREPARING_LIVES, Step},
    ports::{ArchiveChange, ExportChanges},
};
use amrutam_kernel::{AccountId, CommitError, Effects, EventId, ExportId, Personal, Sensitive};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

fn export(account: AccountId, now: Timestamp) -> Export {
    Export::new(ExportId::from_uuid(id(now)), account, now)
}

fn changes(export: &Export) -> ExportChanges {
    ExportChanges { export: export.clone(), archive: ArchiveChange::Stays, effects: Effects::default() }
}

fn made(export: &Export, bytes: &[u8], now: Timestamp) -> ExportChanges {
    let step = Step::Made { bytes: bytes.len() as u64, sha256: Sha256::digest(bytes).into() };
    let archive = ArchiveChange::Put(Sensitive::new(bytes.to_vec()));
    ExportChanges { archive, ..changes(&export.step(step, now).unwrap()) }
}

/// Of two orders at once one is stored, and the next may come when that one is over.
pub async fn a_person_has_one_open_export(harness: &dyn Harness) {
    let (store, now) = (harness.exports(), harness.now());
    let (account, _) = harness.patient(&["cancelled"]).await;
    assert_eq!(store.snapshot(account, None).await.unwrap().open, None);
    let (one, other) = (export(account, now), export(account, now));
    let order = ExportChanges { effects: effects(now, one.id.as_uuid()), ..changes(&one) };
    store.commit(&order).await.unwrap();
    assert_eq!(harness.announced(one.id.as_uuid()).await.len(), 1);
    assert_eq!(store.snapshot(account, None).await.unwrap().open, Some(one.clone()));
    assert_eq!(store.find(one.id).await.unwrap(), Some(one.clone()));
    assert!(matches!(store.commit(&changes(&other)).await, Err(CommitError::Stale)));
    assert_eq!(store.find(other.id).await.unwrap(), None);
    let failed = one.step(Step::GaveUp(FailureReason::TooLarge), now).unwrap();
    store.commit(&changes(&failed)).await.unwrap();
    assert!(matches!(store.commit(&changes(&failed)).await, Err(CommitError::Stale)));
    store.commit(&changes(&other)).await.unwrap();
    assert_eq!(store.snapshot(account, None).await.unwrap().open, Some(other));
    assert_eq!(store.find(failed.id).await.unwrap(), Some(failed));
}

/// Larger than one sealed value; of two takers one has it.
pub async fn an_archive_is_kept_whole_and_given_away_once(harness: &dyn Harness) {
    let (store, now) = (harness.exports(), harness.now());
    let (account, _) = harness.patient(&["cancelled"]).await;
    let ordered = export(account, now);
    store.commit(&changes(&ordered)).await.unwrap();
    let bytes: Vec<u8> = (0..300_000).flat_map(|_| random().to_be_bytes()).collect();
    let event = EventId::from_uuid(id(now));
    let ready = ExportChanges { effects: once(now, ordered.id.as_uuid(), event), ..made(&ordered, &bytes, now) };
    store.commit(&ready).await.unwrap();
    let found = store.find(ordered.id).await.unwrap().unwrap();
    assert_eq!(found, ready.export);
    assert!(store.archive(&found).await.unwrap().unwrap().judge(|archive| archive.bytes.expose() == &bytes));
    let taken = found.step(Step::TakenAway, now).unwrap();
    let take = ExportChanges { archive: ArchiveChange::Discard, ..changes(&taken) };
    store.commit(&take).await.unwrap();
    assert!(matches!(store.commit(&take).await, Err(CommitError::Stale)));
    assert!(store.archive(&found).await.unwrap().is_none());
    assert_eq!(store.find(ordered.id).await.unwrap().unwrap().state, ExportState::Downloaded);
}

/// An order after an hour, an archive after a day.
pub async fn what_is_over_is_due(harness: &dyn Harness) {
    let (store, now) = (harness.exports(), harness.now());
    let due = async |at: Timestamp, id: ExportId| store.due(at, 1_000).await.unwrap().iter().any(|one| one.id == id);
    let (first, _) = harness.patient(&["cancelled"]).await;
    let ordered = export(first, now);
    store.commit(&changes(&ordered)).await.unwrap();
    assert!(!due(now, ordered.id).await);
    assert!(due(now + PREPARING_LIVES, ordered.id).await);
    store.commit(&made(&ordered, b"PK", now)).await.unwrap();
    assert!(!due(now + PREPARING_LIVES, ordered.id).await);
    assert!(due(now + ARCHIVE_LIVES, ordered.id).await);
    let ended = store.find(ordered.id).await.unwrap().unwrap().step(Step::RanOut, now + ARCHIVE_LIVES).unwrap();
    store.commit(&ExportChanges { archive: ArchiveChange::Discard, ..changes(&ended) }).await.unwrap();
    assert!(!due(now + ARCHIVE_LIVES, ordered.id).await);
}

/// The account and each visit, so that none is read without an entry.
pub async fn what_is_gathered_names_its_records(harness: &dyn Harness) {
    let (account, visits) = harness.patient(&["completed", "cancelled"]).await;
    let kept = harness.keeps(account, false).await;
    let gathered = harness.holdings().gather(account).await.unwrap();
    let (records, names) = gathered.judge(|dossier| {
        let names: Vec<_> = dossier.files().iter().map(|file| file.name.clone()).collect();
        (dossier.records(), names)
    });
    let named = |kind: &str, id: String| records.iter().any(|record| record.kind == kind && record.id == id);
    assert!(named("account", account.to_string()), "{records:?}");
    assert!(visits.iter().all(|visit| named("consultation", visit.to_string())), "{records:?}");
    assert!(named("dependant", kept.to_string()), "{records:?}");
    for file in ["account.json", "consultations.json", "notes.json"] {
        assert!(names.iter().any(|name| name == file), "{names:?}");
    }
}
