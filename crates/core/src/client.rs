//! The client state machine: request queue, in-flight requests, time limits and reconnection.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::borrow::BorrowMut;
use core::time::Duration;

use bytes::Bytes;
use hashbrown::HashMap;

mod deadlines;
mod handles;

use deadlines::Deadlines;
pub use handles::{HandleHasher, HandleState, RequestHandle};

use crate::uplink::{Backoff, Uplink};
use crate::{
    ByteStr, CREDIT_UNLIMITED, CorrelationId, DisconnectReason, Frames, FromClient, Hello, Notice,
    Outcome, Reply, Request, Time, Timeout, ToClient, Welcome,
};

/// A client's configuration, including its dialect's features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// True if requests and replies carry the client's id. Otherwise a connection has at most one
    /// request in flight. Cancelling that request closes the connection, because a late reply would
    /// be taken for the next request's reply.
    pub request_ids: bool,
    /// The maximum number of requests in flight, if the dialect has request ids.
    pub running_max: usize,
    /// The maximum number of requests queued in the client.
    pub waiting_max: usize,
    /// The maximum total size, in bytes, of the queued requests' bodies.
    pub waiting_bytes_max: usize,
    /// True if the client starts with HELLO and the broker answers with its limits.
    pub greets: bool,
    /// True if the client can send HEARTBEAT and the broker answers, so that the client detects a
    /// lost broker.
    pub heartbeats: bool,
    /// True if the client can send request keep-alives.
    pub still_wanted: bool,
    /// True if the broker reports expired requests. The client then waits [`EXPIRY_GRACE`] longer
    /// before it applies its own deadline.
    pub told_of_expiry: bool,
    /// The number of reply parts that the client accepts ahead of its user; `None` if the dialect
    /// does not count parts.
    pub credit: Option<u32>,
    /// The size limit, in bytes, of a message to the client; `None` to declare none.
    pub message_bytes_max: Option<usize>,
    /// The interval between heartbeats and request keep-alives while requests are in flight.
    pub heartbeat_interval: Duration,
    /// The number of heartbeat intervals for which the broker can be silent.
    pub liveness: u32,
    /// True to queue requests while there is no connection, unless the broker rejected this client.
    /// If requests can go to other brokers, set this to false: they then fail at once with
    /// [`Failure::NotSent`].
    pub waits_for_connection: bool,
    /// The backoff between connection attempts.
    pub backoff: Backoff,
}

/// The extra time that a client waits for the broker to report an expired request.
pub const EXPIRY_GRACE: Duration = Duration::from_millis(250);

impl ClientConfig {
    fn silence_max(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(self.liveness)
    }
}

impl Default for ClientConfig {
    /// No request ids, at most 65,536 requests in flight, at most 1,024 requests and 64 MiB queued.
    /// If the dialect has heartbeats, one every 2.5 s and a liveness of 3.
    fn default() -> Self {
        Self {
            request_ids: false,
            greets: false,
            heartbeats: false,
            still_wanted: false,
            told_of_expiry: false,
            credit: None,
            message_bytes_max: None,
            heartbeat_interval: Duration::from_millis(2_500),
            liveness: 3,
            waits_for_connection: true,
            running_max: 65_536,
            waiting_max: 1024,
            waiting_bytes_max: 64 * 1024 * 1024,
            backoff: Backoff::default(),
        }
    }
}

/// An input to a client. `C` is the broker's command: owned, or a reference, because commands are
/// large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientInput<C = ToClient> {
    /// The connection requested by [`ClientOutput::Open`] is open.
    Opened,
    /// The connection broke or could not be opened.
    Lost,
    /// A command from the broker arrived.
    Received(C),
    /// Bytes of any kind arrived from the broker.
    Alive,
    /// The user submits a request.
    Request {
        /// The handle for the request's deliveries.
        handle: RequestHandle,
        /// The request. The client sets its id and its credit.
        request: Box<Request>,
        /// The longest time that the worker may stay silent, without sending a part or reporting
        /// progress; `None` if there is no limit or the dialect does not report progress.
        silence_max: Option<Duration>,
    },
    /// The user consumed this many parts of the reply. The request's timers are stopped while parts
    /// are unconsumed.
    Taken(RequestHandle, u32),
    /// The user cancels the request. There are no more deliveries for it.
    Cancel(RequestHandle),
    /// Only time passed.
    Tick,
}

