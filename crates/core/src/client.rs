//! The client: what it asks of the broker, and what came of it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use core::time::Duration;

use crate::uplink::{Backoff, Uplink};
use crate::{Frames, FromClient, Label, Outcome, Reply, Request, Time, Timeout, ToClient};

/// What a client's driver calls a request. None is used twice, and requests are sent in the order of
/// their handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestHandle(pub u64);

/// How a client behaves, and what its dialect can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Whether requests and replies carry the client's own id. Without it, a connection has one
    /// request at a time, and a request that is given up costs the connection: a late reply would
    /// be taken for the next one's.
    pub request_ids: bool,
    /// How many requests may be with the broker at once, where they have ids.
    pub running_max: usize,
    /// How many requests may wait for the connection or for those before them.
    pub waiting_max: usize,
    /// How many bytes the bodies of those may have together.
    pub waiting_bytes_max: usize,
    /// When a lost connection is opened again.
    pub backoff: Backoff,
}

impl Default for ClientConfig {
    /// No request ids; 1,024 requests and 64 MiB may wait.
    fn default() -> Self {
        Self {
            request_ids: false,
            running_max: 1024,
            waiting_max: 1024,
            waiting_bytes_max: 64 * 1024 * 1024,
            backoff: Backoff::default(),
        }
    }
}

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientInput {
    /// The connection that [`ClientOutput::Open`] asked for is there.
    Opened,
    /// The connection broke, or could not be opened.
    Lost,
    /// The broker says something.
    Received(ToClient),
    /// The user asks for something.
    Request {
        /// What its outcome is to be delivered under.
        handle: RequestHandle,
        /// The name of the service.
        service: Label,
        /// What the worker gets.
        body: Frames,
        /// How long it may take, from now and again from each part of the reply; `None` is as long
        /// as it takes.
        timeout: Option<Duration>,
    },
    /// The user no longer wants this; nothing more is delivered of it.
    Cancel(RequestHandle),
    /// The user does not take the parts of this reply fast enough; its time stands still.
    Pause(RequestHandle),
    /// The user takes parts again; the request has its whole time from now on.
    Resume(RequestHandle),
    /// Nothing but time passed.
    Tick,
}

/// What a client wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientOutput {
    /// Open a connection to the broker, and answer with [`ClientInput::Opened`] or
    /// [`ClientInput::Lost`].
    Open,
    /// Close the connection at once, and report nothing more of it.
    Close,
    /// Send this to the broker.
    Send(FromClient),
    /// Give this to the user.
    Deliver(RequestHandle, Delivery),
}

/// What the user gets for a request: any number of parts, then one of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A part of the reply; more follow.
    Part(Frames),
    /// The reply, or its last part.
    Final(Frames),
    /// There is no reply, or no more of it.
    Failed(Failure),
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Its time was over.
    Timeout,
    /// The connection was lost, or the broker broke the protocol, when the request was with it. It
    /// may have been done or not.
    Disconnected,
    /// Too many requests, or too many bytes, wait already. It was not sent.
    Refused,
    /// The broker or the worker says why.
    Remote(Outcome, Frames),
}

/// A client of one broker, over one connection at a time.
///
/// It is a state machine without I/O and without a clock. Its driver tells it what happened, with
/// the time, and then does what it says, until it says nothing more:
///
/// ```
/// use majordomus_core::{Client, ClientConfig, ClientInput, ClientOutput, Time};
///
/// let mut client = Client::new(ClientConfig::default(), 4711);
/// client.handle(Time::ZERO, ClientInput::Tick);
/// while let Some(output) = client.poll_output() {
///     assert_eq!(output, ClientOutput::Open);
/// }
/// // Now sleep until something happens, or until this moment:
/// assert_eq!(client.next_deadline(), Time::NEVER);
/// ```
///
/// A request waits until the connection is open and it is its turn, runs when it was sent, and ends
/// with exactly one [`Delivery::Final`] or [`Delivery::Failed`], unless it is cancelled. One that
/// runs when the connection is lost is not sent again, because the client cannot know whether it
/// was done; one that waits stays until its time is over.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    uplink: Uplink,
    /// Those that were not sent yet; the first is the next.
    waiting: BTreeMap<RequestHandle, Waiting>,
    waiting_bytes: usize,
    /// Those that are with the broker.
    running: BTreeMap<RequestHandle, Running>,
    /// When each request that has a timeout, waiting or running, is given up.
    deadlines: BTreeSet<(Time, RequestHandle)>,
    outputs: VecDeque<ClientOutput>,
}

