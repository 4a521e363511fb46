//! Tables that a draft shares with the state until it writes to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::{Deref, DerefMut},
    sync::Arc,
};

/// Copied when it is first written to, so that a transaction costs what it changes, not what there is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared<T>(Arc<T>);

/// A shared map.
pub(crate) type Table<K, V> = Shared<BTreeMap<K, V>>;
/// A shared set.
pub(crate) type Set<K> = Shared<BTreeSet<K>>;

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}
