//! A patient books a slot.

use super::{
    Deps,
    act::record_alone,
    permit::{Target, own_if},
    record::Recorder,
};
use crate::{
    BookError, events,
    model::{BookingRefusal, Consultation, ConsultationStatus, Mode, Slot, Wanted, refuse_booking},
    ports::{BookingSnapshot, Changes, LockOutcome, SlotLock},
};
use amrutam_kernel::{
    AccountId, Action, Actor, AuditEntry, AuditEntryId, CommitError, Context, Denial, DependantId, DoctorId,
    Idempotent, Outcome, PortError, Recorded, Role, SealPlace, Sensitive, SlotId, StoredAnswer, failed_on_record,
};
use std::time::Duration;

/// How often a commit that met a change is decided anew before the caller is asked to come back.
const MAX_COMMITS: u32 = 10;
/// How often a slot that somebody else has locked, yet has not taken, is looked at again. With [`LOOK_AGAIN_MS`] this
/// bounds the wait for a lock at 250 ms; then the database decides without it (its holder may have died).
const MAX_LOOKS: u32 = 10;
/// Upper bound of one pause, in milliseconds.
const LOOK_AGAIN_MS: u64 = 25;

/// What a patient asks for.
#[derive(Debug)]
pub struct Book<'a> {
    /// With whom.
    pub doctor: DoctorId,
    /// In which slot.
    pub slot: SlotId,
    /// How.
    pub mode: Mode,
    /// In the patient's words; sealed before it is stored, and in no answer, event or log.
    pub reason: Option<Sensitive<String>>,
    /// Who is to be treated, when it is not the caller: a person the account keeps.
    pub for_dependent: Option<DependantId>,
    /// The caller's key and how the answer is to be kept.
    pub idempotency: Option<Idempotent<'a, Booked>>,
}

/// A booking that is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Booked {
    /// The consultation.
    pub consultation: Consultation,
    /// Its slot.
    pub slot: Slot,
}

/// Books a slot: lock, snapshot, decision, commit, release. The lock only spares the database the herd; the commit's
/// version check on the slot's row decides.
///
/// With an idempotency key the answer is committed with the booking: whatever happens to this request, the same key tells.
pub async fn book(
    deps: Deps<'_>,
    context: &Context,
    command: Book<'_>,
) -> Result<(Booked, Option<StoredAnswer>), BookError> {
    let patient = context.actor.account().filter(|_| context.actor.has_role(Role::Patient));
    let target = Target::named("slot", command.slot, own_if(patient.is_some()));
    deps.permit::<BookError>(context, Action::ConsultationBook, target).await?;
    // Nobody else has a visit of their own to book.
    let patient = patient.ok_or(Denial::Forbidden)?;
    let claim = command.idempotency.as_ref().map(|idempotent| idempotent.claim);
    let mut lock: Option<Box<dyn SlotLock>> = None;
    let (mut looks, mut commits) = (0, 0);
    loop {
        let mut somebody_is_at_it = false;
        if lock.is_none() && commits == 0 {
            match deps.locks.try_lock(command.slot).await {
                LockOutcome::Held(held) => lock = Some(held),
                LockOutcome::Taken => somebody_is_at_it = true,
                LockOutcome::Unavailable => {}
            }
        }
        let snapshot = deps.store.booking_snapshot(command.slot, patient, command.for_dependent, claim);
        // The patient's key comes beside it: sealing then waits for nothing.
        let (snapshot, ()) = futures::join!(snapshot, prepare(deps, patient, &command));
        let snapshot = snapshot?;
        match snapshot.recorded {
            Some(Recorded::Same(answer)) => return Err(BookError::Replay(answer)),
            Some(Recorded::Other) => return Err(BookError::KeyReused),
            None => {}
        }
        let decided = decide(deps, context, patient, &command, &snapshot);
        let refused = async || {
            let (now, slot) = (deps.clock.now(), command.slot.to_string());
            let (id, name) = (AuditEntryId::from_uuid(deps.ids.uuid_v7(now)), Action::ConsultationBook.as_str());
            let entry = AuditEntry::new(id, now, context, name, "slot", slot, Outcome::Failed).about(patient);
            Ok(record_alone(deps, vec![entry]).await?)
        };
        let refusal = |error: &BookError| matches!(error, BookError::Refused(_));
        let (mut changes, booked, answer) = failed_on_record(decided, refusal, refused).await?;
        if somebody_is_at_it && looks < MAX_LOOKS {
            looks += 1;
            pause(deps, 1).await;
            continue;
        }
        seal_reason(deps, &command, &mut changes).await?;
        match deps.store.commit(&changes).await {
            Ok(()) => {
                if let Some(lock) = lock {
                    lock.release();
                }
                return Ok((booked, answer));
            }
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(
                CommitError::Stale | CommitError::Busy | CommitError::AlreadyAnswered | CommitError::AlreadyHandled,
            ) => {
                commits += 1;
                if commits >= MAX_COMMITS {
                    return Err(BookError::Contended);
                }
                pause(deps, commits).await;
            }
        }
    }
}

