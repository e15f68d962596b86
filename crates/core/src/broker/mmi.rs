//! 8/MMI: the services that the broker answers itself. Every name that begins with `mmi.` is its own.

use super::Broker;
use crate::{Frames, Outcome, PeerId, Reply, Request, ToClient};

/// How the broker's own names begin.
pub(super) const PREFIX: &[u8] = b"mmi.";

impl Broker {
    /// Answers at once: such a request never waits and takes no room.
    pub(super) fn answer_mmi(&mut self, peer: PeerId, request: &Request) {
        let code = match &request.service[PREFIX.len()..] {
            b"service" => {
                let name = request.body.get(0).unwrap_or_default();
                let offered = self
                    .services
                    .find(name)
                    .is_some_and(|service| self.services[service].workers > 0);
                if offered { "200" } else { "404" }
            }
            _ => "501",
        };
        self.counters.receive();
        self.counters.end(Outcome::Replied);
        self.tell_client(
            peer,
            ToClient::Final(Reply {
                service: request.service.clone(),
                id: request.id.clone(),
                body: Frames::from_slices(&[code]),
            }),
        );
    }
}
