//! Checks what an auditor took home, without any server: an export, a checkpoint, and the log's key.
//!
//! ```sh
//! # A whole log, oldest or newest first, as `GET /v1/audit/export` gives it:
//! cargo run -p amrutam-audit --example verify_offline -- log KEY CHECKPOINT EXPORT.ndjson
//! # One entry with its proof, as `GET /v1/audit/events/{id}/proof` gives it:
//! cargo run -p amrutam-audit --example verify_offline -- proof KEY PROOF.json
//! ```
//!
//! `KEY` is what `amrutamctl audit key` prints; have it from whoever runs the log, not from where the entries come from.

use amrutam_audit::model::{Checkpoint, Frontier, Hash, NoteVerifier, Placed, SignedNote, proof::verify_inclusion};
use serde::Deserialize;
use std::{collections::BTreeMap, error::Error, fs, process::ExitCode};

type Fallible<T> = Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct Proof {
    event: Placed,
    size: u64,
    proof: Vec<Hash>,
    checkpoint: String,
}

/// What a note says, when the log has signed it.
fn checkpoint(note: &str, key: &str) -> Fallible<Checkpoint> {
    let (note, key): (SignedNote, NoteVerifier) = (note.parse()?, key.parse()?);
    key.check(&note)?;
    Ok(Checkpoint::of(&note)?)
}

fn log(key: &str, note: &str, export: &str) -> Fallible<String> {
    let checkpoint = checkpoint(&fs::read_to_string(note)?, key)?;
    let mut leaves = BTreeMap::new();
    for line in fs::read_to_string(export)?.lines() {
        let placed: Placed = serde_json::from_str(line)?;
        if leaves.insert(placed.index, placed.entry.leaf()).is_some() {
            return Err(format!("entry {} is there twice", placed.index).into());
        }
    }
    let mut frontier = Frontier::default();
    for index in 0..checkpoint.size {
        frontier.push(*leaves.get(&index).ok_or_else(|| format!("entry {index} is missing"))?);
    }
    if frontier.root() == checkpoint.root {
        Ok(format!("{} entries are those of the checkpoint of {}", checkpoint.size, checkpoint.time))
    } else {
        Err("at least one entry is not what was sealed".into())
    }
}

fn proof(key: &str, path: &str) -> Fallible<String> {
    let Proof { event, size, proof, checkpoint: note } = serde_json::from_str(&fs::read_to_string(path)?)?;
    let checkpoint = checkpoint(&note, key)?;
    if checkpoint.size != size {
        return Err("the proof is of another size than its checkpoint".into());
    }
    verify_inclusion(event.index, size, &event.entry.leaf(), &checkpoint.root, &proof)?;
    Ok(format!("entry {} was sealed as it is shown, by {}", event.index, checkpoint.time))
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["log", key, note, export] => log(key, note, export),
        ["proof", key, path] => proof(key, path),
        _ => Err("log KEY CHECKPOINT EXPORT.ndjson, or proof KEY PROOF.json".into()),
    };
    match outcome {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("WRONG: {error}");
            ExitCode::FAILURE
        }
    }
}
