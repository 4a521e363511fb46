//! Prescriptions and their documents.

use super::{
    Harness,
    stage::{draft, signed},
};
use crate::{
    model::{Change, DocumentState, Prescription, PrescriptionStatus, RevokeReason},
    ports::{ClinicalChanges, Document},
};
use amrutam_kernel::{CommitError, Sensitive};

fn of(prescriptions: Vec<Prescription>) -> ClinicalChanges {
    ClinicalChanges { prescriptions, ..ClinicalChanges::default() }
}

/// As written, in every state.
pub async fn a_draft_is_written_signed_and_found_by_its_code(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["in_progress"]).await[0];
    let draft = draft(harness, &made, 1);
    store.commit(&of(vec![draft.clone()])).await.unwrap();
    assert_eq!(store.prescriptions(made.id).await.unwrap().undisclosed(), std::slice::from_ref(&draft));
    let signed = signed(harness, &draft);
    store.commit(&of(vec![signed.clone()])).await.unwrap();
    assert_eq!(store.prescription(signed.id).await.unwrap().undisclosed(), Some(signed.clone()));
    assert_eq!(store.by_code(signed.code_digest.unwrap()).await.unwrap().undisclosed(), Some(signed.clone()));
    assert_eq!(store.by_code([0; 32]).await.unwrap().undisclosed(), None);
    let revoked = signed.change(Change::Revoke(RevokeReason::AdverseReaction), harness.now()).unwrap();
    store.commit(&of(vec![revoked.clone()])).await.unwrap();
    assert_eq!(store.prescriptions(made.id).await.unwrap().undisclosed(), [revoked]);
}

/// By version.
pub async fn a_stale_prescription_takes_nothing(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["in_progress"]).await[0];
    let draft = draft(harness, &made, 1);
    store.commit(&of(vec![draft.clone()])).await.unwrap();
    for late in [draft.clone(), Prescription { version: 3, ..draft.clone() }] {
        let result = store.commit(&of(vec![late])).await;
        assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");
    }
    assert_eq!(store.prescriptions(made.id).await.unwrap().undisclosed(), [draft]);
}

/// Of each at most one; what was in force makes way in the same commit.
pub async fn a_visit_has_one_draft_and_one_in_force(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["in_progress"]).await[0];
    let first = draft(harness, &made, 1);
    store.commit(&of(vec![first.clone()])).await.unwrap();
    let result = store.commit(&of(vec![draft(harness, &made, 2)])).await;
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");
    let first = signed(harness, &first);
    store.commit(&of(vec![first.clone()])).await.unwrap();
    let second = draft(harness, &made, 2);
    store.commit(&of(vec![second.clone()])).await.unwrap();
    let superseded = first.change(Change::Supersede, harness.now()).unwrap();
    store.commit(&of(vec![superseded, signed(harness, &second)])).await.unwrap();
    let stored = store.prescriptions(made.id).await.unwrap().undisclosed();
    let stand: Vec<_> = stored.iter().map(|one| (one.number, one.status)).collect();
    assert_eq!(stand, [(1, PrescriptionStatus::Superseded), (2, PrescriptionStatus::Signed)]);
}

/// Exactly the bytes, once.
pub async fn a_document_is_kept_byte_for_byte(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["in_progress"]).await[0];
    let draft = draft(harness, &made, 1);
    let signed = signed(harness, &draft);
    store.commit(&of(vec![draft])).await.unwrap();
    store.commit(&of(vec![signed.clone()])).await.unwrap();
    assert_eq!(store.document(signed.id).await.unwrap().undisclosed(), None);
    let document = Document {
        prescription: signed.id,
        consultation: made.id,
        subject: signed.subject,
        bytes: Sensitive::new(vec![0, 159, 146, 150, 255]),
    };
    let document_state = DocumentState::Issued { sha256: [7; 32], at: harness.now() };
    let issued = Prescription { document: document_state, version: signed.version + 1, ..signed };
    let changes = ClinicalChanges { document: Some(document.clone()), ..of(vec![issued.clone()]) };
    store.commit(&changes).await.unwrap();
    assert_eq!(store.document(issued.id).await.unwrap().undisclosed(), Some(document));
    assert_eq!(store.prescription(issued.id).await.unwrap().undisclosed(), Some(issued.clone()));
    let result = store.commit(&changes).await;
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");
}
