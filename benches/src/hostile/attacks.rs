//! The attacks.

mod handshakes;
mod malformed;

use super::Attack;

/// All of them, in the order in which they are carried out.
pub(super) const ATTACKS: [Attack; 2] = [handshakes::ATTACK, malformed::ATTACK];
