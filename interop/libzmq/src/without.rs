//! A substitute for the socket if libzmq could not be compiled.

use std::time::Duration;

/// A CLIENT socket that cannot be created.
#[derive(Debug)]
pub struct ClientSocket(());

impl ClientSocket {
    /// Always panics.
    ///
    /// # Panics
    ///
    /// Always panics. Call [`is_there`](crate::is_there) first.
    pub fn connect(_endpoint: &str, _patience: Duration) -> Self {
        panic!("libzmq could not be compiled: install a C++ compiler")
    }

    /// Is never called, because no socket exists.
    pub fn send(&self, _message: &[u8]) {
        unreachable!("no socket was ever made")
    }

    /// Is never called, because no socket exists.
    pub fn sends_several_frames(&self) -> bool {
        unreachable!("no socket was ever made")
    }

    /// Is never called, because no socket exists.
    pub fn receive(&self) -> Vec<u8> {
        unreachable!("no socket was ever made")
    }
}
