//! How requests, replies and what goes with them are said, in each dialect and without one.
//!
//! All bytes are those of the codec of `majordomus-wire`.

use std::fmt;

use bytes::Bytes;
use majordomus::Dialect;
use majordomus_core::{
    Concurrency, CorrelationId, Frames, FromClient, FromWorker, Hello, Label, Outcome, Reply,
    Request, Status, ToClient, ToWorker, WorkerReply,
};
use majordomus_wire::{Codec, Error, Side, Sink, Socket, in_frames};
use majordomus_zmtp::{Message, Metadata, SocketType};

use crate::cmd::bench::stencil::Stencil;
use crate::cmd::bench::tag::Tag;
use crate::cmd::has_request_ids;

/// What is spoken with a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speech {
    Dialect(Dialect),
    /// Nothing but bodies: what a proxy takes, which knows no services.
    Bare,
    /// What nats-server speaks, by a library of its own.
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

/// What a client hears.
#[derive(Debug)]
pub(super) enum Heard {
    /// It may ask now.
    Welcome,
    /// A reply in these frames, to the request of this id where there are ids.
    Reply { id: CorrelationId, body: Frames },
    /// There is no reply.
    Failure { id: CorrelationId, why: String },
    /// The broker has done with it.
    Farewell(String),
    /// Nothing that matters here.
    Else,
}

/// What a worker has heard and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Served {
    Request,
    /// The broker has done with it.
    Farewell(String),
    /// Nothing that matters here.
    Else,
}

impl Speech {
    /// What a connection says of itself. `random` makes it like no other.
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

/// What clients say and hear.
impl Speech {
    /// The first word of a client; true where it has to wait for an answer.
    pub(super) fn greet(self, sink: &mut impl Sink) -> bool {
        match self.codec(Side::Client) {
            Some(codec) if codec.greets() => {
                codec.encode_from_client(&FromClient::Hello(Hello::default()), sink);
                true
            }
            _ => false,
        }
    }

    /// Requests of a service with this body, which begins with the tag.
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

    /// The id of the request of this tag; empty where there are none.
    pub(super) fn id(self, tag: Tag) -> CorrelationId {
        match self {
            Speech::Dialect(Dialect::Omdp1) => CorrelationId::Number(tag.number()),
            Speech::Dialect(dialect) if has_request_ids(dialect) => {
                CorrelationId::Text(Label::from(&tag.text()[..]))
            }
            Speech::Dialect(_) | Speech::Bare | Speech::Nats => CorrelationId::NONE,
        }
    }

    /// The tag of the request of this id.
    pub(super) fn tag_of(id: &CorrelationId) -> Option<Tag> {
        match id {
            CorrelationId::Number(number) => Some(Tag::of_number(*number)),
            CorrelationId::Text(text) => Tag::read(text),
        }
    }

    /// What a message says to a client.
    pub(super) fn hear(self, message: Message) -> Result<Heard, Error> {
        let message = Frames::new(message.data, message.frames);
        let Some(codec) = self.codec(Side::Client) else {
            return Ok(Heard::Reply { id: CorrelationId::NONE, body: message });
        };
        Ok(match codec.decode_to_client(message)? {
            ToClient::Welcome(_) => Heard::Welcome,
            ToClient::Final(reply) => heard(reply),
            // Where no reply is known to be the last, one is all that an echo says.
            ToClient::Partial(reply) if !codec.has_finals() => heard(reply),
            ToClient::Failed(outcome, reply) => {
                Heard::Failure { why: why(outcome, &reply), id: reply.id }
            }
            ToClient::Disconnect(why) => Heard::Farewell(why.to_string()),
            ToClient::Partial(_) | ToClient::Notice { .. } | ToClient::Heartbeat => Heard::Else,
        })
    }
}

fn heard(reply: Reply) -> Heard {
    Heard::Reply { id: reply.id, body: in_frames(reply.body) }
}

/// Why there is no reply, in one line.
fn why(outcome: Outcome, reply: &Reply) -> String {
    match reply.body.get(0) {
        Some(text) => format!("{}: {}", outcome.name(), text.escape_ascii()),
        None => outcome.name().into(),
    }
}

/// What workers say and hear.
impl Speech {
    /// The first words of a worker that offers the service and takes as many requests as it can get.
    pub(super) fn offer(self, service: &str, sink: &mut impl Sink) {
        let Some(codec) = self.codec(Side::Worker) else { return };
        // It answers at once, so it has no need to say that it lives.
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

    /// What a worker says now and then, where it has to.
    pub(super) fn beat(self, sink: &mut impl Sink) {
        if self.codec(Side::Worker).is_some_and(|codec| !codec.greets()) {
            self.say(&FromWorker::HEARTBEAT, sink);
        }
    }

    /// The last word of a worker.
    pub(super) fn leave(self, sink: &mut impl Sink) {
        self.say(&FromWorker::Disconnect, sink);
    }

    /// Takes what came to a worker, and answers a request with its body.
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
            ToWorker::Disconnect(why) => Served::Farewell(why.to_string()),
            _ => Served::Else,
        })
    }

    /// Says it, where the dialect has a word for it.
    fn say(self, command: &FromWorker, sink: &mut impl Sink) {
        if let Some(codec) = self.codec(Side::Worker) {
            // What it has no word for is said by what a worker of it is.
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
