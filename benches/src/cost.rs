//! CPU time, allocations and memory of a process.

use std::alloc::System;
use std::fs;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// Counts all allocations of this program.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The clock of `/proc/self/stat` in ticks per second, the same on every Linux system.
const TICKS_PER_SECOND: f64 = 100.0;

/// The costs of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU time in microseconds, in user and system mode.
    pub(crate) processor_us: f64,
    /// The number of allocations and reallocations.
    pub(crate) allocations: u64,
}

/// Returns the costs of this process so far. The CPU time has a resolution of 10 ms.
pub(crate) fn so_far() -> Result<Cost, String> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| error.to_string())?;
    // The name, in parentheses, may contain spaces.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let (Some(user), Some(system)) = (ticks(11), ticks(12)) else {
        return Err("/proc/self/stat is not as it was".into());
    };
    Ok(Cost { processor_us: (user + system) * 1e6 / TICKS_PER_SECOND, allocations: allocations() })
}

/// Returns the number of allocations and reallocations of this process so far.
pub(crate) fn allocations() -> u64 {
    let stats = ALLOCATOR.stats();
    (stats.allocations + stats.reallocations) as u64
}

/// Returns the bytes that this process has allocated and not freed.
pub(crate) fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Returns the resident memory of a process in bytes.
pub(crate) fn resident_bytes(process: u32) -> Result<u64, String> {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| "/proc/*/status is not as it was".into())
}

/// Returns the number of a process's open files with descriptors below `below`, as a limit counts
/// them.
pub(crate) fn open_files(process: u32, below: u64) -> Result<u64, String> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).map_err(|error| error.to_string())?;
    let numbers = files.flatten().filter_map(|file| file.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|number: &u64| *number < below).count() as u64)
}

/// Returns the CPU time of a process's thread with this name, or zero if the thread has ended.
pub(crate) fn of_thread(process: u32, name: &str) -> Result<Duration, String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).map_err(|error| error.to_string())?;
    for task in tasks.flatten() {
        let of = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
        if of("comm").trim() == name {
            let nanoseconds = of("schedstat").split(' ').next().and_then(|time| time.parse().ok());
            return nanoseconds
                .map(Duration::from_nanos)
                .ok_or_else(|| "/proc/*/task/*/schedstat is not as it was".into());
        }
    }
    Ok(Duration::ZERO)
}
