//! Servers of a test's own, to be stopped, frozen and killed.

use super::{SOON, assignment, environment, environment::dev_dir, until};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Private servers in a directory of their own. Removed when dropped.
pub struct Servers {
    directory: PathBuf,
    variables: HashMap<String, String>,
}

impl Servers {
    /// Starts `postgres`, `redis` or `rabbitmq`.
    pub async fn start(name: &str, kinds: &[&str]) -> Self {
        // Where `make stop` looks, should all else fail.
        let directory = dev_dir(&environment().root).join(format!("faults-{name}-{}", environment().run));
        environment().bequeath("servers", &directory.to_string_lossy());
        let mut servers = Self { directory, variables: HashMap::new() };
        servers.call("up", kinds).await;
        for line in servers.call("env", &[]).await.lines() {
            servers.variables.extend(assignment(line));
        }
        servers
    }

    /// A line of its `servers.env`.
    pub fn variable(&self, name: &str) -> &str {
        self.variables.get(name).unwrap_or_else(|| panic!("these servers have no {name}"))
    }

    /// A line of its `secrets.env`.
    pub(crate) fn secret(&self, name: &str) -> String {
        let secrets = std::fs::read_to_string(self.directory.join("secrets.env")).expect("the servers' secrets");
        let line = secrets.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("these servers have no {name}")).to_owned()
    }

    /// Stops one in good order: `redis-2`.
    pub async fn stop(&self, name: &str) {
        self.call("stop-one", &[name]).await;
    }

    /// Starts one again, on its port, and waits until it answers.
    pub async fn start_one(&self, name: &str) {
        self.call("start-one", &[name]).await;
    }

    /// Sends one a signal.
    pub async fn signal(&self, name: &str, signal: &str) {
        let pid = self.call("pid", &[name]).await;
        let sent = Command::new("kill").args([&format!("-{signal}"), pid.trim()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{name} can't be sent {signal}");
    }

    /// Waits until a killed broker would find its quorum queues again.
    ///
    /// Their messages are on disk before they are confirmed, but the table that says which queues there are (ra's
    /// `names.dets`, saved when it was left alone for 500 ms) is not: a queue declared just before the kill is in no list
    /// after it and has no leader, ever.
    pub async fn queues_on_disk(&self) {
        let data = self.directory.join("data/rabbitmq");
        let table = find(&data, "names.dets").expect("the broker's table of quorum queues");
        let queues = table.parent().expect("a directory");
        until("the broker's list of queues is on disk", SOON, async || {
            let saved = std::fs::read(&table).unwrap_or_default();
            subdirectories(queues).iter().all(|queue| contains(&saved, queue.as_bytes()))
        })
        .await;
    }

    async fn call(&self, command: &str, arguments: &[&str]) -> String {
        let mut servers = Command::new("infra/dev/servers");
        servers.arg(command).arg("--dir").arg(&self.directory).args(arguments).current_dir(&environment().root);
        servers.stdin(Stdio::null());
        let what = format!("servers {command} {arguments:?}");
        let output = tokio::task::spawn_blocking(move || servers.output()).await.expect("a thread").expect("a shell");
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let mut down = Command::new("infra/dev/servers");
        down.args(["down", "--clean", "--dir"]).arg(&self.directory).current_dir(&environment().root);
        drop(down.stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}

fn subdirectories(of: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(of).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn find(within: &Path, name: &str) -> Option<PathBuf> {
    let here = within.join(name);
    if here.exists() {
        return Some(here);
    }
    subdirectories(within).iter().find_map(|directory| find(&within.join(directory), name))
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
