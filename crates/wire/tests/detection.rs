//! Tests of dialect detection from a first message.

use majordomus_core::{
    ClientCapabilities, Concurrency, DisconnectReason, Form, Frames, FromClient, FromWorker, Hello,
    Outcome, Redelivery, Request, Role, ToWorkerView, WorkerCapabilities,
};
use majordomus_wire::{Codec, Dialect, Errors, Side, Socket};

use Dialect::{Gdp, Libmdp, Majortomo, Mdp01, Mdp02, Omdp, Omdp1, Pigato, Zproto};
use Side::{Client, Worker};

/// Checks detection. The last value of `expected` is true if the connection's messages begin with
/// an empty frame.
#[track_caller]
fn check(frames: &[&str], pinned: Option<Dialect>, expected: (Dialect, Side, bool)) {
    let codec = Codec::detect(Frames::from_slices(frames).view(), b"", Socket::Dealer, pinned)
        .unwrap_or_else(|error| panic!("{frames:?} {pinned:?}: {error}"));
    let found = (codec.dialect(), codec.side(), codec.delimiter());
    assert_eq!(found, expected, "{frames:?} {pinned:?}");
}

type Case = (&'static [&'static str], Option<Dialect>, (Dialect, Side, bool));

#[test]
fn first_messages() {
    let cases: &[Case] = &[
        (&["", "MDPC01", "echo", "a"], None, (Mdp01, Client, true)),
        (&["", "MDPC01", "echo"], None, (Mdp01, Client, true)),
        (&["", "MDPC01", "echo"], Some(Mdp01), (Mdp01, Client, true)),
        (&["", "MDPW01", "\x01", "echo"], None, (Mdp01, Worker, true)),
        // After a broker restart a worker's first message can be any of its commands.
        (&["", "MDPW01", "\x04"], None, (Mdp01, Worker, true)),
        (&["", "MDPW01", "\x05"], None, (Mdp01, Worker, true)),
        (&["", "MDPW01", "\x03", "17", "", "a"], None, (Mdp01, Worker, true)),
        (&["MDPC02", "\x01", "echo"], None, (Mdp02, Client, false)),
        (&["MDPC02", "\x01", "echo"], Some(Mdp02), (Mdp02, Client, false)),
        (&["", "MDPC02", "\x01", "echo"], None, (Mdp02, Client, true)),
        (&["", "MDPC02", "\x01", "echo"], Some(Mdp02), (Mdp02, Client, true)),
        (&["MDPW02", "\x01", "echo"], None, (Mdp02, Worker, false)),
        (&["MDPW02", "\x05"], None, (Mdp02, Worker, false)),
        (&["", "MDPC02", "\x02", "echo", "a"], None, (Majortomo, Client, true)),
        (&["", "MDPC02", "\x02", "echo", "a"], Some(Majortomo), (Majortomo, Client, true)),
        // majortomo's workers write the RFC's messages after an empty frame.
        (&["", "MDPW02", "\x01", "echo"], None, (Majortomo, Worker, true)),
        (&["", "MDPW02", "\x05"], None, (Majortomo, Worker, true)),
        (&["", "MDPW02", "\x01", "echo"], Some(Majortomo), (Majortomo, Worker, true)),
        (&["", "MDPW02", "\x01", "echo"], Some(Mdp02), (Mdp02, Worker, true)),
        (&["", "MDPC0X", "echo", "a"], None, (Libmdp, Client, true)),
        (&["", "MDPC0X", "echo"], Some(Libmdp), (Libmdp, Client, true)),
        (&["", "MDPW0X", "\x01", "echo"], None, (Libmdp, Worker, true)),
        (&["", "MDPW0X", "\x04"], Some(Libmdp), (Libmdp, Worker, true)),
    ];
    for &(frames, pinned, expected) in cases {
        check(frames, pinned, expected);
    }
}

