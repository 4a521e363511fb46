//! How long what must be kept is kept, where an operator differs from the rules of the release.

use crate::{Problems, Validate};
use serde::{Deserialize, Serialize};

/// Section `retention`.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Of the clinical record, in years from the last visit; unless said, what the rules say (7).
    pub clinical_years: Option<u16>,
    /// Of payments, in years; unless said, what the rules say (8).
    pub financial_years: Option<u16>,
}

impl Validate for Retention {
    fn validate(&self, problems: &mut Problems) {
        for (field, years) in [("clinical_years", self.clinical_years), ("financial_years", self.financial_years)] {
            problems.check(years.is_none_or(|years| years <= 100), field, "0 to 100 years");
        }
    }
}

/// The least that the law asks for.
pub struct ProductionRetention<'a>(pub &'a Retention);

impl Validate for ProductionRetention<'_> {
    fn validate(&self, problems: &mut Problems) {
        let enough = |years: Option<u16>, least| years.is_none_or(|years| years >= least);
        problems.check(
            enough(self.0.clinical_years, 3),
            "clinical_years",
            "production keeps records for 3 years at least",
        );
        problems.check(
            enough(self.0.financial_years, 8),
            "financial_years",
            "production keeps books for 8 years at least",
        );
    }
}
