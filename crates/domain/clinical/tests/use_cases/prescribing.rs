//! Drafts, dry runs, signing, corrections, revocation, verification.

use super::*;
use amrutam_clinical::{
    events,
    model::{Prescription, PrescriptionStatus, PrescriptionTag, RevokeReason, SignedFacts, VisitKind},
    ports::{ClinicalChanges, ClinicalStore},
    use_cases::{dry_run, put_draft, read_prescription, revoke, sign, verify},
};
use amrutam_kernel::Denial;

#[tokio::test]
async fn a_complete_draft_is_signed_and_keeps_what_decided_it() {
    let stage = stage().await;
    let id = stage.begun().await;
    let draft = put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();
    assert_eq!((draft.number, draft.status, draft.version), (1, PrescriptionStatus::Draft, 1));

    let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    assert_eq!((assessed.kind, assessed.missing.len(), assessed.checks.len()), (VisitKind::FirstVisit, 0, 2));
    assert_eq!((&*assessed.ruleset, &*assessed.formulary), ("prescribing-1", "ayurveda-1"));

    let signed = sign(stage.deps(), &stage.as_doctor(), id, Some(&tags(["1.1"]))).await.unwrap();
    let facts = signed.signed.as_ref().unwrap().expose();
    assert_eq!((signed.status, signed.version, facts.age_years), (PrescriptionStatus::Signed, 2, 36));
    assert_eq!((&*facts.ruleset, &*facts.formulary, facts.decisions.len()), ("prescribing-1", "ayurveda-1", 1));
    assert_eq!(facts.person.name, "Asha Rao");
    assert_eq!(stage.announced(events::SIGNED), 1);
    assert_eq!(stage.audited("prescription.sign"), [Outcome::Allowed]);

    let verified =
        verify(stage.deps(), &stage.clinic.context(Actor::Anonymous), &facts.verify_code.parse().unwrap()).await;
    let verified = verified.unwrap();
    assert_eq!((verified.status, &*verified.initials, verified.items.len()), (PrescriptionStatus::Signed, "A.R.", 1));
    assert!(facts.jws.ends_with(&verified.content_sha256), "what is signed is what is verified");
    assert_eq!(stage.audited("prescription.verify"), [Outcome::Allowed]);
}

#[tokio::test]
async fn a_draft_is_its_authors_alone() {
    let stage = stage().await;
    let id = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();
    let seen = read_prescription(stage.deps(), &stage.as_doctor(), id).await.unwrap();
    assert!(seen.draft.is_some() && seen.signed.is_none());
    assert!(matches!(refused(read_prescription(stage.deps(), &stage.as_patient(), id).await), ClinicalError::NotFound));
    sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    let seen = read_prescription(stage.deps(), &stage.as_patient(), id).await.unwrap();
    assert!(seen.draft.is_none() && seen.signed.is_some());
}

#[tokio::test]
async fn what_is_missing_is_listed_and_nothing_is_signed() {
    let stage = stage().await;
    let id = stage.begun().await;
    let content = PrescriptionContent { complaint: String::new(), practice_address: " ".into(), ..complete_content() };
    put_draft(stage.deps(), &stage.as_doctor(), id, content, None).await.unwrap();
    let ClinicalError::Incomplete(missing) = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await) else {
        panic!("another refusal");
    };
    let fields: Vec<_> = missing.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["/practice_address", "/complaint"]);
    assert_eq!(stage.announced(events::SIGNED), 0);
}

