//! What this process has cost so far, and what it holds.

use std::alloc::System;
use std::fs;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// Counts what all of this program allocates.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The clock of `/proc/self/stat`, in ticks a second, as Linux has it everywhere.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Processor time, in microseconds, its own and the system's for it.
    pub(crate) processor_us: f64,
    /// Allocations, and those that grew.
    pub(crate) allocations: u64,
}

/// What this process has cost so far. The processor time is exact to a hundredth of a second.
pub(crate) fn so_far() -> Result<Cost, String> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| error.to_string())?;
    // The name, in brackets, may have blanks in it.
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

/// Allocations of this process so far, and those that grew.
pub(crate) fn allocations() -> u64 {
    let stats = ALLOCATOR.stats();
    (stats.allocations + stats.reallocations) as u64
}

/// Bytes that this process has allocated and not given back.
pub(crate) fn live_bytes() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated - stats.bytes_deallocated
}

/// Memory of a process that is there in fact.
pub(crate) fn resident_bytes(process: u32) -> Result<u64, String> {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| "/proc/*/status is not as it was".into())
}

/// Files that a process has open under numbers below this, which is what a limit is held against.
pub(crate) fn open_files(process: u32, below: u64) -> Result<u64, String> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).map_err(|error| error.to_string())?;
    let numbers = files.flatten().filter_map(|file| file.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|number: &u64| *number < below).count() as u64)
}

/// Processor time of the thread of a process that has this name; none where it has ended.
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
