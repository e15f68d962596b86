//! Tests of normal service: endpoints, dialects, liveness, large bodies, shutdown.

mod common;

use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::{Duration, Instant};

use common::{Patient, Peer, address_of, broker, broker_with, round_trip, wait_for};
use majordomus_broker::{Broker, Config, Dialect, Errors, Listen, StartError};
use majordomus_zmtp::{Metadata, SocketType};

/// The first frames of a message.
type Words = &'static [&'static [u8]];

fn dealer() -> Metadata {
    Metadata::new(SocketType::Dealer)
}

fn listen(endpoint: &str) -> Listen {
    Listen::new(endpoint.parse().expect("an endpoint"))
}

#[test]
fn every_dialect_of_client_is_served_by_every_dialect_of_worker() {
    let workers: [[&[u8]; 5]; 3] = [
        [b"", b"MDPW01", b"\x01", b"\x02", b"\x03"],
        [b"", b"MDPW02", b"\x01", b"\x02", b"\x04"],
        [b"-", b"MDPW02", b"\x01", b"\x02", b"\x04"],
    ];
    for [delimiter, header, ready, request, last] in workers {
        let lead: &[&[u8]] = if delimiter == b"-" { &[] } else { &[b""] };
        let broker = broker();
        let mut worker = Peer::connect(&broker);
        worker.send(&[lead, &[header, ready, b"echo"]].concat());
        wait_for(&broker, "the worker", |now| now.counters.workers_registered == 1);
        let clients: [(Words, Words); 4] = [
            (&[b"", b"MDPC01", b"echo"], &[b"", b"MDPC01", b"echo"]),
            (&[b"MDPC02", b"\x01", b"echo"], &[b"MDPC02", b"\x03", b"echo"]),
            (&[b"", b"MDPC02", b"\x01", b"echo"], &[b"", b"MDPC02", b"\x03", b"echo"]),
            (&[b"", b"MDPC02", b"\x02", b"echo"], &[b"", b"MDPC02", b"\x04"]),
        ];
        for (asked, answered) in clients {
            let body: [&[u8]; 3] = [b"text", b"", b"\xFF\x00"];
            let mut client = Peer::connect(&broker);
            client.send(&[asked, &body].concat());
            let message = worker.frames();
            let at = lead.len();
            assert_eq!(message[at..at + 2], [header, request]);
            assert_eq!(message[at + 3..], [&[b"" as &[u8]], &body[..]].concat());
            assert!(message[at + 2].is_ascii(), "some workers read the address as text");
            let reply: &[&[u8]] = &[header, last, &message[at + 2], b""];
            worker.send(&[lead, reply, &body].concat());
            client.expect(&[answered, &body].concat());
        }
    }
}

#[test]
fn a_req_socket_is_served_and_a_router_sees_our_name() {
    let broker = broker_with(|config| config.name = "broker-7".to_string());
    let mut worker = Peer::worker(&broker, "echo");
    for socket_type in [SocketType::Req, SocketType::Router] {
        let mut client = Peer::connect_as(&broker, Metadata::new(socket_type));
        let theirs = client.broker.clone().expect("a handshake").metadata;
        assert_eq!(theirs.socket_type, SocketType::Router);
        assert_eq!(theirs.routing_id, "broker-7");
        client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
        let (address, _) = worker.request();
        worker.reply(&address, &[b"hello"]);
        client.expect(&[b"", b"MDPC01", b"echo", b"hello"]);
    }
}

#[test]
fn a_listener_takes_one_dialect_only_and_tells_of_errors_where_that_is_set() {
    let broker = broker_with(|config| {
        config.listen = vec![
            Listen { dialect: Some(Dialect::Mdp02), ..listen("tcp://127.0.0.1:0") },
            Listen { errors: Errors::Final, ..listen("tcp://127.0.0.1:0") },
        ];
        config.core.wait_timeout = Duration::from_millis(10);
    });
    let mut pinned = Peer::connect(&broker);
    pinned.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    pinned.send(&[b"MDPC02", b"\x01", b"mmi.service", b"echo"]);
    pinned.expect(&[b"MDPC02", b"\x03", b"mmi.service", b"404"]);
    let second = address_of(&broker.endpoints()[1]);
    let stream = std::net::TcpStream::connect(second).expect("it listens");
    let mut told = Peer::shake_hands(stream, dealer());
    told.send(&[b"", b"MDPC01", b"nobody", b"x"]);
    told.expect(&[b"", b"MDPC01", b"nobody", b"-1 B_NO_SERVICE"]);
    let summary = broker.shutdown().expect("it ran");
    assert_eq!(summary.refused.get("pinned_to_other"), Some(&1));
}

