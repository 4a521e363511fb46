//! All that is held of one person, opened and written as files.
//!
//! Something new that is kept of people: a key in `held_of`, a file here.

use crate::{
    accounts::Accounts,
    clinical::Clinical,
    clinical_rows::{Bytes, ConsentRow, GuardianRow, NoteRow, PrescriptionRow, SummaryRow, place},
    dependants::DependantRow,
    functions,
    json::Json,
    pool::Postgres,
    vault::{Vault, unless_erased},
};
use amrutam_audit::ports::{EntryFilter, TrailReader};
use amrutam_clinical::{
    model::{DocumentState, Prescription, Subject},
    ports::ClinicalStore,
};
use amrutam_identity::ports::AccountStore;
use amrutam_kernel::{
    AccountId, ConsultationId, DependantId, Limit, PageRequest, PortError, RecordRef, Sensitive, Unrecorded,
};
use amrutam_privacy::{GatherError, model::Dossier, ports::Holdings};
use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The newest so many accesses are in a copy; all of them can be read at `/v1/me/access-log`.
const ACCESSES: usize = 10_000;

/// What the files are, for whoever opens the archive.
const ABOUT: &str = "All that Amrutam holds of you. account.json: who you are and how you are reached. sign_in.json: where you are \
logged in, and whether there is a second factor. dependants.json: whose visits you book. consultations.json: your visits, what you said they were for, and what happened to \
them. consents.json, guardians.json: what you agreed to, and who accompanied a minor. notes.json, prescriptions.json and \
prescriptions/: what your practitioners wrote, and prescriptions as they were issued. payments.json: what visits cost and what was \
given back. messages.json: what was sent to you, and when. access_log.json: who opened your data. exports.json: copies that were made \
for you. practitioner.json: your profile in the directory, if you have one. Times are in UTC, amounts in minor units.\n";

/// All that is held. Cheap to clone.
#[derive(Clone)]
pub struct Held {
    db: Postgres,
    audit: Postgres,
    accounts: Accounts,
    clinical: Clinical,
    vault: Vault,
}

impl Held {
    /// Over that pool; the audit trail's log may be in another database.
    pub fn new(db: Postgres, audit: Postgres, accounts: Accounts, clinical: Clinical, vault: Vault) -> Self {
        Self { db, audit, accounts, clinical, vault }
    }
}

#[derive(Debug, Deserialize)]
struct HeldRow {
    consultations: Vec<VisitRow>,
    dependants: Vec<DependantRow>,
    payments: Vec<Value>,
    messages: Vec<Value>,
    sessions: Vec<Value>,
    second_factor: Option<Value>,
    exports: Vec<Value>,
    profile: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct VisitRow {
    consultation: ConsultationRow,
    doctor: Option<Value>,
    reason: Option<Bytes>,
    summary: Option<SummaryRow>,
    timeline: Vec<Value>,
    presence: Vec<Value>,
    consents: Vec<ConsentRow>,
    guardians: Vec<GuardianRow>,
    notes: Vec<NoteRow>,
    prescriptions: Vec<PrescriptionRow>,
}

#[derive(Debug, Deserialize)]
struct ConsultationRow {
    id: ConsultationId,
    dependant_id: Option<DependantId>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The parts that go into files of their own.
#[derive(Default)]
struct Parts {
    visits: Vec<Value>,
    consents: Vec<Value>,
    guardians: Vec<Value>,
    notes: Vec<Value>,
    prescriptions: Vec<Value>,
    issued: Vec<Prescription>,
    records: Vec<RecordRef>,
}

impl Held {
    /// Of somebody whose keys are destroyed before the account's are, what is not sealed stays.
    async fn take(&self, account: AccountId, row: VisitRow, parts: &mut Parts) -> Result<(), GatherError> {
        let (id, dependant) = (row.consultation.id, row.consultation.dependant_id);
        let whose = match dependant {
            Some(dependant) => Subject::Dependant { keeper: account, dependant },
            None => Subject::Account(account),
        };
        let reason = match row.reason {
            Some(Bytes(sealed)) => {
                // As booking seals it.
                let place = place("visit_reasons", "sealed", id.as_uuid(), whose, 1);
                unless_erased(self.vault.open_text::<String>(&place, &sealed).await)?
            }
            None => None,
        };
        let summary = match row.summary {
            Some(summary) => unless_erased(summary.open(&self.vault).await)?,
            None => None,
        };
        let mut visit = row.consultation.rest;
        visit.insert("id".to_owned(), json!(id));
        visit.insert("doctor".to_owned(), json!(row.doctor));
        visit.insert("for_dependent".to_owned(), json!(dependant));
        visit.insert("reason".to_owned(), json!(reason));
        visit.insert("summary".to_owned(), json!(summary));
        visit.insert("timeline".to_owned(), json!(row.timeline));
        visit.insert("check_ins".to_owned(), json!(row.presence));
        parts.visits.push(Value::Object(visit));
        parts.records.push(record("consultation", id));
        for consent in row.consents {
            let one = consent.open(&self.vault).await?;
            parts.consents.push(json!({
                "id": one.id, "consultation_id": id, "purpose": one.purpose, "decision": one.decision,
                "notice_version": one.notice_version, "method": one.method,
                "evidence": one.evidence.as_ref().map(Sensitive::expose), "recorded_by": one.recorded_by, "at": one.at,
            }));
        }
        for guardian in row.guardians {
            let Some(one) = unless_erased(guardian.open(&self.vault).await)? else { continue };
            let (version, guardian) = (one.version, one.guardian.expose());
            parts.guardians.push(json!({ "consultation_id": id, "version": version, "guardian": guardian }));
        }
        for note in row.notes {
            let Some(one) = unless_erased(note.open(&self.vault).await)? else { continue };
            parts.notes.push(json!({
                "consultation_id": id, "version": one.version, "written_at": one.written_at,
                "content": one.content.expose(), "addenda": one.addenda.expose(),
            }));
        }
        for prescription in row.prescriptions {
            let Some(one) = unless_erased(prescription.open(&self.vault).await)? else { continue };
            parts.prescriptions.push(json!({
                "id": one.id, "consultation_id": id, "number": one.number, "status": one.status,
                "content": one.content.expose(), "signed": one.signed.as_ref().map(Sensitive::expose),
                "revoked": one.revoked.map(|(reason, at)| json!({ "reason": reason, "at": at })),
            }));
            parts.records.push(record("prescription", one.id));
            if matches!(one.document, DocumentState::Issued { .. }) {
                parts.issued.push(one);
            }
        }
        Ok(())
    }

