//! The task that owns a client's connection.

use std::borrow::BorrowMut;
use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use majordomus_core::{
    ClientInput, ClientOutlet, Delivery, DisconnectReason, FromClient, HandleState, Notice,
    Request, RequestHandle, Time, ToClient,
};
use majordomus_wire::Codec;
use tokio::sync::mpsc;

use crate::Body;
use crate::client::says::{Said, Says};
use crate::clock::Clock;
use crate::link::LinkError;
use crate::uplink::{Happening, Uplink};

/// The maximum number of requests that are queued for the task.
pub(crate) const ASKS_MAX: usize = 1_024;

/// The maximum number of requests per batch. A small batch is still in the CPU cache when it is
/// written.
const ASKS_AT_ONCE_MAX: usize = 128;

/// A request that is passed to the task.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) handle: RequestHandle,
    pub(crate) request: Box<Request>,
    /// The maximum silence of the worker.
    pub(crate) silence_max: Option<Duration>,
    pub(crate) says: Says,
    pub(crate) progress: Option<Tell>,
}

/// A control message of the user for a request that the task has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// Cancels the request.
    Cancel(RequestHandle),
    /// Grants credit: this number of parts was read.
    Taken(RequestHandle, u32),
}

/// A progress report of a request, enabled by
/// [`RequestBuilder::progress`](crate::RequestBuilder::progress).
///
/// ```
/// use majordomus::{Progress, testing};
/// use tokio::sync::mpsc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (client, _) = testing::client().service("job", |_, reply| reply.finish("done")).build();
/// let (tell, mut told) = mpsc::channel(8);
/// client.request("job", "").progress(tell).await?;
/// assert_eq!(told.recv().await, Some(Progress::Dispatched));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Progress {
    /// The request is queued for a worker.
    Queued,
    /// The request was dispatched to a worker.
    Dispatched,
    /// The request was dispatched to another worker, after a worker was lost or rejected it, or
    /// after a [retry](crate::RequestBuilder::retry).
    Redelivered,
}

/// The progress channel of a request, shared by all its attempts.
#[derive(Clone, Debug)]
pub(crate) struct Tell {
    to: mpsc::Sender<Progress>,
    /// True if the request has been dispatched before.
    had_worker: Arc<AtomicBool>,
}

impl Tell {
    pub(crate) fn new(to: mpsc::Sender<Progress>) -> Self {
        Self { to, had_worker: Arc::default() }
    }

    /// Forwards a notice of the broker. The report is dropped if the channel is full.
    pub(crate) fn tell(&self, notice: Notice) {
        let progress = match notice {
            Notice::Queued => Progress::Queued,
            Notice::AtWork => return,
            Notice::Dispatched | Notice::Redelivered => {
                // To the broker, a retry is a new request.
                let before = self.had_worker.swap(true, Ordering::Relaxed);
                match before || notice == Notice::Redelivered {
                    true => Progress::Redelivered,
                    false => Progress::Dispatched,
                }
            }
        };
        let _ = self.to.try_send(progress);
    }
}

/// The channels to the user who waits for a reply.
#[derive(Debug)]
struct Reader {
    says: Says,
    progress: Option<Tell>,
}

type Readers = HashMap<RequestHandle, Reader, HandleState>;

/// An input of the driver to the state machine. It is never [`Received`](ClientInput::Received),
/// which contains a reference.
type Told = ClientInput<Box<ToClient>>;

/// The driver of a client's state machine. It passes events to the state machine and executes the
/// resulting actions.
pub(crate) struct Driver {
    core: majordomus_core::Client,
    clock: Clock,
    /// The cached time of the current event.
    now: Option<Time>,
    effects: Effects,
    /// `None` once all handles of the client are dropped.
    asks: Option<mpsc::Receiver<Ask>>,
    wishes: mpsc::UnboundedReceiver<Wish>,
}

/// The actions of the state machine: sending, connection control and deliveries to users. None of
/// them produces an input to the state machine.
struct Effects {
    codec: Codec,
    uplink: Uplink,
    readers: Readers,
    /// A part that does not fit into its reader's buffer. The task reads nothing until it fits.
    held: Option<(RequestHandle, Body)>,
}

