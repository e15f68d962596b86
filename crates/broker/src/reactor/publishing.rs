//! The directory, published: at a listener of its own, subscribers get all of it whenever it has
//! changed. The core knows nothing of them.
//!
//! PIGATO's Directory lives on that: one frame, `$dir ` and JSON.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use majordomus_core::{FramesView, PeerId, Time};

use super::Reactor;
use crate::subscriber::Subscriber;

/// What every message begins with.
const TOPIC: &[u8] = b"$dir ";
/// The first byte of a message that subscribes or cancels, which is how peers of ZMTP 3.0 do it.
const CANCEL: u8 = 0;
const SUBSCRIBE: u8 = 1;
/// Publishing a directory of many workers takes long, and others wait. So it rests this many times
/// as long as it took.
const REST_FACTOR: u32 = 9;

/// What is known of the publication.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    /// Those that may want what is published.
    subscribers: BTreeSet<PeerId>,
    /// Those of them that get it next time even if it is the same.
    owed: BTreeSet<PeerId>,
    /// The edition of the directory that was published last.
    edition: u64,
    /// The message with that edition, where anybody wanted it.
    message: Option<Bytes>,
    /// Until when nothing is published.
    rests_until: Time,
    /// Messages that were sent, one for each subscriber.
    pub(super) sent: u64,
    /// Messages that were not, because a subscriber did not read those before.
    pub(super) missed: u64,
}

impl Publishing {
    pub(super) fn forget(&mut self, id: PeerId) {
        self.subscribers.remove(&id);
        self.owed.remove(&id);
    }
}

/// What subscribers say.
impl Reactor {
    pub(super) fn subscribe(&mut self, id: PeerId, subscription: &[u8]) {
        let Some(connection) = self.io.connections.get(id) else { return };
        let Some(subscriber) = connection.subscriber() else { return };
        self.silent.end(id);
        match subscriber.subscribe(subscription) {
            Ok(new) => {
                if new && subscriber.may_want(TOPIC) {
                    self.publishing.subscribers.insert(id);
                    self.publishing.owed.insert(id);
                }
            }
            Err(surplus) => self.cut(id, surplus.name(), &surplus),
        }
    }

    pub(super) fn cancel(&mut self, id: PeerId, subscription: &[u8]) {
        let Some(connection) = self.io.connections.get(id) else { return };
        let Some(subscriber) = connection.subscriber() else { return };
        subscriber.cancel(subscription);
        if !subscriber.may_want(TOPIC) {
            self.publishing.forget(id);
        }
    }

    /// A message of a subscriber, which can only be a subscription.
    pub(super) fn subscriber_message(&mut self, id: PeerId, message: FramesView<'_>) {
        match (message.len(), message.get(0)) {
            (1, Some([SUBSCRIBE, subscription @ ..])) => self.subscribe(id, subscription),
            (1, Some([CANCEL, subscription @ ..])) => self.cancel(id, subscription),
            _ => {
                let Some(connection) = self.io.connections.get(id) else { return };
                let text = "a subscriber's message that is no subscription";
                self.io.census.refuse(self.io.now, connection, "no_subscription", &text);
            }
        }
    }
}

/// What subscribers are told.
impl Reactor {
    /// When the directory is to be published, if it is.
    pub(super) fn next_publication(&self) -> Option<Time> {
        let Publishing { subscribers, owed, edition, rests_until, .. } = &self.publishing;
        let changed = !subscribers.is_empty() && self.core.directory_edition() != *edition;
        // At the end there is no later.
        let due = if self.shutdown_due.is_some() { self.io.now } else { *rests_until };
        (changed || !owed.is_empty()).then_some(due)
    }

    /// Sends the directory to all who want it if it has changed, else to those that have not got it.
    pub(super) fn publish(&mut self) {
        if self.next_publication().is_none_or(|due| due > self.io.now) {
            return;
        }
        let begun = self.clock();
        let edition = self.core.directory_edition();
        let mut audience = std::mem::take(&mut self.publishing.owed);
        if self.publishing.edition != edition {
            self.publishing.edition = edition;
            self.publishing.message = None;
            audience.clone_from(&self.publishing.subscribers);
        }
        let message = self.publication();
        for id in audience {
            self.publish_to(id, &message);
        }
        let ended = self.clock();
        self.publishing.rests_until = ended.after(ended.since(begun) * REST_FACTOR);
    }

    /// The message with the directory.
    fn publication(&mut self) -> Bytes {
        if let Some(message) = &self.publishing.message {
            return message.clone();
        }
        let directory = self.core.directory();
        let mut message = BytesMut::with_capacity(TOPIC.len() + directory.len());
        message.put_slice(TOPIC);
        message.put_slice(&directory);
        self.publishing.message.insert(message.freeze()).clone()
    }

    fn publish_to(&mut self, id: PeerId, message: &Bytes) {
        let Some(connection) = self.io.connections.get(id) else { return };
        let unsent = connection.zmtp.unsent_bytes();
        let Some(subscriber) = connection.subscriber() else { return };
        if !subscriber.wants(message) {
            return;
        }
        subscriber.missed = unsent > 0 && unsent + message.len() > self.io.unsent_bytes_max;
        if subscriber.missed {
            self.publishing.missed += 1;
        } else {
            connection.zmtp.send_shared(message, false);
            self.publishing.sent += 1;
            self.io.queue_write(id.index);
        }
    }

    /// A subscriber has read all that was sent to it: if it missed something, it gets the directory
    /// as it is now.
    pub(super) fn catch_up(&mut self, id: PeerId) {
        let Some(connection) = self.io.connections.get(id) else { return };
        if let Some(Subscriber { missed: missed @ true, .. }) = connection.subscriber() {
            *missed = false;
            self.publishing.owed.insert(id);
        }
    }
}
