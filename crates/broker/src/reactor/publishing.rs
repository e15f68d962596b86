//! Publication of the directory: subscribers of a separate listener receive the whole directory
//! whenever it changes. The core does not know these peers.
//!
//! PIGATO's Directory uses this publication. A message is one frame: `$dir ` followed by JSON.

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use majordomus_core::{FramesView, PeerId, Time};

use super::Reactor;
use crate::subscriber::Subscriber;

/// The beginning of every published message.
const TOPIC: &[u8] = b"$dir ";
/// The first byte of a subscription or cancellation message, as sent by peers of ZMTP 3.0.
const CANCEL: u8 = 0;
const SUBSCRIBE: u8 = 1;
/// The pause after a publication, as a multiple of the time it took. Publishing a directory of many
/// workers is slow and delays other peers.
const REST_FACTOR: u32 = 9;

/// The state of the publication.
#[derive(Debug, Default)]
pub(super) struct Publishing {
    /// Peers that may subscribe to the published message.
    subscribers: BTreeSet<PeerId>,
    /// Subscribers that receive the next publication even if the directory has not changed.
    owed: BTreeSet<PeerId>,
    /// The edition of the directory that was published last.
    edition: u64,
    /// The message with that edition, once encoded.
    message: Option<Bytes>,
    /// The time until which nothing is published.
    rests_until: Time,
    /// The number of messages sent, counted for each subscriber.
    pub(super) sent: u64,
    /// The number of messages not sent because a subscriber had not read earlier ones.
    pub(super) missed: u64,
}

impl Publishing {
    pub(super) fn forget(&mut self, id: PeerId) {
        self.subscribers.remove(&id);
        self.owed.remove(&id);
    }
}

/// Subscriptions from subscribers.
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

    /// Handles a subscriber's message. Only subscriptions and cancellations are valid.
    pub(super) fn subscriber_message(&mut self, id: PeerId, message: FramesView<'_>) {
        match (message.len(), message.get(0)) {
            (1, Some([SUBSCRIBE, subscription @ ..])) => self.subscribe(id, subscription),
            (1, Some([CANCEL, subscription @ ..])) => self.cancel(id, subscription),
            _ => {
                let Some(connection) = self.io.connections.get(id) else { return };
                let text = "a subscriber's message that is no subscription";
                self.io.stats.refuse(self.io.now, connection, "no_subscription", &text);
            }
        }
    }
}

/// Publications to subscribers.
impl Reactor {
    /// Returns the time of the next publication, if one is due.
    pub(super) fn next_publication(&self) -> Option<Time> {
        let Publishing { subscribers, owed, edition, rests_until, .. } = &self.publishing;
        let changed = !subscribers.is_empty() && self.core.directory_edition() != *edition;
        // During shutdown the publication is not delayed.
        let due = if self.shutdown_due.is_some() { self.io.now } else { *rests_until };
        (changed || !owed.is_empty()).then_some(due)
    }

    /// Sends the directory to every subscriber if it has changed, otherwise to those that have not
    /// received it.
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

    /// Returns the message with the directory.
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

    /// Schedules the current directory for a subscriber that missed a publication and has now read
    /// all of its output.
    pub(super) fn catch_up(&mut self, id: PeerId) {
        let Some(connection) = self.io.connections.get(id) else { return };
        if let Some(Subscriber { missed: missed @ true, .. }) = connection.subscriber() {
            *missed = false;
            self.publishing.owed.insert(id);
        }
    }
}
