//! A minimal echo worker and its client.
#![expect(clippy::print_stdout, reason = "an example is what it prints")]

use std::error::Error;

use majordomus::{Body, Client, Worker};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (endpoint, _broker) = majordomus_examples::broker()?;

    let worker = Worker::builder(&endpoint)
        .serve("example.echo", |request, reply| reply.finish(request.body))?;

    let client = Client::connect(&endpoint)?;
    let reply = client.request("example.echo", "hello").await?;
    println!("{}", reply.text());

    // A body has any number of frames, which can contain any bytes.
    let three = Body::from_frames(["one", "", "three"]);
    let reply = client.request("example.echo", three).await?;
    for frame in reply.frames().iter() {
        println!("{:?}", String::from_utf8_lossy(frame));
    }

    worker.stop().await;
    Ok(())
}
