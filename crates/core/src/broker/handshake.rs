//! Handshakes. A peer whose dialect has a handshake starts with HELLO and receives the broker info.
//! Other commands are allowed from then on, until the peer disconnects or is disconnected. Peers of
//! other dialects may send commands at once.

use core::time::Duration;

use super::tables::SideState;
use super::{Broker, HEARTBEAT_INTERVAL_MIN, PeerViolation, Turn};
use crate::{Hello, PeerId, ToClientView, ToWorkerView, Welcome};

/// The maximum number of bytes in a message in addition to the body and its options: an address,
/// the name of a service, and numbers.
pub const HEAD_BYTES_MAX: usize = 384;

impl Broker {
    /// Handles a peer's HELLO.
    pub(super) fn handshake(&mut self, turn: &mut Turn<'_>, id: PeerId, hello: Hello) {
        let Some(peer) = self.tables.peers.get_mut(id) else { return };
        if !peer.handshake_pending() {
            return self.violate(turn, id, PeerViolation::Malformed);
        }
        peer.handshake_done = true;
        let interval = hello.heartbeat.map_or(Duration::MAX, |it| it.max(HEARTBEAT_INTERVAL_MIN));
        peer.declared_interval = Some(interval);
        let most = hello.message_bytes_max.map(|most| most.saturating_sub(HEAD_BYTES_MAX));
        peer.body_bytes_max = most.unwrap_or(usize::MAX);
        let (config, limits) = (&self.config, &self.config.limits);
        let requests_max = match &mut peer.side {
            SideState::Client(_) => limits.client_requests_max,
            SideState::Worker(worker) => {
                worker.concurrency = worker.can.concurrency;
                limits.worker_requests_max
            }
        };
        let about = &config.introduction;
        let welcome = Welcome {
            heartbeat: config.heartbeat_interval,
            liveness: config.liveness,
            message_bytes_max: about.message_bytes_max,
            frames_max: about.frames_max,
            requests_max: u32::try_from(requests_max).unwrap_or(u32::MAX),
            broker: about.broker.clone(),
        };
        match peer.side {
            SideState::Client(_) => turn.out.to_client(id, &ToClientView::Welcome(&welcome)),
            SideState::Worker(_) => turn.out.to_worker(id, &ToWorkerView::Welcome(&welcome)),
        }
    }
}