/// An output of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientOutput {
    /// Open a connection to the broker, then report [`ClientInput::Opened`] or
    /// [`ClientInput::Lost`].
    Open,
    /// Close the connection at once and report nothing more about it. The reason is the broker's,
    /// if the broker ended the session.
    Close(Option<DisconnectReason>),
    /// Send a command to the broker.
    Send(FromClient),
    /// Deliver a result to the user.
    Deliver(RequestHandle, Delivery),
}

/// A sink for a client's outputs, called as they occur.
///
/// `VecDeque<ClientOutput>` implements it by collecting the outputs.
pub trait ClientOutlet {
    /// Opens a connection; see [`ClientOutput::Open`].
    fn open(&mut self);

    /// Closes the connection; see [`ClientOutput::Close`].
    fn close(&mut self, why: Option<DisconnectReason>);

    /// Sends a command to the broker.
    fn send(&mut self, command: &FromClient);

    /// Sends a request to the broker, the most frequent output.
    fn request(&mut self, request: Box<Request>);

    /// Delivers a result to the user.
    fn deliver(&mut self, request: RequestHandle, delivery: Delivery);
}

/// Collects a client's outputs.
impl ClientOutlet for VecDeque<ClientOutput> {
    fn open(&mut self) {
        self.push_back(ClientOutput::Open);
    }

    fn close(&mut self, why: Option<DisconnectReason>) {
        self.push_back(ClientOutput::Close(why));
    }

    fn send(&mut self, command: &FromClient) {
        self.push_back(ClientOutput::Send(command.clone()));
    }

    fn request(&mut self, request: Box<Request>) {
        self.push_back(ClientOutput::Send(FromClient::Request(*request)));
    }

    fn deliver(&mut self, request: RequestHandle, delivery: Delivery) {
        self.push_back(ClientOutput::Deliver(request, delivery));
    }
}

/// A delivery to the user: any number of parts and notices, then a final reply or a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A part of the reply, followed by others.
    Part(Content),
    /// The whole reply, or its last part.
    Final(Content),
    /// The request ended without a reply, or without the rest of it.
    Failed(Failure),
    /// A progress report, if the user asked for them.
    Notice(Notice),
}

/// The reason why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The time limit passed.
    Timeout,
    /// The worker was silent for longer than the user allowed.
    Silent,
    /// The connection was lost, or the broker violated the protocol, while the request was in
    /// flight. The request may or may not have been processed.
    Disconnected,
    /// There is no connection. The request was not sent.
    NotSent,
    /// There is no connection, because the broker rejected this client for the given reason. The
    /// client does not reconnect soon, or at all. The request was not sent.
    SentAway(DisconnectReason),
    /// The queue is full, by number or by bytes. The request was not sent.
    Refused,
    /// The request is larger than the broker accepts. It was not sent.
    TooLarge,
    /// The broker or the worker reported a failure, with its code, if any, and its text.
    Remote(Outcome, u16, Content),
}

/// The content of a reply part or a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The options: see [`Reply::options`].
    pub options: Bytes,
    /// The body.
    pub body: Frames,
}

impl Content {
    /// Creates content with a body and no options.
    ///
    /// ```
    /// use majordomus_core::{Content, Frames};
    ///
    /// assert!(Content::of(Frames::from_slices(&["hello"])).options.is_empty());
    /// ```
    pub const fn of(body: Frames) -> Self {
        Self { options: Bytes::new(), body }
    }
}

/// Moves the content out of a reply.
fn content_of(reply: &mut Reply) -> Content {
    let Reply { options, body, .. } = reply;
    Content { options: core::mem::take(options), body: core::mem::take(body) }
}

