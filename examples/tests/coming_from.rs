//! Test that the Rust code in docs/coming-from.md works as written, except for the endpoint.

use std::error::Error;
use std::time::Duration;

use majordomus::{Body, Broker, Client, Replier, Request, RequestError, Worker};

type Failure = Box<dyn Error>;

#[expect(clippy::print_stdout, unused_variables, reason = "it is as the document has it")]
mod pieces {
    use super::*;

    include!(concat!(env!("OUT_DIR"), "/coming_from.rs"));
}

#[tokio::test]
async fn every_piece_runs_to_its_end() -> Result<(), Failure> {
    let broker = Broker::start("inproc://coming-from")?;
    let worker = Worker::builder(broker.endpoint())
        .service("echo", |request, reply| reply.finish(request.body))
        .service("count", |_, reply: Replier| async move {
            let _ = reply.send_all(["one", "two", "three"]).await;
        })
        .service("stock.*", |request, reply| reply.finish(request.service))
        .start()?;
    let client = Client::connect(broker.endpoint())?;
    pieces::all(&client).await?;
    worker.stop().await;
    Ok(())
}
