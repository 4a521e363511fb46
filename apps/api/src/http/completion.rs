//! Work that does not stop half way.

use crate::problem::Problem;
use actix_web::rt;
use tracing::Instrument;

/// Goes on to its end though the caller goes away: an end of a session that is committed is also told to the other processes.
/// Bounded by what it is made of, each piece of which has a limit.
pub(crate) async fn to_the_end<T, E>(work: impl Future<Output = Result<T, E>> + 'static) -> Result<T, Problem>
where
    T: 'static,
    E: Into<Problem> + 'static,
{
    let done = rt::spawn(work.in_current_span()).await;
    done.map_err(|_| Problem::internal("work that ends a session broke down"))?.map_err(Into::into)
}
