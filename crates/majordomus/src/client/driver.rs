//! The task that owns a client's connection.

use std::collections::HashMap;
use std::future::pending;

use majordomus_core::{ClientInput, ClientOutput, Delivery, RequestHandle};
use majordomus_wire::Codec;
use tokio::sync::mpsc;
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::link::LinkError;
use crate::uplink::{Happening, Uplink};

/// Parts of one reply that wait for its reader.
pub(crate) const PARTS_MAX: usize = 16;

/// A request on its way to the task.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) handle: RequestHandle,
    /// The request, under that handle.
    pub(crate) input: ClientInput,
    pub(crate) deliveries: mpsc::Sender<Delivery>,
}

/// Drives a client: tells it what happens, and does what it says.
pub(crate) struct Driver {
    core: majordomus_core::Client,
    codec: Codec,
    clock: Clock,
    uplink: Uplink,
    /// `None` when every handle to the client is gone.
    asks: Option<mpsc::Receiver<Ask>>,
    cancels: mpsc::UnboundedReceiver<RequestHandle>,
    readers: HashMap<RequestHandle, mpsc::Sender<Delivery>>,
    /// A part for which its reader has no room. Nothing is read until it has.
    held: Option<(RequestHandle, Delivery)>,
    /// Whether the user was warned that there is no broker, since there was one.
    warned: bool,
}

impl Driver {
    pub(crate) fn new(
        core: majordomus_core::Client,
        codec: Codec,
        uplink: Uplink,
        asks: mpsc::Receiver<Ask>,
        cancels: mpsc::UnboundedReceiver<RequestHandle>,
    ) -> Self {
        Self {
            core,
            codec,
            clock: Clock::new(),
            uplink,
            asks: Some(asks),
            cancels,
            readers: HashMap::new(),
            held: None,
            warned: false,
        }
    }

    pub(crate) async fn run(mut self) {
        self.tell(ClientInput::Tick);
        while self.asks.is_some() || !self.core.is_idle() {
            let deadline = self.core.next_deadline();
            tokio::select! {
                happening = self.uplink.next(self.held.is_none()) => self.happened(happening),
                ask = next_ask(&mut self.asks) => self.asked(ask),
                Some(handle) = self.cancels.recv() => self.cancelled(handle),
                () = room(&self.readers, &self.held) => self.release(),
                () = self.clock.reach(deadline) => self.tell(ClientInput::Tick),
            }
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Opened => {
                let endpoint = self.uplink.endpoint();
                if std::mem::take(&mut self.warned) {
                    info!(%endpoint, "connected after all");
                } else {
                    debug!(%endpoint, "connected");
                }
                self.tell(ClientInput::Opened);
                self.read_messages();
            }
            Happening::Moved(moved) if moved.read => self.read_messages(),
            Happening::Moved(_) => {}
            Happening::Lost(error) => self.lost(&error),
        }
    }

    fn asked(&mut self, ask: Option<Ask>) {
        let Some(Ask { handle, input, deliveries }) = ask else {
            self.asks = None;
            return;
        };
        if !deliveries.is_closed() {
            self.readers.insert(handle, deliveries);
            self.tell(input);
        }
    }

    fn cancelled(&mut self, handle: RequestHandle) {
        self.readers.remove(&handle);
        self.held.take_if(|(held, _)| *held == handle);
        self.tell(ClientInput::Cancel(handle));
        self.read_messages();
    }

    /// There is room for the part that was held.
    fn release(&mut self) {
        let Some((handle, part)) = self.held.take() else { return };
        if let Some(reader) = self.readers.get(&handle) {
            let _ = reader.try_send(part);
        }
        self.tell(ClientInput::Resume(handle));
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
                Ok(command) => self.tell(ClientInput::Received(command)),
                Err(error) => {
                    self.uplink.cut();
                    self.lost(&error);
                }
            }
        }
    }

    fn lost(&mut self, error: &LinkError) {
        let endpoint = self.uplink.endpoint();
        if self.warned {
            debug!(%endpoint, %error, "still not connected");
        } else {
            warn!(%endpoint, %error, "not connected to the broker; trying again");
        }
        self.warned = true;
        self.tell(ClientInput::Lost);
    }

    fn tell(&mut self, input: ClientInput) {
        self.core.handle(self.clock.now(), input);
        while let Some(output) = self.core.poll_output() {
            match output {
                ClientOutput::Open => self.uplink.open(),
                ClientOutput::Close => self.uplink.cut(),
                ClientOutput::Send(command) => {
                    if let Some(link) = self.uplink.link() {
                        self.codec.encode_from_client(&command, link);
                    }
                }
                ClientOutput::Deliver(handle, delivery) => self.deliver(handle, delivery),
            }
        }
    }

    fn deliver(&mut self, handle: RequestHandle, delivery: Delivery) {
        if !matches!(delivery, Delivery::Part(_)) {
            // Nothing is read while a part is held, so this is not the end that would follow it.
            self.held.take_if(|(held, _)| *held == handle);
            if let Some(reader) = self.readers.remove(&handle) {
                let _ = reader.try_send(delivery);
            }
            return;
        }
        match self.readers.get(&handle) {
            Some(reader) if has_room(reader) => {
                let _ = reader.try_send(delivery);
            }
            Some(_) => {
                self.held = Some((handle, delivery));
                self.core.handle(self.clock.now(), ClientInput::Pause(handle));
            }
            // Its reader is gone, which we shall hear presently.
            None => {}
        }
    }
}

/// Whether there is room for a part, besides the place that is kept for the end.
fn has_room(reader: &mpsc::Sender<Delivery>) -> bool {
    reader.capacity() >= 2
}

async fn next_ask(asks: &mut Option<mpsc::Receiver<Ask>>) -> Option<Ask> {
    match asks {
        Some(asks) => asks.recv().await,
        None => pending().await,
    }
}

/// Waits until there is room for the held part, or nobody any more who would read it.
async fn room(
    readers: &HashMap<RequestHandle, mpsc::Sender<Delivery>>,
    held: &Option<(RequestHandle, Delivery)>,
) {
    let Some((handle, _)) = held else { return pending().await };
    if let Some(reader) = readers.get(handle) {
        let _ = reader.reserve_many(2).await;
    }
}
