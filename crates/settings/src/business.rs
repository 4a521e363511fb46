//! The business's own conventions, the same for every process.

use crate::{Problems, Validate};
use serde::{Deserialize, Serialize};

/// Section `business`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Business {
    /// IANA zone whose days are business days.
    pub time_zone: String,
}

impl Default for Business {
    fn default() -> Self {
        Self { time_zone: "Asia/Kolkata".to_owned() }
    }
}

impl Validate for Business {
    fn validate(&self, problems: &mut Problems) {
        let known = jiff::tz::TimeZone::get(&self.time_zone).is_ok();
        problems.check(known, "time_zone", "must be an IANA zone such as Asia/Kolkata");
    }
}
