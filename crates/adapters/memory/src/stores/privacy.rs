//! Privacy's exports, holdings and erasures.

use crate::world::{MemoryWorld, MessageState, Tables, defect, into_port_error};
use amrutam_booking::model::ConsultationStatus;
use amrutam_clinical::model::{Consent, ConsentPurpose};
use amrutam_kernel::{
    AccountId, CommitError, Effects, ExportId, IdempotencyClaim, PortError, RecordRef, Sensitive, SessionId, Unrecorded,
};
use amrutam_keys::ports::{Retention, Standing};
use amrutam_privacy::{
    GatherError,
    model::{Dossier, Erasure, ErasureState, Export, ExportState, Facts, HoldReference, LegalHold, LiveVisit},
    ports::{
        Archive, ArchiveChange, ErasureChanges, ErasureStore, ExportChanges, ExportSnapshot, ExportStore, HoldOutcome,
        Holdings,
    },
};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeSet;

fn open_export(tables: &Tables, account: AccountId) -> Option<&Export> {
    tables.exports.values().find(|export| export.account == account && export.is_open())
}

#[async_trait]
impl ExportStore for MemoryWorld {
    async fn snapshot(
        &self,
        account: AccountId,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<ExportSnapshot, PortError> {
        let now = self.now();
        self.read(|tables| ExportSnapshot {
            open: open_export(tables, account).cloned(),
            recorded: tables.recorded(claim, now),
        })
    }

    async fn find(&self, id: ExportId) -> Result<Option<Export>, PortError> {
        self.read(|tables| tables.exports.get(&id).cloned())
    }

    async fn archive(&self, export: &Export) -> Result<Option<Unrecorded<Archive>>, PortError> {
        let archive = |bytes| Archive { export: export.id, bytes: Sensitive::new(bytes) };
        self.read(|tables| tables.archives.get(&export.id).cloned().map(archive).map(Unrecorded::new))
    }

    async fn due(&self, now: Timestamp, most: u16) -> Result<Vec<Export>, PortError> {
        self.read(|tables| {
            let over = |export: &&Export| export.open_until().is_some_and(|until| until <= now);
            let mut due: Vec<_> = tables.exports.values().filter(over).cloned().collect();
            due.sort_by_key(|export| export.changed_at);
            due.truncate(usize::from(most));
            due
        })
    }

    async fn commit(&self, changes: &ExportChanges) -> Result<(), CommitError> {
        let mut tx = self.begin(&changes.effects)?;
        let (tables, export) = (tx.tables(), &changes.export);
        let stored = tables.exports.get(&export.id).map_or(0, |stored| stored.version);
        if stored + 1 != export.version || (stored == 0 && open_export(tables, export.account).is_some()) {
            return Err(CommitError::Stale);
        }
        tables.exports.insert(export.id, export.clone());
        match &changes.archive {
            ArchiveChange::Stays => {}
            ArchiveChange::Put(bytes) => {
                tables.archives.insert(export.id, bytes.expose().clone());
            }
            ArchiveChange::Discard => {
                tables.archives.remove(&export.id);
            }
        }
        let is_ready = matches!(export.state, ExportState::Ready { .. });
        if is_ready != tables.archives.contains_key(&export.id) {
            return Err(defect("an archive is there exactly when its export is ready").into());
        }
        tx.commit()
    }

    async fn put_on_record(&self, effects: &Effects) -> Result<(), PortError> {
        self.record_alone(effects)
    }
}

#[async_trait]
impl Holdings for MemoryWorld {
    async fn gather(&self, account: AccountId) -> Result<Unrecorded<Dossier>, GatherError> {
        let record = |kind, id: String| RecordRef { kind, id };
        self.read(|tables| {
            let mut dossier = Dossier::default();
            if let Some(found) = tables.accounts.get(&account) {
                let content = json!({
                    "id": found.id, "email": found.email.expose().as_str(),
                    "full_name": found.profile.full_name.expose().as_str(),
                });
                dossier.add_json("account.json", &content, [record("account", account.to_string())])?;
            }
            let visits: Vec<_> = tables.consultations.values().filter(|one| one.patient == account).collect();
            let content: Vec<_> =
                visits.iter().map(|one| json!({ "id": one.id, "status": one.status.as_str() })).collect();
            let records = visits.iter().map(|one| record("consultation", one.id.to_string()));
            dossier.add_json("consultations.json", &content, records)?;
            let notes =
                visits.iter().filter_map(|one| tables.notes.get(&one.id)).flat_map(|versions| versions.values());
            let content: Vec<_> =
                notes.map(|one| json!({ "version": one.version, "content": one.content.expose() })).collect();
            dossier.add_json("notes.json", &content, [])?;
            let kept = || tables.dependants.values().filter(|one| one.keeper == account);
            let content: Vec<_> = kept().map(|one| json!({ "id": one.id, "who": one.details.expose() })).collect();
            let records = kept().map(|one| record("dependant", one.id.to_string()));
            dossier.add_json("dependants.json", &content, records)?;
            Ok(Unrecorded::new(dossier))
        })?
    }
}

fn on_hold(tables: &Tables, account: AccountId) -> bool {
    tables.holds.values().any(|hold| hold.account == account && hold.lifted_at.is_none())
}

#[async_trait]
impl Retention for MemoryWorld {
    async fn standing(&self, owner: AccountId, now: Timestamp) -> Result<Standing, PortError> {
        self.read(|tables| {
            let kept = tables.dependants.values().filter(|one| one.id.as_uuid() == owner.as_uuid());
            let whose: Vec<_> = kept.map(|one| one.keeper).chain([owner]).collect();
            let is_over = |erasure: &Erasure| erasure.state != ErasureState::Locked || erasure.keep_until <= now;
            if whose.iter().any(|one| on_hold(tables, *one)) {
                Standing::OnHold
            } else if whose.iter().filter_map(|one| tables.erasures.get(one)).any(is_over) {
                Standing::Due
            } else {
                Standing::Kept
            }
        })
    }
}

fn is_due(tables: &Tables, erasure: &Erasure, now: Timestamp) -> bool {
    let held = erasure.state == ErasureState::Locked && on_hold(tables, erasure.account);
    !matches!(erasure.state, ErasureState::Destroyed { .. }) && erasure.keep_until <= now && !held
}

#[async_trait]
impl ErasureStore for MemoryWorld {
    async fn facts(&self, account: AccountId) -> Result<Option<Facts>, PortError> {
        self.read(|tables| {
            let found = tables.accounts.get(&account)?;
            let theirs = || tables.consultations.values().filter(|one| one.patient == account);
            let mut live: Vec<_> = theirs()
                .filter(|one| one.status.is_live())
                .map(|one| LiveVisit {
                    id: one.id,
                    starts_at: one.range.start(),
                    ends_at: one.range.end(),
                    begun: one.status == ConsultationStatus::InProgress,
                })
                .collect();
            live.sort_by_key(|visit| visit.starts_at);
            let took_place = theirs()
                .filter(|one| matches!(one.status, ConsultationStatus::InProgress | ConsultationStatus::Completed));
            Some(Facts {
                account,
                account_version: found.version,
                calendar_version: tables.calendar(account).version,
                live,
                last_visit: took_place.map(|one| one.range.end().min(one.updated_at)).max(),
                on_hold: on_hold(tables, account),
            })
        })
    }

