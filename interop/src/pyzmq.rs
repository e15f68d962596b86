//! Peers made of plain pyzmq sockets: `python/client.py` and `python/worker.py`.

use std::ops::{Deref, DerefMut};

use crate::dialect::Dialect;
use crate::frames::written;
use crate::process::Process;
use crate::python::Python;

/// A client that sends requests on command and prints every reply, expected or not.
#[derive(Debug)]
pub struct Client(Process);

impl Python {
    /// Starts a client. `python/client.py` documents further options.
    #[track_caller]
    pub fn client(&self, endpoint: &str, dialect: Dialect, options: &[&str]) -> Client {
        let peer = ["--broker", endpoint, "--dialect", dialect.name()];
        Client(self.script("client", &[&peer, options].concat()))
    }

    /// Starts a worker and waits until it has sent READY. `python/worker.py` documents its other
    /// behaviours.
    #[track_caller]
    pub fn worker(
        &self,
        endpoint: &str,
        dialect: Dialect,
        service: &str,
        options: &[&str],
    ) -> Process {
        let peer = ["--broker", endpoint, "--dialect", dialect.name(), "--service", service];
        let mut worker = self.script("worker", &[&peer, options].concat());
        worker.expect("opened");
        worker
    }
}

impl Client {
    /// Sends a request.
    #[track_caller]
    pub fn request(&mut self, service: &str, body: &[&[u8]]) {
        let order = [&[service.as_bytes()], body].concat();
        self.0.tell(&written(&order));
    }

    /// Waits for a final reply and compares its body. Skips partial replies before it.
    #[track_caller]
    pub fn expect_final(&mut self, body: &[&[u8]]) {
        assert_eq!(self.0.expect("final"), written(body));
    }

    /// Sends a request and waits for the final reply.
    #[track_caller]
    pub fn round_trip(&mut self, service: &str, body: &[&[u8]], reply: &[&[u8]]) {
        self.request(service, body);
        self.expect_final(reply);
    }

    /// Compares the bodies of all final replies so far with `bodies`, and checks that nothing else
    /// was received.
    ///
    /// An unexpected reply is detected only after it arrives. Replies to a client arrive in the
    /// order in which the broker sends them. The last of `bodies` must therefore belong to a
    /// request that was made after every possible failure.
    #[track_caller]
    pub fn has_had_only(&self, bodies: &[&[&[u8]]]) {
        let bodies: Vec<String> = bodies.iter().map(|body| written(body)).collect();
        assert_eq!(self.0.said("final"), bodies);
        assert_eq!(self.0.said("partial"), [""; 0]);
        assert_eq!(self.0.said("wrong"), [""; 0]);
    }
}

impl Deref for Client {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.0
    }
}
