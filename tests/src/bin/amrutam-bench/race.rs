//! Many clients, one slot: one of them gets it, whatever is broken.

use crate::{
    Fallible,
    http::{Connection, once},
    interrupted,
    stack::Stack,
    world::{Slot, World},
};
use clap::ValueEnum;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, OpenOptions},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
    process::{Child, Command},
    rc::Rc,
    time::Duration,
};
use tokio::{
    task::{JoinSet, LocalSet},
    time::{Instant, sleep},
};
use tokio_postgres::Client;

const SLOWEST: Duration = Duration::from_secs(2);
const READY: Duration = Duration::from_secs(60);
const NODES: [&str; 3] = ["redis-1", "redis-2", "redis-3"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fault {
    /// All three Redis nodes are stopped.
    RedisStopped,
    /// One Redis node is frozen.
    RedisHung,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many want the slot.
    #[arg(long, default_value_t = 500)]
    clients: usize,
    /// How many slots, one after the other.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Only with this fault.
    #[arg(long, value_enum)]
    fault: Option<Fault>,
    /// Only with this many api processes, 1 or 2; requests alternate between them.
    #[arg(long)]
    apis: Option<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Setting {
    fault: Option<Fault>,
    second_api: bool,
}

impl Setting {
    fn title(self) -> &'static str {
        match (self.fault, self.second_api) {
            (None, false) => "everything up",
            (None, true) => "two apis",
            (Some(Fault::RedisStopped), false) => "three Redis nodes stopped",
            (Some(Fault::RedisStopped), true) => "three Redis nodes stopped, two apis",
            (Some(Fault::RedisHung), false) => "one Redis node hung",
            (Some(Fault::RedisHung), true) => "one Redis node hung, two apis",
        }
    }
}

/// Undoes a fault when dropped: also after an error, or when the run is interrupted.
struct Undo<F: FnMut()>(F);

impl<F: FnMut()> Drop for Undo<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// One round's answers.
#[derive(Default)]
struct Round {
    answers: BTreeMap<String, usize>,
    slowest: Duration,
}

impl Round {
    fn of(&self, answer: &str) -> usize {
        self.answers.get(answer).copied().unwrap_or(0)
    }

    fn broken_rules(&self, clients: usize, winners: i64) -> Vec<String> {
        let mut broken = Vec::new();
        let mut rule = |kept: bool, text: &dyn Fn() -> String| {
            if !kept {
                broken.push(text());
            }
        };
        rule(self.of("201") == 1, &|| format!("{} winners", self.of("201")));
        rule(winners == 1, &|| format!("{winners} consultations in the slot"));
        rule(self.of("409 slot_unavailable") + 1 == clients, &|| format!("answers {:?}", self.answers));
        rule(self.slowest < SLOWEST, &|| format!("the slowest took {:.2} s", self.slowest.as_secs_f64()));
        broken
    }
}

pub(crate) async fn run(options: &Options) -> Fallible<bool> {
    if options.clients < 2 || options.rounds == 0 {
        return Err("a race needs two clients and a round".into());
    }
    let settings = match (options.fault, options.apis) {
        (None, None) => vec![
            Setting { fault: None, second_api: false },
            Setting { fault: None, second_api: true },
            Setting { fault: Some(Fault::RedisHung), second_api: false },
            Setting { fault: Some(Fault::RedisStopped), second_api: false },
        ],
        (fault, apis @ (None | Some(1 | 2))) => vec![Setting { fault, second_api: apis == Some(2) }],
        _ => return Err("--apis is 1 or 2".into()),
    };
    let stack = Stack::find()?;
    let db = stack.database().await?;
    let world = Rc::new(World::for_race(&stack, &db, options.clients, options.rounds * settings.len()).await?);
    let result = tokio::select! {
        result = all(&stack, &db, &world, &settings, options) => result,
        stopped = interrupted() => stopped.map(|()| false),
    };
    world.retire(&db).await?;
    result
}

async fn all(stack: &Stack, db: &Client, world: &Rc<World>, settings: &[Setting], options: &Options) -> Fallible<bool> {
    let mut table = Vec::new();
    let mut pass = true;
    for setting in settings {
        let rounds = in_setting(stack, db, world, *setting, options).await?;
        ready(stack.api).await?;
        let kept = rounds.iter().filter(|(_, broken)| broken.is_empty()).count();
        let count = |answer: &str| rounds.iter().map(|(round, _)| round.of(answer)).sum::<usize>();
        let (won, lost) = (count("201"), count("409 slot_unavailable"));
        let other = rounds.iter().flat_map(|(round, _)| round.answers.values()).sum::<usize>() - won - lost;
        let slowest = rounds.iter().map(|(round, _)| round.slowest).max().unwrap_or_default().as_secs_f64();
        pass &= kept == rounds.len();
        let verdict = if kept == rounds.len() { "PASS" } else { "FAIL" };
        table.push(format!(
            "{:<36} {:>6} {won:>6} {lost:>21} {other:>6} {slowest:>8.3} s  {verdict}",
            setting.title(),
            rounds.len()
        ));
    }
    println!(
        "\n{:<36} {:>6} {:>6} {:>21} {:>6} {:>10}",
        "setting", "rounds", "201", "409 slot_unavailable", "other", "slowest"
    );
    println!("{}", table.join("\n"));
    Ok(pass)
}

async fn in_setting(
    stack: &Stack,
    db: &Client,
    world: &Rc<World>,
    setting: Setting,
    options: &Options,
) -> Fallible<Vec<(Round, Vec<String>)>> {
    println!("\n{}: {} clients for one slot", setting.title(), options.clients);
    let second = if setting.second_api { Some(SecondApi::start(stack).await?) } else { None };
    let _undo = setting.fault.map(|fault| inject(stack, fault)).transpose()?;
    let addresses: Vec<_> = [Some(stack.api), second.as_ref().map(|api| api.address)].into_iter().flatten().collect();
    let mut rounds = Vec::with_capacity(options.rounds);
    for number in 1..=options.rounds {
        let (key, slot) = world.take().ok_or("no slots are left")?;
        let round = race(&addresses, world, options.clients, key, slot).await?;
        let broken = round.broken_rules(options.clients, world.winners(db, slot).await?);
        let answers: Vec<_> = round.answers.iter().map(|(answer, count)| format!("{count} x {answer}")).collect();
        println!(
            "  round {number:>2}: {}; slowest {:.0} ms{}{}",
            answers.join(", "),
            round.slowest.as_secs_f64() * 1000.0,
            if broken.is_empty() { "" } else { "  BROKEN: " },
            broken.join("; ")
        );
        rounds.push((round, broken));
    }
    Ok(rounds)
}

/// Everybody is connected before the first one asks.
async fn race(addresses: &[SocketAddr], world: &Rc<World>, clients: usize, key: usize, slot: Slot) -> Fallible<Round> {
    let mut ready = Vec::with_capacity(clients);
    for (patient, address) in (0..clients).zip(addresses.iter().cycle()) {
        let mut request = Vec::with_capacity(2048);
        world.request_by(patient, key, slot, &mut request)?;
        ready.push((Connection::open(*address).await?, request));
    }
    LocalSet::new()
        .run_until(async {
            let mut running = JoinSet::new();
            let start = Instant::now();
            for (mut connection, request) in ready {
                running.spawn_local(async move {
                    let answer = match connection.send(&request).await {
                        Ok((201, _)) => "201".to_owned(),
                        Ok((status, body)) => format!("{status} {}", code(body)),
                        Err(error) => error.to_string(),
                    };
                    (answer, start.elapsed())
                });
            }
            let mut round = Round::default();
            while let Some(answered) = running.join_next().await {
                let (answer, time) = answered?;
                *round.answers.entry(answer).or_default() += 1;
                round.slowest = round.slowest.max(time);
            }
            Ok(round)
        })
        .await
}

/// A problem's code.
fn code(body: &[u8]) -> String {
    let problem: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    problem.get("code").and_then(Value::as_str).unwrap_or("without a code").to_owned()
}

fn inject(stack: &Stack, fault: Fault) -> Fallible<Undo<impl FnMut()>> {
    let pid = match fault {
        Fault::RedisHung => Some(stack.servers("pid", "redis-1")?),
        Fault::RedisStopped => None,
    };
    let frozen = pid.clone();
    // Armed before the fault, so that half of one is undone as well.
    let undo = Undo(move || {
        let results = match &frozen {
            Some(pid) => vec![signal("CONT", pid)],
            None => NODES.iter().map(|node| stack.servers("start-one", node).map(drop)).collect(),
        };
        for error in results.into_iter().filter_map(Result::err) {
            eprintln!("NOT RESTORED: {error}");
        }
    });
    match &pid {
        Some(pid) => signal("STOP", pid)?,
        None => NODES.iter().try_for_each(|node| stack.servers("stop-one", node).map(drop))?,
    }
    Ok(undo)
}

fn signal(name: &str, pid: &str) -> Fallible<()> {
    let status = Command::new("kill").args([&format!("-{name}"), pid]).status()?;
    if status.success() { Ok(()) } else { Err(format!("kill -{name} {pid} failed").into()) }
}

/// Another api from the same program, with the environment of the one that runs.
struct SecondApi {
    process: Child,
    address: SocketAddr,
    /// Where `infra/dev/stack down` finds it, should we be killed.
    pid_file: PathBuf,
}

impl SecondApi {
    async fn start(stack: &Stack) -> Fallible<Self> {
        let pid = stack.pid("api").ok_or("the api does not run")?;
        let environment = fs::read(format!("/proc/{pid}/environ"))?;
        let variables = environment.split(|byte| *byte == 0).filter_map(|variable| {
            let at = variable.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (variable.get(..at)?, variable.get(at + 1..)?);
            Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())))
        });
        let (address, metrics) = free_addresses()?;
        let log = OpenOptions::new().create(true).append(true).open(stack.dir.join("log/api-2.log"))?;
        let process = Command::new(stack.api_program()?)
            .env_clear()
            .envs(variables)
            .env("AMRUTAM__HTTP__LISTEN", address.to_string())
            .env("AMRUTAM__HTTP__METRICS_LISTEN", metrics.to_string())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let api = Self { process, address, pid_file: stack.dir.join("run/api-2.pid") };
        fs::write(&api.pid_file, format!("{}\n", api.process.id()))?;
        ready(address).await?;
        Ok(api)
    }
}

impl Drop for SecondApi {
    fn drop(&mut self) {
        let asked = signal("TERM", &self.process.id().to_string());
        for _ in 0..350 {
            if asked.is_err() || !matches!(self.process.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // Both do nothing to a process that has ended and been waited for.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_file(&self.pid_file);
    }
}

/// Both held at once, so that they differ.
fn free_addresses() -> Fallible<(SocketAddr, SocketAddr)> {
    let (one, other) = (TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    Ok((one.local_addr()?, other.local_addr()?))
}

/// Until the api has all it works with.
async fn ready(address: SocketAddr) -> Fallible<()> {
    let begun = Instant::now();
    loop {
        let answer = once(address, "GET", "/readyz", None).await;
        let status = answer.as_ref().ok().and_then(|(_, body)| body.get("status")?.as_str().map(str::to_owned));
        if status.as_deref() == Some("ready") {
            return Ok(());
        }
        if begun.elapsed() > READY {
            return Err(format!("{address} is not ready after {} s: {answer:?}", READY.as_secs()).into());
        }
        sleep(Duration::from_millis(200)).await;
    }
}
