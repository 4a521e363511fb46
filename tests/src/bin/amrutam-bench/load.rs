//! Two ways to send bookings: on schedule, and one after the other.

use crate::{
    Fallible,
    http::Connection,
    world::{Slot, World, booked_id},
};
use hdrhistogram::Histogram;
use std::{cell::RefCell, collections::BTreeMap, net::SocketAddr, rc::Rc, time::Duration};
use tokio::{
    task::{JoinSet, LocalSet},
    time::{Instant, sleep_until},
};
use uuid::Uuid;

/// An idle connection older than this is not used again: the api may close it in the same moment.
const IDLE_LIMIT: Duration = Duration::from_secs(3);
/// Answers kept to show what went wrong.
const SAMPLES: usize = 3;

/// What became of a phase's requests. Times are in microseconds.
pub(crate) struct Tally {
    pub(crate) latency: Histogram<u64>,
    /// How late the generator itself was.
    pub(crate) lag: Histogram<u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) booked: Vec<Uuid>,
    /// Requests without an answer: their outcome is unknown.
    pub(crate) unanswered: u64,
    pub(crate) samples: Vec<String>,
    pub(crate) elapsed: Duration,
}

impl Tally {
    pub(crate) fn new() -> Fallible<Self> {
        let histogram = || Histogram::new_with_bounds(1, 120_000_000, 3);
        Ok(Self {
            latency: histogram()?,
            lag: histogram()?,
            statuses: BTreeMap::new(),
            booked: Vec::new(),
            unanswered: 0,
            samples: Vec::new(),
            elapsed: Duration::ZERO,
        })
    }

    fn answer(&mut self, latency: Duration, status: u16, body: &[u8]) {
        self.latency.saturating_record(micros(latency));
        *self.statuses.entry(status).or_default() += 1;
        match (status, booked_id(body)) {
            (201, Some(id)) => self.booked.push(id),
            _ => self.sample(|| format!("{status} {}", String::from_utf8_lossy(body))),
        }
    }

    fn failure(&mut self, latency: Duration, error: &std::io::Error) {
        self.latency.saturating_record(micros(latency));
        self.unanswered += 1;
        self.sample(|| error.to_string());
    }

    fn sample(&mut self, text: impl FnOnce() -> String) {
        if self.samples.len() < SAMPLES {
            self.samples.push(text());
        }
    }

    /// Adds what another window of the same kind has seen.
    pub(crate) fn absorb(&mut self, other: Self) -> Fallible<()> {
        self.latency.add(other.latency)?;
        self.lag.add(other.lag)?;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.booked.extend(other.booked);
        self.unanswered += other.unanswered;
        self.samples.extend(other.samples);
        self.samples.truncate(SAMPLES);
        self.elapsed += other.elapsed;
        Ok(())
    }

    /// Bookings per second.
    pub(crate) fn rate(&self) -> f64 {
        self.booked.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn milliseconds(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1000.0
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

struct Idle {
    address: SocketAddr,
    connections: RefCell<Vec<(Instant, Connection)>>,
}

impl Idle {
    async fn take(&self) -> std::io::Result<Connection> {
        let latest = self.connections.borrow_mut().pop();
        match latest {
            Some((since, connection)) if since.elapsed() < IDLE_LIMIT => Ok(connection),
            _ => Connection::open(self.address).await,
        }
    }

    fn give(&self, connection: Connection) {
        self.connections.borrow_mut().push((Instant::now(), connection));
    }
}

/// Requests start on schedule, whatever becomes of those before; latency counts from the scheduled start, so that a stall
/// shows in every request that fell into it.
pub(crate) async fn open_loop(address: SocketAddr, world: &Rc<World>, rate: f64, time: Duration) -> Fallible<Tally> {
    let local = LocalSet::new();
    let tally = Rc::new(RefCell::new(Tally::new()?));
    let idle = Rc::new(Idle { address, connections: RefCell::default() });
    let count = (rate * time.as_secs_f64()) as u32;
    let elapsed = local
        .run_until(async {
            let mut requests = JoinSet::new();
            let start = Instant::now() + Duration::from_millis(50);
            for number in 0..count {
                let due = start + Duration::from_secs_f64(f64::from(number) / rate);
                let Some((key, slot)) = world.take() else { break };
                sleep_until(due).await;
                let (world, tally, idle) = (Rc::clone(world), Rc::clone(&tally), Rc::clone(&idle));
                requests.spawn_local(async move { on_schedule(&world, &idle, &tally, due, key, slot).await });
                while requests.try_join_next().is_some() {}
            }
            while requests.join_next().await.is_some() {}
            start.elapsed()
        })
        .await;
    finish(tally, elapsed)
}

async fn on_schedule(world: &World, idle: &Idle, tally: &RefCell<Tally>, due: Instant, key: usize, slot: Slot) {
    tally.borrow_mut().lag.saturating_record(micros(due.elapsed()));
    let mut request = Vec::with_capacity(2048);
    if world.request(key, slot, &mut request).is_err() {
        return;
    }
    let mut connection = match idle.take().await {
        Ok(connection) => connection,
        Err(error) => return tally.borrow_mut().failure(due.elapsed(), &error),
    };
    let sound = match connection.send(&request).await {
        Ok((status, body)) => {
            tally.borrow_mut().answer(due.elapsed(), status, body);
            true
        }
        Err(error) => {
            tally.borrow_mut().failure(due.elapsed(), &error);
            false
        }
    };
    if sound {
        idle.give(connection);
    }
}

/// Each client sends its next request when it has the answer to its last.
pub(crate) async fn closed_loop(
    address: SocketAddr,
    world: &Rc<World>,
    clients: usize,
    time: Duration,
) -> Fallible<Tally> {
    let local = LocalSet::new();
    let tally = Rc::new(RefCell::new(Tally::new()?));
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        connections.push(Connection::open(address).await?);
    }
    let start = Instant::now();
    local
        .run_until(async {
            let mut running = JoinSet::new();
            for connection in connections {
                let (world, tally) = (Rc::clone(world), Rc::clone(&tally));
                running.spawn_local(async move { client(address, connection, &world, &tally, start + time).await });
            }
            while running.join_next().await.is_some() {}
        })
        .await;
    finish(tally, start.elapsed())
}

async fn client(
    address: SocketAddr,
    mut connection: Connection,
    world: &World,
    tally: &RefCell<Tally>,
    until: Instant,
) {
    let mut request = Vec::with_capacity(2048);
    while Instant::now() < until {
        let Some((key, slot)) = world.take() else { return };
        if world.request(key, slot, &mut request).is_err() {
            return;
        }
        let begun = Instant::now();
        let sound = match connection.send(&request).await {
            Ok((status, body)) => {
                tally.borrow_mut().answer(begun.elapsed(), status, body);
                true
            }
            Err(error) => {
                tally.borrow_mut().failure(begun.elapsed(), &error);
                false
            }
        };
        if !sound {
            match Connection::open(address).await {
                Ok(again) => connection = again,
                Err(_) => return,
            }
        }
    }
}

fn finish(tally: Rc<RefCell<Tally>>, elapsed: Duration) -> Fallible<Tally> {
    let mut tally = Rc::try_unwrap(tally).map_err(|_| "a request is still under way")?.into_inner();
    tally.elapsed = elapsed;
    Ok(tally)
}
