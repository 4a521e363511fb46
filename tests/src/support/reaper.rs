//! Reads what a test run leaves behind, waits for its end (also by a signal), and tidies up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "nobody is left to hear more than a panic"
)]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader, Write, stdin, stdout},
    path::Path,
    process::{Command, Stdio},
};
use tokio::runtime::Runtime;

/// What a run leaves behind.
#[derive(Default)]
struct Estate {
    pids: BTreeSet<String>,
    databases: Vec<String>,
    prefixes: Vec<String>,
    servers: Vec<String>,
}

impl Estate {
    fn add(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("pid", pid)) => drop(self.pids.insert(pid.to_owned())),
            Some(("database", name)) => self.databases.push(name.to_owned()),
            Some(("amqp", prefix)) => self.prefixes.push(prefix.to_owned()),
            Some(("servers", directory)) => self.servers.push(directory.to_owned()),
            _ => {}
        }
    }

    /// True if all is gone, as far as it can be told.
    fn settle(&self, run: &str, admin_url: &str, amqp_url: &str, runtime: &Runtime) -> bool {
        // The run's name in its environment tells a process of ours from one that got its number later.
        let mark = format!("AMRUTAM_TEST_RUN={run}");
        for pid in &self.pids {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            if environment.split(|&byte| byte == 0).any(|entry| entry == mark.as_bytes()) {
                kill(pid);
            }
        }
        let mut gone = runtime.block_on(async {
            let databases = drop_databases(admin_url, &self.databases).await;
            drop_queues(amqp_url, &self.prefixes).await && databases
        });
        for directory in &self.servers {
            let mut down = Command::new("infra/dev/servers");
            down.args(["down", "--clean", "--dir", directory]).stdout(Stdio::null()).stderr(Stdio::null());
            gone &= down.status().is_ok_and(|status| status.success());
        }
        gone
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (run, admin_url, amqp_url, journal) = (&arguments[1], &arguments[2], &arguments[3], Path::new(&arguments[4]));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for orphan in fs::read_dir(journal.parent().unwrap()).into_iter().flatten().flatten() {
        settle_orphan(&orphan.path(), admin_url, amqp_url, &runtime);
    }
    let mut estate = Estate::default();
    for line in stdin().lock().lines().map_while(Result::ok) {
        drop(writeln!(stdout(), "{line}"));
        estate.add(&line);
    }
    if estate.settle(run, admin_url, amqp_url, &runtime) {
        drop(fs::remove_file(journal));
    }
}

/// What a run left whose reaper was killed, too: nobody holds its journal any more.
fn settle_orphan(journal: &Path, admin_url: &str, amqp_url: &str, runtime: &Runtime) {
    let Ok(file) = File::open(journal) else { return };
    if file.try_lock().is_err() {
        return;
    }
    let mut estate = Estate::default();
    BufReader::new(&file).lines().map_while(Result::ok).for_each(|line| estate.add(&line));
    let run = journal.file_name().unwrap_or_default().to_string_lossy();
    if estate.settle(&run, admin_url, amqp_url, runtime) {
        drop(fs::remove_file(journal));
    }
}

fn kill(pid: &str) {
    drop(Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status());
}

async fn drop_databases(admin_url: &str, databases: &[String]) -> bool {
    let Ok((client, connection)) = tokio_postgres::connect(admin_url, tokio_postgres::NoTls).await else {
        return databases.is_empty();
    };
    tokio::spawn(connection);
    let mut gone = true;
    for name in databases {
        gone &= client.batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await.is_ok();
    }
    gone
}

async fn drop_queues(url: &str, prefixes: &[String]) -> bool {
    use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
    drop(rustls::crypto::ring::default_provider().install_default());
    let Ok(connection) = lapin::Connection::connect(url, lapin::ConnectionProperties::default()).await else {
        return prefixes.is_empty();
    };
    let Ok(channel) = connection.create_channel().await else { return false };
    let mut gone = true;
    for prefix in prefixes {
        for queue in amrutam_tests::support::queues(prefix) {
            gone &= channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await.is_ok();
        }
        for exchange in ["events", "dead"] {
            let name = format!("{prefix}.{exchange}");
            gone &= channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()).await.is_ok();
        }
    }
    gone
}
