//! Keys in a directory that the processes watch, and the data keys that they wrap.

use crate::{accounts::operator, settings::Settings};
use amrutam_crypto::{
    LocalKeks, RELOAD_INTERVAL, Rotatable, SystemClock, SystemIds, generate_missing, retire, retire_sealing, rotate,
};
use amrutam_identity::PolicyTable;
use amrutam_kernel::{AccountId, Clock, Context, IdSource};
use amrutam_keys::{
    ShredError,
    ports::KeyWrapper,
    use_cases::{self, Deps},
};
use amrutam_postgres::Postgres;
use clap::Subcommand;
use jiff::Timestamp;
use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
};

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
        /// The key-encryption key instead. The workers then wrap every data key anew; see `keys status`.
        #[arg(long, alias = "sealing")]
        kek: bool,
        /// Use it at once: the one before is in wrong hands. Requests may be refused until every process has read it.
        #[arg(long)]
        now: bool,
    },
    /// Remove a token key whose last token has ended, or a key-encryption key that wraps nothing any more.
    Retire {
        /// The key directory.
        #[arg(long)]
        dir: PathBuf,
        /// Which key.
        #[arg(long)]
        kid: String,
        /// Though its tokens are in force: it is in wrong hands. Whoever holds them refreshes.
        #[arg(long, conflicts_with = "kek")]
        now: bool,
        /// A key-encryption key. Asks the database whether it wraps anything.
        #[arg(long)]
        kek: bool,
    },
    /// Show how many data keys are wrapped under which key-encryption key.
    Status,
    /// Have a person's next value sealed under a new version of their key.
    Renew {
        /// Whose.
        #[arg(long)]
        owner: AccountId,
    },
    /// Destroy a person's keys: nothing that is sealed of them opens ever again.
    Shred {
        /// Whose.
        #[arg(long)]
        owner: AccountId,
        /// That it is meant: the person's id again.
        #[arg(long)]
        confirm: AccountId,
        /// Also where no erasure of theirs is due: what must be kept of them is lost.
        #[arg(long)]
        not_due: bool,
    },
}

pub(crate) async fn run(command: Command) -> Result<(), Box<dyn Error>> {
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
        Command::Rotate { dir, kid, kek, now: at_once } => {
            let what = if kek { Rotatable::Sealing } else { Rotatable::Signing };
            let rotated = rotate(&dir, &kid.unwrap_or_else(|| new_id(now)), what, at_once, now)?;
            let verb = if kek { "wraps data keys" } else { "signs" };
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
                None => {
                    let (dir, before) = (dir.display(), &rotated.before);
                    println!("keep {before} until `amrutamctl keys status` shows nothing under it;");
                    println!("then run `amrutamctl keys retire --kek --dir {dir} --kid {before}`");
                }
            }
        }
        Command::Retire { dir, kid, kek: true, .. } => retire_kek(&dir, &kid).await?,
        Command::Status => status().await?,
        Command::Renew { owner } => {
            let world = World::connect()?;
            let had_one = use_cases::renew(world.deps(), &world.operator(), owner).await?;
            println!("{}", if had_one { "the next value is sealed under a new version" } else { "there is no key" });
        }
        Command::Shred { owner, confirm, not_due } => {
            if owner != confirm {
                return Err("--confirm names somebody else".into());
            }
            let world = World::connect()?;
            let keys = use_cases::shred_unless_kept(world.deps(), &world.main, &world.operator(), owner, not_due).await;
            let keys = keys.map_err(|error| match error {
                ShredError::NotDue => format!("{error}; --not-due destroys their keys all the same").into(),
                error => Box::<dyn Error>::from(error),
            })?;
            println!("destroyed {keys} keys: what is sealed of {owner} opens nowhere, at once or within seconds");
            println!("backups of the data keys end it after their own time: see docs/operations.md");
        }
        Command::Retire { dir, kid, now: by_force, kek: false } => {
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

/// The data keys and what acts on them.
struct World {
    main: Postgres,
    keys: Postgres,
    keks: LocalKeks,
    clock: SystemClock,
    ids: SystemIds,
}

impl World {
    fn connect() -> Result<Self, Box<dyn Error>> {
        let settings = Settings::load()?;
        let mut pool = settings.database.pool();
        // Counting what is wrapped under the key in use takes its time.
        pool.statement_timeout_ms = 60_000;
        let main = Postgres::connect(&pool)?;
        let keks = LocalKeks::new(&settings.tokens.load()?, Arc::new(SystemClock))?;
        Ok(Self { keys: settings.keys.pool(&main)?, main, keks, clock: SystemClock, ids: SystemIds })
    }

    fn deps(&self) -> Deps<'_> {
        Deps { store: &self.keys, records: &self.main, policy: &PolicyTable, clock: &self.clock, ids: &self.ids }
    }

    fn operator(&self) -> Context {
        operator(&self.ids, &self.clock)
    }
}

async fn status() -> Result<(), Box<dyn Error>> {
    let world = World::connect()?;
    let current = world.keks.current()?;
    for kek in use_cases::status(&world.keys, None).await? {
        let (id, keys) = (kek.kek.id, kek.keys);
        let state = match kek.kek.retired_at {
            _ if id == current => "in use".to_owned(),
            Some(at) => format!("retired {}", shown(at)),
            None if keys == 0 => "may be retired".to_owned(),
            None => "being replaced by the workers".to_owned(),
        };
        println!("{id}: {keys} data keys, {state}");
    }
    Ok(())
}

/// First in the store, so that nothing comes to be wrapped under it; then where it is kept.
async fn retire_kek(dir: &Path, kid: &str) -> Result<(), Box<dyn Error>> {
    let world = World::connect()?;
    let direct = world.main.sealed_directly_under(kid).await?;
    if direct > 0 {
        return Err(format!("{direct} values are sealed under {kid} itself, from before there were data keys").into());
    }
    use_cases::retire_kek(world.deps(), &world.keks, &world.operator(), &kid.parse()?).await?;
    let path = retire_sealing(dir, kid, world.clock.now())?;
    println!("wiped {}", path.display());
    println!("replace it on other machines by this file, too");
    Ok(())
}
