//! How many bookings, how fast, next to what pgbench reaches on the same server in the same run.

use crate::{
    Fallible, accounts,
    cpu::{Meter, Usage},
    interrupted,
    load::{Tally, closed_loop, open_loop},
    pgbench::{Rate, Scratch, Script},
    stack::{Stack, profile},
    world::World,
};
use std::{
    fmt, fs,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio_postgres::Client;
use uuid::Uuid;

/// A closed loop takes a slot per booking; this many per second are more than it can book.
const FASTEST: usize = 4_000;
/// At the open loop's rate, before it: connections are opened, plans made, caches filled.
const WARM_UP: Duration = Duration::from_secs(5);
/// How long the worker may take to finish what a phase has left, before the next begins.
const SETTLE: Duration = Duration::from_secs(180);
const QUIET: Duration = Duration::from_millis(1_500);
const TARGET_RATIO: f64 = 0.6;
const TARGET_P99_MS: f64 = 100.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Open loop: bookings started per second.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// Open loop: for how many seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
    /// Closed loop and pgbench: how many clients; several make several measurements.
    #[arg(long, value_delimiter = ',', default_value = "16,64,128")]
    clients: Vec<u32>,
    /// Closed loop and pgbench: seconds per measurement.
    #[arg(long, default_value_t = 12)]
    closed_seconds: u32,
    /// Bookings started per second in calm and in a storm of log-ins; 0 leaves it out.
    #[arg(long, default_value_t = 200)]
    storm_rate: u32,
    /// Windows of calm and of storm, in turn.
    #[arg(long, default_value_t = 6)]
    storm_windows: u32,
    /// Seconds per window.
    #[arg(long, default_value_t = 5)]
    storm_seconds: u32,
    /// Leave pgbench out.
    #[arg(long)]
    no_pgbench: bool,
}

pub(crate) async fn run(options: &Options) -> Fallible<bool> {
    if options.rate == 0
        || options.seconds == 0
        || options.closed_seconds == 0
        || options.clients.contains(&0)
        || options.storm_windows == 0
        || options.storm_seconds == 0
    {
        return Err("rates, seconds, windows and clients are at least 1".into());
    }
    let stack = Stack::find()?;
    let db = stack.database().await?;
    environment(&stack, &db).await?;

    let closed = options.clients.len() * options.closed_seconds as usize;
    let warm_up = usize::try_from(WARM_UP.as_secs())?;
    let storm = 2 * options.storm_rate as usize * options.storm_windows as usize * options.storm_seconds as usize;
    let slots = options.rate as usize * (options.seconds as usize + warm_up) + storm + closed * FASTEST;
    let begun = Instant::now();
    let world = Rc::new(World::for_bookings(&stack, &db, slots).await?);
    println!(
        "prepared     {} free slots of 100 practitioners and {} patients in {:.1} s (with sealed contacts; sessions by SQL, tokens signed with the stack's key;\n             two patients registered and logged in over HTTP, and one of them booked)",
        world.slot_count(),
        world.patient_count(),
        begun.elapsed().as_secs_f64()
    );
    let result = tokio::select! {
        result = measure(&stack, &db, &world, options) => result,
        stopped = interrupted() => stopped.map(|()| false),
    };
    world.retire(&db).await?;
    result
}

