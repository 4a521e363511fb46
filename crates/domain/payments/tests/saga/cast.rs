//! Who and what there is in every history.

use amrutam_booking::model::PaymentsMode;
use amrutam_kernel::{AccountId, Role, SlotId};
use amrutam_memory::Clinic;
use amrutam_payments::model::RefundTier;
use jiff::SignedDuration;

/// Where every history begins.
pub(crate) struct Stage {
    pub(crate) clinic: Clinic,
    pub(crate) patients: Vec<AccountId>,
    pub(crate) slots: Vec<SlotId>,
}

/// A practice that is paid before it confirms, three patients, and slots that they fight over: those of this morning, where
/// calling off costs, and some of the next.
pub(crate) fn stage() -> Stage {
    crate::interleave::finish(async {
        let mut clinic = Clinic::open_for("2026-11-23T03:20:00Z".parse().unwrap(), 7, 2).await.unwrap();
        clinic.payments = PaymentsMode::Required;
        // With a tier in between, so that parts go back as well.
        let half = RefundTier { at_least: SignedDuration::from_hours(1), percent: 50 };
        clinic.payment_rules.refunds.tiers.push(half);
        let mut patients = Vec::new();
        for name in ["asha", "ravi", "meera"] {
            patients.push(clinic.person(Role::Patient, &format!("{name}@amrutam.example")).await.unwrap());
        }
        let slots = clinic.open_slots().await.unwrap();
        let slots = slots.iter().take(4).chain(slots.iter().skip(6).take(2)).map(|slot| slot.id).collect();
        Stage { clinic, patients, slots }
    })
}
