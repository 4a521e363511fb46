//! Where the running stack is: what `infra/dev/stack up` has written down.

use crate::Fallible;
use amrutam_tests::support::assignment;
use std::{
    collections::HashMap,
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};
use tokio_postgres::{Client, NoTls, config::Host};
use url::Url;

const ENV_FILE: &str = "stack.env";

pub(crate) struct Stack {
    pub(crate) root: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) api: SocketAddr,
    values: HashMap<String, String>,
}

impl Stack {
    pub(crate) fn find() -> Fallible<Self> {
        let here = env::current_dir()?;
        let root = here.ancestors().find(|path| path.join("infra/dev/servers").is_file());
        let root =
            root.ok_or("not inside the repository: there is no infra/dev/servers above the working directory")?;
        let dir = root.join(env::var_os("AMRUTAM_DEV_DIR").map_or_else(|| PathBuf::from(".dev"), PathBuf::from));
        let file = dir.join(ENV_FILE);
        let text = fs::read_to_string(&file)
            .map_err(|error| format!("{}: {error}; start the stack first: make run", file.display()))?;
        let values: HashMap<_, _> = text.lines().filter_map(assignment).collect();
        let api = loopback(values.get("API_URL").ok_or("stack.env has no API_URL")?)?;
        Ok(Self { root: root.to_owned(), dir, api, values })
    }

    pub(crate) fn value(&self, key: &str) -> Fallible<&str> {
        Ok(self.values.get(key).ok_or_else(|| format!("{ENV_FILE} has no {key}"))?)
    }

    /// The owner's connection settings: nobody else can prepare data in bulk.
    pub(crate) fn admin(&self) -> Fallible<tokio_postgres::Config> {
        let config: tokio_postgres::Config = self.value("ADMIN_DATABASE_URL")?.parse()?;
        let local = |host: &Host| match host {
            Host::Tcp(name) => matches!(name.as_str(), "127.0.0.1" | "::1" | "localhost"),
            Host::Unix(_) => true,
        };
        if config.get_hosts().iter().all(local) {
            Ok(config)
        } else {
            Err("the database is not on this machine; load goes to loopback only".into())
        }
    }

    pub(crate) async fn database(&self) -> Fallible<Client> {
        let (client, connection) = self.admin()?.application_name("amrutam-bench").connect(NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("the connection to the database ended: {error}");
            }
        });
        Ok(client)
    }

    /// A process that the stack or its servers started, by the name of its pid file.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        fs::read_to_string(self.dir.join("run").join(format!("{name}.pid"))).ok()?.trim().parse().ok()
    }

    /// Runs `infra/dev/servers` and gives what it prints.
    pub(crate) fn servers(&self, command: &str, name: &str) -> Fallible<String> {
        let output = Command::new(self.root.join("infra/dev/servers"))
            .args([command, "--dir"])
            .arg(&self.dir)
            .arg(name)
            .output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(format!("servers {command} {name}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
        }
    }

    /// The program the api runs from.
    pub(crate) fn api_program(&self) -> Fallible<PathBuf> {
        let pid = self.pid("api").ok_or("the api does not run; make run starts it")?;
        let program = fs::read_link(format!("/proc/{pid}/exe"))?;
        // The kernel says so when the file was replaced; the path is then that of the newer one.
        let text = program.to_string_lossy();
        Ok(text.strip_suffix(" (deleted)").map_or_else(|| program.clone(), PathBuf::from))
    }
}

/// Cargo names the directory of its programs after their profile.
pub(crate) fn profile(program: &Path) -> String {
    program
        .parent()
        .and_then(Path::file_name)
        .map_or_else(|| "unknown".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn loopback(url: &str) -> Fallible<SocketAddr> {
    let url = Url::parse(url)?;
    let address = url.socket_addrs(|| None)?.into_iter().find(|address| address.ip().is_loopback());
    Ok(address.ok_or("the API is not on this machine; load goes to loopback only")?)
}
