//! The same request to every worker of a service: `$dir` says who they are, and each is asked by its
//! name.
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
        // They register in their own time, and each asks the broker to look again.
        if names.len() >= workers.len() {
            break names;
        }
    };
    println!("{} workers offer {SERVICE}", names.len());

    // All are asked before the first answers.
    let mut replies = Vec::new();
    for name in names {
        replies.push(client.request(SERVICE, "the news").target(&name).send().await);
    }
    let mut answers = Vec::new();
    for reply in replies {
        match reply.whole().await {
            Ok(answer) => answers.push(answer.text().into_owned()),
            // It may have gone since.
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

/// The names of all workers that offer a service. Asked with nothing, `$dir` answers with a JSON
/// object: the names of the workers for each service.
async fn workers_of(client: &Client, service: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let directory = client.request("$dir", "").await?;
    let mut directory: HashMap<String, Vec<String>> = serde_json::from_slice(&directory.bytes())?;
    Ok(directory.remove(service).unwrap_or_default())
}
