//! By which names the record of accesses knows what is read here: a payment, which has the id of its visit.

use crate::{
    model::{Payment, PaymentEntry},
    ports::{PaymentSnapshot, VisitFacts},
    use_cases::SeenPayment,
};
use amrutam_kernel::{PaymentId, Personal, RecordRef};

fn payment(id: PaymentId) -> Vec<RecordRef> {
    vec![RecordRef { kind: "payment", id: id.to_string() }]
}

impl Personal for Payment {
    fn records(&self) -> Vec<RecordRef> {
        payment(self.id)
    }
}

impl Personal for PaymentSnapshot {
    fn records(&self) -> Vec<RecordRef> {
        self.payment.records()
    }
}

impl Personal for PaymentEntry {
    fn records(&self) -> Vec<RecordRef> {
        payment(self.payment)
    }
}

impl Personal for VisitFacts {
    fn records(&self) -> Vec<RecordRef> {
        payment(PaymentId::of(self.id))
    }
}

impl Personal for SeenPayment {
    fn records(&self) -> Vec<RecordRef> {
        match self {
            Self::Begun(payment) => payment.records(),
            Self::Expected(visit) => visit.records(),
        }
    }
}
