//! The clock: what has been open for too long goes before a person.

use super::{
    Deps,
    record::{note, update},
};
use crate::{
    NewsError,
    model::{Evidence, Progress},
    ports::{Locator, PaymentChanges},
};
use amrutam_kernel::{Context, PortError};

/// Looks at up to `limit` payments that the clock makes something due for, and says how many it looked at. One that can't
/// be read or written is told when all others are done.
pub async fn sweep_deadlines(deps: Deps<'_>, context: &Context, limit: u16) -> Result<usize, PortError> {
    let (mut swept, mut defect) = (0, None);
    for id in deps.store.overdue(deps.clock.now(), limit).await? {
        let noted = note(deps, Locator::Id(id), |snapshot| {
            let mut changes = PaymentChanges::default();
            if let Some(before) = snapshot.payment {
                let mut progress = Progress::of(before.clone(), deps.rules, deps.clock.now());
                progress.advance(&Evidence::Clock);
                update(deps, context, &before, progress, &mut changes);
            }
            Ok(changes)
        });
        match noted.await {
            Ok(_) => swept += 1,
            Err(NewsError::Port(error @ PortError::Unavailable { .. })) => return Err(error),
            Err(NewsError::Port(error @ PortError::Defect { .. })) => defect = Some(error),
            Err(NewsError::Contended | NewsError::Malformed(_)) => {}
        }
    }
    defect.map_or(Ok(swept), Err)
}
