//! Personal data that masks itself in logs.

use serde::{Deserialize, Deserializer};
use std::fmt;

/// A value about a person. `Debug` shows nothing and there is no `Display` or `Serialize`: whoever needs the value says
/// [`Sensitive::expose`], which a reader can search for.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Sensitive<T>(T);

impl<T> Sensitive<T> {
    /// Wraps.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, on purpose.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value, on purpose and for good.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sensitive<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}
