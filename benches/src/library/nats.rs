//! The same measurements over NATS, with the crate `async-nats` and the feature `nats`.

use super::client::{Load, Report};
#[cfg(feature = "nats")]
use super::{
    client::{Echo, check},
    process::{self, Child},
};

#[cfg(feature = "nats")]
#[derive(Clone)]
struct Nats(async_nats::Client);

#[cfg(feature = "nats")]
impl Nats {
    async fn connect(endpoint: &str) -> Result<Self, String> {
        async_nats::connect(endpoint).await.map(Self).map_err(|error| error.to_string())
    }
}

#[cfg(feature = "nats")]
impl Echo for Nats {
    async fn echo(&self, body: bytes::Bytes) -> Result<(), String> {
        let reply = self.0.request("echo", body.clone()).await;
        check(&reply.map_err(|error| error.to_string())?.payload, &body)
    }
}

#[cfg(feature = "nats")]
pub(super) fn measure(endpoint: &str, load: Load) -> Result<Report, String> {
    let worker = Child::start(&["library-run", "nats-worker", endpoint])?;
    let [in_flight, body, requests] =
        [load.in_flight, load.body, load.requests].map(|number| number.to_string());
    let args = ["library-run", "nats-client", endpoint, &in_flight, &body, &requests];
    let report = Child::start(&args)?.report()?;
    Ok(report.with_worker(worker.cost()?, load))
}

#[cfg(feature = "nats")]
pub(super) async fn run(what: &str, rest: &[&str]) -> Result<(), String> {
    match (what, rest) {
        ("nats-worker", [endpoint]) => {
            let client = Nats::connect(endpoint).await?.0;
            let asked = client.subscribe("echo").await.map_err(|error| error.to_string())?;
            client.flush().await.map_err(|error| error.to_string())?;
            let serving = tokio::spawn(serve(client, asked));
            process::serve(endpoint).await?;
            serving.abort();
            Ok(())
        }
        ("nats-client", [endpoint, load @ ..]) => {
            super::client::run(Nats::connect(endpoint).await?, load).await
        }
        _ => Err(format!("cannot run {what}")),
    }
}

#[cfg(feature = "nats")]
async fn serve(client: async_nats::Client, mut asked: async_nats::Subscriber) {
    use std::pin::Pin;

    use futures_core::Stream;

    while let Some(message) =
        std::future::poll_fn(|context| Pin::new(&mut asked).poll_next(context)).await
    {
        if let Some(reply) = message.reply {
            let _ = client.publish(reply, message.payload).await;
        }
    }
}

#[cfg(not(feature = "nats"))]
pub(super) fn measure(_endpoint: &str, _load: Load) -> Result<Report, String> {
    Err("build with `--features nats`".into())
}

#[cfg(not(feature = "nats"))]
pub(super) async fn run(what: &str, _rest: &[&str]) -> Result<(), String> {
    Err(format!("cannot run {what}: build with `--features nats`"))
}
