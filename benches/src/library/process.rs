//! Child processes of this program, and nats-server.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::client::{Each, Report};
use crate::cost;

/// The time within which a server must accept connections.
const START_MAX: Duration = Duration::from_secs(10);

/// A process of a measurement that has printed its first line.
pub(super) struct Child(crate::child::Child);

impl Child {
    pub(super) fn start(args: &[&str]) -> Result<Self, String> {
        crate::child::Child::start(args).map(Self)
    }

    /// Returns its endpoint, or the endpoint to which it is connected: its first line of output.
    pub(super) fn endpoint(&self) -> &str {
        self.0.said()
    }

    /// Returns a client's report.
    pub(super) fn report(self) -> Result<Report, String> {
        let [us, allocations, per_second] = numbers(self.0.said())?;
        let (client, worker) = (Each { us, allocations }, Each::default());
        Ok(Report { client, worker, per_second })
    }

    /// Ends the process and returns its total cost.
    pub(super) fn cost(self) -> Result<Each, String> {
        let [us, allocations] = numbers(&self.0.end()?)?;
        Ok(Each { us, allocations })
    }
}

/// Parses exactly `N` numbers.
fn numbers<const N: usize>(said: &str) -> Result<[f64; N], String> {
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().map_err(|_| format!("it said {said:?}"))
}

/// Prints the endpoint, runs until standard input ends, and prints the cost since then.
pub(super) async fn serve(endpoint: &str) -> Result<(), String> {
    println!("{endpoint}");
    let before = cost::so_far()?;
    let ended = tokio::task::spawn_blocking(|| {
        let mut rest = Vec::new();
        std::io::stdin().lock().read_to_end(&mut rest)
    });
    ended.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let after = cost::so_far()?;
    let allocations = after.allocations - before.allocations;
    println!("{} {allocations}", after.processor_us - before.processor_us);
    Ok(())
}

/// A nats-server on a free port.
pub(super) struct NatsServer {
    child: std::process::Child,
    endpoint: String,
}

impl NatsServer {
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn start_nats_server() -> Result<NatsServer, String> {
    if !cfg!(feature = "nats") {
        return Err("build with `--features nats`".into());
    }
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let port = free.local_addr().map_err(|error| error.to_string())?.port();
    drop(free);
    let mut command = Command::new("nats-server");
    command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command
        .spawn()
        .map_err(|error| format!("nats-server: {error}; `apt-get install nats-server`"))?;
    let server = NatsServer { child, endpoint: format!("127.0.0.1:{port}") };
    let began = Instant::now();
    while TcpStream::connect(server.endpoint()).is_err() {
        if began.elapsed() > START_MAX {
            return Err("nats-server does not listen".into());
        }
        std::thread::yield_now();
    }
    Ok(server)
}
