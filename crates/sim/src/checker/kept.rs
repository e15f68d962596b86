//! Checks of cached replies and the requests that they answer.

use core::time::Duration;

use majordomus_core::broker::{FRAME_BYTES, KEPT_REPLY_BYTES};
use majordomus_core::{ByteStr, Frames, Outcome, PeerId, Reply, Request, Time};

use super::request::{Place, Uid, is_same_body};
use super::{Checker, Rule, TIMER_SLACK};

/// A cached reply.
#[derive(Debug)]
pub(super) struct Kept {
    service: ByteStr,
    asked: Frames,
    body: Frames,
    options: Vec<u8>,
    until: Time,
    bytes: usize,
    /// False if the reply may have been evicted. The broker does not report the eviction of an
    /// expired reply.
    sure: bool,
}

impl Checker {
    /// Handles a reply that its worker allowed to be cached for this long.
    pub(super) fn keeps(&mut self, uid: Uid, body: Frames, keep: Duration, sure: bool) {
        let request = &self.model.requests[&uid];
        let service = self.model.services[request.service].name.clone();
        let asked = request.body.clone();
        let options = self.step.options.clone();
        let frames = FRAME_BYTES * (asked.len() + body.len());
        let bytes = asked.bytes() + body.bytes() + frames + options.len() + KEPT_REPLY_BYTES;
        let limit = self.config.limits.cache_bytes_max;
        if bytes > limit {
            return;
        }
        self.kept.retain(|kept| kept.service != service || !is_same_body(&kept.asked, &asked));
        self.make_room(limit - bytes);
        let until = self.now.after(keep);
        self.kept.push(Kept { service, asked, body, options, until, bytes, sure });
    }

    /// Evicts the least recently used replies until the rest uses at most this many bytes.
    pub(super) fn make_room(&mut self, bytes: usize) {
        let now = self.now;
        let held = |kept: &[Kept]| kept.iter().map(|kept| kept.bytes).sum::<usize>();
        if held(&self.kept) <= bytes {
            return;
        }
        if self.kept.iter().any(|kept| !kept.sure || kept.until <= now) {
            self.kept.iter_mut().for_each(|kept| kept.sure = false);
            return;
        }
        while held(&self.kept) > bytes {
            self.kept.remove(0);
        }
    }

    /// Returns the cached reply for a request, if any, and whether the broker must use it.
    pub(super) fn kept_for(&self, client: PeerId, request: &Request) -> Option<(usize, bool)> {
        if request.fresh || !request.target.is_empty() {
            return None;
        }
        let found = self.kept.iter().position(|kept| {
            kept.service == request.service
                && kept.until > self.now
                && is_same_body(&kept.asked, &request.body)
                && self.can_be_read(client, &kept.body, &kept.options)
        })?;
        Some((found, self.kept[found].sure))
    }

    /// Handles a reply to a client that no worker sent: it must come from the cache.
    pub(super) fn answered_from_kept(&mut self, peer: PeerId, uid: Uid, reply: &Reply) {
        let Some((at, _)) = self.step.kept.take() else {
            return self.accuse(Rule::Kept, format!("nothing good is kept for {uid}: {reply:?}"));
        };
        let kept = self.kept.remove(at);
        let request = &self.model.requests[&uid];
        let right = reply.service == kept.service
            && reply.id == request.id
            && reply.asked == request.body.note()
            && reply.options == kept.options
            && reply.body == kept.body
            && reply.body.form() == kept.body.form()
            && request.client == peer
            && request.place == Place::Outside;
        if !right {
            self.accuse(Rule::Kept, format!("{uid} gets something else: {reply:?}"));
        }
        self.kept.push(Kept { sure: true, ..kept });
        self.kept_replies += 1;
        self.tally.received += 1;
        self.tally.outcomes[Outcome::Replied as usize] += 1;
        self.model.place(uid, Place::Ended(Outcome::Replied));
    }

    /// Compares the cache statistics at the end of the step. `ticked` is true if the timers have
    /// fired.
    pub(super) fn check_kept(&mut self, bytes: usize, replies: u64, ticked: bool) {
        let now = self.now;
        if ticked {
            self.kept.retain(|kept| kept.until.after(TIMER_SLACK) > now);
        }
        let sure = |kept: &&Kept| kept.sure && kept.until > now;
        let least: usize = self.kept.iter().filter(sure).map(|kept| kept.bytes).sum();
        let most: usize = self.kept.iter().map(|kept| kept.bytes).sum();
        let limit = self.config.limits.cache_bytes_max;
        if bytes > limit {
            return self.accuse(Rule::Limit, format!("{bytes} bytes of replies are kept"));
        }
        if !(least..=most).contains(&bytes) || replies != self.kept_replies {
            let text = format!("{bytes} bytes, not {least} to {most}; {replies} answers");
            self.accuse(Rule::Kept, text);
        }
    }

    /// Returns true if a peer can receive a body, translated or not, with these options.
    pub(super) fn can_be_read(&self, peer: PeerId, body: &Frames, options: &[u8]) -> bool {
        let as_it_is = body.form() == self.model.form(peer);
        let most = self.model.peer(peer).map_or(usize::MAX, |peer| peer.body_bytes_max);
        body.bytes() + options.len() <= most
            && (as_it_is || body.bytes() <= self.config.limits.translate_bytes_max)
    }
}