    async fn erase(&self, changes: &ErasureChanges) -> Result<Vec<SessionId>, CommitError> {
        let mut tx = self.begin(&changes.effects)?;
        let (tables, id) = (tx.tables(), changes.erasure.account);
        let stored = tables.accounts.get(&id);
        let calendar = tables.calendar(id);
        if stored.is_none_or(|account| account.version != changes.account_version)
            || calendar.version != changes.calendar_version
        {
            return Err(CommitError::Stale);
        }
        tables.accounts.remove(&id);
        let version = calendar.version + 1;
        tables.calendars.insert(id, amrutam_booking::model::PatientCalendar { version, ..calendar });
        tables.links.retain(|_, link| link.account != id);
        tables.factors.remove(&id);
        let ended: Vec<_> = tables.sessions.values().filter(|one| one.account == id).map(|one| one.id).collect();
        tables.refresh_tokens.retain(|_, token| !ended.contains(&token.session));
        tables.sessions.retain(|_, session| session.account != id);
        tables.answers.retain(|(caller, _), _| *caller != id);
        let exports: Vec<_> = tables.exports.values().filter(|one| one.account == id).map(|one| one.id).collect();
        tables.exports.retain(|export, _| !exports.contains(export));
        tables.archives.retain(|export, _| !exports.contains(export));
        for message in tables.messages.values_mut().filter(|stored| stored.message.recipient == id) {
            message.state = MessageState::Done;
        }
        let theirs: Vec<_> = tables.consultations.values().filter(|one| one.patient == id).cloned().collect();
        let at_any = |consent: &Consent| theirs.iter().any(|one| one.id == consent.consultation);
        tables.consents.retain(|consent| consent.purpose != ConsentPurpose::Marketing || !at_any(consent));
        if changes.erasure.forgets_unheld() == on_hold(tables, id) {
            return Err(CommitError::Stale);
        }
        if changes.erasure.forgets_unheld() {
            let held = |status| matches!(status, ConsultationStatus::InProgress | ConsultationStatus::Completed);
            let unheld: Vec<_> = theirs.iter().filter(|one| !held(one.status)).map(|one| one.id).collect();
            tables.reasons.retain(|visit, _| !unheld.contains(visit));
            tables.guardians.retain(|visit, _| !unheld.contains(visit));
            tables.consents.retain(|consent| !unheld.contains(&consent.consultation));
            let named = |who| theirs.iter().any(|one| one.dependant == Some(who) && held(one.status));
            let kept = tables.dependants.values().filter(|one| one.keeper == id).map(|one| one.id);
            let forgotten: Vec<_> = kept.filter(|who| !named(*who)).collect();
            tables.dependants.retain(|who, _| !forgotten.contains(who));
            tables.removed_dependants.extend(forgotten.into_iter().map(|who| (who, id)));
        }
        tables.erasures.insert(id, changes.erasure.clone());
        tx.commit()?;
        Ok(ended)
    }

