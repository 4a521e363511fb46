//! Consultations as they are shown.

use super::{
    payment_views::PaymentView,
    shared::{
        CancelCauseWord, Fee, ModeWord, SexWord, SlotStatusWord, StatusWord, Time, TimelineKindWord,
        TimelineSubjectWord,
    },
};
use crate::http::{JSON, json};
use amrutam_booking::{
    model::{Consultation, ConsultationStatus, Slot, TimelineEntry},
    ports::ConsultationView as Stored,
    use_cases::{Access, Booked, Changed, Seen},
};
use amrutam_clinical::model::Person;
use amrutam_kernel::{AccountId, ConsultationId, DependantId, DoctorId, EventId, Sensitive, SlotId, StoredAnswer};
use amrutam_payments::model::PaymentEntry;
use serde::Serialize;
use utoipa::ToSchema;

/// The slot of a consultation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsultationSlot)]
pub(crate) struct ConsultationSlotView {
    #[schema(value_type = Uuid)]
    id: SlotId,
    #[schema(value_type = Uuid)]
    doctor_id: DoctorId,
    starts_at: Time,
    ends_at: Time,
    /// How visits in it may be held; told when it is booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<ModeWord>>)]
    modes: Option<Vec<&'static str>>,
    /// Told when it is booked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SlotStatusWord>)]
    status: Option<&'static str>,
}

/// The practitioner of a consultation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsultationDoctor)]
pub(crate) struct ConsultationDoctorView {
    #[schema(value_type = Uuid)]
    id: DoctorId,
    name: String,
    qualifications: Vec<String>,
    council: String,
    registration_number: String,
}

/// Who is treated.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConsultationPerson)]
pub(crate) struct ConsultationPersonView {
    full_name: String,
    #[schema(format = Date)]
    date_of_birth: Option<String>,
    #[schema(value_type = Option<SexWord>)]
    sex: Option<&'static str>,
}

impl From<Person> for ConsultationPersonView {
    fn from(person: Person) -> Self {
        Self {
            full_name: person.name,
            date_of_birth: person.date_of_birth.map(|date| date.to_string()),
            sex: person.sex.map(amrutam_clinical::model::Sex::as_str),
        }
    }
}

/// A consultation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Consultation, example = json!({
    "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f",
    "status": "confirmed",
    "doctor_id": "019aaf00-0000-7000-8000-000000000001",
    "patient_id": "019aaf00-0000-7000-8000-000000000002",
    "for_dependent": null,
    "slot": {
        "id": "019aaf00-0000-7000-8000-000000000003", "doctor_id": "019aaf00-0000-7000-8000-000000000001",
        "starts_at": "2026-11-23T03:30:00.000000Z", "ends_at": "2026-11-23T03:50:00.000000Z",
        "modes": ["video", "audio"], "status": "booked"
    },
    "mode": "video",
    "fee": {"amount": 49900, "currency": "INR"},
    "payment": null,
    "hold_expires_at": null,
    "cancel_reason": null,
    "created_at": "2026-11-20T10:00:00.123456Z",
    "updated_at": "2026-11-20T10:00:00.123456Z",
    "version": 2
}))]
pub(crate) struct ConsultationView {
    #[schema(value_type = Uuid)]
    id: ConsultationId,
    #[schema(value_type = StatusWord)]
    status: &'static str,
    #[schema(value_type = Uuid)]
    doctor_id: DoctorId,
    /// `null` for admins.
    #[schema(value_type = Option<Uuid>)]
    patient_id: Option<AccountId>,
    /// Who is treated, when it is not the patient themself: a dependant of theirs. `null` for admins.
    #[schema(value_type = Option<Uuid>)]
    for_dependent: Option<DependantId>,
    slot: ConsultationSlotView,
    #[schema(value_type = ModeWord)]
    mode: &'static str,
    /// The price at booking.
    fee: Fee,
    /// What it costs, while it waits to be paid; when one consultation is read by its patient or by staff, also later.
    /// `null` when nothing is to be paid.
    payment: Option<PaymentView>,
    /// While `pending`: when the slot is given back.
    hold_expires_at: Option<Time>,
    /// When `cancelled`: why.
    #[schema(value_type = Option<CancelCauseWord>)]
    cancel_reason: Option<&'static str>,
    /// The patient's words; only when one consultation is read, by one of its two sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the doctor wrote when completing it; as the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    /// Who is treated, when it is not the patient themself; as the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    dependent: Option<ConsultationPersonView>,
    created_at: Time,
    updated_at: Time,
    /// Rises with every change.
    version: i64,
    /// When read: with whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    doctor: Option<ConsultationDoctorView>,
}