async fn measure(stack: &Stack, db: &Client, world: &Rc<World>, options: &Options) -> Fallible<bool> {
    let mut told = vec![world.walk(stack).await?];
    let mut unanswered = 0;
    let mut keep = |tally: &Tally| {
        told.extend(&tally.booked);
        unanswered += tally.unanswered;
    };

    let rate = f64::from(options.rate);
    let warm_up = open_loop(stack.api, world, rate, WARM_UP).await?;
    println!("\nwarm-up      {rate} bookings/s for {} s: p99 {:.1} ms", WARM_UP.as_secs(), warm_up.milliseconds(0.99));
    keep(&warm_up);
    settle(db).await?;

    // Before pgbench, which leaves the server full of pages to be written.
    let meter = Meter::start(stack)?;
    let open = open_loop(stack.api, world, rate, Duration::from_secs(options.seconds.into())).await?;
    let usage = meter.stop()?;
    println!("\nopen loop    {} bookings/s for {} s, latency from the scheduled start", options.rate, options.seconds);
    report(&open, &usage);
    cost(&open, &usage);
    println!(
        "             the generator sent p99 {:.1} ms after schedule, at most {:.1} ms",
        open.lag.value_at_quantile(0.99) as f64 / 1000.0,
        open.lag.max() as f64 / 1000.0
    );
    println!(
        "             target: all answered 201, p99 under {TARGET_P99_MS} ms: {}",
        met(is_sustained(&open, options))
    );
    left_behind(db).await?;
    keep(&open);

    accounts::signed_in_cost(stack, world).await?;
    if options.storm_rate > 0 {
        let seconds = Duration::from_secs(options.storm_seconds.into());
        for tally in &accounts::storm(stack, world, options.storm_rate, options.storm_windows, seconds).await? {
            keep(tally);
        }
    }
    settle(db).await?;

    // While the worker has nothing to do.
    let mut rates = Vec::new();
    if !options.no_pgbench {
        let scratch = Scratch::create(stack, db).await?;
        let measured = pgbench(&scratch, options).await;
        scratch.remove().await?;
        rates = measured?;
    }

    let mut closed = Vec::new();
    for clients in &options.clients {
        let meter = Meter::start(stack)?;
        let tally =
            closed_loop(stack.api, world, *clients as usize, Duration::from_secs(options.closed_seconds.into()))
                .await?;
        let usage = meter.stop()?;
        println!("\nclosed loop  {clients} clients for {} s: {:.0} bookings/s", options.closed_seconds, tally.rate());
        report(&tally, &usage);
        cost(&tally, &usage);
        left_behind(db).await?;
        keep(&tally);
        closed.push((*clients, tally.rate()));
    }

    if !rates.is_empty() {
        ratios(&closed, &rates);
        best_pair(&closed, &rates);
    }
    println!();
    check(db, world, &told, unanswered).await
}

async fn environment(stack: &Stack, db: &Client) -> Fallible<()> {
    let cores = std::thread::available_parallelism()?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let row = db
        .query_one(
            "SELECT current_setting('server_version'), current_setting('synchronous_commit'), current_setting('fsync'),
                    current_setting('full_page_writes'), current_setting('shared_buffers')",
            &[],
        )
        .await?;
    let word = |at: usize| row.get::<_, String>(at);
    println!(
        "environment  {cores} cores (load {load} before), PostgreSQL {}, synchronous_commit={}, fsync={}, full_page_writes={}, shared_buffers={}",
        word(0),
        word(1),
        word(2),
        word(3),
        word(4)
    );
    let api = profile(&stack.api_program()?);
    let own = profile(&std::env::current_exe()?);
    println!("             api built as {api}, generator as {own}, all on this machine");
    if api != "release" {
        println!("             NOTE: the api is not a release build; its numbers say nothing about one");
    }
    Ok(())
}

async fn pgbench(scratch: &Scratch<'_>, options: &Options) -> Fallible<Vec<(Script, u32, f64)>> {
    println!(
        "\npgbench      -M prepared, {} s each, copies of the tables with their foreign keys, worker idle",
        options.closed_seconds
    );
    let mut rates = Vec::new();
    for script in Script::ALL {
        for clients in &options.clients {
            let Rate { per_second, latency_ms, usage } =
                scratch.measure(script, *clients, options.closed_seconds).await?;
            println!(
                "             {:<28} {clients:>3} clients: {per_second:>6.0}/s, mean {latency_ms:.2} ms",
                script.title()
            );
            println!("             CPU seconds in {:.1} s: {usage} (bench is pgbench)", usage.elapsed.as_secs_f64());
            rates.push((script, *clients, per_second));
        }
    }
    Ok(rates)
}

fn ratios(closed: &[(u32, f64)], rates: &[(Script, u32, f64)]) {
    println!("\nratios       bookings/s over HTTP to pgbench's transactions/s, with as many clients");
    for (clients, ours) in closed {
        for (script, _, theirs) in rates.iter().filter(|(_, with, _)| with == clients) {
            let ratio = ours / theirs;
            println!("             {clients:>3} clients, {:<28} {ours:.0} / {theirs:.0} = {ratio:.2}", script.title());
        }
    }
}

/// Of the numbers of clients that both were given, the one at which ours comes nearest.
fn best_pair(closed: &[(u32, f64)], rates: &[(Script, u32, f64)]) {
    let plain = |clients| rates.iter().find(|(script, with, _)| *script == Script::FiveStatements && *with == clients);
    let pairs =
        closed.iter().filter_map(|(clients, ours)| plain(*clients).map(|(.., theirs)| (*clients, *ours, *theirs)));
    if let Some((clients, ours, theirs)) = pairs.max_by(|a, b| (a.1 / a.2).total_cmp(&(b.1 / b.2))) {
        println!(
            "             best pair: {clients} clients each, {ours:.0} / {theirs:.0} = {:.2}; target: at least {TARGET_RATIO}: {}",
            ours / theirs,
            met(ours / theirs >= TARGET_RATIO)
        );
    }
}

