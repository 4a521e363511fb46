//! A database for each stack, and a look into it.

use super::{Process, environment, eventually, unique};
use std::{
    fmt::Display,
    io::Write,
    process::{Command, Stdio},
    str::FromStr,
    time::Duration,
};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage, error::SqlState};
use url::Url;

/// A migrated database without data.
pub struct Database {
    /// The owner's way in.
    pub admin_url: String,
    /// The application's way in.
    pub url: String,
}

impl Database {
    /// On the server that all tests share: a copy of one that was migrated once.
    pub(crate) async fn of_template() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let environment = environment();
        let template = TEMPLATE.get_or_init(async || {
            let name = format!("amrutam_it_{}_template", environment.run).replace('-', "_");
            environment.bequeath("database", &name);
            create(&environment.admin_database_url, &name, "").await;
            migrate(&with_path(&environment.admin_database_url, &name)).await;
            name
        });
        let template = template.await;
        let name = unique(&format!("amrutam_it_{}", environment.run)).replace('-', "_");
        environment.bequeath("database", &name);
        create(&environment.admin_database_url, &name, &format!("TEMPLATE \"{template}\"")).await;
        Self {
            admin_url: with_path(&environment.admin_database_url, &name),
            url: with_path(&environment.database_url, &name),
        }
    }

    /// On a server of a test's own.
    pub(crate) async fn migrated(admin_url: &str, url: &str) -> Self {
        migrate(admin_url).await;
        Self { admin_url: admin_url.to_owned(), url: url.to_owned() }
    }

    /// A copy of what is there now but for the data keys, as a backup of the main database is. Needs no rights but the owner's.
    pub async fn backup(&self) -> String {
        let output = pg("pg_dump", &["--exclude-schema=keys", "--no-owner", &self.admin_url], None).await;
        String::from_utf8(output).expect("SQL")
    }

    /// Everything, as the owner may dump it.
    pub async fn whole_dump(&self) -> String {
        String::from_utf8(pg("pg_dump", &[&self.admin_url], None).await).expect("SQL")
    }

    /// Another database on the same server, made of a backup; `also` comes after it.
    pub async fn restored(&self, backup: &str, also: &str) -> Self {
        let empty = self.empty("restored").await;
        let script = format!("\\set ON_ERROR_STOP on\n{backup}\n{also}");
        pg("psql", &["--quiet", "--no-psqlrc", "--dbname", &empty.admin_url], Some(script)).await;
        empty
    }

    async fn empty(&self, stem: &str) -> Self {
        let environment = environment();
        let name = unique(&format!("amrutam_it_{}_{stem}", environment.run)).replace('-', "_");
        environment.bequeath("database", &name);
        create(&self.admin_url, &name, "").await;
        Self { admin_url: with_path(&self.admin_url, &name), url: with_path(&self.url, &name) }
    }

    /// Gives the data keys a database of their own, and its address.
    pub(crate) async fn keys_apart(&self) -> String {
        let apart = self.empty("keys").await;
        let variables = [
            ("AMRUTAM__DATABASE__ADMIN_URL", &*self.admin_url),
            ("AMRUTAM__DATABASE__URL", &*self.url),
            ("AMRUTAM__KEYS__ADMIN_URL", &*apart.admin_url),
            ("AMRUTAM__KEYS__DATABASE_URL", &*apart.url),
        ];
        Process::output("amrutamctl", &["migrate"], &variables, "").await;
        apart.url
    }

    /// Gives the log of accesses a database of its own, with the same schema.
    pub(crate) async fn log_apart(&self) -> Self {
        let apart = self.empty("log").await;
        migrate(&apart.admin_url).await;
        self.sql().await.execute("UPDATE audit_head SET elsewhere = true").await;
        apart
    }

    /// A side connection, as the owner.
    pub async fn sql(&self) -> Sql {
        Sql::connect(&self.admin_url).await.unwrap_or_else(|error| panic!("no side connection: {error}"))
    }
}

