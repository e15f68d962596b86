//! What can be said of a request in some dialects only.

use majordomus::Dialect;

/// An option that is a word on the wire, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It wants a worker that is free now, or none.
    AtOnce,
    Silence,
    Priority,
    Repeatable,
    Target,
    NoCache,
    Header,
}

impl Word {
    pub(super) const ALL: [Word; 7] = [
        Word::AtOnce,
        Word::Silence,
        Word::Priority,
        Word::Repeatable,
        Word::Target,
        Word::NoCache,
        Word::Header,
    ];

    /// As it is written on the command line.
    fn flag(self) -> &'static str {
        match self {
            Word::AtOnce => "--timeout 0s",
            Word::Silence => "--silence",
            Word::Priority => "--priority",
            Word::Repeatable => "--repeatable",
            Word::Target => "--target",
            Word::NoCache => "--no-cache",
            Word::Header => "--header",
        }
    }

    /// Whether clients of the dialect can say it, or mean it whatever they say.
    fn is_in(self, dialect: Dialect) -> bool {
        match self {
            Word::AtOnce | Word::Silence | Word::Priority | Word::Header => {
                dialect == Dialect::Omdp1
            }
            Word::Target => dialect.has_targets(),
            Word::NoCache => {
                matches!(dialect, Dialect::Omdp1 | Dialect::Pigato | Dialect::Omdp)
            }
            // In the MDP dialects every request may be done twice.
            Word::Repeatable => dialect != Dialect::Omdp,
        }
    }

    /// That it would be lost in this dialect, if it would.
    pub(super) fn lost_in(self, dialect: Dialect) -> Option<String> {
        if self.is_in(dialect) {
            return None;
        }
        let others = Dialect::ALL.into_iter().filter(|other| self.is_in(*other));
        let others: Vec<_> = others.map(Dialect::name).collect();
        let flag = self.flag();
        Some(format!("{flag} cannot be said in {dialect}, only in {}", others.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use majordomus_core::{
        Frames, FromClient, Outcome, Priority, Redelivery, Request, Role, Timeout,
    };
    use majordomus_wire::{Codec, Side, pack_headers};

    use super::*;

    /// A request that says this.
    fn saying(word: Word) -> Request {
        let mut request = plain();
        match word {
            Word::AtOnce => request.timeout = Timeout::After(Duration::ZERO),
            // Whoever limits its worker's silence has to hear of its worker.
            Word::Silence => request.notices = true,
            Word::Priority => request.priority = Priority::new(9),
            Word::Repeatable => request.redeliver = true,
            Word::Target => request.target = "W1".into(),
            Word::NoCache => request.fresh = true,
            Word::Header => {
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
    fn a_word_is_in_a_dialect_where_it_is_on_the_wire() {
        for dialect in Dialect::ALL {
            let codec = Codec::new(dialect, Side::Client);
            let Role::Client(client) = codec.role() else { unreachable!("it is one") };
            let written = |request| {
                let mut frames = Vec::new();
                codec.encode_from_client(&FromClient::Request(request), &mut frames);
                frames
            };
            for word in Word::ALL {
                let is_written = written(saying(word)) != written(plain());
                let is_in = match word {
                    // Who is not told of its expiry cannot tell it from a broker that is slow.
                    Word::AtOnce => is_written && client.told.contains(Outcome::Expired),
                    Word::Repeatable => is_written || client.redelivery == Redelivery::Always,
                    _ => is_written,
                };
                assert_eq!(word.is_in(dialect), is_in, "{word:?} in {dialect}");
            }
        }
    }
}
