//! The attacks.

mod blocked;
mod flapping;
mod forgeries;
mod handshakes;
mod heartbeats;
mod hoard;
mod identities;
mod malformed;
mod mutations;
mod names;
mod open_files;
mod strangers;
mod unread;

use majordomus_core::{Frames, FromClient, FromWorker, Request, Timeout};
use majordomus_wire::{Codec, Dialect, Side};

use super::Attack;
use super::arena::Place;
use super::peer::{Peer, framed};

/// All of them, in the order in which they are carried out.
pub(super) const ATTACKS: [Attack; 13] = [
    handshakes::ATTACK,
    malformed::ATTACK,
    mutations::ATTACK,
    hoard::ATTACK,
    names::ATTACK,
    flapping::ATTACK,
    strangers::ATTACK,
    forgeries::ATTACK,
    heartbeats::ATTACK,
    identities::ATTACK,
    unread::ATTACK,
    blocked::ATTACK,
    open_files::ATTACK,
];

/// What a client says in this dialect, as frames; none where it cannot say that.
fn client_frames(dialect: Dialect, command: &FromClient) -> Vec<Vec<u8>> {
    let mut frames: Vec<bytes::Bytes> = Vec::new();
    Codec::new(dialect, Side::Client).encode_from_client(command, &mut frames);
    frames.into_iter().map(Into::into).collect()
}

/// What a worker says, likewise.
fn worker_frames(dialect: Dialect, command: &FromWorker) -> Vec<Vec<u8>> {
    let mut frames: Vec<bytes::Bytes> = Vec::new();
    // What cannot be said is not written.
    let _ = Codec::new(dialect, Side::Worker).encode_from_worker(command, &mut frames);
    frames.into_iter().map(Into::into).collect()
}

fn on_stream(frames: &[Vec<u8>]) -> Vec<u8> {
    framed(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// A client of OMDP/1 that has greeted.
fn greeted_client(place: &Place) -> Result<Peer, String> {
    let peer = Peer::connect(place)?;
    let hello = client_frames(Dialect::Omdp1, &FromClient::Hello(Default::default()));
    peer.write(&on_stream(&hello)).map_err(super::text)?;
    Ok(peer)
}

/// A request of OMDP/1 that waits for ever, with a number for its id, on the stream.
fn request(service: &str, number: u64) -> Vec<u8> {
    let request = Request {
        id: number.to_string().as_str().into(),
        timeout: Timeout::Never,
        ..Request::new(service, Frames::from_slices(&["a body of a request that waits"]))
    };
    on_stream(&client_frames(Dialect::Omdp1, &FromClient::Request(request)))
}
