//! Builds libzmq with its draft sockets. This needs only a C++ compiler. Without a compiler, the
//! crate is built without libzmq, but if `CI` is set, the build fails.

use std::env;
use std::process::Command;

/// Set in the environment of the second run, which builds libzmq.
const QUIET: &str = "MAJORDOMUS_LIBZMQ_QUIET";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CI");
    println!("cargo:rerun-if-env-changed=CXX");
    println!("cargo:rustc-check-cfg=cfg(without_libzmq)");
    if env::var_os(QUIET).is_some() {
        zeromq_src::Build::new().enable_draft(true).build();
        return;
    }
    // Turn off the warnings of libzmq's code. The flag is set in the environment of a child
    // process, because changing the environment of this process is `unsafe`.
    let flags = format!("{} -w", env::var("CXXFLAGS").unwrap_or_default());
    let again = env::current_exe().expect("this program has a path");
    let built = Command::new(again).env(QUIET, "1").env("CXXFLAGS", flags).output();
    let built = built.expect("this program can be started again");
    if built.status.success() {
        // Pass on the linker instructions for cargo.
        return print!("{}", String::from_utf8_lossy(&built.stdout));
    }
    let ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
    let why = String::from_utf8_lossy(&built.stderr);
    assert!(!ci, "libzmq could not be compiled, it needs a C++ compiler: {why}");
    println!(
        "cargo:warning=libzmq could not be compiled: its tests are skipped without a C++ compiler"
    );
    println!("cargo:rustc-cfg=without_libzmq");
}
