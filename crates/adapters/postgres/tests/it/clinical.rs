//! The suite of the clinical stores, and what is stored of a record.

use crate::support::{Database, insert_account, now, vault};
use amrutam_booking::{
    contract::seeds,
    model::Practitioner,
    ports::{ConsultationStore, DirectoryStore, ProfileInserted},
};
use amrutam_clinical::{
    contract::{Harness, MadeVisit},
    model::{Note, NoteContent, Subject},
    ports::{ClinicalChanges, ClinicalStore, FormularyStore},
};
use amrutam_kernel::{AccountId, AuditEntryId, Effects, EventId, Role, Sensitive};
use amrutam_postgres::{Accounts, Clinical, Postgres};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

pub(crate) struct Real {
    pub(crate) store: Arc<Postgres>,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) clinical: Arc<Clinical>,
    db: Arc<Database>,
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

fn note(visit: &MadeVisit, version: i64, text: &str) -> Note {
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
