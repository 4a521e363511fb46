//! The public directory.

use super::{Access, DirectoryDeps};
use crate::{
    DirectoryError,
    model::Practitioner,
    ports::{DoctorFilter, DoctorKey},
};
use amrutam_kernel::{Action, Context, Denial, DoctorId, Page};

/// A practitioner as one caller sees them.
#[derive(Debug, Clone)]
pub struct SeenPractitioner {
    /// The profile.
    pub practitioner: Practitioner,
    /// Whether the account behind it is shown, too: to themself and to admins.
    pub access: Access,
}

/// Listed practitioners whose registration is valid today.
pub async fn search_doctors(
    deps: DirectoryDeps<'_>,
    context: &Context,
    filter: &DoctorFilter,
) -> Result<Page<SeenPractitioner, DoctorKey>, DirectoryError> {
    let found = deps.store.search(filter).await?;
    let asking = deps.asking(context);
    let seen = |practitioner| SeenPractitioner {
        access: asking.reading(&practitioner).unwrap_or(Access::Masked),
        practitioner,
    };
    Ok(Page { items: found.items.into_iter().map(seen).collect(), next: found.next })
}

/// One practitioner: listed ones for everybody, others for themself and for admins, and then on the record.
pub async fn read_doctor(
    deps: DirectoryDeps<'_>,
    context: &Context,
    id: DoctorId,
) -> Result<SeenPractitioner, DirectoryError> {
    let found = deps.store.by_id(id).await?.ok_or(DirectoryError::NotFound)?;
    let asking = deps.asking(context);
    if found.is_public_on(deps.rules.business_day(asking.now)) {
        let access = asking.reading(&found).unwrap_or(Access::Masked);
        return Ok(SeenPractitioner { access, practitioner: found });
    }
    let target = asking.doctor(id, Some(&found), deps.rules);
    match deps.permit(context, Action::DoctorRead, target).await {
        Ok(access) => {
            deps.store.record(&deps.effects(context, Action::DoctorRead, id)).await?;
            Ok(SeenPractitioner { access, practitioner: found })
        }
        // Nobody has to sign in to be told that there is no such practitioner.
        Err(DirectoryError::Denied(Denial::NotSignedIn)) => Err(DirectoryError::NotFound),
        Err(error) => Err(error),
    }
}
