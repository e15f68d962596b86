//! The attacks of hostile peers.

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

use majordomus_core::Timeout;

use super::Attack;
use crate::peer::request;

/// All attacks, in the order in which they run.
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

/// Returns the bytes of an OMDP/1 request without a timeout.
fn waiting(service: &str, number: u64) -> Vec<u8> {
    request(service, number, Timeout::Never, b"a body of a request that waits")
}
