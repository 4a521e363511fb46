//! Asking the policy. What it denies is on the record, in a transaction of its own, before the caller hears of it; so is
//! what is shown, before it is.

use super::{Deps, record::record_alone};
use crate::{PaymentError, ports::PaymentChanges};
use amrutam_kernel::{
    AccountId, Action, AuditEntry, AuditEntryId, ConsultationId, Context, Effects, Outcome, Personal, PortError,
    Relation, Sight, Unrecorded,
};

/// What is done to which visit's payment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    pub(super) action: Action,
    /// The name on the record.
    pub(super) name: &'static str,
    pub(super) consultation: ConsultationId,
    /// Whose visit it is, when there is one.
    pub(super) patient: Option<AccountId>,
    pub(super) relation: Relation,
}

/// How much the caller may see of it.
pub(super) async fn permit(deps: Deps<'_>, context: &Context, deed: Deed) -> Result<Sight, PaymentError> {
    match deps.policy.decide(context, deed.action, deed.relation, deps.clock.now()) {
        Ok(sight) => Ok(sight),
        Err(denial) => {
            on_record(deps, vec![entry(deps, context, deed, Outcome::Denied)]).await?;
            Err(denial.into())
        }
    }
}

/// What is shown, when the look is on the record.
pub(super) async fn shown<T: Personal>(
    deps: Deps<'_>,
    context: &Context,
    deed: Deed,
    read: Unrecorded<T>,
) -> Result<T, PortError> {
    let entry = entry(deps, context, deed, Outcome::Allowed);
    read.release_by(vec![entry], async |entries| on_record(deps, entries).await).await
}

async fn on_record(deps: Deps<'_>, audit: Vec<AuditEntry>) -> Result<(), PortError> {
    let effects = Effects { audit, ..Effects::default() };
    record_alone(deps, &PaymentChanges { effects, ..PaymentChanges::default() }).await
}

pub(super) fn entry(deps: Deps<'_>, context: &Context, deed: Deed, outcome: Outcome) -> AuditEntry {
    let now = deps.clock.now();
    let id = AuditEntryId::from_uuid(deps.ids.uuid_v7(now));
    let entry = AuditEntry::new(id, now, context, deed.name, "payment", deed.consultation.to_string(), outcome);
    AuditEntry { patient: deed.patient, ..entry }
}
