//! The client: what it asks of the broker, and what came of it.

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
    CREDIT_UNLIMITED, CorrelationId, Farewell, Frames, FromClient, Hello, Label, Notice, Outcome,
    Reply, Request, Time, Timeout, ToClient, Welcome,
};

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
    /// Whether the client begins with HELLO, and is told what holds at the broker.
    pub greets: bool,
    /// Whether it can say HEARTBEAT, and is answered: so it can tell whether the broker is there.
    pub heartbeats: bool,
    /// Whether it can say which requests it still wants.
    pub still_wanted: bool,
    /// Whether the broker says when a request has expired. The client gives it
    /// [`EXPIRY_GRACE`] then, before it goes by its own clock.
    pub told_of_expiry: bool,
    /// Whether parts of replies are counted: how many it takes ahead of its user.
    pub credit: Option<u32>,
    /// How many bytes a message to it may have; nothing where it does not say.
    pub message_bytes_max: Option<usize>,
    /// How often it asks whether the broker is there, while it waits for replies, and says which
    /// requests it still wants.
    pub heartbeat_interval: Duration,
    /// How many intervals the broker may be silent.
    pub liveness: u32,
    /// Whether requests wait for the connection, unless the broker does not want us. Where there are
    /// other brokers that may be asked, they fail at once, with [`Failure::NotSent`].
    pub waits_for_connection: bool,
    /// When a lost connection is opened again.
    pub backoff: Backoff,
}

/// How much longer a client waits for the broker to say that a request has expired.
pub const EXPIRY_GRACE: Duration = Duration::from_millis(250);

impl ClientConfig {
    fn silence_max(&self) -> Duration {
        self.heartbeat_interval.saturating_mul(self.liveness)
    }
}

impl Default for ClientConfig {
    /// No request ids; 65,536 requests may be with the broker, 1,024 and 64 MiB may wait; a heartbeat every 2.5 s and a liveness of
    /// 3, where the dialect has any.
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

/// What a client is told. `C` is the broker's command: owned, or a reference to it, since commands are
/// large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientInput<C = ToClient> {
    /// The connection that [`ClientOutput::Open`] asked for is there.
    Opened,
    /// The connection broke, or could not be opened.
    Lost,
    /// The broker says something.
    Received(C),
    /// The broker showed life: bytes came from it, of whatever kind.
    Alive,
    /// The user asks for something.
    Request {
        /// What its outcome is to be delivered under.
        handle: RequestHandle,
        /// What. Its id and its credit are the client's own matter.
        request: Box<Request>,
        /// How long its worker may be silent, without a part and without a sign of work; `None` where
        /// that does not matter, or its dialect cannot tell.
        silence_max: Option<Duration>,
    },
    /// The user has taken so many parts of this reply. While there are parts that it has not, the time
    /// of the request stands still.
    Taken(RequestHandle, u32),
    /// The user no longer wants this; nothing more is delivered of it.
    Cancel(RequestHandle),
    /// Nothing but time passed.
    Tick,
}

/// What a client wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientOutput {
    /// Open a connection to the broker, and answer with [`ClientInput::Opened`] or
    /// [`ClientInput::Lost`].
    Open,
    /// Close the connection at once, and report nothing more of it; because the broker has done with
    /// us, where it says why.
    Close(Option<Farewell>),
    /// Send this to the broker.
    Send(FromClient),
    /// Give this to the user.
    Deliver(RequestHandle, Delivery),
}

/// Takes what a client wants done, as it arises.
///
/// A `VecDeque` of [`ClientOutput`] is one that collects it.
pub trait ClientOutlet {
    /// Opens a connection, as with [`ClientOutput::Open`].
    fn open(&mut self);

    /// Closes the connection, as with [`ClientOutput::Close`].
    fn close(&mut self, why: Option<Farewell>);

    /// Sends this to the broker.
    fn send(&mut self, command: &FromClient);

    /// Sends a request to the broker, which is mostly what is sent.
    fn request(&mut self, request: Box<Request>);

    /// Gives this to the user.
    fn deliver(&mut self, request: RequestHandle, delivery: Delivery);
}

/// Collects what a client wants done.
impl ClientOutlet for VecDeque<ClientOutput> {
    fn open(&mut self) {
        self.push_back(ClientOutput::Open);
    }

