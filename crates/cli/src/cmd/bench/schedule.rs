//! A schedule of requests at a fixed rate, and the start time of each request's latency.
//!
//! A request's *latency* is the time from its *start* until the generator has read the reply. Its
//! *lateness* is the time from the moment it is due until its start. The start is
//!
//! - the moment just before the generator writes the request, if one of its clients has a free slot
//!   when it first sees that the request is due. Any time between the due time and the write is
//!   then the generator's own delay: it was busy, or had no core.
//! - the moment the generator first sees that the request is due, if no client has a free slot. The
//!   broker has not answered earlier requests, so the wait for a slot is latency. While it waits,
//!   the generator keeps checking its schedule: when a reply arrives, and at a wake-up that is at
//!   most [`BLOCKED_LOOK_INTERVAL`] away or when the next request is due. A request that becomes
//!   due before that wake-up starts when it is due.
//!
//! A request counts as written even if the socket buffer is full and the bytes wait in the
//! generator's memory. All time in which the broker does not read or does not reply is therefore
//! latency. A broker that pauses is charged for every request that becomes due during the pause:
//! there is no coordinated omission.
//!
//! If the generator pauses for so long that more requests are due than there are free slots, the
//! excess requests start at its first check and wait for slots: the broker is charged for the
//! burst. The generator's delay in reading an available reply cannot be separated and is part of
//! the latency.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Minimum time between two checks of the schedule while no client has a free slot, in nanoseconds.
/// Without a minimum, a rate above the broker's capacity would keep the generator busy with checks.
const BLOCKED_LOOK_INTERVAL: u64 = 100_000;

/// Requests that are due at even intervals, from one moment to another.
///
/// All times are in nanoseconds since the run began.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    from: u64,
    requests: u64,
    rate: u32,
    made: u64,
    /// The number of requests that the generator has seen to be due.
    seen: u64,
    /// The first request seen by the last check that was not delayed by a missing slot.
    fresh: u64,
    /// Checks that saw requests which are not sent yet, oldest first.
    looks: VecDeque<Look>,
    /// A request that becomes due before this moment is not late: the generator waits for a slot
    /// and has requested a wake-up at this moment.
    next_look: u64,
}

/// A check of the schedule.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// The first request that this check did not see.
    end: u64,
    /// The time of the check. Zero if the requests were seen as soon as they were due.
    at: u64,
}

/// A due request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// The due time.
    pub(super) at: u64,
    /// The start of the latency, if the request had to wait for a free slot. Otherwise the latency
    /// starts just before the request is written.
    pub(super) start: Option<u64>,
}

impl Schedule {
    /// Creates a schedule of `rate` requests per second for `span`.
    pub(super) fn new(from: u64, rate: u32, span: Duration) -> Self {
        let requests = span.as_nanos() * u128::from(rate) / NANOS_PER_SECOND;
        Self {
            from,
            requests: requests as u64,
            rate,
            made: 0,
            seen: 0,
            fresh: 0,
            looks: VecDeque::new(),
            next_look: 0,
        }
    }

    /// Checks which requests are due at `now`.
    pub(super) fn look(&mut self, now: u64) {
        let after_now = now.saturating_add(1);
        let on_time = self.due_before(after_now.min(self.next_look));
        self.fresh = self.seen.max(on_time);
        for look in
            [Look { end: on_time, at: 0 }, Look { end: self.due_before(after_now), at: now }]
        {
            if look.end > self.seen {
                self.seen = look.end;
                self.looks.push_back(look);
            }
        }
    }

    /// Returns the next request that was seen to be due.
    pub(super) fn next(&self) -> Option<Due> {
        let look = self.looks.front()?;
        let at = self.due_at(self.made);
        Some(Due { at, start: (self.made < self.fresh).then(|| at.max(look.at)) })
    }

    /// Marks the next request as sent.
    pub(super) fn advance(&mut self) {
        self.made += 1;
        if self.looks.front().is_some_and(|look| look.end == self.made) {
            self.looks.pop_front();
        }
    }

    /// Returns the time of the next check, or `None` if all requests were seen. The caller must
    /// have sent all requests for which there is a free slot.
    pub(super) fn next_look(&mut self, now: u64) -> Option<u64> {
        if self.seen == self.requests {
            return None;
        }
        let blocked = !self.looks.is_empty();
        let earliest = if blocked { now + BLOCKED_LOOK_INTERVAL } else { 0 };
        self.next_look = self.due_at(self.seen).max(earliest);
        Some(self.next_look)
    }

