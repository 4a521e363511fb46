//! What the process itself must not leave behind.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use std::io;

/// No memory of this process goes to a core file. To be called first.
pub fn forbid_core_dumps() -> io::Result<()> {
    Ok(setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?)
}

/// Nor to a handler that the kernel pipes core dumps to, which no limit binds, nor to another process of the same user. Tools of
/// development find a process by its environment, which this hides, too.
pub fn hide_memory() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
