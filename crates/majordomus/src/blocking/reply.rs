//! The reply to a request.

use std::error::Error;
use std::fmt;
use std::iter::FusedIterator;
use std::time::Duration;

use crate::blocking::Runtime;
use crate::{Body, RequestError};

/// The reply to a request, part by part, from
/// [`RequestBuilder::send`](crate::blocking::RequestBuilder::send): an iterator that waits for the
/// next part. Its last item is the last part, or the error that ends it.
///
/// Dropping it before its end gives the request up, at the worker too where that can be told. A
/// reader that is slow makes the worker wait, as it is with the [async one](crate::Reply).
///
/// What waits here panics [in async code](crate::blocking#in-async-code).
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

    /// The next part, if it comes within this time; `Ok(None)` after the last one or an error. What
    /// comes later is not lost.
    ///
    /// # Errors
    ///
    /// [`NothingYet`] where nothing came in that time. The request goes on.
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

    /// The frames of all parts that have not been read yet, in one body, when the last one is here.
    /// The headers are those of the last part.
    ///
    /// # Errors
    ///
    /// When there is no reply, or no more of it: the parts that came are lost.
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

    /// All parts that have not been read yet, one by one, when the last one is here.
    ///
    /// # Errors
    ///
    /// When there is no reply, or no more of it: the parts that came are lost.
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

/// No part of a reply came in the time that was given to
/// [`next_timeout`](crate::blocking::Reply::next_timeout).
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
