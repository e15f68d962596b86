//! A benchmark client's connection, which sends requests and verifies replies.

use majordomus_core::{CorrelationId, Frames};
use majordomus_wire::{Error, Sink};
use majordomus_zmtp::Message;

use crate::cmd::bench::schedule::Due;
use crate::cmd::bench::speech::{Heard, Speech};
use crate::cmd::bench::stencil::Stencil;
use crate::cmd::bench::tag::{FIRST_CALL, TEXT_BYTES, Tag};

/// A slot for one request in flight.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The number of the slot's current or last request.
    turn: u32,
    /// The start of the current request's latency in nanoseconds, if a request is in flight.
    since: Option<u64>,
}

/// A client connection with one slot for each request that may be in flight.
#[derive(Debug)]
pub(super) struct Client {
    number: u16,
    speech: Speech,
    /// The body's bytes after the tag.
    filling: Vec<u8>,
    request: Stencil,
    /// A verified reply. Later replies are compared with it first, which avoids decoding equal
    /// ones.
    reply: Option<Stencil>,
    slots: Vec<Slot>,
    free: Vec<u16>,
    /// Scheduled requests that are queued but not yet written, with their slots.
    unwritten: Vec<(u16, Due)>,
    /// True until the broker has accepted the client's handshake.
    waits: bool,
    asked: u64,
}

/// The meaning of an incoming message for the statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// The expected reply to a request whose latency started at `since`.
    Right { since: u64 },
    /// A wrong reply.
    Wrong(String),
    /// An error in place of a reply, with its reason.
    Failed(String),
    /// A second reply to the same request.
    Doubled(Tag),
    /// A reply to a request that this client never sent.
    Foreign(String),
    /// The reply to a first call.
    FirstCall,
    /// The broker closed the session.
    DisconnectReason(String),
    /// A message that does not affect the statistics.
    Nothing,
}

impl Client {
    pub(super) fn new(
        number: u16,
        speech: Speech,
        service: &str,
        filling: &[u8],
        in_flight: u16,
    ) -> Self {
        let tag = Tag { client: number, slot: 0, turn: FIRST_CALL };
        let body = [&tag.text()[..], filling].concat();
        let slot = Slot { turn: FIRST_CALL, since: None };
        Self {
            number,
            speech,
            filling: filling.to_vec(),
            request: speech.requests(service, tag, &body),
            reply: None,
            slots: vec![slot; in_flight.into()],
            free: (0..in_flight).rev().collect(),
            unwritten: Vec::new(),
            waits: false,
            asked: 0,
        }
    }

    /// Sends the dialect's handshake, if it has one.
    pub(super) fn greet(&mut self, sink: &mut impl Sink) {
        self.waits = self.speech.greet(sink);
    }

