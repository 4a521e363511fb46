//! Clinical's record and formulary.

use crate::{
    FakeSealer,
    world::{MemoryWorld, Tables, defect, into_port_error},
};
use amrutam_booking::model::{Consultation, ConsultationStatus, PractitionerStatus};
use amrutam_clinical::{
    model::{
        Consent, ConsentPurpose, EarlierVisit, Formulary, Note, Person, Practitioner, Prescription, PrescriptionStatus,
        Presence, Sex, Subject, Visit, VisitStatus, standing,
    },
    ports::{
        ClinicalChanges, ClinicalStore, Document, FormularyStore, Imported, RecordEntry, RecordPage, RecordedGuardian,
    },
};
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, DoctorId, Effects, Page, PageRequest, PortError, PrescriptionId, SealPlace,
    Sealer, Sensitive, Unrecorded,
};
use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};

fn word<T: std::str::FromStr>(text: &str) -> Result<T, PortError> {
    text.parse().map_err(|_| defect("a word is of its vocabulary"))
}

fn subject_of(consultation: &Consultation) -> Subject {
    let keeper = consultation.patient;
    consultation.dependant.map_or(Subject::Account(keeper), |dependant| Subject::Dependant { keeper, dependant })
}

/// Who is treated.
fn person_of(tables: &Tables, consultation: &Consultation) -> Result<Person, PortError> {
    if let Some(dependant) = consultation.dependant {
        let kept = tables.dependants.get(&dependant);
        let kept = kept.ok_or_else(|| defect("a consultation names a dependant that is there"))?;
        return Ok(kept.details.expose().person());
    }
    let patient = tables.accounts.get(&consultation.patient);
    let patient = patient.ok_or_else(|| defect("a consultation names a patient that is there"))?;
    let sex = patient.profile.sex.as_ref().map(|sex| match sex.expose() {
        amrutam_identity::model::Sex::Female => Sex::Female,
        amrutam_identity::model::Sex::Male => Sex::Male,
        amrutam_identity::model::Sex::Other => Sex::Other,
    });
    Ok(Person {
        name: patient.profile.full_name.expose().as_str().to_owned(),
        date_of_birth: patient.profile.date_of_birth.as_ref().map(|date| *date.expose()),
        sex,
    })
}

fn practitioner_of(doctor: &amrutam_booking::model::Practitioner) -> Result<Practitioner, PortError> {
    Ok(Practitioner {
        id: doctor.id,
        account: doctor.account,
        name: doctor.details.full_name.clone(),
        qualifications: doctor.details.qualifications.clone(),
        council: doctor.details.council.clone(),
        registration: doctor.details.registration_number.clone(),
        system: word(doctor.details.system.as_str())?,
        listed: doctor.status == PractitionerStatus::Listed,
        registered_on: doctor.details.registered_on,
        valid_until: doctor.details.valid_until,
    })
}

fn visit_of(tables: &Tables, consultation: &Consultation) -> Result<Visit, PortError> {
    let doctor = tables.practitioner(consultation.doctor)?;
    Ok(Visit {
        id: consultation.id,
        subject: subject_of(consultation),
        person: Sensitive::new(person_of(tables, consultation)?),
        practitioner: practitioner_of(doctor)?,
        range: consultation.range,
        mode: word(consultation.mode.as_str())?,
        status: VisitStatus::from_word(consultation.status.as_str()),
        version: consultation.version,
        changed_at: consultation.updated_at,
    })
}

fn last_note(tables: &Tables, id: ConsultationId) -> Option<Note> {
    tables.notes.get(&id)?.last_key_value().map(|(_, note)| note.clone())
}

fn consents_of(tables: &Tables, id: ConsultationId) -> Vec<Consent> {
    tables.consents.iter().filter(|one| one.consultation == id).cloned().collect()
}

fn prescriptions_of(tables: &Tables, id: ConsultationId) -> Vec<Prescription> {
    let mut found: Vec<_> = tables.prescriptions.values().filter(|one| one.consultation == id).cloned().collect();
    found.sort_by_key(|one| one.number);
    found
}

/// Is under way, or took place.
fn is_held(consultation: &Consultation) -> bool {
    matches!(consultation.status, ConsultationStatus::InProgress | ConsultationStatus::Completed)
}

#[async_trait]
impl ClinicalStore for MemoryWorld {
    async fn visit(&self, id: ConsultationId) -> Result<Option<Visit>, PortError> {
        // Of an erased person nobody opens what is kept.
        let open = |tables: &Tables, one: &&Consultation| !tables.erasures.contains_key(&one.patient);
        self.read(|tables| {
            let found = tables.consultations.get(&id).filter(|one| open(tables, one));
            found.map(|one| visit_of(tables, one)).transpose()
        })?
    }

