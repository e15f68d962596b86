//! Instruction counts: this program runs itself under valgrind.
//!
//! The count is the same in every run, even on a busy machine, so its limits can be enforced. It
//! includes only instructions in user space.

use std::io::ErrorKind;
use std::process::Command;

/// Returns true if valgrind is installed.
pub(crate) fn can_be_counted() -> bool {
    let found = Command::new("valgrind").arg("--version").output();
    !matches!(found, Err(error) if error.kind() == ErrorKind::NotFound)
}

/// Returns the instructions per operation. `run` returns the arguments with which this program runs
/// a given number of operations.
///
/// The result is the difference between a run with `operations` and one with twice as many. Startup
/// and setup, which both runs do once, are therefore not included.
pub(crate) fn per_operation(
    operations: u64,
    run: impl Fn(u64) -> Vec<String>,
) -> Result<f64, String> {
    let once = count(&run(operations))?;
    let twice = count(&run(2 * operations))?;
    Ok(twice.saturating_sub(once) as f64 / operations as f64)
}

/// Counts the instructions of this program with these arguments.
fn count(arguments: &[String]) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("valgrind {}: {}\n{said}", arguments.join(" "), output.status));
    }
    instructions_in(&said)
        .ok_or_else(|| format!("valgrind names no count of instructions:\n{said}"))
}

/// Parses the count in a line such as `==42== I   refs:      1,234,567`.
fn instructions_in(said: &str) -> Option<u64> {
    said.lines().find_map(|line| {
        let (label, count) = line.split_once("refs:")?;
        label.trim_end().ends_with('I').then(|| count.trim().replace(',', "").parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::instructions_in;

    #[test]
    fn the_count_is_found_among_what_valgrind_says() {
        let said = "==7== Command: x\n==7== \n==7== I   refs:      1,234,567\n";
        assert_eq!(instructions_in(said), Some(1_234_567));
        assert_eq!(instructions_in("==7== I refs:        12\n"), Some(12));
        assert_eq!(instructions_in("==7== D   refs:      1,234\n"), None);
        assert_eq!(instructions_in("valgrind: failed"), None);
    }
}