/// Up to `round` times the bound, evenly drawn: those who collided part.
async fn pause(deps: Deps<'_>, round: u32) {
    let millis = 1 + deps.ids.below(LOOK_AGAIN_MS * u64::from(round.min(4)));
    deps.pause.pause(Duration::from_millis(millis)).await;
}

/// From a snapshot to the changes, purely but for ids.
fn decide(
    deps: Deps<'_>,
    context: &Context,
    patient: AccountId,
    command: &Book<'_>,
    snapshot: &BookingSnapshot,
) -> Result<(Changes, Booked, Option<StoredAnswer>), BookError> {
    if command.for_dependent.is_some() && !snapshot.keeps_dependant {
        return Err(BookingRefusal::UnknownDependent.into());
    }
    let (Some(slot), Some(doctor)) = (&snapshot.slot, &snapshot.doctor) else {
        return Err(BookingRefusal::UnknownSlot.into());
    };
    let now = deps.clock.now();
    let wanted = Wanted { patient, dependant: command.for_dependent, doctor: command.doctor, mode: command.mode };
    refuse_booking(&wanted, slot, doctor, &snapshot.calendar, deps.rules, now)?;

    let mut record = Recorder::new(deps, now);
    record.based_on(doctor);
    if let Some(held) = &snapshot.occupant {
        record.expire(held);
    }
    let pending = Consultation {
        id: record.new_consultation_id(),
        patient,
        dependant: command.for_dependent,
        doctor: slot.doctor,
        slot: slot.id,
        range: slot.range,
        mode: command.mode,
        status: ConsultationStatus::Pending,
        fee: doctor.fee,
        hold_expires_at: Some(now + record.rules.hold),
        cancel_reason: None,
        least_notice: None,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    record.version(context, &pending, None, events::REQUESTED, "booked");
    record.audit(context, Action::ConsultationBook.as_str(), &pending, Outcome::Allowed);
    let consultation = match pending.payment(deps.payments) {
        Some(_) => pending,
        None => confirm_unpaid(&mut record, context, pending),
    };
    let slot = slot.booked_by(consultation.id, consultation.hold_expires_at);
    record.slot(slot.clone());
    record.calendar(&snapshot.calendar, &consultation);
    record.created(consultation.clone());

    let booked = Booked { consultation, slot };
    let mut changes = record.changes;
    changes.effects.answer = command.idempotency.as_ref().map(|idempotent| idempotent.answer(&booked));
    let answer = changes.effects.answer.as_ref().map(|(_, answer)| answer.clone());
    Ok((changes, booked, answer))
}

/// The one thing that is special where nobody pays: the booking is confirmed in its own transaction.
fn confirm_unpaid(record: &mut Recorder<'_>, context: &Context, pending: Consultation) -> Consultation {
    match pending.become_status(ConsultationStatus::Confirmed, record.now) {
        Ok(confirmed) => {
            let system = Context { actor: Actor::System("booking"), ..context.clone() };
            record.version(&system, &confirmed, Some(pending.status), events::CONFIRMED, "payment_not_required");
            confirmed
        }
        // The hold is longer than no time at all, so this arrow exists; were it not to, the booking stays pending.
        Err(_) => pending,
    }
}

async fn prepare(deps: Deps<'_>, patient: AccountId, command: &Book<'_>) {
    if command.reason.is_some() {
        let owner = command.for_dependent.map_or(patient, |dependant| AccountId::from_uuid(dependant.as_uuid()));
        deps.sealer.prepare(owner).await;
    }
}

async fn seal_reason(deps: Deps<'_>, command: &Book<'_>, changes: &mut Changes) -> Result<(), BookError> {
    let Some(reason) = &command.reason else { return Ok(()) };
    for new in &mut changes.created {
        let place = reason_place(&new.consultation);
        let sealed = deps.sealer.seal(&place, reason.expose().as_bytes()).await;
        new.sealed_reason = Some(sealed.map_err(PortError::from)?);
    }
    Ok(())
}

/// Where the reason lies; what binds its ciphertext to its row and to whom it is about.
pub(super) fn reason_place(consultation: &Consultation) -> SealPlace<'static> {
    SealPlace {
        schema: "phi",
        table: "visit_reasons",
        column: "sealed",
        row: consultation.id.as_uuid(),
        owner: consultation.key_owner(),
        version: 1,
    }
}

/// As [`reason_place`], of the practitioner's summary.
pub(super) fn summary_place(consultation: &Consultation) -> SealPlace<'static> {
    SealPlace { table: "visit_summaries", ..reason_place(consultation) }
}
