//! The clinical record: sealed on its way in, opened on its way out.

use crate::{
    accounts::Accounts,
    clinical_rows::{
        ChangeRows, ConsentRow, DoctorRow, DocumentRow, EarlierRow, GuardianRow, NoteRow, PrescriptionRow, PresenceRow,
        RecordRow, VisitRow,
    },
    dependants::DependantRow,
    effects::{EffectRows, verdict},
    error::unreadable,
    functions,
    json::Json,
    pool::Postgres,
    vault::{Vault, unless_erased},
};
use amrutam_clinical::{
    model::{Consent, EarlierVisit, Note, Person, Practitioner, Prescription, Presence, Sex, Subject, Visit},
    ports::{ClinicalChanges, ClinicalStore, Document, RecordEntry, RecordPage, RecordedGuardian},
};
use amrutam_identity::ports::AccountStore;
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, DoctorId, Page, PageRequest, PortError, PrescriptionId, Sensitive,
    Unrecorded,
};
use async_trait::async_trait;
use diesel_async::AsyncPgConnection;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use uuid::Uuid;

/// The store of the clinical record. Cheap to clone.
#[derive(Clone)]
pub struct Clinical {
    db: Postgres,
    accounts: Accounts,
    vault: Vault,
}

impl Clinical {
    /// Over that pool; who is treated is asked of the accounts.
    pub fn new(db: Postgres, accounts: Accounts, vault: Vault) -> Self {
        Self { db, accounts, vault }
    }

    pub(crate) fn db(&self) -> &Postgres {
        &self.db
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The one value of a function that may have none.
    pub(crate) async fn maybe<'q, T, Q>(&'q self, query: Q) -> Result<Option<T>, PortError>
    where
        T: DeserializeOwned + Debug + Send + 'q,
        Q: diesel_async::methods::LoadQuery<'q, AsyncPgConnection, Option<Json<T>>> + Send + 'q,
    {
        let found: Option<Json<T>> = self.db.ask(query).await?;
        Ok(found.map(|Json(row)| row))
    }

    pub(crate) async fn all<'q, T, Q>(&'q self, query: Q) -> Result<Vec<T>, PortError>
    where
        T: DeserializeOwned + Debug + Send + 'q,
        Q: diesel_async::methods::LoadQuery<'q, AsyncPgConnection, Json<Vec<T>>> + Send + 'q,
    {
        let found: Json<Vec<T>> = self.db.ask(query).await?;
        Ok(found.0)
    }

    /// Who is treated; without a name once they are erased.
    async fn person(&self, subject: Subject, kept: Option<DependantRow>) -> Result<Person, PortError> {
        let nobody = Person { name: String::new(), date_of_birth: None, sex: None };
        let patient = match subject {
            Subject::Account(patient) => patient,
            Subject::Dependant { .. } => {
                let Some(row) = kept else { return Err(unreadable("a visit's dependant is there")) };
                let kept = row.open(&self.vault).await?;
                return Ok(kept.map_or(nobody, |kept| kept.details.expose().person()));
            }
        };
        let Some(account) = self.accounts.by_id(patient).await?.undisclosed() else { return Ok(nobody) };
        let profile = account.profile;
        Ok(Person {
            name: profile.full_name.expose().as_str().to_owned(),
            date_of_birth: profile.date_of_birth.map(Sensitive::into_exposed),
            sex: profile.sex.map(|sex| match sex.into_exposed() {
                amrutam_identity::model::Sex::Female => Sex::Female,
                amrutam_identity::model::Sex::Male => Sex::Male,
                amrutam_identity::model::Sex::Other => Sex::Other,
            }),
        })
    }

    async fn opened(&self, rows: Vec<PrescriptionRow>) -> Result<Vec<Prescription>, PortError> {
        let mut opened = Vec::with_capacity(rows.len());
        for row in rows {
            opened.extend(unless_erased(row.open(&self.vault).await)?);
        }
        Ok(opened)
    }

    async fn opened_note(&self, row: Option<NoteRow>) -> Result<Option<Note>, PortError> {
        match row {
            Some(row) => unless_erased(row.open(&self.vault).await),
            None => Ok(None),
        }
    }
}

#[async_trait]
impl ClinicalStore for Clinical {
    async fn visit(&self, id: ConsultationId) -> Result<Option<Visit>, PortError> {
        let row: Option<VisitRow> = self.maybe(diesel::select(functions::clinical_visit(id.as_uuid()))).await?;
        let Some(mut row) = row else { return Ok(None) };
        let person = self.person(row.subject(), row.dependant.take()).await?;
        row.visit(person).map(Some)
    }

    async fn earlier_visits(
        &self,
        subject: Subject,
        doctor: DoctorId,
        since: Timestamp,
        before: Timestamp,
    ) -> Result<Unrecorded<Vec<EarlierVisit>>, PortError> {
        let (patient, dependant) = columns(subject);
        let query =
            functions::clinical_earlier(patient, dependant, doctor.as_uuid(), since.to_diesel(), before.to_diesel());
        let rows: Vec<EarlierRow> = self.all(diesel::select(query)).await?;
        let mut earlier = Vec::with_capacity(rows.len());
        for row in rows {
            let note = self.opened_note(row.note).await?;
            let prescriptions = self.opened(row.prescriptions).await?;
            let conditions =
                note.iter().flat_map(Note::conditions).chain(prescriptions.iter().flat_map(Prescription::conditions));
            let (consultation, started_at) = (row.consultation, row.starts_at);
            earlier.push(EarlierVisit { consultation, started_at, conditions: conditions.collect() });
        }
        Ok(Unrecorded::new(earlier))
    }

