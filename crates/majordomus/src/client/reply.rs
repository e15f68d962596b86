//! The reply to a request.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use majordomus_core::RequestHandle;
use tokio::sync::mpsc;
use tokio::time::Sleep;

use crate::client::driver::{PARTS_MAX, Said, Wish};
use crate::{Body, RequestError};

/// The reply to a request, part by part, from [`RequestBuilder::send`](crate::RequestBuilder::send).
///
/// It is a [`Stream`] of its parts; [`next`](Self::next) is for those who use no stream library, and
/// [`whole`](Self::whole) for those who want all of it. Dropping it before its end gives the request
/// up, at the worker too where that can be told.
///
/// A reader that is slow makes the worker wait: 16 parts come before they are read. Where the dialect
/// does not count parts, no other reply of the client is read either, once so many wait.
#[derive(Debug)]
pub struct Reply {
    state: State,
    /// When it is given up, whatever comes.
    deadline: Option<Pin<Box<Sleep>>>,
    has_begun: bool,
}

#[derive(Debug)]
enum State {
    Failed(RequestError),
    Open {
        said: mpsc::Receiver<Box<Said>>,
        /// Where it was asked for; nowhere that we know where it may be asked for again.
        asked: Option<Asked>,
        /// After how many parts it ends, where nobody says that one is the last.
        parts_left: Option<u32>,
    },
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
        said: mpsc::Receiver<Box<Said>>,
        asked: Option<Asked>,
        parts_left: Option<u32>,
    ) -> Self {
        let state = State::Open { said, asked, parts_left };
        Self { state, deadline: None, has_begun: false }
    }

    pub(crate) fn failed(error: RequestError) -> Self {
        Self { state: State::Failed(error), deadline: None, has_begun: false }
    }

    pub(crate) fn with_deadline(mut self, deadline: Option<Sleep>) -> Self {
        self.deadline = deadline.map(Box::pin);
        self
    }

    /// Whether a part of it has come.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The place of the broker that it was asked of last.
    pub(crate) fn broker(&self) -> Option<usize> {
        match &self.state {
            State::Open { asked, .. } => asked.as_ref().map(|asked| asked.broker),
            State::Failed(_) | State::Ended => None,
        }
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
        let said = ready!(self.poll_said(context));
        let ended = match said {
            None => return Poll::Ready(None),
            Some(Said::Part(body)) => return Poll::Ready(Some(Ok(body))),
            Some(Said::Last(body)) => Ok(body),
            Some(Said::Failed(error)) => Err(error),
        };
        self.state = State::Ended;
        Poll::Ready(Some(ended))
    }

    /// What comes next, as it was said. After an end, where it was asked is still known.
    pub(crate) async fn said(&mut self) -> Option<Said> {
        poll_fn(|context| self.poll_said(context)).await
    }

    fn poll_said(&mut self, context: &mut Context<'_>) -> Poll<Option<Said>> {
        let State::Open { said, asked, parts_left } = &mut self.state else {
            let State::Failed(error) = std::mem::replace(&mut self.state, State::Ended) else {
                return Poll::Ready(None);
            };
            return Poll::Ready(Some(Said::Failed(error)));
        };
        match said.poll_recv(context).map(|said| said.map(|said| *said)) {
            Poll::Ready(Some(Said::Part(body))) => {
                self.has_begun = true;
                if let Some(asked) = asked {
                    asked.take();
                }
                if let Some(left) = parts_left {
                    *left = left.saturating_sub(1);
                    if *left == 0 {
                        // The broker may still say more to it, and must not say it to the next one.
                        self.give_up();
                        return Poll::Ready(Some(Said::Last(body)));
                    }
                }
                return Poll::Ready(Some(Said::Part(body)));
            }
            Poll::Ready(Some(end)) => {
                self.deadline = None;
                return Poll::Ready(Some(end));
            }
            Poll::Ready(None) => return Poll::Ready(Some(Said::Failed(RequestError::Stopped))),
            Poll::Pending => {
                if let Some(asked) = asked {
                    asked.tell_taken();
                }
            }
        }
        match &mut self.deadline {
            Some(deadline) => {
                ready!(deadline.as_mut().poll(context));
                self.give_up();
                Poll::Ready(Some(Said::Failed(RequestError::Expired)))
            }
            None => Poll::Pending,
        }
    }

    fn give_up(&self) {
        if let State::Open { asked: Some(asked), .. } = &self.state {
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
        self.parts().await.map(Body::joined)
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
