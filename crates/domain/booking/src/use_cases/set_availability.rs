//! Working hours change, and the slots with them.

use super::{
    Idempotent,
    permit::{Asking, Deed},
};
use crate::{
    AvailabilityError,
    model::{
        BookingRules, DesiredSlot, Practitioner, Slot, SlotPlan, SlotStatus, TimeOff, WeeklyRule, desired_slots,
        plan_slots, validate_rules,
    },
    ports::{AvailabilityChanges, AvailabilitySnapshot, AvailabilityStore},
};
use amrutam_kernel::{
    Action, AuditEntry, AuditEntryId, Clock, CommitError, Context, Dependency, DoctorId, Effects, IdSource, Outcome,
    Pause, Policy, PortError, SlotId, TimeOffId, TimeRange,
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use std::time::Duration;

/// How often a commit that met a booking is planned anew.
const MAX_COMMITS: u32 = 10;

/// What the use cases on availability work with.
#[derive(Clone, Copy)]
pub struct AvailabilityDeps<'a> {
    /// Rules, absences, slots.
    pub store: &'a dyn AvailabilityStore,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids and jitter.
    pub ids: &'a dyn IdSource,
    /// Waiting.
    pub pause: &'a dyn Pause,
    /// For the horizon.
    pub rules: &'a BookingRules,
}

/// Availability after a change, or as it is.
#[derive(Debug, Clone)]
pub struct AvailabilityState {
    /// The rules.
    pub rules: Vec<WeeklyRule>,
    /// The zone they are local to.
    pub time_zone: String,
    /// The `ETag`: of the rules, the absences and what the profile says of them.
    pub version: i64,
    /// Slots made by this change.
    pub slots_created: usize,
    /// Open slots withdrawn by this change.
    pub slots_withdrawn: usize,
    /// Booked slots that stand outside the rules: untouched, for a person to look at.
    pub outside: Vec<Slot>,
}

/// What a change of availability puts in and takes out, besides the slots that follow from it.
#[derive(Debug, Clone, Default)]
pub(super) struct Edit {
    pub(super) rules: Option<Vec<WeeklyRule>>,
    pub(super) add_time_off: Option<TimeOff>,
    pub(super) remove_time_off: Option<TimeOffId>,
    /// The profile's new state, as it follows from the stored one.
    pub(super) profile: Option<Practitioner>,
}

/// An edit, and on what condition and under which name it is asked for.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) edit: Edit,
    /// The versions the caller has seen, when they say so.
    pub(super) if_version: Option<&'a [i64]>,
    pub(super) idempotency: Option<Idempotent<'a, AvailabilityState>>,
}

/// The rules and the booked slots that stand outside them; for the practitioner and admins.
pub async fn read_availability(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    doctor: DoctorId,
) -> Result<AvailabilityState, AvailabilityError> {
    let now = deps.clock.now();
    let snapshot = load(deps, context, managing("availability.read"), doctor, now).await?;
    let zone = zone_of(&snapshot.practitioner)?;
    let until = snapshot.generated_until.unwrap_or_else(|| zone.to_datetime(now).date());
    let slots = deps.store.slots(doctor, range_until(now, until, &zone)?).await?;
    deps.store.record(&audit(deps, context, now, "availability.read", doctor)).await?;
    Ok(AvailabilityState {
        outside: slots.into_iter().filter(|slot| slot.status == SlotStatus::Booked && slot.outside_rules).collect(),
        rules: snapshot.rules,
        time_zone: snapshot.practitioner.details.time_zone,
        version: snapshot.version,
        slots_created: 0,
        slots_withdrawn: 0,
    })
}

/// Replaces the rules, when they have one of the versions named. Open slots follow at once; booked ones are never touched, and
/// those that now stand outside the rules are named in the answer.
pub async fn set_availability(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    doctor: DoctorId,
    rules: Vec<WeeklyRule>,
    if_version: Option<&[i64]>,
) -> Result<AvailabilityState, AvailabilityError> {
    let edit = Edit { rules: Some(rules), ..Edit::default() };
    change(deps, context, doctor, managing("availability.set"), Request { edit, if_version, idempotency: None }).await
}

/// Makes the slots of the days that have come into the horizon. Run daily by the worker for each practitioner due.
pub async fn extend_horizon(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    doctor: DoctorId,
) -> Result<AvailabilityState, AvailabilityError> {
    change(deps, context, doctor, managing("availability.extend"), Request::default()).await
}

