//! libzmq's CLIENT socket, as a client and as a worker, at an endpoint that also serves DEALERs.

use majordomus_interop::{Broker, Dialect, PATIENCE, request, worker};
use majordomus_interop_libzmq::ClientSocket;

/// Encodes parts like `zmsg_encode` of CZMQ.
fn packed(parts: &[&[u8]]) -> Vec<u8> {
    let mut packed = Vec::new();
    for part in parts {
        match u8::try_from(part.len()) {
            Ok(length) if length < 255 => packed.push(length),
            _ => {
                packed.push(255);
                packed.extend_from_slice(&(part.len() as u32).to_be_bytes());
            }
        }
        packed.extend_from_slice(part);
    }
    packed
}

/// Decodes parts like `zmsg_decode` of CZMQ.
fn unpacked(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some((&short, behind)) = rest.split_first() {
        let (length, behind) = match short {
            255 => {
                let (long, behind) = behind.split_first_chunk().expect("four bytes of length");
                (u32::from_be_bytes(*long) as usize, behind)
            }
            _ => (usize::from(short), behind),
        };
        let (part, behind) = behind.split_at(length);
        parts.push(part.to_vec());
        rest = behind;
    }
    parts
}

/// A worker like that of generaldomo.
struct Worker(ClientSocket);

impl Worker {
    fn start(broker: &Broker, service: &str) -> Self {
        let socket = ClientSocket::connect(broker.endpoint(), PATIENCE);
        socket.send(&packed(&[b"MDPW01", b"\x01", service.as_bytes()]));
        Worker(socket)
    }

    /// Waits for a request and sends its body back with one more frame.
    fn echo(&self) {
        let mut asked = self.next();
        assert_eq!(asked[..2], [&b"MDPW01"[..], b"\x02"]);
        assert_eq!(asked[3], b"");
        asked[1] = b"\x03".to_vec();
        asked.push(b"of worker".to_vec());
        let parts: Vec<&[u8]> = asked.iter().map(|part| &part[..]).collect();
        self.0.send(&packed(&parts));
    }

    /// Returns the next message that is not a heartbeat, and answers heartbeats.
    fn next(&self) -> Vec<Vec<u8>> {
        let heartbeat = packed(&[b"MDPW01", b"\x04"]);
        loop {
            let message = self.0.receive();
            if message != heartbeat {
                return unpacked(&message);
            }
            self.0.send(&heartbeat);
        }
    }
}

#[test]
fn a_client_socket_asks_and_serves() {
    if !majordomus_interop_libzmq::is_there() {
        return;
    }
    let broker = Broker::start(&[]);
    let echo = Worker::start(&broker, "echo");
    let client = ClientSocket::connect(broker.endpoint(), PATIENCE);
    let long = [7; 70_000];
    for body in [&b"a"[..], b"", &[7; 254], &[7; 255], &long] {
        client.send(&packed(&[b"MDPC01", b"echo", body]));
        echo.echo();
        let reply = unpacked(&client.receive());
        assert_eq!(reply, [&b"MDPC01"[..], b"echo", body, b"of worker"]);
    }
    client.send(&packed(&[b"MDPC01", b"mmi.service", b"echo"]));
    assert_eq!(unpacked(&client.receive()), [&b"MDPC01"[..], b"mmi.service", b"200"]);
    assert!(!client.sends_several_frames());
}

#[test]
fn it_is_served_by_our_worker_of_each_dialect() {
    if !majordomus_interop_libzmq::is_there() {
        return;
    }
    let broker = Broker::start(&[]);
    let client = ClientSocket::connect(broker.endpoint(), PATIENCE);
    for dialect in Dialect::ALL {
        let _worker = worker(broker.endpoint(), dialect, dialect.name());
        client.send(&packed(&[b"MDPC01", dialect.name().as_bytes(), b"a", b"", b"\xff"]));
        let reply = unpacked(&client.receive());
        assert_eq!(reply, [b"MDPC01", dialect.name().as_bytes(), b"a", b"", b"\xff"]);
    }
}

#[test]
fn it_serves_our_client_of_each_dialect() {
    if !majordomus_interop_libzmq::is_there() {
        return;
    }
    let broker = Broker::start(&[]);
    let endpoint = broker.endpoint().to_owned();
    let echo = Worker::start(&broker, "echo");
    for dialect in Dialect::ALL {
        let endpoint = endpoint.clone();
        let client =
            std::thread::spawn(move || request(&endpoint, dialect, "echo", &["hello", "you"]));
        echo.echo();
        let client = client.join().expect("it ran");
        assert_eq!(client.stdout, "hello\nyou\nof worker\n", "in {dialect}: {}", client.stderr);
        assert!(client.status.success());
    }
}

/// libzmq reconnects without a message: the new broker disconnects the worker, and it registers
/// again.
#[test]
fn its_worker_comes_back_to_a_broker_that_was_killed() {
    if !majordomus_interop_libzmq::is_there() {
        return;
    }
    let mut broker = Broker::start(&["--heartbeat-interval", "200ms"]);
    let echo = Worker::start(&broker, "echo");
    let client = ClientSocket::connect(broker.endpoint(), PATIENCE);
    client.send(&packed(&[b"MDPC01", b"echo", b"a"]));
    echo.echo();
    client.receive();
    broker.restart(majordomus_interop::Signal::KILL);
    echo.0.send(&packed(&[b"MDPW01", b"\x04"]));
    assert_eq!(echo.next(), [&b"MDPW01"[..], b"\x05"]);
    echo.0.send(&packed(&[b"MDPW01", b"\x01", b"echo"]));
    let client = ClientSocket::connect(broker.endpoint(), PATIENCE);
    client.send(&packed(&[b"MDPC01", b"echo", b"b"]));
    echo.echo();
    assert_eq!(unpacked(&client.receive())[2..], [&b"b"[..], b"of worker"]);
}
