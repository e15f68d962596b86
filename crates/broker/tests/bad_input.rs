//! Bad input: rejected, counted by reason, and the next well-behaved client is served as before.

mod common;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::{Log, Patient, Peer, address, broker_with, round_trip, wait_for, write_unsent};
use majordomus_broker::{Broker, Config};
use majordomus_zmtp::{Metadata, SocketType};

/// A peer's misbehaviour and its consequences.
struct Case {
    configure: fn(&mut Config),
    /// The reason counted for its closed connection.
    closed: Option<&'static str>,
    /// The reason counted for its rejected message.
    refused: Option<&'static str>,
}

const DROPPED: Case = Case { configure: |_| {}, closed: None, refused: None };

impl Case {
    /// Misbehaves twice towards a broker with a well-behaved worker.
    #[track_caller]
    fn check(self, offend: impl Fn(&Broker)) {
        let broker = broker_with(self.configure);
        let mut worker = Peer::worker(&broker, "echo");
        for times in 1..=2 {
            offend(&broker);
            wait_for(&broker, "the violation to be counted", |now| {
                let count = |tally: &majordomus_broker::Tally, reason: Option<&'static str>| {
                    reason.is_none_or(|reason| tally.get(reason).is_some_and(|n| *n >= times))
                };
                count(&now.closed, self.closed) && count(&now.refused, self.refused)
            });
            round_trip(&broker, &mut worker, "echo");
        }
        let summary = broker.shutdown().expect("it ran");
        assert_eq!(summary.counters.received, 2);
        assert!(summary.counters.balanced());
    }
}

/// Sends bytes in place of a handshake, or after one.
fn send_raw(broker: &Broker, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address(broker)).expect("it listens");
    let _ = stream.write_all(bytes);
    let mut peer_reads = Vec::new();
    let _ = stream.read_to_end(&mut peer_reads);
}

fn greeting() -> Vec<u8> {
    let mut greeting = vec![0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3, 1];
    greeting.extend_from_slice(b"NULL");
    greeting.resize(64, 0);
    greeting
}

/// Checks that the connection is closed after these bytes, sent after a valid handshake.
#[track_caller]
fn check_traffic(configure: fn(&mut Config), closed: &'static str, bytes: &'static [u8]) {
    Case { configure, closed: Some(closed), ..DROPPED }.check(|broker| {
        let mut peer = Peer::connect(broker);
        peer.send_raw(bytes);
        peer.expect_end();
    });
}

#[test]
fn a_message_of_one_frame() {
    check_message("unknown_header", &[b"hello"]);
}

#[test]
fn a_message_of_one_empty_frame() {
    check_message("missing_header", &[b""]);
}

#[test]
fn only_a_header() {
    check_message("missing_service", &[b"", b"MDPC01"]);
}

#[test]
fn a_header_of_no_dialect() {
    check_message("unknown_header", &[b"", b"MDPX77", b"echo", b"x"]);
}

#[test]
fn a_name_that_is_not_utf8() {
    check_message("service_not_utf8", &[b"", b"MDPC01", b"\xFF\xFE", b"x"]);
}

#[test]
fn a_name_of_ten_thousand_bytes() {
    static LONG: [u8; 10_000] = [b'n'; 10_000];
    check_message("service_too_long", &[b"", b"MDPC01", &LONG, b"x"]);
}

/// Checks that a client's message is dropped and that its connection can still be used for a
/// request.
#[track_caller]
fn check_message(refused: &'static str, message: &[&[u8]]) {
    let broker = broker_with(|_| {});
    let mut worker = Peer::worker(&broker, "echo");
    let mut peer = Peer::connect(&broker);
    for times in 1..=2 {
        peer.send(message);
        peer.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
        peer.expect(&[b"", b"MDPC01", b"mmi.service", b"200"]);
        let snapshot = broker.control().snapshot().expect("it runs");
        // The second time the dialect is known, so the violation may have another name.
        let refusals = snapshot.refused.values().sum::<u64>();
        assert_eq!(refusals, times, "{snapshot}");
        assert!(snapshot.refused.contains_key(refused), "{snapshot}");
        round_trip(&broker, &mut worker, "echo");
    }
}

