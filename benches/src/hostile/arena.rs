//! Where an attack takes place: a broker, an honest worker, an honest client.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use majordomus::blocking::{Client, Worker};

use super::honest::{self, Beside};
use super::{Attack, LEFT_BYTES_MAX, Scale, pause};
use crate::child::Child;
use crate::figure::Figure;
use crate::peer::{PATIENCE, Place};
use crate::{cost, text};

/// The name of the thread that is the broker.
const REACTOR: &str = "reactor";
/// How long live bytes may take to come back. What is left then is a figure.
const COME_BACK: Duration = Duration::from_secs(15);
/// How long a new client may wait for its first answer.
const SERVED_WITHIN: Duration = Duration::from_secs(2);

/// What a broker has counted and holds at a moment.
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

    /// The count of this name. Connections that were closed and messages that were refused are
    /// counted from the first of their reason on; every other name is there from the beginning.
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

    /// How much a count has grown since.
    pub(super) fn since(&self, before: &State, name: &str) -> u64 {
        self.get(name).saturating_sub(before.get(name))
    }
}

/// A broker, and honest peers that go on while it is attacked.
pub(super) struct Arena {
    pub(super) scale: Scale,
    pub(super) place: Place,
    broker: Child,
    client: Client,
    /// It serves as long as it is there.
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

    /// How the broker is. What the system says of it is read from here: it may have no open file
    /// left to read it.
    pub(super) fn state(&mut self) -> Result<State, String> {
        let mut state = State::read(&self.broker.ask()?)?;
        let process = self.broker.id();
        let reactor = cost::of_thread(process, REACTOR)?;
        state.0.insert("reactor_us".into(), reactor.as_micros() as u64);
        state.0.insert("resident_bytes".into(), cost::resident_bytes(process)?);
        Ok(state)
    }

    /// Files that the broker has open of those that it may.
    pub(super) fn open_files(&self, most: u64) -> Result<u64, String> {
        cost::open_files(self.broker.id(), most)
    }

    /// Lets the broker have so many files open, and no more.
    pub(super) fn limit_open_files(&self, most: u64) -> Result<(), String> {
        let id = self.broker.id().try_into().map_err(text)?;
        let hard = rlimit::Resource::NOFILE.get_hard().map_err(text)?;
        rlimit::prlimit(id, rlimit::Resource::NOFILE, Some((most, hard)), None).map_err(text)
    }

    /// Waits until the broker is as it should be.
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

    /// Waits until a count has grown to so much more than before, and fails where it is yet more.
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

    /// How the broker is when all that is made once for its honest peers is there.
    pub(super) fn quiet(&mut self) -> Result<State, String> {
        for _ in 0..100 {
            self.echo()?;
        }
        self.served_anew()?;
        self.wait_for("only the honest peers", |now| now.get("connections") == 2)
    }

    /// Waits until all that came with an attack is gone, and its memory too: how the broker is then.
    /// Memory that is not given back is for the caller to judge.
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

    /// The honest client is served rightly: how long that took.
    pub(super) fn echo(&self) -> Result<Duration, String> {
        honest::echo(&self.client)
    }

    /// How long a new honest client waits for its first answer.
    pub(super) fn served_anew(&self) -> Result<Figure, String> {
        let took = honest::newcomer(&self.place)?;
        Ok(Figure::within(SERVED_WITHIN, "a new client is served after", took))
    }

    /// Asks without a break for as long as an attack goes on.
    pub(super) fn beside(&self) -> Beside {
        let client = self.client.clone();
        Beside::start(move || honest::echo(&client))
    }

    /// New clients come, one after another, for as long as an attack goes on.
    pub(super) fn newcomers(&self) -> Beside {
        let place = self.place.clone();
        Beside::start(move || {
            let took = honest::newcomer(&place)?;
            pause();
            Ok(took)
        })
    }

    /// The longest that a new client waited, as a figure.
    pub(super) fn longest_wait(newcomers: Beside) -> Result<Figure, String> {
        let longest = newcomers.stop()?.longest();
        Ok(Figure::within(SERVED_WITHIN, "new clients meanwhile are served after", longest))
    }

    /// Ends it, and looks whether each request had one outcome.
    pub(super) fn close(self) -> Result<(), String> {
        let Self { broker, client, _worker, .. } = self;
        drop((client, _worker));
        match State::read(broker.end()?.trim())?.get("balanced") {
            1 => Ok(()),
            _ => Err("requests have not all had one outcome".into()),
        }
    }
}
