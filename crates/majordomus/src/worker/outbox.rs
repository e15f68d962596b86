//! The message channel from the handlers to the task that owns the connection.

use std::sync::{Mutex, MutexGuard, PoisonError};

use majordomus_core::{TaskHandle, ToWorker, WorkerInput};
use tokio::sync::mpsc;

/// A message from a handler. It is never [`Received`](WorkerInput::Received), so the box is never
/// allocated; it keeps the type small.
pub(crate) type Saying = WorkerInput<Box<ToWorker>>;

/// The messages of one connection's handlers: a channel, and a cheaper slot for the handler that is
/// polled inline.
#[derive(Debug)]
pub(crate) struct Outbox {
    channel: mpsc::Sender<Saying>,
    inline: Mutex<Inline>,
}

/// The messages of the handler that is polled inline.
#[derive(Debug, Default)]
struct Inline {
    /// The handler's task, while it is polled.
    task: Option<TaskHandle>,
    /// The first message. Later ones go through the channel.
    said: Option<Saying>,
    /// True if there are later messages in the channel.
    has_more: bool,
}

impl Outbox {
    pub(crate) fn new(channel: mpsc::Sender<Saying>) -> Self {
        Self { channel, inline: Mutex::default() }
    }

    /// Starts the inline poll of the handler of `task`.
    pub(crate) fn begin(&self, task: TaskHandle) {
        let mut inline = self.inline();
        inline.task = Some(task);
        inline.has_more = false;
    }

    /// Ends the inline poll. Returns the handler's first message, and true if it has sent more
    /// messages through the channel.
    pub(crate) fn end(&self) -> (Option<Saying>, bool) {
        let mut inline = self.inline();
        inline.task = None;
        (inline.said.take(), inline.has_more)
    }

    /// Sends a message of `task`. Returns the message if the channel is full.
    pub(crate) fn say(&self, task: TaskHandle, saying: Saying) -> Option<Saying> {
        let mut inline = self.inline();
        if inline.task == Some(task) {
            if inline.said.is_none() {
                inline.said = Some(saying);
                return None;
            }
            inline.has_more = true;
        }
        drop(inline);
        self.channel.try_send(saying).err().map(mpsc::error::TrySendError::into_inner)
    }

    /// Returns the channel, for messages that must wait until it has capacity.
    pub(crate) fn channel(&self) -> &mpsc::Sender<Saying> {
        &self.channel
    }

    fn inline(&self) -> MutexGuard<'_, Inline> {
        self.inline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: TaskHandle = TaskHandle(1);
    const SECOND: TaskHandle = TaskHandle(2);

    #[test]
    fn the_handler_that_is_polled_inline_has_a_place_of_its_own() {
        let (channel, mut said) = mpsc::channel(2);
        let outbox = Outbox::new(channel);
        let at_work = Saying::AtWork;
        outbox.begin(FIRST);
        for task in [FIRST, SECOND, FIRST] {
            assert_eq!(outbox.say(task, at_work(task)), None);
        }
        // The channel is full.
        assert_eq!(outbox.say(SECOND, at_work(SECOND)), Some(at_work(SECOND)));
        assert_eq!(outbox.end(), (Some(at_work(FIRST)), true));
        assert_eq!(said.try_recv(), Ok(at_work(SECOND)));
        assert_eq!(said.try_recv(), Ok(at_work(FIRST)));
        outbox.begin(SECOND);
        assert_eq!(outbox.say(FIRST, at_work(FIRST)), None);
        assert_eq!(outbox.end(), (None, false));
        assert_eq!(said.try_recv(), Ok(at_work(FIRST)));
    }
}