    async fn earlier_visits(
        &self,
        subject: Subject,
        doctor: DoctorId,
        since: Timestamp,
        before: Timestamp,
    ) -> Result<Unrecorded<Vec<EarlierVisit>>, PortError> {
        self.read_personal(|tables| {
            let wanted = |one: &&Consultation| {
                let start = one.range.start();
                subject_of(one) == subject
                    && one.doctor == doctor
                    && one.status == ConsultationStatus::Completed
                    && since <= start
                    && start < before
            };
            let mut found: Vec<_> = tables.consultations.values().filter(wanted).collect();
            found.sort_by_key(|one| one.range.start());
            let earlier = found.into_iter().map(|one| EarlierVisit {
                consultation: one.id,
                started_at: one.range.start(),
                conditions: last_note(tables, one.id)
                    .map(|note| note.conditions())
                    .into_iter()
                    .flatten()
                    .chain(
                        prescriptions_of(tables, one.id)
                            .iter()
                            .filter(|one| one.status == PrescriptionStatus::Signed)
                            .flat_map(Prescription::conditions),
                    )
                    .collect(),
            });
            earlier.collect()
        })
    }

    async fn last_treated(
        &self,
        subject: Subject,
        doctor_account: AccountId,
        since: Timestamp,
        soon: Timestamp,
    ) -> Result<Option<Timestamp>, PortError> {
        self.read(|tables| {
            if tables.erasures.contains_key(&subject.keeper()) {
                return None;
            }
            let doctor = tables.practitioners.values().find(|one| one.account == doctor_account)?.id;
            let near = |one: &Consultation| {
                one.status == ConsultationStatus::Confirmed && one.range.end() > since && one.range.start() < soon
            };
            let theirs = tables.consultations.values().filter(|one| subject_of(one) == subject && one.doctor == doctor);
            theirs.filter(|one| is_held(one) || near(one)).map(|one| one.range.end()).max()
        })
    }

    async fn practitioner(&self, account: AccountId) -> Result<Option<Practitioner>, PortError> {
        self.read(|tables| {
            let found = tables.practitioners.values().find(|one| one.account == account);
            found.map(practitioner_of).transpose()
        })?
    }

    async fn note(&self, id: ConsultationId) -> Result<Unrecorded<Option<Note>>, PortError> {
        self.read_personal(|tables| last_note(tables, id))
    }

    async fn consents(&self, id: ConsultationId) -> Result<Unrecorded<Vec<Consent>>, PortError> {
        self.read_personal(|tables| consents_of(tables, id))
    }

    async fn guardian(&self, id: ConsultationId) -> Result<Unrecorded<Option<RecordedGuardian>>, PortError> {
        self.read_personal(|tables| tables.guardians.get(&id).cloned())
    }

    async fn presence(&self, id: ConsultationId) -> Result<Vec<Presence>, PortError> {
        self.read(|tables| tables.presence.get(&id).cloned().unwrap_or_default())
    }

    async fn prescriptions(&self, id: ConsultationId) -> Result<Unrecorded<Vec<Prescription>>, PortError> {
        self.read_personal(|tables| prescriptions_of(tables, id))
    }

    async fn prescription(&self, id: PrescriptionId) -> Result<Unrecorded<Option<Prescription>>, PortError> {
        self.read_personal(|tables| tables.prescriptions.get(&id).cloned())
    }

    async fn by_code(&self, digest: [u8; 32]) -> Result<Unrecorded<Option<Prescription>>, PortError> {
        let wanted = |tables: &Tables, one: &&Prescription| {
            one.code_digest == Some(digest) && !tables.erasures.contains_key(&one.subject.keeper())
        };
        self.read_personal(|tables| tables.prescriptions.values().find(|one| wanted(tables, one)).cloned())
    }

    async fn document(&self, id: PrescriptionId) -> Result<Unrecorded<Option<Document>>, PortError> {
        self.read_personal(|tables| tables.documents.get(&id).cloned())
    }

