//! What the same server does for pgbench: plain statements on copies of the tables.

use crate::{
    Fallible,
    cpu::{Meter, Usage},
    stack::Stack,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};
use tokio_postgres::{Client, config::Host};

/// Fixed, because the scripts name it; a run that was cut off is cleared away by the next.
const SCHEMA: &str = "amrutam_bench";
/// Those that a booking writes, and those that they refer to.
const TABLES: [&str; 9] = [
    "accounts",
    "doctors",
    "slots",
    "consultations",
    "consultation_timeline",
    "patient_calendars",
    "idempotency_keys",
    "outbox",
    "audit_intake",
];
/// Each transaction needs a slot. Where more are done in a second than this, slots are used once more.
const FASTEST: u32 = 8_000;
/// In `five_statements.sql`, which has no calendars to keep apart.
const PATIENTS: u32 = 6_000;
const DOCTORS: u32 = 100;

const FUNCTIONS: &str = "
CREATE FUNCTION amrutam_bench.number_id(n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
  $$ SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;
CREATE FUNCTION amrutam_bench.uuid_v7() RETURNS uuid LANGUAGE sql VOLATILE AS
  $$ SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7'
             || substr(gen_random_uuid()::text, 16))::uuid $$";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    FiveStatements,
    SameRows,
}

pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) latency_ms: f64,
    pub(crate) usage: Usage,
}

impl Script {
    pub(crate) const ALL: [Self; 2] = [Self::FiveStatements, Self::SameRows];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::FiveStatements => "five plain statements",
            Self::SameRows => "same rows, plain statements",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::FiveStatements => "five_statements.sql",
            Self::SameRows => "same_rows.sql",
        }
    }
}

/// The scratch tables; they are dropped by [`Scratch::remove`].
pub(crate) struct Scratch<'a> {
    stack: &'a Stack,
    db: &'a Client,
    program: PathBuf,
}

impl<'a> Scratch<'a> {
    pub(crate) async fn create(stack: &'a Stack, db: &'a Client) -> Fallible<Self> {
        let program = find()?;
        db.batch_execute(&format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}; {FUNCTIONS}"))
            .await?;
        for table in TABLES {
            copy(db, table).await?;
        }
        for table in TABLES {
            refer(db, table).await?;
        }
        Ok(Self { stack, db, program })
    }

    pub(crate) async fn remove(self) -> Fallible<()> {
        Ok(self.db.batch_execute(&format!("DROP SCHEMA {SCHEMA} CASCADE")).await?)
    }

    /// One run on fresh tables.
    pub(crate) async fn measure(&self, script: Script, clients: u32, seconds: u32) -> Fallible<Rate> {
        let slots_per_client = (FASTEST * seconds / clients).max(16);
        self.fill(slots_per_client * clients).await?;
        let meter = Meter::start(self.stack)?;
        let output = self.run(script, clients, seconds, slots_per_client)?;
        let usage = meter.stop()?;
        let number = |label: &str| {
            let line = output.lines().find_map(|line| line.strip_prefix(label));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
                .ok_or_else(|| format!("pgbench did not print {label:?}"))
        };
        let done = number("number of transactions actually processed: ")?;
        let row = self.db.query_one(
            "SELECT (SELECT count(*) FROM amrutam_bench.consultations), (SELECT count(*) FROM amrutam_bench.slots WHERE status = 'booked')",
            &[],
        ).await?;
        let (made, booked): (i64, i64) = (row.get(0), row.get(1));
        // Fewer only where a client came round to its first slot again.
        let all_booked = booked == made || (booked < made && booked >= slots_per_client.into());
        if made as f64 != done || !all_booked {
            return Err(format!(
                "pgbench says {done} transactions, its tables {made} consultations and {booked} booked slots"
            )
            .into());
        }
        Ok(Rate { per_second: number("tps = ")?, latency_ms: number("latency average = ")?, usage })
    }

