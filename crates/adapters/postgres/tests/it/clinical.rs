//! The suite of the clinical stores, and what is stored of a record.

use crate::support::{Database, insert_account, now, vault};
use amrutam_booking::{
    contract::seeds,
    model::Practitioner,
    ports::{ConsultationStore, DirectoryStore, ProfileInserted},
};
use amrutam_clinical::{
    contract::{Harness, MadeVisit},
    model::{
        Change, Consent, ConsentDecision, ConsentMethod, ConsentPurpose, Dependant, DependantDetails,
        DependantRelation, DocumentState, Guardian, IdType, Kinship, Mode, Note, NoteContent, Person, Prescription,
        PrescriptionContent, PrescriptionStatus, RevokeReason, Signatory, SignedFacts, Subject, System, VerifyCode,
        VisitKind,
    },
    ports::{ClinicalChanges, ClinicalStore, DependantChange, DependantStore, FormularyStore, RecordedGuardian},
};
use amrutam_kernel::{
    AccountId, AuditEntryId, ConsentId, DependantId, Effects, EventId, Limit, PageRequest, PortError, PrescriptionId,
    Role, SealPlace, Sealer, Sensitive,
};
use amrutam_memory::FakeSealer;
use amrutam_postgres::{Accounts, Clinical, Postgres};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

pub(crate) struct Real {
    pub(crate) store: Arc<Postgres>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) clinical: Arc<Clinical>,
    pub(crate) db: Arc<Database>,
    pub(crate) began: Timestamp,
}

pub(crate) async fn real() -> Real {
    let db = Database::shared();
    let store = db.pool_with(|settings| settings.lock_timeout_ms = 4_000);
    let accounts = Accounts::new(store.clone(), vault());
    let clinical = Arc::new(Clinical::new(store.clone(), accounts.clone(), vault()));
    Real { store: Arc::new(store), accounts: Arc::new(accounts), clinical, db, began: now() }
}

fn new_id() -> Uuid {
    crate::support::id(now())
}

#[async_trait]
impl Harness for Real {
    fn clinical(&self) -> Arc<dyn ClinicalStore> {
        self.clinical.clone()
    }

    fn formularies(&self) -> Arc<dyn FormularyStore> {
        self.store.clone()
    }

    fn now(&self) -> Timestamp {
        self.began
    }

    async fn visits_of(&self, whom: Option<Subject>, statuses: &[&str]) -> Vec<MadeVisit> {
        let doctor = self.listed().await;
        let patient = match whom {
            Some(whom) => whom.keeper(),
            None => {
                let patient = AccountId::from_uuid(new_id());
                insert_account(&self.accounts, patient, Role::Patient).await;
                patient
            }
        };
        let dependant = whom.as_ref().and_then(Subject::dependant);
        let now = now();
        let slots = seeds::open_slots(self.store.as_ref(), doctor.id, statuses.len(), self.began).await;
        let mut visits = Vec::new();
        for (slot, status) in slots.iter().zip(statuses) {
            let (made, changes) = seeds::visit(slot, patient, dependant, status.parse().unwrap(), now);
            ConsultationStore::commit(self.store.as_ref(), &changes).await.unwrap();
            visits.push(MadeVisit {
                id: made.id,
                patient,
                doctor: doctor.id,
                doctor_account: doctor.account,
                starts_at: slot.range.start(),
                version: made.version,
            });
        }
        visits
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        let sql = "SELECT event_id::text FROM outbox WHERE aggregate_id::text = $1 ORDER BY seq";
        let ids = self.db.app().await.column(sql, &[&aggregate.to_string()]).await;
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        let sql = "SELECT id::text FROM audit_entries WHERE resource_id = $1";
        let ids = self.db.app().await.column(sql, &[&resource_id]).await;
        ids.iter().map(|id| id.parse().unwrap()).collect()
    }
}

impl Real {
    async fn listed(&self) -> Practitioner {
        let account = AccountId::from_uuid(new_id());
        insert_account(&self.accounts, account, Role::Doctor).await;
        let practitioner = seeds::profile(account, now());
        let inserted = DirectoryStore::insert(self.store.as_ref(), &practitioner, &Effects::default()).await.unwrap();
        assert_eq!(inserted, ProfileInserted::Created);
        practitioner
    }
}

amrutam_clinical::clinical_store_contract!(real());

pub(crate) fn note(visit: &MadeVisit, version: i64, text: &str) -> Note {
    Note {
        consultation: visit.id,
        subject: Subject::Account(visit.patient),
        content: Sensitive::new(NoteContent { subjective: text.into(), ..NoteContent::default() }),
        addenda: Sensitive::new(Vec::new()),
        written_at: visit.starts_at,
        version,
    }
}

async fn write(real: &Real, note: Note) {
    let changes = ClinicalChanges { note: Some(note), ..ClinicalChanges::default() };
    real.clinical.commit(&changes).await.unwrap();
}