    fn close(&mut self, why: Option<Farewell>) {
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

/// What the user gets for a request: any number of parts, then one of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A part of the reply; more follow.
    Part(Content),
    /// The reply, or its last part.
    Final(Content),
    /// There is no reply, or no more of it.
    Failed(Failure),
    /// How far the request has come, where its user wants to hear that.
    Notice(Notice),
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Its time was over.
    Timeout,
    /// Its worker was silent for longer than the user would have it.
    Silent,
    /// The connection was lost, or the broker broke the protocol, when the request was with it. It
    /// may have been done or not.
    Disconnected,
    /// There is no connection. It was not sent.
    NotSent,
    /// There is no connection, and will be none for long, or ever: the broker does not want us, and
    /// has said why. It was not sent.
    SentAway(Farewell),
    /// Too many requests, or too many bytes, wait already. It was not sent.
    Refused,
    /// It is larger than the broker takes. It was not sent.
    TooLarge,
    /// The broker or the worker says why: with a code, where it has one, and in words.
    Remote(Outcome, u16, Content),
}

/// What a part of a reply, or a failure, says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// What stands beside the body: see [`Reply::options`].
    pub options: Bytes,
    /// The body.
    pub body: Frames,
}

impl Content {
    /// A body, and nothing beside it.
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

/// Takes what a reply says out of it.
fn content_of(reply: &mut Reply) -> Content {
    let Reply { options, body, .. } = reply;
    Content { options: core::mem::take(options), body: core::mem::take(body) }
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
    running: HashMap<RequestHandle, Running, HandleState>,
    /// When each request that has a limit of time, waiting or running, is looked at.
    deadlines: Deadlines,
    /// When the broker was last heard, or last had no reason to speak.
    heard_at: Time,
    /// When a heartbeat is due, while requests are with the broker.
    heartbeat_at: Time,
    /// What holds at the broker, where it has said so.
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
    service: Label,
    /// Whether its user wants to hear how far it has come.
    notices: bool,
    /// Parts that its user has not taken yet.
    untaken: u32,
    /// Parts that its user has taken and the broker does not know of.
    taken: u32,
    clock: Clock,
}

/// The time that a request has.
#[derive(Clone, Copy, Debug)]
struct Clock {
    timeout: Option<Duration>,
    silence_max: Option<Duration>,
    /// When its time is over.
    deadline: Time,
    /// When its worker has been silent for too long.
    silent_at: Time,
    /// Whether a worker is known to have it.
    has_worker: bool,
}

impl Clock {
    fn due(&self) -> Time {
        self.deadline.min(self.silent_at)
    }

    /// It has its whole time again, which no broker counts yet.
    fn restart(&mut self, now: Time, config: &ClientConfig) {
        let at_once = self.timeout == Some(Duration::ZERO) && config.told_of_expiry;
        self.deadline = match self.timeout {
            // Who wants a worker at once waits so long for a broker that can be asked.
            Some(_) if at_once => now.after(config.silence_max()),
            Some(span) => now.after(span),
            None => Time::NEVER,
        };
        // Where no worker has it yet, none can be silent.
        if self.has_worker {
            self.restart_silence(now);
        }
    }

    fn restart_silence(&mut self, now: Time) {
        self.silent_at = self.silence_max.map_or(Time::NEVER, |span| now.after(span));
    }

    /// No time is counted.
    fn stop(&mut self) {
        (self.deadline, self.silent_at) = (Time::NEVER, Time::NEVER);
    }

    /// When its time is over by our own clock, where the request is with the broker.
    fn with_broker(&self, config: &ClientConfig) -> Time {
        match self.timeout {
            // The broker says at once whether there is a worker.
            Some(Duration::ZERO) if config.told_of_expiry => Time::NEVER,
            Some(_) if config.told_of_expiry => self.deadline.after(EXPIRY_GRACE),
            _ => self.deadline,
        }
    }
}

impl Client {
    /// A client that wants to be connected. `seed` varies its waits before it reconnects.
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

    /// Tells it what happened at `now`. Drain [`poll_output`](Self::poll_output) after each call.
    pub fn handle(&mut self, now: Time, input: ClientInput) {
        let mut outputs = core::mem::take(&mut self.outputs);
        self.handle_with(now, input, &mut outputs);
        self.outputs = outputs;
    }

    /// Tells it what happened at `now`. What it wants done goes to `out` at once, in order, and without
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
                // Whether the broker is there is known before it is sent.
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

    /// The next thing to do; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    /// When it must be told the time, by [`ClientInput::Tick`] or anything else, at the latest.
    pub fn next_deadline(&self) -> Time {
        let expiry = self.deadlines.first().filter(|_| !self.is_idle()).unwrap_or(Time::NEVER);
        expiry.min(self.uplink.due_at()).min(self.heartbeat_at)
    }

