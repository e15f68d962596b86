//! The network: one link for each connection, with a queue in each direction. What is sent arrives
//! late and in order, or not at all.

use core::time::Duration;
use std::collections::VecDeque;

use majordomus_core::{FromClient, FromWorker, PeerId, Time, ToClient, ToWorker};

/// What travels to the broker.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    Client(FromClient),
    Worker(FromWorker),
    /// A part of a message.
    Bytes,
    /// A question whether the broker lives, which its ZMTP answers.
    Ping,
    Pong,
    Malformed,
    /// The end of the connection.
    End,
}

/// What travels to a client or a worker.
#[derive(Clone, Debug)]
pub(crate) enum Down {
    Client(ToClient),
    Worker(ToWorker),
    Probe,
    Pong,
}

/// One connection, as it is between the two that it joins.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    /// Who is at the other end; nobody where the broker has not heard that it is gone.
    pub(crate) actor: Option<usize>,
    pub(crate) up: VecDeque<(Time, Up)>,
    pub(crate) down: VecDeque<(Time, Down)>,
    pub(crate) up_due: bool,
    pub(crate) down_due: bool,
    up_last: Time,
    down_last: Time,
    /// Whether the broker was told that it is full.
    pub(crate) filled: bool,
    /// How many messages may wait to be read.
    pub(crate) down_max: usize,
    /// How long each message takes, beside the delay of the network, to be read.
    pub(crate) read: Duration,
}

impl Link {
    pub(crate) fn new(peer: PeerId, actor: usize, down_max: usize) -> Self {
        Self {
            peer,
            actor: Some(actor),
            up: VecDeque::new(),
            down: VecDeque::new(),
            up_due: false,
            down_due: false,
            up_last: Time::ZERO,
            down_last: Time::ZERO,
            filled: false,
            down_max,
            read: Duration::ZERO,
        }
    }

    /// Sends something to the broker.
    pub(crate) fn send_up(&mut self, arrives: Time, message: Up) {
        self.up_last = self.up_last.max(arrives);
        self.up.push_back((self.up_last, message));
    }

    /// Sends something from the broker. It is read when what came before it was.
    pub(crate) fn send_down(&mut self, arrives: Time, message: Down) {
        self.down_last = self.down_last.max(arrives).after(self.read);
        self.down.push_back((self.down_last, message));
    }

    /// From now on it is read as fast as it comes.
    pub(crate) fn hurry(&mut self, now: Time) {
        self.read = Duration::ZERO;
        self.down_last = now;
        for (due, _) in &mut self.down {
            *due = (*due).min(now);
        }
    }
}
