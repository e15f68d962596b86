//! The task that owns a client's connection.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use majordomus_core::{
    ClientInput, ClientOutput, Delivery, Farewell, HandleState, Notice, Request, RequestHandle,
    Time, ToClient,
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

/// Drives a client: tells it what happens, and does what it says.
pub(crate) struct Driver {
    core: majordomus_core::Client,
    /// What the state machine wants done, and is not done yet. It is kept for its memory.
    outputs: VecDeque<ClientOutput>,
    codec: Codec,
    clock: Clock,
    /// What it showed when something happened last.
    now: Option<Time>,
    uplink: Uplink,
    /// `None` when every handle to the client is gone.
    asks: Option<mpsc::Receiver<Ask>>,
    wishes: mpsc::UnboundedReceiver<Wish>,
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
            outputs: VecDeque::new(),
            codec,
            clock: Clock::new(),
            now: None,
            uplink,
            asks: Some(asks),
            wishes,
            readers: Readers::default(),
            held: None,
        }
    }

    pub(crate) async fn run(mut self) {
        self.tell(ClientInput::Tick);
        while self.asks.is_some() || !self.core.is_idle() {
            self.turn().await;
        }
    }

    /// Waits until something happens, and does what comes of it.
    async fn turn(&mut self) {
        let deadline = self.core.next_deadline();
        self.now = None;
        tokio::select! {
            happening = self.uplink.next(self.held.is_none()) => self.happened(happening),
            ask = next_ask(&mut self.asks) => self.asked_all(ask),
            Some(wish) = self.wishes.recv() => self.wished(wish),
            () = room(&self.readers, &self.held) => self.release(),
            () = self.clock.reach(deadline) => self.tell(ClientInput::Tick),
        }
        self.wished_all();
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Opened => {
                self.uplink.opened();
                self.tell(ClientInput::Opened);
                if !self.codec.greets() {
                    self.uplink.note_connected();
                }
                self.read_messages();
            }
            Happening::Moved(moved) if moved.read => {
                self.tell(ClientInput::Alive);
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
            self.readers.insert(handle, Reader { says, progress });
            self.tell(ClientInput::Request { handle, request, silence_max });
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
            Wish::Taken(handle, parts) => self.tell(ClientInput::Taken(handle, parts)),
            Wish::Cancel(handle) => {
                self.readers.remove(&handle);
                self.held.take_if(|(held, _)| *held == handle);
                self.tell(ClientInput::Cancel(handle));
                self.read_messages();
            }
        }
    }

    /// There is room for the part that was held.
    fn release(&mut self) {
        let Some((handle, part)) = self.held.take() else { return };
        if let Some(reader) = self.readers.get_mut(&handle) {
            reader.says.part(part);
        }
        self.read_messages();
    }

    /// Takes all that was read, as long as there is room for it.
    fn read_messages(&mut self) {
        while self.held.is_none()
            && let Some(link) = self.uplink.link()
        {
            let command = match link.next_message() {
                Ok(None) => return,
                Ok(Some(message)) => self.codec.decode_to_client(message).map_err(LinkError::from),
                Err(error) => Err(error),
            };
            match command {
                Ok(command) => {
                    let welcome = matches!(command, ToClient::Welcome(_));
                    self.tell(ClientInput::Received(command));
                    if welcome {
                        self.uplink.note_connected();
                    }
                }
                Err(error) => {
                    self.uplink.cut();
                    self.lost(&error);
                }
            }
        }
    }

    fn lost(&mut self, error: &LinkError) {
        self.uplink.lost(error);
        self.tell(ClientInput::Lost);
    }

    /// The state machine has the connection closed: by its own wish, or because the broker has done
    /// with us.
    fn closed(&mut self, why: Option<Farewell>) {
        match why {
            Some(why) => {
                let text = self.uplink.sent_away(why);
                self.uplink.note_disconnected(text);
            }
            None => self.uplink.note_lost("it was silent, or a request was given up".into()),
        }
        self.uplink.cut();
    }

    fn tell(&mut self, input: ClientInput) {
        let now = *self.now.get_or_insert_with(|| self.clock.now());
        self.core.handle(now, input);
        let mut outputs = std::mem::take(&mut self.outputs);
        self.core.take_outputs(&mut outputs);
        // They are large, and are read where they are. None of them tells the state machine something.
        for output in &mut outputs {
            match output {
                ClientOutput::Open => self.uplink.open(),
                ClientOutput::Close(why) => self.closed(*why),
                ClientOutput::Send(command) => {
                    if let Some(link) = self.uplink.link() {
                        self.codec.encode_from_client(command, link);
                    }
                }
                ClientOutput::Deliver(handle, delivery) => {
                    let taken = Delivery::Notice(Notice::Queued);
                    self.deliver(*handle, std::mem::replace(delivery, taken));
                }
            }
        }
        outputs.clear();
        self.outputs = outputs;
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