#[test]
fn a_worker_s_bad_message_is_answered_with_disconnect() {
    static LONG: [u8; 10_000] = [b'n'; 10_000];
    let broker = broker_with(|_| {});
    let mut worker = Peer::worker(&broker, "echo");
    for message in [
        &[&b""[..], b"MDPW01"][..],
        &[b"", b"MDPW01", b"\x09"],
        &[b"", b"MDPW01", b"\x01", b"\xFF"],
        &[b"", b"MDPW01", b"\x01", &LONG],
        &[b"", b"MDPW01", b"\x01", b"mmi.x"],
        &[b"", b"MDPW01", b"\x04"],
        &[b"", b"MDPW01", b"\x03", b"forged", b"", b"x"],
    ] {
        let mut offender = Peer::connect(&broker);
        offender.send(message);
        offender.expect(&[b"", b"MDPW01", b"\x05"]);
        round_trip(&broker, &mut worker, "echo");
    }
}

#[test]
fn a_greeting_of_garbage() {
    Case { closed: Some("greeting_not_zmtp"), ..DROPPED }
        .check(|broker| send_raw(broker, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
}

#[test]
fn half_a_greeting_and_silence() {
    let configure =
        |config: &mut Config| config.connections.handshake_timeout = Duration::from_millis(50);
    Case { configure, closed: Some("handshake_timeout"), refused: None }
        .check(|broker| send_raw(broker, &greeting()[..30]));
}

#[test]
fn nothing_at_all() {
    let configure =
        |config: &mut Config| config.connections.handshake_timeout = Duration::from_millis(50);
    Case { configure, closed: Some("handshake_timeout"), refused: None }
        .check(|broker| send_raw(broker, &[]));
}

#[test]
fn zmtp_before_3() {
    Case { closed: Some("version_too_old"), ..DROPPED }
        .check(|broker| send_raw(broker, &[0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 1, 5]));
}

#[test]
fn another_mechanism() {
    let mut curve = greeting();
    curve[12..17].copy_from_slice(b"CURVE");
    Case { closed: Some("mechanism_mismatch"), ..DROPPED }.check(|broker| send_raw(broker, &curve));
}

#[test]
fn a_handshake_without_end() {
    let mut bytes = greeting();
    // READY with 60,000 bytes.
    bytes.extend_from_slice(&[0x06, 0, 0, 0, 0, 0, 0, 0xEA, 0x60]);
    bytes.resize(20_000, 0);
    Case { closed: Some("handshake_too_long"), ..DROPPED }.check(|broker| send_raw(broker, &bytes));
}

#[test]
fn a_message_before_the_handshake_ends() {
    let mut bytes = greeting();
    bytes.extend_from_slice(b"\x00\x05hello");
    Case { closed: Some("message_before_ready"), ..DROPPED }
        .check(|broker| send_raw(broker, &bytes));
}

#[test]
fn a_socket_type_that_is_not_served() {
    Case { closed: Some("socket_type"), ..DROPPED }.check(|broker| {
        let stream = TcpStream::connect(address(broker)).expect("it listens");
        let metadata = Metadata::new(SocketType::Sub);
        let mut zmtp = majordomus_zmtp::Connection::connector(
            majordomus_zmtp::Security::Null,
            majordomus_zmtp::Limits::default(),
            metadata,
        );
        let mut stream = stream;
        let error = loop {
            let polled = zmtp.poll();
            write_unsent(&mut zmtp, &mut stream);
            match polled {
                Err(error) => break error,
                Ok(_) => {
                    let mut buffer = bytes::BytesMut::zeroed(1_024);
                    let read = stream.read(&mut buffer).expect("an answer");
                    assert!(read > 0, "it says why before it closes");
                    zmtp.receive(&mut buffer.split_to(read));
                }
            }
        };
        assert!(error.to_string().contains("SUB socket"), "{error}");
    });
}

#[test]
fn a_length_of_2_to_the_62() {
    check_traffic(|_| {}, "frame_too_long", &[0x02, 0x40, 0, 0, 0, 0, 0, 0, 0, 1]);
}

#[test]
fn a_length_of_2_to_the_63_less_one() {
    check_traffic(
        |_| {},
        "frame_too_long",
        &[0x02, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    );
}

#[test]
fn frames_without_end() {
    static FRAMES: [u8; 4_096] = {
        let mut frames = [0; 4_096];
        let mut at = 0;
        while at < frames.len() {
            // One more, empty frame follows.
            frames[at] = 0x01;
            at += 2;
        }
        frames
    };
    check_traffic(|_| {}, "too_many_frames", &FRAMES);
}

#[test]
fn frames_that_are_too_much_together() {
    static FRAMES: [u8; 5 * 102] = {
        let mut frames = [7; 5 * 102];
        let mut at = 0;
        while at < frames.len() {
            (frames[at], frames[at + 1]) = (0x01, 100);
            at += 102;
        }
        frames
    };
    check_traffic(|config| config.connections.message_bytes_max = 450, "message_too_long", &FRAMES);
}

#[test]
fn flags_that_are_reserved() {
    check_traffic(|_| {}, "reserved_flag_bits", &[0xF0, 1, 1]);
}

#[test]
fn a_command_that_is_none() {
    check_traffic(|_| {}, "ping_without_ttl", &[0x04, 5, 4, b'P', b'I', b'N', b'G']);
}

#[test]
fn a_message_that_stops_in_the_middle_gives_its_memory_back() {
    let broker = broker_with(|config| {
        config.connections.message_bytes_max = 1 << 20;
        config.connections.reception_bytes_max = 3 << 19;
        config.core.stall_timeout = Duration::from_millis(200);
    });
    let mut worker = Peer::worker(&broker, "echo");
    let mut stalled = Peer::connect(&broker);
    // A frame of 1 MiB of which only ten bytes arrive.
    stalled.send_raw(b"\x02\0\0\0\0\0\x10\0\0");
    stalled.send_raw(&[1; 10]);
    wait_for(&broker, "the memory to be reserved", |now| now.reception_bytes >= 1 << 20);
    // The second peer waits for memory and gets it when the first is disconnected.
    let mut client = Peer::connect(&broker);
    let body = vec![7u8; 900_000];
    client.send(&[b"", b"MDPC01", b"echo", &body]);
    let (address, received) = worker.request();
    assert!(received[0] == body, "the body comes as it was");
    worker.reply(&address, &[b"done"]);
    client.expect(&[b"", b"MDPC01", b"echo", b"done"]);
    stalled.expect_end();
    wait_for(&broker, "all memory to be given back", |now| now.reception_bytes == 0);
    let summary = broker.shutdown().expect("it ran");
    assert_eq!(summary.closed.get("stalled"), Some(&1));
}

#[test]
fn a_message_that_drips_in_does_not_keep_others_from_its_memory() {
    let broker = broker_with(|config| {
        config.connections.message_bytes_max = 64 << 20;
        config.connections.reception_bytes_max = 65 << 20;
        config.core.stall_timeout = Duration::from_millis(200);
    });
    let mut worker = Peer::worker(&broker, "echo");
    let mut dripping = Peer::connect(&broker);
    // A frame of 64 MiB, one byte at a time.
    dripping.send_raw(b"\x02\0\0\0\0\x04\0\0\0");
    dripping.send_raw(&[1; 20_000]);
    wait_for(&broker, "the memory to be reserved", |now| now.reception_bytes >= 64 << 20);
    let drip = std::thread::spawn(move || {
        while dripping.stream.write_all(&[1]).is_ok() {
            std::thread::yield_now();
        }
    });
    let mut client = Peer::connect(&broker);
    client.send(&[b"", b"MDPC01", b"echo", &vec![7; 2 << 20]]);
    let (address, _) = worker.request();
    worker.reply(&address, &[b"done"]);
    client.expect(&[b"", b"MDPC01", b"echo", b"done"]);
    drip.join().expect("it was cut");
    assert_eq!(broker.shutdown().expect("it ran").closed.get("too_slow"), Some(&1));
}

#[test]
fn a_busy_worker_that_waits_for_memory_to_reply_is_not_lost() {
    let broker = broker_with(|config| {
        config.connections.message_bytes_max = 2 << 20;
        config.connections.reception_bytes_max = 3 << 20;
        config.core.heartbeat_interval = Duration::from_millis(50);
        config.core.stall_timeout = Duration::from_secs(1);
    });
    let mut worker = Peer::worker(&broker, "echo");
    let mut client = Peer::connect(&broker);
    client.send(&[b"", b"MDPC01", b"echo", b"x"]);
    let (address, _) = worker.request();
    let mut stalled = Peer::connect(&broker);
    stalled.send_raw(b"\x02\0\0\0\0\0\x20\0\0");
    stalled.send_raw(&[1; 20_000]);
    wait_for(&broker, "the memory to be reserved", |now| now.reception_bytes >= 2 << 20);
    // The reply waits for memory for a second, much longer than the worker may be silent.
    worker.reply(&address, &[&vec![7; 2_000_000]]);
    assert_eq!(client.frames()[3].len(), 2_000_000);
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!((counters.redelivered, counters.workers_lost), (0, 1));
}

#[test]
fn a_message_that_is_larger_than_all_memory_may_come_alone() {
    let broker = broker_with(|config| {
        config.connections.message_bytes_max = 1 << 20;
        config.connections.reception_bytes_max = 1 << 20;
    });
    let mut worker = Peer::worker(&broker, "echo");
    let mut client = Peer::connect(&broker);
    client.send(&[b"", b"MDPC01", b"echo", &vec![7; (1 << 20) - 10]]);
    assert_eq!(worker.request().1[0].len(), (1 << 20) - 10);
}

/// Writes one byte at a time, with an iteration of the broker after each.
struct Dripping<'a>(TcpStream, &'a Broker);

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Dripping<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(&bytes[..bytes.len().min(1)])?;
        self.1.control().snapshot().expect("the broker runs");
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Patient for Dripping<'_> {
    fn patience(&self, span: Duration) {
        self.0.patience(span);
    }
}

#[test]
fn who_shakes_hands_a_byte_at_a_time_is_served_as_well() {
    let broker = broker_with(|_| {});
    let mut worker = Peer::worker(&broker, "echo");
    let mut shake_hands = |attempt: u32| {
        let stream = TcpStream::connect(address(&broker)).expect("it listens");
        stream.set_nodelay(true).expect("an option of TCP");
        let metadata = Metadata::new(SocketType::Dealer);
        let metadata = metadata.with_routing_id(format!("slow-{attempt}").as_bytes());
        let began = Instant::now();
        let client = Peer::shake_hands(Dripping(stream, &broker), metadata);
        // After more than sixteen reads the broker delays the handshake. On a busy machine one read may
        // take several bytes, and then there are fewer reads.
        (began.elapsed() >= Duration::from_millis(50)).then_some(client)
    };
    let mut client = (0..20).find_map(&mut shake_hands).expect("the broker delays a handshake");
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    let (address, body) = worker.request();
    assert_eq!(body, ["hello"]);
    worker.reply(&address, &[b"hello"]);
    client.expect(&[b"", b"MDPC01", b"echo", b"hello"]);
}

#[test]
fn at_the_limit_of_handshakes_the_oldest_is_cut() {
    Case {
        configure: |config| config.connections.handshakes_per_address_max = 4,
        closed: Some("handshakes_max"),
        refused: None,
    }
    .check(|broker| {
        let silent: Vec<_> =
            (0..5).map(|_| TcpStream::connect(address(broker)).expect("it listens")).collect();
        wait_for(broker, "one to be cut", |now| now.closed.contains_key("handshakes_max"));
        drop(silent);
        wait_for(broker, "the others to be gone", |now| now.handshakes == 0);
    });
}

#[test]
fn at_the_limit_of_connections_the_newest_is_closed() {
    let broker = broker_with(|config| config.connections.connections_max = 2);
    let _worker = Peer::worker(&broker, "echo");
    let mut client = Peer::connect(&broker);
    client.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    client.expect(&[b"", b"MDPC01", b"mmi.service", b"200"]);
    send_raw(&broker, &[]);
    wait_for(&broker, "the third to be closed", |now| {
        now.closed.get("connections_max") == Some(&1)
    });
    drop(client);
    wait_for(&broker, "one to be gone", |now| now.connections == 1);
    // A connection that has sent nothing is closed to accept the next.
    let mut quiet = Peer::connect(&broker);
    wait_for(&broker, "its handshake to end", |now| now.connections == 2 && now.handshakes == 0);
    Peer::connect(&broker);
    quiet.expect_end();
}

#[test]
fn the_log_mentions_a_peer_once_a_second() {
    let log = Log::of_this_program();
    let broker = broker_with(|_| {});
    let begun = Instant::now();
    let mut peer = Peer::connect(&broker);
    for _ in 0..10_000 {
        peer.queue(&[b"", b"MDPC01", b"\xFF\xFF"]);
    }
    peer.flush();
    peer.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    peer.expect(&[b"", b"MDPC01", b"mmi.service", b"404"]);
    let snapshot = broker.control().snapshot().expect("it runs");
    assert_eq!(snapshot.refused.get("service_not_utf8"), Some(&10_000));
    let port = peer.stream.local_addr().expect("an address").port().to_string();
    let lines = log.lines().iter().filter(|line| line.contains(&port)).count() as u64;
    assert!((1..=1 + begun.elapsed().as_secs()).contains(&lines), "{lines} lines");
}
