//! Servers of a test's own, to be stopped, frozen and killed.

use super::{assignment, environment, environment::dev_dir};
use std::{
    collections::HashMap,
    path::PathBuf,
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
