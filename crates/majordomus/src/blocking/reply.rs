//! The reply of a blocking request.

use std::error::Error;
use std::fmt;
use std::iter::FusedIterator;
use std::time::Duration;

use crate::blocking::Runtime;
use crate::{Body, RequestError};

/// The reply to a request, part by part, from
/// [`RequestBuilder::send`](crate::blocking::RequestBuilder::send): an iterator that waits for the
/// next part. Its last item is the last part, or the error that ends the reply.
///
/// Dropping the reply before its end cancels the request, also at the worker if the dialect
/// supports this. A slow reader makes the worker wait, as with the [async reply](crate::Reply).
///
/// Methods that wait panic [in async code](crate::blocking#in-async-code).
///
/// ```no_run
/// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
/// for price in client.request("prices", "ZMQ").timeout(None).send() {
///     println!("{}", price?.text());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reply {
    reply: crate::Reply,
    runtime: Runtime,
}

impl Reply {
    pub(crate) fn new(reply: crate::Reply, runtime: Runtime) -> Self {
        Self { reply, runtime }
    }

    /// Waits for the next part, but no longer than this time. Returns `Ok(None)` after the last
    /// part or an error. A part that arrives later is not lost.
    ///
    /// # Errors
    ///
    /// Returns [`NothingYet`] if no part arrived within that time. The request continues.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// let mut prices = client.request("prices", "ZMQ").timeout(None).send();
    /// loop {
    ///     match prices.next_timeout(Duration::from_secs(1)) {
    ///         Ok(Some(price)) => println!("{}", price?.text()),
    ///         Ok(None) => return Ok(()),
    ///         Err(nothing_yet) => println!("{nothing_yet}"),
    ///     }
    /// }
    /// # }
    /// ```
    #[track_caller]
    pub fn next_timeout(
        &mut self,
        within: Duration,
    ) -> Result<Option<Result<Body, RequestError>>, NothingYet> {
        self.runtime.block_within(within, self.reply.next()).ok_or(NothingYet)
    }

    /// Waits for the end of the reply and returns the frames of all unread parts in one body. The
    /// headers are those of the last part.
    ///
    /// # Errors
    ///
    /// Returns an error if the request fails. The parts that were received are lost.
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// let reply = client.request("count", "to three").send();
    /// println!("on its way");
    /// println!("{} frames", reply.whole()?.frames().len());
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn whole(self) -> Result<Body, RequestError> {
        self.runtime.block_on(self.reply.whole())
    }

    /// Waits for the end of the reply and returns all unread parts individually.
    ///
    /// # Errors
    ///
    /// Returns an error if the request fails. The parts that were received are lost.
    ///
    /// ```no_run
    /// # fn example(client: majordomus::blocking::Client) -> Result<(), majordomus::RequestError> {
    /// for part in client.request("count", "to three").send().parts()? {
    ///     println!("{}", part.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn parts(&mut self) -> Result<Vec<Body>, RequestError> {
        self.runtime.block_on(self.reply.parts())
    }
}

impl Iterator for Reply {
    type Item = Result<Body, RequestError>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.reply.next())
    }
}

impl FusedIterator for Reply {}

/// The error of [`next_timeout`](crate::blocking::Reply::next_timeout) if no part of the reply
/// arrived in time.
///
/// ```
/// assert_eq!(majordomus::blocking::NothingYet.to_string(), "nothing came in this time");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingYet;

impl fmt::Display for NothingYet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing came in this time")
    }
}

impl Error for NothingYet {}
