//! The reply to a request.

use majordomus_core::{Delivery, Failure, Frames, RequestHandle};
use tokio::sync::mpsc;

use crate::{Body, RequestError};

/// The reply to a request, part by part, from [`RequestBuilder::send`](crate::RequestBuilder::send).
///
/// Dropping it before its end gives the request up. A reader that is slow makes the broker wait: the
/// client holds 16 parts, and then reads no more until there is room.
#[derive(Debug)]
pub struct Reply {
    state: State,
}

#[derive(Debug)]
enum State {
    Failed(RequestError),
    Open {
        handle: RequestHandle,
        deliveries: mpsc::Receiver<Delivery>,
        cancels: mpsc::UnboundedSender<RequestHandle>,
        /// After how many parts it ends, where nobody says that one is the last.
        parts_left: Option<u32>,
    },
    Ended,
}

impl Reply {
    pub(crate) fn new(
        handle: RequestHandle,
        deliveries: mpsc::Receiver<Delivery>,
        cancels: mpsc::UnboundedSender<RequestHandle>,
        parts_left: Option<u32>,
    ) -> Self {
        Self { state: State::Open { handle, deliveries, cancels, parts_left } }
    }

    pub(crate) fn failed(error: RequestError) -> Self {
        Self { state: State::Failed(error) }
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
        let delivery = match &mut self.state {
            State::Open { deliveries, .. } => deliveries.recv().await,
            State::Failed(_) => {
                let State::Failed(error) = std::mem::replace(&mut self.state, State::Ended) else {
                    return None;
                };
                return Some(Err(error));
            }
            State::Ended => return None,
        };
        if let Some(Delivery::Part(body)) = delivery {
            self.count_part();
            return Some(Ok(Body::received(body)));
        }
        self.state = State::Ended;
        Some(match delivery {
            Some(Delivery::Part(body) | Delivery::Final(body)) => Ok(Body::received(body)),
            Some(Delivery::Failed(failure)) => Err(failure.into()),
            None => Err(RequestError::Stopped),
        })
    }

    /// Ends it after the part that was to be the last.
    fn count_part(&mut self) {
        let State::Open { parts_left: Some(left), .. } = &mut self.state else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            // The broker may still say more to it, and must not say it to the next one.
            self.give_up();
            self.state = State::Ended;
        }
    }

    fn give_up(&self) {
        if let State::Open { handle, cancels, .. } = &self.state {
            // At most one for each request that there is, so this channel needs no other bound.
            let _ = cancels.send(*handle);
        }
    }

    /// The frames of all parts that have not been read yet, in one body, when the last one is here.
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
        while let Some(part) = self.next().await {
            parts.push(part?.into_frames());
        }
        match parts.pop() {
            Some(only) if parts.is_empty() => Ok(only.into()),
            last => {
                parts.extend(last);
                Ok(Frames::joined(&parts).into())
            }
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Timeout => RequestError::Timeout,
            Failure::Disconnected => RequestError::Disconnected,
            Failure::Refused => RequestError::Refused,
            Failure::Remote(outcome, body) if body.bytes() == 0 => {
                RequestError::Remote { text: outcome.to_string() }
            }
            Failure::Remote(_, body) => {
                RequestError::Remote { text: Body::received(body).text().into_owned() }
            }
        }
    }
}
