//! File transfer in parts. The worker reads the next piece when its client accepts more parts, so
//! neither of them ever has more than a few pieces in memory. The client writes a copy of the file
//! and compares it.
#![expect(clippy::print_stdout, reason = "an example is what it prints")]

use std::error::Error;
use std::io;
use std::path::Path;

use majordomus::{Client, Replier, Worker};
use tokio::fs::{self, File};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The size of a part in bytes.
const PIECE_BYTES: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (endpoint, _broker) = majordomus_examples::broker()?;

    // This program's own file, which always exists. The worker selects the file: data from a
    // request must never be used as a path.
    let original = std::env::current_exe()?;
    let offered = original.clone();
    let worker = Worker::builder(&endpoint).serve("example.file", move |_, reply| {
        let offered = offered.clone();
        async move { send(&offered, reply).await }
    })?;

    let copy = std::env::temp_dir().join(format!("majordomus-example-{}", std::process::id()));
    let received = receive(&Client::connect(&endpoint)?, &copy).await;
    let same = fs::read(&original).await? == fs::read(&copy).await?;
    fs::remove_file(&copy).await?;
    let (parts, bytes) = received?;
    println!("{bytes} bytes came in {parts} parts");
    println!("the copy is {} the file", if same { "the same as" } else { "another than" });

    worker.stop().await;
    if same { Ok(()) } else { Err("the copy is wrong".into()) }
}

/// Sends the file as a reply.
async fn send(path: &Path, reply: Replier) {
    let Ok(mut file) = File::open(path).await else {
        return reply.fail_with(404, "the file is not there").await;
    };
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        match (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece).await {
            Ok(0) => return reply.finish("").await,
            // This call waits while the client does not accept more parts.
            Ok(_) => {
                if reply.part(piece).await.is_err() {
                    return;
                }
            }
            // Report the error, so that the client does not treat the parts so far as the whole
            // file.
            Err(error) => return reply.fail(error.to_string()).await,
        }
    }
}

/// Requests the file and writes its parts. Returns the number of parts and of bytes.
async fn receive(client: &Client, path: &Path) -> Result<(u64, u64), Box<dyn Error>> {
    let mut file = File::create(path).await?;
    let mut reply = client.request("example.file", "").send().await;
    let (mut parts, mut bytes) = (0, 0);
    while let Some(part) = reply.next().await {
        let part = part.map_err(io::Error::other)?;
        file.write_all(&part.bytes()).await?;
        parts += 1;
        bytes += part.frames().bytes() as u64;
    }
    file.flush().await?;
    Ok((parts, bytes))
}
