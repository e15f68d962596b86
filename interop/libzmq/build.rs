//! Compiles libzmq with its draft sockets, and nothing but a C++ compiler.

use std::env;
use std::process::Command;

/// Set where this runs a second time, to build.
const QUIET: &str = "MAJORDOMUS_LIBZMQ_QUIET";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os(QUIET).is_some() {
        zeromq_src::Build::new().enable_draft(true).build();
        return;
    }
    // Its warnings are not ours to mend. They are turned off in the environment of a process of its
    // own, because changing that of this one is `unsafe`.
    let flags = format!("{} -w", env::var("CXXFLAGS").unwrap_or_default());
    let again = env::current_exe().expect("this program has a path");
    let built = Command::new(again).env(QUIET, "1").env("CXXFLAGS", flags).status();
    assert!(built.is_ok_and(|status| status.success()), "libzmq could not be compiled");
}
