//! A single call of a handler in a unit test.

use std::future::Future;
use std::time::Duration;

use majordomus_core::CREDIT_UNLIMITED;

use crate::client::Said;
use crate::testing::handling::{Handling, heard};
use crate::worker::{Saying, TaskControl};
use crate::{Body, Replier, Request, RequestError, blocking};

/// The maximum number of parts of an answer that are collected.
///
/// ```
/// use majordomus::testing::{self, PARTS_MAX};
/// use majordomus::{Replier, Request};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let long = |_, reply: Replier| async move {
///     let _ = reply.send_all(std::iter::repeat_n("tick", PARTS_MAX + 1)).await;
/// };
/// // The reply is too long for `call`, but its parts can be read individually.
/// let mut call = testing::start(long, Request::new("clock", ""));
/// let mut parts = 0;
/// while call.part().await.is_some() {
///     parts += 1;
/// }
/// assert_eq!(parts, PARTS_MAX + 1);
/// # }
/// ```
pub const PARTS_MAX: usize = 65_536;

/// Runs a handler for one request, as a worker does. Returns its answer when the handler has
/// returned.
///
/// # Panics
///
/// Panics if called outside a Tokio runtime, or if the handler sends more than [`PARTS_MAX`] parts.
///
/// ```
/// use std::time::Duration;
///
/// use majordomus::testing::{End, call};
/// use majordomus::{Replier, Request};
///
/// async fn weather(request: Request, reply: Replier) {
///     match &*request.body.text() {
///         "here" => reply.cache_for(Duration::from_secs(600)).finish("sunny").await,
///         elsewhere => reply.fail_with(404, format!("{elsewhere} is not known")).await,
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let answer = call(weather, Request::new("weather", "here")).await;
/// let keep = Some(Duration::from_secs(600));
/// assert_eq!(answer.end, End::Final { body: "sunny".into(), keep });
///
/// let answer = call(weather, Request::new("weather", "there")).await;
/// assert_eq!(answer.end, End::Failed { code: 404, why: "there is not known".into() });
/// # }
/// ```
pub async fn call<H, F>(handler: H, request: Request) -> Answer
where
    H: FnOnce(Request, Replier) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    start(handler, request).answer().await
}

/// Starts a handler for one request. The returned [`Call`] reads parts individually and can cancel
/// the request.
///
/// # Panics
///
/// Panics if called outside a Tokio runtime.
///
/// ```
/// use majordomus::{Request, testing};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let endless = |_, reply: majordomus::Replier| async move {
///     while reply.part("tick").await.is_ok() {}
/// };
/// let mut call = testing::start(endless, Request::new("clock", ""));
/// assert_eq!(call.part().await, Some("tick".into()));
/// call.cancel();
/// // The handler returns, because its request is cancelled.
/// call.answer().await;
/// # }
/// ```
pub fn start<H, F>(handler: H, request: Request) -> Call
where
    H: FnOnce(Request, Replier) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let handling = Handling::start(handler, request, TaskControl::new(CREDIT_UNLIMITED));
    Call { handling, signs_of_work: 0, end: None }
}

/// Runs a [blocking handler](crate::blocking::handler) for one request, like [`call`], in a program
/// without an async runtime.
///
/// # Panics
///
/// Panics [in async code](crate::blocking#in-async-code), if the handler sends more than
/// [`PARTS_MAX`] parts, or if the operating system cannot start a thread.
///
/// ```
/// use majordomus::{Request, testing};
///
/// let answer = testing::blocking_call(
///     |request, reply| reply.finish(request.body.text().to_uppercase()),
///     Request::new("shout", "hello"),
/// );
/// assert_eq!(answer.result(), Ok("HELLO".into()));
/// ```
#[track_caller]
pub fn blocking_call<H>(handler: H, request: Request) -> Answer
where
    H: Fn(Request, blocking::Replier) + Send + Sync + 'static,
{
    let runtime = blocking::Runtime::get().expect("the system gives a thread");
    runtime.block_on(call(blocking::handler(handler), request))
}

/// A running handler for one request, from [`start`]. Dropping the call cancels the request.
///
/// ```
/// use majordomus::{Replier, Request, testing};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let count = |_, reply: Replier| async move {
///     let _ = reply.send_all(["one", "two"]).await;
/// };
/// let mut call = testing::start(count, Request::new("count", ""));
/// assert_eq!(call.part().await, Some("one".into()));
/// // The answer contains the unread parts.
/// assert_eq!(call.answer().await.parts, ["two".into()]);
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a handler is cancelled when this is dropped"]
pub struct Call {
    handling: Handling,
    signs_of_work: usize,
    end: Option<End>,
}

impl Call {
    /// Returns the next part, or `None` after the end of the answer. The handler waits while a few
    /// parts are unread. This method is cancel safe: if it is dropped and called again, no part is
    /// lost.
    ///
    /// ```
    /// use majordomus::{Replier, Request, testing};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let count = |_, reply: Replier| async move {
    ///     let _ = reply.send_all(["1", "2"]).await;
    /// };
    /// let mut call = testing::start(count, Request::new("count", ""));
    /// assert_eq!(call.part().await, Some("1".into()));
    /// assert_eq!(call.part().await, Some("2".into()));
    /// assert_eq!(call.part().await, None);
    /// # }
    /// ```
    pub async fn part(&mut self) -> Option<Body> {
        while self.end.is_none() {
            let saying = self.handling.next().await?;
            if let Saying::AtWork(_) = saying {
                self.signs_of_work += 1;
            }
            let keep = match &saying {
                Saying::Final(_, _, keep) => *keep,
                _ => None,
            };
            self.end = match heard(saying) {
                None => None,
                Some(Said::Part(part)) => return Some(part),
                Some(Said::Last(body)) => Some(End::Final { body, keep }),
                Some(Said::Failed(error)) => End::of(error),
            };
        }
        None
    }