    async fn find(&self, account: AccountId) -> Result<Option<Erasure>, PortError> {
        self.read(|tables| tables.erasures.get(&account).cloned())
    }

    async fn due(&self, now: Timestamp, most: u16) -> Result<Vec<AccountId>, PortError> {
        self.read(|tables| {
            let due = tables.erasures.values().filter(|erasure| is_due(tables, erasure, now));
            let mut due: Vec<_> = due.map(|erasure| (erasure.keep_until, erasure.account)).collect();
            due.sort_unstable();
            due.into_iter().map(|(_, account)| account).take(usize::from(most)).collect()
        })
    }

    async fn begin_destruction(&self, account: AccountId, now: Timestamp) -> Result<Option<Vec<AccountId>>, PortError> {
        let mut tx = self.begin(&Effects::default()).map_err(into_port_error)?;
        let tables = tx.tables();
        let found = tables.erasures.get(&account).filter(|erasure| is_due(tables, erasure, now)).cloned();
        let Some(erasure) = found else { return Ok(None) };
        tables.erasures.insert(account, Erasure { state: ErasureState::Destroying, ..erasure });
        let kept = tables.dependants.values().filter(|one| one.keeper == account).map(|one| one.id);
        let removed = tables.removed_dependants.iter().filter(|(_, keeper)| **keeper == account).map(|(who, _)| *who);
        let people: BTreeSet<_> = kept.chain(removed).map(|who| AccountId::from_uuid(who.as_uuid())).collect();
        tx.commit().map_err(into_port_error)?;
        Ok(Some(std::iter::once(account).chain(people).collect()))
    }

    async fn finish_destruction(
        &self,
        account: AccountId,
        at: Timestamp,
        effects: &Effects,
    ) -> Result<(), CommitError> {
        let mut tx = self.begin(effects)?;
        let tables = tx.tables();
        let begun = tables.erasures.get(&account).filter(|one| one.state == ErasureState::Destroying).cloned();
        let begun = begun.ok_or(CommitError::Stale)?;
        tables.erasures.insert(account, Erasure { state: ErasureState::Destroyed { at }, ..begun });
        let theirs = tables.consultations.values().filter(|one| one.patient == account);
        let visits: Vec<_> = theirs.map(|one| one.id).collect();
        let gone: Vec<_> =
            tables.prescriptions.values().filter(|one| visits.contains(&one.consultation)).map(|one| one.id).collect();
        tables.documents.retain(|id, _| !gone.contains(id));
        tables.prescriptions.retain(|id, _| !gone.contains(id));
        tables.notes.retain(|id, _| !visits.contains(id));
        tables.guardians.retain(|id, _| !visits.contains(id));
        tables.consents.retain(|consent| !visits.contains(&consent.consultation));
        tables.reasons.retain(|id, _| !visits.contains(id));
        tables.summaries.retain(|id, _| !visits.contains(id));
        tables.dependants.retain(|_, kept| kept.keeper != account);
        tables.removed_dependants.retain(|_, keeper| *keeper != account);
        tx.commit()
    }

    async fn place_hold(&self, hold: &LegalHold, effects: &Effects) -> Result<HoldOutcome, PortError> {
        let mut tx = self.begin(effects).map_err(into_port_error)?;
        let tables = tx.tables();
        let erased = tables.erasures.get(&hold.account);
        if erased.is_none() && !tables.accounts.contains_key(&hold.account) {
            return Ok(HoldOutcome::Unknown);
        }
        if erased.is_some_and(|erasure| erasure.state != ErasureState::Locked) {
            return Ok(HoldOutcome::TooLate);
        }
        let key = (hold.account, hold.reference.clone());
        if tables.holds.get(&key).is_none_or(|known| known.lifted_at.is_some()) {
            tables.holds.insert(key, hold.clone());
        }
        tx.commit().map_err(into_port_error)?;
        Ok(HoldOutcome::Done)
    }

    async fn lift_hold(
        &self,
        account: AccountId,
        reference: &HoldReference,
        at: Timestamp,
        effects: &Effects,
    ) -> Result<HoldOutcome, PortError> {
        let mut tx = self.begin(effects).map_err(into_port_error)?;
        let key = (account, reference.clone());
        let Some(hold) = tx.tables().holds.get_mut(&key).filter(|hold| hold.lifted_at.is_none()) else {
            return Ok(HoldOutcome::Unknown);
        };
        hold.lifted_at = Some(at);
        tx.commit().map_err(into_port_error)?;
        Ok(HoldOutcome::Done)
    }

    async fn put_on_record(&self, effects: &Effects) -> Result<(), PortError> {
        self.record_alone(effects)
    }
}