/// A client of one broker, over one connection at a time.
///
/// The client is a state machine without I/O and without a clock. The driver passes in each event
/// with the current time, and then performs the outputs until there are none:
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
/// A request is queued until the connection is open and the requests before it are sent. It is then
/// in flight, and it ends with exactly one [`Delivery::Final`] or [`Delivery::Failed`], unless it
/// is cancelled. If the connection is lost, requests in flight are not sent again, because the
/// client cannot tell whether they were processed. Queued requests stay queued until their time
/// limit passes.
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    uplink: Uplink,
    /// The queued requests, in sending order.
    waiting: BTreeMap<RequestHandle, Waiting>,
    waiting_bytes: usize,
    /// The requests in flight.
    running: HashMap<RequestHandle, Running, HandleState>,
    /// The next check of each request with a time limit, queued or in flight.
    deadlines: Deadlines,
    /// The last time that the broker sent data, or had no reason to send any.
    heard_at: Time,
    /// The time of the next heartbeat while requests are in flight.
    heartbeat_at: Time,
    /// The broker info, once received.
    welcome: Option<Welcome>,
    outputs: VecDeque<ClientOutput>,
}

#[derive(Debug)]
struct Waiting {
    request: Box<Request>,
    clock: Clock,
}

#[derive(Debug)]
struct Running {
    service: ByteStr,
    /// True if the user asked for progress reports.
    notices: bool,
    /// The number of parts that the user has not consumed.
    untaken: u32,
    /// The number of consumed parts for which no credit was sent to the broker.
    taken: u32,
    clock: Clock,
}

/// A request's timers.
#[derive(Clone, Copy, Debug)]
struct Clock {
    timeout: Option<Duration>,
    silence_max: Option<Duration>,
    /// The end of the request's time limit.
    deadline: Time,
    /// The end of the allowed silence of the worker.
    silent_at: Time,
    /// True once a worker is known to have the request.
    has_worker: bool,
}

impl Clock {
    fn due(&self) -> Time {
        self.deadline.min(self.silent_at)
    }

    /// Restarts the whole time limit, by the client's clock alone.
    fn restart(&mut self, now: Time, config: &ClientConfig) {
        let at_once = self.timeout == Some(Duration::ZERO) && config.told_of_expiry;
        self.deadline = match self.timeout {
            // A zero timeout asks for an idle worker. It still allows time to reach a broker.
            Some(_) if at_once => now.after(config.silence_max()),
            Some(span) => now.after(span),
            None => Time::NEVER,
        };
        // The silence timer runs only once a worker has the request.
        if self.has_worker {
            self.restart_silence(now);
        }
    }

    fn restart_silence(&mut self, now: Time) {
        self.silent_at = self.silence_max.map_or(Time::NEVER, |span| now.after(span));
    }

    /// Stops both timers.
    fn stop(&mut self) {
        (self.deadline, self.silent_at) = (Time::NEVER, Time::NEVER);
    }

    /// Returns the client's own deadline for a request in flight.
    fn with_broker(&self, config: &ClientConfig) -> Time {
        match self.timeout {
            // The broker reports at once if there is no worker.
            Some(Duration::ZERO) if config.told_of_expiry => Time::NEVER,
            Some(_) if config.told_of_expiry => self.deadline.after(EXPIRY_GRACE),
            _ => self.deadline,
        }
    }
}

impl Client {
    /// Creates a client that connects as soon as it is driven. `seed` varies its reconnect waits.
    pub fn new(config: ClientConfig, seed: u64) -> Self {
        Self {
            config,
            uplink: Uplink::new(config.backoff, seed),
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            running: HashMap::with_hasher(HandleState),
            deadlines: Deadlines::default(),
            heard_at: Time::ZERO,
            heartbeat_at: Time::NEVER,
            welcome: None,
            outputs: VecDeque::new(),
        }
    }

    /// Handles an input at time `now`. Drain [`poll_output`](Self::poll_output) after each call.
    pub fn handle(&mut self, now: Time, input: ClientInput) {
        let mut outputs = core::mem::take(&mut self.outputs);
        self.handle_with(now, input, &mut outputs);
        self.outputs = outputs;
    }

