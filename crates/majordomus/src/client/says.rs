//! What is said to a request, from the task that has it to whoever reads its reply.
//!
//! Mostly that is one thing, and takes one small piece of memory. A reply of several parts has a
//! channel for them from its first one on.

use tokio::sync::{mpsc, oneshot};

use crate::{Body, Reply, RequestError};

/// Parts of one reply that wait for its reader.
pub(crate) const PARTS_MAX: usize = 16;

/// What is said to a request: any number of parts, then one of the others.
#[derive(Debug)]
pub(crate) enum Said {
    Part(Body),
    Last(Body),
    Failed(RequestError),
}

/// What a reader hears first.
#[derive(Debug)]
pub(crate) enum First {
    /// All that there is.
    End(Said),
    /// That parts come, and where. The channel has memory for some 32 of them at once: in boxes, that
    /// is little.
    Parts(mpsc::Receiver<Box<Said>>),
    /// A part, and the reply that goes on behind it.
    Begun(Box<(Body, Reply)>),
}

/// By what it is said.
#[derive(Debug)]
pub(crate) struct Says {
    first: Option<oneshot::Sender<First>>,
    parts: Option<mpsc::Sender<Box<Said>>>,
}

impl Says {
    pub(crate) fn new() -> (Self, oneshot::Receiver<First>) {
        let (first, heard) = oneshot::channel();
        (Self { first: Some(first), parts: None }, heard)
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        let nobody = |first: &oneshot::Sender<First>| first.is_closed();
        match &self.parts {
            Some(parts) => parts.is_closed(),
            None => self.first.as_ref().is_none_or(nobody),
        }
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn closed(&mut self) {
        match (&mut self.first, &self.parts) {
            (_, Some(parts)) => parts.closed().await,
            (Some(first), None) => first.closed().await,
            (None, None) => {}
        }
    }

    /// Whether there is room for a part, besides the place that is kept for the end.
    pub(crate) fn has_room(&self) -> bool {
        self.parts.as_ref().is_none_or(|parts| parts.capacity() >= 2)
    }

    /// Waits until there is such room, or nobody reads any more.
    pub(crate) async fn room(&self) {
        if let Some(parts) = &self.parts {
            let _ = parts.reserve_many(2).await;
        }
    }

    /// Whether parts wait for their reader.
    pub(crate) fn is_unread(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.capacity() < parts.max_capacity())
    }

    /// Says a part, for which there [is room](Self::has_room).
    pub(crate) fn part(&mut self, part: Body) {
        let Some(first) = self.first.take() else { return self.say(Said::Part(part)) };
        // One place more than there may be parts, so that the end always finds room.
        let (parts, heard) = mpsc::channel(PARTS_MAX + 1);
        self.parts = Some(parts);
        self.say(Said::Part(part));
        let _ = first.send(First::Parts(heard));
    }

    /// Says the last thing.
    pub(crate) fn end(self, end: Said) {
        match self.first {
            Some(first) => {
                let _ = first.send(First::End(end));
            }
            None => self.say(end),
        }
    }

    fn say(&self, said: Said) {
        if let Some(parts) = &self.parts {
            let _ = parts.try_send(Box::new(said));
        }
    }
}
