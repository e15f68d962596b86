//! A client and a worker with two brokers. One broker is shut down in the middle of many requests,
//! and every request is still answered.
#![expect(clippy::print_stdout, reason = "an example is what it prints")]

use std::error::Error;
use std::sync::Arc;

use majordomus::{Broker, Brokers, Client, Retry, Worker};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The number of requests, and the maximum number in flight.
const REQUESTS: usize = 1_000;
const AT_ONCE: usize = 20;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let brokers = [Broker::start("inproc://*")?, Broker::start("inproc://*")?];
    let endpoints = brokers.each_ref().map(|broker| broker.endpoint().to_string());

    let worker = Worker::builder(endpoints.clone()).concurrency(8).serve(
        "example.double",
        |request, reply| async move {
            match request.body.text().parse::<usize>() {
                Ok(number) => reply.finish((2 * number).to_string()).await,
                Err(_) => reply.fail_with(400, "this is no number").await,
            }
        },
    )?;

    // Distribute requests over both brokers. By default, a client uses the first connected broker.
    let client = Client::builder(endpoints.clone()).brokers(Brokers::Spread).connect()?;
    let mut events = client.events();
    let telling = tokio::spawn(async move {
        while let Some(event) = events.next().await {
            println!("{event}");
        }
    });

    let [first, second] = brokers;
    let half = Arc::new(Semaphore::new(0));
    let seen = Arc::clone(&half);
    let end = tokio::spawn(async move {
        let _ = half.acquire_many(REQUESTS as u32 / 2).await;
        println!("after {} replies the first broker is shut down", REQUESTS / 2);
        first.shutdown().await
    });

    let (mut asking, mut right) = (JoinSet::new(), 0);
    for number in 0..REQUESTS {
        if asking.len() == AT_ONCE
            && let Some(done) = asking.join_next().await
        {
            right += usize::from(done?);
        }
        let (client, seen) = (client.clone(), Arc::clone(&seen));
        asking.spawn(async move {
            // The request is idempotent, so it may be retried, also at the other broker.
            let request = client.request("example.double", number.to_string());
            let reply = request.retry(Retry::times(5)).await;
            seen.add_permits(1);
            reply.is_ok_and(|reply| reply.text() == (2 * number).to_string())
        });
    }
    while let Some(done) = asking.join_next().await {
        right += usize::from(done?);
    }
    // This drops the last handle of the client, so its connections and its events end.
    drop(client);
    telling.await?;
    let had_first = end.await??.counters.received;
    let had_second = second.shutdown().await?.counters.received;
    println!("the first broker had {had_first} requests, the second {had_second}");
    println!("{right} of {REQUESTS} replies are right");

    worker.stop().await;
    if right == REQUESTS { Ok(()) } else { Err("a request was lost".into()) }
}