    /// Handles an input at time `now` and passes the outputs to `out` at once and in order, without
    /// a copy of requests and replies.
    pub fn handle_with<C: BorrowMut<ToClient>>(
        &mut self,
        now: Time,
        input: ClientInput<C>,
        out: &mut impl ClientOutlet,
    ) {
        match input {
            ClientInput::Opened => self.opened(now, out),
            ClientInput::Lost => self.lose(now, out),
            ClientInput::Received(mut command) => {
                self.handle_command(now, command.borrow_mut(), out);
            }
            ClientInput::Alive => self.heard_at = now,
            ClientInput::Request { handle, request, silence_max } => {
                // Detects a lost broker before the request is sent.
                self.expire(now, out);
                self.keep_in_touch(now, out);
                self.handle_request(now, handle, request, silence_max, out);
            }
            ClientInput::Taken(handle, parts) => self.handle_taken(now, handle, parts, out),
            ClientInput::Cancel(handle) => self.give_up(now, handle, out),
            ClientInput::Tick => {}
        }
        self.expire(now, out);
        self.keep_in_touch(now, out);
        if self.uplink.open_if_due(now) {
            out.open();
        }
        if !self.waiting.is_empty() {
            self.send_waiting(now, out);
        }
    }

    /// Returns the next output, or `None` if there is none.
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    /// Returns the latest time for the next input; pass [`ClientInput::Tick`] if there is no other.
    pub fn next_deadline(&self) -> Time {
        let expiry = self.deadlines.first().filter(|_| !self.is_idle()).unwrap_or(Time::NEVER);
        expiry.min(self.uplink.due_at()).min(self.heartbeat_at)
    }

