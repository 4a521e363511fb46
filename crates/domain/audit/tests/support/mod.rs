//! A log in memory, and entries for it.

use amrutam_audit::model::{Edge, Entry, Hash, Row};
use amrutam_kernel::AuditEntryId;
use jiff::Timestamp;
use uuid::Uuid;

pub(crate) fn entry(n: u64) -> Entry {
    let at = Timestamp::from_microsecond(1_764_000_000_000_000 + i64::try_from(n).unwrap()).unwrap();
    Entry {
        id: AuditEntryId::from_uuid(Uuid::from_u128(u128::from(n) + 1)),
        occurred_at: at,
        actor: format!("doctor:{}", Uuid::from_u128(7)),
        actor_id: Some(amrutam_kernel::AccountId::from_uuid(Uuid::from_u128(7))),
        role: "doctor".to_owned(),
        purpose: "treatment".to_owned(),
        action: "consultation.read".to_owned(),
        resource_kind: "consultation".to_owned(),
        resource_id: Uuid::from_u128(u128::from(n)).to_string(),
        patient_id: (!n.is_multiple_of(3)).then(|| amrutam_kernel::AccountId::from_uuid(Uuid::from_u128(9))),
        outcome: "allowed".to_owned(),
        correlation_id: format!("flow-{n}"),
        origin: Some("203.0.113.0/24".to_owned()),
        ruleset: None,
        break_glass: false,
    }
}

pub(crate) fn row(index: u64, entry: &Entry) -> Row {
    Row { index, id: entry.id, leaf: entry.leaf() }
}

pub(crate) fn root_of(entries: &[Entry]) -> Hash {
    let mut edge = Edge::default();
    edge.append(&entries.iter().map(Entry::leaf).collect::<Vec<_>>());
    edge.root()
}
