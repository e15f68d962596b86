//! Price streams. One worker serves every name that begins with `stock.`, and each client has its
//! own stream. A slow reader slows its own stream and no other.
#![expect(clippy::print_stdout, reason = "an example is what it prints")]

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use majordomus::{Client, Replier, Reply, Request, RequestError, Worker};

/// The number of prices in a stream.
const PRICES: usize = 500;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (endpoint, _broker) = majordomus_examples::broker()?;

    // The number of prices that were sent of the slowly read stock.
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let worker =
        Worker::builder(&endpoint).concurrency(2).serve("stock.*", move |request, reply| {
            let counter = (request.service == "stock.SLOW").then(|| Arc::clone(&counter));
            quote(request, reply, counter)
        })?;

    let client = Client::connect(&endpoint)?;
    let mut slow = client.request("stock.SLOW", "100").timeout(None).send().await;
    println!("stock.SLOW begins at {}, and nobody reads on", first(&mut slow).await?);

    // This request uses the same connection and the same worker.
    let mut fast = client.request("stock.FAST", "100").timeout(None).send().await;
    let begin = first(&mut fast).await?;
    let rest = fast.parts().await?;
    let end = rest.last().ok_or("there are more prices")?.text();
    println!("stock.FAST went from {begin} to {end} in {} prices", rest.len() + 1);

    let waiting = sent.load(Ordering::Relaxed);
    println!("stock.SLOW has meanwhile sent {waiting} of {PRICES}");

    let rest = slow.parts().await?;
    let end = rest.last().ok_or("there are more prices")?.text();
    println!("stock.SLOW, read to its end, came to {end} in {} prices", rest.len() + 1);

    worker.stop().await;
    if waiting == PRICES || rest.len() + 1 < PRICES {
        return Err("stock.SLOW was not held back, or lost something".into());
    }
    println!("stock.SLOW was held back, and lost nothing");
    Ok(())
}

/// Returns the first price of a stream.
async fn first(reply: &mut Reply) -> Result<String, RequestError> {
    match reply.next().await {
        Some(price) => Ok(price?.text().into_owned()),
        None => Ok("nothing".into()),
    }
}

/// Replies with a stream of prices that begins at the requested price: a random walk that differs
/// for each name.
async fn quote(request: Request, reply: Replier, counter: Option<Arc<AtomicUsize>>) {
    let Ok(begin) = request.body.text().parse::<i64>() else {
        return reply.fail_with(400, "a price is a number").await;
    };
    let mut cents = begin * 100;
    // A simple random number generator is sufficient for an example.
    let mut state = request.service.bytes().fold(1_u64, |state, byte| state * 31 + u64::from(byte));
    for _ in 1..PRICES {
        // This call waits while the client does not accept more parts.
        if reply.part(price(cents)).await.is_err() {
            return;
        }
        if let Some(counter) = &counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        cents = (cents + (state >> 33) as i64 % 101 - 50).max(1);
    }
    reply.finish(price(cents)).await;
}

fn price(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
