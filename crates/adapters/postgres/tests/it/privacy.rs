//! The suite of privacy's stores, and what is left of whoever is erased.

use crate::{
    clinical::{Real, note, real, revoked},
    support::vault,
};
use amrutam_clinical::{
    contract::{Harness as _, MadeVisit, seeds},
    model::{Change, Guardian, IdType, Kinship, Note, Prescription, Subject},
    ports::{ClinicalChanges, ClinicalStore, RecordedGuardian},
};
use amrutam_identity::ports::AccountStore;
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, EventId, Limit, PageRequest, Personal, SealError, SealPlace, Sealer,
    Sensitive,
};
use amrutam_memory::{FakeIndex, FakeSealer};
use amrutam_postgres::{Clinical, Exports, Held, Vault};
use amrutam_privacy::{
    contract::Harness,
    model::Dossier,
    ports::{ErasureStore, ExportStore, Holdings},
};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

#[async_trait]
impl Harness for Real {
    fn exports(&self) -> Arc<dyn ExportStore> {
        Arc::new(Exports::new((*self.store).clone(), vault()))
    }

    fn holdings(&self) -> Arc<dyn Holdings> {
        let db = (*self.store).clone();
        Arc::new(Held::new(db.clone(), db, (*self.accounts).clone(), (*self.clinical).clone(), vault()))
    }

    fn erasures(&self) -> Arc<dyn ErasureStore> {
        self.store.clone()
    }

    fn now(&self) -> Timestamp {
        self.began
    }

    async fn patient(&self, statuses: &[&str]) -> (AccountId, Vec<ConsultationId>) {
        let visits = self.visits(statuses).await;
        (visits[0].patient, visits.iter().map(|visit| visit.id).collect())
    }

    async fn agrees(&self, patient: AccountId, visit: ConsultationId, purposes: &[&str]) -> Result<(), CommitError> {
        seeds::agree(self.clinical.as_ref(), Subject::Account(patient), visit, purposes, self.began).await
    }

    async fn agreed(&self, visit: ConsultationId) -> Vec<&'static str> {
        seeds::agreed(self.clinical.as_ref(), visit).await
    }

    async fn keeps(&self, keeper: AccountId, removed: bool) -> AccountId {
        let dependant = seeds::keep(self.clinical.as_ref(), keeper, self.began).await;
        if removed {
            seeds::remove(self.clinical.as_ref(), &dependant, self.began).await;
        }
        dependant.subject().key_owner()
    }

    async fn is_known(&self, account: AccountId) -> bool {
        AccountStore::by_id(self.accounts.as_ref(), account).await.unwrap().some().is_some()
    }

    async fn opens(&self, visit: ConsultationId) -> bool {
        ClinicalStore::visit(self.clinical.as_ref(), visit).await.unwrap().is_some()
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        amrutam_clinical::contract::Harness::announced(self, aggregate).await
    }
}

amrutam_privacy::privacy_store_contract!(real());

/// Opens as the others do, but for whoever's keys are destroyed.
struct Without {
    owner: AccountId,
    sealer: FakeSealer,
}

#[async_trait]
impl Sealer for Without {
    async fn seal(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.sealer.seal(place, plain).await
    }

    async fn open(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        if place.owner == self.owner { Err(SealError::Erased) } else { self.sealer.open(place, sealed).await }
    }
}

