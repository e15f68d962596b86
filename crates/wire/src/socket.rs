//! What kind of socket a peer has, as far as that tells its dialect.

/// What kind of ZMTP socket a peer has. No dialect is spoken over both.
///
/// ```
/// # use majordomus_wire as majordomus;
/// use majordomus::{Dialect, Socket};
///
/// assert_eq!(Dialect::Mdp01.socket(), Socket::Dealer);
/// assert_eq!(Dialect::Gdp.socket(), Socket::Client);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Socket {
    /// A DEALER, a REQ or a ROUTER, which the broker meets as a ROUTER.
    Dealer,
    /// A CLIENT, which the broker meets as a SERVER. Its messages have one frame each.
    Client,
}
