//! A scripted client.

use majordomus_core::{
    ByteStr, ClientCapabilities, CorrelationId, Form, FromClient, Time, ToClient,
};

use super::{Act, Scene};
use crate::network::Up;
use crate::rng::Rng;
use crate::workload::Workload;

/// A client that sends many requests at random times and does not track the replies.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) can: ClientCapabilities,
    request_ids: bool,
    /// True if it keeps sending request and worker keep-alives.
    insistent: bool,
    next_id: u64,
    next_at: Time,
    connected: bool,
    /// True if it has sent HELLO and was not disconnected since, as far as it knows.
    greeted: bool,
}

impl Client {
    pub(crate) fn new(rng: &mut Rng, workload: &Workload) -> Self {
        let can = workload.client(rng);
        Self {
            can,
            request_ids: can.greets || rng.one_in(2),
            insistent: rng.one_in(2),
            next_id: 0,
            next_at: Time::ZERO.after(rng.millis(0, 100)),
            connected: false,
            greeted: false,
        }
    }

    pub(crate) fn opened(&mut self, scene: &mut Scene<'_>) {
        self.connected = true;
        self.greeted = false;
        self.next_at = scene.now.after(scene.rng.millis(0, 20));
    }

    pub(crate) fn lost(&mut self, scene: &mut Scene<'_>) {
        self.connected = false;
        self.next_at = scene.now.after(scene.rng.millis(1, 300));
    }

    pub(crate) fn heard(&mut self, _scene: &mut Scene<'_>, command: &ToClient) {
        self.greeted &= !matches!(command, ToClient::Disconnect(_));
    }

    pub(crate) fn wake(&mut self, scene: &mut Scene<'_>) {
        let pause = scene.workload.pause.as_millis() as u64;
        self.next_at = scene.now.after(scene.rng.millis(0, pause));
        if !self.connected {
            self.next_at = Time::NEVER;
            return scene.acts.push(Act::Open);
        }
        if !scene.open {
            return;
        }
        // Some clients start with another message.
        if self.can.greets && !self.greeted && !scene.rng.one_in(8) {
            self.greeted = true;
            return self.greet(scene);
        }
        if self.insistent && scene.rng.one_in(2) {
            let command = self.insist(scene);
            scene.acts.push(Act::Say(Up::Client(command)));
        }
        let command = match scene.rng.below(41) {
            0 => FromClient::Heartbeat,
            40 => return self.be_odd(scene),
            1 | 2 => FromClient::Cancel { id: self.recent_id(scene) },
            4 => self.insist(scene),
            3 if scene.rng.one_in(20) => return scene.acts.push(Act::Close),
            _ => {
                self.next_id += u64::from(!scene.rng.one_in(50));
                let id = match scene.rng.one_in(30) {
                    true => self.recent_id(scene),
                    false => self.id(self.next_id),
                };
                FromClient::Request(scene.workload.request(scene.rng, self.can, id))
            }
        };
        scene.acts.push(Act::Say(Up::Client(command)));
        if scene.workload.counts_parts() && scene.rng.one_in(2) {
            self.take_more(scene);
        }
    }

    pub(crate) fn wakes_at(&self) -> Time {
        self.next_at
    }

    /// Returns a keep-alive for a request or for a worker.
    fn insist(&self, scene: &mut Scene<'_>) -> FromClient {
        match scene.rng.one_in(2) {
            true => FromClient::RequestKeepAlive { id: self.recent_id(scene) },
            false => FromClient::WorkerKeepAlive { worker: scene.workload.identity(scene.rng) },
        }
    }

    fn greet(&self, scene: &mut Scene<'_>) {
        let pace = scene.rng.one_in(2).then(|| scene.rng.millis(10, 1000));
        let hello = FromClient::Hello(scene.workload.hello(scene.rng, pace));
        scene.acts.push(Act::Say(Up::Client(hello)));
    }

    /// Sometimes disconnects without closing the connection, or sends an unexpected HELLO.
    fn be_odd(&mut self, scene: &mut Scene<'_>) {
        match scene.rng.below(6) {
            0 if self.can.greets || scene.rng.one_in(4) => {
                self.greeted = false;
                scene.acts.push(Act::Say(Up::Client(FromClient::Disconnect)));
            }
            1 => self.greet(scene),
            _ => self.take_more(scene),
        }
    }

    /// Grants additional credit for a request.
    fn take_more(&self, scene: &mut Scene<'_>) {
        let number = self.next_id.saturating_sub(scene.rng.below(2));
        let (id, credit) = (self.id(number), scene.workload.credit(scene.rng));
        scene.acts.push(Act::Say(Up::Client(FromClient::More { id, credit })));
    }

    fn recent_id(&self, scene: &mut Scene<'_>) -> CorrelationId {
        self.id(self.next_id.saturating_sub(scene.rng.below(5)))
    }

    /// Returns the id of its request `number`. In dialects with numeric ids, clients have a
    /// handshake, so no two of their requests in progress may have the same id.
    fn id(&self, number: u64) -> CorrelationId {
        match (self.request_ids, self.can.form) {
            (false, _) => CorrelationId::NONE,
            (true, Form::Frames) if self.can.greets => CorrelationId::Number(number),
            (true, _) => CorrelationId::Text(ByteStr::decimal(number)),
        }
    }
}
