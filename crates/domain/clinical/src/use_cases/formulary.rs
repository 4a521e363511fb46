//! Looking up what may be prescribed.

use super::Deps;
use crate::{
    ClinicalError,
    model::{FormularyFilter, FormularyItem, ItemCode},
};
use amrutam_kernel::{Action, Context, Outcome, Page, PageRequest, Relation};

/// A page of the formulary in force, and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundItems {
    /// Of the formulary; the one a prescription would be decided by now.
    pub version: String,
    /// By code.
    pub page: Page<FormularyItem, ItemCode>,
}

/// What of the formulary in force is looked for, by code. Nothing of it is about a person: only a denial is on the record.
pub async fn search_formulary(
    deps: Deps<'_>,
    context: &Context,
    filter: &FormularyFilter,
    page: PageRequest<ItemCode>,
) -> Result<FoundItems, ClinicalError> {
    let (now, action) = (deps.clock.now(), Action::FormularyRead);
    if let Err(denial) = deps.policy.decide(context, action, Relation::None, now) {
        let of = ("formulary", String::new());
        deps.record(vec![deps.entry(context, action.as_str(), of, None, Outcome::Denied, now)]).await?;
        return Err(denial.into());
    }
    let formulary = deps.formulary_at(now).await?;
    Ok(FoundItems { page: formulary.search(filter, &page), version: formulary.version })
}
