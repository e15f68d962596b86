//! The dialects: their names and their grammars.

use core::fmt;
use core::str::FromStr;

use majordomus_core::{ByteStr, FramesView};

use crate::detect::Recognition;
use crate::{
    Side, Socket, gdp, json, libmdp, majortomo, mdp, mdp01, mdp02, omdp, omdp1, pigato, zproto,
};

/// A dialect of the Majordomo protocol.
///
/// ```
/// # use majordomus_wire as majordomus;
/// use majordomus::Dialect;
///
/// for dialect in Dialect::ALL {
///     println!("{dialect}");
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// OMDP/1, the protocol of Majordomus: `docs/rfc/omdp-1.md`.
    Omdp1,
    /// 7/MDP 0.1: the examples of the ZeroMQ Guide, generaldomo over DEALER sockets.
    Mdp01,
    /// 18/MDP 0.2, as specified by its RFC.
    Mdp02,
    /// 18/MDP 0.2, as written by majortomo (PyPI).
    Majortomo,
    /// PIGATO (npm), and its ports to Ruby and Go.
    Pigato,
    /// zmq-omdp (npm).
    Omdp,
    /// generaldomo over CLIENT sockets: [`Mdp01`](Dialect::Mdp01) in one frame.
    Gdp,
    /// zeromq/majordomo, whose messages are packed by the code generator zproto.
    Zproto,
    /// libmdp of zeromq/majordomo, and its bindings.
    Libmdp,
}

impl Dialect {
    /// All dialects, in display order.
    pub const ALL: [Dialect; 9] = [
        Dialect::Omdp1,
        Dialect::Mdp01,
        Dialect::Mdp02,
        Dialect::Majortomo,
        Dialect::Pigato,
        Dialect::Omdp,
        Dialect::Gdp,
        Dialect::Zproto,
        Dialect::Libmdp,
    ];

    /// Returns the name used in the configuration, in logs and in counters.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// assert_eq!(majordomus::Dialect::Mdp01.name(), "mdp01");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Dialect::Omdp1 => "omdp1",
            Dialect::Mdp01 => "mdp01",
            Dialect::Mdp02 => "mdp02",
            Dialect::Majortomo => "majortomo",
            Dialect::Pigato => "pigato",
            Dialect::Omdp => "omdp",
            Dialect::Gdp => "gdp",
            Dialect::Zproto => "zproto",
            Dialect::Libmdp => "libmdp",
        }
    }

    /// Returns the kind of socket that the dialect is used over.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// use majordomus::{Dialect, Socket};
    ///
    /// let over_client: Vec<_> =
    ///     Dialect::ALL.into_iter().filter(|dialect| dialect.socket() == Socket::Client).collect();
    /// assert_eq!(over_client, [Dialect::Gdp]);
    /// ```
    pub const fn socket(self) -> Socket {
        match self {
            Dialect::Gdp => Socket::Client,
            _ => Socket::Dealer,
        }
    }

    pub(crate) const fn grammar(self) -> Grammar {
        match self {
            Dialect::Omdp1 => Grammar::Omdp1,
            Dialect::Mdp01 => Grammar::Mdp(&mdp01::TABLE),
            Dialect::Mdp02 => Grammar::Mdp(&mdp02::TABLE),
            Dialect::Majortomo => Grammar::Mdp(&majortomo::TABLE),
            Dialect::Pigato => Grammar::Json(&pigato::TABLE),
            Dialect::Omdp => Grammar::Json(&omdp::TABLE),
            Dialect::Gdp => Grammar::Mdp(&gdp::TABLE),
            Dialect::Zproto => Grammar::Mdp(&zproto::TABLE),
            Dialect::Libmdp => Grammar::Mdp(&libmdp::TABLE),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    /// Parses the name of a dialect.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// use majordomus::Dialect;
    ///
    /// assert_eq!("mdp02".parse(), Ok(Dialect::Mdp02));
    /// let error = "mdp03".parse::<Dialect>().unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "unknown dialect \"mdp03\" (known: omdp1, mdp01, mdp02, majortomo, pigato, omdp, gdp, \
    ///      zproto, libmdp)"
    /// );
    /// ```
    fn from_str(name: &str) -> Result<Self, UnknownDialect> {
        Dialect::ALL
            .into_iter()
            .find(|dialect| dialect.name() == name)
            .ok_or_else(|| UnknownDialect { name: name.into() })
    }
}

/// The error for an unknown dialect name.
///
/// ```
/// # use majordomus_wire as majordomus;
/// use majordomus::{Dialect, UnknownDialect};
///
/// let unknown: UnknownDialect = "mdp03".parse::<Dialect>().unwrap_err();
/// assert!(unknown.to_string().contains("mdp03"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownDialect {
    name: ByteStr,
}

impl fmt::Display for UnknownDialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown dialect {:?} (known: ", self.name)?;
        for (index, dialect) in Dialect::ALL.iter().enumerate() {
            let gap = if index == 0 { "" } else { ", " };
            write!(f, "{gap}{dialect}")?;
        }
        f.write_str(")")
    }
}

impl core::error::Error for UnknownDialect {}

/// A dialect's grammar: one variant for each engine. A dialect that fits no engine adds a variant,
/// and the compiler then reports every place that must handle it.
#[derive(Clone, Copy)]
pub(crate) enum Grammar {
    Omdp1,
    Mdp(&'static mdp::Table),
    Json(&'static json::Table),
}

impl Grammar {
    /// Returns the headers of both sides, if the dialect has headers.
    pub(crate) fn headers(self) -> Option<[&'static [u8]; 2]> {
        match self {
            Grammar::Omdp1 => None,
            Grammar::Mdp(table) => Some([table.client.header, table.worker.header]),
            Grammar::Json(_) => Some([json::CLIENT, json::WORKER]),
        }
    }

    /// Returns the side that writes this header.
    pub(crate) fn side_of(self, header: &[u8]) -> Option<Side> {
        match self {
            Grammar::Omdp1 => None,
            Grammar::Mdp(table) => table.side_of(header),
            Grammar::Json(_) => json::side_of(header),
        }
    }

    /// Returns how well this first message fits the grammar. `identity` is the peer's routing id,
    /// or `None` if the choice between similar dialects is already made.
    pub(crate) fn recognise(
        self,
        first_message: FramesView<'_>,
        identity: Option<&[u8]>,
    ) -> Recognition {
        match self {
            Grammar::Omdp1 => omdp1::recognise(first_message),
            Grammar::Mdp(table) => mdp::recognise(table, first_message),
            Grammar::Json(table) => json::recognise(table, first_message, identity),
        }
    }
}