/// A program of PostgreSQL, of the newest version installed.
async fn pg(program: &str, arguments: &[&str], input: Option<String>) -> Vec<u8> {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = installed.map(|entry| entry.path().join("bin").join(program)).collect();
    versions.sort();
    let program = versions.into_iter().rfind(|path| path.is_file()).unwrap_or_else(|| program.into());
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = move || {
        let mut child = command.spawn()?;
        let mut stdin = child.stdin.take();
        // It reads while it writes; a script that fails early is not read to its end.
        let writer = std::thread::spawn(move || {
            let written = stdin.as_mut().zip(input).map(|(stdin, input)| stdin.write_all(input.as_bytes()));
            drop(written);
        });
        let output = child.wait_with_output();
        drop(writer.join());
        output
    };
    let output = tokio::task::spawn_blocking(run).await.expect("a thread").expect("PostgreSQL's own programs");
    assert!(output.status.success(), "{}: {}", program.display(), String::from_utf8_lossy(&output.stderr));
    output.stdout
}

async fn migrate(admin_url: &str) {
    let variables = [("AMRUTAM__DATABASE__ADMIN_URL", admin_url), ("AMRUTAM__DATABASE__URL", admin_url)];
    Process::output("amrutamctl", &["migrate"], &variables, "").await;
}

async fn create(admin_url: &str, name: &str, options: &str) {
    let sql = Sql::connect(admin_url).await.expect("the database server");
    let statement = format!("CREATE DATABASE \"{name}\" {options}");
    eventually("the database is made", Duration::from_secs(20), async || match sql.0.batch_execute(&statement).await {
        Ok(()) => Some(()),
        // Somebody is copying the template at this moment.
        Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => None,
        Err(error) => panic!("{statement}: {error:?}"),
    })
    .await;
}

fn with_path(url: &str, name: &str) -> String {
    let mut url: Url = url.parse().expect("a URL");
    url.set_path(name);
    url.into()
}

/// A connection for statements without parameters; values are texts, as psql shows them.
pub struct Sql(Client);

impl Sql {
    /// Connects.
    pub async fn connect(url: &str) -> Result<Self, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        Ok(Self(client))
    }

    /// The rows, absent values as empty texts.
    pub async fn rows(&self, query: &str) -> Vec<Vec<String>> {
        let messages = self.0.simple_query(query).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
            }
            _ => None,
        };
        messages.into_iter().filter_map(row).collect()
    }

    /// The first column.
    pub async fn column(&self, query: &str) -> Vec<String> {
        self.rows(query).await.into_iter().map(|mut row| row.swap_remove(0)).collect()
    }

    /// The only value.
    pub async fn value<T: FromStr<Err: Display>>(&self, query: &str) -> T {
        let rows = self.column(query).await;
        let [value] = rows.as_slice() else { panic!("{query}: {} rows", rows.len()) };
        value.parse().unwrap_or_else(|error| panic!("{query}: {value}: {error}"))
    }

    /// Runs it, and says how many rows it touched.
    pub async fn execute(&self, statement: &str) -> u64 {
        let messages = self.0.simple_query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        let count = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::CommandComplete(count) => Some(*count),
            _ => None,
        };
        messages.iter().filter_map(count).sum()
    }

    /// Every table of ours.
    pub async fn tables(&self) -> Vec<String> {
        self.column(
            "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname IN ('public', 'phi') AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1",
        )
        .await
    }

    /// Each table with a digest of all its rows: what a refused request must leave as it was.
    pub async fn digests(&self, but: &[&str]) -> Vec<(String, String)> {
        let mut digests = Vec::new();
        for table in self.tables().await.into_iter().filter(|table| !but.contains(&table.as_str())) {
            let query = format!("SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} AS t");
            let digest = self.column(&query).await.concat();
            digests.push((table, digest));
        }
        digests
    }
}
