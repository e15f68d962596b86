//! Broker setup that the examples share.
//!
//! Each example is one file in `src/bin`. Run an example with
//!
//! ```console
//! $ cargo run -p majordomus-examples --bin echo
//! ```
//!
//! It prints its results and then ends.

use majordomus::Broker;
use majordomus::broker::StartError;

/// Returns the endpoint of a broker for an example. Uses the endpoint on the command line
/// (`-b ENDPOINT`, or the endpoint alone). If there is none, starts a broker in this process, which
/// ends when it is dropped.
///
/// # Errors
///
/// Returns the errors of [`Broker::start`].
///
/// ```
/// let (endpoint, broker) = majordomus_examples::broker()?;
/// assert_eq!(endpoint, broker.expect("nothing was named").endpoint());
/// # Ok::<(), majordomus::broker::StartError>(())
/// ```
pub fn broker() -> Result<(String, Option<Broker>), StartError> {
    match std::env::args().skip(1).find(|argument| argument != "-b") {
        Some(endpoint) => Ok((endpoint, None)),
        None => {
            let broker = Broker::start("inproc://*")?;
            Ok((broker.endpoint().to_string(), Some(broker)))
        }
    }
}
