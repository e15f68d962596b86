//! Greetings: peers that begin with HELLO are told what holds here, and are heard from then on, until
//! they are sent away or go. Those of other dialects are heard from their first word.

use core::time::Duration;

use super::peers::SideState;
use super::{Broker, HEARTBEAT_INTERVAL_MIN, Offence};
use crate::{Hello, PeerId, Time, ToClient, ToWorker, Welcome};

/// What a message to a peer that greets has beside the body and what stands beside that, in bytes, at
/// the most: an address, the name of a service, and numbers.
pub const HEAD_BYTES_MAX: usize = 384;

impl Broker {
    /// A peer says who it is.
    pub(super) fn greeted(&mut self, now: Time, id: PeerId, hello: Hello) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if !peer.greets() || peer.greeted {
            return self.offend(now, id, Offence::Malformed);
        }
        peer.greeted = true;
        peer.pace =
            Some(hello.heartbeat.map_or(Duration::MAX, |it| it.max(HEARTBEAT_INTERVAL_MIN)));
        let most = hello.message_bytes_max.map(|most| most.saturating_sub(HEAD_BYTES_MAX));
        peer.body_bytes_max = most.unwrap_or(usize::MAX);
        let (config, limits) = (&self.config, &self.config.limits);
        let requests_max = match &mut peer.side {
            SideState::Client(_) => limits.client_requests_max,
            SideState::Worker(worker) => {
                worker.takes = worker.can.concurrency;
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
            SideState::Client(_) => self.tell_client(id, ToClient::Welcome(welcome)),
            SideState::Worker(_) => self.tell_worker(id, ToWorker::Welcome(welcome)),
        }
    }

    /// A peer goes, or is sent away: it has to say HELLO again before it is heard.
    pub(super) fn forget_greeting(&mut self, id: PeerId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.greeted = false;
        }
    }
}
