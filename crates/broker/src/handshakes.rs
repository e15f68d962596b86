//! Queues of connections with an incomplete handshake, with their time limit and maximum number.
//! The same type keeps connections that have sent no message since their handshake.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use majordomus_core::{PeerId, Time};

/// Connections with an incomplete handshake, oldest first, overall and by address.
///
/// A completed handshake stays in the queues until it reaches the front, where it is skipped.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    queue: VecDeque<(PeerId, Time)>,
    by_address: HashMap<Option<IpAddr>, Origins>,
    unfinished: HashMap<PeerId, Option<IpAddr>>,
}

#[derive(Debug, Default)]
struct Origins {
    queue: VecDeque<PeerId>,
    unfinished: usize,
}

impl Handshakes {
    pub(crate) fn begin(&mut self, now: Time, id: PeerId, address: Option<IpAddr>) {
        self.queue.push_back((id, now));
        let origins = self.by_address.entry(address).or_default();
        origins.queue.push_back(id);
        origins.unfinished += 1;
        self.unfinished.insert(id, address);
    }

    /// Records that a handshake is complete, or that its connection is closed.
    pub(crate) fn end(&mut self, id: PeerId) {
        let Some(address) = self.unfinished.remove(&id) else { return };
        if let Some(origins) = self.by_address.get_mut(&address) {
            origins.unfinished -= 1;
            while let Some(front) = origins.queue.front()
                && !self.unfinished.contains_key(front)
            {
                origins.queue.pop_front();
            }
            if origins.unfinished == 0 {
                self.by_address.remove(&address);
            } else if origins.queue.len() > 2 * origins.unfinished + 64 {
                origins.queue.retain(|id| self.unfinished.contains_key(id));
            }
        }
        self.pass_over_ended();
        if self.queue.len() > 2 * self.unfinished.len() + 64 {
            self.queue.retain(|(id, _)| self.unfinished.contains_key(id));
        }
    }

    /// Returns the oldest connection if it has exceeded `timeout`.
    pub(crate) fn overdue(&self, now: Time, timeout: Duration) -> Option<PeerId> {
        self.queue.front().filter(|(_, since)| now.since(*since) >= timeout).map(|(id, _)| *id)
    }

    /// Returns the time at which the next connection exceeds `timeout`.
    pub(crate) fn next_due(&self, timeout: Duration) -> Option<Time> {
        self.queue.front().map(|(_, since)| since.after(timeout))
    }

    /// Returns the connection to close so that no more than `most` remain, and `most_here` from
    /// this address.
    pub(crate) fn surplus(
        &self,
        address: Option<IpAddr>,
        most: usize,
        most_here: usize,
    ) -> Option<PeerId> {
        let here = self.by_address.get(&address)?;
        if here.unfinished > most_here {
            return here.queue.front().copied();
        }
        (self.unfinished.len() > most).then(|| self.queue.front().map(|(id, _)| *id)).flatten()
    }

    /// Returns the oldest connection if it began before `now`.
    pub(crate) fn oldest(&self, now: Time) -> Option<PeerId> {
        self.queue.front().filter(|(_, since)| *since < now).map(|(id, _)| *id)
    }

    pub(crate) fn len(&self) -> usize {
        self.unfinished.len()
    }

    fn pass_over_ended(&mut self) {
        while let Some((front, _)) = self.queue.front()
            && !self.unfinished.contains_key(front)
        {
            self.queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const fn id(number: u32) -> PeerId {
        PeerId::new(number, 0)
    }

    #[test]
    fn the_oldest_goes_first_at_each_limit() {
        let here = Some(IpAddr::from(Ipv4Addr::LOCALHOST));
        let mut handshakes = Handshakes::default();
        for number in 0..4 {
            handshakes.begin(Time::from_micros(number.into()), id(number), here);
        }
        handshakes.begin(Time::from_micros(4), id(4), None);
        assert_eq!(handshakes.surplus(None, 5, 4), None);
        assert_eq!(handshakes.surplus(here, 5, 3), Some(id(0)));
        assert_eq!(handshakes.surplus(None, 4, 4), Some(id(0)));
        handshakes.end(id(0));
        handshakes.end(id(2));
        assert_eq!(handshakes.surplus(here, 5, 1), Some(id(1)));
        handshakes.end(id(1));
        handshakes.end(id(3));
        assert_eq!(handshakes.surplus(here, 5, 0), None);
        assert_eq!(handshakes.oldest(Time::from_micros(4)), None);
        let oldest = handshakes.oldest(Time::from_micros(5));
        assert_eq!((oldest, handshakes.len()), (Some(id(4)), 1));
        assert_eq!(handshakes.by_address.len(), 1);
    }

    #[test]
    fn each_has_its_time() {
        let mut handshakes = Handshakes::default();
        let timeout = Duration::from_micros(10);
        handshakes.begin(Time::from_micros(5), id(1), None);
        handshakes.begin(Time::from_micros(7), id(2), None);
        assert_eq!(handshakes.next_due(timeout), Some(Time::from_micros(15)));
        assert_eq!(handshakes.overdue(Time::from_micros(14), timeout), None);
        assert_eq!(handshakes.overdue(Time::from_micros(15), timeout), Some(id(1)));
        handshakes.end(id(1));
        assert_eq!(handshakes.overdue(Time::from_micros(16), timeout), None);
    }

    #[test]
    fn what_ended_takes_no_room() {
        let mut handshakes = Handshakes::default();
        handshakes.begin(Time::ZERO, id(0), None);
        for number in 1..100_000 {
            handshakes.begin(Time::ZERO, id(number), None);
            handshakes.end(id(number));
        }
        assert!(handshakes.queue.len() < 100);
        assert!(handshakes.by_address[&None].queue.len() < 100);
    }
}
