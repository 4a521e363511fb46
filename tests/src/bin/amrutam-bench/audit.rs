//! What the audit trail bears: entries sealed and verified per second, in a database of its own that is dropped at the end.

use crate::{Fallible, booking::met};
use amrutam_audit::{
    model::{Algorithm, NoteSigner},
    use_cases::{SealDeps, Sealer},
};
use amrutam_crypto::{SystemClock, SystemIds};
use amrutam_kernel::{AccountId, Actor, AuditEntry, AuditEntryId, AuditTrail, Clock, Context, IdSource, Outcome, Role};
use amrutam_postgres::{AuditRange, Postgres, Settings};
use clap::Args;
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};
use url::Url;

const DATABASE: &str = "amrutam_bench_audit";
const LAG_SECONDS: f64 = 2.0;
const VERIFIED_PER_SECOND: f64 = 200_000.0;
/// As the worker does.
const REST: Duration = Duration::from_secs(1);
const MANY: u64 = 256;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Entries a second that come in.
    #[arg(long, default_value_t = 5_000)]
    rate: u32,
    /// For so long.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Entries that are sealed as fast as can be, before and besides.
    #[arg(long, default_value_t = 200_000)]
    fill: u64,
    /// Entries that are put into the log unsealed at the end, for plans and times of searches: 20 million take 15 GB.
    #[arg(long, default_value_t = 0)]
    searched: u64,
}

pub(crate) async fn run(options: &Options) -> Fallible<bool> {
    let admin: Url = std::env::var("ADMIN_DATABASE_URL")?.parse()?;
    let app: Url = std::env::var("DATABASE_URL")?.parse()?;
    if !matches!(admin.host_str(), Some("127.0.0.1" | "localhost" | "::1")) {
        return Err("the database is not on this machine; load goes to loopback only".into());
    }
    let of = |url: &Url| {
        let mut url = url.clone();
        url.set_path(DATABASE);
        url
    };
    let server = client(&admin).await?;
    server.batch_execute(&format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")).await?;
    server.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
    let (options, owner, app) = (options.clone_of(), of(&admin), of(&app));
    // A runtime like the worker's.
    let measured = tokio::task::spawn_blocking(move || -> Result<bool, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        runtime.block_on(measure(&options, &owner, &app)).map_err(|error| error.to_string())
    })
    .await?;
    server.batch_execute(&format!("DROP DATABASE {DATABASE} WITH (FORCE)")).await?;
    Ok(measured?)
}

impl Options {
    fn clone_of(&self) -> Self {
        Self { rate: self.rate, seconds: self.seconds, fill: self.fill, searched: self.searched }
    }
}

