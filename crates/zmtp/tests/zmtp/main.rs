//! Tests of the public API: received bytes in, events and bytes to send out.

mod cuts;
mod golden;
mod handshake;
mod limits;
mod memory;
mod mutation;
mod omq;
mod random;
mod violations;
mod wire;