    async fn account(&self, account: AccountId) -> Result<Option<Value>, GatherError> {
        let Some(found) = self.accounts.by_id(account).await?.undisclosed() else { return Ok(None) };
        let profile = found.profile;
        Ok(Some(json!({
            "id": found.id, "role": found.role, "email": found.email.expose().as_str(),
            "email_verified_at": found.email_verified_at, "full_name": profile.full_name.expose().as_str(),
            "phone": profile.phone.as_ref().map(Sensitive::expose),
            "date_of_birth": profile.date_of_birth.as_ref().map(|date| date.expose().to_string()),
            "sex": profile.sex.as_ref().map(Sensitive::expose), "time_zone": profile.time_zone,
            "created_at": found.created_at, "password_set_at": found.password_set_at,
        })))
    }

    async fn accesses(&self, account: AccountId) -> Result<Vec<Value>, GatherError> {
        let filter = EntryFilter { patient: Some(account), ..EntryFilter::default() };
        let limit = Limit::new(Limit::MAX).unwrap_or_default();
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.audit.search(&filter, PageRequest { limit, after }).await?;
            found.extend(page.items.into_iter().map(|placed| {
                let entry = placed.entry;
                json!({
                    "id": entry.id, "at": entry.occurred_at, "what": entry.in_plain_words(account), "role": entry.role,
                    "action": entry.action, "resource_kind": entry.resource_kind, "resource_id": entry.resource_id,
                    "outcome": entry.outcome, "purpose": entry.purpose, "emergency": entry.break_glass,
                })
            }));
            after = page.next;
            if after.is_none() || found.len() >= ACCESSES {
                return Ok(found);
            }
        }
    }
}

fn record(kind: &'static str, id: impl std::fmt::Display) -> RecordRef {
    RecordRef { kind, id: id.to_string() }
}

#[async_trait]
impl Holdings for Held {
    async fn gather(&self, account: AccountId) -> Result<Unrecorded<Dossier>, GatherError> {
        let query = diesel::select(functions::held_of(account.as_uuid()));
        let held: Result<Json<HeldRow>, _> = self.db.ask(query).await;
        let Json(row) = held.map_err(PortError::from)?;
        let mut parts = Parts::default();
        for visit in row.consultations {
            self.take(account, visit, &mut parts).await?;
        }
        let mut dossier = Dossier::default();
        dossier.add("about.txt", ABOUT.as_bytes().to_vec(), [])?;
        dossier.add_json("account.json", &self.account(account).await?, [record("account", account)])?;
        let sign_in = json!({ "sessions": row.sessions, "second_factor": row.second_factor });
        dossier.add_json("sign_in.json", &sign_in, [])?;
        let (mut dependants, mut kept) = (Vec::new(), Vec::new());
        for row in row.dependants {
            if let Some(one) = row.open(&self.vault).await? {
                kept.push(record("dependant", one.id));
                dependants.push(json!({
                    "id": one.id, "who": one.details.expose(), "added_at": one.added_at, "removed_at": one.removed_at,
                }));
            }
        }
        dossier.add_json("dependants.json", &dependants, kept)?;
        dossier.add_json("consultations.json", &parts.visits, parts.records)?;
        dossier.add_json("consents.json", &parts.consents, [])?;
        dossier.add_json("guardians.json", &parts.guardians, [])?;
        dossier.add_json("notes.json", &parts.notes, [])?;
        dossier.add_json("prescriptions.json", &parts.prescriptions, [])?;
        for issued in parts.issued {
            if let Some(document) = self.clinical.document(issued.id).await?.undisclosed() {
                dossier.add(format!("prescriptions/{}.pdf", issued.id), document.bytes.into_exposed(), [])?;
            }
        }
        let paid = row.payments.iter().filter_map(|payment| payment.get("id").and_then(Value::as_str));
        let paid: Vec<_> = paid.map(|id| record("payment", id)).collect();
        dossier.add_json("payments.json", &row.payments, paid)?;
        dossier.add_json("messages.json", &row.messages, [])?;
        dossier.add_json("exports.json", &row.exports, [])?;
        if let Some(profile) = &row.profile {
            dossier.add_json("practitioner.json", profile, [])?;
        }
        dossier.add_json("access_log.json", &self.accesses(account).await?, [])?;
        Ok(Unrecorded::new(dossier))
    }
}