#[tokio::test]
async fn every_caution_is_answered_with_a_reason_before_it_is_signed() {
    let stage = stage().await;
    let id = stage.begun().await;
    // Tribhuvanakirti: Schedule E(1).
    let e1 = item("AYU-RAS-002", "125", Unit::Milligram, "3500");
    let content = PrescriptionContent { items: vec![e1.clone()], acknowledged: vec![], ..complete_content() };
    put_draft(stage.deps(), &stage.as_doctor(), id, content.clone(), None).await.unwrap();
    let ClinicalError::Objections(objections) = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await) else {
        panic!("another refusal");
    };
    let told: Vec<_> = objections.iter().map(|one| (one.pointer.as_str(), one.rule, one.answerable)).collect();
    let expected =
        [("/items/0", Rule::E1Caution, true), ("", Rule::InteractionCheck, true), ("", Rule::AllergyCheck, true)];
    assert_eq!(told, expected);
    let answered_item = PrescribedItem { acknowledged: vec![answered(Rule::E1Caution)], ..e1 };
    let acknowledged = complete_content().acknowledged;
    let content = PrescriptionContent { items: vec![answered_item], acknowledged, ..content };
    put_draft(stage.deps(), &stage.as_doctor(), id, content, Some(&tags(["1.1"]))).await.unwrap();
    sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
}

#[tokio::test]
async fn what_is_denied_cant_be_answered() {
    let stage = stage().await;
    let id = stage.begun_by(Mode::Audio).await;
    // List A at a first visit by audio.
    let mut denied = item("AYU-VAT-001", "250", Unit::Milligram, "7000");
    denied.acknowledged = Rule::ALL.iter().map(|rule| answered(*rule)).collect();
    let content = PrescriptionContent { items: vec![denied], ..complete_content() };
    put_draft(stage.deps(), &stage.as_doctor(), id, content, None).await.unwrap();
    let ClinicalError::Objections(objections) = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await) else {
        panic!("another refusal");
    };
    assert_eq!(objections.iter().map(|one| (one.rule, one.answerable)).collect::<Vec<_>>(), [(Rule::ListA, false)]);
}

#[tokio::test]
async fn the_same_condition_again_is_a_follow_up() {
    let stage = stage().await;
    let first = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), first, complete_content(), None).await.unwrap();
    sign(stage.deps(), &stage.as_doctor(), first, None).await.unwrap();
    stage.end(first).await;
    let second = stage.begun_by(Mode::Audio).await;
    // List B, by audio: at a follow-up only.
    let mut list_b = item("AYU-BHA-010", "60", Unit::Milligram, "1680");
    list_b.acknowledged = vec![];
    let content = PrescriptionContent { items: vec![list_b], ..complete_content() };
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), second, Some(content.clone())).await.unwrap();
    assert_eq!(assessed.kind, VisitKind::FollowUp);
    assert!(assessed.items[0].decision.denials().is_empty(), "{:?}", assessed.items);
    let other = Diagnosis { text: "Sandhivata".into(), provisional: true, namaste_code: None, icd11_tm2_code: None };
    let content = PrescriptionContent { diagnoses: vec![other], ..content };
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), second, Some(content)).await.unwrap();
    assert_eq!(assessed.kind, VisitKind::FirstVisit);
    assert_eq!(assessed.items[0].decision.denials()[0].rule, Rule::ListB);
}

#[tokio::test]
async fn a_correction_is_a_new_version_and_a_revocation_gives_its_reason() {
    let stage = stage().await;
    let id = stage.begun().await;
    for number in [1, 2] {
        let draft =
            put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), Some(&tags(["0"]))).await.unwrap();
        assert_eq!(draft.number, number);
        sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    }
    let seen = read_prescription(stage.deps(), &stage.as_patient(), id).await.unwrap();
    assert_eq!(seen.signed.map(|one| one.number), Some(2));
    assert_eq!((stage.announced(events::SIGNED), stage.announced(events::SUPERSEDED)), (2, 1));
    let revoked = revoke(stage.deps(), &stage.as_doctor(), id, RevokeReason::MedicationError).await.unwrap().unwrap();
    assert_eq!((revoked.number, revoked.status), (2, PrescriptionStatus::Revoked));
    let event = stage.clinic.world.outbox().into_iter().find(|event| event.event_type == events::REVOKED).unwrap();
    assert!(!event.payload.to_string().contains("medication_error"), "why is between doctor and patient: {event:?}");
    assert_eq!(revoked.revoked.map(|(reason, _)| reason), Some(RevokeReason::MedicationError));
    let again = refused(revoke(stage.deps(), &stage.as_doctor(), id, RevokeReason::Other).await);
    assert!(matches!(again, ClinicalError::Change(change) if change.from == PrescriptionStatus::Revoked));
    let code = revoked.signed.unwrap().expose().verify_code.parse().unwrap();
    let verified = verify(stage.deps(), &stage.clinic.context(Actor::Anonymous), &code).await.unwrap();
    assert_eq!(verified.status, PrescriptionStatus::Revoked);
    let looks = stage.clinic.world.audit().into_iter().filter(|entry| entry.action == "prescription.verify");
    let looks: Vec<_> = looks.map(|entry| (entry.resource_kind, entry.resource_id)).collect();
    assert_eq!(looks, [("prescription", revoked.id.to_string())], "which of the two is in somebody's hand");
}

