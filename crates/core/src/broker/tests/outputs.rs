//! The outputs of one input, which have to end.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Action, Event, Outlet, Output, PeerId};
use crate::{ToClientView, ToWorkerView};

/// The most outputs that one input of a script may make the broker produce. The largest script ends a
/// few thousand requests at once; a broker that produces more is in an endless loop.
const OUTPUTS_MAX: usize = 100_000;

/// Collects the outputs of one input, and panics with the line of the script when they do not end.
pub(super) struct Outputs {
    pub(super) list: Vec<Output>,
    line: String,
}

impl Outputs {
    pub(super) fn of_line(line: &str) -> Self {
        Self { list: Vec::new(), line: line.to_string() }
    }

    fn check(&self) {
        if self.list.len() > OUTPUTS_MAX {
            let (line, last) = (&self.line, &self.list[OUTPUTS_MAX]);
            panic!("`{line}` has more than {OUTPUTS_MAX} outputs, the last of them {last:?}");
        }
    }
}

impl Outlet for Outputs {
    fn to_client(&mut self, client: PeerId, command: &ToClientView<'_>) {
        self.list.to_client(client, command);
        self.check();
    }

    fn to_worker(&mut self, worker: PeerId, command: &ToWorkerView<'_>) {
        self.list.to_worker(worker, command);
        self.check();
    }

    fn act(&mut self, peer: PeerId, action: Action) {
        self.list.act(peer, action);
        self.check();
    }

    fn note(&mut self, event: Event) {
        self.list.note(event);
        self.check();
    }
}

#[test]
#[should_panic(expected = "`0ms w final #1 ho` has more than 100000 outputs")]
fn outputs_without_end_panic_with_their_line() {
    let mut outputs = Outputs::of_line("0ms w final #1 ho");
    for _ in 0..=OUTPUTS_MAX {
        outputs.act(PeerId::new(0, 7), Action::Resume);
    }
}
