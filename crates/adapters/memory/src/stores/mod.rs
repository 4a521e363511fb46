//! One file per port.

mod accounts;
mod availability;
mod clinical;
mod consultations;
mod dependants;
mod directory;
mod factors;
mod ledger;
mod links;
mod messages;
mod operations;
mod payments;
mod privacy;
mod readers;
mod sessions;

use amrutam_kernel::PageRequest;

/// Orders rows by key and keeps those after the cursor, one more than the page holds.
fn after<T, K: Ord>(mut rows: Vec<T>, page: &PageRequest<K>, key: impl Fn(&T) -> K) -> Vec<T> {
    rows.sort_by_key(&key);
    rows.retain(|row| page.after.as_ref().is_none_or(|after| key(row) > *after));
    rows.truncate(usize::from(page.limit.get()) + 1);
    rows
}