/// Loads, edits, plans the slots anew over the whole horizon, commits; again when a booking came between.
pub(super) async fn change(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    doctor: DoctorId,
    deed: Deed,
    request: Request<'_>,
) -> Result<AvailabilityState, AvailabilityError> {
    let Request { edit, if_version, idempotency } = request;
    for round in 1..=MAX_COMMITS {
        let now = deps.clock.now();
        let snapshot = load(deps, context, deed, doctor, now).await?;
        if if_version.is_some_and(|seen| !seen.contains(&snapshot.version)) {
            return Err(AvailabilityError::Precondition);
        }
        // Decided on another state of the profile: whoever decided does so again.
        if edit.profile.as_ref().is_some_and(|profile| profile.version != snapshot.practitioner.version + 1) {
            return Err(AvailabilityError::Contended);
        }
        let practitioner = edit.profile.as_ref().unwrap_or(&snapshot.practitioner);
        if let Some(rules) = &edit.rules {
            validate_rules(rules, &practitioner.details.modes)?;
        }
        let rules = edit.rules.clone().unwrap_or(snapshot.rules);
        let mut time_off = snapshot.time_off;
        if let Some(id) = edit.remove_time_off {
            let before = time_off.len();
            time_off.retain(|off| off.id != id);
            if time_off.len() == before {
                return Err(AvailabilityError::NotFound);
            }
        }
        time_off.extend(edit.add_time_off.clone());

        let zone = zone_of(practitioner)?;
        let (from, until) = horizon(deps, now, &zone)?;
        // Those that have begun too: the longest slot lasts four hours, and while it lasts no other can begin.
        let running = now - jiff::SignedDuration::from_hours(4);
        let existing = deps.store.slots(doctor, range_until(running, until, &zone)?).await?;
        let desired = desired_slots(&rules, &time_off, &zone, from, until);
        let desired = offered(desired, practitioner, deps.rules);
        let plan = plan_slots(&existing, &desired, now);
        let new_slots = plan.create.iter().map(|_| SlotId::from_uuid(deps.ids.uuid_v7(now))).collect();
        let mut state = state_after(&rules, practitioner, snapshot.version, &plan, existing);
        let mut changes = AvailabilityChanges {
            doctor,
            expected_revision: snapshot.revision,
            expected_profile: snapshot.practitioner.version,
            profile: edit.profile.clone(),
            rules: edit.rules.clone(),
            add_time_off: edit.add_time_off.clone(),
            remove_time_off: edit.remove_time_off,
            plan,
            new_slots,
            generated_until: until,
            effects: audit(deps, context, now, deed.name, doctor),
        };
        state.version += i64::from(changes.change_the_schedule());
        changes.effects.answer = idempotency.as_ref().map(|idempotent| idempotent.answer(&state));
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(state),
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(CommitError::AlreadyAnswered) => return Err(AvailabilityError::AlreadyAnswered),
            Err(CommitError::Stale | CommitError::Busy | CommitError::AlreadyHandled) => {
                deps.pause.pause(Duration::from_millis(1 + deps.ids.below(25 * u64::from(round)))).await;
            }
        }
    }
    Err(AvailabilityError::Contended)
}

/// What the caller may see or change.
pub(super) async fn load(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    deed: Deed,
    doctor: DoctorId,
    now: Timestamp,
) -> Result<AvailabilitySnapshot, AvailabilityError> {
    let snapshot = deps.store.load(doctor, now).await?;
    let asking = Asking { policy: deps.policy, ids: deps.ids, context, now };
    let target = asking.doctor(doctor, snapshot.as_ref().map(|found| &found.practitioner), deps.rules);
    if let Err(denial) = asking.ask(deed, &target) {
        let audit = asking.denied(deed, target);
        deps.store.record(&Effects { audit, ..Effects::default() }).await?;
        return Err(denial.into());
    }
    snapshot.ok_or(AvailabilityError::NotFound)
}

/// Hours and absences, read or changed: one question to the policy, and a name for each on the record.
pub(super) const fn managing(name: &'static str) -> Deed {
    Deed::named(Action::AvailabilityManage, name)
}

/// Of the slots that follow from the rules, those of days on which the practitioner is registered, in modes that the profile
/// offers.
fn offered(desired: Vec<DesiredSlot>, practitioner: &Practitioner, rules: &BookingRules) -> Vec<DesiredSlot> {
    let registered = |slot: &DesiredSlot| practitioner.is_registered_on(rules.business_day(slot.range.start()));
    let narrowed =
        |slot: DesiredSlot| Some(DesiredSlot { modes: slot.modes.and(&practitioner.details.modes)?, ..slot });
    desired.into_iter().filter(registered).filter_map(narrowed).collect()
}

fn state_after(
    rules: &[WeeklyRule],
    practitioner: &Practitioner,
    version: i64,
    plan: &SlotPlan,
    existing: Vec<Slot>,
) -> AvailabilityState {
    AvailabilityState {
        rules: rules.to_vec(),
        time_zone: practitioner.details.time_zone.clone(),
        version,
        slots_created: plan.create.len(),
        slots_withdrawn: plan.withdraw.len(),
        outside: existing.into_iter().filter(|slot| plan.outside.contains(&slot.id)).collect(),
    }
}

pub(super) fn audit(
    deps: AvailabilityDeps<'_>,
    context: &Context,
    now: Timestamp,
    action: &'static str,
    doctor: DoctorId,
) -> Effects {
    let id = AuditEntryId::from_uuid(deps.ids.uuid_v7(now));
    let entry = AuditEntry::new(id, now, context, action, "doctor", doctor.to_string(), Outcome::Allowed);
    Effects { audit: vec![entry], ..Effects::default() }
}

fn zone_of(practitioner: &Practitioner) -> Result<TimeZone, PortError> {
    TimeZone::get(&practitioner.details.time_zone).map_err(|error| PortError::defect(Dependency::Database, error))
}

/// The days from today to the horizon, in the practitioner's zone.
fn horizon(deps: AvailabilityDeps<'_>, now: Timestamp, zone: &TimeZone) -> Result<(Date, Date), PortError> {
    let today = zone.to_datetime(now).date();
    let until = today.checked_add(deps.rules.horizon_days.days());
    Ok((today, until.map_err(|error| PortError::defect(Dependency::Database, error))?))
}

/// From now to the end of the day before `until`, in the practitioner's zone.
fn range_until(now: Timestamp, until: Date, zone: &TimeZone) -> Result<TimeRange, PortError> {
    let end = until.to_zoned(zone.clone()).map_err(|error| PortError::defect(Dependency::Database, error))?.timestamp();
    let end = end.max(now + jiff::SignedDuration::from_secs(1));
    TimeRange::new(now, end).ok_or_else(|| PortError::defect(Dependency::Database, "an empty horizon"))
}
