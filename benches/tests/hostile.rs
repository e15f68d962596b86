//! Every attack of `hostile` is withstood where it is small.

use std::process::Command;

#[test]
fn every_attack_is_withstood() {
    let program = env!("CARGO_BIN_EXE_majordomus-benches");
    let output = Command::new(program).arg("hostile-try").output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains(": withstood"), "{said}{errors}");
}