impl ConsultationView {
    fn of(consultation: &Consultation, status: ConsultationStatus, access: Access) -> Self {
        let hold_expires_at = match status {
            ConsultationStatus::Pending => consultation.hold_expires_at.map(Time),
            _ => None,
        };
        Self {
            id: consultation.id,
            status: status.as_str(),
            doctor_id: consultation.doctor,
            patient_id: (access == Access::Full).then_some(consultation.patient),
            for_dependent: consultation.dependant.filter(|_| access == Access::Full),
            slot: ConsultationSlotView {
                id: consultation.slot,
                doctor_id: consultation.doctor,
                starts_at: Time(consultation.range.start()),
                ends_at: Time(consultation.range.end()),
                modes: None,
                status: None,
            },
            mode: consultation.mode.as_str(),
            fee: consultation.fee.into(),
            payment: hold_expires_at.map(|Time(expires_at)| PaymentView::waiting(consultation, expires_at)),
            hold_expires_at,
            cancel_reason: consultation.cancel_reason.map(amrutam_booking::model::CancelReason::as_str),
            reason: None,
            summary: None,
            dependent: None,
            created_at: Time(consultation.created_at),
            updated_at: Time(consultation.updated_at),
            version: consultation.version,
            doctor: None,
        }
    }

    /// As one caller sees it.
    pub(crate) fn seen(seen: Seen) -> Self {
        let Seen { view, status, access, reason, summary } = seen;
        Self {
            reason: reason.map(Sensitive::into_exposed),
            summary: summary.map(Sensitive::into_exposed),
            doctor: Some(doctor(&view)),
            ..Self::of(&view.consultation, status, access)
        }
    }

    /// With what is known of its payment.
    pub(crate) fn paid(self, payment: Option<PaymentView>) -> Self {
        Self { payment: payment.or(self.payment), ..self }
    }

    /// With who is treated.
    pub(crate) fn of_dependent(self, person: Option<Sensitive<Person>>) -> Self {
        Self { dependent: person.map(|person| person.into_exposed().into()), ..self }
    }

    fn booked(booked: &Booked) -> Self {
        let consultation = &booked.consultation;
        let mut view = Self::of(consultation, consultation.status, Access::Full);
        let slot: &Slot = &booked.slot;
        view.slot.modes = Some(super::shared::mode_words(&slot.modes));
        view.slot.status = Some(slot.status.as_str());
        view
    }
}

fn doctor(view: &Stored) -> ConsultationDoctorView {
    ConsultationDoctorView {
        id: view.consultation.doctor,
        name: view.doctor_name.clone(),
        qualifications: view.doctor_qualifications.clone(),
        council: view.doctor_council.clone(),
        registration_number: view.doctor_registration.clone(),
    }
}

/// The tag of what is shown: a hold that ran out changes the status without a version of its own.
pub(crate) fn etag(seen: &Seen) -> String {
    let version = seen.view.consultation.version;
    if seen.status == seen.view.consultation.status {
        version.to_string()
    } else {
        format!("{version}-{}", seen.status)
    }
}

/// The answer to a booking, as it is kept: never with the reason.
pub(crate) fn booked_answer(booked: &Booked) -> StoredAnswer {
    let consultation = &booked.consultation;
    StoredAnswer {
        status: 201,
        location: Some(format!("/v1/consultations/{}", consultation.id)),
        content_type: JSON.to_owned(),
        etag: Some(format!("\"{}\"", consultation.version)),
        body: json(&ConsultationView::booked(booked)),
    }
}

