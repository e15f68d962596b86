//! The limit on the outputs of one input, which detects endless loops.

use alloc::format;
use alloc::string::String;

use super::{Action, Outlet, Outputs, PeerId};

/// The maximum number of outputs for one input of a script. The largest script ends a few thousand
/// requests at once; a broker that produces more is in an endless loop.
const OUTPUTS_MAX: usize = 100_000;

/// Creates an empty list for the outputs of a line.
pub(super) fn of_line(line: &str) -> Outputs<String> {
    Outputs::new(format!("`{line}`"), OUTPUTS_MAX)
}

#[test]
#[should_panic(expected = "`0ms w final #1 ho` has more than 100000 outputs")]
fn outputs_without_end_panic_with_their_line() {
    let mut outputs = of_line("0ms w final #1 ho");
    for _ in 0..=OUTPUTS_MAX {
        outputs.act(PeerId::new(0, 7), Action::Resume);
    }
}