    async fn fill(&self, slots: u32) -> Fallible<()> {
        let tables = TABLES.map(|table| format!("{SCHEMA}.{table}")).join(", ");
        let accounts = slots.max(PATIENTS).max(DOCTORS);
        self.db.batch_execute(&format!(
            "TRUNCATE {tables};
             INSERT INTO {SCHEMA}.accounts (id, role, status, email_index, time_zone, version, created_at)
               SELECT {SCHEMA}.number_id(n), 'patient', 'active', uuid_send({SCHEMA}.number_id(n)), 'Asia/Kolkata', 1, now()
               FROM generate_series(0, {accounts} - 1) AS n;
             INSERT INTO {SCHEMA}.doctors
               SELECT {SCHEMA}.number_id(n), {SCHEMA}.number_id(n), 'Benchmark practitioner', d.system, d.council, n::text, d.registered_on, NULL,
                 d.qualifications, d.specializations, d.languages, d.modes, d.fee_amount, d.fee_currency, '', d.time_zone, 'listed', 1, now(), now()
               FROM generate_series(0, {DOCTORS} - 1) AS n, (SELECT * FROM public.doctors LIMIT 1) AS d;
             INSERT INTO {SCHEMA}.slots (id, doctor_id, starts_at, ends_at, modes, status, version)
               SELECT {SCHEMA}.number_id(n), {SCHEMA}.number_id(n % {DOCTORS}), at, at + interval '15 minutes', ARRAY['video', 'audio', 'chat'], 'open', 1
               FROM generate_series(0, {slots} - 1) AS n,
                 LATERAL (SELECT date_trunc('day', now()) + (n / {DOCTORS}) * interval '15 minutes' AS at) AS t;
             ANALYZE {SCHEMA}.accounts; ANALYZE {SCHEMA}.doctors; ANALYZE {SCHEMA}.slots",
        )).await?;
        Ok(())
    }

    fn run(&self, script: Script, clients: u32, seconds: u32, slots_per_client: u32) -> Fallible<String> {
        let config = self.stack.admin()?;
        let mut command = Command::new(&self.program);
        match config.get_hosts().first() {
            Some(Host::Tcp(name)) => command.args(["-h", name]),
            Some(Host::Unix(path)) => command.arg("-h").arg(path),
            None => return Err("ADMIN_DATABASE_URL names no host".into()),
        };
        // Not on the command line, where everybody sees it.
        if let Some(password) = config.get_password() {
            command.env("PGPASSWORD", String::from_utf8_lossy(password).as_ref());
        }
        command.args(["-p", &config.get_ports().first().unwrap_or(&5432).to_string()]);
        command.args(["-U", config.get_user().unwrap_or_default()]);
        command.args(["-n", "-M", "prepared", "-c", &clients.to_string(), "-j", "1", "-T", &seconds.to_string()]);
        command.args([
            "-D",
            "i=0",
            "-D",
            &format!("slots_per_client={slots_per_client}"),
            "-D",
            &format!("patients={PATIENTS}"),
        ]);
        command.arg("-f").arg(self.stack.root.join("tests/bench").join(script.file()));
        command.arg(config.get_dbname().unwrap_or_default());
        let output = command.output()?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(format!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
        }
    }
}

/// The real table's foreign keys, which LIKE leaves out, between the copies.
async fn refer(db: &Client, table: &str) -> Fallible<()> {
    let keys = db
        .query(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint
               WHERE contype = 'f' AND conparentid = 0 AND conrelid = $1::text::regclass",
            &[&format!("public.{table}")],
        )
        .await?;
    for row in keys {
        let key: String = row.get(0);
        db.batch_execute(&format!(
            "BEGIN; SET LOCAL search_path = {SCHEMA}, public; ALTER TABLE {SCHEMA}.{table} ADD {key}; COMMIT"
        ))
        .await?;
    }
    Ok(())
}

/// A table with the columns, checks, indexes and storage of the real one, and its partitions; without its grants.
async fn copy(db: &Client, table: &str) -> Fallible<()> {
    let row = db
        .query_one(
            "SELECT pg_get_partkeydef(oid), array_to_string(reloptions, ', ') FROM pg_class WHERE oid = $1::text::regclass",
            &[&format!("public.{table}")],
        )
        .await?;
    let (partitioning, storage): (Option<String>, Option<String>) = (row.get(0), row.get(1));
    let partitioning = partitioning.map(|key| format!("PARTITION BY {key}")).unwrap_or_default();
    let storage = storage.map(|options| format!("WITH ({options})")).unwrap_or_default();
    db.batch_execute(&format!(
        "CREATE TABLE {SCHEMA}.{table} (LIKE public.{table} INCLUDING ALL) {partitioning} {storage}"
    ))
    .await?;
    let partitions = db
        .query(
            "SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
               WHERE inhparent = $1::text::regclass",
            &[&format!("public.{table}")],
        )
        .await?;
    for row in partitions {
        let (name, bounds): (String, String) = (row.get(0), row.get(1));
        db.batch_execute(&format!("CREATE TABLE {SCHEMA}.{name} PARTITION OF {SCHEMA}.{table} {bounds}")).await?;
    }
    Ok(())
}

fn find() -> Fallible<PathBuf> {
    let in_path = env::var_os("PATH").into_iter().flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
    let mut packaged: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    packaged.sort();
    let mut places = in_path.chain(packaged.into_iter().rev());
    let found = places.find_map(|place| Some(place.join("pgbench")).filter(|path| Path::is_file(path)));
    Ok(found
        .ok_or("pgbench is neither in PATH nor in /usr/lib/postgresql/*/bin; PostgreSQL's server package has it")?)
}
