//! Security mechanisms, one file each.
//!
//! A connection is independent of its mechanism. It reports the peer's greeting and passes each
//! handshake command to the mechanism, until the mechanism returns the peer's metadata. A mechanism
//! with several steps (PLAIN, CURVE) keeps its state here. A mechanism that transforms frames
//! (CURVE, with its MESSAGE commands) will add `seal` and `open`, which the connection will call on
//! sent and received data.

mod null;

use crate::{Error, Metadata, output::Output};

/// The security mechanism that a connection uses and requires.
///
/// ZMTP does not negotiate mechanisms: both sides must be configured with the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// No authentication and no encryption (37/ZMTP, "The NULL Security Mechanism").
    #[default]
    Null,
}

/// The result of a handshake command.
#[derive(Debug)]
pub(crate) enum Step {
    /// The handshake continues with the peer's next command.
    #[expect(dead_code, reason = "NULL has one command; PLAIN and CURVE have more")]
    Continue,
    /// The peer sent its metadata, and its part of the handshake is complete.
    Hello(Metadata),
}

/// A mechanism with its state.
#[derive(Debug)]
pub(crate) enum Mechanism {
    Null(null::Null),
}

impl Mechanism {
    /// Creates the mechanism of a listener.
    pub(crate) fn listener(security: Security) -> Self {
        match security {
            Security::Null => Self::Null(null::Null::listener()),
        }
    }

    /// Creates the mechanism of a connector, which sends `ours` to the peer.
    pub(crate) fn connector(security: Security, ours: Metadata) -> Self {
        match security {
            Security::Null => Self::Null(null::Null::connector(ours)),
        }
    }

    /// Returns the name in the greeting.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Null(_) => "NULL",
        }
    }

    /// Returns the as-server flag in the greeting.
    pub(crate) const fn as_server(&self) -> bool {
        match self {
            Self::Null(_) => false,
        }
    }

    /// Handles the peer's greeting. A connector sends its first command.
    pub(crate) fn greeted(&mut self, out: &mut Output) {
        match self {
            Self::Null(null) => null.greeted(out),
        }
    }

    /// Handles a handshake command.
    pub(crate) fn command(&mut self, name: &[u8], data: &[u8]) -> Result<Step, Error> {
        match self {
            Self::Null(null) => null.command(name, data),
        }
    }

    /// Accepts the peer on a listener and sends `ours`.
    pub(crate) fn accept(&mut self, ours: &Metadata, out: &mut Output) {
        match self {
            Self::Null(null) => null.accept(ours, out),
        }
    }
}
