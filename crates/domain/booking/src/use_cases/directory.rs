//! Practitioners apply, are checked, listed and suspended.

use super::{
    Access, AvailabilityDeps, AvailabilityState, Idempotent,
    permit::{Asking, Target, own_if},
    set_availability::{Edit, Request, change as replan},
};
use crate::{
    AvailabilityError, DirectoryError,
    model::{BookingRules, InvalidPractitioner, Practitioner, PractitionerDetails, PractitionerStatus},
    ports::{DirectoryStore, ProfileInserted},
};
use amrutam_kernel::{
    AccountId, Action, AuditEntry, AuditEntryId, Clock, CommitError, Context, DoctorId, Effects, IdSource, Outcome,
    Policy, Relation, Role,
};

/// How often a change that met another is decided anew before the caller is asked to come back. Profiles change seldom.
const MAX_COMMITS: u32 = 5;

/// What the use cases on the directory work with.
#[derive(Clone, Copy)]
pub struct DirectoryDeps<'a> {
    /// Profiles.
    pub store: &'a dyn DirectoryStore,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
    /// For the business day.
    pub rules: &'a BookingRules,
}

impl DirectoryDeps<'_> {
    pub(super) fn effects(&self, context: &Context, action: Action, id: DoctorId) -> Effects {
        let now = self.clock.now();
        let entry_id = AuditEntryId::from_uuid(self.ids.uuid_v7(now));
        let entry =
            AuditEntry::new(entry_id, now, context, action.as_str(), "doctor", id.to_string(), Outcome::Allowed);
        Effects { audit: vec![entry], ..Effects::default() }
    }

    pub(super) fn asking<'a>(&'a self, context: &'a Context) -> Asking<'a> {
        Asking { policy: self.policy, ids: self.ids, context, now: self.clock.now() }
    }

    /// Asks the policy; a denial is on the record when this returns.
    pub(super) async fn permit(
        &self,
        context: &Context,
        action: Action,
        target: Target,
    ) -> Result<Access, DirectoryError> {
        let asking = self.asking(context);
        match asking.ask(action.into(), &target) {
            Ok(access) => Ok(access),
            Err(denial) => {
                let audit = asking.denied(action.into(), target);
                self.store.record(&Effects { audit, ..Effects::default() }).await?;
                Err(denial.into())
            }
        }
    }
}

/// A profile to be made.
#[derive(Debug, Clone)]
pub struct NewProfile {
    /// Whose; nothing means the caller's own.
    pub account: Option<AccountId>,
    /// What is filled in.
    pub details: PractitionerDetails,
}

