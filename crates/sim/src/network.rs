//! The simulated network: one link per connection, with a queue in each direction. Messages arrive
//! late and in order, or not at all.

use core::time::Duration;
use std::collections::VecDeque;

use majordomus_core::{FromClient, FromWorker, PeerId, Time, ToClient, ToWorker};

/// A message to the broker.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    Client(FromClient),
    Worker(FromWorker),
    /// A part of a message.
    Bytes,
    /// A liveness probe of the broker, which its ZMTP layer answers.
    Ping,
    Pong,
    Malformed,
    /// The end of the connection.
    End,
}

/// A message to a client or a worker.
#[derive(Clone, Debug)]
pub(crate) enum Down {
    Client(ToClient),
    Worker(ToWorker),
    Probe,
    Pong,
}

/// The link of one connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) peer: PeerId,
    /// The program at the other end. `None` if it is gone and the broker was not notified.
    pub(crate) actor: Option<usize>,
    pub(crate) up: VecDeque<(Time, Up)>,
    pub(crate) down: VecDeque<(Time, Down)>,
    pub(crate) up_due: bool,
    pub(crate) down_due: bool,
    up_last: Time,
    down_last: Time,
    /// True if the broker was notified that the link is above its high-water mark.
    pub(crate) filled: bool,
    /// The maximum number of unread messages.
    pub(crate) down_max: usize,
    /// The reading time per message, in addition to the network's delay.
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

    /// Sends a message to the broker.
    pub(crate) fn send_up(&mut self, arrives: Time, message: Up) {
        self.up_last = self.up_last.max(arrives);
        self.up.push_back((self.up_last, message));
    }

    /// Sends a message from the broker. The peer reads it after all earlier ones.
    pub(crate) fn send_down(&mut self, arrives: Time, message: Down) {
        self.down_last = self.down_last.max(arrives).after(self.read);
        self.down.push_back((self.down_last, message));
    }

    /// Removes the reading time, so that messages are read as soon as they arrive.
    pub(crate) fn hurry(&mut self, now: Time) {
        self.read = Duration::ZERO;
        self.down_last = now;
        for (due, _) in &mut self.down {
            *due = (*due).min(now);
        }
    }
}
