//! Deadlines of requests, and their timers.
//!
//! Most requests end within milliseconds, so a new request has no timer. It is in a list of untimed
//! requests, and gets a timer when it is [`UNTIMED`] old. A request that is due earlier gets a
//! timer at once.

use alloc::collections::VecDeque;
use core::time::Duration;

use super::tables::Place;
use super::{Broker, Timer};
use crate::wheel::{TimerId, Wheel};
use crate::{RequestId, Time, Timeout, table};

/// The age up to which a request has no timer, unless it is due earlier.
const UNTIMED: Duration = Duration::from_millis(100);

/// The maximum number of requests without a timer; further requests get a timer at once.
pub(super) const UNTIMED_MAX: usize = 1 << 17;

/// All timers, and the requests without a timer.
#[derive(Debug)]
pub(super) struct Timers {
    wheel: Wheel<Timer>,
    /// The requests without a timer, ordered by the time of their arrival.
    untimed: VecDeque<(RequestId, Time)>,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { wheel: Wheel::new(), untimed: VecDeque::new() }
    }

    pub(super) fn arm(&mut self, due: Time, timer: Timer) -> TimerId {
        self.wheel.arm(due, timer)
    }

    pub(super) fn cancel(&mut self, timer: TimerId) {
        self.wheel.cancel(timer);
    }

    #[cfg(any(test, feature = "audit"))]
    pub(super) fn due(&self, timer: TimerId) -> Time {
        self.wheel.due(timer)
    }

    /// Removes one due timer, and returns it with its due time.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Timer, Time)> {
        self.wheel.pop(now)
    }

    /// Removes one request that has been without a timer for long enough.
    fn pop_untimed(&mut self, now: Time) -> Option<RequestId> {
        let (request, received) = *self.untimed.front()?;
        if received.after(UNTIMED) > now {
            return None;
        }
        self.untimed.pop_front();
        Some(request)
    }

    /// Shrinks the list if most of its memory is unused.
    fn give_back(&mut self) {
        let untimed = &mut self.untimed;
        if table::is_sparse(untimed.len(), untimed.capacity()) {
            untimed.shrink_to(2 * untimed.len());
        }
    }

    pub(super) fn next_due(&self) -> Option<Time> {
        let untimed = self.untimed.front().map(|(_, received)| received.after(UNTIMED));
        match (self.wheel.next_due(), untimed) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Returns the number of requests in the untimed list, including ended ones.
    #[cfg(any(test, feature = "audit"))]
    pub(super) fn untimed(&self) -> usize {
        self.untimed.len()
    }
}

impl Broker {
    /// Returns the next time at which something is due for a request.
    pub(super) fn request_due_at(&self, request: u32) -> Time {
        let record = &self.tables.requests[request];
        match record.place() {
            Place::InFlight(_) => record.deadline.min(record.busy_until),
            Place::Orphaned(_) => record.busy_until,
            Place::Queued | Place::Suspended | Place::Coalesced(_) => {
                let hopes = record.rest.rejection.is_none();
                let soon = self.config.no_worker_wait.filter(|_| hopes);
                let soon = soon.map(|wait| record.waiting_since.after(wait));
                let served =
                    || self.tables.services[record.service].served_after(record.waiting_since);
                soon.filter(|_| !served()).map_or(record.deadline, |soon| soon.min(record.deadline))
            }
            Place::Targeted(_) | Place::Detached => record.deadline,
            Place::Rejected => {
                let look_at = record.rest.rejection.as_ref().map(|rejection| rejection.look_at);
                record.deadline.min(look_at.unwrap_or(Time::NEVER))
            }
        }
    }

    /// Arms a request's timer for its next due time, unless the timer fires earlier anyway.
    pub(super) fn set_request_timer(&mut self, now: Time, request: u32) {
        let due = self.request_due_at(request);
        self.arm_by(now, request, due);
    }

    /// Arms a request's timer for `due`, unless the timer fires earlier anyway.
    #[inline(always)]
    pub(super) fn arm_by(&mut self, now: Time, request: u32, due: Time) {
        let record = self.tables.requests.get_mut(request);
        if record.timer.is_some_and(|timer| self.timers.wheel.due(timer) <= due) {
            return;
        }
        let timed_from = record.rest.received.after(UNTIMED);
        if due >= timed_from {
            if record.untimed || due == Time::NEVER && record.timer.is_none() {
                return;
            }
            let received = record.rest.received;
            // The list is ordered by arrival, so an older request cannot be added.
            if now == received && record.timer.is_none() && self.timers.untimed.len() < UNTIMED_MAX
            {
                record.untimed = true;
                let id = self.tables.requests.id(request);
                self.timers.untimed.push_back((id, received));
                return;
            }
        }
        self.arm_request_timer(request, due);
    }

    fn arm_request_timer(&mut self, request: u32, due: Time) {
        let timer = &mut self.tables.requests.get_mut(request).timer;
        if let Some(timer) = timer.take() {
            self.timers.wheel.cancel(timer);
        }
        if due < Time::NEVER {
            *timer = Some(self.timers.wheel.arm(due, Timer::Request(request)));
        }
    }

    /// Arms timers for the requests that have been without one for long enough.
    pub(super) fn time_untimed(&mut self, now: Time) {
        while let Some(id) = self.timers.pop_untimed(now) {
            if let Some(request) = self.tables.requests.find(id) {
                self.tables.requests.get_mut(request).untimed = false;
                self.set_request_timer(now, request);
            }
        }
        self.timers.give_back();
    }

    /// Ends a request's wait, because it or its primary was dispatched.
    #[inline]
    pub(super) fn end_wait(&mut self, now: Time, request: u32, busy_until: Time) {
        self.tables.requests.get_mut(request).end_wait(busy_until);
        self.set_request_timer(now, request);
    }

    /// Restarts a request's wait for a worker.
    pub(super) fn restart_wait(&mut self, now: Time, request: u32) {
        let wait = self.tables.services[self.tables.requests[request].service].settings.wait;
        let record = self.tables.requests.get_mut(request);
        record.waiting_since = now;
        // A request that asked for an idle worker has had one; from now on it waits like any other.
        if matches!(record.rest.timeout, Timeout::OfService | Timeout::After(Duration::ZERO)) {
            record.deadline = now.after(wait);
        }
    }

    /// Restarts a request's timeout, because a part of its reply arrived.
    pub(super) fn restart_timeout(&mut self, now: Time, request: u32) {
        let record = self.tables.requests.get_mut(request);
        if let Timeout::After(span) = record.rest.timeout
            && !span.is_zero()
        {
            record.deadline = now.after(span);
        }
    }
}