    fn due_at(&self, request: u64) -> u64 {
        let after = u128::from(request) * NANOS_PER_SECOND / u128::from(self.rate);
        self.from + after as u64
    }

    /// Returns the number of requests due before this moment.
    fn due_before(&self, moment: u64) -> u64 {
        let due = u128::from(moment.saturating_sub(self.from)) * u128::from(self.rate);
        self.requests.min(due.div_ceil(NANOS_PER_SECOND) as u64)
    }

    /// Returns the number of requests that are not sent yet.
    pub(super) fn left(&self) -> u64 {
        self.requests - self.made
    }
}

/// A timer that wakes the event loop with a finer resolution than epoll's milliseconds.
#[derive(Debug)]
pub(super) struct Timer {
    fd: OwnedFd,
}

impl Timer {
    pub(super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let fd = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)?;
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, Interest::READABLE)?;
        Ok(Self { fd })
    }

    /// Arms the timer to wake the loop once, after this time.
    pub(super) fn arm(&self, after: Duration) -> io::Result<()> {
        let nanos = |span: Duration| Timespec {
            tv_sec: span.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        };
        // A value of zero would disarm the timer.
        let it_value = nanos(after.max(Duration::from_nanos(1)));
        let once = Itimerspec { it_interval: nanos(Duration::ZERO), it_value };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    const MS: u64 = 1_000_000;
    const US: u64 = 1_000;

    /// Takes all requests that were seen.
    fn take(schedule: &mut Schedule) -> Vec<(u64, Option<u64>)> {
        let mut taken = Vec::new();
        while let Some(due) = schedule.next() {
            taken.push((due.at, due.start));
            schedule.advance();
        }
        taken
    }

    #[test]
    fn requests_are_due_at_even_distances() {
        let mut schedule = Schedule::new(100, 1_000, Duration::from_millis(4));
        let mut due = Vec::new();
        while let Some(next) = schedule.next_look(0) {
            schedule.look(next - 1);
            assert_eq!(schedule.next(), None);
            schedule.look(next);
            due.extend(take(&mut schedule));
        }
        assert_eq!(due, [100, 1_000_100, 2_000_100, 3_000_100].map(|at| (at, None)));
        assert_eq!(schedule.left(), 0);
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_is_held_over_all() {
        let mut schedule = Schedule::new(0, 7, Duration::from_secs(3));
        assert_eq!(schedule.left(), 21);
        schedule.look(20_000_000_000 / 7 - 1);
        assert_eq!(take(&mut schedule).len(), 20);
        assert_eq!(schedule.next_look(0), Some(20_000_000_000 / 7));
        schedule.look(u64::MAX);
        assert_eq!(take(&mut schedule).len(), 1);
    }

    #[test]
    fn request_seen_late_starts_when_written_or_else_when_seen() {
        let mut schedule = Schedule::new(0, 1_000, Duration::from_millis(5));
        schedule.look(2 * MS + 7);
        assert_eq!(schedule.next(), Some(Due { at: 0, start: None }));
        schedule.advance();
        // No slot is free for the other two requests until a reply wakes the generator.
        schedule.next_look(2 * MS + 7);
        schedule.look(2 * MS + 50);
        let seen = Some(2 * MS + 7);
        assert_eq!(take(&mut schedule), [(MS, seen), (2 * MS, seen)]);
    }

    #[test]
    fn request_due_while_no_slot_is_free_starts_when_due() {
        let mut schedule = Schedule::new(0, 1_000_000, Duration::from_millis(1));
        schedule.look(0);
        assert_eq!(schedule.next_look(0), Some(BLOCKED_LOOK_INTERVAL));
        // The wake-up comes 2 µs late: the lateness is 2 µs.
        schedule.look(BLOCKED_LOOK_INTERVAL + 2 * US);
        let taken = take(&mut schedule);
        assert_eq!(taken.len(), 103);
        for (request, (at, start)) in (0..).zip(taken) {
            let due = request * US;
            assert_eq!(at, due);
            assert_eq!(start, (due < BLOCKED_LOOK_INTERVAL).then_some(due), "{request}");
        }
    }

    /// Returns the sorted latencies and latenesses of a run of one second at 1,000 requests per
    /// second, with 20 slots and a broker that takes 50 µs per request. A paused side does nothing.
    fn simulate(generator_stops: Range<u64>, broker_stops: Range<u64>) -> (Vec<u64>, Vec<u64>) {
        const SLOTS: usize = 20;
        const SERVICE_TIME: u64 = 50 * US;
        let mut schedule = Schedule::new(0, 1_000, Duration::from_secs(1));
        let (mut latencies, mut latenesses) = (Vec::new(), Vec::new());
        // Requests in flight: the time of the reply, and the start.
        let mut in_flight = VecDeque::new();
        let mut look = Some(0);
        loop {
            let reply = in_flight.front().map(|(arrives, _)| *arrives);
            let Some(mut now) = look.into_iter().chain(reply).min() else { break };
            if generator_stops.contains(&now) {
                now = generator_stops.end;
            }
            while let Some((_, start)) = in_flight.pop_front_if(|(arrives, _)| *arrives <= now) {
                latencies.push(now - start);
            }
            schedule.look(now);
            while in_flight.len() < SLOTS
                && let Some(due) = schedule.next()
            {
                schedule.advance();
                let start = due.start.unwrap_or(now);
                latenesses.push(start - due.at);
                let handled = if broker_stops.contains(&now) { broker_stops.end } else { now };
                in_flight.push_back((handled + SERVICE_TIME, start));
            }
            look = schedule.next_look(now);
        }
        latencies.sort_unstable();
        latenesses.sort_unstable();
        (latencies, latenesses)
    }

    #[test]
    fn without_a_stop_all_of_the_time_is_latency() {
        let (latencies, latenesses) = simulate(0..0, 0..0);
        assert_eq!(latencies, [50 * US; 1_000]);
        assert_eq!(latenesses, [0; 1_000]);
    }

    #[test]
    fn stopped_generator_is_late_and_the_latency_does_not_show_it() {
        let (latencies, latenesses) = simulate(100 * MS + 1..110 * MS, 0..0);
        // One request was in flight. Its reply was read 10 ms later.
        assert_eq!(latencies[..999], [50 * US; 999]);
        assert_eq!(latencies[999], 10 * MS);
        assert_eq!(latenesses[..991], [0; 991]);
        assert_eq!(latenesses[991..], [1, 2, 3, 4, 5, 6, 7, 8, 9].map(|late| late * MS));
    }

    #[test]
    fn requests_beyond_the_free_slots_after_a_stop_of_the_generator_wait_from_then_on() {
        let (latencies, latenesses) = simulate(100 * MS + 1..150 * MS, 0..0);
        // 50 requests are due at once: 20 are written at once, and the others wait for slots.
        let waited = latencies.iter().filter(|latency| **latency > 50 * US).count();
        assert_eq!((waited, latencies[998]), (31, 150 * US));
        assert_eq!(latenesses[951..], (1..50).map(|late| late * MS).collect::<Vec<_>>());
    }

    #[test]
    fn stopped_broker_is_charged_for_all_requests_that_are_due_meanwhile() {
        let (latencies, latenesses) = simulate(0..0, 100 * MS..300 * MS);
        // 20 requests in the slots, 180 due while no slot is free, and one due just after.
        assert_eq!(latencies[..799], [50 * US; 799]);
        for (wait, latency) in (0..=200).zip(&latencies[799..]) {
            // The broker answers one request per slot at once, in ten batches.
            let batch = (latency - wait * MS) / (50 * US);
            assert!((1..=11).contains(&batch), "{latency} ns after a wait of {wait} ms");
        }
        assert_eq!(latenesses, [0; 1_000]);
    }

    #[test]
    fn generator_that_stops_while_no_slot_is_free_is_late_from_its_wake_up_on() {
        let (latencies, latenesses) = simulate(200 * MS + 1..250 * MS, 100 * MS..300 * MS);
        assert_eq!(latenesses[951..], (1..50).map(|late| late * MS).collect::<Vec<_>>());
        assert_eq!(latenesses[..951], [0; 951]);
        // The 151 requests due before and after that pause are charged from their due time.
        let charged = latencies.iter().filter(|latency| **latency > MS).count();
        assert_eq!(charged, 200);
        assert_eq!(latencies[999], 200 * MS + 50 * US);
    }
}
