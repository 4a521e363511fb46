//! The people an account keeps.

use super::{
    Deps,
    frame::{again, check_version},
};
use crate::{
    ClinicalError,
    model::{Dependant, DependantDetails, Person, check_removal, check_room},
    ports::{DependantChange, DependantPage, Kept},
};
use amrutam_kernel::{
    AccountId, Action, AuditEntry, CommitError, ConsultationId, Context, Denial, DependantId, Effects, Idempotent,
    Outcome, PageRequest, Relation, Role, Sensitive, StoredAnswer, Unrecorded, failed_on_record,
};
use jiff::Timestamp;

type ByAge = (Timestamp, DependantId);

/// One more person. With a key, the answer that is kept must say nothing of who it is.
pub async fn add_dependant(
    deps: Deps<'_>,
    context: &Context,
    details: DependantDetails,
    idempotency: Option<Idempotent<'_, Dependant>>,
) -> Result<(Dependant, Option<StoredAnswer>), ClinicalError> {
    let name = "dependant.add";
    let keeper = deps.keeper(context, name).await?;
    let mut round = 0;
    loop {
        round += 1;
        let (now, others) = (deps.clock.now(), deps.store.count_kept(keeper).await?);
        deps.told_of(context, name, (None, keeper), check_room(others)).await?;
        let dependant = Dependant {
            id: DependantId::from_uuid(deps.ids.uuid_v7(now)),
            keeper,
            details: Sensitive::new(details.clone()),
            added_at: now,
            updated_at: now,
            removed_at: None,
            version: 1,
        };
        let answer = idempotency.as_ref().map(|idempotent| idempotent.answer(&dependant));
        let audit = vec![deps.about(context, name, dependant.id, keeper, Outcome::Allowed)];
        let effects = Effects { audit, answer: answer.clone(), ..Effects::default() };
        let change = DependantChange::Added { dependant: dependant.clone(), others };
        match deps.store.commit_dependant(&change, &effects).await {
            Ok(()) => return Ok((dependant, answer.map(|(_, answer)| answer))),
            Err(CommitError::AlreadyAnswered) => return Err(ClinicalError::AlreadyAnswered),
            Err(error) => again(error, round)?,
        }
    }
}

/// Those the caller's account keeps, by when they were added.
pub async fn list_dependants(
    deps: Deps<'_>,
    context: &Context,
    page: PageRequest<ByAge>,
) -> Result<DependantPage, ClinicalError> {
    let name = "dependant.list";
    let keeper = deps.keeper(context, name).await?;
    let found = deps.store.dependants(keeper, page).await?;
    let entry = |one: &Dependant| deps.about(context, name, one.id, keeper, Outcome::Allowed);
    let shown = found.judge(|found| found.items.iter().map(entry).collect());
    Ok(deps.show(found, shown).await?)
}

/// One whom the caller's account keeps.
pub async fn read_dependant(deps: Deps<'_>, context: &Context, id: DependantId) -> Result<Dependant, ClinicalError> {
    let name = "dependant.read";
    let kept = deps.kept(context, name, id).await?;
    let entry = |kept: &Kept| deps.about(context, name, id, kept.dependant.keeper, Outcome::Allowed);
    let entries = vec![kept.judge(entry)];
    Ok(deps.show(kept, entries).await?.dependant)
}

/// Changes who they are. `versions` are those the caller says to have.
pub async fn update_dependant(
    deps: Deps<'_>,
    context: &Context,
    id: DependantId,
    versions: Option<&[i64]>,
    change: impl Fn(DependantDetails) -> DependantDetails + Send + Sync,
) -> Result<Dependant, ClinicalError> {
    let name = "dependant.update";
    let mut round = 0;
    loop {
        round += 1;
        let before = deps.kept(context, name, id).await?.undisclosed().dependant;
        check_version(versions, before.version)?;
        let after = before.changed(change(before.details.expose().clone()), deps.clock.now());
        let audit = vec![deps.about(context, name, id, before.keeper, Outcome::Allowed)];
        let effects = Effects { audit, ..Effects::default() };
        match deps.store.commit_dependant(&DependantChange::Changed(after.clone()), &effects).await {
            Ok(()) => return Ok(after),
            Err(error) => again(error, round)?,
        }
    }
}

