//! The kinds of sockets that distinguish dialects.

/// A peer's kind of ZMTP socket. Each dialect is used over one kind only.
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
    /// A DEALER, REQ or ROUTER socket. The broker's side is a ROUTER.
    Dealer,
    /// A CLIENT socket. The broker's side is a SERVER. Each message has one frame.
    Client,
}
