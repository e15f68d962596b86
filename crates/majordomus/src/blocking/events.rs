//! Blocking iterator over connection events.

use crate::ConnectionEvent;
use crate::blocking::Runtime;

/// An iterator over the connection events of a client or a worker, from
/// [`Client::events`](crate::blocking::Client::events) or
/// [`Worker::events`](crate::blocking::Worker::events). It waits for the next event, and ends when
/// the client or worker no longer exists.
///
/// At most [`EVENTS_MAX`](crate::EVENTS_MAX) events are queued for a slow reader; the oldest are
/// dropped first.
///
/// ```no_run
/// # fn example(client: majordomus::blocking::Client) {
/// for event in client.events() {
///     println!("{event}");
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct ConnectionEvents {
    events: crate::ConnectionEvents,
    runtime: Runtime,
}

impl ConnectionEvents {
    pub(crate) fn new(events: crate::ConnectionEvents, runtime: Runtime) -> Self {
        Self { events, runtime }
    }
}

impl Iterator for ConnectionEvents {
    type Item = ConnectionEvent;

    #[track_caller]
    fn next(&mut self) -> Option<ConnectionEvent> {
        self.runtime.block_on(self.events.next())
    }
}