/// A doctor applies for themself, or an admin creates a profile for a doctor's account. It begins as `applied`.
pub async fn create_profile(
    deps: DirectoryDeps<'_>,
    context: &Context,
    command: NewProfile,
    idempotency: Option<Idempotent<'_, Practitioner>>,
) -> Result<Practitioner, DirectoryError> {
    let own = context.actor.account().filter(|_| context.actor.has_role(Role::Doctor));
    let account = command.account.or(own);
    let target = Target::new("doctor", own_if(own.is_some() && account == own));
    deps.permit(context, Action::DoctorCreate, target).await?;
    let account = account.ok_or(DirectoryError::NotADoctorsAccount)?;
    command.details.validate()?;
    let now = deps.clock.now();
    let practitioner = Practitioner {
        id: DoctorId::from_uuid(deps.ids.uuid_v7(now)),
        account,
        details: command.details,
        status: PractitionerStatus::Applied,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    let mut effects = deps.effects(context, Action::DoctorCreate, practitioner.id);
    effects.answer = idempotency.map(|idempotent| idempotent.answer(&practitioner));
    match deps.store.insert(&practitioner, &effects).await? {
        ProfileInserted::Created => Ok(practitioner),
        ProfileInserted::NotADoctorsAccount => Err(DirectoryError::NotADoctorsAccount),
        ProfileInserted::AccountHasProfile => Err(DirectoryError::ProfileExists),
        ProfileInserted::RegistrationTaken => Err(DirectoryError::RegistrationTaken),
        ProfileInserted::AlreadyAnswered => Err(DirectoryError::AlreadyAnswered),
    }
}

/// A profile after a change.
#[derive(Debug, Clone)]
pub struct UpdatedProfile {
    /// As it is now.
    pub practitioner: Practitioner,
    /// When other slots follow from the rules now: what became of them.
    pub schedule: Option<AvailabilityState>,
}

/// The practitioner or an admin changes the profile, when it has one of the versions named. `change` gets the stored
/// details and returns the new ones; it may run several times. A new zone, other modes or other days of registration take
/// effect on the slots in the same transaction.
pub async fn update_profile(
    deps: DirectoryDeps<'_>,
    schedule: AvailabilityDeps<'_>,
    context: &Context,
    id: DoctorId,
    if_version: Option<&[i64]>,
    change: impl Fn(PractitionerDetails) -> PractitionerDetails + Send + Sync,
) -> Result<UpdatedProfile, DirectoryError> {
    for _ in 0..MAX_COMMITS {
        let stored = deps.store.by_id(id).await?;
        let target = deps.asking(context).doctor(id, stored.as_ref(), deps.rules);
        deps.permit(context, Action::DoctorUpdate, target).await?;
        let stored = stored.ok_or(DirectoryError::NotFound)?;
        if if_version.is_some_and(|seen| !seen.contains(&stored.version)) {
            return Err(DirectoryError::Precondition);
        }
        let details = change(stored.details.clone());
        check_change(context, &stored, &details)?;
        let replans = details.cuts_other_slots_than(&stored.details);
        let changed = next_version(deps, Practitioner { details, ..stored });
        if !replans {
            if save(deps, context, Action::DoctorUpdate, &changed, None).await? {
                return Ok(UpdatedProfile { practitioner: changed, schedule: None });
            }
            continue;
        }
        let edit = Edit { profile: Some(changed.clone()), ..Edit::default() };
        match replan(schedule, context, id, Action::DoctorUpdate.into(), Request { edit, ..Request::default() }).await {
            Ok(state) => return Ok(UpdatedProfile { practitioner: changed, schedule: Some(state) }),
            Err(AvailabilityError::Contended) => {}
            Err(AvailabilityError::Port(error)) => return Err(error.into()),
            Err(AvailabilityError::NotFound) => return Err(DirectoryError::NotFound),
            Err(AvailabilityError::Denied(denial)) => return Err(denial.into()),
            // No version was named, no rules were given, and there is no answer to repeat.
            Err(
                AvailabilityError::Precondition | AvailabilityError::Invalid(_) | AvailabilityError::AlreadyAnswered,
            ) => return Err(DirectoryError::Precondition),
        }
    }
    Err(DirectoryError::Contended)
}

/// What may change, by whom: what was verified stays what it was.
fn check_change(context: &Context, stored: &Practitioner, details: &PractitionerDetails) -> Result<(), DirectoryError> {
    details.validate()?;
    let registration = |details: &PractitionerDetails| (details.council.clone(), details.registration_number.clone());
    if registration(details) != registration(&stored.details) {
        // Another registration is another application.
        let problem = "the council and number that were verified can't be changed";
        return Err(InvalidPractitioner { field: "registration_number", problem }.into());
    }
    let checked = stored.status != PractitionerStatus::Applied && !context.actor.has_role(Role::Admin);
    if checked && let Some(field) = details.changed_after_check(&stored.details) {
        let problem = "was verified: only an admin changes it, on new documents";
        return Err(InvalidPractitioner { field, problem }.into());
    }
    Ok(())
}

/// An admin has checked the documents: the practitioner is verified and listed.
pub async fn verify(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
    idempotency: Option<Idempotent<'_, Practitioner>>,
) -> Result<Practitioner, DirectoryError> {
    administer(deps, context, id, Action::DoctorVerify, idempotency, |stored| {
        if !stored.is_registered_on(deps.rules.business_day(deps.clock.now())) {
            return Err(DirectoryError::RegistrationNotValid);
        }
        let verified = match stored.status {
            PractitionerStatus::Applied => become_status(stored.status, PractitionerStatus::Verified)?,
            other => other,
        };
        become_status(verified, PractitionerStatus::Listed)
    })
    .await
}

/// An admin takes a practitioner out of the directory: no new bookings; booked visits stay for a person to decide.
pub async fn suspend(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
    idempotency: Option<Idempotent<'_, Practitioner>>,
) -> Result<Practitioner, DirectoryError> {
    administer(deps, context, id, Action::DoctorSuspend, idempotency, |stored| {
        become_status(stored.status, PractitionerStatus::Suspended)
    })
    .await
}

/// An admin changes the status. Nobody named a version, so a change meanwhile is read, and decided on, again.
async fn administer(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
    action: Action,
    idempotency: Option<Idempotent<'_, Practitioner>>,
    decide: impl Fn(&Practitioner) -> Result<PractitionerStatus, DirectoryError> + Send + Sync,
) -> Result<Practitioner, DirectoryError> {
    deps.permit(context, action, Target::named("doctor", id, Relation::None)).await?;
    for _ in 0..MAX_COMMITS {
        let stored = deps.store.by_id(id).await?.ok_or(DirectoryError::NotFound)?;
        let status = decide(&stored)?;
        // Should it close meanwhile, whoever hears of that suspends what is listed here.
        if status == PractitionerStatus::Listed && !deps.store.practises(stored.account).await? {
            return Err(DirectoryError::AccountClosed);
        }
        let changed = next_version(deps, Practitioner { status, ..stored });
        if save(deps, context, action, &changed, idempotency.as_ref()).await? {
            return Ok(changed);
        }
    }
    Err(DirectoryError::Contended)
}

fn become_status(from: PractitionerStatus, to: PractitionerStatus) -> Result<PractitionerStatus, DirectoryError> {
    if from.can_become(to) {
        Ok(to)
    } else {
        Err(DirectoryError::InvalidStatus { from: from.as_str(), to: to.as_str() })
    }
}

fn next_version(deps: DirectoryDeps<'_>, changed: Practitioner) -> Practitioner {
    Practitioner { version: changed.version + 1, updated_at: deps.clock.now(), ..changed }
}

/// Whether it was stored: not when somebody else was quicker.
async fn save(
    deps: DirectoryDeps<'_>,
    context: &Context,
    action: Action,
    changed: &Practitioner,
    idempotency: Option<&Idempotent<'_, Practitioner>>,
) -> Result<bool, DirectoryError> {
    let mut effects = deps.effects(context, action, changed.id);
    effects.answer = idempotency.map(|idempotent| idempotent.answer(changed));
    match deps.store.update(changed, &effects).await {
        Ok(()) => Ok(true),
        Err(CommitError::Port(error)) => Err(error.into()),
        Err(CommitError::AlreadyAnswered) => Err(DirectoryError::AlreadyAnswered),
        Err(CommitError::Stale | CommitError::Busy | CommitError::AlreadyHandled) => Ok(false),
    }
}
