//! What stands for the socket where libzmq could not be compiled: there is never one.

use std::time::Duration;

/// A CLIENT socket, of which there is none here.
#[derive(Debug)]
pub struct ClientSocket(());

impl ClientSocket {
    /// Fails.
    ///
    /// # Panics
    ///
    /// Always: [`is_there`](crate::is_there) is to be asked first.
    pub fn connect(_endpoint: &str, _patience: Duration) -> Self {
        panic!("libzmq could not be compiled: install a C++ compiler")
    }

    /// Is never called, as there is no socket.
    pub fn send(&self, _message: &[u8]) {
        unreachable!("no socket was ever made")
    }

    /// Is never called, as there is no socket.
    pub fn sends_several_frames(&self) -> bool {
        unreachable!("no socket was ever made")
    }

    /// Is never called, as there is no socket.
    pub fn receive(&self) -> Vec<u8> {
        unreachable!("no socket was ever made")
    }
}
