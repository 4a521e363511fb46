//! The practitioner signs.

use super::{
    Assessment, Deps,
    frame::{again, check_any},
};
use crate::{
    ClinicalError,
    error::{Objection, objections},
    events,
    model::{
        Acknowledgement, Change, Prescription, PrescriptionContent, PrescriptionStatus, PrescriptionTag, Rule,
        Signatory, SignedFacts, Visit, check_guardian,
    },
    ports::{ClinicalChanges, SignedClaims},
};
use amrutam_kernel::{Action, ConsultationId, Context, Denial, Dependency, Effects, Outcome, PortError};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// Signs the visit's draft: by its practitioner with a fresh second factor, listed and registered that day, while the visit is open for
/// it, of a minor with an adult beside them, with everything said that a prescription must carry, nothing that the rules deny, and
/// every caution answered. What was in force before is superseded with it.
pub async fn sign(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    seen: Option<&[PrescriptionTag]>,
) -> Result<Prescription, ClinicalError> {
    let done = sign_draft(deps, context, id, seen).await;
    deps.told(context, Action::PrescriptionSign.as_str(), id, done).await
}

async fn sign_draft(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    seen: Option<&[PrescriptionTag]>,
) -> Result<Prescription, ClinicalError> {
    let action = Action::PrescriptionSign;
    let mut round = 0;
    loop {
        round += 1;
        let (visit, _) = deps.open(context, action, id).await?;
        let now = deps.clock.now();
        if !visit.practitioner.practises_on(deps.zone.to_datetime(now).date()) {
            let patient = Some(visit.subject.keeper());
            let entry =
                deps.entry(context, action.as_str(), ("consultation", id.to_string()), patient, Outcome::Denied, now);
            deps.record(vec![entry]).await?;
            return Err(ClinicalError::Denied(Denial::Forbidden));
        }
        let all = deps.store.prescriptions(id).await?.undisclosed();
        let draft = all.iter().find(|one| one.status == PrescriptionStatus::Draft).ok_or(ClinicalError::NotFound)?;
        check_any(seen, &[PrescriptionTag::of(draft)])?;
        let rules = deps.rules_at(now)?;
        if !visit.is_open_for_prescribing(rules, now) {
            return Err(ClinicalError::VisitClosed);
        }
        // The age may have become known only during the visit.
        let guardian = deps.store.guardian(id).await?.undisclosed();
        check_guardian(rules, deps.zone, &visit, guardian.as_ref().map(|recorded| recorded.guardian.expose()))?;
        let formulary = deps.formulary_at(now).await?;
        let content = draft.content.expose();
        let assessment = deps.assess(rules, &formulary, &visit, content).await?;
        if !assessment.missing.is_empty() {
            return Err(ClinicalError::Incomplete(assessment.missing));
        }
        let objections = unanswered(content, &assessment);
        if !objections.is_empty() {
            return Err(ClinicalError::Objections(objections));
        }
        let decided_by = format!("rules {}, formulary {}", assessment.ruleset, assessment.formulary);
        let facts = deps.facts(draft, &visit, content, assessment, now)?;
        let signed = draft.change(Change::Sign(Box::new(facts)), now)?;
        let mut prescriptions = Vec::new();
        let entry = deps.done(context, action.as_str(), &visit, now).decided_by(decided_by);
        let mut effects = Effects { audit: vec![entry], ..Effects::default() };
        for before in all.iter().filter(|one| one.status == PrescriptionStatus::Signed) {
            let superseded = before.change(Change::Supersede, now)?;
            let event = events::prescription_event(events::SUPERSEDED, deps.event_id(now), &superseded, context, now);
            effects.events.push(event);
            prescriptions.push(superseded);
        }
        effects.events.push(events::prescription_event(events::SIGNED, deps.event_id(now), &signed, context, now));
        prescriptions.push(signed.clone());
        let based_on = Some((visit.id, visit.version));
        let changes = ClinicalChanges { based_on, prescriptions, effects, ..ClinicalChanges::default() };
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(signed),
            Err(error) => again(error, round)?,
        }
    }
}

/// What the rules deny, and the cautions that nobody answered.
fn unanswered(content: &PrescriptionContent, assessment: &Assessment) -> Vec<Objection> {
    let answers = |acknowledged: &[Acknowledgement], rule: Rule| acknowledged.iter().any(|one| one.rule == rule);
    let items = assessment.items.iter().flat_map(|item| {
        let acknowledged = content.items.get(item.index).map_or(&[][..], |item| &item.acknowledged);
        objections(item.index, &item.decision, |rule| answers(acknowledged, rule))
    });
    let whole = assessment.checks.iter().filter(|check| !answers(&content.acknowledged, check.rule));
    let whole = whole.map(|check| Objection {
        pointer: String::new(),
        rule: check.rule,
        reason: check.reason.clone(),
        source: check.source.clone(),
        answerable: true,
    });
    items.chain(whole).collect()
}

impl Deps<'_> {
    fn facts(
        &self,
        draft: &Prescription,
        visit: &Visit,
        content: &PrescriptionContent,
        assessment: Assessment,
        now: Timestamp,
    ) -> Result<SignedFacts, ClinicalError> {
        let code = self.codes.verify_code();
        let practitioner = &visit.practitioner;
        let mut facts = SignedFacts {
            signed_at: now,
            signatory: Signatory {
                name: practitioner.name.clone(),
                qualifications: practitioner.qualifications.clone(),
                council: practitioner.council.clone(),
                registration: practitioner.registration.clone(),
                system: practitioner.system,
            },
            person: visit.person.expose().clone(),
            // It was asked for among what is missing.
            age_years: visit.age_years(self.zone).unwrap_or_default(),
            visit_started_at: visit.range.start(),
            mode: visit.mode,
            kind: assessment.kind,
            ruleset: assessment.ruleset,
            formulary: assessment.formulary,
            decisions: assessment.items.into_iter().map(|item| item.decision).collect(),
            verify_code: code.as_str().to_owned(),
            content_sha256: String::new(),
            jws: String::new(),
        };
        facts.content_sha256 = content_digest(content, &facts)?;
        facts.jws = self.signer.sign(&SignedClaims {
            prescription: draft.id,
            consultation: visit.id,
            code,
            registration: (practitioner.council.clone(), practitioner.registration.clone()),
            signed_at: now,
            content_sha256: facts.content_sha256.clone(),
        })?;
        Ok(facts)
    }
}

/// SHA-256 in hex over what is printed: the content, and the facts, which have neither digest nor signature yet. Length-prefixed.
fn content_digest(content: &PrescriptionContent, unsigned: &SignedFacts) -> Result<String, PortError> {
    // Nothing is signed in place of what can't be written.
    let written = [serde_json::to_vec(content), serde_json::to_vec(unsigned)];
    let mut hash = Sha256::new();
    for part in written {
        let part = part.map_err(|_| PortError::defect(Dependency::Database, "a prescription can't be written"))?;
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