#[derive(Debug)]
struct Waiting {
    service: Label,
    body: Frames,
    clock: Clock,
}

#[derive(Debug)]
struct Running {
    service: Label,
    clock: Clock,
}

/// The time that a request has.
#[derive(Clone, Copy, Debug)]
struct Clock {
    timeout: Option<Duration>,
    deadline: Time,
}

impl Client {
    /// A client that wants to be connected. `seed` varies its waits before it reconnects.
    pub fn new(config: ClientConfig, seed: u64) -> Self {
        Self {
            config,
            uplink: Uplink::new(config.backoff, seed),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            running: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Tells it what happened at `now`. Drain [`poll_output`](Self::poll_output) after each call.
    pub fn handle(&mut self, now: Time, input: ClientInput) {
        match input {
            ClientInput::Opened => self.uplink.opened(now),
            ClientInput::Lost => self.lose(now),
            ClientInput::Received(command) => self.handle_command(now, command),
            ClientInput::Request { handle, service, body, timeout } => {
                self.handle_request(now, handle, service, body, timeout);
            }
            ClientInput::Cancel(handle) => self.give_up(now, handle),
            ClientInput::Pause(handle) => self.set_deadline(handle, |_| Time::NEVER),
            ClientInput::Resume(handle) => self.restart_clock(now, handle),
            ClientInput::Tick => {}
        }
        self.expire(now);
        if self.uplink.open_if_due(now) {
            self.outputs.push_back(ClientOutput::Open);
        }
        self.send_waiting();
    }

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    /// When it must be told the time, by [`ClientInput::Tick`] or anything else, at the latest.
    pub fn next_deadline(&self) -> Time {
        let expiry = self.deadlines.first().map_or(Time::NEVER, |&(deadline, _)| deadline);
        expiry.min(self.uplink.due_at())
    }

    /// Whether no request waits or runs.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    fn handle_request(
        &mut self,
        now: Time,
        handle: RequestHandle,
        service: Label,
        body: Frames,
        timeout: Option<Duration>,
    ) {
        let bytes = self.waiting_bytes.saturating_add(body.bytes());
        if self.waiting.len() >= self.config.waiting_max || bytes > self.config.waiting_bytes_max {
            self.deliver(handle, Delivery::Failed(Failure::Refused));
            return;
        }
        let clock = Clock { timeout, deadline: Time::NEVER };
        self.waiting_bytes = bytes;
        self.waiting.insert(handle, Waiting { service, body, clock });
        self.restart_clock(now, handle);
    }

    fn handle_command(&mut self, now: Time, command: ToClient) {
        if !self.uplink.is_open() {
            return;
        }
        let reply = match &command {
            ToClient::Partial(reply) | ToClient::Final(reply) | ToClient::Failed(_, reply) => reply,
            ToClient::Heartbeat => return self.uplink.proven(),
        };
        let handle = match self.request_of(reply) {
            Whose::Request(handle) => handle,
            Whose::Ended => return,
            Whose::Nobody => return self.drop_broker(now),
        };
        self.uplink.proven();
        let delivery = match command {
            ToClient::Partial(reply) => {
                self.restart_clock(now, handle);
                Delivery::Part(reply.body)
            }
            ToClient::Final(reply) => Delivery::Final(reply.body),
            ToClient::Failed(outcome, reply) => {
                Delivery::Failed(Failure::Remote(outcome, reply.body))
            }
            ToClient::Heartbeat => return,
        };
        if !matches!(delivery, Delivery::Part(_)) {
            self.forget(handle);
        }
        self.deliver(handle, delivery);
    }

    /// Which request a reply answers.
    fn request_of(&self, reply: &Reply) -> Whose {
        if self.config.request_ids {
            let id = core::str::from_utf8(&reply.id).ok().and_then(|id| id.parse().ok());
            return match id.map(RequestHandle) {
                Some(handle) if self.running.contains_key(&handle) => Whose::Request(handle),
                Some(_) => Whose::Ended,
                None => Whose::Nobody,
            };
        }
        match self.running.first_key_value() {
            Some((&handle, running))
                if reply.service.is_empty() || reply.service == running.service =>
            {
                Whose::Request(handle)
            }
            _ => Whose::Nobody,
        }
    }

    /// Ends a request that is no longer wanted, also at the broker where it is there.
    fn give_up(&mut self, now: Time, handle: RequestHandle) {
        let with_broker = self.running.contains_key(&handle);
        self.forget(handle);
        if !with_broker {
            return;
        }
        if self.config.request_ids {
            let id = id_of(handle);
            self.outputs.push_back(ClientOutput::Send(FromClient::Cancel { id }));
        } else {
            self.outputs.push_back(ClientOutput::Close);
            self.uplink.closed(now);
        }
    }

    fn expire(&mut self, now: Time) {
        while let Some(&(deadline, handle)) = self.deadlines.first()
            && deadline <= now
        {
            self.give_up(now, handle);
            self.deliver(handle, Delivery::Failed(Failure::Timeout));
        }
    }

    /// The broker broke the protocol: what it says from here on cannot be trusted.
    fn drop_broker(&mut self, now: Time) {
        self.outputs.push_back(ClientOutput::Close);
        self.lose(now);
    }

    fn lose(&mut self, now: Time) {
        self.uplink.lost(now);
        while let Some((&handle, _)) = self.running.first_key_value() {
            self.forget(handle);
            self.deliver(handle, Delivery::Failed(Failure::Disconnected));
        }
    }

    fn send_waiting(&mut self) {
        let running_max = if self.config.request_ids { self.config.running_max } else { 1 };
        while self.uplink.is_open()
            && self.running.len() < running_max
            && let Some((handle, Waiting { service, body, clock })) = self.waiting.pop_first()
        {
            self.waiting_bytes -= body.bytes();
            self.running.insert(handle, Running { service: service.clone(), clock });
            let id = if self.config.request_ids { id_of(handle) } else { Label::empty() };
            let timeout = clock.timeout.map_or(Timeout::Never, Timeout::After);
            let request = Request { id, timeout, ..Request::new(service, body) };
            self.outputs.push_back(ClientOutput::Send(FromClient::Request(request)));
        }
    }

    fn forget(&mut self, handle: RequestHandle) {
        self.set_deadline(handle, |_| Time::NEVER);
        self.running.remove(&handle);
        if let Some(request) = self.waiting.remove(&handle) {
            self.waiting_bytes -= request.body.bytes();
        }
    }

    fn restart_clock(&mut self, now: Time, handle: RequestHandle) {
        self.set_deadline(handle, |timeout| timeout.map_or(Time::NEVER, |span| now.after(span)));
    }

    fn set_deadline(
        &mut self,
        handle: RequestHandle,
        deadline: impl FnOnce(Option<Duration>) -> Time,
    ) {
        let waiting = self.waiting.get_mut(&handle).map(|request| &mut request.clock);
        let running = self.running.get_mut(&handle).map(|request| &mut request.clock);
        let Some(clock) = waiting.or(running) else { return };
        self.deadlines.remove(&(clock.deadline, handle));
        clock.deadline = deadline(clock.timeout);
        if clock.deadline != Time::NEVER {
            self.deadlines.insert((clock.deadline, handle));
        }
    }

    fn deliver(&mut self, handle: RequestHandle, delivery: Delivery) {
        self.outputs.push_back(ClientOutput::Deliver(handle, delivery));
    }
}

/// Whose a reply is.
enum Whose {
    Request(RequestHandle),
    /// That of a request that has ended.
    Ended,
    /// That of no request that there ever was, as far as we can tell.
    Nobody,
}

/// The id by which the broker knows a request.
fn id_of(handle: RequestHandle) -> Label {
    Label::from(format!("{}", handle.0).as_str())
}

#[cfg(test)]
mod tests;
