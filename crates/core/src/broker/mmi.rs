//! 8/MMI: the services that the broker answers itself. Every name that begins with `mmi.` is its own.

use bytes::Bytes;

use super::Broker;
use super::accounts::End;
use super::directory::wanted;
use crate::{Frames, Outcome, PeerId, Reply, Request};

/// How the broker's own names begin.
pub(super) const PREFIX: &[u8] = b"mmi.";

impl Broker {
    /// Answers at once: such a request never waits and takes no room.
    pub(super) fn answer_mmi(&mut self, peer: PeerId, request: &Request) {
        let code = match &request.service[PREFIX.len()..] {
            b"service" => {
                let name = wanted(&request.body).unwrap_or_default();
                if self.services.is_offered(&name) { "200" } else { "404" }
            }
            _ => "501",
        };
        let body = Frames::from_slices(&[code]);
        if !self.can_be_read(&body, &Bytes::new(), peer) {
            return self.refuse(peer, request, End::As(Outcome::Untranslatable));
        }
        let asked = request.body.note();
        let reply =
            Reply { id: request.id.clone(), asked, ..Reply::new(request.service.clone(), body) };
        self.answer(peer, reply);
    }
}
