//! The audit trail, for whoever does not take our word for it.

use crate::settings::Settings;
use amrutam_audit::{
    model::{Algorithm, Checkpoint, NoteSigner, NoteVerifier, SignedNote},
    use_cases::{WatchDeps, WatchError, watch},
};
use amrutam_crypto::{SystemClock, audit_signer, witness_secret};
use amrutam_files::{CheckpointFiles, WitnessFiles};
use amrutam_postgres::{AuditRange, Postgres, Progress, VerifyError};
use clap::Subcommand;
use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::{IsTerminal, Write, stderr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

type Fallible<T> = Result<T, Box<dyn Error>>;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Print the log's verifier key. Whoever checks the trail should have it from you, not from the database.
    Key,
    /// Verify the log, entry by entry, against its own checkpoints and others. Ends with an error when anything is not as it was
    /// sealed, and says where.
    Verify {
        /// The first place.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// The place after the last; the end unless given.
        #[arg(long)]
        to: Option<u64>,
        /// A checkpoint that was kept elsewhere, or a directory of them. Without one, a log that was rewritten whole by
        /// whoever has its key looks sound.
        #[arg(long)]
        checkpoint: Vec<PathBuf>,
        /// The log's verifier key; that of the key directory unless given.
        #[arg(long)]
        log_key: Option<NoteVerifier>,
        /// A witness's verifier key: each given checkpoint must carry its signature.
        #[arg(long)]
        witness_key: Vec<NoteVerifier>,
    },
    /// Watch the log, remember it, and cosign what follows from what was seen. Run it where nobody who writes to the
    /// database can write.
    Witness {
        /// The witness's own directory: its key, and what it remembers.
        #[arg(long)]
        dir: PathBuf,
        /// Its name; fixed when the key is made.
        #[arg(long, default_value = "witness.amrutam.example")]
        name: String,
        /// The log's verifier key; that of the key directory unless given.
        #[arg(long)]
        log_key: Option<NoteVerifier>,
        /// Where every cosigned checkpoint is kept: a directory, or a mounted bucket that can't be overwritten.
        #[arg(long)]
        archive: Option<PathBuf>,
        /// Seconds between looks.
        #[arg(long, default_value_t = 10)]
        every: u64,
        /// Look once, and end.
        #[arg(long)]
        once: bool,
    },
}

pub(crate) async fn run(command: Command, settings: &Settings) -> Fallible<()> {
    match command {
        Command::Key => {
            println!("{}", log_key(settings, None)?);
            Ok(())
        }
        Command::Verify { from, to, checkpoint, log_key: key, witness_key } => {
            let key = log_key(settings, key)?;
            let given = given(&checkpoint, &key, &witness_key)?;
            verify(settings, &key, &given, AuditRange { from, to }).await
        }
        Command::Witness { dir, name, log_key: key, archive, every, once } => {
            let (key, witness) = (log_key(settings, key)?, own_key(&dir, &name)?);
            println!("this witness: {}", witness.verifier());
            let log = settings.audit_log()?;
            let (store, archive) = (WitnessFiles::new(dir), archive.map(CheckpointFiles::new));
            let deps = WatchDeps {
                log: &log,
                log_key: &key,
                witness: &witness,
                store: &store,
                cosignatures: &log,
                archive: archive.as_ref().map(|archive| archive as _),
                clock: &SystemClock,
            };
            witness_for_ever(deps, Duration::from_secs(every.max(1)), once).await
        }
    }
}

fn log_key(settings: &Settings, given: Option<NoteVerifier>) -> Fallible<NoteVerifier> {
    match given {
        Some(key) => Ok(key),
        None => Ok(audit_signer(&settings.tokens.load()?, &settings.audit.origin)?.verifier()),
    }
}

/// Checkpoints from files; each must be signed by the log, and by the witnesses that were named.
fn given(paths: &[PathBuf], log: &NoteVerifier, witnesses: &[NoteVerifier]) -> Fallible<Vec<Checkpoint>> {
    let mut files = Vec::new();
    if paths.is_empty() && !witnesses.is_empty() {
        return Err("a witness's key checks nothing without --checkpoint".into());
    }
    for path in paths {
        if path.is_dir() {
            let notes = fs::read_dir(path)?.map(|found| Ok(found?.path())).collect::<std::io::Result<Vec<_>>>()?;
            let before = files.len();
            files.extend(notes.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "note")));
            // Whoever names an archive expects to be told when it holds nothing.
            if files.len() == before {
                return Err(format!("{}: there is no checkpoint in it", path.display()).into());
            }
        } else {
            files.push(path.clone());
        }
    }
    let read = |path: PathBuf| {
        let in_it = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let note: SignedNote = fs::read_to_string(&path)?.parse().map_err(|error| in_it(&error))?;
        for key in std::iter::once(log).chain(witnesses) {
            key.check(&note).map_err(|error| in_it(&error))?;
        }
        Ok(Checkpoint::of(&note).map_err(|error| in_it(&error))?)
    };
    files.into_iter().map(read).collect()
}

