//! Absences.

use super::{
    AvailabilityDeps, AvailabilityState, Idempotent,
    set_availability::{Edit, Request, audit, change, load, managing},
};
use crate::{AvailabilityError, model::TimeOff};
use amrutam_kernel::{Context, DoctorId, TimeOffId, TimeRange};

/// An absence that was added, and availability after it.
pub type AddedTimeOff = (TimeOff, AvailabilityState);

/// Adds an absence: open slots inside it vanish, booked ones are named in the answer.
pub async fn add_time_off(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    doctor: DoctorId,
    range: TimeRange,
    note: Option<String>,
    idempotency: Option<Idempotent<'_, AddedTimeOff>>,
) -> Result<AddedTimeOff, AvailabilityError> {
    let id = TimeOffId::from_uuid(deps.ids.uuid_v7(deps.clock.now()));
    let time_off = TimeOff { id, range, note };
    let edit = Edit { add_time_off: Some(time_off.clone()), ..Edit::default() };
    let render = idempotency.map(|Idempotent { claim, render }| {
        let added = time_off.clone();
        (claim, move |state: &AvailabilityState| render(&(added.clone(), state.clone())))
    });
    let idempotency = render.as_ref().map(|(claim, render)| Idempotent { claim, render });
    let request = Request { edit, if_version: None, idempotency };
    let state = change(deps, context, doctor, managing("availability.time_off"), request).await?;
    Ok((time_off, state))
}

/// Ends an absence: its slots come back.
pub async fn remove_time_off(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    doctor: DoctorId,
    id: TimeOffId,
) -> Result<AvailabilityState, AvailabilityError> {
    let edit = Edit { remove_time_off: Some(id), ..Edit::default() };
    change(deps, context, doctor, managing("availability.time_off"), Request { edit, ..Request::default() }).await
}

/// Absences that have not ended, by start.
pub async fn list_time_off(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    doctor: DoctorId,
) -> Result<Vec<TimeOff>, AvailabilityError> {
    let (now, name) = (deps.clock.now(), "availability.time_off");
    let found = load(deps, context, managing(name), doctor, now).await?;
    deps.store.record(&audit(deps, context, now, name, doctor)).await?;
    Ok(found.time_off)
}
