//! The reply to a request.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use majordomus_core::RequestHandle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep};

use crate::client::driver::Wish;
use crate::client::says::{First, PARTS_MAX, Said};
use crate::{Body, RequestError};

/// The reply to a request, part by part, from [`RequestBuilder::send`](crate::RequestBuilder::send).
///
/// It is a [`Stream`] of its parts; [`next`](Self::next) is for those who use no stream library, and
/// [`whole`](Self::whole) for those who want all of it. Dropping it before its end gives the request
/// up, at the worker too where that can be told.
///
/// A reader that is slow makes the worker wait: 16 parts come before they are read. Where the dialect
/// does not count parts, no other reply of the client is read either, once so many wait.
///
/// ```
/// use majordomus::{Replier, testing};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (client, _) = testing::client()
///     .service("count", |_, reply: Replier| async move {
///         let _ = reply.send_all(["one", "two"]).await;
///     })
///     .build();
/// let mut reply = client.request("count", "to two").send().await;
/// let mut parts = Vec::new();
/// while let Some(part) = reply.next().await {
///     parts.push(part?.text().into_owned());
/// }
/// // It ends with a part without a frame.
/// assert_eq!(parts, ["one", "two", ""]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reply {
    state: State,
    /// Where it was asked for; nowhere that we know where it may be asked for again.
    asked: Option<Asked>,
    /// After how many parts it ends, where nobody says that one is the last.
    parts_left: Option<u32>,
    /// When it is given up, whatever comes.
    deadline: Option<Deadline>,
}

/// When a request is given up, whatever comes.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    /// How much longer a broker that says what became of the request is given to say so, where no part
    /// of the reply has come.
    grace: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Deadline {
    pub(crate) fn new(span: Duration, grace: Duration) -> Self {
        let timer = Box::pin(sleep(span));
        Self { at: timer.deadline(), grace, timer }
    }

    fn poll(&mut self, has_begun: bool, context: &mut Context<'_>) -> Poll<()> {
        let until = if has_begun { self.at } else { self.at + self.grace };
        if self.timer.deadline() != until {
            self.timer.as_mut().reset(until);
        }
        self.timer.as_mut().poll(context)
    }
}

#[derive(Debug)]
enum State {
    /// Nothing has come yet.
    Asked(oneshot::Receiver<First>),
    /// Parts come.
    Begun(mpsc::Receiver<Box<Said>>),
    /// In a box, so that a reply is small.
    Failed(Box<RequestError>),
    Ended,
}

/// A request that is with a client's task.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) handle: RequestHandle,
    /// The place of its broker.
    pub(crate) broker: usize,
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
    /// Parts that were taken and the task does not know of.
    taken: u32,
}

impl Asked {
    pub(crate) fn new(
        handle: RequestHandle,
        broker: usize,
        wishes: mpsc::UnboundedSender<Wish>,
    ) -> Self {
        Self { handle, broker, wishes, taken: 0 }
    }

    /// A part was taken: its task hears of it now and then.
    fn take(&mut self) {
        self.taken += 1;
        if self.taken as usize >= PARTS_MAX / 2 {
            self.tell_taken();
        }
    }

    /// Tells its task what was taken: when that is much, and when there is nothing more to take.
    fn tell_taken(&mut self) {
        if self.taken > 0 {
            let taken = std::mem::take(&mut self.taken);
            let _ = self.wishes.send(Wish::Taken(self.handle, taken));
        }
    }
}

impl Reply {
    pub(crate) fn new(
        first: oneshot::Receiver<First>,
        asked: Option<Asked>,
        parts_left: Option<u32>,
    ) -> Self {
        Self { state: State::Asked(first), asked, parts_left, deadline: None }
    }

    pub(crate) fn failed(error: RequestError) -> Self {
        Self {
            state: State::Failed(Box::new(error)),
            asked: None,
            parts_left: None,
            deadline: None,
        }
    }

    pub(crate) fn with_deadline(mut self, deadline: Option<Deadline>) -> Self {
        self.deadline = deadline;
        self
    }

    /// The place of the broker that it was asked of.
    pub(crate) fn broker(&self) -> Option<usize> {
        self.asked.as_ref().map(|asked| asked.broker)
    }

