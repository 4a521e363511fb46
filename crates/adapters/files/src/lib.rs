//! What lies apart from the database, in plain files: a witness's memory, and an archive of checkpoints. A file appears whole
//! or not at all, and is on the disk when it is said to be.
//!
//! [`CheckpointFiles`] stands where a locked bucket does in production: written once, never over another one. Mount such a
//! bucket, or copy the directory to one.
#![deny(missing_docs)]

use amrutam_audit::{
    model::{Checkpoint, SignedNote},
    ports::{CheckpointArchive, WitnessStore},
};
use amrutam_kernel::{Dependency, PortError};
use async_trait::async_trait;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

const LAST: &str = "last.note";

fn failed(path: &Path, error: impl std::fmt::Display) -> PortError {
    PortError::unavailable(Dependency::Archive, format!("{}: {error}", path.display()))
}

/// The whole content under that name, on the disk.
fn write(dir: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let aside = dir.join(format!("{name}.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&aside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&aside, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// Off the async threads.
async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> Result<T, PortError> + Send + 'static,
) -> Result<T, PortError> {
    let done = tokio::task::spawn_blocking(move || work(&path)).await;
    done.map_err(|error| PortError::defect(Dependency::Archive, error))?
}

/// A witness's memory: one file in a directory of its own.
#[derive(Debug, Clone)]
pub struct WitnessFiles(PathBuf);

impl WitnessFiles {
    /// In that directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }
}

#[async_trait]
impl WitnessStore for WitnessFiles {
    async fn last(&self) -> Result<Option<SignedNote>, PortError> {
        blocking(self.0.clone(), |dir| {
            let path = dir.join(LAST);
            match fs::read_to_string(&path) {
                // A memory that can't be read is not the same as none: whoever starts anew trusts whatever comes.
                Ok(text) => text.parse().map(Some).map_err(|error| PortError::defect(Dependency::Archive, error)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(&path, error)),
            }
        })
        .await
    }

    async fn remember(&self, note: &SignedNote) -> Result<(), PortError> {
        let text = note.to_string();
        blocking(self.0.clone(), move |dir| write(dir, LAST, text.as_bytes()).map_err(|error| failed(dir, error))).await
    }
}

/// Checkpoints by their size, in one directory.
#[derive(Debug, Clone)]
pub struct CheckpointFiles(PathBuf);

impl CheckpointFiles {
    /// In that directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The file of a checkpoint: by name they stand in their order.
    pub fn name(size: u64) -> String {
        format!("{size:020}.note")
    }
}

#[async_trait]
impl CheckpointArchive for CheckpointFiles {
    async fn keep(&self, checkpoint: &Checkpoint, note: &SignedNote) -> Result<(), PortError> {
        let (name, note) = (Self::name(checkpoint.size), note.clone());
        blocking(self.0.clone(), move |dir| {
            let path = dir.join(&name);
            match fs::read_to_string(&path) {
                Ok(there) => {
                    let same = there.parse::<SignedNote>().is_ok_and(|there| there.text == note.text);
                    let other = || PortError::defect(Dependency::Archive, format!("{} is another one", path.display()));
                    if same { Ok(()) } else { Err(other()) }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    write(dir, &name, note.to_string().as_bytes()).map_err(|error| failed(dir, error))
                }
                Err(error) => Err(failed(&path, error)),
            }
        })
        .await
    }
}
