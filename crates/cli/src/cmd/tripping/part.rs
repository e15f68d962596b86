//! One part of a run: calls on so many lanes, and what came of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use majordomus::{Client, RequestError};
use tokio::task::JoinSet;

use crate::cmd::tripping::body::{self, Difference};
use crate::cmd::tripping::progress::Progress;

/// After so many calls that went wrong a part makes no more.
const FAULTS_MAX: u32 = 20;
/// So does it after so many in a row on one lane that were lost, each of which may have taken long.
const LOST_IN_A_ROW_MAX: u32 = 3;
/// How long the first attempt at a first call may take, because some brokers drop what nobody offers
/// yet; each that follows may take twice as long.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
/// What is waited between two attempts when the answer was an error.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(20);
/// The calls by which a lane begins are told from the others by their number.
const FIRST_CALL: u64 = 1 << 32;

/// Who makes calls, one at a time: a lane of a part.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) service: String,
    pub(super) body_bytes: usize,
}

/// What went wrong with a call.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// There is no reply.
    Lost(RequestError),
    /// The reply is another one.
    Wrong(Difference),
    /// The reply is an error, or the call could not be made.
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

/// A part that is over.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// How many calls were under way at once.
    pub(super) in_flight: usize,
    /// How many connections the client had.
    pub(super) connections: u16,
    pub(super) elapsed: Duration,
    /// What each call took that came back right, the shortest first.
    pub(super) times: Vec<Duration>,
    /// The calls that did not, with their numbers.
    pub(super) faults: Vec<(u32, Fault)>,
    /// Whether so much went wrong that no more calls were made.
    pub(super) given_up: bool,
}

impl Caller {
    /// Makes one call, and tells how long it took.
    async fn call(&self, number: u64) -> Result<Duration, Fault> {
        let text = body::text(number, self.body_bytes);
        let body = text.clone();
        let start = Instant::now();
        let reply = self.client.request(&self.service, body).await?;
        let took = start.elapsed();
        body::compare(&text, &reply).map_err(Fault::Wrong)?;
        Ok(took)
    }

    /// Calls until something comes back, right or wrong, within `timeout`. Where nothing does, what
    /// was last said of it.
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

/// Waits until a first call of each has come back, so that what is measured has its connections.
///
/// # Errors
///
/// What is wrong with one of them, where nothing comes back within `timeout`.
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

/// Makes this many calls, as many at once as there are callers.
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

/// What the lanes of a part have in common.
#[derive(Debug)]
struct Shared {
    calls: u32,
    /// The number of the next call, from 0 on.
    next: AtomicU32,
    faults: AtomicU32,
    given_up: AtomicBool,
    progress: Progress,
}

impl Shared {
    /// The number of a call that is still to be made.
    fn next_call(&self) -> Option<u32> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        if next >= self.calls {
            return None;
        }
        let go_on = !self.given_up.load(Ordering::Relaxed);
        go_on.then_some(next)
    }

    /// A call went wrong, and so many on its lane were lost in a row.
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

/// What a task returned; its panic is ours.
fn joined<T>(end: Result<T, tokio::task::JoinError>) -> T {
    end.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}
