//! Commands in either direction, and the checks of their encoding.

use core::fmt::Debug;

use bytes::Bytes;
use majordomus_core::{
    ByteStr, DisconnectReason, Frames, FramesView, FromClient, FromWorker, Outcome, Reply, Request,
    ToClient, ToWorker, Token, WorkerReply, WorkerRequest,
};
use majordomus_wire::{Codec, Dialect, ERROR_TEXT_BYTES_MAX, Error, Scratch, Side, Sink};

use crate::message::Message;

/// The token that replaces an address that is not a token.
const TOKEN: Token = Token::from_bits([1, 2]);

/// A command in any direction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    FromClient(FromClient),
    ToClient(ToClient),
    FromWorker(FromWorker),
    ToWorker(ToWorker),
}

impl Command {
    /// Returns the results of both decoders of the codec's side for a message.
    pub(crate) fn readings(codec: Codec, message: &Message) -> impl Iterator<Item = Self> {
        let (from, to) = match codec.side() {
            Side::Client => (
                read_from_client(codec, message).map(Self::FromClient),
                codec.decode_to_client(message.compact()).map(Self::ToClient),
            ),
            Side::Worker => (
                read_from_worker(codec, message).map(Self::FromWorker),
                codec.decode_to_worker(message.compact()).map(Self::ToWorker),
            ),
        };
        [from, to].into_iter().filter_map(|read| read.inspect_err(shows).ok())
    }

    /// Encodes the command, if the dialect can encode it.
    pub(crate) fn written(&self, codec: Codec) -> Option<Frames> {
        let mut written = Written::default();
        match self {
            Self::FromClient(command) => codec.encode_from_client(command, &mut written),
            Self::ToClient(command) => codec.encode_to_client(&command.view(), &mut written),
            Self::FromWorker(command) => {
                let _ = codec.encode_from_worker(command, &mut written);
            }
            Self::ToWorker(command) => codec.encode_to_worker(&command.view(TOKEN), &mut written),
        }
        written.message()
    }

    /// Returns the address in a command to a worker.
    fn address(&mut self) -> Option<&mut ByteStr> {
        match self {
            Self::ToWorker(
                ToWorker::Request(WorkerRequest { address, .. })
                | ToWorker::RequestKeepAlive { address, .. }
                | ToWorker::More { address, .. }
                | ToWorker::Cancel { address, .. },
            ) => Some(address),
            _ => None,
        }
    }

    fn content(&mut self) -> Option<Content<'_>> {
        let (options, body) = match self {
            Self::FromClient(FromClient::Request(Request { options, body, .. }))
            | Self::ToWorker(ToWorker::Request(WorkerRequest { options, body, .. }))
            | Self::ToClient(
                ToClient::Partial(Reply { options, body, .. })
                | ToClient::Final(Reply { options, body, .. })
                | ToClient::Failed(_, Reply { options, body, .. }),
            )
            | Self::FromWorker(
                FromWorker::Partial(WorkerReply { options, body, .. })
                | FromWorker::Final(WorkerReply { options, body, .. })
                | FromWorker::Failed(WorkerReply { options, body, .. })
                | FromWorker::Rejected(WorkerReply { options, body, .. }),
            ) => (options, body),
            _ => return None,
        };
        Some(Content { options, body })
    }

    /// Decodes a message in the same direction as this command.
    pub(crate) fn read_alike(&self, codec: Codec, message: Frames) -> Result<Self, Error> {
        let scratch = &mut Scratch::default();
        match self {
            Self::FromClient(_) => {
                let read = codec.decode_from_client(message.view(), scratch);
                read.map(|command| Self::FromClient(command.to_owned()))
            }
            Self::ToClient(_) => codec.decode_to_client(message).map(Self::ToClient),
            Self::FromWorker(_) => {
                let read = codec.decode_from_worker(message.view(), scratch);
                read.map(|command| Self::FromWorker(command.to_owned()))
            }
            Self::ToWorker(_) => codec.decode_to_worker(message).map(Self::ToWorker),
        }
    }
}

/// Decodes a message of a client from each kind of memory and checks that the results are equal.
pub(crate) fn read_from_client(codec: Codec, message: &Message) -> Result<FromClient, Error> {
    let read = read_each(codec, message, |message, scratch| {
        let command = codec.decode_from_client(message, scratch)?.to_owned();
        let format = match &command {
            FromClient::Request(request) => Some((request.body.form(), request.body.note())),
            _ => None,
        };
        Ok((command, format))
    });
    read.map(|(command, _)| command)
}

/// Decodes a message of a worker from each kind of memory and checks that the results are equal.
pub(crate) fn read_from_worker(codec: Codec, message: &Message) -> Result<FromWorker, Error> {
    read_each(codec, message, |message, scratch| {
        codec.decode_from_worker(message, scratch).map(|command| command.to_owned())
    })
}

/// Decodes a message from borrowed, shared and compact memory and checks that the results are
/// equal.
fn read_each<T: Debug + PartialEq>(
    codec: Codec,
    message: &Message,
    mut decode: impl FnMut(FramesView<'_>, &mut Scratch) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut scratch = Scratch::default();
    let compact = message.compact();
    let [borrowed, shared, compact] = [message.borrowed(), message.shared(), compact.view()]
        .map(|message| decode(message, &mut scratch));
    assert_eq!(borrowed, shared, "{codec:?}");
    assert_eq!(borrowed, compact, "{codec:?}");
    borrowed
}

/// A peer's body and options.
struct Content<'a> {
    options: &'a mut Bytes,
    body: &'a mut Frames,
}

