//! What is held of a person, as one ZIP file that every system opens.
//!
//! The same dossier gives the same bytes: the files' times are the format's first one.
#![deny(missing_docs)]

use amrutam_privacy::{
    model::Dossier,
    ports::{Archiver, PackError},
};
// Chooses the deflate that `zip` uses: the one in Rust.
use flate2 as _;
use std::io::{Cursor, Write};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// Packs with deflate.
#[derive(Debug, Clone, Copy, Default)]
pub struct ZipArchiver;

impl Archiver for ZipArchiver {
    fn pack(&self, dossier: &Dossier) -> Result<Vec<u8>, PackError> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o600);
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for file in dossier.files() {
            archive.start_file(file.name.as_str(), options).map_err(failed)?;
            archive.write_all(file.content.expose()).map_err(failed)?;
        }
        archive.finish().map(Cursor::into_inner).map_err(failed)
    }
}

/// By what kind of error alone: others may name a file, which is ours, or repeat what they were given.
fn failed(error: impl std::fmt::Display) -> PackError {
    PackError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use zip::ZipArchive;

    #[test]
    fn what_is_packed_comes_out_again_and_twice_is_the_same() {
        let mut dossier = Dossier::default();
        let long = "आशा नायर ".repeat(10_000);
        for (name, content) in [("account.json", "{}"), ("visits/one.json", long.as_str())] {
            dossier.add(name, content.as_bytes().to_vec(), []).unwrap();
        }
        let bytes = ZipArchiver.pack(&dossier).unwrap();
        assert_eq!(bytes, ZipArchiver.pack(&dossier).unwrap());
        assert!(bytes.len() < long.len() / 10);
        let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
        for file in dossier.files() {
            let mut content = Vec::new();
            archive.by_name(&file.name).unwrap().read_to_end(&mut content).unwrap();
            assert_eq!(&content, file.content.expose());
        }
    }
}
