//! The task that owns a client's connection.

use std::borrow::BorrowMut;
use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use majordomus_core::{
    ClientInput, ClientOutlet, Delivery, Farewell, FromClient, HandleState, Notice, Request,
    RequestHandle, Time, ToClient,
};
use majordomus_wire::Codec;
use tokio::sync::mpsc;

use crate::Body;
use crate::client::says::{Said, Says};
use crate::clock::Clock;
use crate::link::LinkError;
use crate::uplink::{Happening, Uplink};

/// Requests on their way from the users to the task.
pub(crate) const ASKS_MAX: usize = 1_024;

/// How many of them are written in one piece: what is written soon is still in the cache.
const ASKS_AT_ONCE_MAX: usize = 128;

/// A request on its way to the task.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) handle: RequestHandle,
    pub(crate) request: Box<Request>,
    /// How long its worker may be silent.
    pub(crate) silence_max: Option<Duration>,
    pub(crate) says: Says,
    pub(crate) progress: Option<Tell>,
}

/// What a user wants of a request that the task has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wish {
    /// Nothing more.
    Cancel(RequestHandle),
    /// More parts: so many were taken.
    Taken(RequestHandle, u32),
}

/// How far a request has come, from [`RequestBuilder::progress`](crate::RequestBuilder::progress).
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
    /// It waits for a worker.
    Queued,
    /// A worker has it.
    Dispatched,
    /// Another worker has it, after one was lost with it or rejected it, or it was
    /// [made again](crate::RequestBuilder::retry).
    Redelivered,
}

/// Who is told how far a request has come, in all its attempts.
#[derive(Clone, Debug)]
pub(crate) struct Tell {
    to: mpsc::Sender<Progress>,
    /// Whether a worker had it before.
    had_worker: Arc<AtomicBool>,
}

impl Tell {
    pub(crate) fn new(to: mpsc::Sender<Progress>) -> Self {
        Self { to, had_worker: Arc::default() }
    }

    /// Tells of what the broker says. What finds no room is left out.
    pub(crate) fn tell(&self, notice: Notice) {
        let progress = match notice {
            Notice::Queued => Progress::Queued,
            Notice::AtWork => return,
            Notice::Dispatched | Notice::Redelivered => {
                // To the broker, what is asked again is another request.
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

/// Who reads what is said to a request.
#[derive(Debug)]
struct Reader {
    says: Says,
    progress: Option<Tell>,
}

type Readers = HashMap<RequestHandle, Reader, HandleState>;

/// What the driver itself tells the state machine. It is never [`Received`](ClientInput::Received), which
/// has a reference.
type Told = ClientInput<Box<ToClient>>;

/// Drives a client: tells it what happens, and does what it says.
pub(crate) struct Driver {
    core: majordomus_core::Client,
    clock: Clock,
    /// What it showed when something happened last.
    now: Option<Time>,
    effects: Effects,
    /// `None` when every handle to the client is gone.
    asks: Option<mpsc::Receiver<Ask>>,
    wishes: mpsc::UnboundedReceiver<Wish>,
}

/// Does what the state machine wants done: with the connection, and for the users. None of it tells
/// the state machine something.
struct Effects {
    codec: Codec,
    uplink: Uplink,
    readers: Readers,
    /// A part for which its reader has no room. Nothing is read until it has.
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

    /// Waits until something happens, and does what comes of it.
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

    /// A user asks for something. Others may, too: all that goes out in one piece.
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

    /// Does all that was wished until now. So no more wishes wait than can be made in one turn, in
    /// which each reply that there is can be given up once, and have its parts taken that were sent
    /// to it: [`PARTS_MAX`]` + 1` of them for a reply, and the channel needs no other bound.
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

    /// There is room for the part that was held.
    fn release(&mut self) {
        let Some((handle, part)) = self.effects.held.take() else { return };
        if let Some(reader) = self.effects.readers.get_mut(&handle) {
            reader.says.part(part);
        }
        self.read_messages();
    }

    /// Takes all that was read, as long as there is room for it.
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
            // A command is large, and stays where it was decoded.
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

    /// The broker broke the protocol.
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

    /// The state machine has the connection closed: by its own wish, or because the broker has done
    /// with us.
    fn close(&mut self, why: Option<Farewell>) {
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
        // Nothing is read while a part is held, so this is not the end that would follow it.
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
            // Its reader is gone, which we shall hear presently.
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

/// The next request; `None` once when there will be none any more.
pub(crate) async fn next_ask(asks: &mut Option<mpsc::Receiver<Ask>>) -> Option<Ask> {
    match asks {
        Some(asks) => asks.recv().await,
        None => pending().await,
    }
}

/// Waits until there is room for the held part, or nobody any more who would read it.
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
