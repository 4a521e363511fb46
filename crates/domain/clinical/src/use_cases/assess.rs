//! What the rules say of a draft, before anybody signs.

use super::{Deps, frame::Deed};
use crate::{
    ClinicalError,
    model::{
        Decision, Finding, Formulary, Missing, PrescriptionContent, RuleSet, Visit, VisitKind, checks_of_the_whole,
        circumstances, decide_item, missing_fields, printed_texts, visit_kind,
    },
};
use amrutam_kernel::{Action, ConsultationId, Context, Dependency, PortError};
use jiff::{SignedDuration, Timestamp};

/// What is decided of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemAssessment {
    /// From 0.
    pub index: usize,
    /// What the rules say.
    pub decision: Decision,
}

/// What the rules say of a draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assessment {
    /// The rules that decided.
    pub ruleset: String,
    /// The formulary that was asked.
    pub formulary: String,
    /// First visit or follow-up, as computed.
    pub kind: VisitKind,
    /// Of each item.
    pub items: Vec<ItemAssessment>,
    /// About the whole.
    pub checks: Vec<Finding>,
    /// What must still be said.
    pub missing: Vec<Missing>,
}

/// What the rules would say of `content`, or of the draft as it is stored, if it were signed now.
pub async fn dry_run(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    content: Option<PrescriptionContent>,
) -> Result<Assessment, ClinicalError> {
    let deed = Deed { action: Action::RecordWrite, name: "prescription.dry_run" };
    let (visit, _) = deps.open_record(context, deed, id).await?;
    let now = deps.clock.now();
    deps.record(vec![deps.done(context, deed.name, &visit, now)]).await?;
    let content = match content {
        Some(content) => content,
        None => {
            let drafts = deps.store.prescriptions(id).await?.undisclosed().into_iter();
            let mut drafts = drafts.filter(|one| one.status == crate::model::PrescriptionStatus::Draft);
            drafts.next().ok_or(ClinicalError::NotFound)?.content.into_exposed()
        }
    };
    let rules = deps.rules_at(now)?;
    let formulary = deps.formulary_at(now).await?;
    deps.assess(rules, &formulary, &visit, &content).await
}

impl Deps<'_> {
    /// The formulary in force.
    pub(super) async fn formulary_at(&self, at: Timestamp) -> Result<Formulary, PortError> {
        let found = self.formularies.in_force(self.zone.to_datetime(at).date()).await?;
        found.ok_or_else(|| PortError::unavailable(Dependency::Database, "no formulary is in force: import one"))
    }

    /// First visit or follow-up, from the notes of earlier visits.
    pub(super) async fn kind_of(
        &self,
        rules: &RuleSet,
        visit: &Visit,
        content: &PrescriptionContent,
    ) -> Result<VisitKind, PortError> {
        let starts_at = visit.range.start();
        // Generous: what lies outside the months is told by the decision.
        let since = starts_at - SignedDuration::from_hours(24 * 32 * i64::from(rules.follow_up_months));
        let earlier = self.store.earlier_visits(visit.subject, visit.practitioner.id, since, starts_at).await?;
        let note = self.store.note(visit.id).await?.undisclosed();
        let downgraded = note.as_ref().is_some_and(|note| note.content.expose().treat_as_first_visit);
        let written = note.map(|note| note.conditions()).unwrap_or_default();
        let conditions: Vec<_> =
            content.diagnoses.iter().map(crate::model::Diagnosis::condition).chain(written).collect();
        // Of what was said then no more is seen than whether it goes on.
        Ok(earlier.judge(|earlier| visit_kind(rules, self.zone, starts_at, &conditions, earlier, downgraded)))
    }

    /// Everything the rules say of a content at a visit.
    pub(super) async fn assess(
        &self,
        rules: &RuleSet,
        formulary: &Formulary,
        visit: &Visit,
        content: &PrescriptionContent,
    ) -> Result<Assessment, ClinicalError> {
        let kind = self.kind_of(rules, visit, content).await?;
        let sex = visit.person.expose().sex;
        let age = visit.age_years(self.zone);
        let at = circumstances(content, visit.mode, kind, age, sex, visit.practitioner.system);
        let mut items = Vec::with_capacity(content.items.len());
        for (index, item) in content.items.iter().enumerate() {
            let decision = decide_item(rules, formulary, item, &at).ok_or(ClinicalError::UnknownItem { index })?;
            items.push(ItemAssessment { index, decision });
        }
        let mut missing = missing_fields(content, visit, self.zone);
        let unprintable =
            printed_texts(content, visit).into_iter().filter(|(_, text)| !self.printer.is_printable(text));
        missing.extend(unprintable.map(|(field, _)| Missing { field, what: "letters that can be printed" }));
        Ok(Assessment {
            ruleset: rules.version.clone(),
            formulary: formulary.version.clone(),
            kind,
            items,
            checks: checks_of_the_whole(rules),
            missing,
        })
    }
}