#[test]
fn first_messages_that_are_packed() {
    let cases: &[(&[&[u8]], Dialect, Side)] = &[
        (&[b"\x06MDPC01\x04echo\x01a"], Gdp, Client),
        (&[b"\x06MDPC01\x04echo"], Gdp, Client),
        (&[b"\xff\0\0\0\x06MDPC01\x04echo"], Gdp, Client),
        (&[b"\x06MDPW01\x01\x01\x04echo"], Gdp, Worker),
        (&[b"\x06MDPW01\x01\x04"], Gdp, Worker),
        // A worker's header suffices, whatever follows.
        (&[b"\x06MDPW01"], Gdp, Worker),
        (&[b"\x06MDPW01\xff"], Gdp, Worker),
        (&[b"\xaa\xa4\x01\x06MDPC02\x01\x04echo", b"a"], Zproto, Client),
        (&[b"\xaa\xa4\x04\x06MDPW02\x01\x04echo"], Zproto, Worker),
        (&[b"\xaa\xa4\x07\x06MDPW02\x04", b"17", b"", b"a"], Zproto, Worker),
        (&[b"\xaa\xa4\x08\x06MDPW02\x05"], Zproto, Worker),
        (&[b"\xaa\xa4\x09"], Zproto, Worker),
    ];
    for &(frames, dialect, side) in cases {
        for pinned in [None, Some(dialect)] {
            let first = Frames::from_slices(frames);
            let codec = Codec::detect(first.view(), b"", dialect.socket(), pinned);
            let codec = codec.unwrap_or_else(|error| panic!("{first:?}: {error}"));
            assert_eq!((codec.dialect(), codec.side()), (dialect, side), "{first:?}");
            assert!(!codec.delimiter());
        }
    }
}

/// A CLIENT socket uses one dialect, and no other socket uses that dialect.
#[test]
fn the_socket_tells_gdp() {
    let body = Frames::from_slices(&["a"]);
    let request = FromClient::Request(Request::new("echo", body));
    for dialect in Dialect::ALL {
        let mut written = Vec::new();
        let codec = Codec::new(dialect, Client);
        let first = if codec.greets() { &FromClient::Hello(Hello::default()) } else { &request };
        codec.encode_from_client(first, &mut written);
        let first = Frames::from_slices(&written);
        for socket in [Socket::Dealer, Socket::Client] {
            let found = Codec::detect(first.view(), b"", socket, None);
            let expected = (socket == dialect.socket()).then_some(dialect);
            assert_eq!(found.ok().map(|codec| codec.dialect()), expected, "{dialect} {socket:?}");
        }
    }
}

/// Routing ids in PIGATO's format: a prefix set by the user, or a UUID, followed by a UUID.
const OF_PIGATO: &[&str] = &[
    // pigato-ruby's format.
    "1908f7b8-8bcb-49d1-b09d-da2c553f70b7",
    "C3e0e6bb7-43e3-44e3-8de4-345ed551b456-1908f7b8-8bcb-49d1-b09d-da2c553f70b7",
    "W86098f23-6e57-445a-905f-21f7f84e8e27-77126cd3-bd3c-4569-818d-5983354bfafb",
    "my worker-1908F7B8-8BCB-49D1-B09D-DA2C553F70B7",
    "-1908f7b8-8bcb-49d1-b09d-da2c553f70b7",
];

/// Routing ids in zmq-omdp's format, made with the package shortid.
const OF_OMDP: &[&str] = &["CPPBqWA9", "W-_-_-_", "W23TplPdS7ab", "Cabcdefghijklmn"];

/// Routing ids of other libraries or their users. A routing id may be any bytes.
const OF_NOBODY: &[&[u8]] = &[
    b"",
    b"1908f7b8-8bcb-49d1-b09d_da2c553f70b7",
    b"Cx1908f7b8-8bcb-49d1-b09d_da2c553f70b7",
    b"Cx-1908f7b8-8bcb-49d1-b09d-da2c553f70bg",
    b"Cx-1908f7b88-bcb-49d1-b09d-da2c553f70b7",
    b"Cx-1908f7b8-8bcb-49d1-b09d-da2c553f70b7\n",
    b"00C0DE00AB12",
    b"Babcdefgh",
    b"Cabcde",
    b"Cabcdefghijklmnop",
    b"Wabc.defg",
    b"W\xc3\xa9abcdef",
    b"\0\xff\xfe\x01\x02\x03\x04",
];

#[track_caller]
fn spoken(frames: &[&str], identity: &[u8], pinned: Option<Dialect>) -> (Dialect, Side) {
    let codec = Codec::detect(Frames::from_slices(frames).view(), identity, Socket::Dealer, pinned)
        .unwrap_or_else(|error| panic!("{frames:?} {}: {error}", identity.escape_ascii()));
    assert!(!codec.delimiter());
    (codec.dialect(), codec.side())
}

