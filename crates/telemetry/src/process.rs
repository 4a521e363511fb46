//! What the process takes from its machine, as the kernel counts it.

use std::{fmt::Write, fs};

/// Linux shows times to user space in hundredths of a second on every architecture (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends the standard `process_*` metrics. What can't be read is left out.
pub(crate) fn render(text: &mut String) {
    let read = |path: &str| fs::read_to_string(path).ok();
    let status = read("/proc/self/status").unwrap_or_default();
    let stat = read("/proc/self/stat").unwrap_or_default();
    // Counting opens one more: the directory itself.
    let open = fs::read_dir("/proc/self/fd").ok().map(|fds| as_f64(fds.count().saturating_sub(1)));
    let boot = read("/proc/stat").and_then(|stat| named(&stat, "btime "));
    let start = stat_field(&stat, 22).zip(boot).map(|(ticks, boot)| boot + ticks / TICKS_PER_SECOND);
    let cpu = stat_field(&stat, 14).zip(stat_field(&stat, 15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND);
    let limit = read("/proc/self/limits").and_then(|limits| named(&limits, "Max open files"));

    let mut put = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    };
    put("process_cpu_seconds_total", "counter", "User and system CPU time.", cpu);
    put("process_resident_memory_bytes", "gauge", "Resident memory.", named(&status, "VmRSS:").map(kib));
    put("process_virtual_memory_bytes", "gauge", "Virtual memory.", named(&status, "VmSize:").map(kib));
    put("process_open_fds", "gauge", "Open file descriptors.", open);
    put("process_max_fds", "gauge", "Limit of open file descriptors.", limit);
    put("process_threads", "gauge", "Threads.", named(&status, "Threads:"));
    put("process_start_time_seconds", "gauge", "Start, in seconds since 1970.", start);
}

fn kib(count: f64) -> f64 {
    count * 1024.0
}

fn as_f64(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// The number after `name` at the beginning of a line.
fn named(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Field `number`, from 1 as in proc(5). The second is the program's name in brackets and may hold spaces and brackets.
fn stat_field(stat: &str, number: usize) -> Option<f64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the kernel's clock is what is compared")]
    fn the_kernels_figures_are_plausible() {
        let mut text = String::new();
        render(&mut text);
        let value =
            |name: &str| named(&text, &format!("{name} ")).unwrap_or_else(|| panic!("{name} is not in\n{text}"));
        assert!((1e6..1e12).contains(&value("process_resident_memory_bytes")));
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!((3.0..value("process_max_fds")).contains(&value("process_open_fds")));
        assert!(value("process_threads") >= 1.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 3600.0..=now + 1.0).contains(&value("process_start_time_seconds")));
    }

    #[test]
    fn a_programs_name_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 2 3 4 55 66 0 0 20 0 1 0 777 8 9";
        assert_eq!(
            (stat_field(stat, 14), stat_field(stat, 15), stat_field(stat, 22)),
            (Some(55.0), Some(66.0), Some(777.0))
        );
    }
}
