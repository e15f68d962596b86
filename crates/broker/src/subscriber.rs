//! A peer that hears the directory being published: what it subscribed to.

use std::fmt;

/// Subscriptions that one peer may have.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 64;
/// Bytes of one subscription.
pub(crate) const SUBSCRIPTION_BYTES_MAX: usize = 255;

/// What a peer wants to hear: messages that begin with one of its subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriber {
    /// Each is there once, however often it was asked for: a SUB socket counts for itself, and says
    /// only the first and the last.
    subscriptions: Vec<Box<[u8]>>,
    /// What was published last did not reach it, because too much waited for it.
    pub(crate) missed: bool,
}

/// Why a subscription is one too much to go on with its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surplus {
    TooLong,
    TooMany,
}

impl Surplus {
    /// The name by which it is counted.
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
    /// Adds a subscription, if it is not there: whether it was not.
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

    /// Whether it is to hear this message.
    pub(crate) fn wants(&self, message: &[u8]) -> bool {
        self.subscriptions.iter().any(|subscription| message.starts_with(subscription))
    }

    /// Whether there may be a message that begins like this and that it is to hear.
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
