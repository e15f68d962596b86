//! The security mechanisms: one file each.
//!
//! A connection knows no mechanism. It tells this one when the peer's greeting is in and gives it
//! each command of the handshake, until the mechanism knows the peer's metadata. A mechanism with
//! several steps (PLAIN, CURVE) keeps its state here; one that transforms frames (CURVE, with its
//! MESSAGE commands) will get a `seal` and an `open` beside these, which the connection calls on
//! what it sends and what it received.

mod null;

use crate::{Error, Metadata, output::Output};

/// The security mechanism that a connection offers and demands.
///
/// ZMTP negotiates none: both sides must be configured alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// No authentication and no encryption (37/ZMTP, "The NULL Security Mechanism").
    #[default]
    Null,
}

/// What a command of the handshake led to.
#[derive(Debug)]
pub(crate) enum Step {
    /// The handshake goes on with the peer's next command.
    #[expect(dead_code, reason = "NULL has one command; PLAIN and CURVE have more")]
    Continue,
    /// The peer has said all: this is it.
    Hello(Metadata),
}

/// A mechanism in use, with its state.
#[derive(Debug)]
pub(crate) enum Mechanism {
    Null(null::Null),
}

impl Mechanism {
    /// The mechanism of a listener.
    pub(crate) fn listener(security: Security) -> Self {
        match security {
            Security::Null => Self::Null(null::Null::listener()),
        }
    }

    /// The mechanism of a connector, which tells the peer `ours`.
    pub(crate) fn connector(security: Security, ours: Metadata) -> Self {
        match security {
            Security::Null => Self::Null(null::Null::connector(ours)),
        }
    }

    /// The name in the greeting.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Null(_) => "NULL",
        }
    }

    /// The as-server flag in the greeting.
    pub(crate) const fn as_server(&self) -> bool {
        match self {
            Self::Null(_) => false,
        }
    }

    /// The peer's greeting is in: a connector sends its first command.
    pub(crate) fn greeted(&mut self, out: &mut Output) {
        match self {
            Self::Null(null) => null.greeted(out),
        }
    }

    /// A command of the handshake came.
    pub(crate) fn command(&mut self, name: &[u8], data: &[u8]) -> Result<Step, Error> {
        match self {
            Self::Null(null) => null.command(name, data),
        }
    }

    /// The listener's user accepts the peer and tells it `ours`.
    pub(crate) fn accept(&mut self, ours: &Metadata, out: &mut Output) {
        match self {
            Self::Null(null) => null.accept(ours, out),
        }
    }
}
