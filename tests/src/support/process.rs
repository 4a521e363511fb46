//! One process of the service, with its log.

use super::{environment, eventually};
use std::{
    fs::{File, OpenOptions},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Mutex,
    time::Duration,
};

/// How a process ends at a crash point.
const SIGABRT: i32 = 6;

/// A process that can be started, killed and started again with the same settings. Killed when dropped.
pub struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// Not started yet. `program` is a binary of the workspace.
    pub fn new(name: &str, program: &str, variables: Vec<(String, String)>) -> Self {
        Self {
            name: name.to_owned(),
            program: environment().bin.join(program),
            arguments: vec![],
            variables,
            log: environment().logs.join(format!("{name}.log")),
            child: Mutex::new(None),
        }
    }

    /// The same with arguments.
    pub fn with_arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        self
    }

    /// The same with a point at which it dies: `task.claimed:2`. Not started.
    pub fn mortal(&self, point: &str) -> Self {
        let crash = ("AMRUTAM_CRASH_AT".to_owned(), point.to_owned());
        Self {
            name: self.name.clone(),
            program: self.program.clone(),
            arguments: self.arguments.clone(),
            variables: self.variables.iter().cloned().chain([crash]).collect(),
            log: self.log.clone(),
            child: Mutex::new(None),
        }
    }

    /// Starts it. Its log goes on where it ended.
    pub fn start(&self) {
        let mut child = self.child.lock().unwrap();
        assert!(child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().create(true).append(true).open(&self.log).expect("a log file");
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(self.variables.iter().map(|(key, value)| (key, value)));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("AMRUTAM_TEST_RUN", &environment().run);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log file")).stderr(log);
        // Not in the terminal's group: Ctrl-C is for the tests, and the reaper's.
        let spawned = command.process_group(0).spawn().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        environment().bequeath("pid", &spawned.id().to_string());
        *child = Some(spawned);
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.lock().unwrap().as_ref().unwrap_or_else(|| panic!("{} does not run", self.name)).id()
    }

    /// SIGKILL, and wait for the end.
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Any signal, by name.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} can't be sent {signal}", self.name);
    }

    /// Waits for it to end by itself.
    pub async fn ended(&self, within: Duration) -> ExitStatus {
        let status = eventually(&format!("{} ends", self.name), within, async || self.exit_status()).await;
        *self.child.lock().unwrap() = None;
        status
    }

    /// Waits until it has died where it was told to: by its own hand, not of an error, and not by somebody else's.
    pub async fn dies(&self, within: Duration) {
        let status = self.ended(within).await;
        assert_eq!(status.signal(), Some(SIGABRT), "{} ended otherwise: {status}", self.name);
    }

    /// How it ended, if it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().as_mut().and_then(|child| child.try_wait().expect("it is our child"))
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Where it logs.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// The last lines, for a failed test.
    pub fn print_tail(&self, lines: usize) {
        let log = self.log();
        let all: Vec<_> = log.lines().collect();
        eprintln!("--- {} ({}):", self.name, self.log.display());
        for line in all.iter().skip(all.len().saturating_sub(lines)) {
            eprintln!("{line}");
        }
    }

    /// Runs a program of the workspace to its end, and gives what it wrote. Panics when it fails.
    pub async fn output(program: &str, arguments: &[&str], variables: &[(&str, &str)], input: &str) -> String {
        match Self::outcome(program, arguments, variables, input).await {
            Ok(output) => output,
            Err(refused) => panic!("{program} {arguments:?}: {refused}"),
        }
    }

    /// What a program says when it ends well, or else.
    pub async fn outcome(
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
        input: &str,
    ) -> Result<String, String> {
        let stdin = environment().logs.join(format!("stdin-{:x}", rand::random::<u64>()));
        std::fs::write(&stdin, input).expect("a file");
        let mut command = Command::new(environment().bin.join(program));
        command.args(arguments).env_clear().envs(variables.iter().copied()).stdin(File::open(&stdin).expect("a file"));
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect(program);
        drop(std::fs::remove_file(stdin));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
