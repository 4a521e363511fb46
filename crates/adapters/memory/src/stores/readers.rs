//! What notifications and payments read of the other domains: the fake's counterpart of a view.

use crate::world::MemoryWorld;
use amrutam_booking::model::{ConsultationStatus, Mode};
use amrutam_kernel::{AccountId, ConsultationId, PortError, Sensitive, Unrecorded};
use amrutam_notifications::{
    Contact, VisitFacts, VisitMode, VisitStatus,
    ports::{Contacts, VisitReader},
};
use async_trait::async_trait;

#[async_trait]
impl VisitReader for MemoryWorld {
    async fn visit(&self, id: ConsultationId) -> Result<Option<VisitFacts>, PortError> {
        self.read(|tables| {
            let Some(consultation) = tables.consultations.get(&id) else { return Ok(None) };
            let details = &tables.practitioner(consultation.doctor)?.details;
            Ok(Some(VisitFacts {
                status: VisitStatus::from_word(consultation.status.as_str()),
                starts_at: consultation.range.start(),
                ends_at: consultation.range.end(),
                mode: match consultation.mode {
                    Mode::Video => VisitMode::Video,
                    Mode::Audio => VisitMode::Audio,
                    Mode::Chat => VisitMode::Chat,
                },
                fee: consultation.fee,
                doctor_name: details.full_name.clone(),
                doctor_qualification: details.qualifications.join(", "),
                doctor_registration_number: details.registration_number.clone(),
                doctor_council: details.council.clone(),
            }))
        })?
    }
}

#[async_trait]
impl Contacts for MemoryWorld {
    async fn contact(&self, id: AccountId) -> Result<Option<Unrecorded<Contact>>, PortError> {
        self.read(|tables| {
            let contact = tables.accounts.get(&id).filter(|account| account.is_active()).map(|account| Contact {
                account: id,
                email: Sensitive::new(account.email.expose().as_str().to_owned()),
                phone: account.profile.phone.clone(),
                name: Sensitive::new(account.profile.full_name.expose().as_str().to_owned()),
                time_zone: account.profile.time_zone.clone(),
            });
            contact.map(Unrecorded::new)
        })
    }
}

#[async_trait]
impl amrutam_payments::ports::VisitReader for MemoryWorld {
    async fn visit(
        &self,
        id: ConsultationId,
    ) -> Result<Unrecorded<Option<amrutam_payments::ports::VisitFacts>>, PortError> {
        let now = self.now();
        self.read(|tables| {
            let Some(consultation) = tables.consultations.get(&id) else { return Ok(Unrecorded::new(None)) };
            let status = consultation.status_at(now);
            let waits = matches!(status, ConsultationStatus::Pending | ConsultationStatus::Confirmed);
            Ok(Unrecorded::new(Some(amrutam_payments::ports::VisitFacts {
                id,
                patient: consultation.patient,
                doctor_account: tables.practitioner(consultation.doctor)?.account,
                starts_at: consultation.range.start(),
                least_notice: consultation.least_notice,
                fee: consultation.fee,
                hold_until: consultation.hold_expires_at,
                cancellable: waits && now < consultation.range.start(),
            })))
        })?
    }
}
