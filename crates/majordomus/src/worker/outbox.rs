//! How handlers reach the task that owns the connection.

use std::sync::{Mutex, MutexGuard, PoisonError};

use majordomus_core::{TaskHandle, ToWorker, WorkerInput};
use tokio::sync::mpsc;

/// What a handler says. It is never [`Received`](WorkerInput::Received), so the box is never made: it
/// keeps what is said small.
pub(crate) type Saying = WorkerInput<Box<ToWorker>>;

/// What the handlers of one connection have to say: a channel, and a place beside it for the handler
/// that is polled inline, which costs less.
#[derive(Debug)]
pub(crate) struct Outbox {
    channel: mpsc::Sender<Saying>,
    inline: Mutex<Inline>,
}

/// What the handler says that is polled inline.
#[derive(Debug, Default)]
struct Inline {
    /// Its task, while it is polled.
    task: Option<TaskHandle>,
    /// What it says first. The rest goes through the channel.
    said: Option<Saying>,
    /// Whether there is a rest.
    has_more: bool,
}

impl Outbox {
    pub(crate) fn new(channel: mpsc::Sender<Saying>) -> Self {
        Self { channel, inline: Mutex::default() }
    }

    /// The handler of `task` is polled inline from now on.
    pub(crate) fn begin(&self, task: TaskHandle) {
        let mut inline = self.inline();
        inline.task = Some(task);
        inline.has_more = false;
    }

    /// No handler is polled inline any more. Returns what the last one said first, and whether more of
    /// it is in the channel.
    pub(crate) fn end(&self) -> (Option<Saying>, bool) {
        let mut inline = self.inline();
        inline.task = None;
        (inline.said.take(), inline.has_more)
    }

    /// Says something of `task`. Returns it where there is no room for it in the channel.
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

    /// The channel, for what has to wait for room.
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
        // There is no more room in the channel.
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
