//! Many random histories under virtual time: whatever happens, in whatever order, with whatever fault, the rules hold.

use super::*;
use amrutam_booking::{
    model::{CancelReason, IdentityCheck, PaymentsMode},
    use_cases::{Cancel, cancel, complete, expire_holds, no_show, reschedule, start},
};
use amrutam_kernel::{Actor, IdSource, Role};
use amrutam_memory::{Fault, LockMode};
use jiff::SignedDuration;

const SCHEDULES: u64 = 150;
const STEPS: u32 = 40;

#[tokio::test]
async fn no_history_breaks_the_rules() {
    let (mut bookings, mut refusals) = (0, 0);
    for seed in 0..SCHEDULES {
        let (booked, refused) = history(seed).await;
        bookings += booked;
        refusals += refused;
    }
    // A simulation in which nothing happens proves nothing.
    assert!(bookings > SCHEDULES && refusals > SCHEDULES, "{bookings} bookings, {refusals} refusals");
}

async fn history(seed: u64) -> (u64, u64) {
    let mut clinic = Clinic::open("2026-11-23T03:30:00Z".parse().unwrap(), seed).await.unwrap();
    clinic.payments = if seed.is_multiple_of(2) { PaymentsMode::Required } else { PaymentsMode::None };
    let mut patients = Vec::new();
    for name in ["asha", "ravi", "meera"] {
        patients.push(patient(&clinic, name).await);
    }
    let slots: Vec<_> = clinic.open_slots().await.unwrap().into_iter().take(4).map(|slot| slot.id).collect();
    let pick = |n: usize| usize::try_from(clinic.ids.below(n as u64)).unwrap();
    let (mut booked, mut refused) = (0, 0);
    for step in 0..STEPS {
        let who = patients[pick(patients.len())];
        let visits = clinic.world.consultations();
        let visit = (!visits.is_empty()).then(|| visits[pick(visits.len())].clone());
        let doctor = clinic.context(Actor::Account { id: clinic.doctor_account, role: Role::Doctor });
        match pick(5) {
            0 => clinic
                .world
                .fail_next_commits([[Fault::Stale, Fault::Busy, Fault::LostAnswer, Fault::Unavailable][pick(4)]]),
            1 => clinic.locks.set_mode([LockMode::Working, LockMode::AlwaysTaken, LockMode::Unavailable][pick(3)]),
            2 => clinic.clock.advance(SignedDuration::from_mins(pick(20) as i64)),
            _ => {}
        }
        let outcome = match (pick(8), visit) {
            (0, Some(visit)) => {
                let command = Cancel { id: visit.id, reason: CancelReason::PatientOther, idempotency: None };
                cancel(clinic.deps(), &clinic.patient(visit.patient), command).await.is_ok()
            }
            (1, Some(visit)) => {
                let to = slots[pick(slots.len())];
                reschedule(clinic.deps(), &clinic.patient(visit.patient), visit.id, to, None).await.is_ok()
            }
            (2, Some(visit)) => start(clinic.deps(), &doctor, visit.id, IdentityCheck::Asked, None).await.is_ok(),
            (3, Some(visit)) => complete(clinic.deps(), &doctor, visit.id, None, None).await.is_ok(),
            (4, Some(visit)) => no_show(clinic.deps(), &doctor, visit.id, None).await.is_ok(),
            (5, _) => {
                let system = clinic.context(Actor::System("hold-sweeper"));
                expire_holds(clinic.deps(), &system, 100).await.is_ok()
            }
            _ => {
                let claim = claim(who, &format!("key-{}", step / 2), "body");
                let done = book_with_key(&clinic, who, slots[pick(slots.len())], &claim).await;
                booked += u64::from(done.is_ok());
                done.is_ok()
            }
        };
        refused += u64::from(!outcome);
        let violations = clinic.world.violations();
        assert!(violations.is_empty(), "seed {seed}, step {step}: {violations:?}");
    }
    (booked, refused)
}
