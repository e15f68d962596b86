//! The reply to a client's request.

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

/// The reply to a request, returned by [`RequestBuilder::send`](crate::RequestBuilder::send).
///
/// `Reply` is a [`Stream`] of the reply's parts. [`next`](Self::next) reads parts without a stream
/// library, and [`whole`](Self::whole) collects all of them. Dropping a `Reply` before its end
/// cancels the request, also at the worker if the dialect supports it.
///
/// A slow reader slows the worker down: at most 16 unread parts are buffered. In dialects without
/// credit, a full buffer also stops the client from reading its other replies.
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
/// // The last part has no frame.
/// assert_eq!(parts, ["one", "two", ""]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reply {
    state: State,
    /// The request in the client's task; `None` if the request is retried and can move to another
    /// broker.
    asked: Option<Asked>,
    /// The number of parts until the end of the reply, if the dialect does not mark the last part.
    parts_left: Option<u32>,
    /// The time at which the request is cancelled in any case.
    deadline: Option<Deadline>,
}

/// The deadline of a request, with its timer.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    /// The additional time in which the broker can report the outcome, if it does so and no part of
    /// the reply has arrived.
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
    /// Nothing has been received yet.
    Asked(oneshot::Receiver<First>),
    /// Parts are being received.
    Begun(mpsc::Receiver<Box<Said>>),
    /// Boxed, so that a `Reply` is small.
    Failed(Box<RequestError>),
    Ended,
}

/// A request that was passed to a client's task.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) handle: RequestHandle,
    /// The index of the broker.
    pub(crate) broker: usize,
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
    /// The number of parts that were read since the last report to the task.
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

    /// Counts a part as read. Reports to the task after every half buffer.
    fn take(&mut self) {
        self.taken += 1;
        if self.taken as usize >= PARTS_MAX / 2 {
            self.tell_taken();
        }
    }

    /// Reports the number of read parts to the task, if there are any.
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

    /// Returns the index of the broker that received the request.
    pub(crate) fn broker(&self) -> Option<usize> {
        self.asked.as_ref().map(|asked| asked.broker)
    }

    /// Returns the next part, or `None` after the last part or an error. This method is cancel
    /// safe: no part is lost.
    ///
    /// # Errors
    ///
    /// Returns the error that ended the reply.
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

    /// Returns the next message of the reply: a part, the last part or an error.
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
                    // Most replies have one part, which is returned at once.
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
            // No other code checks the deadline while parts are buffered.
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

    /// Returns true if the deadline has passed.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let has_begun = matches!(self.state, State::Begun(_));
        let deadline = self.deadline.as_mut();
        deadline.is_some_and(|deadline| deadline.poll(has_begun, context).is_ready())
    }

    /// Counts a received part. If the dialect does not mark the last part, detects it by the number
    /// of parts.
    fn took(&mut self, part: Body) -> Said {
        if let Some(asked) = &mut self.asked {
            asked.take();
        }
        if let Some(left) = &mut self.parts_left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                // The broker may send more parts of this reply, and they must not reach the next
                // request.
                self.give_up();
                return Said::Last(part);
            }
        }
        Said::Part(part)
    }

    /// Continues as the given reply, whose first part has been received.
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

    /// Collects all unread parts into one body and waits for the last part. The body has the frames
    /// of all parts, in order, and the headers of the last part.
    ///
    /// # Errors
    ///
    /// Returns the error that ended the reply. Parts that were already received are lost.
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

    /// Collects all unread parts into a vector and waits for the last part.
    ///
    /// # Errors
    ///
    /// Returns the error that ended the reply. Parts that were already received are lost.
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

/// Yields the parts in order. The last item is the last part, or the error that ended the reply.
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
