//! A binding for libzmq's CLIENT socket, a draft socket that no available package includes.
//!
//! This is the only use of libzmq and the only `unsafe` code in this workspace. The build compiles
//! libzmq from source. On a developer's machine without a C++ compiler, the tests that need libzmq
//! are skipped.

#[cfg(not(without_libzmq))]
mod socket;
#[cfg(without_libzmq)]
#[path = "without.rs"]
mod socket;

pub use socket::ClientSocket;

/// Returns true if libzmq was compiled. Otherwise writes one line to standard error, and the
/// calling test should return. If `CI` is set, the build has already failed instead.
pub fn is_there() -> bool {
    if cfg!(without_libzmq) {
        // A write error cannot be reported anywhere.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipping the tests that need libzmq: there is no C++ compiler for it\n",
        );
    }
    cfg!(not(without_libzmq))
}