#[test]
fn all_endpoints_are_served_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broker.sock");
    let broker = broker_with(|config| {
        config.listen = vec![
            listen("tcp://127.0.0.1:*"),
            listen("tcp://[::1]:0"),
            listen(&format!("ipc://{}", path.display())),
        ];
    });
    let mut worker = Peer::worker(&broker, "echo");
    let v6 = address_of(&broker.endpoints()[1]);
    assert!(v6.is_ipv6() && v6.port() > 0);
    let v6 = std::net::TcpStream::connect(v6).expect("it listens");
    exchange(&mut Peer::shake_hands(v6, dealer()), &mut worker);
    let ipc = UnixStream::connect(&path).expect("it listens");
    exchange(&mut Peer::shake_hands(ipc, dealer()), &mut worker);
    round_trip(&broker, &mut worker, "echo");
}

fn exchange<S: Patient>(client: &mut Peer<S>, worker: &mut Peer) {
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    let (address, body) = worker.request();
    worker.reply(&address, &[&body[0]]);
    client.expect(&[b"", b"MDPC01", b"echo", b"hello"]);
}

#[test]
fn a_stale_socket_file_is_replaced_and_ours_is_removed_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("broker.sock");
    drop(UnixListener::bind(&path).expect("a socket that nobody listens on"));
    assert!(path.exists());
    let at_path = |config: &mut Config| {
        config.listen = vec![listen(&format!("ipc://{}", path.display()))];
    };
    let broker = broker_with(at_path);
    UnixStream::connect(&path).expect("it listens");
    // A second broker does not take over the path.
    let mut config = Config::default();
    at_path(&mut config);
    let refused = Broker::start(config.clone()).expect_err("it is in use").to_string();
    assert!(refused.contains("broker.sock") && refused.contains("in use"), "{refused}");
    broker.shutdown().expect("it ran");
    assert!(!path.exists());
    // A broker does not remove a file that is not a socket.
    std::fs::write(&path, "precious").expect("a file");
    let refused = Broker::start(config).expect_err("it is a file").to_string();
    assert!(refused.contains("no socket"), "{refused}");
    assert_eq!(std::fs::read(&path).expect("it is there"), b"precious");
}

