//! Who used the processors, by the kernel's own accounts.

use crate::{Fallible, stack::Stack};
use std::{
    collections::{HashMap, HashSet},
    fmt, fs, process,
    time::{Duration, Instant},
};

/// Linux counts in hundredths of a second, whatever its own clock ticks in.
const TICKS_PER_SECOND: f64 = 100.0;

const GROUPS: [(&str, &[&str]); 6] = [
    ("api", &["api"]),
    ("postgres", &["postgres"]),
    ("redis", &["redis-1", "redis-2", "redis-3"]),
    ("worker", &["worker"]),
    ("rabbitmq", &["rabbitmq", "epmd"]),
    ("sandbox", &["sandbox"]),
];

pub(crate) struct Meter {
    roots: Vec<(&'static str, Vec<u32>)>,
    at: Instant,
    begin: Reading,
}

struct Reading {
    groups: Vec<(&'static str, u64)>,
    machine: u64,
}

/// CPU seconds by who used them.
pub(crate) struct Usage {
    pub(crate) seconds: Vec<(&'static str, f64)>,
    pub(crate) elapsed: Duration,
}

impl Meter {
    pub(crate) fn start(stack: &Stack) -> Fallible<Self> {
        let pids = |names: &[&str]| names.iter().filter_map(|name| stack.pid(name)).collect();
        let mut roots: Vec<_> = GROUPS.iter().map(|(group, names)| (*group, pids(names))).collect();
        roots.push(("bench", vec![process::id()]));
        let begin = read(&roots)?;
        Ok(Self { roots, at: Instant::now(), begin })
    }

    pub(crate) fn stop(self) -> Fallible<Usage> {
        let end = read(&self.roots)?;
        let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / TICKS_PER_SECOND;
        let mut by_group: Vec<_> = (self.begin.groups.iter().zip(&end.groups))
            .map(|((group, from), (_, to))| (*group, seconds(*from, *to)))
            .collect();
        let known: f64 = by_group.iter().map(|(_, used)| used).sum();
        by_group.push(("others", (seconds(self.begin.machine, end.machine) - known).max(0.0)));
        Ok(Usage { seconds: by_group, elapsed: self.at.elapsed() })
    }
}

impl Usage {
    pub(crate) fn of(&self, group: &str) -> f64 {
        self.seconds.iter().find(|(name, _)| *name == group).map_or(0.0, |(_, used)| *used)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = self.seconds.iter().map(|(group, used)| format!("{group} {used:.1}")).collect();
        write!(f, "{}", parts.join(", "))
    }
}

struct Process {
    parent: u32,
    ticks: u64,
}

fn read(roots: &[(&'static str, Vec<u32>)]) -> Fallible<Reading> {
    let processes: HashMap<u32, Process> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            Some((pid, process_of(&fs::read_to_string(entry.path().join("stat")).ok()?)?))
        })
        .collect();
    let groups = roots.iter().map(|(group, pids)| (*group, ticks_of(&processes, pids))).collect();
    Ok(Reading { groups, machine: machine(&fs::read_to_string("/proc/stat")?).ok_or("/proc/stat can't be read")? })
}

/// A process, its descendants, and those of them that have ended.
fn ticks_of(processes: &HashMap<u32, Process>, pids: &[u32]) -> u64 {
    let mut family: HashSet<u32> = pids.iter().copied().collect();
    loop {
        let children: Vec<_> = processes
            .iter()
            .filter(|(pid, process)| family.contains(&process.parent) && !family.contains(*pid))
            .map(|(pid, _)| *pid)
            .collect();
        if children.is_empty() {
            break;
        }
        family.extend(children);
    }
    family.iter().filter_map(|pid| processes.get(pid)).map(|process| process.ticks).sum()
}

/// The name, in parentheses, may hold anything; what follows is numbers.
fn process_of(stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = [11, 12, 13, 14].into_iter().map(number).sum::<Option<u64>>()?;
    Some(Process { parent: u32::try_from(number(1)?).ok()?, ticks })
}

/// Everything but idle and waiting for disks.
fn machine(stat: &str) -> Option<u64> {
    let numbers: Vec<u64> =
        stat.lines().next()?.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    [0, 1, 2, 5, 6, 7].into_iter().map(|at| numbers.get(at).copied()).sum()
}