#[tokio::test]
async fn only_the_doctor_of_the_visit_signs_with_a_fresh_factor_and_in_its_time() {
    let stage = stage().await;
    let id = stage.confirmed(Mode::Video).await;
    let early = refused(put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await);
    assert!(matches!(early, ClinicalError::VisitClosed));
    stage.begin(id).await.unwrap();
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();

    let patient = refused(sign(stage.deps(), &stage.as_patient(), id, None).await);
    assert!(matches!(patient, ClinicalError::Denied(Denial::Forbidden)), "{patient:?}");
    let other = stage.clinic.person(Role::Doctor, "other@amrutam.example").await.unwrap();
    let other = stage.clinic.context(Actor::Account { id: other, role: Role::Doctor });
    assert!(matches!(refused(sign(stage.deps(), &other, id, None).await), ClinicalError::NotFound));
    let stale = stage.as_doctor();
    stage.clinic.clock.advance(minutes(5));
    let stale = refused(sign(stage.deps(), &stale, id, None).await);
    assert!(matches!(stale, ClinicalError::Denied(Denial::StepUpRequired)), "{stale:?}");
    assert_eq!(stage.audited("prescription.sign"), [Outcome::Denied; 3]);

    stage.end(id).await;
    stage.clinic.clock.advance(minutes(24 * 60 + 1));
    let late = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await);
    assert!(matches!(late, ClinicalError::VisitClosed), "{late:?}");
}

#[tokio::test]
async fn a_stale_copy_signs_and_writes_nothing() {
    let stage = stage().await;
    let id = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), Some(&tags(["0"]))).await.unwrap();
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), Some(&tags(["1.1"]))).await.unwrap();
    let stale =
        refused(put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), Some(&tags(["1.1"]))).await);
    assert!(matches!(stale, ClinicalError::Precondition));
    assert!(matches!(
        refused(sign(stage.deps(), &stage.as_doctor(), id, Some(&tags(["1.1"]))).await),
        ClinicalError::Precondition
    ));
}

#[tokio::test]
async fn a_code_that_the_formulary_lacks_is_refused_and_one_without_a_code_counts_as_list_a() {
    let stage = stage().await;
    let id = stage.begun().await;
    let content = PrescriptionContent { items: vec![item("AYU-XXX-001", "3", Unit::Gram, "84")], ..complete_content() };
    let unknown = refused(dry_run(stage.deps(), &stage.as_doctor(), id, Some(content)).await);
    assert!(matches!(unknown, ClinicalError::UnknownItem { index: 0 }));
    let uncoded = PrescribedItem { code: None, ..item("AYU-XXX-001", "3", Unit::Gram, "84") };
    let content = PrescriptionContent { items: vec![uncoded], ..complete_content() };
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, Some(content)).await.unwrap();
    assert!(assessed.items[0].decision.cautions().iter().any(|finding| finding.rule == Rule::UnknownItem));
}

#[tokio::test]
async fn an_unknown_code_verifies_nothing() {
    let stage = stage().await;
    let nobody = stage.clinic.context(Actor::Anonymous);
    let code = "00000000000000000000000000".parse().unwrap();
    assert!(matches!(refused(verify(stage.deps(), &nobody, &code).await), ClinicalError::NotFound));
}