    /// Whether no request waits or runs.
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

    /// The user took parts. When it has taken all, the request has its whole time again; when half of
    /// what we let come has been taken, more may come.
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
        // What ended here before is not heard.
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
        // Its worker's silence begins when it has one, and whenever it is heard.
        if notice != Notice::Queued {
            self.change(handle, |running, _| {
                running.clock.has_worker = true;
                if running.untaken == 0 {
                    running.clock.restart_silence(now);
                }
            });
        }
    }

    /// The broker has done with us: what was with it is lost.
    fn sent_away(&mut self, now: Time, why: Farewell, out: &mut impl ClientOutlet) {
        out.close(Some(why));
        self.uplink.sent_away(now, why);
        self.fail_all(out);
    }

    /// Which request a reply answers, which may have ended; none that there ever was, as far as can be
    /// told, where there is none.
    fn request_of(&self, reply: &Reply) -> Option<RequestHandle> {
        if self.config.request_ids {
            return handle_of(&reply.id);
        }
        let (&handle, running) = self.running.iter().next()?;
        (reply.service.is_empty() || reply.service == running.service).then_some(handle)
    }

    /// Ends a request that is no longer wanted, also at the broker where it is there.
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

    /// While requests are with the broker, says so again and again, and looks whether it lives.
    #[inline]
    fn keep_in_touch(&mut self, now: Time, out: &mut impl ClientOutlet) {
        // Nothing is due, as with nearly all inputs.
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
            // It had no reason to speak before.
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
                let wanted = FromClient::StillWanted { id: id_of(handle) };
                out.send(&wanted);
            }
            // The time of a request whose user is slow stands still at the broker, too.
            if self.config.credit.is_some() && untaken > 0 {
                let more = FromClient::More { id: id_of(handle), credit: 0 };
                out.send(&more);
            }
        }
    }

    /// Whether the broker is there and has said what holds, where it says so.
    fn is_welcome(&self) -> bool {
        self.uplink.is_open() && (!self.config.greets || self.welcome.is_some())
    }

    /// Whether the broker would take this, as far as it has said.
    fn would_be_taken(&self, request: &Request) -> bool {
        let Some(welcome) = &self.welcome else { return true };
        welcome.takes(request.body.bytes() + request.options.len(), request.body.len())
    }

    /// The broker broke the protocol: what it says from here on cannot be trusted.
    fn drop_broker(&mut self, now: Time, out: &mut impl ClientOutlet) {
        out.close(None);
        self.lose(now, out);
    }

    fn lose(&mut self, now: Time, out: &mut impl ClientOutlet) {
        self.uplink.lost(now);
        self.fail_all(out);
    }

    /// Why a request does not wait for a connection, where it does not.
    fn why_not_wait(&self) -> Option<Failure> {
        if !self.config.waits_for_connection {
            return Some(Failure::NotSent);
        }
        self.uplink.refused().map(Failure::SentAway)
    }

    /// Ends all that was with the broker, and all that does not wait for the next connection.
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

    /// Whether the broker is there and would take one more.
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
        // Whose worker must not be silent has to hear of it.
        request.notices |= clock.silence_max.is_some();
        out.request(request);
        self.keep_in_touch(now, out);
    }

    /// Those that are with the broker, in their order.
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

    /// Whether it was with the broker.
    fn forget(&mut self, handle: RequestHandle) -> bool {
        if self.running.remove(&handle).is_some() {
            return true;
        }
        if let Some(waiting) = self.waiting.remove(&handle) {
            self.waiting_bytes -= waiting.request.body.bytes();
        }
        false
    }

    /// Changes what is known of a request that is with the broker. False where it is not there.
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

    /// Has a request looked at then, where that is not when it was to be looked at before.
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

    /// When a request is to be looked at.
    fn due(&self, handle: RequestHandle) -> Time {
        let running = self.running.get(&handle).map(|running| running.clock);
        let clock = running.or_else(|| self.waiting.get(&handle).map(|waiting| waiting.clock));
        clock.map_or(Time::NEVER, |clock| clock.due())
    }
}

fn handle_of(id: &CorrelationId) -> Option<RequestHandle> {
    id.as_ref().number().map(RequestHandle)
}

/// The id by which the broker knows a request.
fn id_of(handle: RequestHandle) -> CorrelationId {
    CorrelationId::Number(handle.0)
}

#[cfg(test)]
mod tests;
