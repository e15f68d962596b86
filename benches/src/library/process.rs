//! Processes of this program, and nats-server.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::{Each, Report};
use super::cost;

/// How long a server may take until it can be connected to.
const START_MAX: Duration = Duration::from_secs(10);

/// A process of this program. It ends when its standard input does.
pub(super) struct Child {
    child: std::process::Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// The first line that it said.
    said: String,
}

impl Child {
    /// Starts one, and waits for the first line that it says.
    pub(super) fn start(args: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().ok_or("it has no output")?);
        let mut said = String::new();
        stdout.read_line(&mut said).map_err(|error| error.to_string())?;
        if said.is_empty() {
            return Err(format!("{args:?} said nothing"));
        }
        Ok(Self { child, stdin, stdout, said: said.trim().into() })
    }

    /// Where it listens, or what it is connected to, as it says first.
    pub(super) fn endpoint(&self) -> &str {
        &self.said
    }

    /// What a client says in the end.
    pub(super) fn report(self) -> Result<Report, String> {
        let [us, allocations, per_second] = numbers(&self.said)?;
        let (client, worker) = (Each { us, allocations }, Each::default());
        Ok(Report { client, worker, per_second })
    }

    /// Ends it: what it has cost in all.
    pub(super) fn cost(mut self) -> Result<Each, String> {
        drop(self.stdin.take());
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).map_err(|error| error.to_string())?;
        let [us, allocations] = numbers(&said)?;
        Ok(Each { us, allocations })
    }
}

/// So many numbers, and nothing else.
fn numbers<const N: usize>(said: &str) -> Result<[f64; N], String> {
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().map_err(|_| format!("it said {said:?}"))
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Says where it is, runs until standard input ends, and says what it has cost since.
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

/// A nats-server on a port that was free.
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
