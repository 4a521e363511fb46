//! Practitioners apply, are checked, listed and suspended.

use super::Idempotent;
use crate::{
    DirectoryError,
    model::{BookingRules, InvalidPractitioner, Practitioner, PractitionerDetails, PractitionerStatus},
    ports::{DirectoryStore, ProfileInserted},
};
use amrutam_kernel::{
    AccountId, Actor, AuditEntry, AuditEntryId, Clock, CommitError, Context, DoctorId, Effects, IdSource, Outcome, Role,
};

/// What the use cases on the directory work with.
#[derive(Clone, Copy)]
pub struct DirectoryDeps<'a> {
    /// Profiles.
    pub store: &'a dyn DirectoryStore,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
    /// For the business day.
    pub rules: &'a BookingRules,
}

impl DirectoryDeps<'_> {
    fn effects(&self, context: &Context, action: &'static str, id: Option<DoctorId>, outcome: Outcome) -> Effects {
        let now = self.clock.now();
        let entry = AuditEntry {
            id: AuditEntryId::from_uuid(self.ids.uuid_v7(now)),
            occurred_at: now,
            actor: context.actor,
            action,
            resource_kind: "doctor",
            resource_id: id.map(|id| id.to_string()).unwrap_or_default(),
            patient: None,
            outcome,
            correlation_id: context.correlation_id.clone(),
        };
        Effects { audit: vec![entry], ..Effects::default() }
    }

    async fn deny(
        &self,
        context: &Context,
        action: &'static str,
        id: Option<DoctorId>,
    ) -> Result<DirectoryError, DirectoryError> {
        self.store.record(&self.effects(context, action, id, Outcome::Denied)).await?;
        Ok(DirectoryError::NotAllowed)
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
    let account = match (&context.actor, command.account) {
        (Actor::Account { id, role: Role::Doctor }, None) => *id,
        (Actor::Account { id, role: Role::Doctor }, Some(named)) if *id == named => named,
        (Actor::Account { role: Role::Admin, .. } | Actor::System(_), Some(named)) => named,
        (Actor::Account { role: Role::Admin, .. } | Actor::System(_), None) => {
            return Err(DirectoryError::NotADoctorsAccount);
        }
        _ => return Err(deps.deny(context, "doctor.create", None).await?),
    };
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
    let mut effects = deps.effects(context, "doctor.create", Some(practitioner.id), Outcome::Allowed);
    effects.answer = idempotency.map(|idempotent| idempotent.answer(&practitioner));
    match deps.store.insert(&practitioner, &effects).await? {
        ProfileInserted::Created => Ok(practitioner),
        ProfileInserted::NotADoctorsAccount => Err(DirectoryError::NotADoctorsAccount),
        ProfileInserted::AccountHasProfile => Err(DirectoryError::ProfileExists),
        ProfileInserted::RegistrationTaken => Err(DirectoryError::RegistrationTaken),
        ProfileInserted::AlreadyAnswered => Err(DirectoryError::AlreadyAnswered),
    }
}

/// The practitioner or an admin changes the profile, when it has one of the versions named. `change` gets the stored details and returns the new ones.
pub async fn update_profile(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
    if_version: Option<&[i64]>,
    change: impl FnOnce(PractitionerDetails) -> PractitionerDetails + Send,
) -> Result<Practitioner, DirectoryError> {
    let stored = deps.store.by_id(id).await?.ok_or(DirectoryError::NotFound)?;
    if !context.actor.is(stored.account, Role::Doctor) && !context.actor.has_role(Role::Admin) {
        return Err(deps.deny(context, "doctor.update", Some(id)).await?);
    }
    if if_version.is_some_and(|seen| !seen.contains(&stored.version)) {
        return Err(DirectoryError::Precondition);
    }
    let details = change(stored.details.clone());
    details.validate()?;
    let registration = |details: &PractitionerDetails| (details.council.clone(), details.registration_number.clone());
    if registration(&details) != registration(&stored.details) {
        // What was verified stays what it was: another registration is another application.
        let problem = "the council and number that were verified can't be changed";
        return Err(InvalidPractitioner { field: "registration_number", problem }.into());
    }
    save(deps, context, "doctor.update", Practitioner { details, ..stored }, None).await
}

/// An admin has checked the documents: the practitioner is verified and listed.
pub async fn verify(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
    idempotency: Option<Idempotent<'_, Practitioner>>,
) -> Result<Practitioner, DirectoryError> {
    let stored = administer(deps, context, id, "doctor.verify").await?;
    if !stored.is_registered_on(deps.rules.business_day(deps.clock.now())) {
        return Err(DirectoryError::RegistrationNotValid);
    }
    let verified = match stored.status {
        PractitionerStatus::Applied => become_status(stored.status, PractitionerStatus::Verified)?,
        other => other,
    };
    let status = become_status(verified, PractitionerStatus::Listed)?;
    save(deps, context, "doctor.verify", Practitioner { status, ..stored }, idempotency).await
}

/// An admin takes a practitioner out of the directory: no new bookings; booked visits stay for a person to decide.
pub async fn suspend(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
    idempotency: Option<Idempotent<'_, Practitioner>>,
) -> Result<Practitioner, DirectoryError> {
    let stored = administer(deps, context, id, "doctor.suspend").await?;
    let status = become_status(stored.status, PractitionerStatus::Suspended)?;
    save(deps, context, "doctor.suspend", Practitioner { status, ..stored }, idempotency).await
}

async fn administer(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
    action: &'static str,
) -> Result<Practitioner, DirectoryError> {
    if !context.actor.has_role(Role::Admin) && !matches!(context.actor, Actor::System(_)) {
        return Err(deps.deny(context, action, Some(id)).await?);
    }
    deps.store.by_id(id).await?.ok_or(DirectoryError::NotFound)
}

fn become_status(from: PractitionerStatus, to: PractitionerStatus) -> Result<PractitionerStatus, DirectoryError> {
    if from.can_become(to) {
        Ok(to)
    } else {
        Err(DirectoryError::InvalidStatus { from: from.as_str(), to: to.as_str() })
    }
}

async fn save(
    deps: DirectoryDeps<'_>,
    context: &Context,
    action: &'static str,
    changed: Practitioner,
    idempotency: Option<Idempotent<'_, Practitioner>>,
) -> Result<Practitioner, DirectoryError> {
    let practitioner = Practitioner { version: changed.version + 1, updated_at: deps.clock.now(), ..changed };
    let mut effects = deps.effects(context, action, Some(practitioner.id), Outcome::Allowed);
    effects.answer = idempotency.map(|idempotent| idempotent.answer(&practitioner));
    match deps.store.update(&practitioner, &effects).await {
        Ok(()) => Ok(practitioner),
        Err(CommitError::Port(error)) => Err(error.into()),
        Err(CommitError::AlreadyAnswered) => Err(DirectoryError::AlreadyAnswered),
        Err(CommitError::Stale | CommitError::Busy | CommitError::AlreadyHandled) => Err(DirectoryError::Precondition),
    }
}