fn tags<const N: usize>(texts: [&str; N]) -> [PrescriptionTag; N] {
    texts.map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn a_draft_of_one_version_is_not_taken_for_that_of_another() {
    let stage = stage().await;
    let id = stage.begun().await;
    let write = async |seen: &str| {
        put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), Some(&tags([seen]))).await
    };
    write("0").await.unwrap();
    sign(stage.deps(), &stage.as_doctor(), id, Some(&tags(["1.1"]))).await.unwrap();
    // A tab that has the first draft writes nothing over what came of it, nor over the next one.
    assert!(matches!(refused(write("1.1").await), ClinicalError::Precondition));
    let second = write("1.2").await.unwrap();
    assert_eq!(PrescriptionTag::of(&second).to_string(), "2.1");
    for stale in ["1.1", "1.2", "0", "2.2"] {
        assert!(matches!(refused(write(stale).await), ClinicalError::Precondition), "{stale}");
        let seen = tags([stale]);
        let refusal = refused(sign(stage.deps(), &stage.as_doctor(), id, Some(&seen)).await);
        assert!(matches!(refusal, ClinicalError::Precondition), "{stale}");
    }
    write("2.1").await.unwrap();
    sign(stage.deps(), &stage.as_doctor(), id, Some(&tags(["2.2"]))).await.unwrap();
    write("0").await.unwrap();
}

