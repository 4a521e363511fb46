//! The saga's step.

use super::*;
use amrutam_clinical::{
    events,
    model::{DocumentState, Prescription},
    use_cases::{IssuerDeps, MAX_FAILURES, issue_document, put_draft, read_document, sign},
};
use amrutam_kernel::{EventEnvelope, EventId, Handled, HandlerError};

fn issuer(stage: &Stage) -> IssuerDeps<'_> {
    IssuerDeps {
        store: &stage.clinic.world,
        renderer: &stage.renderer,
        clock: &*stage.clinic.clock,
        ids: &stage.clinic.ids,
    }
}

async fn signed(stage: &Stage) -> (ConsultationId, Prescription, EventEnvelope) {
    let id = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();
    let signed = sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    let event = stage.clinic.world.outbox().into_iter().find(|event| event.event_type == events::SIGNED).unwrap();
    (id, signed, event)
}

#[tokio::test]
async fn a_signed_prescription_becomes_a_document_once() {
    let stage = stage().await;
    let (id, signed, event) = signed(&stage).await;
    let awaited = refused(read_document(stage.deps(), &stage.as_patient(), id).await);
    assert!(matches!(awaited, ClinicalError::DocumentAwaited));
    assert_eq!(issue_document(issuer(&stage), &event).await, Ok(Handled::Applied));
    assert_eq!(issue_document(issuer(&stage), &event).await, Ok(Handled::Ignored));
    assert_eq!(stage.announced(events::ISSUED), 1);
    let (prescription, document) = read_document(stage.deps(), &stage.as_patient(), id).await.unwrap();
    assert_eq!(prescription.id, signed.id);
    assert!(document.bytes.expose().starts_with(signed.id.to_string().as_bytes()));
    assert!(matches!(prescription.document, DocumentState::Issued { .. }));
    assert_eq!(stage.audited("prescription.document"), [Outcome::Allowed; 2]);
}

#[tokio::test]
async fn the_end_of_the_visit_issues_what_was_not_issued_yet() {
    let stage = stage().await;
    let (id, ..) = signed(&stage).await;
    stage.end(id).await;
    let completed = |event: &EventEnvelope| event.event_type == "consultation.completed.v1";
    let event = stage.clinic.world.outbox().into_iter().find(completed).unwrap();
    assert_eq!(issue_document(issuer(&stage), &event).await, Ok(Handled::Applied));
    let again = EventEnvelope { id: EventId::from_uuid(uuid::Uuid::nil()), ..event };
    assert_eq!(issue_document(issuer(&stage), &again).await, Ok(Handled::Ignored));
}

#[tokio::test]
async fn what_cant_be_made_is_tried_again_and_then_given_to_a_person() {
    let stage = stage().await;
    let (id, signed, event) = signed(&stage).await;
    stage.renderer.fail_next(u32::MAX);
    for _ in 1..MAX_FAILURES {
        let failed = issue_document(issuer(&stage), &event).await;
        assert!(matches!(failed, Err(HandlerError::Retry(_))), "{failed:?}");
    }
    assert_eq!(issue_document(issuer(&stage), &event).await, Ok(Handled::Applied));
    assert_eq!((stage.announced(events::REVIEW_NEEDED), stage.announced(events::ISSUED)), (1, 0));
    assert!(matches!(
        refused(read_document(stage.deps(), &stage.as_patient(), id).await),
        ClinicalError::DocumentAwaited
    ));
    let asked =
        stage.clinic.world.outbox().into_iter().find(|event| event.event_type == events::REVIEW_NEEDED).unwrap();
    assert_eq!(asked.payload["reason"], "document_failed");
    let resolved = |kind: &str, choice: &str| EventEnvelope {
        id: EventId::from_uuid(uuid::Uuid::from_u128((kind.len() * choice.len()) as u128)),
        event_type: "review.resolved.v1".to_owned(),
        payload: serde_json::json!({
            "kind": kind, "choice": choice, "subject": { "kind": "prescription", "id": signed.id }
        }),
        ..asked.clone()
    };
    stage.renderer.fail_next(0);
    for moot in [resolved("payment", "try_again"), resolved("prescription", "leave_without_document")] {
        assert_eq!(issue_document(issuer(&stage), &moot).await, Ok(Handled::Ignored));
    }
    assert_eq!(issue_document(issuer(&stage), &resolved("prescription", "try_again")).await, Ok(Handled::Applied));
    assert_eq!(stage.announced(events::ISSUED), 1);
    read_document(stage.deps(), &stage.as_patient(), id).await.unwrap();
}

#[tokio::test]
async fn a_try_that_fails_once_is_mended_by_the_next() {
    let stage = stage().await;
    let (_, _, event) = signed(&stage).await;
    stage.renderer.fail_next(1);
    assert!(issue_document(issuer(&stage), &event).await.is_err());
    assert_eq!(issue_document(issuer(&stage), &event).await, Ok(Handled::Applied));
    assert_eq!(stage.announced(events::ISSUED), 1);
}
