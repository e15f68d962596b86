//! Cancellation of a long computation: the client drops the reply, and the worker stops within a
//! round trip.
#![expect(clippy::print_stdout, reason = "an example is what it prints")]

use std::error::Error;
use std::time::{Duration, Instant};

use majordomus::{Cancellation, Client, Replier, Worker};
use tokio::sync::mpsc;
use tokio::time::timeout;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (endpoint, _broker) = majordomus_examples::broker()?;

    // The channel on which the worker reports the time when it stopped, and its result.
    let (tell, mut told) = mpsc::channel(1);
    let worker = Worker::builder(&endpoint)
        .concurrency(2)
        .service("example.echo", |request, reply| reply.finish(request.body))
        .service("example.twins", move |_, reply| search(reply, tell.clone()))
        .start()?;

    let client = Client::connect(&endpoint)?;
    client.request("example.echo", "").await?;
    let start = Instant::now();
    client.request("example.echo", "").await?;
    println!("a round trip takes {:?}", start.elapsed());

    let mut reply = client.request("example.twins", "").timeout(None).send().await;
    if let Some(first) = reply.next().await {
        println!("the worker says: {}", first?.text());
    }
    println!("that is enough: the reply is dropped");
    let dropped = Instant::now();
    drop(reply);

    let (stopped, found) = timeout(Duration::from_secs(10), told.recv()).await?.ok_or("no word")?;
    println!("the worker stopped {:?} later; it had come to {found}", stopped - dropped);

    worker.stop().await;
    println!("nobody computes any more");
    Ok(())
}

/// Searches for the largest twin primes until the request is cancelled, because there may be no
/// largest ones.
async fn search(reply: Replier, tell: mpsc::Sender<(Instant, u64)>) {
    let cancellation = reply.cancellation();
    // A computation must not block a thread that sends heartbeats.
    let searching = tokio::task::spawn_blocking(move || twins(&cancellation));
    if reply.part("I begin with 3 and 5").await.is_err() {
        return;
    }
    if let Ok(found) = searching.await {
        let _ = tell.send((Instant::now(), found)).await;
    }
}

/// Returns the largest twin primes that were found before the cancellation: the lower of the two.
fn twins(cancellation: &Cancellation) -> u64 {
    let is_prime =
        |number: u64| (2..).take_while(|d| d * d <= number).all(|d| !number.is_multiple_of(d));
    let mut largest = 3;
    for number in (3..).step_by(2) {
        if cancellation.is_cancelled() {
            break;
        }
        if is_prime(number) && is_prime(number + 2) {
            largest = number;
        }
    }
    largest
}
