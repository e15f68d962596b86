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

use super::Attack;

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