/// Everything that is written at a visit: what it was for, a note, consents, who accompanied, a prescription, what came of it.
async fn write_all(real: &Real, visit: &MadeVisit, subject: Subject) {
    let [draft, ..] = revoked(visit);
    let guardian =
        Guardian { name: "Ravi".into(), relation: Kinship::Father, id_type: IdType::Pan, id_last_four: "12A4".into() };
    let guardian = RecordedGuardian { consultation: visit.id, subject, guardian: Sensitive::new(guardian), version: 1 };
    let draft = Prescription { subject, ..draft };
    let facts = revoked(visit)[1].signed.clone().unwrap().into_exposed();
    let signed = draft.change(Change::Sign(Box::new(facts)), visit.starts_at).unwrap();
    for prescription in [draft, signed] {
        let changes = ClinicalChanges { prescriptions: vec![prescription], ..ClinicalChanges::default() };
        real.clinical.commit(&changes).await.unwrap();
    }
    let note = Some(Note { subject, ..note(visit, 1, "burning") });
    let other = Guardian { name: "Leela".into(), relation: Kinship::Mother, ..guardian.guardian.expose().clone() };
    let other = RecordedGuardian { guardian: Sensitive::new(other), version: 2, ..guardian.clone() };
    for (note, guardian) in [(note, guardian), (None, other)] {
        let changes = ClinicalChanges { note, guardian: Some(guardian), ..ClinicalChanges::default() };
        real.clinical.commit(&changes).await.unwrap();
    }
    seeds::agree(real.clinical.as_ref(), subject, visit.id, &["teleconsultation"], real.began).await.unwrap();
    let (row, owner) = (visit.id.as_uuid(), subject.key_owner());
    let dependant = subject.dependant().map_or("NULL".to_owned(), |dependant| format!("'{dependant}'"));
    for table in ["visit_reasons", "visit_summaries"] {
        let place = SealPlace { schema: "phi", table, column: "sealed", row, owner, version: 1 };
        let sealed = FakeSealer::new().seal(&place, b"better").await.unwrap();
        let sealed: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
        let keeper = subject.keeper();
        let (columns, values) = match table {
            "visit_reasons" => ("", String::new()),
            _ => (", dependant_id", format!(", {dependant}")),
        };
        let sql = format!(
            "INSERT INTO phi.{table} (consultation_id, patient_id, sealed{columns}) VALUES ('{row}', '{keeper}', decode('{sealed}', 'hex'){values})"
        );
        real.db.owner().await.run(&sql).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_made_without_the_words_of_whose_keys_are_destroyed() {
    let real = real().await;
    let own = real.visits(&["completed"]).await[0];
    let child = seeds::keep(real.clinical.as_ref(), own.patient, real.began).await.subject();
    let childs = real.visits_of(Some(child), &["completed"]).await[0];
    write_all(&real, &own, Subject::Account(own.patient)).await;
    write_all(&real, &childs, child).await;
    let copy = async |vault: Vault| {
        let db = (*real.store).clone();
        let clinical = Clinical::new(db.clone(), (*real.accounts).clone(), vault.clone());
        let held = Held::new(db.clone(), db, (*real.accounts).clone(), clinical, vault);
        held.gather(own.patient).await.unwrap().judge(Clone::clone)
    };
    let read = |dossier: &Dossier, name: &str| -> Vec<Value> {
        let file = dossier.files().iter().find(|file| file.name == format!("{name}.json")).unwrap();
        serde_json::from_slice(file.content.expose()).unwrap()
    };
    let whole = copy(vault()).await;
    let sealer = Without { owner: child.key_owner(), sealer: FakeSealer::new() };
    let left = copy(Vault::new(Arc::new(sealer), Arc::new(FakeIndex::new("tests")))).await;
    for (name, without) in
        [("dependants", 0), ("guardians", 2), ("notes", 1), ("prescriptions", 1), ("consultations", 2), ("consents", 2)]
    {
        // Of whom accompanied there are two versions at each visit.
        let all = match name {
            "dependants" => 1,
            "guardians" => 4,
            _ => 2,
        };
        assert_eq!((read(&whole, name).len(), read(&left, name).len()), (all, without), "{name}");
    }
    let told: Vec<_> =
        read(&left, "guardians").iter().map(|one| (one["version"].clone(), one["guardian"]["name"].clone())).collect();
    assert_eq!(told, [(json!(1), json!("Ravi")), (json!(2), json!("Leela"))]);
    let id = |value: &Value, name: &str| value[name].as_str().unwrap().parse::<ConsultationId>().unwrap();
    for visit in read(&left, "consultations") {
        let words = if id(&visit, "id") == own.id { json!("better") } else { Value::Null };
        assert_eq!((&visit["reason"], &visit["summary"]), (&words, &words), "{visit}");
    }
    for consent in read(&left, "consents") {
        let words = if id(&consent, "consultation_id") == own.id { json!("said yes") } else { Value::Null };
        assert_eq!((&consent["decision"], &consent["evidence"]), (&json!("given"), &words), "{consent}");
    }
    let names = |dossier: &Dossier| dossier.records().iter().filter(|one| one.kind == "prescription").count();
    assert_eq!((names(&whole), names(&left)), (2, 1), "what is not in it is not named");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_of_whose_keys_are_destroyed_reads_as_absent() {
    let real = real().await;
    let own = real.visits(&["completed"]).await[0];
    let child = seeds::keep(real.clinical.as_ref(), own.patient, real.began).await.subject();
    let visit = real.visits_of(Some(child), &["completed"]).await[0];
    write_all(&real, &visit, child).await;
    let written = real.clinical.prescriptions(visit.id).await.unwrap().undisclosed();
    assert_eq!(written.len(), 1);
    let sealer = Without { owner: child.key_owner(), sealer: FakeSealer::new() };
    let vault = Vault::new(Arc::new(sealer), Arc::new(FakeIndex::new("tests")));
    let left = Clinical::new((*real.store).clone(), (*real.accounts).clone(), vault);
    assert_eq!(left.note(visit.id).await.unwrap().undisclosed(), None);
    assert_eq!(left.guardian(visit.id).await.unwrap().undisclosed(), None);
    assert_eq!(left.prescriptions(visit.id).await.unwrap().undisclosed(), []);
    assert_eq!(left.prescription(written[0].id).await.unwrap().undisclosed(), None);
    let page = PageRequest { limit: Limit::default(), after: None };
    let record = left.records(child, page).await.unwrap().undisclosed().items.remove(0);
    assert_eq!((record.consultation, record.note, record.summary), (visit.id, None, None));
    assert_eq!(record.prescriptions, []);
}
