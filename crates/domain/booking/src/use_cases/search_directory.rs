//! The public directory.

use super::DirectoryDeps;
use crate::{
    DirectoryError,
    model::Practitioner,
    ports::{DoctorFilter, DoctorKey},
};
use amrutam_kernel::{Context, DoctorId, Page, Role};

/// Listed practitioners whose registration is valid today.
pub async fn search_doctors(
    deps: DirectoryDeps<'_>,
    filter: &DoctorFilter,
) -> Result<Page<Practitioner, DoctorKey>, DirectoryError> {
    Ok(deps.store.search(filter).await?)
}

/// One practitioner: listed ones for everybody, others for themself and for admins.
pub async fn read_doctor(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
) -> Result<Practitioner, DirectoryError> {
    let found = deps.store.by_id(id).await?.ok_or(DirectoryError::NotFound)?;
    let public = found.is_public_on(deps.rules.business_day(deps.clock.now()));
    if public || context.actor.is(found.account, Role::Doctor) || context.actor.has_role(Role::Admin) {
        Ok(found)
    } else {
        Err(DirectoryError::NotFound)
    }
}
