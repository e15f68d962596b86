//! The same request to every worker of a service. `$dir` returns their names, and each worker is
//! then addressed by its name.
#![expect(clippy::print_stdout, reason = "an example is what it prints")]

use std::collections::HashMap;
use std::error::Error;

use majordomus::{Client, Worker};

const SERVICE: &str = "example.broadcast";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (endpoint, _broker) = majordomus_examples::broker()?;

    let mut workers = Vec::new();
    for city in ["Lisbon", "Oslo", "Riga"] {
        let worker = Worker::builder(&endpoint).serve(SERVICE, move |request, reply| {
            reply.finish(format!("{city} has heard {:?}", request.body.text()))
        })?;
        workers.push(worker);
    }

    let client = Client::connect(&endpoint)?;
    let names = loop {
        let names = workers_of(&client, SERVICE).await?;
        // The workers register in the background, so the client polls until all are registered.
        if names.len() >= workers.len() {
            break names;
        }
    };
    println!("{} workers offer {SERVICE}", names.len());

    // Send all requests before reading the first reply.
    let mut replies = Vec::new();
    for name in names {
        replies.push(client.request(SERVICE, "the news").target(&name).send().await);
    }
    let mut answers = Vec::new();
    for reply in replies {
        match reply.whole().await {
            Ok(answer) => answers.push(answer.text().into_owned()),
            // The worker may have disconnected.
            Err(error) => println!("one has not answered: {error}"),
        }
    }
    answers.sort();
    for answer in answers {
        println!("{answer}");
    }

    for worker in workers {
        worker.stop().await;
    }
    Ok(())
}

/// Returns the names of all workers of a service. For an empty request, `$dir` replies with a JSON
/// object: the names of the workers of each service.
async fn workers_of(client: &Client, service: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let directory = client.request("$dir", "").await?;
    let mut directory: HashMap<String, Vec<String>> = serde_json::from_slice(&directory.bytes())?;
    Ok(directory.remove(service).unwrap_or_default())
}