fn is_sustained(tally: &Tally, options: &Options) -> bool {
    let all = u64::from(options.rate) * u64::from(options.seconds);
    tally.booked.len() as u64 == all && tally.milliseconds(0.99) < TARGET_P99_MS
}

pub(crate) fn met(reached: bool) -> &'static str {
    if reached { "met" } else { "NOT MET" }
}

fn report(tally: &Tally, usage: &Usage) {
    let answers: Vec<_> = tally.statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
    println!(
        "             p50 {:.1} ms, p95 {:.1} ms, p99 {:.1} ms, max {:.1} ms; answers {}, none to {}",
        tally.milliseconds(0.5),
        tally.milliseconds(0.95),
        tally.milliseconds(0.99),
        tally.milliseconds(1.0),
        answers.join(", "),
        tally.unanswered
    );
    for sample in &tally.samples {
        println!("             for example {sample:.300}");
    }
    println!("             CPU seconds in {:.1} s: {usage}", usage.elapsed.as_secs_f64());
}

fn cost(tally: &Tally, usage: &Usage) {
    let each = |group: &str| usage.of(group) * 1e6 / tally.booked.len().max(1) as f64;
    let parts: Vec<_> = usage.seconds.iter().map(|(group, _)| format!("{group} {:.0}", each(group))).collect();
    let ours: f64 = usage.seconds.iter().filter(|(group, _)| *group != "others").map(|(group, _)| each(group)).sum();
    println!("             CPU microseconds per booking: {}; {ours:.0} without others", parts.join(", "));
}

/// What the worker has not done when a window ends, and how long it takes then: a rate is sustained only if that is little.
async fn left_behind(db: &Client) -> Fallible<()> {
    let left = Backlog::now(db).await?;
    match settle(db).await? {
        Some(time) => println!("             left to the worker: {left}, done after {:.1} s", time.as_secs_f64()),
        None => println!("             left to the worker: {left}"),
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Backlog {
    events: i64,
    mails: i64,
}

impl Backlog {
    const NONE: Self = Self { events: 0, mails: 0 };

    async fn now(db: &Client) -> Fallible<Self> {
        let row = db
            .query_one(
                "SELECT (SELECT count(*) FROM outbox),
                        (SELECT count(*) FROM scheduled_messages WHERE status = 'scheduled' AND next_attempt_at <= now())",
                &[],
            )
            .await?;
        Ok(Self { events: row.get(0), mails: row.get(1) })
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} events in the outbox, {} mails due", self.events, self.mails)
    }
}

/// Until the outbox is empty and no mail is due: what one phase leaves to the worker is not the next one's load. Gives the
/// time until then, or nothing when it took too long.
async fn settle(db: &Client) -> Fallible<Option<Duration>> {
    let begun = Instant::now();
    let mut quiet_since = None;
    // Not at the first look: between the outbox and the mails, work is in the broker.
    loop {
        let left = Backlog::now(db).await?;
        let at = begun.elapsed();
        let since = *quiet_since.get_or_insert(at);
        if left != Backlog::NONE {
            quiet_since = None;
        } else if at - since >= QUIET {
            return Ok(Some(since));
        }
        if at > SETTLE {
            println!("             NOTE: after {} s the worker still has to do: {left}", SETTLE.as_secs());
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Never about time: each answer has its booking, each booking its answer, and no slot two.
async fn check(db: &Client, world: &World, told: &[Uuid], unanswered: u64) -> Fallible<bool> {
    let found = world.found(db, told).await?;
    let told_count = i64::try_from(told.len())?;
    let at_most = told_count + i64::try_from(unanswered)?;
    let pass = found.acknowledged_and_there == told_count
        && found.slots_with_two == 0
        && found.parted == 0
        && found.booked_slots == found.consultations
        && (told_count..=at_most).contains(&found.booked_slots);
    println!(
        "check        {told_count} answers 201 (and {unanswered} requests without an answer); {} booked slots, {} consultations, {} of the\n             acknowledged ones there, {} slots with two, {} slots and consultations that do not name each other",
        found.booked_slots, found.consultations, found.acknowledged_and_there, found.slots_with_two, found.parted
    );
    println!("{}", if pass { "PASS" } else { "FAIL" });
    Ok(pass)
}
