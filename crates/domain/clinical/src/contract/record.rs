//! Visits, notes, consents, guardians, presence, records, the formulary.

use super::{
    Harness,
    stage::{effects, id, note, random},
};
use crate::{
    model::{
        Condition, Consent, ConsentDecision, ConsentMethod, ConsentPurpose, Formulary, Guardian, IdType, Kinship,
        Presence, Side, Subject, VisitStatus,
    },
    ports::{ClinicalChanges, Imported, RecordedGuardian},
};
use amrutam_kernel::{CommitError, ConsentId, Effects, Limit, PageRequest, Sensitive};
use jiff::SignedDuration;

#[track_caller]
fn stale(result: &Result<(), CommitError>) {
    assert!(matches!(result, Err(CommitError::Stale)), "{result:?}");
}

/// The people, the practitioner, the state.
pub async fn a_visit_is_read_with_its_people(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["in_progress"]).await[0];
    let visit = store.visit(made.id).await.unwrap().unwrap();
    assert_eq!(
        (visit.id, visit.subject, visit.status),
        (made.id, Subject::Account(made.patient), VisitStatus::InProgress)
    );
    assert_eq!((visit.practitioner.id, visit.practitioner.account), (made.doctor, made.doctor_account));
    assert_eq!((visit.range.start(), visit.version), (made.starts_at, made.version));
    assert_eq!(visit.person.expose().name, "Asha Nair");
    assert!(visit.practitioner.listed && !visit.practitioner.qualifications.is_empty());
    assert_eq!(store.practitioner(made.doctor_account).await.unwrap(), Some(visit.practitioner));
    assert_eq!(store.practitioner(made.patient).await.unwrap(), None);
    let nothing = amrutam_kernel::ConsultationId::from_uuid(id(harness.now()));
    assert_eq!(store.visit(nothing).await.unwrap(), None);
}

/// Written by version, read back as written.
pub async fn notes_have_versions_and_the_last_is_read(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["in_progress"]).await[0];
    assert_eq!(store.note(made.id).await.unwrap().undisclosed(), None);
    let write = async |version, text| {
        let note = note(&made, version, text);
        store.commit(&ClinicalChanges { note: Some(note), ..ClinicalChanges::default() }).await
    };
    write(1, "one").await.unwrap();
    write(2, "दो").await.unwrap();
    stale(&write(2, "again").await);
    stale(&write(4, "too far").await);
    assert_eq!(store.note(made.id).await.unwrap().undisclosed(), Some(note(&made, 2, "दो")));
}

/// What was decided on must still stand.
pub async fn a_visit_that_changed_meanwhile_takes_nothing(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["in_progress"]).await[0];
    let write = async |version| {
        let based_on = Some((made.id, version));
        let note = Some(note(&made, 1, "one"));
        store.commit(&ClinicalChanges { based_on, note, ..ClinicalChanges::default() }).await
    };
    stale(&write(made.version - 1).await);
    assert_eq!(store.note(made.id).await.unwrap().undisclosed(), None);
    write(made.version).await.unwrap();
}

/// In the order they were recorded, and as they were.
pub async fn consents_are_read_in_order_with_their_evidence(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["confirmed"]).await[0];
    let consent = |decision, evidence: Option<&str>| Consent {
        id: ConsentId::from_uuid(id(harness.now())),
        consultation: made.id,
        subject: Subject::Account(made.patient),
        purpose: ConsentPurpose::Recording,
        decision,
        notice_version: "recording-1".into(),
        method: ConsentMethod::Verbal,
        evidence: evidence.map(|text| Sensitive::new(text.to_owned())),
        recorded_by: made.doctor_account,
        at: harness.now(),
    };
    let both = [
        consent(ConsentDecision::Given, Some("said yes")),
        consent(ConsentDecision::Withdrawn, None),
        consent(ConsentDecision::Given, None),
    ];
    for one in &both {
        store.commit(&ClinicalChanges { consents: vec![one.clone()], ..ClinicalChanges::default() }).await.unwrap();
    }
    assert_eq!(store.consents(made.id).await.unwrap().undisclosed(), both);
}

