//! Keys in a directory that the processes watch.

use amrutam_crypto::{RELOAD_INTERVAL, Rotatable, SystemClock, SystemIds, generate_missing, retire, rotate};
use amrutam_kernel::{Clock, IdSource};
use clap::Subcommand;
use jiff::Timestamp;
use std::{error::Error, path::PathBuf};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make one key of each kind the directory has none of.
    Generate {
        /// The key directory.
        #[arg(long)]
        dir: PathBuf,
        /// The keys' id. Today's date and some digits unless given.
        #[arg(long)]
        kid: Option<String>,
    },
    /// Make the next key that signs tokens. It is published now and signs ten minutes later.
    Rotate {
        /// The key directory.
        #[arg(long)]
        dir: PathBuf,
        /// The new key's id. Today's date and some digits unless given.
        #[arg(long)]
        kid: Option<String>,
        /// The key that seals instead. The one before is needed as long as anything is sealed under it.
        #[arg(long)]
        sealing: bool,
        /// Use it at once: the one before is in wrong hands. Requests may be refused until every process has read it.
        #[arg(long)]
        now: bool,
    },
    /// Remove a token key whose last token has ended.
    Retire {
        /// The key directory.
        #[arg(long)]
        dir: PathBuf,
        /// Which key.
        #[arg(long)]
        kid: String,
        /// Though its tokens are in force: it is in wrong hands. Whoever holds them refreshes.
        #[arg(long)]
        now: bool,
    },
}

pub(crate) fn run(command: Command) -> Result<(), Box<dyn Error>> {
    let now = SystemClock.now();
    match command {
        Command::Generate { dir, kid } => {
            let made = generate_missing(&dir, &kid.unwrap_or_else(|| new_id(now)), now)?;
            if made.is_empty() {
                println!("nothing is missing in {}", dir.display());
            }
            for path in made {
                println!("made {}", path.display());
            }
        }
        Command::Rotate { dir, kid, sealing, now: at_once } => {
            let what = if sealing { Rotatable::Sealing } else { Rotatable::Signing };
            let rotated = rotate(&dir, &kid.unwrap_or_else(|| new_id(now)), what, at_once, now)?;
            let verb = if sealing { "seals" } else { "signs" };
            println!("made {}", rotated.path.display());
            let seconds = RELOAD_INTERVAL.as_secs();
            println!(
                "now: processes that watch the directory read it within {seconds} seconds; bring it to other machines"
            );
            println!("{}: it {verb} in place of {}", shown(rotated.use_from), rotated.before);
            match rotated.retire_from {
                Some(at) => {
                    let (dir, before) = (dir.display(), &rotated.before);
                    println!("{}: run `amrutamctl keys retire --dir {dir} --kid {before}`", shown(at));
                }
                None => println!("keep {}: what it has sealed opens with it alone", rotated.before),
            }
        }
        Command::Retire { dir, kid, now: by_force } => {
            let gone = retire(&dir, &kid, by_force, now)?;
            println!("removed {}", gone.display());
            println!("remove it on other machines, too");
        }
    }
    Ok(())
}

/// A second key on one day sorts after the first.
fn new_id(now: Timestamp) -> String {
    format!("{}-{:x}", now.strftime("%Y-%m-%d"), SystemIds.uuid_v7(now).as_u64_pair().0 >> 16)
}

/// The second after: whoever comes then does not come too early.
fn shown(at: Timestamp) -> String {
    let at = Timestamp::from_second(at.as_second().saturating_add(1)).unwrap_or(at);
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}
