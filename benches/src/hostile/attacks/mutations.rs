//! Nearly valid messages.

use majordomus_core::{
    ByteStr, CorrelationId, Frames, FromClient, FromWorker, Request, Status, WorkerReply,
};
use majordomus_wire::{Dialect, Socket};
use majordomus_zmtp::{Metadata, SocketType};

use crate::figure::Figure;
use crate::hostile::Attack;
use crate::hostile::arena::Arena;
use crate::peer::{Peer, client_frames, connect, on_stream, worker_frames};
use crate::random::Random;

pub(super) const ATTACK: Attack = Attack {
    name: "mutations",
    what: "10,000 messages of each dialect, of clients and of workers, nearly as they should be, \
           from a seed; an honest request after each thousand",
    configure: |_, _| {},
    carry_out,
};

const MESSAGES: u64 = 10_000;
/// The number of messages between two checks of an honest peer.
const STRETCH: u64 = 1_000;
/// The number of messages per connection.
const CONVERSATION: u64 = 20;
/// The service of the hostile peers. A few changes cannot turn it into the honest service.
const SERVICE: &str = "prey";
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

fn carry_out(arena: &mut Arena) -> Result<Vec<Figure>, String> {
    let mut random = Random(SEED);
    let before = arena.state()?;
    let (messages, stretch) = (arena.scale.of(MESSAGES), arena.scale.of(STRETCH));
    for dialect in Dialect::ALL {
        let sides = [client_messages(dialect), worker_messages(dialect)];
        let mut said = 0;
        while said < messages {
            for side in &sides {
                converse(arena, dialect, side, &mut random)?;
                said += CONVERSATION;
            }
            if said % stretch < 2 * CONVERSATION {
                arena.echo().map_err(|why| format!("after {said} of {dialect}: {why}"))?;
            }
        }
    }
    let after = arena.state()?;
    let count = |name: &str| after.since(&before, name);
    let wrong = count("violation.malformed") + count("violation.not_ready");
    let all = messages * Dialect::ALL.len() as u64;
    if wrong < all / 10 {
        return Err(format!("only {wrong} of {all} were wrong"));
    }
    Ok(Vec::new())
}

/// Runs one connection. Half of the connections start with a valid message.
fn converse(
    arena: &Arena,
    dialect: Dialect,
    messages: &[Vec<Vec<u8>>],
    random: &mut Random,
) -> Result<(), String> {
    let socket_type = match dialect.socket() {
        Socket::Client => SocketType::Client,
        Socket::Dealer => SocketType::Dealer,
    };
    let peer = Peer::shake_hands(connect(&arena.place)?, Metadata::new(socket_type))?;
    let mut bytes = Vec::new();
    if random.below(2) == 0 {
        bytes.extend(on_stream(&messages[0]));
    }
    for _ in 0..CONVERSATION {
        let mut message = messages[random.below(messages.len() as u32) as usize].clone();
        for _ in 0..=random.below(3) {
            change(&mut message, random);
        }
        bytes.extend(on_stream(&message));
    }
    // The broker may close the connection before it has read everything.
    let _ = peer.write(&bytes);
    peer.leave()
}

/// Applies one random change to a message.
fn change(message: &mut Vec<Vec<u8>>, random: &mut Random) {
    let Some(last) = message.len().checked_sub(1) else { return message.push(Vec::new()) };
    let frame = random.below(message.len() as u32) as usize;
    let at = random.below(message[frame].len().max(1) as u32) as usize;
    let byte = random.next() as u8;
    match (random.below(8), message[frame].get_mut(at)) {
        (0 | 1, Some(place)) => *place ^= 1 << (byte & 7),
        (2, Some(place)) => *place = byte,
        (3, Some(_)) => message[frame].truncate(at),
        (4, Some(_)) => message[frame].insert(at, byte),
        (5, _) => drop(message.remove(frame)),
        (6, _) => message.insert(frame, message[frame].clone()),
        (7, _) => message.swap(frame, last),
        _ => message.push(vec![byte]),
    }
}

/// Returns the messages of a client, the first one first.
fn client_messages(dialect: Dialect) -> Vec<Vec<Vec<u8>>> {
    let id = CorrelationId::Number(7);
    let request =
        Request { id: id.clone(), ..Request::new(SERVICE, Frames::from_slices(&["[1]"])) };
    let says = [
        FromClient::Hello(Default::default()),
        FromClient::Request(request),
        FromClient::Heartbeat,
        FromClient::RequestKeepAlive { id: id.clone() },
        FromClient::More { id: id.clone(), credit: 7 },
        FromClient::Cancel { id },
        FromClient::WorkerKeepAlive { worker: ByteStr::from("7") },
        FromClient::Disconnect,
    ];
    let all = says.iter().map(|command| client_frames(dialect, command));
    all.filter(|message| !message.is_empty()).collect()
}

/// Returns the messages of a worker, the first one first.
fn worker_messages(dialect: Dialect) -> Vec<Vec<Vec<u8>>> {
    let reply = WorkerReply {
        id: "7".into(),
        ..WorkerReply::new(&[b'a'; 32][..], Frames::from_slices(&["[1]"]))
    };
    let says = [
        FromWorker::Hello(Default::default()),
        FromWorker::Ready { service: SERVICE.into() },
        FromWorker::Heartbeat(Status::NOTHING),
        FromWorker::Partial(reply.clone()),
        FromWorker::Final(reply.clone()),
        FromWorker::Failed(reply.clone()),
        FromWorker::Rejected(reply.clone()),
        FromWorker::AtWork { address: reply.address },
        FromWorker::Withdraw { service: SERVICE.into() },
        FromWorker::Disconnect,
    ];
    let all = says.iter().map(|command| worker_frames(dialect, command));
    all.filter(|message| !message.is_empty()).collect()
}