/// What follows from the consents that were read is not taken after another.
pub async fn a_consent_that_follows_from_none_comes_after_none(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["confirmed"]).await[0];
    let say = async |decision, read: Option<usize>| {
        let consent = Consent {
            id: ConsentId::from_uuid(id(harness.now())),
            consultation: made.id,
            subject: Subject::Account(made.patient),
            purpose: ConsentPurpose::Teleconsultation,
            decision,
            notice_version: "teleconsultation-1".into(),
            method: ConsentMethod::InApp,
            evidence: None,
            recorded_by: made.patient,
            at: harness.now(),
        };
        let consents_read = read.map(|count| (made.id, count));
        store.commit(&ClinicalChanges { consents: vec![consent], consents_read, ..ClinicalChanges::default() }).await
    };
    say(ConsentDecision::Withdrawn, None).await.unwrap();
    stale(&say(ConsentDecision::Given, Some(0)).await);
    let kept = store.consents(made.id).await.unwrap().undisclosed();
    assert_eq!(kept.iter().map(|one| one.decision).collect::<Vec<_>>(), [ConsentDecision::Withdrawn]);
    say(ConsentDecision::Given, Some(1)).await.unwrap();
    // Two who read the same, at the same moment.
    for read in 2..10 {
        let (one, other) =
            futures::join!(say(ConsentDecision::Given, Some(read)), say(ConsentDecision::Given, Some(read)));
        assert!(one.is_ok() || other.is_ok(), "{one:?}, {other:?}");
        stale(if one.is_ok() { &other } else { &one });
    }
    // A withdrawal that says nothing of what was read is the patient's word at any time; what was decided before it is not.
    let count = store.consents(made.id).await.unwrap().undisclosed().len();
    let (withdrawn, implied) =
        futures::join!(say(ConsentDecision::Withdrawn, None), say(ConsentDecision::Given, Some(count)));
    withdrawn.unwrap();
    let kept = store.consents(made.id).await.unwrap().undisclosed();
    let order: Vec<_> = kept.iter().skip(count).map(|one| one.decision).collect();
    match implied {
        Ok(()) => assert_eq!(order, [ConsentDecision::Given, ConsentDecision::Withdrawn]),
        Err(_) => assert_eq!(order, [ConsentDecision::Withdrawn]),
    }
}

/// By version, one per visit.
pub async fn a_guardian_is_replaced_by_version(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["confirmed"]).await[0];
    let recorded = |version, name: &str| RecordedGuardian {
        consultation: made.id,
        subject: Subject::Account(made.patient),
        guardian: Sensitive::new(Guardian {
            name: name.into(),
            relation: Kinship::Mother,
            id_type: IdType::Aadhaar,
            id_last_four: "1234".into(),
        }),
        version,
    };
    let write = async |guardian| {
        store.commit(&ClinicalChanges { guardian: Some(guardian), ..ClinicalChanges::default() }).await
    };
    stale(&write(recorded(2, "nobody before")).await);
    write(recorded(1, "first")).await.unwrap();
    stale(&write(recorded(1, "again")).await);
    write(recorded(2, "second")).await.unwrap();
    assert_eq!(store.guardian(made.id).await.unwrap().undisclosed(), Some(recorded(2, "second")));
}

/// Each time, in order.
pub async fn presence_is_kept(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["confirmed"]).await[0];
    let seen = [
        Presence { side: Side::Doctor, at: harness.now() },
        Presence { side: Side::Patient, at: harness.now() + SignedDuration::from_secs(1) },
    ];
    for one in seen {
        store.commit(&ClinicalChanges { presence: Some((made.id, one)), ..ClinicalChanges::default() }).await.unwrap();
    }
    assert_eq!(store.presence(made.id).await.unwrap(), seen);
}

/// Completed ones within the time, by start.
pub async fn earlier_visits_tell_what_they_were_for(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["completed", "completed", "confirmed"]).await;
    let note = Some(note(&made[0], 1, "one"));
    store.commit(&ClinicalChanges { note, ..ClinicalChanges::default() }).await.unwrap();
    let draft = super::stage::draft(harness, &made[1], 1);
    let signed = super::stage::signed(harness, &draft);
    store.commit(&ClinicalChanges { prescriptions: vec![draft], ..ClinicalChanges::default() }).await.unwrap();
    store.commit(&ClinicalChanges { prescriptions: vec![signed], ..ClinicalChanges::default() }).await.unwrap();
    let subject = Subject::Account(made[0].patient);
    let read =
        async |since, before| store.earlier_visits(subject, made[0].doctor, since, before).await.unwrap().undisclosed();
    let all = read(made[0].starts_at, made[2].starts_at + SignedDuration::from_hours(1)).await;
    let named: Vec<_> = all.iter().map(|visit| visit.consultation).collect();
    assert_eq!(named, [made[0].id, made[1].id]);
    let told: Vec<_> = all.iter().map(|visit| (visit.started_at, visit.conditions.clone())).collect();
    let of = |text| vec![Condition::of(text)];
    assert_eq!(told, [(made[0].starts_at, of("Amlapitta")), (made[1].starts_at, of("Sandhivata"))]);
    assert_eq!(read(made[0].starts_at, made[1].starts_at).await.len(), 1, "before is not in it");
    let another = harness.visits(&["completed"]).await[0];
    let none = store
        .earlier_visits(subject, another.doctor, made[0].starts_at, another.starts_at)
        .await
        .unwrap()
        .undisclosed();
    assert_eq!(none, []);
}

