//! What a process runs on.

use std::{env, io, thread};
use tokio::runtime::{Builder, Runtime};

/// Tokio's own name for the number of threads.
const THREADS: &str = "TOKIO_WORKER_THREADS";

/// A runtime with half as many threads as there are cores, for what waits: a thread more that has nothing to compute takes work
/// from the others and gives it back, and both cost more than the work. `TOKIO_WORKER_THREADS` says otherwise.
///
/// # Errors
/// When the threads can't be started.
pub fn runtime() -> io::Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    if env::var_os(THREADS).is_none() {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        builder.worker_threads(cores.div_ceil(2));
    }
    builder.enable_all().build()
}
