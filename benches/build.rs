//! Notes which compiler this is built with, since what it makes is counted.

use std::env;
use std::process::Command;

fn main() {
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let said = Command::new(rustc).arg("--version").output().expect("the compiler runs").stdout;
    println!("cargo::rustc-env=COMPILER={}", String::from_utf8_lossy(&said).trim());
    println!("cargo::rerun-if-changed=build.rs");
}