/// The answer to an act, as it is kept.
pub(crate) fn changed_answer(changed: &Changed) -> StoredAnswer {
    let consultation = &changed.consultation;
    StoredAnswer {
        status: 200,
        location: None,
        content_type: JSON.to_owned(),
        etag: Some(format!("\"{}\"", consultation.version)),
        body: json(&ConsultationView::of(consultation, consultation.status, changed.access)),
    }
}

/// One change of a consultation or of its payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry, example = json!({
    "about": "consultation", "version": 1, "at": "2026-11-20T10:00:00.123456Z", "kind": "status_changed", "from": null,
    "to": "pending", "slot_id": "019aaf00-0000-7000-8000-000000000003", "amount": null, "evidence": null,
    "actor": "patient:019aaf00-0000-7000-8000-000000000002", "cause": "booked",
    "event_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e50", "correlation_id": "checkout-42"
}))]
pub(crate) struct TimelineEntryView {
    #[schema(value_type = TimelineSubjectWord)]
    about: &'static str,
    /// Of what it is about: rises by one with each.
    version: i64,
    at: Time,
    #[schema(value_type = TimelineKindWord)]
    kind: &'static str,
    /// Of a consultation: its status before.
    #[schema(value_type = Option<StatusWord>)]
    from: Option<&'static str>,
    /// Of a consultation: its status after.
    #[schema(value_type = Option<StatusWord>)]
    to: Option<&'static str>,
    /// Of a consultation.
    #[schema(value_type = Option<Uuid>)]
    slot_id: Option<SlotId>,
    /// Of a payment: how much is meant, when an amount is.
    amount: Option<Fee>,
    /// Of a payment, what proves it: `webhook:<id>`, `answer`, `list`, `visit:<event id>`, `case:<id>`, `request`, `clock`.
    evidence: Option<String>,
    /// `patient:<id>`, `doctor:<id>`, `system:<name>`; the role alone for admins.
    actor: String,
    /// A fixed word such as `booked` or `hold_expired`, or a reason code.
    cause: String,
    /// The event that announced it.
    #[schema(value_type = Uuid)]
    event_id: EventId,
    correlation_id: String,
}

impl From<TimelineEntry> for TimelineEntryView {
    fn from(entry: TimelineEntry) -> Self {
        Self {
            about: "consultation",
            version: entry.version,
            at: Time(entry.at),
            kind: entry.kind.as_str(),
            from: entry.from.map(ConsultationStatus::as_str),
            to: Some(entry.to.as_str()),
            slot_id: Some(entry.slot),
            amount: None,
            evidence: None,
            actor: entry.actor,
            cause: entry.cause,
            event_id: entry.event,
            correlation_id: entry.correlation_id.to_string(),
        }
    }
}

impl From<PaymentEntry> for TimelineEntryView {
    fn from(entry: PaymentEntry) -> Self {
        Self {
            about: "payment",
            version: entry.version,
            at: Time(entry.at),
            kind: entry.kind.as_str(),
            from: None,
            to: None,
            slot_id: None,
            amount: entry.amount.map(Fee::from),
            evidence: Some(entry.evidence.to_string()),
            actor: entry.actor,
            cause: entry.cause,
            event_id: entry.event,
            correlation_id: entry.correlation_id.to_string(),
        }
    }
}

/// By time; each side's own by its versions, whatever the clocks said.
pub(crate) fn merged(visit: Vec<TimelineEntry>, payment: Vec<PaymentEntry>) -> Vec<TimelineEntryView> {
    let mut payment = payment.into_iter().peekable();
    let mut all = Vec::new();
    for entry in visit {
        while let Some(earlier) = payment.next_if(|step| step.at < entry.at) {
            all.push(earlier.into());
        }
        all.push(entry.into());
    }
    all.extend(payment.map(TimelineEntryView::from));
    all
}
