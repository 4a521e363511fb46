//! Reading consultations. Every one that is shown is on the record before it leaves.

use super::{
    Deps,
    act::{Access, record_alone},
    book::{reason_place, summary_place},
    permit::{Deed, Target},
    record::audit_entry,
};
use crate::{
    ConsultationError,
    model::{Consultation, ConsultationStatus, TimelineEntry},
    ports::{ByStart, ConsultationFilter, ConsultationView, Whose},
};
use amrutam_kernel::{
    AccountId, Action, Actor, AuditEntry, AuditEntryId, ConsultationId, Context, Dependency, Outcome, Page,
    PageRequest, PortError, Relation, Role, SealError, SealPlace, Sensitive, Unrecorded,
};
use jiff::Timestamp;

/// A consultation as one caller sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The consultation and its practitioner.
    pub view: ConsultationView,
    /// Its status now, holds compared.
    pub status: ConsultationStatus,
    /// How much to show.
    pub access: Access,
    /// The patient's reason; with full access to a single consultation only.
    pub reason: Option<Sensitive<String>>,
    /// The practitioner's summary; as the reason.
    pub summary: Option<Sensitive<String>>,
}

/// Whether what the two sides wrote of a visit is read with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// The reason and the summary, to its sides.
    Words,
    /// Neither: the reader is a side and may read the patient's record no more.
    Frame,
}

/// One consultation, with reason and summary for either side.
pub async fn read_consultation(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    detail: Detail,
) -> Result<Seen, ConsultationError> {
    let deed = Action::ConsultationRead.into();
    let (view, access, entry) = open(deps, context, id, deed).await?;
    let failed = entry.clone();
    let view = view.release(deps.store, vec![entry]).await?;
    let words = match (access, detail) {
        (Access::Full, Detail::Words) => open_words(deps, &view.consultation).await,
        (Access::Masked, _) | (_, Detail::Frame) => Ok((None, None)),
    };
    let (reason, summary) = match words {
        Ok(words) => words,
        Err(error) => {
            let id = AuditEntryId::from_uuid(deps.ids.uuid_v7(failed.occurred_at));
            record_alone(deps, vec![AuditEntry { id, outcome: Outcome::Failed, ..failed }]).await?;
            return Err(error);
        }
    };
    let status = view.consultation.status_at(deps.clock.now());
    Ok(Seen { view, status, access, reason, summary })
}

/// Every change of one consultation, by version; for administration with the actors' roles alone. With whose it is, and how much
/// the caller may see of what else belongs to it.
pub async fn read_timeline(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
) -> Result<(Vec<TimelineEntry>, AccountId, Access), ConsultationError> {
    let deed = Deed::named(Action::ConsultationRead, "consultation.timeline");
    let (view, access, entry) = open(deps, context, id, deed).await?;
    let entries = deps.store.timeline(id).await?.release(deps.store, vec![entry]).await?;
    let entries = match access {
        Access::Full => entries,
        Access::Masked => entries.into_iter().map(without_person).collect(),
    };
    Ok((entries, view.judge(|view| view.consultation.patient), access))
}

/// `patient:<id>` becomes `patient`; the system's parts are no persons and keep their names.
fn without_person(entry: TimelineEntry) -> TimelineEntry {
    match entry.actor.split_once(':') {
        Some((role, _)) if role != "system" => TimelineEntry { actor: role.to_owned(), ..entry },
        _ => entry,
    }
}

/// What the caller may filter by.
#[derive(Debug, Clone, Copy, Default)]
pub struct ListFilter {
    /// Status now.
    pub status: Option<ConsultationStatus>,
    /// Starting at or after.
    pub from: Option<Timestamp>,
    /// Starting before.
    pub to: Option<Timestamp>,
}

/// The caller's consultations by start: a patient's own, a doctor's own, all of them masked for staff.
pub async fn list_consultations(
    deps: Deps<'_>,
    context: &Context,
    filter: ListFilter,
    page: PageRequest<ByStart<ConsultationId>>,
) -> Result<Page<Seen, ByStart<ConsultationId>>, ConsultationError> {
    let deed = Deed::named(Action::ConsultationRead, "consultation.list");
    let (whose, relation) = match context.actor {
        Actor::Account { id, role: Role::Patient } => (Whose::Patient(id), Relation::Own),
        Actor::Account { id, role: Role::Doctor } => (Whose::Doctor(id), Relation::Own),
        Actor::Account { .. } | Actor::System(_) | Actor::Anonymous => (Whose::Everybody, Relation::None),
    };
    let access = deps.permit::<ConsultationError>(context, deed, Target::new("consultation", relation)).await?;
    let now = deps.clock.now();
    let filter = ConsultationFilter { whose, status: filter.status, from: filter.from, to: filter.to, now };
    let found = deps.store.list(&filter, page).await?;
    let entry =
        |view: &ConsultationView| audit_entry(deps.ids, context, now, deed.name, &view.consultation, Outcome::Allowed);
    let entries = found.judge(|found| found.items.iter().map(entry).collect());
    let found = found.release(deps.store, entries).await?;
    let seen = |view: ConsultationView| {
        let status = view.consultation.status_at(now);
        Seen { view, status, access, reason: None, summary: None }
    };
    Ok(Page { items: found.items.into_iter().map(seen).collect(), next: found.next })
}

/// The consultation, when it exists for the caller, with what goes on the record before anything of it is shown. A denial is on
/// the record already.
async fn open(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    deed: Deed,
) -> Result<(Unrecorded<ConsultationView>, Access, AuditEntry), ConsultationError> {
    let view = deps.store.view(id).await?;
    let sides = view.as_ref().map(|view| view.judge(|view| (view.consultation.patient, view.doctor_account)));
    let target = deps.asking(context).visit(id, sides);
    let access = deps.permit::<ConsultationError>(context, deed, target).await?;
    let view = view.ok_or(ConsultationError::NotFound)?;
    let entry = |view: &ConsultationView| {
        audit_entry(deps.ids, context, deps.clock.now(), deed.name, &view.consultation, Outcome::Allowed)
    };
    let entry = view.judge(entry);
    Ok((view, access, entry))
}

type Words = Option<Sensitive<String>>;

/// The reason, and what was written at the end.
async fn open_words(deps: Deps<'_>, consultation: &Consultation) -> Result<(Words, Words), ConsultationError> {
    let reason = deps.store.sealed_reason(consultation.id).await?;
    let summary = match consultation.status {
        ConsultationStatus::Completed => deps.store.sealed_summary(consultation.id).await?,
        _ => None,
    };
    let (at_reason, at_summary) = (reason_place(consultation), summary_place(consultation));
    Ok((open_text(deps, &at_reason, reason).await?, open_text(deps, &at_summary, summary).await?))
}

async fn open_text(deps: Deps<'_>, place: &SealPlace<'_>, sealed: Option<Vec<u8>>) -> Result<Words, ConsultationError> {
    let Some(sealed) = sealed else { return Ok(None) };
    // A value that does not open is an attack or a lost key: refuse loudly rather than show a visit without its words.
    let plain = match deps.sealer.open(place, &sealed).await {
        // The visit is kept, what was said of it is not.
        Err(SealError::Erased) => return Ok(None),
        opened => opened.map_err(PortError::from)?,
    };
    let text = String::from_utf8(plain).map_err(|error| PortError::defect(Dependency::Database, error))?;
    Ok(Some(Sensitive::new(text)))
}