    async fn records(
        &self,
        subject: Subject,
        page: PageRequest<(Timestamp, ConsultationId)>,
    ) -> Result<Unrecorded<RecordPage>, PortError> {
        let key = |entry: &RecordEntry| (entry.starts_at, entry.consultation);
        let mut found = self.read(|tables| {
            let open = !tables.erasures.contains_key(&subject.keeper());
            let theirs = |one: &&Consultation| open && subject_of(one) == subject && is_held(one);
            let mut found: Vec<_> = tables.consultations.values().filter(theirs).collect();
            found.sort_by_key(|one| std::cmp::Reverse((one.range.start(), one.id)));
            let after = |one: &&&Consultation| page.after.is_none_or(|after| (one.range.start(), one.id) < after);
            let rows = found.iter().filter(after).take(usize::from(page.limit.get()) + 1).map(|one| {
                let doctor = tables.practitioner(one.doctor)?;
                let mut prescriptions = prescriptions_of(tables, one.id);
                prescriptions.retain(|one| one.status != PrescriptionStatus::Draft);
                Ok(RecordEntry {
                    consultation: one.id,
                    starts_at: one.range.start(),
                    doctor: doctor.id,
                    doctor_account: doctor.account,
                    sharing: standing(&consents_of(tables, one.id), ConsentPurpose::RecordSharing)
                        .map(|consent| consent.decision),
                    doctor_name: doctor.details.full_name.clone(),
                    doctor_registration: (doctor.details.council.clone(), doctor.details.registration_number.clone()),
                    note: last_note(tables, one.id),
                    prescriptions,
                    summary: None,
                    withheld: false,
                })
            });
            rows.collect::<Result<Vec<_>, PortError>>().map(|rows| Page::cut(rows, page.limit, key))
        })??;
        for entry in &mut found.items {
            let Some(sealed) = self.read(|tables| tables.summaries.get(&entry.consultation).cloned())? else {
                continue;
            };
            let place = SealPlace {
                schema: "phi",
                table: "visit_summaries",
                column: "sealed",
                row: entry.consultation.as_uuid(),
                owner: subject.key_owner(),
                version: 1,
            };
            let plain = FakeSealer::new().open(&place, &sealed).await.map_err(PortError::from)?;
            entry.summary = Some(Sensitive::new(String::from_utf8_lossy(&plain).into_owned()));
        }
        Ok(Unrecorded::new(found))
    }

    async fn commit(&self, changes: &ClinicalChanges) -> Result<(), CommitError> {
        let mut tx = self.begin(&changes.effects)?;
        let tables = tx.tables();
        if let Some((id, version)) = changes.based_on
            && tables.consultations.get(&id).is_none_or(|one| one.version != version)
        {
            return Err(CommitError::Stale);
        }
        if let Some((id, read)) = changes.consents_read
            && consents_of(tables, id).len() != read
        {
            return Err(CommitError::Stale);
        }
        // What was signed before an erasure is printed and taken back all the same.
        let decided = changes.prescriptions.iter().filter(|_| changes.based_on.is_some()).map(|one| one.subject);
        let mut said = (changes.note.iter().map(|one| one.subject))
            .chain(changes.consents.iter().map(|one| one.subject))
            .chain(changes.guardian.iter().map(|one| one.subject))
            .chain(decided);
        if said.any(|subject| tables.erasures.contains_key(&subject.keeper())) {
            return Err(CommitError::Stale);
        }
        if let Some(note) = &changes.note {
            let versions = tables.notes.entry(note.consultation).or_default();
            if versions.last_key_value().map_or(0, |(version, _)| *version) != note.version - 1 {
                return Err(CommitError::Stale);
            }
            versions.insert(note.version, note.clone());
        }
        for consent in &changes.consents {
            if tables.consents.iter().any(|one| one.id == consent.id) {
                return Err(defect("a consent's id is unique").into());
            }
            tables.consents.push(consent.clone());
        }
        if let Some(guardian) = &changes.guardian {
            if tables.guardians.get(&guardian.consultation).map_or(0, |one| one.version) != guardian.version - 1 {
                return Err(CommitError::Stale);
            }
            tables.guardians.insert(guardian.consultation, guardian.clone());
        }
        if let Some((id, presence)) = changes.presence {
            tables.presence.entry(id).or_default().push(presence);
        }
        for next in &changes.prescriptions {
            if tables.prescriptions.get(&next.id).map_or(0, |one| one.version) != next.version - 1 {
                return Err(CommitError::Stale);
            }
            tables.prescriptions.insert(next.id, next.clone());
            let alone = |status| {
                let same = |one: &&Prescription| one.consultation == next.consultation && one.status == status;
                tables.prescriptions.values().filter(same).count() < 2
            };
            if !alone(PrescriptionStatus::Draft) || !alone(PrescriptionStatus::Signed) {
                return Err(CommitError::Stale);
            }
        }
        if let Some(document) = &changes.document
            && tables.documents.insert(document.prescription, document.clone()).is_some()
        {
            return Err(defect("a document is written once").into());
        }
        tx.commit()
    }
}

#[async_trait]
impl FormularyStore for MemoryWorld {
    async fn in_force(&self, day: Date) -> Result<Option<Formulary>, PortError> {
        self.read(|tables| {
            let in_force = tables.formularies.values().filter(|one| one.effective_from <= day);
            in_force
                .max_by(|one, other| (one.effective_from, &one.version).cmp(&(other.effective_from, &other.version)))
                .cloned()
        })
    }

    async fn import(&self, formulary: &Formulary, effects: &Effects) -> Result<Imported, PortError> {
        let mut tx = self.begin(effects).map_err(into_port_error)?;
        let known = tx.tables().formularies.get(&formulary.version);
        if let Some(known) = known {
            return Ok(if known == formulary { Imported::Known } else { Imported::VersionTaken });
        }
        tx.tables().formularies.insert(formulary.version.clone(), formulary.clone());
        tx.commit().map_err(into_port_error)?;
        Ok(Imported::New)
    }
}
