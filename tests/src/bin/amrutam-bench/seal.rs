//! What sealing and opening cost of a processor, the look-up of the key at hand included. Asks no server.

use crate::Fallible;
use amrutam_crypto::{EnvelopeSealer, KeyBundle, Keys, SystemClock, SystemIds};
use amrutam_kernel::{AccountId, Clock, IdSource, SealPlace, Sealer};
use amrutam_memory::MemoryKeyStore;
use std::{fs, sync::Arc};

/// Microseconds per kilobyte; the most either may cost.
const MOST: f64 = 20.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// People whose keys are at hand.
    #[arg(long, default_value_t = 5_000)]
    people: usize,
    /// Values sealed and opened of each size.
    #[arg(long, default_value_t = 50_000)]
    values: usize,
}

/// What this thread has had of a processor: what others do on the machine costs nothing here.
fn cpu_nanos() -> Fallible<u64> {
    let times = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(times.split(' ').next().ok_or("no time in /proc/thread-self/schedstat")?.parse()?)
}

/// Whether both stay within [`MOST`] at a kilobyte.
pub(crate) async fn run(options: &Options) -> Fallible<bool> {
    let bundle = format!(r#"{{"bench.kek": "{}"}}"#, "42".repeat(32));
    let keys = Keys::load(KeyBundle::parse(&bundle)?)?;
    let sealer = EnvelopeSealer::new(&keys, Arc::new(MemoryKeyStore::new()), Arc::new(SystemClock))?;
    let new_id = || SystemIds.uuid_v7(SystemClock.now());
    let owners: Vec<_> = (0..options.people.max(1)).map(|_| AccountId::from_uuid(new_id())).collect();
    for owner in &owners {
        sealer.prepare(*owner).await;
    }
    let place = |owner| SealPlace { schema: "phi", table: "notes", column: "sealed", row: new_id(), owner, version: 1 };
    println!("{:>10} {:>14} {:>14} {:>12}", "bytes", "seal, us", "open, us", "us per kB");
    let mut good = true;
    for size in [32, 1_024, 16_384, 262_144] {
        let plain = vec![0x61; size];
        let count = (options.values * 1_024 / size.max(1_024)).max(100);
        let places: Vec<_> = owners.iter().cycle().take(count).map(|owner| place(*owner)).collect();
        let mut sealed = Vec::with_capacity(count);
        let begun = cpu_nanos()?;
        for place in &places {
            sealed.push(sealer.seal(place, &plain).await?);
        }
        let seal = (cpu_nanos()? - begun) as f64 / 1e3 / count as f64;
        let begun = cpu_nanos()?;
        for (place, value) in places.iter().zip(&sealed) {
            if sealer.open(place, value).await?.len() != size {
                return Err("a value opened to something else".into());
            }
        }
        let open = (cpu_nanos()? - begun) as f64 / 1e3 / count as f64;
        let per_kilobyte = seal.max(open) * 1_024.0 / size.max(1_024) as f64;
        good &= per_kilobyte < MOST;
        println!("{size:>10} {seal:>14.2} {open:>14.2} {per_kilobyte:>12.2}");
    }
    println!("{} {MOST} us per kilobyte", if good { "within" } else { "MORE THAN" });
    Ok(good)
}