    /// Returns true if the client may send requests.
    pub(super) fn is_welcome(&self) -> bool {
        !self.waits
    }

    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Returns the number of requests in flight.
    pub(super) fn in_progress(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Returns the number of requests sent so far.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// Sends a first call, which is not counted.
    pub(super) fn ask_first(&mut self, attempt: u16, sink: &mut impl Sink) {
        self.say(Tag { client: self.number, slot: attempt, turn: FIRST_CALL }, sink);
    }

    /// Sends a request whose latency starts at `since`, if a slot is free.
    pub(super) fn ask(&mut self, since: u64, sink: &mut impl Sink) -> bool {
        self.ask_in_free_slot(since, sink).is_some()
    }

    /// Queues a scheduled request, if a slot is free. Its latency starts at its own start time, if
    /// it has one, or else when [`start_unwritten`](Self::start_unwritten) is called.
    pub(super) fn ask_due(&mut self, due: Due, sink: &mut impl Sink) -> bool {
        let Some(slot) = self.ask_in_free_slot(due.at, sink) else { return false };
        self.unwritten.push((slot, due));
        true
    }

    /// Returns true if scheduled requests are queued but not yet written.
    pub(super) fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Starts the latency of all scheduled requests that are written now. Reports each request's
    /// due time and start time.
    pub(super) fn start_unwritten(&mut self, now: u64, mut report: impl FnMut(u64, u64)) {
        for (slot, due) in self.unwritten.drain(..) {
            let start = due.start.unwrap_or(now);
            self.slots[usize::from(slot)].since = Some(start);
            report(due.at, start);
        }
    }

    /// Sends a request whose latency starts at `since`. Returns its slot, or `None` if no slot is
    /// free.
    fn ask_in_free_slot(&mut self, since: u64, sink: &mut impl Sink) -> Option<u16> {
        let slot = self.free.pop()?;
        let state = &mut self.slots[usize::from(slot)];
        self.asked += 1;
        state.turn = self.asked as u32;
        state.since = Some(since);
        let tag = Tag { client: self.number, slot, turn: state.turn };
        self.say(tag, sink);
        Some(slot)
    }

    fn say(&mut self, tag: Tag, sink: &mut impl Sink) {
        self.request.fill(tag);
        for (frame, more) in self.request.frames() {
            sink.frame(frame, more);
        }
    }

    /// Classifies an incoming message.
    pub(super) fn take(&mut self, message: Message) -> Result<Came, Error> {
        if let Some(tag) = self.reply.as_mut().and_then(|reply| reply.tag_of(&message.data)) {
            return Ok(self.replied(tag));
        }
        let data = message.data.clone();
        Ok(match self.speech.hear(message)? {
            Heard::Reply { id, body } => match self.tag_in(&id, &body) {
                Ok(tag) => {
                    let came = self.replied(tag);
                    if matches!(came, Came::Right { .. }) {
                        self.reply = Some(Stencil::of(data.to_vec(), tag));
                    }
                    came
                }
                Err(why) => self.spoilt(&id, why),
            },
            Heard::Failure { id, why } => match self.end(&id) {
                Some(tag) if tag.turn == FIRST_CALL => Came::Nothing,
                Some(_) => Came::Failed(why),
                None => Came::Foreign(why),
            },
            Heard::Welcome => {
                self.waits = false;
                Came::Nothing
            }
            Heard::DisconnectReason(why) => Came::DisconnectReason(why),
            Heard::Else => Came::Nothing,
        })
    }

    /// Returns the tag of a reply after verifying everything else in it.
    fn tag_in(&self, id: &CorrelationId, body: &Frames) -> Result<Tag, String> {
        let frame = match body.get(0) {
            Some(frame) if body.len() == 1 => frame,
            _ => return Err(format!("{} frames came back in place of one", body.len())),
        };
        let expected = TEXT_BYTES + self.filling.len();
        if frame.len() != expected {
            return Err(format!("{} bytes came back in place of {expected}", frame.len()));
        }
        let (text, filling) = frame.split_at(TEXT_BYTES);
        let tag = Tag::read(text).ok_or("a body came back with other bytes at its beginning")?;
        if let Some(at) = filling.iter().zip(&self.filling).position(|(came, sent)| came != sent) {
            return Err(format!("byte {} came back as another one", TEXT_BYTES + at));
        }
        if !id.is_none() && Speech::tag_of(id) != Some(tag) {
            return Err(format!("the body of {tag} came back with the id of another request"));
        }
        Ok(tag)
    }

    /// Handles a reply with a correct body. The reply may still be a duplicate or foreign.
    fn replied(&mut self, tag: Tag) -> Came {
        if tag.client == self.number && tag.turn == FIRST_CALL {
            return Came::FirstCall;
        }
        let foreign = || Came::Foreign(format!("{tag} was answered to client {}", self.number));
        let Some(state) = self.slots.get(usize::from(tag.slot)) else { return foreign() };
        if tag.client != self.number || tag.turn > state.turn {
            return foreign();
        }
        match self.free_slot(tag) {
            Some(since) => Came::Right { since },
            None => Came::Doubled(tag),
        }
    }

    /// Handles a wrong reply. Ends the reply's request, if the reply names one.
    fn spoilt(&mut self, id: &CorrelationId, why: String) -> Came {
        match self.end(id) {
            Some(tag) if tag.turn == FIRST_CALL => Came::FirstCall,
            Some(_) => Came::Wrong(why),
            None => Came::Foreign(why),
        }
    }

    /// Ends the request with this id. Without ids, ends the oldest request, because the reply does
    /// not name one.
    fn end(&mut self, id: &CorrelationId) -> Option<Tag> {
        let tag = if id.is_none() {
            let slots = (0..).zip(&self.slots);
            let oldest = slots.filter(|(_, slot)| slot.since.is_some());
            let (slot, turn) = match oldest.min_by_key(|(_, slot)| slot.since) {
                Some((slot, state)) => (slot, state.turn),
                None if self.asked == 0 => (0, FIRST_CALL),
                None => return None,
            };
            Tag { client: self.number, slot, turn }
        } else {
            Speech::tag_of(id)?
        };
        if tag.turn == FIRST_CALL {
            return Some(tag);
        }
        self.free_slot(tag).map(|_| tag)
    }

    /// Frees the slot of a request in flight and returns the start of its latency.
    fn free_slot(&mut self, tag: Tag) -> Option<u64> {
        let state = self.slots.get_mut(usize::from(tag.slot))?;
        if tag.client != self.number || tag.turn != state.turn {
            return None;
        }
        let since = state.since.take()?;
        self.free.push(tag.slot);
        Some(since)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use majordomus::Dialect;
    use majordomus_core::{Outcome, Reply, ToClient};
    use majordomus_wire::{Codec, Side};

    use super::*;

    const FILLING: &[u8] = b"filling";

    /// A sink that stores frames.
    #[derive(Default)]
    struct Written(Vec<Vec<u8>>);

    impl Sink for Written {
        fn frame(&mut self, frame: &[u8], _more: bool) {
            self.0.push(frame.to_vec());
        }
    }

    fn message(frames: &[Vec<u8>]) -> Message {
        let (mut data, mut bounds) = (Vec::new(), majordomus_zmtp::Bounds::new());
        for frame in frames {
            let start = data.len() as u32;
            data.extend_from_slice(frame);
            bounds.push((start, data.len() as u32));
        }
        Message { data: Bytes::from(data), frames: bounds }
    }

    fn client(dialect: Dialect, in_flight: u16) -> Client {
        Client::new(3, Speech::Dialect(dialect), "echo", FILLING, in_flight)
    }

    fn body(tag: Tag) -> Frames {
        Frames::from_slices(&[[&tag.text()[..], FILLING].concat()])
    }

    /// Returns the broker's message for a client command.
    fn said(dialect: Dialect, command: &ToClient) -> Message {
        let mut written = Written::default();
        Codec::new(dialect, Side::Client).encode_to_client(&command.view(), &mut written);
        message(&written.0)
    }

    fn reply(dialect: Dialect, id: Tag, body: Frames) -> Message {
        let id = Speech::Dialect(dialect).id(id);
        said(dialect, &ToClient::Final(Reply { id, ..Reply::new("echo", body) }))
    }

    fn tag(slot: u16, turn: u32) -> Tag {
        Tag { client: 3, slot, turn }
    }

    #[test]
    fn requests_are_those_of_the_codec_whatever_their_tag() {
        for dialect in Dialect::ALL {
            let mut client = client(dialect, 1);
            for turn in 1..4 {
                let mut asked = Written::default();
                assert!(client.ask(0, &mut asked));
                let tag = tag(0, turn);
                let body = [&tag.text()[..], FILLING].concat();
                let other = Speech::Dialect(dialect).requests("echo", tag, &body);
                let expected: Vec<_> = other.frames().map(|(frame, _)| frame.to_vec()).collect();
                assert_eq!(asked.0, expected, "{dialect}");
                let came = client.take(reply(dialect, tag, self::body(tag)));
                assert_eq!(came, Ok(Came::Right { since: 0 }), "{dialect}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_apart() {
        for dialect in Dialect::ALL {
            let ids = crate::cmd::has_request_ids(dialect);
            let mut client = client(dialect, 1);
            let mut next = 0;
            let mut ask = |client: &mut Client| {
                next += 1;
                assert!(client.ask(next.into(), &mut Written::default()));
                tag(0, next)
            };
            let first = ask(&mut client);
            let right = reply(dialect, first, body(first));
            assert_eq!(client.take(right.clone()), Ok(Came::Right { since: 1 }), "{dialect}");
            assert_eq!(client.take(right), Ok(Came::Doubled(first)), "{dialect}");

            let stranger = Tag { client: 9, slot: 0, turn: 1 };
            let came = client.take(reply(dialect, stranger, body(stranger)));
            assert!(matches!(came, Ok(Came::Foreign(_))), "{dialect}: {came:?}");
            let unasked = tag(0, 700);
            let came = client.take(reply(dialect, unasked, body(unasked)));
            assert!(matches!(came, Ok(Came::Foreign(_))), "{dialect}: {came:?}");
            assert_eq!(client.in_progress(), 0);

            let right = [&tag(0, 2).text()[..], FILLING].concat();
            for at in 0..right.len() {
                let asked = ask(&mut client);
                let mut bytes = body(asked).get(0).expect("it has one").to_vec();
                bytes[at] = b'!';
                let came = client.take(reply(dialect, asked, Frames::from_slices(&[bytes])));
                assert!(matches!(came, Ok(Came::Wrong(_))), "{dialect}: {came:?}");
                assert_eq!(client.in_progress(), 0, "{dialect}");
            }
            if ids {
                let asked = ask(&mut client);
                let came = client.take(reply(dialect, asked, body(first)));
                assert!(matches!(came, Ok(Came::Wrong(_))), "{dialect}: {came:?}");
                let asked = ask(&mut client);
                let id = Speech::Dialect(dialect).id(asked);
                let why = Reply { id, ..Reply::new("echo", Frames::from_slices(&["no"])) };
                let came = client.take(said(dialect, &ToClient::Failed(Outcome::Failed, why)));
                assert!(matches!(came, Ok(Came::Failed(_))), "{dialect}: {came:?}");
            }
        }
    }

    #[test]
    fn what_is_wrong_without_an_id_is_taken_for_the_oldest() {
        let mut client = client(Dialect::Mdp01, 3);
        for since in [7, 5, 6] {
            assert!(client.ask(since, &mut Written::default()));
        }
        let spoilt = reply(Dialect::Mdp01, tag(0, 1), Frames::from_slices(&["spoilt"]));
        assert!(matches!(client.take(spoilt), Ok(Came::Wrong(_))));
        for (slot, came) in [
            (0, Came::Right { since: 7 }),
            (1, Came::Doubled(tag(1, 2))),
            (2, Came::Right { since: 6 }),
        ] {
            let tag = tag(slot, u32::from(slot) + 1);
            let right = reply(Dialect::Mdp01, tag, body(tag));
            assert_eq!(client.take(right), Ok(came));
        }
    }

    #[test]
    fn scheduled_request_counts_from_its_start_or_else_from_its_write() {
        let mut client = client(Dialect::Omdp1, 2);
        let mut asked = Written::default();
        assert!(client.ask_due(Due { at: 10, start: Some(15) }, &mut asked));
        assert!(client.ask_due(Due { at: 20, start: None }, &mut asked));
        assert!(!client.ask_due(Due { at: 30, start: None }, &mut asked));
        assert!(client.has_unwritten());
        let mut started = Vec::new();
        client.start_unwritten(27, |due, start| started.push((due, start)));
        assert_eq!(started, [(10, 15), (20, 27)]);
        assert!(!client.has_unwritten());
        for (slot, since) in [(0, 15), (1, 27)] {
            let tag = tag(slot, u32::from(slot) + 1);
            let came = client.take(reply(Dialect::Omdp1, tag, body(tag)));
            assert_eq!(came, Ok(Came::Right { since }));
        }
    }

    #[test]
    fn as_many_are_in_progress_as_there_are_slots() {
        let mut client = client(Dialect::Omdp1, 2);
        let mut asked = Written::default();
        assert!(client.ask(1, &mut asked) && client.ask(2, &mut asked));
        assert!(!client.has_room() && !client.ask(3, &mut asked));
        assert_eq!((client.in_progress(), client.asked()), (2, 2));
        let came = client.take(reply(Dialect::Omdp1, tag(1, 2), body(tag(1, 2))));
        assert_eq!(came, Ok(Came::Right { since: 2 }));
        assert!(client.has_room());
    }
}
