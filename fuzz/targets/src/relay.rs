//! A message of one peer, passed on to another.

use majordomus_core::{
    CODE_UNSAID, Form, Frames, FromClient, FromWorker, Label, Outcome, Reply, Request, Role,
    ToClient, ToWorker, WorkerReply, WorkerRequest,
};
use majordomus_wire::{Codec, Dialect, Json, Side, in_frames};

use crate::command::{Command, stands_in};
use crate::source::Source;
use crate::translate::{checks_json, is_json};

/// An address as the broker makes them.
const ADDRESS: &str = "abcdefghijklmnopqrstuvwxyz234567";

/// The first byte chooses how a peer speaks and the second how the one behind the broker does, a
/// piece is the name of a service, the rest is a message of the first peer. If it is a request or a
/// reply, the other one reads what the broker makes of it, as what it was.
pub fn relay(data: &[u8]) {
    let mut source = Source::new(data);
    let from = source.codec();
    let to = source.codec();
    let number = u64::from(source.byte());
    let service = source.service();
    let message = source.frames();
    match from.side() {
        Side::Client => {
            let worker = Codec::new(to.dialect(), Side::Worker);
            match from.decode_from_client(message) {
                // For what is no name there is no worker.
                Ok(FromClient::Request(request)) if !request.service.is_empty() => {
                    asked(request, worker.with_json(from.json()));
                }
                _ => {}
            }
        }
        Side::Worker => {
            let client = Codec::new(to.dialect(), Side::Client)
                .with_errors(to.errors())
                .with_json(to.json());
            // Those of OMDP/1 are numbers.
            let id = Label::decimal(number);
            match from.decode_from_worker(message) {
                Ok(FromWorker::Partial(reply)) => {
                    answered(ToClient::Partial(replied(reply, service, id)), client);
                }
                Ok(FromWorker::Final(reply)) => {
                    answered(ToClient::Final(replied(reply, service, id)), client);
                }
                Ok(FromWorker::Failed(reply)) => {
                    let reply = replied(reply, service, id);
                    answered(ToClient::Failed(Outcome::Failed, reply), client);
                }
                Ok(FromWorker::Rejected(reply)) => {
                    let reply = replied(reply, service, id);
                    answered(ToClient::Failed(Outcome::Rejected, reply), client);
                }
                _ => {}
            }
        }
    }
}

/// The broker gives the request to a worker. Its body becomes JSON as the codec of its client has it.
fn asked(request: Request, worker: Codec) {
    let Request { service, id, priority, credit, options, body, .. } = request;
    let mut told = WorkerRequest { priority, credit, ..WorkerRequest::new(ADDRESS, service, body) };
    (told.id, told.options) = (id, options);
    let (body, service) = (told.body.clone(), told.service.clone());
    let command = Command::ToWorker(ToWorker::Request(told));
    let message = command.written(worker).expect("a request is always written");
    let read = worker.decode_to_worker(message.clone());
    let Ok(ToWorker::Request(read)) = read else { panic!("{command:?} {message:?} {read:?}") };
    assert_eq!(&*read.address, ADDRESS.as_bytes());
    assert!(read.service.is_empty() || read.service == service, "{message:?}");
    arrives(&body, &read.body, worker);
}

fn replied(reply: WorkerReply, service: Label, id: Label) -> Reply {
    let WorkerReply { code, options, body, .. } = reply;
    Reply { id, code, options, ..Reply::new(service, body) }
}

/// The broker gives the reply to a client.
fn answered(reply: ToClient, client: Codec) {
    let Role::Client(can) = client.role() else { return };
    // The core sends no others.
    let sent = match &reply {
        ToClient::Partial(_) => can.partial_replies,
        ToClient::Failed(outcome, _) => can.told.contains(*outcome),
        _ => true,
    };
    if !sent {
        return;
    }
    let command = Command::ToClient(reply.clone());
    let message = command.written(client).expect("what a client is told is written");
    let read = match client.decode_to_client(message.clone()) {
        Ok(read) => read,
        Err(error) => panic!("{command:?} {message:?}: {error}"),
    };
    let names_service = client.dialect() != Dialect::Majortomo;
    match (&reply, &read) {
        (ToClient::Partial(reply), ToClient::Partial(read))
        | (ToClient::Final(reply), ToClient::Final(read)) => {
            is_for(reply, read, names_service);
            arrives(&reply.body, &read.body, client);
        }
        (ToClient::Final(reply), ToClient::Partial(read)) if !client.has_finals() => {
            is_for(reply, read, names_service);
            arrives(&reply.body, &read.body, client);
        }
        (ToClient::Failed(_, reply), ToClient::Failed(_, read)) => {
            is_for(reply, read, names_service);
            assert!(
                reply.code == CODE_UNSAID || read.code == CODE_UNSAID || reply.code == read.code
            );
        }
        // A reply that looks like an error is one.
        (ToClient::Final(reply), ToClient::Failed(..)) => {
            assert!(
                in_frames(reply.body.clone()).get(0).unwrap().starts_with(b"-1 "),
                "{message:?}"
            );
        }
        _ => panic!("{reply:?} is read as {read:?} in {message:?}"),
    }
}

fn is_for(reply: &Reply, read: &Reply, names_service: bool) {
    assert!(read.id.is_empty() || read.id == reply.id, "{reply:?} {read:?}");
    assert!(read.service.is_empty() || !names_service || read.service == reply.service);
}

/// The body that one peer wrote is what another one has read.
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
            let data = read.get(0).expect("a text");
            // What a client's stream would take for its end is a text without letters.
            let is_part = data == b"\"\"" && body.len() < 2;
            if !is_part && reader.json() != Json::Raw && is_json(data) {
                checks_json(body, data, reader.json());
            }
        }
    }
}