/// Under way, over, or soon to be; what nobody began is not for long.
pub async fn a_treating_relation_is_read_from_visits(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["completed", "confirmed"]).await;
    let ended = |n: usize| made[n].starts_at + SignedDuration::from_mins(30);
    let read = async |since, soon| {
        let whose = Subject::Account(made[0].patient);
        store.last_treated(whose, made[0].doctor_account, since, soon).await.unwrap()
    };
    let (now, second) = (harness.now(), SignedDuration::from_secs(1));
    assert_eq!(read(now, now).await, Some(ended(0)));
    assert_eq!(read(now, made[1].starts_at).await, Some(ended(0)), "soon is not in it");
    assert_eq!(read(now, made[1].starts_at + second).await, Some(ended(1)));
    let later = ended(1) + SignedDuration::from_hours(48);
    assert_eq!(read(ended(1) - second, later).await, Some(ended(1)));
    assert_eq!(read(ended(1), later).await, Some(ended(0)), "only what took place stays");
    let other = harness.visits(&["cancelled"]).await[0];
    assert_eq!(
        store.last_treated(Subject::Account(other.patient), other.doctor_account, now, other.starts_at).await.unwrap(),
        None
    );
    assert_eq!(
        store
            .last_treated(Subject::Account(made[0].patient), other.doctor_account, now, other.starts_at)
            .await
            .unwrap(),
        None
    );
}

/// By start, with what was written and signed.
pub async fn records_come_in_pages_the_latest_first(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["completed", "in_progress", "confirmed"]).await;
    let written = note(&made[0], 1, "one");
    store.commit(&ClinicalChanges { note: Some(written.clone()), ..ClinicalChanges::default() }).await.unwrap();
    let draft = super::stage::draft(harness, &made[1], 1);
    store.commit(&ClinicalChanges { prescriptions: vec![draft], ..ClinicalChanges::default() }).await.unwrap();
    let one = Limit::new(1).unwrap();
    let first = store
        .records(Subject::Account(made[0].patient), PageRequest { limit: one, after: None })
        .await
        .unwrap()
        .undisclosed();
    assert_eq!((first.items.len(), first.items[0].consultation), (1, made[1].id));
    assert_eq!(first.items[0].prescriptions, [], "no draft");
    assert_eq!((first.items[0].doctor_account, first.items[0].sharing), (made[1].doctor_account, None));
    super::seeds::agree(
        store.as_ref(),
        Subject::Account(made[0].patient),
        made[0].id,
        &["record_sharing"],
        made[0].starts_at,
    )
    .await
    .unwrap();
    let second = store
        .records(Subject::Account(made[0].patient), PageRequest { limit: one, after: first.next })
        .await
        .unwrap()
        .undisclosed();
    assert_eq!((second.items[0].consultation, &second.items[0].note), (made[0].id, &Some(written)));
    assert_eq!(second.items[0].sharing, Some(ConsentDecision::Given));
    assert_eq!(second.next, None, "a visit to come is no record");
}

/// Imported once, and never otherwise.
pub async fn a_formulary_never_changes_under_its_version(harness: &dyn Harness) {
    let store = harness.formularies();
    // A version that no other case uses; long ago, so that it holds for nobody.
    let version = format!("test-{:016x}", random());
    let json = |day: &str| {
        let text = include_str!("../../../../../infra/formulary/ayurveda-v1.json");
        text.replace("\"ayurveda-1\"", &format!("{version:?}")).replace("\"2026-01-01\"", &format!("{day:?}"))
    };
    let first = Formulary::parse(&json("1990-01-01")).unwrap();
    assert_eq!(store.import(&first, &Effects::default()).await.unwrap(), Imported::New);
    assert_eq!(store.import(&first, &Effects::default()).await.unwrap(), Imported::Known);
    let changed = Formulary::parse(&json("1990-01-02")).unwrap();
    assert_eq!(store.import(&changed, &Effects::default()).await.unwrap(), Imported::VersionTaken);
    assert_eq!(store.in_force("1989-12-31".parse().unwrap()).await.unwrap(), None);
    let found = store.in_force("1990-01-01".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(found.len(), first.len());
}

/// Nothing is announced or recorded of what is not taken.
pub async fn effects_are_all_or_nothing(harness: &dyn Harness) {
    let store = harness.clinical();
    let made = harness.visits(&["in_progress"]).await[0];
    let aggregate = id(harness.now());
    let write = async |version, effects| {
        let note = Some(note(&made, version, "one"));
        store.commit(&ClinicalChanges { note, effects, ..ClinicalChanges::default() }).await
    };
    stale(&write(2, effects(harness, aggregate)).await);
    assert_eq!(harness.announced(aggregate).await, []);
    assert_eq!(harness.audited(&aggregate.to_string()).await, []);
    let taken = effects(harness, aggregate);
    write(1, taken.clone()).await.unwrap();
    assert_eq!(harness.announced(aggregate).await, [taken.events[0].id]);
    assert_eq!(harness.audited(&aggregate.to_string()).await, [taken.audit[0].id]);
}