/// The rules that deny the first item, with where each points.
async fn denied(stage: &Stage, id: ConsultationId, item: PrescribedItem) -> Vec<(String, Rule)> {
    let content = PrescriptionContent { items: vec![item], ..complete_content() };
    put_draft(stage.deps(), &stage.as_doctor(), id, content, None).await.unwrap();
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    let told: Vec<_> = assessed.items.first().unwrap().decision.denials().iter().map(|finding| finding.rule).collect();
    match sign(stage.deps(), &stage.as_doctor(), id, None).await {
        Err(ClinicalError::Objections(objections)) => {
            let firm = objections.into_iter().filter(|one| !one.answerable);
            let signing: Vec<_> = firm.map(|one| (one.pointer, one.rule)).collect();
            assert_eq!(signing.iter().map(|(_, rule)| *rule).collect::<Vec<_>>(), told);
            signing
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn what_is_printed_is_what_was_decided_on() {
    let stage = stage().await;
    let id = stage.begun().await;
    let harmless = item("AYU-CHU-005", "3", Unit::Gram, "84");
    let opium = PrescribedItem { name: "Ahiphenāsava".into(), form: Form::Asava, ..harmless.clone() };
    let expected = [("/items/0/name".to_owned(), Rule::ItemName), ("/items/0/form".to_owned(), Rule::ItemForm)];
    assert_eq!(denied(&stage, id, opium).await, expected);
    let other = PrescribedItem { form: Form::Kwatha, ..harmless.clone() };
    assert_eq!(denied(&stage, id, other).await, expected[1..]);
    // By any of its spellings it is the same.
    for name in ["अविपत्तिकर चूर्ण", "avipattikara curna", "Avipattikar  Churna", "AVIPATTIKARA-CHOORNA"]
    {
        let content = PrescriptionContent {
            items: vec![PrescribedItem { name: name.into(), ..harmless.clone() }],
            ..complete_content()
        };
        let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, Some(content)).await.unwrap();
        assert!(assessed.items[0].decision.denials().is_empty(), "{name}: {:?}", assessed.items);
    }
}

#[tokio::test]
async fn what_leaves_its_code_out_is_decided_by_its_name() {
    let stage = stage().await;
    let id = stage.begun().await;
    let named = |name: &str, form| PrescribedItem {
        code: None,
        name: name.into(),
        form,
        ..item("AYU-CHU-005", "3", Unit::Gram, "84")
    };
    // Opium, and hemp.
    for (name, form) in [
        ("Ahiphenāsava", Form::Asava),
        ("ahiphenasav", Form::Asava),
        ("अहिफेनासव", Form::Asava),
        ("A\u{304}hiphena\u{304}sava", Form::Asava),
        ("Jatiphaladi Churna", Form::Churna),
    ] {
        let rules = denied(&stage, id, named(name, form)).await;
        assert!(rules.contains(&("/items/0".to_owned(), Rule::Ndps)), "{name}: {rules:?}");
    }
    for (name, form) in [
        ("Ahiphenāsava", Form::Arishta),
        ("Ahiphenasava, 10 ml", Form::Asava),
        ("Śuddha Jātīphalādi Cūrṇa", Form::Churna),
        ("tribhuvana kirti rasa", Form::Vati),
    ] {
        let rules = denied(&stage, id, named(name, form)).await;
        assert_eq!(rules, [("/items/0/code".to_owned(), Rule::ItemCode)], "{name}");
    }
    // What is called otherwise is nobody's.
    let content = PrescriptionContent { items: vec![named("Of the house", Form::Churna)], ..complete_content() };
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, Some(content)).await.unwrap();
    let cautions: Vec<_> = assessed.items[0].decision.cautions().iter().map(|finding| finding.rule).collect();
    assert!(cautions.contains(&Rule::UnknownItem) && cautions.contains(&Rule::OwnSystem), "{cautions:?}");
}

#[test]
fn no_two_preparations_of_the_formulary_are_called_alike() {
    let all = formulary();
    let rules = amrutam_clinical::model::RuleSet::in_force("2026-11-30".parse().unwrap()).unwrap();
    let at = amrutam_clinical::model::Circumstances {
        mode: amrutam_clinical::model::Mode::Video,
        visit: VisitKind::FollowUp,
        age_years: Some(40),
        pregnancy: amrutam_clinical::model::Pregnancy::No,
        system: amrutam_clinical::model::System::Ayurveda,
        diagnosed: true,
    };
    let mut written = item("AYU-CHU-005", "3", Unit::Gram, "84");
    for (row, other) in all.items().flat_map(|row| all.items().map(move |other| (row, other))) {
        (written.code, written.name, written.form) = (Some(row.code.clone()), other.name.clone(), other.form);
        let decided = amrutam_clinical::model::decide_item(rules, &all, &written, &at).unwrap();
        let told = decided.denials().iter().any(|one| matches!(one.rule, Rule::ItemName | Rule::ItemForm));
        assert_eq!(told, row.code != other.code, "{} {}", row.name, other.name);
    }
}

#[tokio::test]
async fn what_is_verified_is_the_digest_of_what_was_signed_then() {
    let stage = stage().await;
    let id = stage.begun().await;
    put_draft(stage.deps(), &stage.as_doctor(), id, complete_content(), None).await.unwrap();
    let signed = sign(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    let facts = signed.signed.as_ref().unwrap().expose().clone();
    assert!(facts.jws.ends_with(&facts.content_sha256) && facts.content_sha256.len() == 64);
    // As if a later release wrote the facts in another way.
    let of_today = SignedFacts { ruleset: "written otherwise".into(), ..facts.clone() };
    let later = Prescription { signed: Some(Sensitive::new(of_today)), version: signed.version + 1, ..signed };
    let changes = ClinicalChanges { prescriptions: vec![later], ..ClinicalChanges::default() };
    ClinicalStore::commit(&stage.clinic.world, &changes).await.unwrap();
    let anybody = stage.clinic.context(Actor::Anonymous);
    let verified = verify(stage.deps(), &anybody, &facts.verify_code.parse().unwrap()).await.unwrap();
    assert_eq!(verified.content_sha256, facts.content_sha256);
}

#[tokio::test]
async fn what_cant_be_printed_is_not_signed() {
    let stage = stage().await;
    let id = stage.begun().await;
    let mut content = PrescriptionContent { advice: "வெந்நீர்".into(), ..complete_content() };
    content.items[0].instructions = "before food 🙂".into();
    put_draft(stage.deps(), &stage.as_doctor(), id, content, None).await.unwrap();
    let expected = ["/advice", "/items/0/instructions"];
    let assessed = dry_run(stage.deps(), &stage.as_doctor(), id, None).await.unwrap();
    assert_eq!(assessed.missing.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), expected);
    let ClinicalError::Incomplete(missing) = refused(sign(stage.deps(), &stage.as_doctor(), id, None).await) else {
        panic!("another refusal");
    };
    assert_eq!(missing.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), expected);
}
