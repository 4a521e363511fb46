//! Lists are read in pages by cursor: stable while rows come and go, and no page costs more than the first.

use serde::{Deserialize, Serialize};

/// How many items a page holds: 1 to 100, 20 unless said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit(u16);

impl Limit {
    /// The bound of the contract.
    pub const MAX: u16 = 100;

    /// Nothing when out of 1..=100.
    pub fn new(limit: u16) -> Option<Self> {
        (1..=Self::MAX).contains(&limit).then_some(Self(limit))
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

/// The cursor was not one of ours, or is of another list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct InvalidCursor;

/// Which page: the first, or the one after `after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest<K> {
    /// Page size.
    pub limit: Limit,
    /// The sort key of the last item seen.
    pub after: Option<K>,
}

/// One page and, when there are more, the sort key to go on after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, K> {
    /// In the list's stable order.
    pub items: Vec<T>,
    /// Present when there are more.
    pub next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// Cuts a page from `limit + 1` rows: the extra row only tells that there are more.
    pub fn cut(mut rows: Vec<T>, limit: Limit, key: impl FnOnce(&T) -> K) -> Self {
        let size = usize::from(limit.get());
        let more = rows.len() > size;
        rows.truncate(size);
        let next = if more { rows.last().map(key) } else { None };
        Self { items: rows, next }
    }
}
