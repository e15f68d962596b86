//! Encoding and decoding of benchmark messages, for each dialect and for plain bodies.
//!
//! All bytes come from the codec of `majordomus-wire`.

use std::fmt;

use bytes::Bytes;
use majordomus::Dialect;
use majordomus_core::{
    ByteStr, Concurrency, CorrelationId, Frames, FromClient, FromWorker, Hello, Outcome, Reply,
    Request, Status, ToClient, ToWorker, WorkerReply,
};
use majordomus_wire::{Codec, Error, Side, Sink, Socket, in_frames};
use majordomus_zmtp::{Message, Metadata, SocketType};

use crate::cmd::bench::stencil::Stencil;
use crate::cmd::bench::tag::Tag;
use crate::cmd::has_request_ids;

/// The protocol between the generator and a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Dialect(Dialect),
    /// Plain bodies without a service name, as a ZeroMQ proxy forwards them.
    Bare,
    /// The protocol of nats-server, through its own client library.
    Nats,
}

impl fmt::Display for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speech::Dialect(dialect) => dialect.fmt(f),
            Speech::Bare => f.write_str("bare frames"),
            Speech::Nats => f.write_str("NATS"),
        }
    }
}

/// A decoded message to a client.
#[derive(Debug)]
pub(super) enum Heard {
    /// The broker accepted the handshake: the client may send requests.
    Welcome,
    /// A reply with these frames. The id identifies its request, if the dialect has request ids.
    Reply { id: CorrelationId, body: Frames },
    /// An error in place of a reply.
    Failure { id: CorrelationId, why: String },
    /// The broker closed the session.
    DisconnectReason(String),
    /// A message that is irrelevant here.
    Else,
}

/// A decoded message to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Served {
    Request,
    /// The broker closed the session.
    DisconnectReason(String),
    /// A message that is irrelevant here.
    Else,
}

impl Speech {
    /// Returns the ZMTP metadata of a connection. `random` makes its identity unique.
    pub(super) fn metadata(self, side: Side, random: u128) -> Metadata {
        match self {
            Speech::Dialect(dialect) => {
                let socket = match dialect.socket() {
                    Socket::Dealer => SocketType::Dealer,
                    Socket::Client => SocketType::Client,
                };
                let id = Codec::new(dialect, side).routing_id(random);
                Metadata::new(socket).with_routing_id(&id)
            }
            Speech::Bare | Speech::Nats => Metadata::new(SocketType::Dealer),
        }
    }
}

/// The client side of the protocol.
impl Speech {
    /// Sends a client's handshake. Returns true if the client must wait for an answer.
    pub(super) fn greet(self, sink: &mut impl Sink) -> bool {
        match self.codec(Side::Client) {
            Some(codec) if codec.greets() => {
                codec.encode_from_client(&FromClient::Hello(Hello::default()), sink);
                true
            }
            _ => false,
        }
    }

    /// Returns a template for requests to a service. The body starts with the tag.
    pub(super) fn requests(self, service: &str, tag: Tag, body: &[u8]) -> Stencil {
        let body = Frames::single(Bytes::copy_from_slice(body));
        Stencil::written(tag, |sink| match self.codec(Side::Client) {
            Some(codec) => {
                let request = Request { id: self.id(tag), ..Request::new(service, body) };
                codec.encode_from_client(&FromClient::Request(request), sink);
            }
            None => sink.body_frame(&body.view(), 0, false),
        })
    }

    /// Returns the id of the tag's request. The id is empty if the protocol has no request ids.
    pub(super) fn id(self, tag: Tag) -> CorrelationId {
        match self {
            Speech::Dialect(Dialect::Omdp1) => CorrelationId::Number(tag.number()),
            Speech::Dialect(dialect) if has_request_ids(dialect) => {
                CorrelationId::Text(ByteStr::from(&tag.text()[..]))
            }
            Speech::Dialect(_) | Speech::Bare | Speech::Nats => CorrelationId::NONE,
        }
    }

    /// Returns the tag of the request with this id.
    pub(super) fn tag_of(id: &CorrelationId) -> Option<Tag> {
        match id {
            CorrelationId::Number(number) => Some(Tag::of_number(*number)),
            CorrelationId::Text(text) => Tag::read(text),
        }
    }

