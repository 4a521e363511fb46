//! Where servers, binaries and files are.

use std::{
    collections::BTreeSet,
    fs::File,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{Mutex, OnceLock},
};

/// What all tests of one run share.
pub struct Environment {
    /// Names this run: in databases, queues, locks and directories.
    pub run: String,
    /// The owner's log-in.
    pub admin_database_url: String,
    /// The application's log-in.
    pub database_url: String,
    /// The lock nodes.
    pub redis_urls: String,
    /// The broker.
    pub amqp_url: String,
    /// The repository.
    pub root: PathBuf,
    /// Where the binaries are.
    pub bin: PathBuf,
    /// Logs of this run.
    pub logs: PathBuf,
    /// What outlives a run: keys.
    pub cache: PathBuf,
    reaper: Mutex<ChildStdin>,
}

/// The one of this run.
pub fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(Environment::find)
}

impl Environment {
    fn find() -> Self {
        let variable = |name: &str| {
            std::env::var(name)
                .unwrap_or_else(|_| panic!("{name} is not set: these tests need servers; run `make test`"))
        };
        let exe = std::env::current_exe().expect("the test's own path");
        let bin = exe.ancestors().nth(2).expect("target/<profile>/deps/<test>").to_owned();
        for name in ["amrutam-api", "amrutam-worker", "amrutam-sandbox", "amrutamctl", "amrutam-test-reaper"] {
            assert!(
                bin.join(name).is_file(),
                "there is no {name} beside the tests: `cargo build --workspace --bins` first, or run `make test`"
            );
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the repository").to_owned();
        let target = bin.parent().expect("a target directory").to_owned();
        let run = format!("t{}-{:06x}", std::process::id(), rand::random::<u32>() >> 8);
        let logs = target.join("tmp").join("it").join(&run);
        let cache = target.join("tmp").join("it-cache");
        for directory in [&logs, &cache] {
            std::fs::create_dir_all(directory).expect("a directory under target/tmp");
        }
        forget_old_logs(&target.join("tmp").join("it"));
        let admin_database_url = variable("ADMIN_DATABASE_URL");
        let amqp_url = variable("AMQP_URL");
        // Outlives us, however we end, and tidies up. It writes down what it was told, for the next one should it be killed;
        // the lock, which it inherits, tells that one and `make test` that somebody is at it.
        let journals = dev_dir(&root).join("tests");
        std::fs::create_dir_all(&journals).expect("a directory for what tests leave behind");
        let journal = journals.join(&run);
        let file = File::create(&journal).and_then(|file| file.lock().map(|()| file)).expect("a journal");
        let mut reaper = Command::new(bin.join("amrutam-test-reaper"));
        reaper.args([&run, &admin_database_url, &amqp_url]).arg(&journal).current_dir(&root).stdin(Stdio::piped());
        reaper.stdout(file).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut reaper, 0);
        let reaper = reaper.spawn().expect("the reaper starts").stdin.take().expect("it is piped");
        Self {
            database_url: variable("DATABASE_URL"),
            redis_urls: variable("REDIS_URLS"),
            admin_database_url,
            amqp_url,
            run,
            root,
            bin,
            logs,
            cache,
            reaper: Mutex::new(reaper),
        }
    }

    /// To be tidied up after the run.
    pub(crate) fn bequeath(&self, kind: &str, name: &str) {
        let mut reaper = self.reaper.lock().unwrap();
        writeln!(reaper, "{kind} {name}").expect("the reaper lives");
    }
}

/// Where the development servers are, as in `infra/dev`.
pub(crate) fn dev_dir(root: &Path) -> PathBuf {
    root.join(std::env::var_os("AMRUTAM_DEV_DIR").map_or_else(|| PathBuf::from(".dev"), PathBuf::from))
}

/// Of the last runs some are kept, to be read.
fn forget_old_logs(logs: &Path) {
    let Ok(entries) = std::fs::read_dir(logs) else { return };
    let mut runs: Vec<_> =
        entries.flatten().filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    runs.sort();
    for (_, path) in runs.iter().rev().skip(8) {
        drop(std::fs::remove_dir_all(path));
    }
}

/// A port nobody listens on, outside the range the kernel hands out for outgoing connections. Each is given once: who got
/// one may not listen yet.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = rand::random_range(10_000..20_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && GIVEN.lock().unwrap().insert(port) {
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports: BTreeSet<_> = (0..1_000).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 1_000);
    }
}
