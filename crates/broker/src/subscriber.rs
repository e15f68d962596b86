//! The subscriptions of a peer to the directory publication.

use std::fmt;

/// The maximum number of subscriptions of one peer.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 64;
/// The maximum length of one subscription in bytes.
pub(crate) const SUBSCRIPTION_BYTES_MAX: usize = 255;

/// A peer's subscriptions. The peer receives each message that begins with one of them.
#[derive(Debug, Default)]
pub(crate) struct Subscriber {
    /// The subscriptions, without duplicates: a SUB socket counts duplicates itself and sends only
    /// the first subscription and the last cancellation.
    subscriptions: Vec<Box<[u8]>>,
    /// True if the last published message was not sent to the peer because too much output was
    /// pending.
    pub(crate) missed: bool,
}

/// The error for a subscription that exceeds a limit. The peer's connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surplus {
    TooLong,
    TooMany,
}

impl Surplus {
    /// Returns the name of the error's counter.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Surplus::TooLong => "subscription_too_long",
            Surplus::TooMany => "too_many_subscriptions",
        }
    }
}

impl fmt::Display for Surplus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Surplus::TooLong => {
                write!(f, "a subscription of more than {SUBSCRIPTION_BYTES_MAX} bytes")
            }
            Surplus::TooMany => write!(f, "more than {SUBSCRIPTIONS_MAX} subscriptions"),
        }
    }
}

impl Subscriber {
    /// Adds a subscription. Returns true if it is new.
    pub(crate) fn subscribe(&mut self, subscription: &[u8]) -> Result<bool, Surplus> {
        if subscription.len() > SUBSCRIPTION_BYTES_MAX {
            return Err(Surplus::TooLong);
        }
        if self.subscriptions.iter().any(|known| **known == *subscription) {
            return Ok(false);
        }
        if self.subscriptions.len() >= SUBSCRIPTIONS_MAX {
            return Err(Surplus::TooMany);
        }
        self.subscriptions.push(subscription.into());
        Ok(true)
    }

    pub(crate) fn cancel(&mut self, subscription: &[u8]) {
        self.subscriptions.retain(|known| **known != *subscription);
    }

    /// Returns true if the peer subscribes to this message.
    pub(crate) fn wants(&self, message: &[u8]) -> bool {
        self.subscriptions.iter().any(|subscription| message.starts_with(subscription))
    }

    /// Returns true if the peer may subscribe to a message with this beginning.
    pub(crate) fn may_want(&self, beginning: &[u8]) -> bool {
        self.wants(beginning)
            || self.subscriptions.iter().any(|subscription| subscription.starts_with(beginning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_the_beginning_of_what_is_wanted() {
        let mut subscriber = Subscriber::default();
        assert!(!subscriber.may_want(b"$dir "));
        for (subscription, wants, may_want) in [
            (&b""[..], true, true),
            (b"$d", true, true),
            (b"$dir {}", true, true),
            (b"$dir {\"", false, true),
            (b"$dirs", false, false),
            (b"x", false, false),
        ] {
            assert_eq!(subscriber.subscribe(subscription), Ok(true));
            assert_eq!(subscriber.subscribe(subscription), Ok(false));
            assert_eq!(subscriber.wants(b"$dir {}"), wants, "{subscription:?}");
            assert_eq!(subscriber.may_want(b"$dir "), may_want, "{subscription:?}");
            subscriber.cancel(subscription);
            assert!(!subscriber.may_want(b"$dir "));
        }
    }

    #[test]
    fn subscriptions_are_bounded() {
        let mut subscriber = Subscriber::default();
        let long = [b'x'; SUBSCRIPTION_BYTES_MAX + 1];
        assert_eq!(subscriber.subscribe(&long), Err(Surplus::TooLong));
        for length in 0..SUBSCRIPTIONS_MAX {
            assert_eq!(subscriber.subscribe(&long[..length]), Ok(true));
        }
        let longest = &long[..SUBSCRIPTION_BYTES_MAX];
        assert_eq!(subscriber.subscribe(longest), Err(Surplus::TooMany));
        assert_eq!(subscriber.subscribe(b""), Ok(false));
        subscriber.cancel(b"");
        assert_eq!(subscriber.subscribe(longest), Ok(true));
    }
}
