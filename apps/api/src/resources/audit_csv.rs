//! Entries of the audit trail as CSV.

use amrutam_audit::model::Placed;
use amrutam_kernel::AccountId;

const COLUMNS: &str = "index,id,occurred_at,actor,actor_id,role,purpose,action,resource_kind,resource_id,patient_id,outcome,\
     correlation_id,origin,ruleset,break_glass\r\n";

/// RFC 4180.
pub(super) fn csv_of(items: &[Placed]) -> String {
    let mut text = COLUMNS.to_owned();
    for Placed { index, entry } in items {
        let id = |id: Option<AccountId>| id.map(|id| id.to_string()).unwrap_or_default();
        let cells = [
            index.to_string(),
            entry.id.to_string(),
            crate::http::rfc3339(entry.occurred_at),
            entry.actor.clone(),
            id(entry.actor_id),
            entry.role.clone(),
            entry.purpose.clone(),
            entry.action.clone(),
            entry.resource_kind.clone(),
            entry.resource_id.clone(),
            id(entry.patient_id),
            entry.outcome.clone(),
            entry.correlation_id.clone(),
            entry.origin.clone().unwrap_or_default(),
            entry.ruleset.clone().unwrap_or_default(),
            entry.break_glass.to_string(),
        ];
        text.push_str(&cells.map(|cell| cell_of(&cell)).join(","));
        text.push_str("\r\n");
    }
    text
}

/// Quoted, and no formula to any spreadsheet: a correlation id is a caller's own word.
fn cell_of(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@x", "\"'@x\""),
            ("a\"b,c", "\"a\"\"b,c\""),
            ("", "\"\""),
        ] {
            assert_eq!(cell_of(cell), written);
        }
    }
}