/// Keeps them no more. The record of their visits stays, and says who they were; who never had one is forgotten.
pub async fn remove_dependant(
    deps: Deps<'_>,
    context: &Context,
    id: DependantId,
    versions: Option<&[i64]>,
) -> Result<(), ClinicalError> {
    let name = "dependant.remove";
    let mut round = 0;
    loop {
        round += 1;
        let Kept { dependant, visits, calendar, ever_booked } = deps.kept(context, name, id).await?.undisclosed();
        check_version(versions, dependant.version)?;
        let now = deps.clock.now();
        deps.told_of(context, name, (Some(id), dependant.keeper), check_removal(&visits, now)).await?;
        let audit = vec![deps.about(context, name, id, dependant.keeper, Outcome::Allowed)];
        let effects = Effects { audit, ..Effects::default() };
        let change = DependantChange::Removed { dependant: dependant.removed(now), calendar, forget: !ever_booked };
        match deps.store.commit_dependant(&change, &effects).await {
            Ok(()) => return Ok(()),
            Err(error) => again(error, round)?,
        }
    }
}

/// Who is treated at a visit, for either side of it. The look is on the record.
pub async fn read_person(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
) -> Result<Sensitive<Person>, ClinicalError> {
    let deed = super::frame::Deed { action: Action::ConsultationRead, name: "consultation.person" };
    let (visit, _) = deps.open(context, deed, id).await?;
    deps.record(vec![deps.done(context, deed.name, &visit, deps.clock.now())]).await?;
    Ok(visit.person)
}

impl Deps<'_> {
    /// About somebody kept.
    fn about(
        &self,
        context: &Context,
        name: &'static str,
        id: DependantId,
        keeper: AccountId,
        outcome: Outcome,
    ) -> AuditEntry {
        self.entry(context, name, ("dependant", id.to_string()), Some(keeper), outcome, self.clock.now())
    }

    /// Whether an act that is allowed can be done; one that can't is on the record when this returns.
    async fn told_of<E: Into<ClinicalError>>(
        &self,
        context: &Context,
        name: &'static str,
        (id, keeper): (Option<DependantId>, AccountId),
        possible: Result<(), E>,
    ) -> Result<(), ClinicalError> {
        failed_on_record(possible.map_err(Into::into), ClinicalError::is_failure, async || {
            let of = ("dependant", id.map(|id| id.to_string()).unwrap_or_default());
            let entry = self.entry(context, name, of, Some(keeper), Outcome::Failed, self.clock.now());
            Ok(self.record(vec![entry]).await?)
        })
        .await
    }

    /// The account whose people they are: the caller's, if it may keep any. A denial is on the record when this returns.
    async fn keeper(&self, context: &Context, name: &'static str) -> Result<AccountId, ClinicalError> {
        let keeper = context.actor.account().filter(|_| context.actor.has_role(Role::Patient));
        let relation = if keeper.is_some() { Relation::Own } else { Relation::None };
        let now = self.clock.now();
        match (self.policy.decide(context, Action::DependantManage, relation, now), keeper) {
            (Ok(_), Some(keeper)) => Ok(keeper),
            (decided, _) => {
                let of = ("dependant", String::new());
                self.record(vec![self.entry(context, name, of, None, Outcome::Denied, now)]).await?;
                Err(decided.err().unwrap_or(Denial::Forbidden).into())
            }
        }
    }

    /// Somebody whom the caller's account keeps. What is another's can't be told from what is not there; the look at it is on the record.
    async fn kept(
        &self,
        context: &Context,
        name: &'static str,
        id: DependantId,
    ) -> Result<Unrecorded<Kept>, ClinicalError> {
        let keeper = self.keeper(context, name).await?;
        let kept =
            self.store.kept(keeper, id).await?.map(|kept| kept.filter(|kept| kept.dependant.removed_at.is_none()));
        match kept.some() {
            Some(kept) => Ok(kept),
            None => {
                let of = ("dependant", id.to_string());
                self.record(vec![self.entry(context, name, of, None, Outcome::Denied, self.clock.now())]).await?;
                Err(ClinicalError::NotFound)
            }
        }
    }
}
