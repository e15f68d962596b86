//! The protocol as its users see it: bytes in, events out, and bytes out.

mod cuts;
mod golden;
mod handshake;
mod limits;
mod memory;
mod mutation;
mod offences;
mod omq;
mod random;
mod wire;
