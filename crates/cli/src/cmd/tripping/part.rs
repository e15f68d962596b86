//! One part of a run: concurrent lanes of calls and their results.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use majordomus::{Client, RequestError};
use tokio::task::JoinSet;

use crate::cmd::tripping::body::{self, Difference};
use crate::cmd::tripping::progress::Progress;

/// The number of faults after which a part stops.
const FAULTS_MAX: u32 = 20;
/// The number of consecutive lost calls on one lane after which a part stops, because each may take
/// long.
const LOST_IN_A_ROW_MAX: u32 = 3;
/// The timeout of the first attempt at a first call. Some brokers drop requests for services
/// without workers. Each further attempt may take twice as long.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause between two attempts after an error.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(20);
/// The number of the first lane's first call. Measured calls have smaller numbers.
const FIRST_CALL: u64 = 1 << 32;

/// A lane of a part, which makes one call at a time.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) service: String,
    pub(super) body_bytes: usize,
}

/// A fault of a call.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// No reply arrived.
    Lost(RequestError),
    /// The reply was wrong.
    Wrong(Difference),
    /// The reply was an error, or the call could not be sent.
    Failed(RequestError),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Lost(error) => write!(f, "lost: {error}"),
            Fault::Wrong(difference) => write!(f, "wrong: {difference}"),
            Fault::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

impl From<RequestError> for Fault {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Expired | RequestError::Disconnected => Fault::Lost(error),
            error => Fault::Failed(error),
        }
    }
}

/// A finished part.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// The number of calls in flight.
    pub(super) in_flight: usize,
    /// The number of the client's connections.
    pub(super) connections: u16,
    pub(super) elapsed: Duration,
    /// The times of the correct calls, shortest first.
    pub(super) times: Vec<Duration>,
    /// The faulty calls with their numbers.
    pub(super) faults: Vec<(u32, Fault)>,
    /// True if the part stopped early because of too many faults.
    pub(super) given_up: bool,
}

impl Caller {
    /// Makes one call and returns its time.
    async fn call(&self, number: u64) -> Result<Duration, Fault> {
        let text = body::text(number, self.body_bytes);
        let body = text.clone();
        let start = Instant::now();
        let reply = self.client.request(&self.service, body).await?;
        let took = start.elapsed();
        body::compare(&text, &reply).map_err(Fault::Wrong)?;
        Ok(took)
    }

    /// Repeats a call until any reply arrives, correct or not, within `timeout`. Returns the last
    /// error if none arrives.
    async fn first_call(&self, number: u64, timeout: Duration) -> Result<(), Fault> {
        let (start, mut patience) = (Instant::now(), ATTEMPT_TIMEOUT);
        let mut said = None;
        loop {
            let left = timeout.saturating_sub(start.elapsed());
            let attempt = self.call(number);
            match tokio::time::timeout(left.min(patience), attempt).await {
                Ok(Ok(_) | Err(Fault::Wrong(_))) => return Ok(()),
                Ok(Err(fault)) => {
                    said = Some(fault);
                    tokio::time::sleep(ATTEMPT_PAUSE).await;
                }
                Err(_) => {}
            }
            if start.elapsed() >= timeout {
                return Err(said.unwrap_or(Fault::Lost(RequestError::Expired)));
            }
            patience = patience.saturating_mul(2);
        }
    }
}

/// Waits for the first call of every lane, so that all connections are open before the measurement.
///
/// # Errors
///
/// Returns the fault of one lane if it gets no reply within `timeout`.
pub(super) async fn begin(
    callers: impl Iterator<Item = Caller>,
    timeout: Duration,
) -> Result<Vec<Caller>, Fault> {
    let mut beginning = JoinSet::new();
    for (number, caller) in (FIRST_CALL..).zip(callers) {
        beginning.spawn(async move {
            caller.first_call(number, timeout).await?;
            Ok::<_, Fault>(caller)
        });
    }
    let mut callers = Vec::with_capacity(beginning.len());
    while let Some(begun) = beginning.join_next().await {
        callers.push(joined(begun)?);
    }
    Ok(callers)
}

/// Makes this many calls, one at a time on each lane.
pub(super) async fn run(
    name: &'static str,
    calls: u32,
    connections: u16,
    callers: Vec<Caller>,
) -> Part {
    let shared = Arc::new(Shared {
        calls,
        next: AtomicU32::new(0),
        faults: AtomicU32::new(0),
        given_up: AtomicBool::new(false),
        progress: Progress::start(name, calls),
    });
    let in_flight = callers.len();
    let start = Instant::now();
    let mut lanes = JoinSet::new();
    for caller in callers {
        lanes.spawn(run_lane(caller, Arc::clone(&shared)));
    }
    let (mut times, mut faults) = (Vec::with_capacity(calls as usize), Vec::new());
    while let Some(lane) = lanes.join_next().await {
        let (lane_times, lane_faults) = joined(lane);
        times.extend(lane_times);
        faults.extend(lane_faults);
    }
    let elapsed = start.elapsed();
    times.sort_unstable();
    faults.sort_unstable_by_key(|(call, _)| *call);
    let made = times.len() + faults.len();
    let given_up = shared.given_up.load(Ordering::Relaxed) && made < calls as usize;
    Part { name, in_flight, connections, elapsed, times, faults, given_up }
}

/// State that all lanes of a part share.
#[derive(Debug)]
struct Shared {
    calls: u32,
    /// The number of the next call, starting at 0.
    next: AtomicU32,
    faults: AtomicU32,
    given_up: AtomicBool,
    progress: Progress,
}

impl Shared {
    /// Returns the number of the next call, if any is left.
    fn next_call(&self) -> Option<u32> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        if next >= self.calls {
            return None;
        }
        let go_on = !self.given_up.load(Ordering::Relaxed);
        go_on.then_some(next)
    }

    /// Counts a fault. `lost_in_a_row` is the number of consecutive lost calls on the lane.
    fn count_fault(&self, lost_in_a_row: u32) {
        let faults = self.faults.fetch_add(1, Ordering::Relaxed) + 1;
        if faults >= FAULTS_MAX || lost_in_a_row >= LOST_IN_A_ROW_MAX {
            self.given_up.store(true, Ordering::Relaxed);
        }
    }
}

async fn run_lane(caller: Caller, shared: Arc<Shared>) -> (Vec<Duration>, Vec<(u32, Fault)>) {
    let (mut times, mut faults) = (Vec::new(), Vec::new());
    let mut lost_in_a_row = 0;
    while let Some(call) = shared.next_call() {
        match caller.call(call.into()).await {
            Ok(took) => {
                lost_in_a_row = 0;
                times.push(took);
            }
            Err(fault) => {
                let lost = matches!(fault, Fault::Lost(_));
                lost_in_a_row = if lost { lost_in_a_row + 1 } else { 0 };
                shared.count_fault(lost_in_a_row);
                faults.push((call, fault));
            }
        }
        shared.progress.step();
    }
    (times, faults)
}

/// Returns a task's result. Resumes the task's panic, if it panicked.
fn joined<T>(end: Result<T, tokio::task::JoinError>) -> T {
    end.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
