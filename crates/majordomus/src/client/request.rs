//! A request before it is sent.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::time::Duration;

use majordomus_core::{ClientInput, Label};
use majordomus_wire::check_service_name;
use tokio::sync::mpsc;

use crate::client::driver::{Ask, PARTS_MAX};
use crate::client::{Client, Shared};
use crate::link::{HEAD_FRAMES_MAX, head_bytes_max};
use crate::{Body, Reply, RequestError};

/// A request before it is sent, from [`Client::request`].
///
/// Awaiting it sends it and waits for the whole reply. [`send`](Self::send) is for those who want
/// the parts of the reply one by one.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited, or `send` is"]
pub struct RequestBuilder {
    client: Client,
    service: String,
    body: Body,
    timeout: Option<Duration>,
    reports: u32,
}

impl RequestBuilder {
    pub(crate) fn new(client: Client, service: &str, body: Body) -> Self {
        let timeout = client.shared.timeout;
        Self { client, service: service.into(), body, timeout, reports: 1 }
    }

    /// How long it may take, counted from when it is sent and again from each part of its reply;
    /// `None` is as long as it takes. While parts wait to be read by you, no time is counted.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// client.request("sleep", "1 h").timeout(None).await?;
    /// client.request("echo", "hello").timeout(Duration::from_millis(500)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// How many reports make up its reply in [`Dialect::Libmdp`](crate::Dialect::Libmdp), which has
    /// any number of them and does not say which is the last; 1 unless set, and none is as good as
    /// 1. In other dialects the reply tells its own end, and this changes nothing.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let mut reply = client.request("count", "to three").reports(3).send().await;
    /// while let Some(report) = reply.next().await {
    ///     println!("{}", report?.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn reports(mut self, count: u32) -> Self {
        self.reports = count;
        self
    }

    /// Gives it to the client's task, and returns where the reply will come. Waits only while many
    /// others are being given to the task.
    ///
    /// Whatever is wrong with it is the first thing that the reply says.
    ///
    /// ```no_run
    /// # async fn example(client: majordomus::Client) -> Result<(), majordomus::RequestError> {
    /// let mut reply = client.request("count", "to three").send().await;
    /// while let Some(part) = reply.next().await {
    ///     println!("{}", part?.text());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send(self) -> Reply {
        let Shared { limits, dialect, .. } = &*self.client.shared;
        if let Err(offence) = check_service_name(self.service.as_bytes()) {
            return Reply::failed(RequestError::BadService(offence));
        }
        let (bytes, frames) = (self.body.frames().bytes(), self.body.frames().len());
        if bytes.saturating_add(head_bytes_max(*dialect)) > limits.message_bytes_max
            || frames.saturating_add(HEAD_FRAMES_MAX) > limits.frames_max
        {
            return Reply::failed(RequestError::TooLarge);
        }
        let handle = self.client.shared.next_request();
        // One place more than there may be parts, so that its end always finds room.
        let (deliveries, delivered) = mpsc::channel(PARTS_MAX + 1);
        let input = ClientInput::Request {
            handle,
            service: Label::from(self.service.as_str()),
            body: self.body.into_frames(),
            timeout: self.timeout,
        };
        match self.client.asks.send(Ask { handle, input, deliveries }).await {
            Ok(()) => {
                let parts_max = (!self.client.shared.has_finals).then_some(self.reports);
                Reply::new(handle, delivered, self.client.cancels, parts_max)
            }
            Err(_) => Reply::failed(RequestError::Stopped),
        }
    }
}

impl IntoFuture for RequestBuilder {
    type Output = Result<Body, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Sends it and waits for the whole reply.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { self.send().await.whole().await })
    }
}
