//! One call of one handler.

use std::future::Future;
use std::time::Duration;

use majordomus_core::CREDIT_UNLIMITED;

use crate::client::Said;
use crate::testing::handling::{Handling, heard};
use crate::worker::{Saying, Strings};
use crate::{Body, Replier, Request, RequestError, blocking};

/// Parts of an answer that are collected.
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
/// // It is too long for `call`, and not for who takes its parts one by one.
/// let mut call = testing::start(long, Request::new("clock", ""));
/// let mut parts = 0;
/// while call.part().await.is_some() {
///     parts += 1;
/// }
/// assert_eq!(parts, PARTS_MAX + 1);
/// # }
/// ```
pub const PARTS_MAX: usize = 65_536;

/// Runs a handler for one request, as a worker does, and gives what it answered when it has returned.
///
/// # Panics
///
/// Outside a tokio runtime, and where it sends more than [`PARTS_MAX`] parts.
///
/// ```
/// use std::time::Duration;
///
/// use majordomus::testing::{End, call};
/// use majordomus::{Replier, Request};
///
/// async fn weather(request: Request, reply: Replier) {
///     match &*request.body.text() {
///         "here" => reply.keep(Duration::from_secs(600)).finish("sunny").await,
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

/// Starts a handler for one request, for those who want to read parts one by one, or to cancel it.
///
/// # Panics
///
/// Outside a tokio runtime.
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
/// // It returns, now that nobody waits.
/// call.answer().await;
/// # }
/// ```
pub fn start<H, F>(handler: H, request: Request) -> Call
where
    H: FnOnce(Request, Replier) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let handling = Handling::start(handler, request, Strings::new(CREDIT_UNLIMITED));
    Call { handling, signs_of_work: 0, end: None }
}

/// As [`call`], for a [handler that blocks](crate::blocking::handler), in a program without an async
/// runtime.
///
/// # Panics
///
/// [In async code](crate::blocking#in-async-code), where it sends more than [`PARTS_MAX`] parts, and
/// where the system gives no thread.
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

/// A handler at work on one request, from [`start`]. When this is dropped, it is told that nobody
/// waits for it any more.
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
/// // What was not read is in the answer.
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
    /// The next part; `None` when the answer has ended. The handler waits when a few parts were not
    /// read. Can be dropped and called again: no part is lost.
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

    /// Tells the handler that nobody waits for its answer any more.
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

    /// The rest of the answer, when the handler has returned. What it says after the end is not
    /// heard, as it is with a worker.
    ///
    /// # Panics
    ///
    /// Where more than [`PARTS_MAX`] parts come.
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

/// What a handler answered.
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
    /// The parts that came before the end and were not [read](Call::part).
    pub parts: Vec<Body>,
    /// How often it said that it is [at work](crate::Replier::at_work).
    pub signs_of_work: usize,
    /// How it ended.
    pub end: End,
}

/// How an answer ended.
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
    /// With the reply, or its last part.
    Final {
        /// What it says.
        body: Body,
        /// For how long the broker may [keep](crate::Replier::keep) it.
        keep: Option<Duration>,
    },
    /// With an error: its own, or that it panicked or gave no reply.
    Failed {
        /// The code, as a client gets it: 500 where it gave none.
        code: u16,
        /// What it said, or what a worker says of it.
        why: Body,
    },
    /// It gave the request back.
    Rejected {
        /// What it said.
        why: Body,
    },
}

impl Answer {
    /// What a client gets that waits for the whole reply, were this the only worker.
    ///
    /// # Errors
    ///
    /// Where it ended otherwise than with a reply.
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
    /// The end that a handler can bring about.
    fn of(error: RequestError) -> Option<Self> {
        match error {
            RequestError::Remote { code, why } => Some(End::Failed { code, why: *why }),
            RequestError::Rejected { why } => Some(End::Rejected { why: *why }),
            _ => None,
        }
    }
}
