//! What the examples share: where they find a broker.
//!
//! Each of them is one file in `src/bin`, is run with
//!
//! ```console
//! $ cargo run -p majordomus-examples --bin echo
//! ```
//!
//! prints what it does, and ends by itself.

use majordomus::Broker;
use majordomus::broker::StartError;

/// A broker for an example, and its endpoint: the one that the command line names (`-b ENDPOINT`, or
/// the endpoint alone), or one that is started in this process and ends when it is dropped.
///
/// # Errors
///
/// Those of [`Broker::start`].
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
