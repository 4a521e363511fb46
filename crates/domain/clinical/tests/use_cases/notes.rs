//! Notes: who writes and reads them, and in which version.

use super::*;
use amrutam_clinical::{
    model::{NoteContent, NoteRefusal},
    use_cases::{add_to_note, read_note, write_note},
};

fn said(text: &str) -> NoteContent {
    NoteContent { subjective: text.into(), ..NoteContent::default() }
}

#[tokio::test]
async fn the_doctor_writes_versions_and_both_sides_read_the_last() {
    let stage = stage().await;
    let id = stage.begun().await;
    let doctor = stage.as_doctor();
    assert!(matches!(refused(read_note(stage.deps(), &doctor, id).await), ClinicalError::NotFound));
    let first = write_note(stage.deps(), &doctor, id, said("one"), Some(&[0])).await.unwrap();
    let second = write_note(stage.deps(), &doctor, id, said("two"), Some(&[1])).await.unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    let stale = refused(write_note(stage.deps(), &doctor, id, said("three"), Some(&[1])).await);
    assert!(matches!(stale, ClinicalError::Precondition));
    assert_eq!(read_note(stage.deps(), &stage.as_patient(), id).await.unwrap(), second);
    assert_eq!(stage.audited("note.write"), [Outcome::Allowed; 2]);
    assert_eq!(stage.audited("note.read"), [Outcome::Allowed; 2]);
}

#[tokio::test]
async fn nobody_else_writes_or_reads_and_that_is_on_the_record() {
    let stage = stage().await;
    let id = stage.begun().await;
    write_note(stage.deps(), &stage.as_doctor(), id, said("one"), None).await.unwrap();
    assert!(matches!(
        refused(write_note(stage.deps(), &stage.as_patient(), id, said("x"), None).await),
        ClinicalError::Denied(amrutam_kernel::Denial::Forbidden)
    ));
    let other = stage.clinic.person(Role::Patient, "other@amrutam.example").await.unwrap();
    let other = stage.clinic.patient(other);
    assert!(matches!(refused(read_note(stage.deps(), &other, id).await), ClinicalError::NotFound));
    assert!(matches!(refused(write_note(stage.deps(), &other, id, said("x"), None).await), ClinicalError::NotFound));
    let admin = stage.clinic.person(Role::Admin, "admin@amrutam.example").await.unwrap();
    let admin = stage.clinic.context(Actor::Account { id: admin, role: Role::Admin });
    assert!(matches!(
        refused(read_note(stage.deps(), &admin, id).await),
        ClinicalError::Denied(amrutam_kernel::Denial::Forbidden)
    ));
    assert_eq!(stage.audited("note.read"), [Outcome::Denied; 2]);
}

#[tokio::test]
async fn after_the_visit_there_are_addenda_only() {
    let stage = stage().await;
    let id = stage.begun().await;
    let doctor = stage.as_doctor();
    write_note(stage.deps(), &doctor, id, said("one"), None).await.unwrap();
    let early = refused(add_to_note(stage.deps(), &doctor, id, "late".into(), None).await);
    assert!(matches!(early, ClinicalError::Note(NoteRefusal::Open)));
    stage.end(id).await;
    let late = refused(write_note(stage.deps(), &doctor, id, said("two"), None).await);
    assert!(matches!(late, ClinicalError::Note(NoteRefusal::Closed)));
    let blind = refused(add_to_note(stage.deps(), &doctor, id, "better".into(), None).await);
    assert!(matches!(blind, ClinicalError::PreconditionRequired));
    let added = add_to_note(stage.deps(), &doctor, id, "better".into(), Some(&[1])).await.unwrap();
    assert_eq!((added.version, added.content.expose().subjective.as_str()), (2, "one"));
    assert_eq!(added.addenda.expose()[0].text, "better");
    // What was tried at the wrong time is on the record as well.
    assert_eq!(stage.audited("note.add"), [Outcome::Failed, Outcome::Allowed]);
    assert_eq!(stage.audited("note.write"), [Outcome::Allowed, Outcome::Failed]);
    let failed = stage.clinic.world.audit().into_iter().find(|entry| entry.outcome == Outcome::Failed).unwrap();
    assert_eq!((failed.resource_id, failed.patient), (id.to_string(), Some(stage.patient)));
}

#[tokio::test]
async fn a_visit_that_ends_meanwhile_is_decided_anew() {
    let stage = stage().await;
    let id = stage.begun().await;
    stage.clinic.world.fail_next_commits([amrutam_memory::Fault::Stale]);
    let note = write_note(stage.deps(), &stage.as_doctor(), id, said("one"), None).await.unwrap();
    assert_eq!(note.version, 1);
    stage.clinic.world.fail_next_commits([amrutam_memory::Fault::Stale; 5]);
    let lost = refused(write_note(stage.deps(), &stage.as_doctor(), id, said("two"), None).await);
    assert!(matches!(lost, ClinicalError::Contended));
}
