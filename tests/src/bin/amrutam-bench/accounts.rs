//! What accounts cost those who book: the check of each request's token and session, and a storm of log-ins.

use crate::{
    Fallible,
    booking::met,
    cpu::Meter,
    http::Connection,
    load::{Tally, open_loop},
    stack::Stack,
    world::World,
};
use amrutam_crypto::{SystemClock, SystemIds};
use amrutam_kernel::{Clock, IdSource};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use tokio::{task::LocalSet, time::Instant};

const SIGNED_IN_CPU_MICROS: f64 = 300.0;
const STORM_FACTOR: f64 = 2.0;
/// One request after the other, each way.
const READS: usize = 4_000;
const CALLERS: usize = 50;
/// Programs that log in one attempt after the other; far more than hash at one time.
const STORMERS: usize = 32;

/// The CPU that a request costs more when it is signed in: the same public list, without a token and with many people's.
pub(crate) async fn signed_in_cost(stack: &Stack, world: &World) -> Fallible<()> {
    let mut each = [0.0; 2];
    for (signed_in, each) in [false, true].into_iter().zip(&mut each) {
        let mut connection = Connection::open(stack.api).await?;
        let request = |caller: usize| -> Fallible<Vec<u8>> {
            let token =
                if signed_in { format!("Authorization: Bearer {}\r\n", world.token(caller)?) } else { String::new() };
            Ok(format!("GET /v1/specializations HTTP/1.1\r\nHost: bench\r\n{token}\r\n").into_bytes())
        };
        let requests = (0..CALLERS).map(request).collect::<Fallible<Vec<_>>>()?;
        let meter = Meter::start(stack)?;
        for request in requests.iter().cycle().take(READS) {
            let (status, _) = connection.send(request).await?;
            if status != 200 {
                return Err(format!("the list was answered {status}").into());
            }
        }
        let usage = meter.stop()?;
        let micros: f64 = ["api", "redis", "postgres"].iter().map(|group| usage.of(group)).sum::<f64>() * 1e6;
        *each = micros / READS as f64;
    }
    let [without, with] = each;
    println!(
        "\nsigned in    CPU of api, redis and postgres per request: {without:.0} us without a token, {with:.0} us with; {:.0} us more; target: under {SIGNED_IN_CPU_MICROS:.0}: {}",
        with - without,
        met(with - without < SIGNED_IN_CPU_MICROS)
    );
    Ok(())
}

/// The same rate of bookings in calm and in a storm of log-ins, window by window in turn: what else happens on the machine happens
/// to both. Gives both, for the final check.
pub(crate) async fn storm(
    stack: &Stack,
    world: &Rc<World>,
    rate: u32,
    windows: u32,
    time: Duration,
) -> Fallible<[Tally; 2]> {
    let (mut calm, mut stormy) = (Tally::new()?, Tally::new()?);
    let (mut in_calm, mut in_storm) = (Vec::new(), Vec::new());
    let storm = Rc::new(Storm::default());
    let mut elapsed = Duration::ZERO;
    for _ in 0..windows {
        let tally = open_loop(stack.api, world, f64::from(rate), time).await?;
        in_calm.push(tally.milliseconds(0.99));
        calm.absorb(tally)?;
        let begun = Instant::now();
        let tally = in_storm_of(stack.api, &storm, open_loop(stack.api, world, f64::from(rate), time)).await?;
        elapsed += begun.elapsed();
        in_storm.push(tally.milliseconds(0.99));
        stormy.absorb(tally)?;
    }
    let (before, after) = (calm.milliseconds(0.99), stormy.milliseconds(0.99));
    let answers: Vec<_> = storm.answers.borrow().iter().map(|(status, count)| format!("{status}: {count}")).collect();
    let shown = |all: &[f64]| all.iter().map(|p99| format!("{p99:.1}")).collect::<Vec<_>>().join(", ");
    println!(
        "\nlog-ins      {rate} bookings/s, {windows} windows of {} s in calm and as many in turn while {STORMERS} programs try passwords:\n             p50 {:.1} and {:.1} ms, p99 {before:.1} and {after:.1} ms: factor {:.2}; target: at most {STORM_FACTOR:.0}: {}",
        time.as_secs(),
        calm.milliseconds(0.5),
        stormy.milliseconds(0.5),
        after / before,
        met(after <= before * STORM_FACTOR)
    );
    println!("             p99 of each window in ms: {} in calm; {} in the storm", shown(&in_calm), shown(&in_storm));
    println!(
        "             bookings {} and {} of {} each; attempts in {:.1} s: {}",
        calm.booked.len(),
        stormy.booked.len(),
        u64::from(rate) * u64::from(windows) * time.as_secs(),
        elapsed.as_secs_f64(),
        answers.join(", ")
    );
    Ok([calm, stormy])
}

/// Does something while programs try passwords without a pause, and waits until the last of them has its answer.
async fn in_storm_of<T>(api: SocketAddr, storm: &Rc<Storm>, work: impl Future<Output = Fallible<T>>) -> Fallible<T> {
    LocalSet::new()
        .run_until(async {
            storm.over.set(false);
            let stormers: Vec<_> =
                (0..STORMERS).map(|_| tokio::task::spawn_local(attempts(api, Rc::clone(storm)))).collect();
            let done = work.await;
            storm.over.set(true);
            for stormer in stormers {
                stormer.await?;
            }
            done
        })
        .await
}

#[derive(Default)]
struct Storm {
    over: Cell<bool>,
    answers: RefCell<BTreeMap<u16, u64>>,
}

/// Wrong passwords of unknown addresses, which cost what those of known ones do.
async fn attempts(api: SocketAddr, storm: Rc<Storm>) {
    let body =
        format!(r#"{{"email":"{}@bench.invalid","password":"not a password"}}"#, SystemIds.uuid_v7(SystemClock.now()));
    let request = format!(
        "POST /v1/auth/login HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    while !storm.over.get() {
        let Ok(mut connection) = Connection::open(api).await else { continue };
        while !storm.over.get() {
            let Ok((status, _)) = connection.send(request.as_bytes()).await else { break };
            *storm.answers.borrow_mut().entry(status).or_default() += 1;
        }
    }
}
