//! On what, when and with which release the figures were taken.

use companion::domain::clock::{Clock, SystemClock};

/// One line that goes above the table.
pub fn describe(quick: bool) -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let build = if cfg!(debug_assertions) { "debug build" } else { "release build" };
    let size = if quick { ", quick sizes: the figures mean nothing" } else { "" };
    format!(
        "companion {} ({build}{size}), {}, {cores} cores ({}), {:.0} GiB, Linux {}, load {}",
        env!("CARGO_PKG_VERSION"),
        SystemClock.now().day(),
        field("/proc/cpuinfo", "model name"),
        memory_gib(),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
    )
}

fn memory_gib() -> f64 {
    let kib = field("/proc/meminfo", "MemTotal");
    kib.split(' ').next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1_048_576.0
}

/// What stands behind `name:` in a file of the kernel's.
pub fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
