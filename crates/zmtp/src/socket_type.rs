//! ZMTP socket types.

use core::fmt;

macro_rules! socket_types {
    ($($variant:ident = $name:literal: $doc:literal,)*) => {
        /// A ZMTP socket type (37/ZMTP, "The Socket-Type Property").
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum SocketType {
            $(#[doc = $doc] $variant,)*
        }

        impl SocketType {
            /// All socket types, in the specification's order.
            ///
            /// ```
            /// assert_eq!(majordomus_zmtp::SocketType::ALL.len(), 19);
            /// ```
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the name on the wire.
            ///
            /// ```
            /// assert_eq!(majordomus_zmtp::SocketType::Dealer.as_str(), "DEALER");
            /// ```
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

socket_types! {
    Req = "REQ": "Asks one question at a time.",
    Rep = "REP": "Answers one question at a time.",
    Dealer = "DEALER": "Asks without waiting.",
    Router = "ROUTER": "Addresses its peers by routing id.",
    Pub = "PUB": "Publishes.",
    XPub = "XPUB": "Publishes and sees subscriptions.",
    Sub = "SUB": "Subscribes.",
    XSub = "XSUB": "Subscribes with commands of its own.",
    Push = "PUSH": "Hands work on.",
    Pull = "PULL": "Takes work.",
    Pair = "PAIR": "Talks to one peer.",
    Client = "CLIENT": "Asks with messages of one frame.",
    Server = "SERVER": "Answers messages of one frame.",
    Radio = "RADIO": "Publishes to groups.",
    Dish = "DISH": "Joins groups.",
    Scatter = "SCATTER": "Hands work on in single frames.",
    Gather = "GATHER": "Takes work in single frames.",
    Peer = "PEER": "Talks to many peers in single frames.",
    Channel = "CHANNEL": "Talks to one peer in single frames.",
}

impl SocketType {
    /// Returns the type with this wire name, which is in capitals, or `None` for any other name.
    ///
    /// ```
    /// use majordomus_zmtp::SocketType;
    ///
    /// assert_eq!(SocketType::parse(b"REQ"), Some(SocketType::Req));
    /// assert_eq!(SocketType::parse(b"req"), None);
    /// ```
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str().as_bytes() == name)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
