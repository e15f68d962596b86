//! Blocked workers, which compute without sending anything, and stopped workers.

use std::collections::BTreeSet;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use majordomus_zmtp::{Event, Message};

use crate::figure::Figure;
use crate::hostile::arena::Arena;
use crate::hostile::{Attack, Scale};
use crate::peer::{PATIENCE, Peer, framed};
use crate::text;

pub(super) const ATTACK: Attack = Attack {
    name: "blocked",
    what: "100 workers that compute for ten heartbeat intervals while all have a request and ten \
           times as many wait; then half of them stop",
    configure: |scale, config| config.core.heartbeat_interval = interval(scale),
    carry_out,
};

const WORKERS: usize = 100;
/// The number of heartbeat intervals during which all workers compute.
const BLOCKED_INTERVALS: u32 = 10;
/// The number of intervals until a stopped worker's requests are redelivered, as by default.
const LIVENESS: u32 = 3;
/// The maximum delay of a timer on a busy machine.
const LATE_MAX: Duration = Duration::from_millis(50);
/// The number of requests per worker.
const REQUESTS: u64 = 10;

const fn interval(scale: Scale) -> Duration {
    Duration::from_millis(match scale {
        Scale::Full => 1_000,
        Scale::Small => 300,
    })
}

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let workers = arena.scale.pick(WORKERS, 4);
    let half = workers as u64 / 2;
    let before = arena.state()?;
    let (work, wakes) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
    let crew = (0..workers)
        .map(|number| Hand::start(arena, number % 2 == 1, &work, &wakes.0))
        .collect::<Result<Vec<_>, _>>()?;
    arena.wait_for_more(&before, "workers_registered", workers as u64)?;
    let beside = arena.beside();
    let mut client = Peer::connect(&arena.place)?;
    let requests = REQUESTS * workers as u64;
    for number in 0..requests {
        client.send(&[b"MDPC02", b"\x01", b"work", &number.to_be_bytes()])?;
    }
    await_all(&wakes.1, workers)?;
    let blocked = arena.state()?;
    let lost = blocked.since(&before, "workers_lost");
    if lost > 0 || blocked.get("in_progress") < requests {
        return Err(format!("{lost} workers that compute were lost: {blocked:?}"));
    }

    work.store(true, Ordering::Relaxed);
    await_all(&wakes.1, half as usize)?;
    let stopped = Instant::now();
    let elsewhere = arena.wait_for_more(&blocked, "workers_lost", half)?;
    let took = stopped.elapsed();
    let redelivered = elsewhere.since(&before, "redelivered");
    if redelivered != half {
        return Err(format!("{redelivered} requests of {half} workers were given to others"));
    }
    let mut missing: BTreeSet<u64> = (0..requests).collect();
    while !missing.is_empty() {
        let message = client.receive()?.ok_or("a client was cut")?;
        let body = message.iter().last().unwrap_or_default();
        let number = body.try_into().map(u64::from_be_bytes);
        if message.frame(1) != b"\x03" || !number.is_ok_and(|number| missing.remove(&number)) {
            return Err(format!("{message:?} was not asked for, or came twice"));
        }
    }
    let longest = beside.stop()?.longest();
    for hand in crew {
        hand.end()?;
    }
    Ok(vec![
        Figure::within(
            interval(arena.scale) * LIVENESS + LATE_MAX,
            "requests of stopped workers are elsewhere after",
            took,
        ),
        Figure::seen("the longest honest request", 1e3 * longest.as_secs_f64(), "ms"),
    ])
}

/// Waits until this many workers have sent a signal.
fn await_all(wakes: &Receiver<()>, count: usize) -> Result<(), String> {
    for _ in 0..count {
        wakes.recv_timeout(PATIENCE).map_err(|_| "a worker was sent away, or nothing was heard")?;
    }
    Ok(())
}

/// A worker of 7/MDP whose ZMTP layer answers while it computes.
struct Hand {
    socket: socket2::Socket,
    thread: JoinHandle<Result<(), String>>,
}

impl Hand {
    /// Starts a worker that computes until it may continue, and signals when it has done so for
    /// long enough. Then it echoes, or stops and signals that.
    fn start(
        arena: &Arena,
        stops: bool,
        work: &Arc<AtomicBool>,
        wakes: &Sender<()>,
    ) -> Result<Self, String> {
        let peer = Peer::connect(&arena.place)?;
        peer.send(&[b"", b"MDPW01", b"\x01", b"work"])?;
        let socket = peer.socket().try_clone().map_err(text)?;
        let (work, wakes) = (Arc::clone(work), wakes.clone());
        let thread = std::thread::spawn(move || toil(peer, stops, &work, &wakes));
        Ok(Self { socket, thread })
    }

    fn end(self) -> Result<(), String> {
        // The broker may have closed the connection already.
        let _ = self.socket.shutdown(Shutdown::Both);
        self.thread.join().map_err(|_| "a worker panicked".to_string())?
    }
}

fn toil(mut peer: Peer, stops: bool, work: &AtomicBool, wakes: &Sender<()>) -> Result<(), String> {
    let (mut in_hand, mut intervals, mut answered) = (None, 0, false);
    while let Some(event) = peer.event()? {
        match event {
            Event::Ping => answered = true,
            Event::Message(message) if message.frame(2) == b"\x02" => in_hand = Some(message),
            Event::Message(message) if message.frame(2) == b"\x04" => {
                intervals += 1;
                if intervals == BLOCKED_INTERVALS + 1 && in_hand.is_some() && answered {
                    wakes.send(()).map_err(text)?;
                }
            }
            _ => {}
        }
        if !work.load(Ordering::Relaxed) {
            continue;
        }
        if stops {
            return wakes.send(()).map_err(text);
        }
        if let Some(request) = in_hand.take() {
            peer.write(&answer(&request)).map_err(text)?;
        }
    }
    Ok(())
}

fn answer(request: &Message) -> Vec<u8> {
    let [token, body] = [3, 5].map(|at| request.frame(at));
    framed(&[b"", b"MDPW01", b"\x03", token, b"", body])
}
