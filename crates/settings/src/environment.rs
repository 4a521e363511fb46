//! Where a process runs.

use serde::{Deserialize, Serialize};

/// Where a process runs. Production unless said: whoever forgets to say is stopped, not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// On somebody's own machine: defaults do.
    Development,
    /// For people: what is only good for trying is refused.
    #[default]
    Production,
}
