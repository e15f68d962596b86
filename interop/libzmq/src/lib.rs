//! The CLIENT socket of libzmq, which is a draft there, so that no package that can be had has it.
//!
//! It is all that is used of libzmq, and all that is `unsafe` in this workspace. libzmq is compiled
//! for it; on a person's machine without a C++ compiler there is none, and who needs it skips.

#[cfg(not(without_libzmq))]
mod socket;
#[cfg(without_libzmq)]
#[path = "without.rs"]
mod socket;

pub use socket::ClientSocket;

/// Whether libzmq could be compiled. Where not, says so in one line on standard error: the test
/// returns then. Where `CI` is set, the build has failed instead.
pub fn is_there() -> bool {
    if cfg!(without_libzmq) {
        // There is nowhere to say that this could not be said.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipping the tests that need libzmq: there is no C++ compiler for it\n",
        );
    }
    cfg!(not(without_libzmq))
}
