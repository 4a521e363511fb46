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
    fs,
    io::{BufRead, stdin},
    process::{Command, Stdio},
};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (run, admin_database_url, amqp_url) = (&arguments[1], &arguments[2], &arguments[3]);
    let (mut databases, mut prefixes, mut servers, mut pids) = (vec![], vec![], vec![], BTreeSet::new());
    for line in stdin().lock().lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("pid", pid)) => drop(pids.insert(pid.to_owned())),
            Some(("database", name)) => databases.push(name.to_owned()),
            Some(("amqp", prefix)) => prefixes.push(prefix.to_owned()),
            Some(("servers", directory)) => servers.push(directory.to_owned()),
            _ => {}
        }
    }
    // The run's name in its environment tells a process of ours from one that got its number later.
    let mark = format!("AMRUTAM_TEST_RUN={run}");
    for pid in pids {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if environment.split(|&byte| byte == 0).any(|entry| entry == mark.as_bytes()) {
            kill(&pid);
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        drop_databases(admin_database_url, &databases).await;
        drop_queues(amqp_url, &prefixes).await;
    });
    for directory in servers {
        let mut down = Command::new("infra/dev/servers");
        down.args(["down", "--clean", "--dir", &directory]).stdout(Stdio::null()).stderr(Stdio::null());
        drop(down.status());
    }
}

fn kill(pid: &str) {
    drop(Command::new("kill").args(["-KILL", pid]).stderr(Stdio::null()).status());
}

async fn drop_databases(admin_url: &str, databases: &[String]) {
    let Ok((client, connection)) = tokio_postgres::connect(admin_url, tokio_postgres::NoTls).await else { return };
    tokio::spawn(connection);
    for name in databases {
        drop(client.batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await);
    }
}

async fn drop_queues(url: &str, prefixes: &[String]) {
    use lapin::options::{ExchangeDeleteOptions, QueueDeleteOptions};
    drop(rustls::crypto::ring::default_provider().install_default());
    let Ok(connection) = lapin::Connection::connect(url, lapin::ConnectionProperties::default()).await else { return };
    let Ok(channel) = connection.create_channel().await else { return };
    for prefix in prefixes {
        for queue in amrutam_tests::support::queues(prefix) {
            drop(channel.queue_delete(queue.as_str().into(), QueueDeleteOptions::default()).await);
        }
        for exchange in ["events", "dead"] {
            let name = format!("{prefix}.{exchange}");
            drop(channel.exchange_delete(name.as_str().into(), ExchangeDeleteOptions::default()).await);
        }
    }
}
