//! Request options that only some dialects support.

use core::fmt;

use crate::Dialect;

/// A request option other than the service and the body, which not every dialect supports.
///
/// ```
/// # use majordomus_wire as majordomus;
/// use majordomus::{Dialect, RequestOption};
///
/// assert!(RequestOption::Target.is_in(Dialect::Pigato));
/// assert!(!RequestOption::Priority.is_in(Dialect::Pigato));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestOption {
    /// Requires an idle worker at once: the timeout is zero.
    AtOnce,
    /// The time for which the worker may be silent.
    Silence,
    /// The request's priority.
    Priority,
    /// The request is idempotent and may be redelivered.
    Repeatable,
    /// The only worker that may serve the request.
    Target,
    /// Bypasses the reply cache.
    NoCache,
    /// A header.
    Header,
}

impl RequestOption {
    /// All options, in display order.
    pub const ALL: [RequestOption; 7] = [
        RequestOption::AtOnce,
        RequestOption::Silence,
        RequestOption::Priority,
        RequestOption::Repeatable,
        RequestOption::Target,
        RequestOption::NoCache,
        RequestOption::Header,
    ];

    /// Returns the option's name.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// assert_eq!(majordomus::RequestOption::NoCache.name(), "no_cache");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            RequestOption::AtOnce => "a timeout of zero",
            RequestOption::Silence => "silence",
            RequestOption::Priority => "priority",
            RequestOption::Repeatable => "repeatable",
            RequestOption::Target => "target",
            RequestOption::NoCache => "no_cache",
            RequestOption::Header => "header",
        }
    }

    /// Returns true if the dialect can express the option or always implies it.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// use majordomus::{Dialect, RequestOption};
    ///
    /// // In the MDP dialects every request may be redelivered.
    /// assert!(RequestOption::Repeatable.is_in(Dialect::Mdp02));
    /// assert!(!RequestOption::Repeatable.is_in(Dialect::Omdp));
    /// ```
    pub const fn is_in(self, dialect: Dialect) -> bool {
        match self {
            RequestOption::AtOnce
            | RequestOption::Silence
            | RequestOption::Priority
            | RequestOption::Header => matches!(dialect, Dialect::Omdp1),
            RequestOption::Target | RequestOption::NoCache => {
                matches!(dialect, Dialect::Omdp1 | Dialect::Pigato | Dialect::Omdp)
            }
            RequestOption::Repeatable => !matches!(dialect, Dialect::Omdp),
        }
    }

    /// Returns the dialects that [support the option](Self::is_in), in display order.
    ///
    /// ```
    /// # use majordomus_wire as majordomus;
    /// use majordomus::{Dialect, RequestOption};
    ///
    /// let dialects: Vec<_> = RequestOption::NoCache.dialects().collect();
    /// assert_eq!(dialects, [Dialect::Omdp1, Dialect::Pigato, Dialect::Omdp]);
    /// ```
    pub fn dialects(self) -> impl Iterator<Item = Dialect> {
        Dialect::ALL.into_iter().filter(move |dialect| self.is_in(*dialect))
    }
}

impl fmt::Display for RequestOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::time::Duration;

    use bytes::Bytes;
    use majordomus_core::{
        Frames, FromClient, Outcome, Priority, Redelivery, Request, Role, Timeout,
    };

    use super::*;
    use crate::{Codec, Side, pack_headers};

    /// Returns a request with this option.
    fn saying(option: RequestOption) -> Request {
        let mut request = plain();
        match option {
            RequestOption::AtOnce => request.timeout = Timeout::After(Duration::ZERO),
            // A client that limits its worker's silence must receive notices about the worker.
            RequestOption::Silence => request.notices = true,
            RequestOption::Priority => request.priority = Priority::new(9),
            RequestOption::Repeatable => request.redeliver = true,
            RequestOption::Target => request.target = "W1".into(),
            RequestOption::NoCache => request.fresh = true,
            RequestOption::Header => {
                request.options = pack_headers([("lang", "en")]).expect("it can be one");
            }
        }
        request
    }

    fn plain() -> Request {
        let timeout = Timeout::After(Duration::from_secs(60));
        Request { timeout, ..Request::new("echo", Frames::from_slices(&["hello"])) }
    }

    #[test]
    fn an_option_is_in_a_dialect_where_it_is_on_the_wire() {
        for dialect in Dialect::ALL {
            let codec = Codec::new(dialect, Side::Client);
            let Role::Client(client) = codec.role() else { unreachable!("it is one") };
            let written = |request| {
                let mut frames: Vec<Bytes> = Vec::new();
                codec.encode_from_client(&FromClient::Request(request), &mut frames);
                frames
            };
            for option in RequestOption::ALL {
                let is_written = written(saying(option)) != written(plain());
                let is_in = match option {
                    // A client that receives no expiry cannot distinguish it from a slow broker.
                    RequestOption::AtOnce => is_written && client.told.contains(Outcome::Expired),
                    RequestOption::Repeatable => {
                        is_written || client.redelivery == Redelivery::Always
                    }
                    _ => is_written,
                };
                assert_eq!(option.is_in(dialect), is_in, "{option:?} in {dialect}");
            }
        }
    }
}