async fn client(url: &Url) -> Fallible<Client> {
    let (client, connection) = tokio_postgres::connect(url.as_str(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn measure(options: &Options, owner_url: &Url, app_url: &Url) -> Fallible<bool> {
    amrutam_postgres::migrate(owner_url.as_str()).await?;
    let store = Postgres::connect(&Settings::for_url(app_url.as_str().parse()?))?;
    let signer = NoteSigner::new("amrutam.example/audit", Algorithm::Ed25519, &[7; 32])?;
    let owner = client(owner_url).await?;
    let filled = fill(options, &owner, &store, &signer).await?;
    let sealed = seal_at_rate(options, &store, &signer).await?;
    let verified = verify(&store, &signer).await?;
    if options.searched > 0 {
        search(options.searched, &owner).await?;
    }
    Ok(filled && sealed && verified)
}

/// As fast as can be, told by tenths, so that a cost that grows with the log would show.
async fn fill(options: &Options, owner: &Client, store: &Postgres, signer: &NoteSigner) -> Fallible<bool> {
    if options.fill == 0 {
        return Ok(true);
    }
    let sql = "INSERT INTO audit_intake (entry) SELECT jsonb_build_object('id', (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
          || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid, 'occurred_at', at,
        'actor', 'doctor:' || md5((n % 500)::text)::uuid, 'actor_id', md5((n % 500)::text)::uuid, 'role', 'doctor', 'purpose', 'treatment',
        'action', 'consultation.read', 'resource_kind', 'consultation', 'resource_id', md5(n::text)::uuid,
        'patient_id', md5('p' || n % 100000)::uuid, 'outcome', 'allowed', 'correlation_id', md5('f' || n)::uuid,
        'origin', '203.0.113.0/24', 'ruleset', NULL, 'break_glass', false)
      FROM generate_series($1::bigint, $2::bigint) AS n, LATERAL (SELECT clock_timestamp() AS at) AS t";
    let deps = SealDeps { intake: store, log: store, signer, clock: &SystemClock };
    let mut sealer = Sealer::begin(deps).await?;
    let (part, mut rates) = (options.fill / 10, Vec::new());
    for tenth in 0..10 {
        let (from, to) = (i64::try_from(tenth * part)?, i64::try_from((tenth + 1) * part - 1)?);
        owner.execute(sql, &[&from, &to]).await?;
        let began = Instant::now();
        let mut done = 0;
        while done < part {
            done += sealer.round(deps).await?;
        }
        rates.push(part as f64 / began.elapsed().as_secs_f64());
    }
    let shown: Vec<_> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    println!(
        "sealed       {} entries as fast as can be; entries/s by tenths of the log: {}",
        part * 10,
        shown.join(" ")
    );
    Ok(true)
}

fn entry(n: u64) -> AuditEntry {
    let (clock, ids) = (SystemClock, SystemIds);
    let now = clock.now();
    let id = || ids.uuid_v7(now);
    let actor = Actor::Account { id: AccountId::from_uuid(id()), role: Role::Doctor };
    let context = Context { actor, ..Context::of_system("bench", id().into()) };
    let resource = id().to_string();
    let entry = AuditEntry::new(
        AuditEntryId::from_uuid(id()),
        now,
        &context,
        "consultation.read",
        "consultation",
        resource,
        Outcome::Allowed,
    );
    if n.is_multiple_of(2) { entry.about(AccountId::from_uuid(id())) } else { entry }
}

/// Reads that come in at a rate, and a sealer that does as the worker's does.
async fn seal_at_rate(options: &Options, store: &Postgres, signer: &NoteSigner) -> Fallible<bool> {
    const TICK: Duration = Duration::from_millis(20);
    let per_tick = u64::from(options.rate) / 50;
    let writers = {
        let (store, ticks) = (store.clone(), u64::from(options.seconds) * 50);
        tokio::spawn(async move {
            let mut every = tokio::time::interval(TICK);
            let mut under_way = tokio::task::JoinSet::new();
            for _ in 0..ticks {
                every.tick().await;
                // As twenty requests at a time.
                for part in 0..20 {
                    let store = store.clone();
                    let entries: Vec<_> = (0..per_tick / 20).map(|n| entry(n + part)).collect();
                    under_way.spawn(async move { store.record(entries).await });
                }
                while let Some(done) = under_way.try_join_next() {
                    done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
                }
            }
            while let Some(done) = under_way.join_next().await {
                done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(ticks * (per_tick / 20 * 20))
        })
    };
    let lag = {
        let (store, watched) = (store.clone(), Duration::from_secs(options.seconds.into()));
        tokio::spawn(async move {
            let (began, mut worst) = (Instant::now(), 0.0_f64);
            while began.elapsed() < watched {
                tokio::time::sleep(Duration::from_millis(200)).await;
                if let Ok((_, seconds)) = store.audit_waiting().await {
                    worst = worst.max(seconds);
                }
            }
            worst
        })
    };
    let deps = SealDeps { intake: store, log: store, signer, clock: &SystemClock };
    let mut sealer = Sealer::begin(deps).await?;
    let (before, began) = (sealer.size(), Instant::now());
    loop {
        let sealed = sealer.round(deps).await?;
        if sealed == 0 && writers.is_finished() {
            break;
        }
        if sealed < MANY {
            tokio::time::sleep(REST).await;
        }
    }
    let came = writers.await??;
    let (sealed, worst, seconds) = (sealer.size() - before, lag.await?, began.elapsed().as_secs_f64());
    println!(
        "rate         {came} entries in {seconds:.1} s ({:.0}/s), {sealed} sealed; the oldest waited {worst:.2} s; target: under {LAG_SECONDS}: {}",
        came as f64 / f64::from(options.seconds),
        met(worst < LAG_SECONDS && sealed == came)
    );
    Ok(worst < LAG_SECONDS && sealed == came)
}

async fn verify(store: &Postgres, signer: &NoteSigner) -> Fallible<bool> {
    let began = Instant::now();
    let report = store.verify_audit(&signer.verifier(), &[], AuditRange::default(), |_| ()).await?;
    let rate = report.entries as f64 / began.elapsed().as_secs_f64();
    println!(
        "verified     {} entries, {} findings, {rate:.0} entries/s; target: over {VERIFIED_PER_SECOND}: {}",
        report.entries,
        report.wrong,
        met(rate > VERIFIED_PER_SECOND)
    );
    Ok(report.is_sound() && rate > VERIFIED_PER_SECOND)
}

/// What a search costs in a large log: times and the plan of a patient's access log.
async fn search(entries: u64, owner: &Client) -> Fallible<()> {
    // Made after the rows are there, by sorting: entered one by one, in no order, they would take an hour.
    let indexes = "SELECT indexname, replace(indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes \
                   WHERE tablename = 'audit_log' AND indexname <> 'audit_log_pkey'";
    let indexes = owner.query(indexes, &[]).await?;
    for index in &indexes {
        owner.batch_execute(&format!("DROP INDEX {}", index.get::<_, String>(0))).await?;
    }
    owner.batch_execute("SET maintenance_work_mem = '1GB'; SET synchronous_commit = off").await?;
    let parts = 20;
    for part in 0..parts {
        let sql = format!(
            "INSERT INTO audit_log SELECT 1000000000 + n, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7' || substr(md5(n::text), 1, 3)
                 || '8' || substr(md5(n::text), 4, 15))::uuid, at, 'doctor:' || md5((n % 5000)::text)::uuid, md5((n % 5000)::text)::uuid, 'doctor',
               'treatment', 'consultation.read', 'consultation', md5(n::text)::uuid::text, md5('p' || n % 200000)::uuid, 'allowed',
               md5('f' || n)::uuid::text, '203.0.113.0/24', NULL, false
             FROM generate_series({from}::bigint, {to}::bigint) AS n,
               LATERAL (SELECT date_trunc('month', now()) - interval '1 month' + (n::float8 / {entries} * 50) * interval '1 day' AS at) AS t",
            from = entries / parts * part,
            to = entries / parts * (part + 1) - 1,
        );
        owner.execute(&sql, &[]).await?;
    }
    for index in &indexes {
        owner.batch_execute(&index.get::<_, String>(1)).await?;
    }
    owner.batch_execute("ANALYZE audit_log; UPDATE audit_head SET next_idx = 9000000000, size = 9000000000").await?;
    let page = |more: &str| {
        format!(
            "SELECT * FROM audit_log WHERE idx < (SELECT size FROM audit_head LIMIT 1) AND patient_id = md5('p77')::uuid {more}
             ORDER BY occurred_at DESC, id DESC LIMIT 21"
        )
    };
    for (what, sql) in [
        ("a patient's access log, first page", page("")),
        ("a patient's access log, a later page", page("AND occurred_at <= now() - interval '10 days'")),
    ] {
        let began = Instant::now();
        owner.query(&sql, &[]).await?;
        let cold = began.elapsed();
        let began = Instant::now();
        owner.query(&sql, &[]).await?;
        println!(
            "search       {what}: {:.1} ms cold, {:.1} ms warm",
            cold.as_secs_f64() * 1e3,
            began.elapsed().as_secs_f64() * 1e3
        );
        for row in owner.query(&format!("EXPLAIN (ANALYZE, BUFFERS) {sql}"), &[]).await? {
            println!("             {}", row.get::<_, String>(0));
        }
    }
    Ok(())
}
