//! Data keys follow the key-encryption key.

use crate::{
    error::UnwrapError,
    model::{KekId, StoredKey},
    ports::{KeyStore, KeyWrapper},
};
use amrutam_kernel::{Clock, PortError};

/// Keys read, wrapped and stored at a time: one statement, well within its time.
const BATCH: u16 = 500;

/// What one run has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Wrapped under the current key now.
    pub done: u64,
    /// Could not be unwrapped, and stay as they are.
    pub failed: u64,
    /// Of one of those: why.
    pub problem: Option<UnwrapError>,
    /// Whether it went to the end.
    pub finished: bool,
}

/// Wraps every data key under the current key-encryption key, batch by batch, for as long as `go_on` says so. What is done is done: the
/// next run goes on with what is left. Keys open under either key meanwhile.
pub async fn rewrap(
    store: &dyn KeyStore,
    wrapper: &dyn KeyWrapper,
    clock: &dyn Clock,
    go_on: &(dyn Fn() -> bool + Sync),
) -> Result<Rewrapped, PortError> {
    let current = wrapper.current()?;
    let mut progress = Rewrapped::default();
    for old in store.keks().await?.into_iter().filter(|kek| kek.id != current && kek.retired_at.is_none()) {
        let mut after = None;
        loop {
            if !go_on() {
                return Ok(progress);
            }
            let batch = store.wrapped_under(&old.id, after, BATCH).await?;
            let Some(last) = batch.last() else { break };
            after = Some(last.id);
            let done = wrap_batch(store, wrapper, clock, &old.id, batch, &mut progress).await?;
            progress.done += done;
        }
    }
    progress.finished = true;
    Ok(progress)
}

async fn wrap_batch(
    store: &dyn KeyStore,
    wrapper: &dyn KeyWrapper,
    clock: &dyn Clock,
    from: &KekId,
    batch: Vec<StoredKey>,
    progress: &mut Rewrapped,
) -> Result<u64, PortError> {
    let mut anew = Vec::with_capacity(batch.len());
    for key in batch {
        match wrapper.unwrap(key.id, &key.wrapped).await {
            Ok(plain) => anew.push(StoredKey { wrapped: wrapper.wrap(key.id, &plain).await?, ..key }),
            Err(UnwrapError::Port(error)) => return Err(error),
            Err(error) => {
                progress.failed += 1;
                progress.problem = Some(error);
            }
        }
    }
    if anew.is_empty() { Ok(0) } else { store.rewrap(from, &anew, clock.now()).await }
}