impl Content<'_> {
    /// Fills an empty body with the dialect's placeholder.
    fn fill(self, codec: Codec, written: Content<'_>) {
        let is_json = matches!(codec.dialect(), Dialect::Pigato | Dialect::Omdp);
        if is_json && self.options.is_empty() {
            *self.options = written.options.clone();
        }
        let stands_in = match is_json {
            true => stands_in(self.body.get(0).unwrap_or_default(), written.body),
            false => {
                let filling = |frame: &[u8]| frame.is_empty() || frame.starts_with(b"B_");
                self.body.bytes() == 0
                    && written.body.len() == 1
                    && written.body.iter().all(filling)
            }
        };
        if stands_in {
            *self.body = written.body.clone();
        }
    }
}

/// Returns true if `written` is a JSON dialect's placeholder for a value that JavaScript treats as
/// empty.
pub(crate) fn stands_in(text: &[u8], written: &Frames) -> bool {
    let text = text.trim_ascii();
    let Some(written) = written.get(0) else { return false };
    let quoted = [b"\"", text, b"\""].concat();
    match text {
        b"" | b"undefined" => {
            written == b"null" || written == b"\"\"" || written.starts_with(b"\"B_")
        }
        b"null" => written == b"\"\"" || written == quoted,
        b"0" | b"false" | b"\"\"" => written == quoted,
        _ => false,
    }
}

/// Returns the text of an error body, as far as it is valid.
fn as_text(body: &Frames) -> Frames {
    let frame = body.get(0).unwrap_or_default();
    let kept = &frame[..frame.len().min(ERROR_TEXT_BYTES_MAX)];
    Frames::from_slices(&[String::from_utf8_lossy(kept).as_bytes()])
}

/// Checks that an error has a text.
pub(crate) fn shows(error: &Error) {
    assert!(!error.to_string().is_empty());
}

/// A sink that checks that no frame follows the last frame of a message.
#[derive(Default)]
pub(crate) struct Written {
    frames: Vec<Bytes>,
    more: bool,
}

impl Written {
    /// Returns the message, if one was written.
    pub(crate) fn message(self) -> Option<Frames> {
        assert!(!self.more, "the message is left open: {:?}", self.frames);
        (!self.frames.is_empty()).then(|| Frames::from_slices(&self.frames))
    }
}

impl Sink for Written {
    fn frame(&mut self, frame: &[u8], more: bool) {
        assert!(self.frames.is_empty() || self.more, "a frame behind the last");
        self.frames.push(Bytes::copy_from_slice(frame));
        self.more = more;
    }
}

/// Checks that an encoded command decodes to an equal command.
pub(crate) fn comes_through(codec: Codec, command: &Command) {
    let is_other = match (codec.dialect(), command) {
        // Its broker does not answer heartbeats, but its client accepts the answer.
        (Dialect::Omdp, Command::ToClient(ToClient::Heartbeat)) => true,
        // A NAK carries less information than the command: it also stands for other outcomes than a
        // worker's error.
        (Dialect::Libmdp, Command::ToClient(ToClient::Failed(..))) => true,
        _ => false,
    };
    if is_other {
        return;
    }
    let Some(message) = command.written(codec) else {
        panic!("{codec:?} reads {command:?} and does not write it");
    };
    let again = match command.read_alike(codec, message.clone()) {
        Ok(again) => again,
        Err(error) => panic!("{codec:?} does not read {message:?}, {command:?}: {error}"),
    };
    let mut expected = command.clone();
    match (codec.dialect(), &mut expected, &again) {
        // PIGATO's broker sends REJECT to clients. Ours sends the worker's text or a short error
        // text.
        (
            Dialect::Pigato,
            Command::ToClient(ToClient::Failed(outcome @ Outcome::Rejected, _)),
            Command::ToClient(ToClient::Failed(again, _)),
        ) => *outcome = *again,
        // Other brokers may send codes that ours does not.
        (
            Dialect::Omdp1,
            Command::ToClient(ToClient::Failed(outcome, reply)),
            Command::ToClient(ToClient::Failed(_, again)),
        ) if *outcome != Outcome::Failed || !(400..=999).contains(&reply.code) => {
            reply.code = again.code;
        }
        (
            Dialect::Omdp1,
            Command::ToClient(ToClient::Disconnect(disconnect_reason))
            | Command::ToWorker(ToWorker::Disconnect(disconnect_reason)),
            _,
        ) if *disconnect_reason == DisconnectReason::Unsaid => {
            *disconnect_reason = DisconnectReason::Malformed
        }
        _ => {}
    }
    if let (
        Command::ToClient(ToClient::Failed(_, reply)),
        Command::ToClient(ToClient::Failed(_, again)),
    ) = (&mut expected, &again)
    {
        // In a dialect with textual errors, an error that is not text is converted.
        if again.body == as_text(&reply.body) {
            reply.body = again.body.clone();
        }
    }
    if let (Some(expected), Some(again)) = (expected.address(), again.clone().address()) {
        let token = Token::read(expected).unwrap_or(TOKEN);
        assert_eq!(Token::read(again), Some(token), "{codec:?} {message:?}");
        *expected = again.clone();
    }
    if let (Some(expected), Some(again)) = (expected.content(), again.clone().content()) {
        expected.fill(codec, again);
    }
    assert_eq!(again, expected, "{codec:?} {message:?}");
    // A placeholder is then encoded unchanged.
    let settled = again.written(codec).expect("it was read");
    assert_eq!(again.read_alike(codec, settled), Ok(again), "{codec:?} {command:?}");
}