async fn verify(settings: &Settings, key: &NoteVerifier, given: &[Checkpoint], range: AuditRange) -> Fallible<()> {
    let log = settings.audit_log()?;
    let (began, mut bar) = (Instant::now(), Bar::new(range.from));
    let report = log.verify_audit(key, given, range, |progress| bar.show(progress)).await;
    bar.end();
    let report = report.map_err(|error| match error {
        VerifyError::Port(error) => format!("{error}: {}", error.reason()),
        error @ VerifyError::NoSuchPart { .. } => error.to_string(),
    })?;
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{} entries, {} checkpoints agree, {:.1} s ({:.0} entries/s)",
        report.entries,
        report.checkpoints,
        seconds,
        report.entries as f64 / seconds.max(0.001)
    );
    if report.retired > 0 {
        println!("{} entries were retired before: of them the hashes were looked at", report.retired);
    }
    println!("the log has {} entries; root {}", report.size, report.root);
    if given.is_empty() {
        println!("no checkpoint from elsewhere was given: a log rewritten with its own key would not show");
    }
    if report.is_sound() {
        println!("sound");
        return Ok(());
    }
    for finding in &report.findings {
        println!("WRONG: {finding}");
    }
    Err(format!("the audit trail is not what was sealed: {} findings", report.wrong).into())
}

/// How far it is, for whoever sits before a terminal.
struct Bar {
    from: u64,
    shown: Option<Instant>,
    terminal: bool,
}

impl Bar {
    fn new(from: u64) -> Self {
        Self { from, shown: None, terminal: stderr().is_terminal() }
    }

    fn show(&mut self, progress: Progress) {
        let recently = self.shown.is_some_and(|shown| shown.elapsed() < Duration::from_millis(100));
        if !self.terminal || (recently && progress.at < progress.to) {
            return;
        }
        self.shown = Some(Instant::now());
        let (done, all) = (progress.at.saturating_sub(self.from), progress.to.saturating_sub(self.from).max(1));
        let filled = usize::try_from(done * 40 / all).unwrap_or_default();
        let (bar, percent) = ("#".repeat(filled), done * 100 / all);
        // A terminal that is gone is no reason to stop.
        let _ = write!(stderr(), "\r[{bar:.<40}] {percent:3} %  {} of {}", progress.at, progress.to);
    }

    fn end(&self) {
        if self.shown.is_some() {
            eprintln!();
        }
    }
}

/// The witness's key, made when there is none.
fn own_key(dir: &Path, name: &str) -> Fallible<NoteSigner> {
    let path = dir.join("witness.key");
    let encoding = data_encoding::BASE64;
    if !path.exists() {
        fs::create_dir_all(dir)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(encoding.encode(witness_secret()?.as_slice()).as_bytes())?;
        file.sync_all()?;
    }
    let secret = encoding.decode(fs::read_to_string(&path)?.trim().as_bytes())?;
    let secret = secret.as_slice().try_into().map_err(|_| format!("{} is no key", path.display()))?;
    Ok(NoteSigner::new(name, Algorithm::Cosignature, secret)?)
}

async fn witness_for_ever(deps: WatchDeps<'_>, every: Duration, once: bool) -> Fallible<()> {
    loop {
        match watch(deps).await {
            Ok(Some(checkpoint)) => println!("cosigned {} entries, root {}", checkpoint.size, checkpoint.root),
            Ok(None) => {}
            // Away: it is tried again.
            Err(WatchError::Port(error)) if !once => eprintln!("not now: {error}: {}", error.reason()),
            Err(error) => return Err(error.into()),
        }
        if once {
            return Ok(());
        }
        tokio::time::sleep(every).await;
    }
}

impl Settings {
    /// Where the log is.
    pub(crate) fn audit_log(&self) -> Fallible<Postgres> {
        Ok(Postgres::connect(&self.database.pool())?.with_audit_at(self.audit.url.as_ref())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(name: &str, algorithm: Algorithm) -> NoteSigner {
        NoteSigner::new(name, algorithm, &[7; 32]).unwrap()
    }

    #[test]
    fn an_argument_that_yields_no_checkpoint_is_refused() {
        let dir = std::env::temp_dir().join(format!("amrutam-no-notes-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("README"), "nothing").unwrap();
        let log = signer("log.example", Algorithm::Ed25519).verifier();
        let witness = signer("witness.example", Algorithm::Cosignature).verifier();
        let empty =
            given(std::slice::from_ref(&dir), &log, &[]).map(|found| found.len()).map_err(|error| error.to_string());
        fs::remove_dir_all(&dir).unwrap();
        assert!(empty.is_err_and(|error| error.contains("no checkpoint in it")));
        assert!(given(&[dir], &log, &[]).is_err(), "there is no such file");
        assert!(given(&[], &log, &[witness]).is_err(), "nothing carries the witness's signature");
        assert_eq!(given(&[], &log, &[]).unwrap(), []);
    }
}
