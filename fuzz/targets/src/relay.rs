//! Fuzz target for relaying a message from one peer to another.

use majordomus_core::{
    CODE_UNSAID, CorrelationIdRef, Form, Frames, FromClientView, FromWorkerView, Outcome, Reply,
    ReplyView, RequestView, Role, ToClient, ToClientView, ToWorker, ToWorkerView, Token,
    WorkerReplyView, WorkerRequestView,
};
use majordomus_wire::{Codec, Dialect, Json, Scratch, Side, in_frames};

use crate::command::{Written, stands_in};
use crate::source::Source;
use crate::translate::{checks_json, is_json};

/// The token of the request.
const TOKEN: Token = Token::from_bits([0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210]);

/// Relays a message. The first byte chooses the sender's codec, the second one the receiver's
/// codec, a piece is the service name, and the rest is the sender's message. If it is a request or
/// a reply, the receiver must decode an equal command from the broker's output.
pub fn relay(data: &[u8]) {
    let mut source = Source::new(data);
    let from = source.codec();
    let to = source.codec();
    let number = u64::from(source.byte());
    let service = source.service();
    let message = source.message();
    let mut scratch = Scratch::default();
    match from.side() {
        Side::Client => {
            let worker = Codec::new(to.dialect(), Side::Worker);
            match from.decode_from_client(message.borrowed(), &mut scratch) {
                // A request without a valid service name is not dispatched.
                Ok(FromClientView::Request(request)) if !request.service.is_empty() => {
                    asked(&request, worker.with_json(from.json()));
                }
                _ => {}
            }
        }
        Side::Worker => {
            let client = Codec::new(to.dialect(), Side::Client)
                .with_errors(to.errors())
                .with_json(to.json());
            // OMDP/1 has numeric ids.
            let id = CorrelationIdRef::Number(number);
            match from.decode_from_worker(message.borrowed(), &mut scratch) {
                Ok(FromWorkerView::Partial(reply)) => {
                    answered(ToClientView::Partial(replied(&reply, &service, id)), client);
                }
                Ok(FromWorkerView::Final(reply)) => {
                    answered(ToClientView::Final(replied(&reply, &service, id)), client);
                }
                Ok(FromWorkerView::Failed(reply)) => {
                    answered(
                        ToClientView::Failed(Outcome::Failed, replied(&reply, &service, id)),
                        client,
                    );
                }
                Ok(FromWorkerView::Rejected(reply)) => {
                    answered(
                        ToClientView::Failed(Outcome::Rejected, replied(&reply, &service, id)),
                        client,
                    );
                }
                _ => {}
            }
        }
    }
}

/// Dispatches the request to a worker. Its body becomes JSON as configured for its client's codec.
fn asked(request: &RequestView<'_>, worker: Codec) {
    let RequestView { service, id, priority, credit, options, body, .. } = *request;
    let told = WorkerRequestView {
        id,
        priority,
        credit,
        options,
        ..WorkerRequestView::new(TOKEN, service, body)
    };
    let mut written = Written::default();
    worker.encode_to_worker(&ToWorkerView::Request(told), &mut written);
    let message = written.message().expect("a request is always written");
    let read = worker.decode_to_worker(message.clone());
    let Ok(ToWorker::Request(read)) = read else { panic!("{told:?} {message:?} {read:?}") };
    assert_eq!(Token::read(&read.address), Some(TOKEN));
    assert!(read.service.is_empty() || *read.service == *service, "{message:?}");
    arrives(&body.to_frames(), &read.body, worker);
}

fn replied<'a>(
    reply: &WorkerReplyView<'a>,
    service: &'a [u8],
    id: CorrelationIdRef<'a>,
) -> ReplyView<'a> {
    let WorkerReplyView { code, options, body, .. } = *reply;
    ReplyView { id, code, options, ..ReplyView::new(service, body) }
}

/// Sends the reply to a client.
fn answered(reply: ToClientView<'_>, client: Codec) {
    let Role::Client(can) = client.role() else { return };
    // The core sends no other commands to this client.
    let sent = match &reply {
        ToClientView::Partial(_) => can.partial_replies,
        ToClientView::Failed(outcome, _) => can.told.contains(*outcome),
        _ => true,
    };
    if !sent {
        return;
    }
    let mut written = Written::default();
    client.encode_to_client(&reply, &mut written);
    let message = written.message().expect("what a client is told is written");
    let read = match client.decode_to_client(message.clone()) {
        Ok(read) => read,
        Err(error) => panic!("{reply:?} {message:?}: {error}"),
    };
    let names_service = client.dialect() != Dialect::Majortomo;
    match (&reply, &read) {
        (ToClientView::Partial(reply), ToClient::Partial(read))
        | (ToClientView::Final(reply), ToClient::Final(read)) => {
            is_for(reply, read, names_service);
            arrives(&reply.body.to_frames(), &read.body, client);
        }
        (ToClientView::Final(reply), ToClient::Partial(read)) if !client.has_finals() => {
            is_for(reply, read, names_service);
            arrives(&reply.body.to_frames(), &read.body, client);
        }
        (ToClientView::Failed(_, reply), ToClient::Failed(_, read)) => {
            is_for(reply, read, names_service);
            assert!(
                reply.code == CODE_UNSAID || read.code == CODE_UNSAID || reply.code == read.code
            );
        }
        // A reply that looks like an error is decoded as one.
        (ToClientView::Final(reply), ToClient::Failed(..)) => {
            assert!(
                in_frames(reply.body.to_frames()).get(0).unwrap().starts_with(b"-1 "),
                "{message:?}"
            );
        }
        _ => panic!("{reply:?} is read as {read:?} in {message:?}"),
    }
}

fn is_for(reply: &ReplyView<'_>, read: &Reply, names_service: bool) {
    assert!(read.id.is_none() || read.id.as_ref() == reply.id, "{reply:?} {read:?}");
    assert!(read.service.is_empty() || !names_service || *read.service == *reply.service);
}

/// Checks that the sender's body equals the receiver's body.
fn arrives(body: &Frames, read: &Frames, reader: Codec) {
    let form = match reader.role() {
        Role::Client(can) => can.form,
        Role::Worker(can) => can.form,
    };
    match (body.form(), form) {
        (_, Form::Frames) => {
            let expected = in_frames(body.clone());
            // Some dialects have no message without a body.
            let filled = expected.is_empty() && *read == Frames::from_slices(&[""]);
            assert!(filled || *read == expected, "{reader:?} {body:?} {read:?}");
        }
        (Form::Json, Form::Json) => {
            let text = body.get(0).unwrap_or_default();
            let same = Some(text) == read.get(0) || stands_in(text, read);
            assert!(same, "{reader:?} {body:?} {read:?}");
        }
        (Form::Frames, Form::Json) => {
            let Some(data) = read.get(0) else {
                // `raw` encodes a body of empty frames as no data, which decodes to no frame.
                assert!(reader.json() == Json::Raw && body.bytes() == 0, "{reader:?} {body:?}");
                return;
            };
            // A client would decode an empty JSON string as the end of its stream.
            let is_part = data == b"\"\"" && body.len() < 2;
            if !is_part && reader.json() != Json::Raw && is_json(data) {
                checks_json(body, data, reader.json());
            }
        }
    }
}