    /// Cancels the request: signals to the handler that its reply is no longer needed.
    ///
    /// ```
    /// use majordomus::{Replier, Request, testing};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let patient = |_, reply: Replier| async move { reply.cancellation().cancelled().await };
    /// let call = testing::start(patient, Request::new("wait", ""));
    /// call.cancel();
    /// assert!(call.answer().await.result().is_err());
    /// # }
    /// ```
    pub fn cancel(&self) {
        self.handling.cancel();
    }

    /// Waits until the handler has returned, and returns the rest of the answer. Everything that
    /// the handler sends after its final reply is ignored, as in a worker.
    ///
    /// # Panics
    ///
    /// Panics if there are more than [`PARTS_MAX`] parts.
    ///
    /// ```
    /// use majordomus::{Request, testing};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let call = testing::start(|_, reply| reply.finish("done"), Request::new("do", ""));
    /// assert_eq!(call.answer().await.result(), Ok("done".into()));
    /// # }
    /// ```
    pub async fn answer(mut self) -> Answer {
        let mut parts = Vec::new();
        while let Some(part) = self.part().await {
            assert!(
                parts.len() < PARTS_MAX,
                "the handler sent more than {PARTS_MAX} parts; `testing::start` gives them one by one"
            );
            parts.push(part);
        }
        while self.handling.next().await.is_some() {}
        let end = self.end.take().expect("a handler that has returned has ended its answer");
        Answer { parts, signs_of_work: self.signs_of_work, end }
    }
}

/// A handler's answer to one request.
///
/// ```
/// use majordomus::{Replier, Request, testing};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let slow = |_, reply: Replier| async move {
///     reply.at_work().await;
///     reply.finish("done").await;
/// };
/// let answer = testing::call(slow, Request::new("slow", "")).await;
/// assert_eq!((answer.signs_of_work, answer.parts.len()), (1, 0));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// The parts before the end that were not [read](Call::part).
    pub parts: Vec<Body>,
    /// The number of [`at_work`](crate::Replier::at_work) reports.
    pub signs_of_work: usize,
    /// The end of the answer.
    pub end: End,
}

/// The end of a handler's answer.
///
/// ```
/// use majordomus::testing::{End, call};
/// use majordomus::{Replier, Request};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let busy = |_, reply: Replier| reply.reject("busy");
/// let answer = call(busy, Request::new("job", "")).await;
/// assert_eq!(answer.end, End::Rejected { why: "busy".into() });
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A final reply, or its last part.
    Final {
        /// The body of the reply.
        body: Body,
        /// The time for which the broker may [cache](crate::Replier::cache_for) the reply.
        keep: Option<Duration>,
    },
    /// An error that the handler returned, a panic, or a missing final reply.
    Failed {
        /// The error code that the client receives: 500 if the handler set none.
        code: u16,
        /// The error text of the handler or of the worker.
        why: Body,
    },
    /// A rejection of the request.
    Rejected {
        /// The reason for the rejection.
        why: Body,
    },
}

impl Answer {
    /// Returns the result that a client would receive if it waited for the whole reply and this
    /// were the only worker.
    ///
    /// # Errors
    ///
    /// Returns an error if the answer did not end with a final reply.
    ///
    /// ```
    /// use majordomus::{Body, Replier, Request, RequestError, testing};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let handler = |request: Request, reply: Replier| async move {
    ///     if request.body.frames().is_empty() {
    ///         return reply.reject("nothing to do").await;
    ///     }
    ///     let _ = reply.part("almost ").await;
    ///     reply.finish("done").await;
    /// };
    /// let done = testing::call(handler, Request::new("do", "it")).await;
    /// assert_eq!(done.result(), Ok(Body::from_frames(["almost ", "done"])));
    /// let nothing = testing::call(handler, Request::new("do", Body::empty())).await;
    /// let why = "nothing to do".into();
    /// assert_eq!(nothing.result(), Err(RequestError::Rejected { why }));
    /// # }
    /// ```
    pub fn result(self) -> Result<Body, RequestError> {
        let Self { mut parts, end, .. } = self;
        match end {
            End::Final { body, .. } => {
                parts.push(body);
                Ok(Body::joined(parts))
            }
            End::Failed { code, why } => Err(RequestError::Remote { code, why: why.into() }),
            End::Rejected { why } => Err(RequestError::Rejected { why: why.into() }),
        }
    }
}

impl End {
    /// Returns the end for an error that a handler can cause.
    fn of(error: RequestError) -> Option<Self> {
        match error {
            RequestError::Remote { code, why } => Some(End::Failed { code, why: *why }),
            RequestError::Rejected { why } => Some(End::Rejected { why: *why }),
            _ => None,
        }
    }
}
