//! The dialects and their names.

use std::fmt;

/// A dialect that the broker serves. The command lines of our program and of the Python scripts use
/// its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// 7/MDP 0.1, the dialect of the ZeroMQ Guide, with one reply per request.
    Mdp01,
    /// 18/MDP 0.2 as the RFC specifies it, with partial replies.
    Mdp02,
    /// 18/MDP 0.2 as the majortomo package encodes it.
    Majortomo,
    /// OMDP/1, our own dialect.
    Omdp1,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Dialect; 4] =
        [Dialect::Mdp01, Dialect::Mdp02, Dialect::Majortomo, Dialect::Omdp1];

    /// The dialects that the Python scripts support.
    pub const OF_SCRIPTS: [Dialect; 3] = [Dialect::Mdp01, Dialect::Mdp02, Dialect::Majortomo];

    /// Returns the dialect's name.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Mdp01 => "mdp01",
            Dialect::Mdp02 => "mdp02",
            Dialect::Majortomo => "majortomo",
            Dialect::Omdp1 => "omdp1",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