impl Driver {
    pub(crate) fn new(
        core: majordomus_core::Client,
        codec: Codec,
        uplink: Uplink,
        asks: mpsc::Receiver<Ask>,
        wishes: mpsc::UnboundedReceiver<Wish>,
    ) -> Self {
        Self {
            core,
            clock: Clock::new(),
            now: None,
            effects: Effects { codec, uplink, readers: Readers::default(), held: None },
            asks: Some(asks),
            wishes,
        }
    }

    pub(crate) async fn run(mut self) {
        self.tell(Told::Tick);
        while self.asks.is_some() || !self.core.is_idle() {
            self.turn().await;
        }
    }

    /// Waits for the next event and handles it.
    async fn turn(&mut self) {
        let deadline = self.core.next_deadline();
        self.now = None;
        tokio::select! {
            happening = self.effects.uplink.next(self.effects.held.is_none()) => self.happened(happening),
            ask = next_ask(&mut self.asks) => self.asked_all(ask),
            Some(wish) = self.wishes.recv() => self.wished(wish),
            () = room(&self.effects.readers, &self.effects.held) => self.release(),
            () = self.clock.reach(deadline) => self.tell(Told::Tick),
        }
        self.wished_all();
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Opened => {
                self.effects.uplink.opened();
                self.tell(Told::Opened);
                if !self.effects.codec.greets() {
                    self.effects.uplink.note_connected();
                }
                self.read_messages();
            }
            Happening::Moved(moved) if moved.read => {
                self.tell(Told::Alive);
                self.read_messages();
            }
            Happening::Moved(_) => {}
            Happening::Lost(error) => self.lost(&error),
        }
    }

    /// Handles a request and further queued requests, so that they are written in one batch.
    fn asked_all(&mut self, first: Option<Ask>) {
        self.asked(first);
        for _ in 1..ASKS_AT_ONCE_MAX {
            let Some(Ok(ask)) = self.asks.as_mut().map(mpsc::Receiver::try_recv) else { return };
            self.asked(Some(ask));
        }
    }

    fn asked(&mut self, ask: Option<Ask>) {
        let Some(Ask { handle, request, silence_max, says, progress }) = ask else {
            self.asks = None;
            return;
        };
        if !says.is_closed() {
            self.effects.readers.insert(handle, Reader { says, progress });
            self.tell(Told::Request { handle, request, silence_max });
        }
    }

    /// Handles all queued control messages. This bounds the queue: in one iteration, each reply can
    /// be cancelled once and can report at most [`PARTS_MAX`]` + 1` read parts.
    fn wished_all(&mut self) {
        for _ in 0..self.wishes.len() {
            let Ok(wish) = self.wishes.try_recv() else { return };
            self.wished(wish);
        }
    }

    fn wished(&mut self, wish: Wish) {
        match wish {
            Wish::Taken(handle, parts) => self.tell(Told::Taken(handle, parts)),
            Wish::Cancel(handle) => {
                self.effects.readers.remove(&handle);
                self.effects.held.take_if(|(held, _)| *held == handle);
                self.tell(Told::Cancel(handle));
                self.read_messages();
            }
        }
    }

    /// Delivers the part that waited for buffer space.
    fn release(&mut self) {
        let Some((handle, part)) = self.effects.held.take() else { return };
        if let Some(reader) = self.effects.readers.get_mut(&handle) {
            reader.says.part(part);
        }
        self.read_messages();
    }

    /// Handles all received messages, while the readers' buffers have room.
    fn read_messages(&mut self) {
        while self.effects.held.is_none()
            && let Some(link) = self.effects.uplink.link()
        {
            let message = match link.next_message() {
                Ok(None) => return,
                Ok(Some(message)) => message,
                Err(error) => {
                    self.broken(&error);
                    continue;
                }
            };
            // A decoded command is large, so it is passed by reference.
            match &mut self.effects.codec.decode_to_client(message) {
                Ok(command) => {
                    let welcome = matches!(command, ToClient::Welcome(_));
                    self.tell(ClientInput::Received(command));
                    if welcome {
                        self.effects.uplink.note_connected();
                    }
                }
                Err(error) => self.broken(&LinkError::from(error.clone())),
            }
        }
    }

    /// Closes the connection after a protocol violation by the broker.
    fn broken(&mut self, error: &LinkError) {
        self.effects.uplink.cut();
        self.lost(error);
    }

    fn lost(&mut self, error: &LinkError) {
        self.effects.uplink.lost(error);
        self.tell(Told::Lost);
    }

    fn tell<C: BorrowMut<ToClient>>(&mut self, input: ClientInput<C>) {
        let now = *self.now.get_or_insert_with(|| self.clock.now());
        self.core.handle_with(now, input, &mut self.effects);
    }
}