    async fn last_treated(
        &self,
        subject: Subject,
        doctor_account: AccountId,
        since: Timestamp,
        soon: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        let (patient, dependant) = columns(subject);
        let (doctor, since, soon) = (doctor_account.as_uuid(), since.to_diesel(), soon.to_diesel());
        let query = functions::clinical_last_treated(patient, dependant, doctor, since, soon);
        let found: Option<jiff_diesel::Timestamp> = self.db.ask(diesel::select(query)).await?;
        Ok(found.map(Timestamp::from))
    }

    async fn practitioner(&self, account: AccountId) -> Result<Option<Practitioner>, PortError> {
        let query = diesel::select(functions::clinical_practitioner(account.as_uuid()));
        let row: Option<DoctorRow> = self.maybe(query).await?;
        Ok(row.map(Practitioner::from))
    }

    async fn note(&self, id: ConsultationId) -> Result<Unrecorded<Option<Note>>, PortError> {
        let row: Option<NoteRow> = self.maybe(diesel::select(functions::clinical_note(id.as_uuid()))).await?;
        Ok(Unrecorded::new(self.opened_note(row).await?))
    }

    async fn consents(&self, id: ConsultationId) -> Result<Unrecorded<Vec<Consent>>, PortError> {
        let rows: Vec<ConsentRow> = self.all(diesel::select(functions::clinical_consents(id.as_uuid()))).await?;
        let mut consents = Vec::with_capacity(rows.len());
        for row in rows {
            consents.push(row.open(&self.vault).await?);
        }
        Ok(Unrecorded::new(consents))
    }

    async fn guardian(&self, id: ConsultationId) -> Result<Unrecorded<Option<RecordedGuardian>>, PortError> {
        let row: Option<GuardianRow> = self.maybe(diesel::select(functions::clinical_guardian(id.as_uuid()))).await?;
        Ok(Unrecorded::new(match row {
            Some(row) => unless_erased(row.open(&self.vault).await)?,
            None => None,
        }))
    }

    async fn presence(&self, id: ConsultationId) -> Result<Vec<Presence>, PortError> {
        let rows: Vec<PresenceRow> = self.all(diesel::select(functions::clinical_presence(id.as_uuid()))).await?;
        Ok(rows.into_iter().map(|row| Presence { side: row.side, at: row.at }).collect())
    }

    async fn prescriptions(&self, id: ConsultationId) -> Result<Unrecorded<Vec<Prescription>>, PortError> {
        let rows: Vec<PrescriptionRow> =
            self.all(diesel::select(functions::clinical_prescriptions(id.as_uuid()))).await?;
        Ok(Unrecorded::new(self.opened(rows).await?))
    }

    async fn prescription(&self, id: PrescriptionId) -> Result<Unrecorded<Option<Prescription>>, PortError> {
        let query = functions::clinical_prescription(Some(id.as_uuid()), None::<Vec<u8>>);
        let row: Option<PrescriptionRow> = self.maybe(diesel::select(query)).await?;
        Ok(Unrecorded::new(self.opened(row.into_iter().collect()).await?.pop()))
    }

    async fn by_code(&self, digest: [u8; 32]) -> Result<Unrecorded<Option<Prescription>>, PortError> {
        let query = functions::clinical_prescription(None::<uuid::Uuid>, Some(digest.to_vec()));
        let row: Option<PrescriptionRow> = self.maybe(diesel::select(query)).await?;
        Ok(Unrecorded::new(self.opened(row.into_iter().collect()).await?.pop()))
    }

    async fn document(&self, id: PrescriptionId) -> Result<Unrecorded<Option<Document>>, PortError> {
        let row: Option<DocumentRow> = self.maybe(diesel::select(functions::clinical_document(id.as_uuid()))).await?;
        Ok(Unrecorded::new(match row {
            Some(row) => unless_erased(row.open(&self.vault).await)?,
            None => None,
        }))
    }

    async fn records(
        &self,
        subject: Subject,
        page: PageRequest<(Timestamp, ConsultationId)>,
    ) -> Result<Unrecorded<RecordPage>, PortError> {
        let (start, id) = page.after.map(|(start, id)| (start.to_diesel(), id.as_uuid())).unzip();
        let most = i32::from(page.limit.get()) + 1;
        let (patient, dependant) = columns(subject);
        let query = functions::clinical_records(patient, dependant, start, id, most);
        let rows: Vec<RecordRow> = self.all(diesel::select(query)).await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            entries.push(RecordEntry {
                consultation: row.consultation,
                starts_at: row.starts_at,
                doctor: row.doctor,
                doctor_account: row.doctor_account,
                sharing: row.sharing,
                doctor_name: row.doctor_name,
                doctor_registration: (row.council, row.registration),
                note: self.opened_note(row.note).await?,
                prescriptions: self.opened(row.prescriptions).await?,
                summary: match row.summary {
                    Some(row) => unless_erased(row.open(&self.vault).await)?.map(Sensitive::new),
                    None => None,
                },
                withheld: false,
            });
        }
        Ok(Unrecorded::new(Page::cut(entries, page.limit, |entry| (entry.starts_at, entry.consultation))))
    }

    async fn commit(&self, changes: &ClinicalChanges) -> Result<(), CommitError> {
        let effects = EffectRows::of(&[&changes.effects]);
        let rows = ChangeRows::of(changes, effects, &self.vault).await?;
        let word: String = self.db.ask(diesel::select(functions::commit_clinical(Json(rows)))).await?;
        verdict(&word)
    }
}

/// As the tables say whose something is.
fn columns(subject: Subject) -> (Uuid, Option<Uuid>) {
    (subject.keeper().as_uuid(), subject.dependant().map(|dependant| dependant.as_uuid()))
}