#[test]
fn an_address_in_use_is_named() {
    let first = broker();
    let config =
        Config { listen: vec![Listen::new(first.endpoints()[0].clone())], ..Config::default() };
    let error = Broker::start(config).expect_err("it is in use");
    assert!(matches!(error, StartError::Bind(..)));
    let expected =
        format!("cannot listen on {}: it is in use by another program", first.endpoints()[0]);
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_worker_s_end_is_noticed_at_once() {
    let broker = broker();
    let mut client = Peer::connect(&broker);
    let mut first = Peer::worker(&broker, "echo");
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    first.request();
    let mut second = Peer::worker(&broker, "echo");
    let killed = Instant::now();
    drop(first);
    let (address, body) = second.request();
    assert!(killed.elapsed() < Duration::from_secs(1));
    assert_eq!(body, [&b"hello"[..]]);
    second.reply(&address, &[b"served"]);
    client.expect(&[b"", b"MDPC01", b"echo", b"served"]);
}

#[test]
fn a_client_s_end_is_noticed_at_once() {
    let broker = broker();
    let mut worker = Peer::worker(&broker, "echo");
    let mut client = Peer::connect(&broker);
    client.send(&[b"", b"MDPC01", b"echo", b"1"]);
    client.send(&[b"", b"MDPC01", b"echo", b"2"]);
    let (address, _) = worker.request();
    drop(client);
    wait_for(&broker, "both requests to end", |now| now.counters.in_progress == 0);
    worker.reply(&address, &[b"late"]);
    round_trip(&broker, &mut worker, "echo");
    let summary = broker.shutdown().expect("it ran");
    assert_eq!(summary.counters.outcome(majordomus_core::Outcome::ClientGone), 2);
    assert_eq!(summary.counters.late_replies, 1);
}

#[test]
fn a_worker_s_last_words_are_heard_though_it_closes_behind_them() {
    let broker = broker();
    let mut client = Peer::connect(&broker);
    let mut worker = Peer::worker(&broker, "echo");
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    let (address, _) = worker.request();
    worker.reply(&address, &[&vec![7u8; 300_000]]);
    drop(worker);
    assert_eq!(client.frames()[3].len(), 300_000);
}

#[test]
fn a_busy_worker_is_asked_for_life_and_answers_count() {
    let broker = broker_with(|config| config.core.heartbeat_interval = Duration::from_millis(50));
    let mut client = Peer::connect(&broker);
    let mut worker = Peer::worker(&broker, "echo");
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    let (address, _) = worker.request();
    // The worker sends only what its ZMTP implementation sends.
    let blocked = Instant::now();
    while blocked.elapsed() < Duration::from_secs(1) {
        worker.event();
    }
    assert!(worker.pings >= 2, "{} pings", worker.pings);
    worker.reply(&address, &[b"done"]);
    client.expect(&[b"", b"MDPC01", b"echo", b"done"]);
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!((counters.redelivered, counters.workers_lost), (0, 1));
}

#[test]
fn a_busy_worker_that_stops_answering_is_lost() {
    let broker = broker_with(|config| config.core.heartbeat_interval = Duration::from_millis(50));
    let mut client = Peer::connect(&broker);
    let mut worker = Peer::worker(&broker, "echo");
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    worker.request();
    assert!(worker.pings >= 1, "it is asked when it comes");
    // From here on the worker neither reads nor writes.
    wait_for(&broker, "the request to be taken back", |now| now.counters.redelivered == 1);
    let mut other = Peer::connect(&broker);
    other.send(&[b"", b"MDPW01", b"\x01", b"echo"]);
    let (address, _) = other.request();
    other.reply(&address, &[b"done"]);
    client.expect(&[b"", b"MDPC01", b"echo", b"done"]);
}

#[test]
fn zmtp_pings_are_answered() {
    let broker = broker();
    let mut peer = Peer::connect(&broker);
    assert!(peer.zmtp.ping(0, b"context"));
    peer.flush();
    let event = peer.event();
    assert_eq!(event, Some(majordomus_zmtp::Event::Pong("context".into())));
}

#[test]
fn large_bodies_pass_as_they_are() {
    let broker = broker();
    let mut worker = Peer::worker(&broker, "echo");
    let mut client = Peer::connect(&broker);
    let mut sizes = vec![0, 1, 255, 256, 8_191, 8_192, 16_384, 65_535, 65_536, 262_144];
    sizes.extend([1 << 20, 10 << 20]);
    for size in sizes {
        let body: Vec<u8> = (0..size).map(|at| (at * 31 % 251) as u8).collect();
        let expected = body.clone();
        // Both ends of a large body must be active at the same time.
        let (address, received) = thread::scope(|scope| {
            scope.spawn(|| client.send(&[b"", b"MDPC01", b"echo", &body, b"end"]));
            worker.request()
        });
        assert!(received[0] == expected && received[1] == "end", "{size} bytes");
        let reply = thread::scope(|scope| {
            scope.spawn(|| worker.reply(&address, &[&received[0]]));
            client.frames()
        });
        assert!(reply[3] == expected, "{size} bytes");
    }
    wait_for(&broker, "all memory to be given back", |now| {
        now.reception_bytes == 0 && now.holdings.request_bytes == 0
    });
}

#[test]
fn many_requests_in_one_breath_are_all_answered() {
    let broker = broker();
    let mut worker = Peer::worker(&broker, "echo");
    let mut client = Peer::connect(&broker);
    const REQUESTS: u32 = 5_000;
    for number in 0..REQUESTS {
        client.queue(&[b"", b"MDPC01", b"echo", &number.to_le_bytes()]);
    }
    client.flush();
    for number in 0..REQUESTS {
        let (address, body) = worker.request();
        assert_eq!(body[0], number.to_le_bytes()[..]);
        worker.reply(&address, &[&body[0]]);
    }
    for number in 0..REQUESTS {
        client.expect(&[b"", b"MDPC01", b"echo", &number.to_le_bytes()]);
    }
}

#[test]
fn a_broker_that_spins_serves_as_any_other() {
    let broker = broker_with(|config| config.spin = Config::SPIN_MAX);
    let mut worker = Peer::worker(&broker, "echo");
    let mut client = Peer::connect(&broker);
    for number in 0..10_u8 {
        client.send(&[b"", b"MDPC01", b"echo", &[number]]);
        let (address, body) = worker.request();
        worker.reply(&address, &[&body[0]]);
        client.expect(&[b"", b"MDPC01", b"echo", &[number]]);
    }
}

#[test]
fn a_broker_that_spins_hears_of_time() {
    let broker = broker_with(|config| {
        config.spin = Config::SPIN_MAX;
        config.core.heartbeat_interval = Duration::from_millis(20);
    });
    let mut silent = Peer::worker(&broker, "echo");
    silent.expect(&[b"", b"MDPW01", b"\x05"]);
}

#[test]
fn a_client_at_its_limit_is_not_read_from_until_there_is_room() {
    let broker = broker_with(|config| config.core.limits.client_requests_max = 10);
    let mut client = Peer::connect(&broker);
    for number in 0..100u8 {
        client.queue(&[b"", b"MDPC01", b"echo", &[number]]);
    }
    client.flush();
    wait_for(&broker, "the client to be held", |now| now.holdings.held_clients == 1);
    let mut worker = Peer::worker(&broker, "echo");
    for number in 0..100u8 {
        let (address, body) = worker.request();
        assert_eq!(body[0], [number][..]);
        worker.reply(&address, &[&[number]]);
    }
    for number in 0..100u8 {
        client.expect(&[b"", b"MDPC01", b"echo", &[number]]);
    }
    let counters = broker.shutdown().expect("it ran").counters;
    assert_eq!((counters.received, counters.in_progress), (100, 0));
}

#[test]
fn a_client_that_goes_while_it_is_held_is_noticed_at_once() {
    let broker = broker_with(|config| config.core.limits.client_requests_max = 1);
    let mut client = Peer::connect(&broker);
    for _ in 0..100 {
        client.queue(&[b"", b"MDPC01", b"echo", b"x"]);
    }
    client.flush();
    wait_for(&broker, "the client to be held", |now| now.holdings.held_clients == 1);
    drop(client);
    wait_for(&broker, "everything of it to be gone", |now| {
        now.connections == 0 && now.holdings.requests == 0 && now.holdings.services == 0
    });
}

#[test]
fn a_client_that_ends_in_the_breath_that_holds_it_is_noticed() {
    let broker = broker_with(|config| config.core.limits.client_requests_max = 1);
    for round in 1..=50u64 {
        let mut client = Peer::connect(&broker);
        for _ in 0..100 {
            client.queue(&[b"", b"MDPC01", b"echo", b"x"]);
        }
        client.flush();
        drop(client);
        wait_for(&broker, "it to be gone", |now| {
            now.accepted == round && now.connections == 0 && now.counters.received >= round
        });
    }
}

#[test]
fn a_client_that_does_not_read_pauses_its_worker_and_nobody_else() {
    let broker = broker_with(|config| {
        config.connections.unsent_bytes_max = 1 << 20;
        config.core.stall_timeout = Duration::from_millis(300);
    });
    let mut honest = Peer::worker(&broker, "honest");
    let mut worker = Peer::connect(&broker);
    worker.send(&[b"MDPW02", b"\x01", b"stream"]);
    let mut slow = Peer::connect(&broker);
    slow.send(&[b"MDPC02", b"\x01", b"stream", b"all"]);
    let request = worker.frames();
    let address = request[2].clone();
    // 1 GiB in total, if the broker accepted it.
    let feeding = thread::spawn(move || {
        let part = vec![1u8; 64 << 10];
        let mut taken = 0u64;
        for _ in 0..16_384 {
            for (at, frame) in
                [&b"MDPW02"[..], b"\x03", &address, b"", &part].into_iter().enumerate()
            {
                worker.zmtp.send_frame(frame, at < 4);
            }
            for out in worker.zmtp.unsent() {
                if std::io::Write::write_all(&mut worker.stream, out).is_err() {
                    return taken;
                }
            }
            worker.zmtp.sent(worker.zmtp.unsent_bytes());
            taken += 1;
            if taken == 2_000 {
                break;
            }
        }
        taken
    });
    wait_for(&broker, "the slow client to be cut", |now| now.closed.contains_key("slow_reader"));
    round_trip(&broker, &mut honest, "honest");
    // The worker's further replies to this request are late, and dropped.
    assert_eq!(feeding.join().expect("it fed"), 2_000);
    let counters = broker.shutdown().expect("it ran").counters;
    assert!(counters.late_replies > 0);
    assert_eq!(counters.outcome(majordomus_core::Outcome::ClientGone), 1);
}

#[test]
fn a_client_that_asks_without_end_and_reads_nothing_is_cut() {
    let broker = broker_with(|config| {
        config.connections.unsent_bytes_max = 64 << 10;
        config.core.stall_timeout = Duration::from_millis(300);
    });
    let mut honest = Peer::worker(&broker, "honest");
    let mut greedy = Peer::connect(&broker);
    // The broker answers these requests itself, immediately.
    greedy.queue(&[b"", b"MDPC01", b"mmi.service", b"honest"]);
    let question = greedy.zmtp.unsent().collect::<Vec<_>>().concat();
    let asking = thread::spawn(move || {
        let many = question.repeat(1_000);
        (0..100_000).find(|_| std::io::Write::write_all(&mut greedy.stream, &many).is_err())
    });
    wait_for(&broker, "the greedy client to be cut", |now| now.closed.contains_key("slow_reader"));
    assert!(asking.join().expect("it asked").is_some(), "it could ask for ever");
    round_trip(&broker, &mut honest, "honest");
}

#[test]
fn an_identity_that_is_in_use_is_refused_to_the_second() {
    let broker = broker();
    let named = || dealer().with_routing_id(b"me");
    let mut first = Peer::connect_as(&broker, named());
    first.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    first.expect(&[b"", b"MDPC01", b"mmi.service", b"404"]);
    let mut second = Peer::connect_as(&broker, named());
    second.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    // The broker probes the first, which answers.
    assert_eq!(first.event(), Some(majordomus_zmtp::Event::Ping));
    assert!(second.event().is_none(), "it is refused");
    first.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    first.expect(&[b"", b"MDPC01", b"mmi.service", b"404"]);
}

#[test]
fn an_identity_whose_owner_is_dead_goes_to_the_second() {
    let broker = broker_with(|config| config.core.identity_timeout = Duration::from_millis(100));
    let named = || dealer().with_routing_id(b"me");
    let mut first = Peer::connect_as(&broker, named());
    first.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    first.expect(&[b"", b"MDPC01", b"mmi.service", b"404"]);
    let mut second = Peer::connect_as(&broker, named());
    second.send(&[b"", b"MDPC01", b"mmi.service", b"echo"]);
    second.expect(&[b"", b"MDPC01", b"mmi.service", b"404"]);
    first.expect_end();
}

#[test]
fn at_the_end_workers_are_told_and_everything_is_counted() {
    let broker = broker();
    let mut worker = Peer::worker(&broker, "echo");
    let mut idle = Peer::worker(&broker, "other");
    let mut client = Peer::connect(&broker);
    client.send(&[b"", b"MDPC01", b"echo", b"hello"]);
    worker.request();
    client.send(&[b"", b"MDPC01", b"echo", b"waits"]);
    wait_for(&broker, "both requests", |now| now.counters.received == 2);
    let begun = Instant::now();
    let ending = thread::spawn(move || broker.shutdown());
    worker.expect(&[b"", b"MDPW01", b"\x05"]);
    idle.expect(&[b"", b"MDPW01", b"\x05"]);
    worker.expect_end();
    idle.expect_end();
    client.expect_end();
    drop((worker, idle, client));
    let summary = ending.join().expect("no panic").expect("it ran");
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(summary.counters.outcome(majordomus_core::Outcome::ShutDown), 2);
    assert!(summary.counters.balanced());
    assert_eq!(summary.connections, 0);
}