impl ClientOutlet for Effects {
    fn open(&mut self) {
        self.uplink.open();
    }

    /// Closes the connection, either because the state machine requests it or because the broker
    /// sent a disconnect reason.
    fn close(&mut self, why: Option<DisconnectReason>) {
        match why {
            Some(why) => {
                let text = self.uplink.sent_away(why);
                self.uplink.note_disconnected(text);
            }
            None => self.uplink.note_lost("it was silent, or a request was given up".into()),
        }
        self.uplink.cut();
    }

    fn send(&mut self, command: &FromClient) {
        if let Some(link) = self.uplink.link() {
            self.codec.encode_from_client(command, link);
        }
    }

    fn request(&mut self, request: Box<Request>) {
        if let Some(link) = self.uplink.link() {
            self.codec.encode_request(request, link);
        }
    }

    fn deliver(&mut self, handle: RequestHandle, delivery: Delivery) {
        let end = match delivery {
            Delivery::Part(part) => return self.deliver_part(handle, Body::received(part)),
            Delivery::Notice(notice) => return self.deliver_notice(handle, notice),
            Delivery::Final(last) => Said::Last(Body::received(last)),
            Delivery::Failed(failure) => Said::Failed(failure.into()),
        };
        // Nothing is read while a part waits for buffer space, so this is not the end that follows
        // that part.
        self.held.take_if(|(held, _)| *held == handle);
        if let Some(reader) = self.readers.remove(&handle) {
            reader.says.end(end);
        }
    }
}

impl Effects {
    fn deliver_part(&mut self, handle: RequestHandle, part: Body) {
        match self.readers.get_mut(&handle) {
            Some(reader) if reader.says.has_room() => reader.says.part(part),
            Some(_) => {
                self.held = Some((handle, part));
            }
            // The reader was dropped, and its cancellation is about to be received.
            None => {}
        }
    }

    fn deliver_notice(&mut self, handle: RequestHandle, notice: Notice) {
        let reader = self.readers.get(&handle);
        if let Some(tell) = reader.and_then(|reader| reader.progress.as_ref()) {
            tell.tell(notice);
        }
    }
}

/// Returns the next request. Returns `None` once when all senders are dropped, and waits forever
/// afterwards.
pub(crate) async fn next_ask(asks: &mut Option<mpsc::Receiver<Ask>>) -> Option<Ask> {
    match asks {
        Some(asks) => asks.recv().await,
        None => pending().await,
    }
}

/// Waits until the waiting part fits into its reader's buffer, or the reader is dropped.
async fn room(readers: &Readers, held: &Option<(RequestHandle, Body)>) {
    let Some((handle, _)) = held else { return pending().await };
    if let Some(reader) = readers.get(handle) {
        reader.says.room().await;
    }
}

#[cfg(test)]
mod tests {
    use majordomus_core::ClientConfig;
    use majordomus_wire::{Dialect, Side};
    use majordomus_zmtp::Limits;

    use super::*;
    use crate::Endpoint;
    use crate::events::Connections;

    #[tokio::test]
    async fn wishes_do_not_pile_up_behind_what_is_asked() {
        let codec = Codec::new(Dialect::Omdp1, Side::Client);
        let core = majordomus_core::Client::new(ClientConfig::default(), 1);
        let nowhere = Endpoint::Inproc { name: "nowhere".into() };
        let uplink = Uplink::new(nowhere, codec, Limits::default(), Connections::new(1), 0);
        let (_asks, asked) = mpsc::channel(ASKS_MAX);
        let (wishes, wished) = mpsc::unbounded_channel();
        let mut driver = Driver::new(core, codec, uplink, asked, wished);
        for nth in 0..10 * ASKS_MAX as u64 {
            wishes.send(Wish::Cancel(RequestHandle(nth))).unwrap();
        }
        driver.turn().await;
        assert_eq!(driver.wishes.len(), 0);
    }
}