const CANARY: &str = "canary of a complaint";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_is_not_readable_in_the_table() {
    let real = real().await;
    let visit = real.visits(&["in_progress"]).await[0];
    write(&real, note(&visit, 1, CANARY)).await;
    let rows = real.db.owner().await.column("SELECT row::text FROM phi.note_versions AS row", &[]).await.join("\n");
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(rows.contains(&visit.id.to_string()) && !rows.contains(CANARY) && !rows.contains(&hex));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_note_opens_where_it_was_put_and_in_its_version_only() {
    let real = real().await;
    let visits = real.visits(&["in_progress", "in_progress"]).await;
    let (one, other) = (visits[0], visits[1]);
    write(&real, note(&one, 1, "one")).await;
    write(&real, note(&one, 2, "two")).await;
    write(&real, note(&other, 1, "three")).await;
    let owner = real.db.owner().await;
    let put = async |into: (&MadeVisit, i64), from: (&MadeVisit, i64)| {
        let sql = format!(
            "UPDATE phi.note_versions SET sealed = (SELECT sealed FROM phi.note_versions WHERE consultation_id = '{}' AND version = {}) \
             WHERE consultation_id = '{}' AND version = {}",
            from.0.id, from.1, into.0.id, into.1
        );
        owner.run(&sql).await;
        real.clinical.note(into.0.id).await
    };
    assert!(put((&other, 1), (&one, 2)).await.is_err(), "another visit's");
    assert!(put((&one, 2), (&one, 1)).await.is_err(), "an older version's");
}

/// Puts what is sealed of `from` into the row of `into` and back, and says how the reader takes it meanwhile.
async fn with_another<T>(
    real: &Real,
    (table, column, key): (&str, &str, &str),
    (into, from): (Uuid, Uuid),
    read: impl AsyncFn() -> Result<T, PortError>,
) -> Result<T, PortError> {
    let owner = real.db.owner().await;
    let kept = format!("SELECT encode({column}, 'hex') FROM phi.{table} WHERE {key} = '{into}'");
    let kept = owner.column(&kept, &[]).await.pop().unwrap();
    let others = format!("(SELECT {column} FROM phi.{table} WHERE {key} = '{from}')");
    owner.run(&format!("UPDATE phi.{table} SET {column} = {others} WHERE {key} = '{into}'")).await;
    let read_then = read().await;
    owner.run(&format!("UPDATE phi.{table} SET {column} = decode('{kept}', 'hex') WHERE {key} = '{into}'")).await;
    assert!(read().await.is_ok(), "{table}.{column} is as it was");
    read_then
}

fn consent(visit: &MadeVisit) -> Consent {
    Consent {
        id: ConsentId::from_uuid(new_id()),
        consultation: visit.id,
        subject: Subject::Account(visit.patient),
        purpose: ConsentPurpose::Recording,
        decision: ConsentDecision::Given,
        notice_version: "recording-1".into(),
        method: ConsentMethod::Verbal,
        evidence: Some(Sensitive::new(format!("said yes at {}", visit.starts_at))),
        recorded_by: visit.doctor_account,
        at: visit.starts_at,
    }
}

pub(crate) fn revoked(visit: &MadeVisit) -> [Prescription; 3] {
    let draft = Prescription {
        id: PrescriptionId::from_uuid(new_id()),
        consultation: visit.id,
        subject: Subject::Account(visit.patient),
        doctor: visit.doctor,
        number: 1,
        status: PrescriptionStatus::Draft,
        content: Sensitive::new(PrescriptionContent { complaint: "burning".into(), ..PrescriptionContent::default() }),
        signed: None,
        code_digest: None,
        revoked: None,
        document: DocumentState::Awaited { failures: 0 },
        updated_at: visit.starts_at,
        version: 1,
    };
    let mut bytes = [0; 26];
    bytes[..16].copy_from_slice(draft.id.as_uuid().as_bytes());
    let facts = SignedFacts {
        signed_at: visit.starts_at,
        signatory: Signatory {
            name: "Vaidya".into(),
            qualifications: vec!["BAMS".into()],
            council: "NCISM".into(),
            registration: "1".into(),
            system: System::Ayurveda,
        },
        person: Person { name: "Asha".into(), date_of_birth: None, sex: None },
        age_years: 36,
        visit_started_at: visit.starts_at,
        mode: Mode::Video,
        kind: VisitKind::FirstVisit,
        ruleset: "prescribing-1".into(),
        formulary: "ayurveda-1".into(),
        decisions: vec![],
        verify_code: VerifyCode::from_random(bytes).as_str().to_owned(),
        content_sha256: "0".repeat(64),
        jws: "a.b.c".into(),
    };
    let signed = draft.change(Change::Sign(Box::new(facts)), visit.starts_at).unwrap();
    let revoked = signed.change(Change::Revoke(RevokeReason::Other), visit.starts_at).unwrap();
    [draft, signed, revoked]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prescriptions_consents_and_guardians_open_where_they_were_put_only() {
    let real = real().await;
    let visits = [real.visits(&["in_progress"]).await[0], real.visits(&["in_progress"]).await[0]];
    let mut ids = Vec::new();
    for visit in &visits {
        let (consent, steps) = (consent(visit), revoked(visit));
        ids.push((steps[0].id.as_uuid(), consent.id.as_uuid()));
        for step in steps {
            let changes = ClinicalChanges { prescriptions: vec![step], ..ClinicalChanges::default() };
            real.clinical.commit(&changes).await.unwrap();
        }
        let guardian = Guardian {
            name: "Ravi Rao".into(),
            relation: Kinship::Father,
            id_type: IdType::Pan,
            id_last_four: "12A4".into(),
        };
        let guardian = RecordedGuardian {
            consultation: visit.id,
            subject: Subject::Account(visit.patient),
            guardian: Sensitive::new(guardian),
            version: 1,
        };
        let changes =
            ClinicalChanges { consents: vec![consent], guardian: Some(guardian), ..ClinicalChanges::default() };
        real.clinical.commit(&changes).await.unwrap();
    }
    let (one, prescriptions, consents) = (visits[0].id, (ids[0].0, ids[1].0), (ids[0].1, ids[1].1));
    for column in ["content", "signed", "revoke_reason"] {
        let read = async || real.clinical.prescriptions(one).await;
        let moved = with_another(&real, ("prescriptions", column, "id"), prescriptions, read).await;
        assert!(moved.is_err(), "{column}: {moved:?}");
        // Nor another column's in the same row.
        let owner = real.db.owner().await;
        let place = format!("phi.prescriptions SET {column}");
        let kept = format!("SELECT encode({column}, 'hex') FROM phi.prescriptions WHERE id = '{}'", prescriptions.0);
        let kept = owner.column(&kept, &[]).await.pop().unwrap();
        let other = if column == "content" { "signed" } else { "content" };
        owner.run(&format!("UPDATE {place} = {other} WHERE id = '{}'", prescriptions.0)).await;
        assert!(real.clinical.prescription(PrescriptionId::from_uuid(prescriptions.0)).await.is_err(), "{column}");
        owner.run(&format!("UPDATE {place} = decode('{kept}', 'hex') WHERE id = '{}'", prescriptions.0)).await;
    }
    let read = async || real.clinical.consents(one).await;
    assert!(with_another(&real, ("consents", "evidence", "id"), consents, read).await.is_err());
    let read = async || real.clinical.guardian(one).await;
    let whose = (visits[0].id.as_uuid(), visits[1].id.as_uuid());
    assert!(with_another(&real, ("guardians", "sealed", "consultation_id"), whose, read).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependants_and_summaries_open_where_they_were_put_only() {
    let real = real().await;
    let visits = [real.visits(&["completed"]).await[0], real.visits(&["completed"]).await[0]];
    let mut kept = Vec::new();
    for visit in &visits {
        let dependant = Dependant {
            id: DependantId::from_uuid(new_id()),
            keeper: visit.patient,
            details: Sensitive::new(DependantDetails {
                full_name: format!("Kavya {}", visit.id),
                date_of_birth: "2015-05-17".parse().unwrap(),
                sex: None,
                relation: DependantRelation::Child,
            }),
            added_at: now(),
            updated_at: now(),
            removed_at: None,
            version: 1,
        };
        kept.push((visit.patient, dependant.id));
        let change = DependantChange::Added { dependant, others: 0 };
        real.clinical.commit_dependant(&change, &Effects::default()).await.unwrap();
        let row = visit.id.as_uuid();
        let (owner, version) = (visit.patient, 1);
        let place = SealPlace { schema: "phi", table: "visit_summaries", column: "sealed", row, owner, version };
        let sealed = FakeSealer::new().seal(&place, format!("calmer {row}").as_bytes()).await.unwrap();
        let sealed: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        let sql = format!(
            "INSERT INTO phi.visit_summaries (consultation_id, patient_id, sealed) VALUES ('{row}', '{owner}', decode('{sealed}', 'hex'))"
        );
        real.db.owner().await.run(&sql).await;
    }
    let read = async || real.clinical.kept(kept[0].0, kept[0].1).await;
    let whose = (kept[0].1.as_uuid(), kept[1].1.as_uuid());
    assert!(with_another(&real, ("dependants", "sealed", "id"), whose, read).await.is_err());
    let page = || PageRequest { limit: Limit::default(), after: None };
    let read = async || real.clinical.records(Subject::Account(visits[0].patient), page()).await;
    let whose = (visits[0].id.as_uuid(), visits[1].id.as_uuid());
    assert!(with_another(&real, ("visit_summaries", "sealed", "consultation_id"), whose, read).await.is_err());
}
