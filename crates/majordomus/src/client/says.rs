//! The channel that delivers a reply from the client's task to its reader.
//!
//! Most replies have one message, which needs only one small allocation. A multipart reply gets a
//! channel for its parts when the first part arrives.

use tokio::sync::{mpsc, oneshot};

use crate::{Body, Reply, RequestError};

/// The maximum number of unread parts of one reply.
pub(crate) const PARTS_MAX: usize = 16;

/// A message of a reply: any number of `Part`s, followed by one of the other variants.
#[derive(Debug)]
pub(crate) enum Said {
    Part(Body),
    Last(Body),
    Failed(RequestError),
}

/// The first message to a reader.
#[derive(Debug)]
pub(crate) enum First {
    /// The complete reply.
    End(Said),
    /// The channel for a multipart reply. The channel allocates memory for about 32 messages at
    /// once, which is little because they are boxed.
    Parts(mpsc::Receiver<Box<Said>>),
    /// The first part, and the reply with the remaining parts.
    Begun(Box<(Body, Reply)>),
}

/// The sender of a reply.
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

    /// Returns true if the reader was dropped.
    pub(crate) fn is_closed(&self) -> bool {
        let nobody = |first: &oneshot::Sender<First>| first.is_closed();
        match &self.parts {
            Some(parts) => parts.is_closed(),
            None => self.first.as_ref().is_none_or(nobody),
        }
    }

    /// Waits until the reader is dropped.
    pub(crate) async fn closed(&mut self) {
        match (&mut self.first, &self.parts) {
            (_, Some(parts)) => parts.closed().await,
            (Some(first), None) => first.closed().await,
            (None, None) => {}
        }
    }

    /// Returns true if there is room for a part. One slot is reserved for the end of the reply.
    pub(crate) fn has_room(&self) -> bool {
        self.parts.as_ref().is_none_or(|parts| parts.capacity() >= 2)
    }

    /// Waits until there is room for a part, or until the reader is dropped.
    pub(crate) async fn room(&self) {
        if let Some(parts) = &self.parts {
            let _ = parts.reserve_many(2).await;
        }
    }

    /// Returns true if there are unread parts.
    pub(crate) fn is_unread(&self) -> bool {
        self.parts.as_ref().is_some_and(|parts| parts.capacity() < parts.max_capacity())
    }

    /// Sends a part. The caller must check [`has_room`](Self::has_room) first.
    pub(crate) fn part(&mut self, part: Body) {
        let Some(first) = self.first.take() else { return self.say(Said::Part(part)) };
        // The capacity is one more than the maximum number of parts, so that the end always fits.
        let (parts, heard) = mpsc::channel(PARTS_MAX + 1);
        self.parts = Some(parts);
        self.say(Said::Part(part));
        let _ = first.send(First::Parts(heard));
    }

    /// Sends the end of the reply.
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