    /// Decodes a message to a client.
    pub(super) fn hear(self, message: Message) -> Result<Heard, Error> {
        let message = Frames::new(message.data, message.frames);
        let Some(codec) = self.codec(Side::Client) else {
            return Ok(Heard::Reply { id: CorrelationId::NONE, body: message });
        };
        Ok(match codec.decode_to_client(message)? {
            ToClient::Welcome(_) => Heard::Welcome,
            ToClient::Final(reply) => heard(reply),
            // Without final replies in the dialect, an echo has exactly one part.
            ToClient::Partial(reply) if !codec.has_finals() => heard(reply),
            ToClient::Failed(outcome, reply) => {
                Heard::Failure { why: why(outcome, &reply), id: reply.id }
            }
            ToClient::Disconnect(why) => Heard::DisconnectReason(why.to_string()),
            ToClient::Partial(_) | ToClient::Notice { .. } | ToClient::Heartbeat => Heard::Else,
        })
    }
}

fn heard(reply: Reply) -> Heard {
    Heard::Reply { id: reply.id, body: in_frames(reply.body) }
}

/// Describes in one line why a request has no reply.
fn why(outcome: Outcome, reply: &Reply) -> String {
    match reply.body.get(0) {
        Some(text) => format!("{}: {}", outcome.name(), text.escape_ascii()),
        None => outcome.name().into(),
    }
}

/// The worker side of the protocol.
impl Speech {
    /// Sends a worker's handshake and registration, with unlimited concurrency.
    pub(super) fn offer(self, service: &str, sink: &mut impl Sink) {
        let Some(codec) = self.codec(Side::Worker) else { return };
        // The worker replies at once, so it needs no heartbeat interval of its own.
        self.say(&FromWorker::Hello(Hello::default()), sink);
        let capacity = Status { concurrency: Some(Concurrency::Unlimited), ..Status::NOTHING };
        if codec.greets() {
            self.say(&FromWorker::Heartbeat(capacity), sink);
        }
        self.say(&FromWorker::Ready { service: service.into() }, sink);
        if codec.says_capacity() && !codec.greets() {
            self.say(&FromWorker::Heartbeat(capacity), sink);
        }
    }

    /// Sends a worker's heartbeat, if the dialect requires one.
    pub(super) fn beat(self, sink: &mut impl Sink) {
        if self.codec(Side::Worker).is_some_and(|codec| !codec.greets()) {
            self.say(&FromWorker::HEARTBEAT, sink);
        }
    }

    /// Sends a worker's disconnect message.
    pub(super) fn leave(self, sink: &mut impl Sink) {
        self.say(&FromWorker::Disconnect, sink);
    }

    /// Decodes a message to a worker and answers a request with the request's body.
    pub(super) fn serve(self, message: Message, sink: &mut impl Sink) -> Result<Served, Error> {
        let message = Frames::new(message.data, message.frames);
        let Some(codec) = self.codec(Side::Worker) else {
            for at in 0..message.len() {
                sink.body_frame(&message.view(), at, at + 1 < message.len());
            }
            return Ok(Served::Request);
        };
        Ok(match codec.decode_to_worker(message)? {
            ToWorker::Request(request) => {
                let reply = WorkerReply {
                    id: request.id,
                    ..WorkerReply::new(&*request.address, request.body)
                };
                self.say(&FromWorker::Final(reply), sink);
                Served::Request
            }
            ToWorker::Disconnect(why) => Served::DisconnectReason(why.to_string()),
            _ => Served::Else,
        })
    }

    /// Sends the command, if the dialect can encode it.
    fn say(self, command: &FromWorker, sink: &mut impl Sink) {
        if let Some(codec) = self.codec(Side::Worker) {
            // A command that the dialect cannot encode is implied by the dialect.
            let _ = codec.encode_from_worker(command, sink);
        }
    }

    fn codec(self, side: Side) -> Option<Codec> {
        match self {
            Speech::Dialect(dialect) => Some(Codec::new(dialect, side)),
            Speech::Bare | Speech::Nats => None,
        }
    }
}
