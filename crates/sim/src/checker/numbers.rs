//! Checks of the broker's counters and gauges against the model.

use majordomus_core::Outcome;

use super::{Cause, Checker, Rule};
use crate::machine::Machine;

impl Checker {
    pub(super) fn check_numbers(&mut self, machine: &impl Machine) {
        if self.breach.is_some() {
            return;
        }
        let counters = machine.counters();
        let live = self.model.live.len();
        let same = counters.balanced()
            && counters.received == self.tally.received
            && counters.in_progress == live as u64
            && counters.dispatched == self.tally.dispatched
            && counters.redelivered == self.redelivered
            && counters.rejections == self.rejections
            && Outcome::ALL.iter().all(|outcome| {
                counters.outcome(*outcome) == self.tally.outcomes[*outcome as usize]
            });
        if !same {
            return self.accuse(Rule::Balance, format!("{counters:?}; judged: {:?}", self.tally));
        }
        let (least, most) = self.step.late;
        let late = counters.late_replies - self.late;
        self.late = counters.late_replies;
        if late < least || late > most {
            return self.accuse(Rule::Balance, format!("{late} late replies, not {most}"));
        }
        let holdings = machine.holdings();
        let (names, unoffered) = self.model.names();
        let at_door = self.model.held;
        let same = holdings.peers == self.model.peers_count
            && holdings.requests == live
            && holdings.request_bytes == self.model.live_bytes
            && holdings.held_clients == at_door
            && (names..=names + at_door).contains(&holdings.services)
            && (unoffered..=unoffered + at_door).contains(&holdings.unoffered_services);
        if !same {
            let text = format!("{holdings:?}; {live} requests of {}", self.model.live_bytes);
            return self.accuse(Rule::Gauges, text);
        }
        let ticked = self.step.cause == Cause::Tick;
        self.check_kept(holdings.kept_bytes, counters.kept_replies, ticked);
        self.check_directory(machine.directory_edition());
    }
}
