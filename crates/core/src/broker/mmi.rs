//! 8/MMI: the services that the broker answers itself. All names with the prefix `mmi.` are
//! reserved for them.

use super::directory::wanted;
use super::statistics::End;
use super::{Broker, Turn};
use crate::{FramesView, Outcome, PeerId, RequestView};

/// The prefix of the reserved names.
pub(super) const PREFIX: &[u8] = b"mmi.";

impl Broker {
    /// Answers a request immediately. Such a request never waits and counts towards no limit.
    pub(super) fn answer_mmi(
        &mut self,
        turn: &mut Turn<'_>,
        peer: PeerId,
        request: &RequestView<'_>,
    ) {
        let code: &[u8] = match &request.service[PREFIX.len()..] {
            b"service" => {
                let name = wanted(request.body).unwrap_or_default();
                if self.tables.services.is_served(&name) { b"200" } else { b"404" }
            }
            _ => b"501",
        };
        let bounds = [(0, code.len() as u32)];
        let body = FramesView::borrowed(code, &bounds);
        if !self.can_be_read(body, &[], peer) {
            return self.refuse(turn, peer, request, End::As(Outcome::Untranslatable));
        }
        self.answer(turn, peer, request, &[], body);
    }
}