    /// Returns true if no request is queued or in flight.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    fn opened(&mut self, now: Time, out: &mut impl ClientOutlet) {
        self.uplink.opened(now);
        self.heard_at = now;
        self.welcome = None;
        if self.config.greets {
            let hello = Hello {
                heartbeat: Some(self.config.heartbeat_interval),
                message_bytes_max: self.config.message_bytes_max,
            };
            out.send(&FromClient::Hello(hello));
        }
    }

    fn handle_request(
        &mut self,
        now: Time,
        handle: RequestHandle,
        mut request: Box<Request>,
        silence_max: Option<Duration>,
        out: &mut impl ClientOutlet,
    ) {
        if let Some(failure) = self.why_not_wait().filter(|_| !self.is_welcome()) {
            return out.deliver(handle, Delivery::Failed(failure));
        }
        let bytes = self.waiting_bytes.saturating_add(request.body.bytes());
        if self.waiting.len() >= self.config.waiting_max || bytes > self.config.waiting_bytes_max {
            out.deliver(handle, Delivery::Failed(Failure::Refused));
            return;
        }
        let timeout = match request.timeout {
            Timeout::After(timeout) => Some(timeout),
            Timeout::Never | Timeout::OfService => None,
        };
        request.id = if self.config.request_ids { id_of(handle) } else { CorrelationId::NONE };
        request.credit = self.config.credit.unwrap_or(CREDIT_UNLIMITED);
        let mut clock = Clock {
            timeout,
            silence_max,
            deadline: Time::NEVER,
            silent_at: Time::NEVER,
            has_worker: false,
        };
        clock.restart(now, &self.config);
        if clock.deadline <= now {
            return out.deliver(handle, Delivery::Failed(Failure::Timeout));
        }
        if self.waiting.is_empty() && self.may_send() {
            return self.send(now, handle, request, clock, out);
        }
        self.plan(handle, Time::NEVER, clock.due());
        self.waiting_bytes = bytes;
        self.waiting.insert(handle, Waiting { request, clock });
    }

    /// Handles consumed parts. When the user has consumed all parts, the time limit restarts. When
    /// it has consumed half of the credit window, the client sends credit.
    fn handle_taken(
        &mut self,
        now: Time,
        handle: RequestHandle,
        parts: u32,
        out: &mut impl ClientOutlet,
    ) {
        let Some(running) = self.running.get_mut(&handle) else { return };
        running.untaken = running.untaken.saturating_sub(parts);
        running.taken = running.taken.saturating_add(parts);
        let (waits_again, taken) = (running.untaken == 0, running.taken);
        if let Some(window) = self.config.credit
            && taken >= window.div_ceil(2)
        {
            running.taken = 0;
            self.say_more(handle, taken, out);
        }
        if waits_again {
            self.change(handle, |running, config| {
                running.clock.restart(now, config);
                running.clock.deadline = running.clock.with_broker(config);
            });
        }
    }

    fn say_more(&mut self, handle: RequestHandle, credit: u32, out: &mut impl ClientOutlet) {
        if self.uplink.is_open() {
            let more = FromClient::More { id: id_of(handle), credit };
            out.send(&more);
        }
    }

    fn handle_command(&mut self, now: Time, command: &mut ToClient, out: &mut impl ClientOutlet) {
        if !self.uplink.is_open() {
            return;
        }
        self.heard_at = now;
        let greeted = self.welcome.is_some();
        let out_of_turn = match command {
            ToClient::Welcome(_) => greeted,
            ToClient::Disconnect(_) => false,
            _ => self.config.greets && !greeted,
        };
        if out_of_turn {
            return self.drop_broker(now, out);
        }
        let reply = match &*command {
            ToClient::Partial(reply) | ToClient::Final(reply) | ToClient::Failed(_, reply) => reply,
            ToClient::Welcome(welcome) => {
                self.welcome = Some(welcome.clone());
                return self.uplink.proven();
            }
            ToClient::Heartbeat => return self.uplink.proven(),
            ToClient::Disconnect(why) => return self.sent_away(now, *why, out),
            ToClient::Notice { id, notice } => return self.handle_notice(now, id, *notice, out),
        };
        let Some(handle) = self.request_of(reply) else { return self.drop_broker(now, out) };
        let delivery = match command {
            ToClient::Partial(reply) => {
                let runs = self.change(handle, |running, _| {
                    running.untaken = running.untaken.saturating_add(1);
                    running.clock.has_worker = true;
                    running.clock.stop();
                });
                if !runs {
                    return;
                }
                self.uplink.proven();
                return out.deliver(handle, Delivery::Part(content_of(reply)));
            }
            ToClient::Failed(outcome, reply) => {
                Delivery::Failed(Failure::Remote(*outcome, reply.code, content_of(reply)))
            }
            ToClient::Final(reply) => Delivery::Final(content_of(reply)),
            _ => return,
        };
        // Ignores replies to requests that have ended.
        if self.forget(handle) {
            self.uplink.proven();
            out.deliver(handle, delivery);
        }
    }

    fn handle_notice(
        &mut self,
        now: Time,
        id: &CorrelationId,
        notice: Notice,
        out: &mut impl ClientOutlet,
    ) {
        let Some(handle) = handle_of(id) else { return self.drop_broker(now, out) };
        let Some(running) = self.running.get_mut(&handle) else { return };
        self.uplink.proven();
        if running.notices && notice != Notice::AtWork {
            out.deliver(handle, Delivery::Notice(notice));
        }
        // The silence timer starts when a worker has the request, and restarts with each progress
        // report.
        if notice != Notice::Queued {
            self.change(handle, |running, _| {
                running.clock.has_worker = true;
                if running.untaken == 0 {
                    running.clock.restart_silence(now);
                }
            });
        }
    }

    /// Handles a disconnect by the broker. The requests in flight fail.
    fn sent_away(&mut self, now: Time, why: DisconnectReason, out: &mut impl ClientOutlet) {
        out.close(Some(why));
        self.uplink.sent_away(now, why);
        self.fail_all(out);
    }

    /// Returns the request that a reply answers. The request may have ended. Returns `None` if the
    /// reply cannot belong to any request.
    fn request_of(&self, reply: &Reply) -> Option<RequestHandle> {
        if self.config.request_ids {
            return handle_of(&reply.id);
        }
        let (&handle, running) = self.running.iter().next()?;
        (reply.service.is_empty() || reply.service == running.service).then_some(handle)
    }

    /// Cancels a request, also at the broker if it is in flight.
    fn give_up(&mut self, now: Time, handle: RequestHandle, out: &mut impl ClientOutlet) {
        if !self.forget(handle) {
            return;
        }
        if self.config.request_ids {
            let id = id_of(handle);
            out.send(&FromClient::Cancel { id });
        } else {
            out.close(None);
            self.uplink.closed(now);
        }
    }

    #[inline]
    fn expire(&mut self, now: Time, out: &mut impl ClientOutlet) {
        if self.deadlines.first().is_some_and(|first| first <= now) {
            self.expire_due(now, out);
        }
    }

    #[cold]
    fn expire_due(&mut self, now: Time, out: &mut impl ClientOutlet) {
        while let Some((due, handle)) = self.deadlines.pop(now) {
            if self.due(handle) != due {
                continue;
            }
            let failure = match self.running.get(&handle) {
                Some(running) if running.clock.deadline > now => Failure::Silent,
                _ => Failure::Timeout,
            };
            self.give_up(now, handle, out);
            out.deliver(handle, Delivery::Failed(failure));
        }
    }

    /// Sends heartbeats and keep-alives while requests are in flight, and checks the broker's
    /// liveness.
    #[inline]
    fn keep_in_touch(&mut self, now: Time, out: &mut impl ClientOutlet) {
        // The common case: nothing is due.
        let in_touch = self.config.heartbeats || self.config.still_wanted;
        let quiet = in_touch && now < self.heartbeat_at && self.heartbeat_at != Time::NEVER;
        if !quiet || !self.is_welcome() || self.running.is_empty() {
            self.keep_in_touch_now(now, out);
        }
    }

    #[cold]
    fn keep_in_touch_now(&mut self, now: Time, out: &mut impl ClientOutlet) {
        if self.uplink.is_open() && !self.is_welcome() {
            self.heartbeat_at = self.heard_at.after(self.config.silence_max());
            if now >= self.heartbeat_at {
                self.drop_broker(now, out);
            }
            return;
        }
        let in_touch = self.config.heartbeats || self.config.still_wanted;
        if !in_touch || !self.uplink.is_open() || self.running.is_empty() {
            self.heartbeat_at = Time::NEVER;
            return;
        }
        let interval = self.config.heartbeat_interval;
        if self.heartbeat_at == Time::NEVER {
            // The broker had no reason to send anything before.
            self.heard_at = now;
            self.heartbeat_at = now.after(interval);
        }
        if now < self.heartbeat_at {
            return;
        }
        if self.config.heartbeats && now.since(self.heard_at) >= self.config.silence_max() {
            return self.drop_broker(now, out);
        }
        self.heartbeat_at = now.after(interval);
        if self.config.heartbeats {
            out.send(&FromClient::Heartbeat);
        }
        for handle in self.all_running() {
            let untaken = self.running[&handle].untaken;
            if self.config.still_wanted {
                let wanted = FromClient::RequestKeepAlive { id: id_of(handle) };
                out.send(&wanted);
            }
            // Also stops the broker's timer for a request with a slow user.
            if self.config.credit.is_some() && untaken > 0 {
                let more = FromClient::More { id: id_of(handle), credit: 0 };
                out.send(&more);
            }
        }
    }

    /// Returns true if the connection is open and the handshake, if any, is complete.
    fn is_welcome(&self) -> bool {
        self.uplink.is_open() && (!self.config.greets || self.welcome.is_some())
    }

    /// Returns true if the request is within the limits in the broker info.
    fn would_be_taken(&self, request: &Request) -> bool {
        let Some(welcome) = &self.welcome else { return true };
        welcome.takes(request.body.bytes() + request.options.len(), request.body.len())
    }

    /// Closes the connection after a protocol violation by the broker or its silence.
    fn drop_broker(&mut self, now: Time, out: &mut impl ClientOutlet) {
        out.close(None);
        self.lose(now, out);
    }

    fn lose(&mut self, now: Time, out: &mut impl ClientOutlet) {
        self.uplink.lost(now);
        self.fail_all(out);
    }

    /// Returns the failure for requests that are not queued without a connection, or `None` if they
    /// are queued.
    fn why_not_wait(&self) -> Option<Failure> {
        if !self.config.waits_for_connection {
            return Some(Failure::NotSent);
        }
        self.uplink.refused().map(Failure::SentAway)
    }

    /// Fails all requests in flight, and the queued requests that do not wait for the next
    /// connection.
    fn fail_all(&mut self, out: &mut impl ClientOutlet) {
        for handle in self.all_running() {
            self.forget(handle);
            out.deliver(handle, Delivery::Failed(Failure::Disconnected));
        }
        while let Some(failure) = self.why_not_wait()
            && let Some((&handle, _)) = self.waiting.first_key_value()
        {
            self.forget(handle);
            out.deliver(handle, Delivery::Failed(failure));
        }
    }

    fn send_waiting(&mut self, now: Time, out: &mut impl ClientOutlet) {
        while self.may_send()
            && let Some((handle, Waiting { request, clock })) = self.waiting.pop_first()
        {
            self.waiting_bytes -= request.body.bytes();
            self.send(now, handle, request, clock, out);
        }
    }

    /// Returns true if the broker is ready and accepts another request.
    fn may_send(&self) -> bool {
        self.is_welcome() && self.running.len() < self.running_max()
    }

    fn send(
        &mut self,
        now: Time,
        handle: RequestHandle,
        request: Box<Request>,
        clock: Clock,
        out: &mut impl ClientOutlet,
    ) {
        if !self.would_be_taken(&request) {
            return out.deliver(handle, Delivery::Failed(Failure::TooLarge));
        }
        let (mut request, mut clock) = (request, clock);
        clock.deadline = clock.with_broker(&self.config);
        self.plan(handle, Time::NEVER, clock.due());
        let (service, notices) = (request.service.clone(), request.notices);
        let running = Running { service, notices, untaken: 0, taken: 0, clock };
        self.running.insert(handle, running);
        // The silence timer needs the broker's progress reports.
        request.notices |= clock.silence_max.is_some();
        out.request(request);
        self.keep_in_touch(now, out);
    }

    /// Returns the requests in flight, in sending order.
    fn all_running(&self) -> Vec<RequestHandle> {
        let mut all: Vec<_> = self.running.keys().copied().collect();
        all.sort_unstable();
        all
    }

    fn running_max(&self) -> usize {
        let own = if self.config.request_ids { self.config.running_max } else { 1 };
        let theirs = self.welcome.as_ref().map_or(u32::MAX, |welcome| welcome.requests_max.max(1));
        own.min(theirs as usize)
    }

    /// Removes a request. Returns true if it was in flight.
    fn forget(&mut self, handle: RequestHandle) -> bool {
        if self.running.remove(&handle).is_some() {
            return true;
        }
        if let Some(waiting) = self.waiting.remove(&handle) {
            self.waiting_bytes -= waiting.request.body.bytes();
        }
        false
    }

    /// Changes the state of a request in flight. Returns false if the request is not in flight.
    fn change(
        &mut self,
        handle: RequestHandle,
        change: impl FnOnce(&mut Running, &ClientConfig),
    ) -> bool {
        let Some(running) = self.running.get_mut(&handle) else { return false };
        let before = running.clock.due();
        change(running, &self.config);
        let due = running.clock.due();
        self.plan(handle, before, due);
        true
    }

    /// Schedules a check of a request, unless its due time is unchanged.
    fn plan(&mut self, handle: RequestHandle, before: Time, due: Time) {
        if before == due || due == Time::NEVER {
            return;
        }
        if self.deadlines.are_too_many(self.running.len() + self.waiting.len()) {
            let mut deadlines = core::mem::take(&mut self.deadlines);
            deadlines.retain(|due, handle| self.due(handle) == due);
            self.deadlines = deadlines;
        }
        self.deadlines.push(due, handle);
    }

    /// Returns the time of the next check of a request.
    fn due(&self, handle: RequestHandle) -> Time {
        let running = self.running.get(&handle).map(|running| running.clock);
        let clock = running.or_else(|| self.waiting.get(&handle).map(|waiting| waiting.clock));
        clock.map_or(Time::NEVER, |clock| clock.due())
    }
}

fn handle_of(id: &CorrelationId) -> Option<RequestHandle> {
    id.as_ref().number().map(RequestHandle)
}

/// Returns the id of a request on the wire.
fn id_of(handle: RequestHandle) -> CorrelationId {
    CorrelationId::Number(handle.0)
}

#[cfg(test)]
mod tests;
