//! The arena of an attack: a broker, an honest worker and an honest client.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use majordomus::blocking::{Client, Worker};

use super::honest::{self, Beside};
use super::{Attack, LEFT_BYTES_MAX, Scale, pause};
use crate::child::Child;
use crate::figure::Figure;
use crate::peer::{PATIENCE, Place};
use crate::{cost, text};

/// The name of the broker's reactor thread.
const REACTOR: &str = "reactor";
/// The time within which live bytes must return to their level. The rest is reported as a figure.
const COME_BACK: Duration = Duration::from_secs(15);
/// The maximum time until a new client receives its first answer.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

/// The broker's counters and gauges at one moment.
#[derive(Clone, Debug)]
pub(super) struct State(BTreeMap<String, u64>);

impl State {
    fn read(said: &str) -> Result<Self, String> {
        let words: Vec<&str> = said.split(' ').collect();
        let counts = words.chunks(2).map(|pair| match pair {
            [name, count] => Some(((*name).to_string(), count.parse().ok()?)),
            _ => None,
        });
        counts.collect::<Option<_>>().map(Self).ok_or_else(|| format!("it said {said:?}"))
    }

    /// Returns a counter. Counters of closed connections and rejected messages exist only after
    /// their first increment. All other names always exist.
    pub(super) fn get(&self, name: &str) -> u64 {
        let counted_later = name.starts_with("closed.") || name.starts_with("refused.");
        match self.0.get(name) {
            Some(count) => *count,
            None => {
                assert!(counted_later, "the broker counts no {name}");
                0
            }
        }
    }

    /// Returns the growth of a counter.
    pub(super) fn since(&self, before: &State, name: &str) -> u64 {
        self.get(name).saturating_sub(before.get(name))
    }
}

/// A broker and honest peers that are active during an attack.
pub(super) struct Arena {
    pub(super) scale: Scale,
    pub(super) place: Place,
    broker: Child,
    client: Client,
    /// The honest worker, which serves until it is dropped.
    _worker: Worker,
}

impl Arena {
    pub(super) fn open(attack: &Attack, scale: Scale) -> Result<Self, String> {
        rlimit::increase_nofile_limit(u64::MAX).map_err(text)?;
        let broker = Child::start(&["hostile-broker", attack.name, scale.name()])?;
        let place = broker.said().split_once(' ').and_then(|(tcp, ipc)| {
            let tcp = tcp.strip_prefix("tcp://")?.parse().ok()?;
            Some(Place { tcp, ipc: ipc.strip_prefix("ipc://")?.into() })
        });
        let place = place.ok_or_else(|| format!("it listens at {}", broker.said()))?;
        let worker = honest::worker(&place, honest::SERVICE)?;
        let client = Client::connect(place.endpoint()).map_err(text)?;
        let arena = Self { scale, place, broker, client, _worker: worker };
        arena.echo()?;
        Ok(arena)
    }

    /// Returns the broker's state. The figures of the system are read in this process, because the
    /// broker may have no file descriptor left.
    pub(super) fn state(&mut self) -> Result<State, String> {
        let mut state = State::read(&self.broker.ask()?)?;
        let process = self.broker.id();
        let reactor = cost::of_thread(process, REACTOR)?;
        state.0.insert("reactor_us".into(), reactor.as_micros() as u64);
        state.0.insert("resident_bytes".into(), cost::resident_bytes(process)?);
        Ok(state)
    }

    /// Returns the number of the broker's open files, out of `most`.
    pub(super) fn open_files(&self, most: u64) -> Result<u64, String> {
        cost::open_files(self.broker.id(), most)
    }

    /// Limits the number of the broker's open files.
    pub(super) fn limit_open_files(&self, most: u64) -> Result<(), String> {
        let id = self.broker.id().try_into().map_err(text)?;
        let hard = rlimit::Resource::NOFILE.get_hard().map_err(text)?;
        rlimit::prlimit(id, rlimit::Resource::NOFILE, Some((most, hard)), None).map_err(text)
    }

