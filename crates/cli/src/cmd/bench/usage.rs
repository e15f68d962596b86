//! CPU time and memory of the generator, the broker and the machine, from Linux's `/proc`, and CPU
//! pinning.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Sub;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// The unit of CPU times in `/proc`: clock ticks per second. It is the same on every Linux machine.
const TICKS_PER_SECOND: u64 = 100;

/// Two CPU cores: the broker's and the generator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    pub(super) broker: usize,
    pub(super) generator: usize,
}

/// The error for a text that does not name two cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotAPin(String);

impl fmt::Display for NotAPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(
            f,
            "{text:?} is no pair of cores: it has to be like 0,1, the broker's and the \
             generator's, which are not the same, and under {}",
            CpuSet::MAX_CPU
        )
    }
}

impl std::error::Error for NotAPin {}

impl FromStr for Pin {
    type Err = NotAPin;

    fn from_str(text: &str) -> Result<Self, NotAPin> {
        let core = |text: &str| text.parse().ok().filter(|core| *core < CpuSet::MAX_CPU);
        text.split_once(',')
            .and_then(|(broker, generator)| {
                Some(Pin { broker: core(broker)?, generator: core(generator)? })
            })
            .filter(|pin| pin.broker != pin.generator)
            .ok_or_else(|| NotAPin(text.into()))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.broker, self.generator)
    }
}

/// Pins the calling thread, and all threads it starts later, to a core.
pub(super) fn pin_this_thread(core: usize) -> io::Result<()> {
    Ok(sched_setaffinity(None, &only(core))?)
}

/// Pins all threads of a process to a core.
pub(super) fn pin_process(pid: u32, core: usize) -> io::Result<()> {
    for thread in threads(pid)? {
        match sched_setaffinity(Some(thread), &only(core)) {
            // The thread has ended meanwhile.
            Err(rustix::io::Errno::SRCH) => {}
            result => result?,
        }
    }
    Ok(())
}

fn only(core: usize) -> CpuSet {
    let mut cores = CpuSet::new();
    cores.set(core);
    cores
}

fn threads(pid: u32) -> io::Result<Vec<Pid>> {
    let names = fs::read_dir(format!("/proc/{pid}/task"))?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    let number = |name: &std::ffi::OsString| name.to_str()?.parse().ok().and_then(Pid::from_raw);
    Ok(names.iter().filter_map(number).collect())
}

/// CPU times at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// The CPU time of this process.
    pub(super) generator: Duration,
    /// The CPU time of the broker, if its process is known.
    pub(super) broker: Option<Duration>,
    /// The CPU time of all processes on the machine.
    pub(super) machine: Duration,
}

impl Usage {
    pub(super) fn now(broker: Option<u32>) -> io::Result<Self> {
        let generator = clock_gettime(ClockId::ProcessCPUTime);
        let generator = Duration::new(
            u64::try_from(generator.tv_sec).unwrap_or_default(),
            u32::try_from(generator.tv_nsec).unwrap_or_default(),
        );
        let broker = broker.map(of_process).transpose()?;
        Ok(Self { generator, broker, machine: of_machine()? })
    }

    /// Returns the CPU time of all other processes.
    pub(super) fn others(&self) -> Duration {
        self.machine.saturating_sub(self.generator + self.broker.unwrap_or_default())
    }
}

/// Returns the CPU time used between two moments.
impl Sub for Usage {
    type Output = Usage;

    fn sub(self, earlier: Self) -> Self {
        let broker = self.broker.zip(earlier.broker);
        Self {
            generator: self.generator.saturating_sub(earlier.generator),
            broker: broker.map(|(now, then)| now.saturating_sub(then)),
            machine: self.machine.saturating_sub(earlier.machine),
        }
    }
}

/// Returns the CPU time of all threads of a process.
fn of_process(pid: u32) -> io::Result<Duration> {
    let mut total = 0;
    for thread in threads(pid)? {
        let path = format!("/proc/{pid}/task/{}/schedstat", thread.as_raw_pid());
        match fs::read_to_string(&path) {
            Ok(text) => total += first_number(&text).ok_or_else(|| unreadable(&path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Duration::from_nanos(total))
}

fn of_machine() -> io::Result<Duration> {
    let path = "/proc/stat";
    let text = fs::read_to_string(path)?;
    let ticks = busy_ticks(&text).ok_or_else(|| unreadable(path))?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// Returns the busy ticks of all cores: `user`, `nice`, `system`, `irq`, `softirq` and `steal`, but
/// not `idle` and `iowait`. Guest times are included in the first two.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks = line.split_whitespace().map(str::parse).collect::<Result<Vec<u64>, _>>().ok()?;
    let busy = ticks.iter().take(8).enumerate().filter(|(at, _)| ![3, 4].contains(at));
    (ticks.len() >= 8).then(|| busy.map(|(_, ticks)| ticks).sum())
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// A process's current and peak memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) bytes: u64,
    pub(super) peak_bytes: u64,
}

impl Memory {
    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let path = format!("/proc/{pid}/status");
        let text = fs::read_to_string(&path)?;
        Self::read(&text).ok_or_else(|| unreadable(&path))
    }

    fn read(status: &str) -> Option<Self> {
        let kibibytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            first_number(line)
        };
        Some(Self { bytes: kibibytes("VmRSS:")? << 10, peak_bytes: kibibytes("VmHWM:")? << 10 })
    }
}

/// Returns the number of cores of the machine, including cores that this process may not use.
pub(super) fn cores() -> usize {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    // The first line is the sum of all cores.
    stat.lines().filter(|line| line.starts_with("cpu")).count().saturating_sub(1).max(1)
}

/// Describes the machine in one line.
pub(super) fn machine() -> String {
    let line = |path: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim().to_owned()
    };
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, model)| model.trim())
        .collect();
    let model = models.first().copied().unwrap_or("an unknown processor");
    let cores = cores();
    let (system, kernel) = (line("/proc/sys/kernel/ostype"), line("/proc/sys/kernel/osrelease"));
    format!("{model}, {cores} cores, {system} {kernel}")
}

fn unreadable(path: impl Into<PathBuf>) -> io::Error {
    let path = path.into();
    io::Error::new(io::ErrorKind::InvalidData, format!("{} reads otherwise", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_cores_are_read() {
        assert_eq!("0,1".parse(), Ok(Pin { broker: 0, generator: 1 }));
        for text in ["", "0", "0,", "0,0", "1,-1", "0,1,2", "0,100000", "a,b"] {
            assert_eq!(text.parse::<Pin>(), Err(NotAPin(text.into())));
        }
    }

    #[test]
    fn what_linux_says_is_read() {
        let stat = "cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 0 0 0 0 0 0 0 0 0 0\n";
        assert_eq!(busy_ticks(stat), Some(63));
        assert_eq!(busy_ticks("cpu  1 2 4\n"), None);
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let memory = Memory { bytes: 1 << 20, peak_bytes: 2 << 20 };
        assert_eq!(Memory::read(status), Some(memory));
        assert_eq!(Memory::read(""), None);
    }

    #[test]
    fn this_process_uses_something() {
        let pid = std::process::id();
        let usage = Usage::now(Some(pid)).expect("this is Linux");
        assert!(usage.generator > Duration::ZERO && usage.broker > Some(Duration::ZERO));
        assert!(usage.machine >= usage.generator);
        let memory = Memory::of(pid).expect("this is Linux");
        assert!(memory.peak_bytes >= memory.bytes && memory.bytes > 0);
    }
}
