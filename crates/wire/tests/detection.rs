//! Which first message makes which connection.

use std::num::NonZeroU32;

use majordomus_core::{
    ClientCapabilities, Frames, FromClient, FromWorker, Outcome, Redelivery, Request, Role,
    ToWorker, WorkerCapabilities,
};
use majordomus_wire::{Codec, Dialect, Errors, Side};

use Dialect::{Majortomo, Mdp01, Mdp02};
use Side::{Client, Worker};

/// `delimiter` is whether the messages of the connection begin with an empty frame.
#[track_caller]
fn check(frames: &[&str], pinned: Option<Dialect>, expected: (Dialect, Side, bool)) {
    let codec = Codec::detect(&Frames::from_slices(frames), pinned)
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
        // After a broker restart a worker's first message is whatever it was about to say.
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
        // On the wire a majortomo worker is one of the RFC behind an empty frame.
        (&["", "MDPW02", "\x01", "echo"], None, (Majortomo, Worker, true)),
        (&["", "MDPW02", "\x05"], None, (Majortomo, Worker, true)),
        (&["", "MDPW02", "\x01", "echo"], Some(Majortomo), (Majortomo, Worker, true)),
        (&["", "MDPW02", "\x01", "echo"], Some(Mdp02), (Mdp02, Worker, true)),
    ];
    for &(frames, pinned, expected) in cases {
        check(frames, pinned, expected);
    }
}

/// What a codec of ours writes first is detected as that codec.
#[test]
fn our_own_peers_are_detected() {
    for dialect in Dialect::ALL {
        for pinned in [None, Some(dialect)] {
            let client = Codec::new(dialect, Client);
            let mut written = Vec::new();
            let body = Frames::from_slices(&["a"]);
            let request = FromClient::Request(Request::new("echo", body));
            client.encode_from_client(&request, &mut written);
            assert_eq!(Codec::detect(&Frames::from_slices(&written), pinned), Ok(client));

            let worker = Codec::new(dialect, Worker);
            let mut written = Vec::new();
            let ready = FromWorker::Ready { service: "echo".into() };
            worker.encode_from_worker(&ready, &mut written).unwrap();
            assert_eq!(Codec::detect(&Frames::from_slices(&written), pinned), Ok(worker));
        }
    }
}

#[test]
fn a_worker_that_the_broker_does_not_know_can_be_answered() {
    let codec = Codec::detect(&Frames::from_slices(&["", "MDPW01", "\x04"]), None).unwrap();
    let mut written: Vec<bytes::Bytes> = Vec::new();
    codec.encode_to_worker(&ToWorker::Disconnect, &mut written);
    assert_eq!(written, ["", "MDPW01", "\x05"]);
}

#[test]
fn roles() {
    let one = Some(NonZeroU32::MIN);
    for dialect in Dialect::ALL {
        let worker = Codec::new(dialect, Worker).with_errors(Errors::Final).role();
        assert_eq!(worker, Role::Worker(WorkerCapabilities { concurrency: one, cancel: false }));

        let Role::Client(silent) = Codec::new(dialect, Client).role() else { panic!() };
        let ClientCapabilities { partial_replies, told, redelivery } = silent;
        assert_eq!(partial_replies, dialect != Mdp01);
        assert_eq!(redelivery, Redelivery::Always);
        assert!(Outcome::ALL.iter().all(|&outcome| !told.contains(outcome)));

        let told_of = Codec::new(dialect, Client).with_errors(Errors::Final).role();
        let Role::Client(ClientCapabilities { told, .. }) = told_of else { panic!() };
        let of: Vec<_> = Outcome::ALL.into_iter().filter(|&end| told.contains(end)).collect();
        assert_eq!(
            of,
            [Outcome::Failed, Outcome::WorkerLost, Outcome::Rejected, Outcome::NoSuchService]
        );
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