/// The first messages of PIGATO and zmq-omdp are similar.
#[test]
fn pigato_and_omdp_are_told_apart() {
    const ASKED: &[&str] = &["C", "2", "echo", "r1", "1", r#"{"timeout":60000,"retry":0}"#];
    const ASKED_WITHOUT_RETRY: &[&str] = &["C", "2", "echo", "r1", "1", r#"{"timeout":60000}"#];
    // First messages that fit both dialects.
    let silent: &[(&[&str], Side)] = &[
        (&["C", "4"], Client),
        (&["C", "2", "echo", "r1", "1"], Client),
        (&["C", "2", "echo", "r1", "1", ""], Client),
        (&["C", "2", "echo", "r1", "1", "undefined"], Client),
        (&["C", "2", "echo", "r1", "1", "[]"], Client),
        (&["W", "1", "echo"], Worker),
        (&["W", "4"], Worker),
        // A worker's header suffices, whatever follows.
        (&["W"], Worker),
        (&["W", "2", "echo", "r1", "1", "{}"], Worker),
    ];
    let asked: &[(&[&str], Side)] = &[(ASKED, Client), (ASKED_WITHOUT_RETRY, Client)];
    for &(frames, side) in silent.iter().chain(asked) {
        for identity in OF_PIGATO {
            assert_eq!(spoken(frames, identity.as_bytes(), None), (Pigato, side), "{identity}");
        }
        for identity in OF_OMDP {
            assert_eq!(spoken(frames, identity.as_bytes(), None), (Omdp, side), "{identity}");
        }
        // A pinned listener needs no signs.
        for pinned in [Pigato, Omdp] {
            for identity in [OF_PIGATO[0], OF_OMDP[0], ""] {
                assert_eq!(spoken(frames, identity.as_bytes(), Some(pinned)), (pinned, side));
            }
        }
    }
    for identity in OF_NOBODY {
        for &(frames, side) in silent {
            assert_eq!(spoken(frames, identity, None), (Pigato, side), "{frames:?}");
        }
        assert_eq!(spoken(ASKED, identity, None), (Pigato, Client));
        assert_eq!(spoken(ASKED_WITHOUT_RETRY, identity, None), (Omdp, Client));
        let nothing_said = &["C", "2", "echo", "r1", "1", "{}"];
        assert_eq!(spoken(nothing_said, identity, None), (Omdp, Client));
    }
}

/// Other dialects have their own headers, so routing ids do not matter.
#[test]
fn routing_ids_do_not_matter_elsewhere() {
    for identity in OF_PIGATO.iter().chain(OF_OMDP) {
        let first = Frames::from_slices(&["", "MDPW01", "\x01", "echo"]);
        let codec = Codec::detect(first.view(), identity.as_bytes(), Socket::Dealer, None);
        assert_eq!(codec.map(|codec| codec.dialect()), Ok(Mdp01));
    }
}

/// The first message of a Majordomus peer is detected as its own dialect.
#[test]
fn our_own_peers_are_detected() {
    for dialect in Dialect::ALL {
        let socket = dialect.socket();
        for pinned in [None, Some(dialect)] {
            let client = Codec::new(dialect, Client);
            let mut written = Vec::new();
            let body = Frames::from_slices(&["a"]);
            let first = match client.greets() {
                true => FromClient::Hello(Hello::default()),
                false => FromClient::Request(Request::new("echo", body)),
            };
            client.encode_from_client(&first, &mut written);
            let first = Frames::from_slices(&written);
            let identity = client.routing_id(u128::MAX / 7);
            assert_eq!(Codec::detect(first.view(), &identity, socket, pinned), Ok(client));
            assert_eq!(Codec::detect(first.view(), b"", socket, pinned), Ok(client));

            let worker = Codec::new(dialect, Worker);
            let mut written = Vec::new();
            let first = match worker.greets() {
                true => FromWorker::Hello(Hello::default()),
                false => FromWorker::Ready { service: "echo".into() },
            };
            worker.encode_from_worker(&first, &mut written).unwrap();
            let first = Frames::from_slices(&written);
            let identity = worker.routing_id(u128::MAX / 7);
            assert_eq!(Codec::detect(first.view(), &identity, socket, pinned), Ok(worker));
        }
    }
}

#[test]
fn a_worker_that_the_broker_does_not_know_can_be_answered() {
    let first = Frames::from_slices(&["", "MDPW01", "\x04"]);
    let codec = Codec::detect(first.view(), b"", Socket::Dealer, None).unwrap();
    let mut written: Vec<bytes::Bytes> = Vec::new();
    codec.encode_to_worker(&ToWorkerView::Disconnect(DisconnectReason::Silent), &mut written);
    assert_eq!(written, ["", "MDPW01", "\x05"]);
}

/// The beginning of HELLO in OMDP/1, up to the role.
const HELLO: &[u8] = b"\x01OMDP\x01\x01";

#[test]
fn hello_makes_a_peer_of_omdp1() {
    for (role, side) in [(1, Client), (2, Worker)] {
        let first = [HELLO, &[role], b"\0\0\x09\xc4\0\0\0\0\0\0\0\0\0\0", b"later"].concat();
        let first = Frames::from_slices(&[first]);
        for pinned in [None, Some(Omdp1)] {
            let codec = Codec::detect(first.view(), b"", Socket::Dealer, pinned);
            assert_eq!(codec, Ok(Codec::new(Omdp1, side)));
        }
        let error = Codec::detect(first.view(), b"", Socket::Dealer, Some(Mdp02)).unwrap_err();
        assert_eq!((error.violation().name(), error.answer()), ("pinned_to_other", None));
        // The dialect is not used over CLIENT sockets.
        let error = Codec::detect(first.view(), b"", Socket::Client, None).unwrap_err();
        assert_eq!(error.answer(), None);
    }
}

#[track_caller]
fn check_answer(first: &[&[u8]], pinned: Option<Dialect>, code: u16, text: &str) {
    let first = Frames::from_slices(first);
    let error = Codec::detect(first.view(), b"", Socket::Dealer, pinned).unwrap_err();
    let answer = error.answer().expect("there is an answer");
    // Peers of both sides can decode the answer.
    for side in [Client, Worker] {
        let answer = Frames::single(answer.clone());
        let codec = Codec::new(Omdp1, side);
        let read = match side {
            Client => codec.decode_to_client(answer).map(drop),
            Worker => codec.decode_to_worker(answer).map(drop),
        };
        assert_eq!(read, Ok(()));
    }
    let expected = [b"\x05", &code.to_be_bytes()[..], &[text.len() as u8], text.as_bytes()];
    assert_eq!(answer, expected.concat(), "{first:?}");
}

/// A peer with another first message must be told to start with HELLO: its socket may have
/// reconnected automatically.
#[test]
fn what_comes_before_hello_is_answered() {
    let commands = [0x03..=0x04, 0x10..=0x13, 0x30..=0x37];
    for command in commands.into_iter().flatten() {
        for pinned in [None, Some(Omdp1)] {
            check_answer(&[&[command]], pinned, 400, "HELLO first");
            check_answer(&[&[command, 0, 0], b"body"], pinned, 400, "HELLO first");
        }
    }
    let of_role = |role| [HELLO, &[role], b"\0\0\x09\xc4\0\0\0\0\0\0\0\0\0\0"].concat();
    let neither = "role 3 is neither client (1) nor worker (2)";
    check_answer(&[&of_role(3)], None, 400, neither);
    check_answer(&[b"\x01OMDQ\x01\x01\x01"], None, 400, "HELLO without the signature OMDP");
    check_answer(&[b"\x01OMDP\x01"], None, 400, "the packed frame ends too early");
    check_answer(&[&of_role(1), b"a"], None, 400, "excess frames behind the end of the command: 1");
    check_answer(&[b"\x01OMDP\x02\xff"], None, 505, "no version that both speak");
    check_answer(&[b"\x01OMDP\x02\0"], Some(Omdp1), 505, "no version that both speak");
}

/// Commands of the broker and of other dialects get no such answer.
#[test]
fn what_no_peer_of_omdp1_says_is_not_answered() {
    for command in
        (0..=0xff).filter(|command| !matches!(command, 1 | 3 | 4 | 0x10..=0x13 | 0x30..=0x37))
    {
        let first = Frames::from_slices(&[[command, 0, 0]]);
        let error = Codec::detect(first.view(), b"", Socket::Dealer, None).unwrap_err();
        assert_eq!(error.answer(), None, "{command:#04x}");
    }
}

#[test]
fn roles_of_omdp1() {
    let worker = WorkerCapabilities {
        concurrency: Concurrency::ONE,
        cancel: true,
        request_ids: false,
        rejects: true,
        afterwords: false,
        heartbeats_answered: false,
        ready_again: true,
        several_services: true,
        credit: true,
        greets: true,
        form: Form::Frames,
    };
    for errors in [Errors::Silent, Errors::Final] {
        let codec = |side| Codec::new(Omdp1, side).with_errors(errors);
        assert_eq!(codec(Worker).role(), Role::Worker(worker));
        let Role::Client(client) = codec(Client).role() else { panic!() };
        assert!(client.partial_replies && client.greets && !client.afterwords);
        assert_eq!((client.redelivery, client.form), (Redelivery::WhereAsked, Form::Frames));
        for end in Outcome::ALL {
            let untold = [Outcome::Replied, Outcome::Cancelled, Outcome::ClientGone];
            assert_eq!(client.told.contains(end), !untold.contains(&end), "{end}");
        }
    }
    for side in [Client, Worker] {
        let codec = Codec::new(Omdp1, side);
        assert!(codec.has_request_ids() && codec.has_partials() && codec.has_finals());
        assert!(codec.greets());
        assert!(codec.routing_id(7).is_empty());
        assert_eq!(codec.rejects(), side == Worker);
    }
}

#[test]
fn roles() {
    for dialect in [Mdp01, Mdp02, Majortomo, Gdp, Zproto] {
        let worker = Codec::new(dialect, Worker).with_errors(Errors::Final).role();
        assert_eq!(worker, Role::Worker(WorkerCapabilities::default()));

        let Role::Client(silent) = Codec::new(dialect, Client).role() else { panic!() };
        let ClientCapabilities { partial_replies, told, redelivery, form, .. } = silent;
        assert_eq!(partial_replies, !matches!(dialect, Mdp01 | Gdp));
        assert_eq!((redelivery, form), (Redelivery::Always, Form::Frames));
        assert!(Outcome::ALL.iter().all(|&outcome| !told.contains(outcome)));

        let told_of = Codec::new(dialect, Client).with_errors(Errors::Final).role();
        let Role::Client(ClientCapabilities { told, .. }) = told_of else { panic!() };
        let of: Vec<_> = Outcome::ALL.into_iter().filter(|&end| told.contains(end)).collect();
        assert_eq!(
            of,
            [
                Outcome::Failed,
                Outcome::WorkerLost,
                Outcome::Rejected,
                Outcome::NoSuchService,
                Outcome::NoSuchWorker,
                Outcome::Untranslatable
            ]
        );
    }
}

/// The outcomes that libmdp reports to a client by NAK, without error replies.
#[test]
fn roles_of_libmdp() {
    let worker = WorkerCapabilities { afterwords: true, ..WorkerCapabilities::default() };
    assert_eq!(Codec::new(Libmdp, Worker).role(), Role::Worker(worker));
    let naked = [
        Outcome::WorkerLost,
        Outcome::Rejected,
        Outcome::NoSuchService,
        Outcome::Untranslatable,
        Outcome::ShutDown,
    ];
    for errors in [Errors::Silent, Errors::Final] {
        let Role::Client(client) = Codec::new(Libmdp, Client).with_errors(errors).role() else {
            panic!()
        };
        assert!(client.partial_replies && client.afterwords);
        assert_eq!((client.redelivery, client.form), (Redelivery::Always, Form::Frames));
        for end in Outcome::ALL {
            let as_set = matches!(end, Outcome::Failed | Outcome::NoSuchWorker);
            let told = naked.contains(&end) || as_set && errors == Errors::Final;
            assert_eq!(client.told.contains(end), told, "{end}");
        }
    }
}

#[test]
fn roles_of_pigato_and_omdp() {
    let ends = [
        Outcome::Failed,
        Outcome::WorkerLost,
        Outcome::Rejected,
        Outcome::Refused,
        Outcome::NoSuchService,
        Outcome::NoSuchWorker,
        Outcome::Untranslatable,
        Outcome::ShutDown,
    ];
    let worker = WorkerCapabilities {
        afterwords: false,
        concurrency: Concurrency::ONE,
        cancel: false,
        request_ids: true,
        rejects: false,
        heartbeats_answered: false,
        ready_again: true,
        several_services: false,
        credit: false,
        greets: false,
        form: Form::Json,
    };
    let of_pigato = WorkerCapabilities {
        concurrency: Concurrency::AtMost(100),
        rejects: true,
        heartbeats_answered: true,
        ..worker
    };
    for (dialect, redelivery, worker) in
        [(Pigato, Redelivery::WhereAsked, of_pigato), (Omdp, Redelivery::Never, worker)]
    {
        // These dialects have their own error replies, so the listener's option has no effect.
        for errors in [Errors::Silent, Errors::Final] {
            let codec = |side| Codec::new(dialect, side).with_errors(errors);
            assert_eq!(codec(Worker).role(), Role::Worker(worker));
            let Role::Client(client) = codec(Client).role() else { panic!() };
            assert!(client.partial_replies);
            assert_eq!((client.redelivery, client.form), (redelivery, Form::Json));
            for end in Outcome::ALL {
                assert_eq!(client.told.contains(end), ends.contains(&end), "{dialect} {end}");
            }
        }
    }
}

#[test]
fn names_are_parsed() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.name().parse(), Ok(dialect));
        assert_eq!(dialect.to_string(), dialect.name());
    }
    for wrong in ["", "MDP01", "mdp", "mdp01 "] {
        assert!(wrong.parse::<Dialect>().is_err(), "{wrong:?}");
    }
}
