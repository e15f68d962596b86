//! A worker and a client in a program without an async runtime. Methods that wait block their
//! thread.
#![expect(clippy::print_stdout, reason = "an example is what it prints")]

use std::error::Error;

use majordomus::blocking::{Client, Replier, Worker};

fn main() -> Result<(), Box<dyn Error>> {
    let (endpoint, _broker) = majordomus_examples::broker()?;

    // Each handler runs on its own thread, so it may block or compute for a long time.
    let worker = Worker::builder(&endpoint)
        .service("example.shout", |request, reply| {
            reply.finish(request.body.text().to_uppercase());
        })
        .service("example.count", |_, reply: Replier| {
            // This call waits while the client does not accept more parts.
            let _ = reply.send_all((1..=3).map(|number| number.to_string()));
        })
        .start()?;

    let client = Client::connect(&endpoint)?;
    println!("{}", client.request("example.shout", "hello").call()?.text());

    // The reply is an iterator over its parts. The last part of `send_all` has no frames.
    for part in client.request("example.count", "").send() {
        for frame in part?.frames().iter() {
            println!("{}", String::from_utf8_lossy(frame));
        }
    }

    worker.stop();
    Ok(())
}
