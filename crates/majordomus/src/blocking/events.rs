//! Connections that come and go.

use crate::ConnectionEvent;
use crate::blocking::Runtime;

/// What happens to the connections of a client or a worker, from
/// [`Client::events`](crate::blocking::Client::events) or
/// [`Worker::events`](crate::blocking::Worker::events): an iterator that waits for the next event, and
/// ends when there is nobody any more whose connections these are.
///
/// Of one who does not listen for long, the oldest events are left out:
/// [`EVENTS_MAX`](crate::EVENTS_MAX) wait.
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
