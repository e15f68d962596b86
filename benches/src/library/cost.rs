//! What this process has cost so far.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

/// Counts what all of this program allocates.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The clock of `/proc/self/stat`, in ticks a second, as Linux has it everywhere.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// Processor time, in microseconds, its own and the system's for it.
    pub(super) processor_us: f64,
    /// Allocations, and those that grew.
    pub(super) allocations: u64,
}

/// What this process has cost so far. The processor time is exact to a hundredth of a second.
pub(super) fn so_far() -> Result<Cost, String> {
    let stats = ALLOCATOR.stats();
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|error| error.to_string())?;
    // The name, in brackets, may have blanks in it.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    let (Some(user), Some(system)) = (ticks(11), ticks(12)) else {
        return Err("/proc/self/stat is not as it was".into());
    };
    Ok(Cost {
        processor_us: (user + system) * 1e6 / TICKS_PER_SECOND,
        allocations: (stats.allocations + stats.reallocations) as u64,
    })
}
