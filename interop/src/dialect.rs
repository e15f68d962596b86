//! The dialects by name.

use std::fmt;

/// A dialect that the broker serves, under the name that it has on the command lines of our program
/// and, where they speak it, of the Python scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// 7/MDP 0.1: the ZeroMQ Guide. One reply to a request.
    Mdp01,
    /// 18/MDP 0.2 as the RFC has it, with partial replies.
    Mdp02,
    /// 18/MDP 0.2 as the majortomo package writes it.
    Majortomo,
    /// OMDP/1, our own.
    Omdp1,
}

impl Dialect {
    /// Every one of them.
    pub const ALL: [Dialect; 4] =
        [Dialect::Mdp01, Dialect::Mdp02, Dialect::Majortomo, Dialect::Omdp1];

    /// Those that the Python scripts speak, too.
    pub const OF_SCRIPTS: [Dialect; 3] = [Dialect::Mdp01, Dialect::Mdp02, Dialect::Majortomo];

    /// The name.
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