    /// The next part; `None` after the last one or an error. Can be dropped and called again: no
    /// part is lost.
    ///
    /// # Errors
    ///
    /// When there is no reply, or no more of it.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let mut prices = client.request("prices", "ZMQ").timeout(None).send().await;
    /// while let Some(price) = prices.next().await {
    ///     println!("{}", price?.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn next(&mut self) -> Option<Result<Body, RequestError>> {
        poll_fn(|context| self.poll_part(context)).await
    }

    fn poll_part(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Body, RequestError>>> {
        Poll::Ready(match ready!(self.poll_said(context)) {
            Some(Said::Part(body) | Said::Last(body)) => Some(Ok(body)),
            Some(Said::Failed(error)) => Some(Err(error)),
            None => None,
        })
    }

    /// What comes next, as it was said.
    pub(crate) async fn said(&mut self) -> Option<Said> {
        poll_fn(|context| self.poll_said(context)).await
    }

    fn poll_said(&mut self, context: &mut Context<'_>) -> Poll<Option<Said>> {
        let said = loop {
            match &mut self.state {
                State::Asked(first) => match Pin::new(first).poll(context) {
                    Poll::Ready(Ok(First::Parts(parts))) => self.state = State::Begun(parts),
                    Poll::Ready(Ok(First::Begun(begun))) => {
                        let (part, reply) = *begun;
                        self.becomes(reply);
                        return Poll::Ready(Some(Said::Part(part)));
                    }
                    // Mostly that is all, and passed on at once.
                    Poll::Ready(Ok(First::End(end))) => {
                        (self.state, self.deadline) = (State::Ended, None);
                        return Poll::Ready(Some(end));
                    }
                    Poll::Ready(Err(_)) => break Poll::Ready(None),
                    Poll::Pending => break Poll::Pending,
                },
                State::Begun(parts) => {
                    break parts.poll_recv(context).map(|said| said.map(|said| *said));
                }
                State::Failed(_) | State::Ended => {
                    let State::Failed(error) = std::mem::replace(&mut self.state, State::Ended)
                    else {
                        return Poll::Ready(None);
                    };
                    return Poll::Ready(Some(Said::Failed(*error)));
                }
            }
        };
        match said {
            // While parts wait to be read, nobody else looks at the time.
            Poll::Ready(Some(Said::Part(_))) if self.is_late(context) => {
                self.give_up();
                Poll::Ready(Some(Said::Failed(RequestError::Expired)))
            }
            Poll::Ready(Some(Said::Part(body))) => Poll::Ready(Some(self.took(body))),
            Poll::Ready(end) => {
                (self.state, self.deadline) = (State::Ended, None);
                Poll::Ready(Some(end.unwrap_or(Said::Failed(RequestError::Stopped))))
            }
            Poll::Pending => {
                if let Some(asked) = &mut self.asked {
                    asked.tell_taken();
                }
                if !self.is_late(context) {
                    return Poll::Pending;
                }
                self.give_up();
                Poll::Ready(Some(Said::Failed(RequestError::Expired)))
            }
        }
    }

    /// Whether its deadline is over.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let has_begun = matches!(self.state, State::Begun(_));
        let deadline = self.deadline.as_mut();
        deadline.is_some_and(|deadline| deadline.poll(has_begun, context).is_ready())
    }

    /// A part came. It may be the last, though nobody says so.
    fn took(&mut self, part: Body) -> Said {
        if let Some(asked) = &mut self.asked {
            asked.take();
        }
        if let Some(left) = &mut self.parts_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                // The broker may still say more to it, and must not say it to the next one.
                self.give_up();
                return Said::Last(part);
            }
        }
        Said::Part(part)
    }

    /// Goes on as that reply does, which has begun.
    fn becomes(&mut self, mut begun: Reply) {
        self.state = std::mem::replace(&mut begun.state, State::Ended);
        self.asked = begun.asked.take();
        self.parts_left = begun.parts_left;
    }

    fn give_up(&mut self) {
        let state = std::mem::replace(&mut self.state, State::Ended);
        if let (State::Asked(_) | State::Begun(_), Some(asked)) = (state, &self.asked) {
            let _ = asked.wishes.send(Wish::Cancel(asked.handle));
        }
    }

    /// The frames of all parts that have not been read yet, in one body, when the last one is here.
    /// The headers are those of the last part.
    ///
    /// # Errors
    ///
    /// When there is no reply, or no more of it: the parts that came are lost.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let reply = client.request("count", "to three").send().await;
    /// println!("on its way");
    /// println!("{} frames", reply.whole().await?.frames().len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn whole(mut self) -> Result<Body, RequestError> {
        let mut parts = Vec::new();
        while let Some(said) = self.said().await {
            match said {
                Said::Part(part) => parts.push(part),
                Said::Last(only) if parts.is_empty() => return Ok(only),
                Said::Last(last) => parts.push(last),
                Said::Failed(error) => return Err(error),
            }
        }
        Ok(Body::joined(parts))
    }

    /// All parts that have not been read yet, one by one, when the last one is here.
    ///
    /// # Errors
    ///
    /// When there is no reply, or no more of it: the parts that came are lost.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// for part in client.request("count", "to three").send().await.parts().await? {
    ///     println!("{}", part.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn parts(&mut self) -> Result<Vec<Body>, RequestError> {
        let mut parts = Vec::new();
        while let Some(part) = self.next().await {
            parts.push(part?);
        }
        Ok(parts)
    }
}

/// Its parts, in order; the last item is the last part, or the error that ends it.
impl Stream for Reply {
    type Item = Result<Body, RequestError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_part(context)
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.give_up();
    }
}
