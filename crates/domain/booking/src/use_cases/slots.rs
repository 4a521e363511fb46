//! The public list of open slots.

use super::{AvailabilityDeps, set_availability::load};
use crate::{
    AvailabilityError,
    model::{Mode, Slot},
    ports::ByStart,
};
use amrutam_kernel::{Action, Context, DoctorId, Page, PageRequest, SlotId, TimeRange};

/// Slots that can be booked now, by start. A practitioner who takes no bookings has none, and none on days without
/// registration.
pub async fn list_open_slots(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    doctor: DoctorId,
    range: TimeRange,
    mode: Option<Mode>,
    page: PageRequest<ByStart<SlotId>>,
) -> Result<Page<Slot, ByStart<SlotId>>, AvailabilityError> {
    let now = deps.clock.now();
    let snapshot = load(deps, context, Action::SlotRead.into(), doctor, now).await?;
    let practitioner = snapshot.practitioner;
    if !practitioner.is_public_on(deps.rules.business_day(now)) {
        return Err(AvailabilityError::NotFound);
    }
    let Some(range) = deps.rules.within(practitioner.details.registration(), range) else {
        return Ok(Page { items: Vec::new(), next: None });
    };
    Ok(deps.store.open_slots(doctor, range, mode, now, page).await?)
}