    /// Waits until the broker's state satisfies a condition.
    pub(super) fn wait_for(
        &mut self,
        what: &str,
        is_so: impl Fn(&State) -> bool,
    ) -> Result<State, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let state = self.state()?;
            if is_so(&state) {
                return Ok(state);
            }
            if Instant::now() > end {
                return Err(format!("waited for {what} in vain: {:?}", state.0));
            }
            pause();
        }
    }

    /// Waits until a counter has grown by exactly this much. Fails if it grows by more.
    pub(super) fn wait_for_more(
        &mut self,
        before: &State,
        name: &str,
        more: u64,
    ) -> Result<State, String> {
        let what = format!("{more} more of {name}");
        let state = self.wait_for(&what, |now| now.since(before, name) >= more)?;
        match state.since(before, name) {
            grown if grown == more => Ok(state),
            grown => Err(format!("{grown} more of {name}, and not {more}")),
        }
    }

    /// Returns the broker's state after all one-time allocations for its honest peers.
    pub(super) fn quiet(&mut self) -> Result<State, String> {
        for _ in 0..100 {
            self.echo()?;
        }
        self.served_anew()?;
        self.wait_for("only the honest peers", |now| now.get("connections") == 2)
    }

    /// Waits until all connections, requests and memory of an attack are released, and returns the
    /// broker's state. The caller checks memory that is not released.
    pub(super) fn back_to(&mut self, before: &State) -> Result<State, String> {
        let gone = ["connections", "handshakes", "peers", "services", "requests", "held_clients"];
        let gone = gone.into_iter().chain(["reception_bytes", "in_progress"]);
        self.wait_for("the attack to be gone", |now| {
            gone.clone().all(|name| now.get(name) <= before.get(name))
        })?;
        let most = before.get("live_bytes") + LEFT_BYTES_MAX;
        let end = Instant::now() + self.scale.pick(COME_BACK, Duration::ZERO);
        loop {
            let state = self.state()?;
            if state.get("balanced") != 1 {
                return Err(format!("requests are not all counted: {:?}", state.0));
            }
            if state.get("live_bytes") <= most || Instant::now() > end {
                return Ok(state);
            }
            pause();
        }
    }

    /// Sends a request from the honest client, checks the reply, and returns the round-trip time.
    pub(super) fn echo(&self) -> Result<Duration, String> {
        honest::echo(&self.client)
    }

    /// Measures the time until a new honest client receives its first answer.
    pub(super) fn served_anew(&self) -> Result<Figure, String> {
        let took = honest::newcomer(&self.place)?;
        Ok(Figure::within(SERVED_WITHIN, "a new client is served after", took))
    }

    /// Sends requests continuously during an attack.
    pub(super) fn beside(&self) -> Beside {
        let client = self.client.clone();
        Beside::start(move || honest::echo(&client))
    }

    /// Connects new clients, one after another, during an attack.
    pub(super) fn newcomers(&self) -> Beside {
        let place = self.place.clone();
        Beside::start(move || {
            let took = honest::newcomer(&place)?;
            pause();
            Ok(took)
        })
    }

    /// Returns the longest wait of a new client as a figure.
    pub(super) fn longest_wait(newcomers: Beside) -> Result<Figure, String> {
        let longest = newcomers.stop()?.longest();
        Ok(Figure::within(SERVED_WITHIN, "new clients meanwhile are served after", longest))
    }

    /// Ends the broker and checks that each request had exactly one outcome.
    pub(super) fn close(self) -> Result<(), String> {
        let Self { broker, client, _worker, .. } = self;
        drop((client, _worker));
        match State::read(broker.end()?.trim())?.get("balanced") {
            1 => Ok(()),
            _ => Err("requests have not all had one outcome".into()),
        }
    }
}
