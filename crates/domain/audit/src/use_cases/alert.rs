//! What the rules call unusual becomes a case for a person.

use crate::{events::review_needed, ports::Alerts};
use amrutam_kernel::{AuditEntry, AuditEntryId, Clock, Context, Effects, EventId, IdSource, Outcome, PortError};

/// Holds the rules against the trail once; says how many alerts were raised.
pub async fn alert(
    alerts: &dyn Alerts,
    clock: &dyn Clock,
    ids: &dyn IdSource,
    context: &Context,
) -> Result<usize, PortError> {
    let mut raised = 0;
    let look = alerts.unusual().await?;
    for unusual in look.unusual {
        let now = clock.now();
        let event = EventId::from_uuid(ids.uuid_v7(now));
        let id = AuditEntryId::from_uuid(ids.uuid_v7(now));
        let resource = unusual.entry.to_string();
        let entry = AuditEntry::new(id, now, context, "audit.alert", "audit_entry", resource, Outcome::Allowed)
            .decided_by(format!("{} v{}", unusual.code, unusual.version));
        let entry = AuditEntry { patient: unusual.patient, ..entry };
        let effects = Effects {
            events: vec![review_needed(event, unusual.entry, unusual.patient, &unusual.code, context, now)],
            audit: vec![entry],
            ..Effects::default()
        };
        raised += usize::from(alerts.raise(&unusual, &effects).await?);
    }
    alerts.looked(look.upto).await?;
    Ok(raised)
}
