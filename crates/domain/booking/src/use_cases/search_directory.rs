//! The public directory.

use super::{Access, DirectoryDeps};
use crate::{
    DirectoryError,
    model::Practitioner,
    ports::{DoctorFilter, DoctorKey},
};
use amrutam_kernel::{Actor, Context, DoctorId, Page, Role};

/// A practitioner as one caller sees them.
#[derive(Debug, Clone)]
pub struct SeenPractitioner {
    /// The profile.
    pub practitioner: Practitioner,
    /// Whether the account behind it is shown, too: to themself and to admins.
    pub access: Access,
}

impl SeenPractitioner {
    /// As this actor sees them.
    fn by(actor: &Actor, practitioner: Practitioner) -> Self {
        let inside = actor.is(practitioner.account, Role::Doctor) || actor.has_role(Role::Admin);
        Self { access: if inside { Access::Full } else { Access::Masked }, practitioner }
    }
}

/// Listed practitioners whose registration is valid today.
pub async fn search_doctors(
    deps: DirectoryDeps<'_>,
    context: &Context,
    filter: &DoctorFilter,
) -> Result<Page<SeenPractitioner, DoctorKey>, DirectoryError> {
    let found = deps.store.search(filter).await?;
    let seen = |practitioner| SeenPractitioner::by(&context.actor, practitioner);
    Ok(Page { items: found.items.into_iter().map(seen).collect(), next: found.next })
}

/// One practitioner: listed ones for everybody, others for themself and for admins.
pub async fn read_doctor(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
) -> Result<SeenPractitioner, DirectoryError> {
    let found = deps.store.by_id(id).await?.ok_or(DirectoryError::NotFound)?;
    let public = found.is_public_on(deps.rules.business_day(deps.clock.now()));
    let seen = SeenPractitioner::by(&context.actor, found);
    if public || seen.access == Access::Full { Ok(seen) } else { Err(DirectoryError::NotFound) }
}
