//! Limit tests: data at the limits, and endless data.

use majordomus_zmtp::{Connection, Error, Event, Limits, Security, UNGRANTED_BYTES_MAX};

use crate::wire::{
    LONG, MORE, command, feed, feed_direct, feed_in_place, frame, greeting, header, hello,
    listener, message, messages, open, property,
};

#[test]
fn what_just_fits() {
    let limits = Limits { message_bytes_max: 5000, frames_max: 3, ..Limits::default() };
    for feed in [feed, feed_in_place] {
        let mut connection = open(1, limits);
        for frames in [vec![5000], vec![2500, 2500], vec![2500, 0, 2500], vec![0, 0, 0]] {
            let frames: Vec<_> = frames.into_iter().map(|len| vec![1; len]).collect();
            let events = feed(&mut connection, &message(&frames)).unwrap();
            assert_eq!(messages(&events), [frames]);
        }
        // A command of 28 bytes between the frames counts like 28 bytes of body.
        let unknown = command("X", &[0; 24]);
        let whole = message(&[&[1; 4000][..], &[2; 972]]);
        let bytes = [&whole[..4009], &unknown, &whole[4009..]].concat();
        assert_eq!(messages(&feed(&mut connection, &bytes).unwrap()).len(), 1);
    }
}

#[test]
fn message_over_a_limit_is_not_cut_in_place() {
    let limits = Limits { message_bytes_max: 5000, frames_max: 3, ..Limits::default() };
    let frame_too_long = Error::FrameTooLong { len: 5001, limit: 5000 };
    let message_too_long = Error::MessageTooLong { limit: 5000 };
    for (lengths, error) in [
        (&[5001][..], frame_too_long),
        (&[2500, 2501], message_too_long),
        (&[0; 4], Error::TooManyFrames { limit: 3 }),
        (&[0; 40], Error::TooManyFrames { limit: 3 }),
    ] {
        let frames: Vec<_> = lengths.iter().map(|length| vec![1; *length]).collect();
        let bytes = [message(&["fits"]), message(&frames)].concat();
        let (mut connection, mut bounds) = (open(1, limits), Vec::new());
        assert_eq!(connection.whole_message(&bytes, &mut bounds), Some(6));
        assert_eq!(bounds, [(2, 6)]);
        assert_eq!(connection.whole_message(&bytes[6..], &mut bounds), None);
        assert!(bounds.len() <= limits.frames_max);
        assert_eq!(feed_in_place(&mut connection, &bytes), Err(error));
        assert_eq!(connection.whole_message(&bytes, &mut bounds), None, "it has failed");
    }
}

#[test]
fn a_handshake_that_just_fits() {
    let kind = property("Socket-Type", b"REQ");
    let room = 8 * 1024 - 64 - 9 - 6 - kind.len();
    let filler = property("X", &vec![0; room - 6]);
    let mut bytes = [greeting(1), command("READY", &[kind, filler].concat())].concat();
    assert_eq!(bytes.len(), 8 * 1024);
    assert!(matches!(feed(&mut listener(), &bytes).unwrap()[..], [Event::Hello(_)]));
    // Bytes after the handshake do not count towards its limit.
    bytes.extend(message(&["x"]));
    assert_eq!(feed(&mut listener(), &bytes).unwrap().len(), 2);
}

#[test]
fn a_handshake_that_never_ends() {
    let mut connection = listener();
    let too_long = Err(Error::HandshakeTooLong { limit: 8 * 1024 });
    let property = property("X", &[0; 9000]);
    let bytes = [greeting(1), command("READY", &property)].concat();
    assert_eq!(feed(&mut connection, &bytes), too_long);
    // A listener that accepts late stays within the limit, too.
    let mut connection = listener();
    let mut bytes = bytes::BytesMut::from(&hello(1)[..]);
    connection.receive(&mut bytes);
    assert!(matches!(connection.poll(), Ok(Some(Event::Hello(_)))));
    for _ in 0..8 {
        assert_eq!(connection.poll(), Ok(None));
        connection.settle();
        assert!(connection.held_bytes() < 16 * 1024);
        connection.receive(&mut bytes::BytesMut::from(&[0; 1000][..]));
    }
    connection.receive(&mut bytes::BytesMut::from(&[0; 1000][..]));
    assert_eq!(connection.poll(), Err(Error::HandshakeTooLong { limit: 8 * 1024 }));
}

#[test]
fn half_a_greeting_then_nothing() {
    let mut connection = listener();
    assert_eq!(feed(&mut connection, &greeting(1)[..32]), Ok(vec![]));
    assert_eq!(connection.held_bytes(), 32);
    assert!(connection.receiving());
}

#[test]
fn frames_without_end() {
    let mut connection = open(1, Limits::default());
    let empty = frame(MORE, b"").repeat(100);
    let error = (0..11).find_map(|_| feed(&mut connection, &empty).err());
    assert_eq!(error, Some(Error::TooManyFrames { limit: 1024 }));
    let mut connection = open(1, Limits::default());
    let error = (0..11).find_map(|_| feed_in_place(&mut connection, &empty).err());
    assert_eq!(error, Some(Error::TooManyFrames { limit: 1024 }));

    let limits =
        Limits { frames_max: usize::MAX, message_bytes_max: usize::MAX, ..Limits::default() };
    let mut connection = open(1, limits);
    let error = (0..11_000).find_map(|_| feed_direct(&mut connection, &empty).err());
    assert_eq!(error, Some(Error::TooManyFrames { limit: 1 << 20 }));

    let limits = Limits { message_bytes_max: 1 << 20, ..Limits::default() };
    let mut connection = open(1, limits);
    let part = frame(MORE, &[0; 10_000]);
    let error = (0..200).find_map(|_| feed_direct(&mut connection, &part).err());
    assert_eq!(error, Some(Error::MessageTooLong { limit: 1 << 20 }));
}

#[test]
fn pings_without_end_between_two_frames() {
    let limits = Limits { message_bytes_max: 1 << 20, ..Limits::default() };
    let mut connection = open(1, limits);
    assert_eq!(feed(&mut connection, &frame(MORE, b"x")), Ok(vec![]));
    let pings = command("PING", b"\0\0").repeat(1000);
    let error = (0..200).find_map(|_| feed_direct(&mut connection, &pings).err());
    assert_eq!(error, Some(Error::MessageTooLong { limit: 1 << 20 }));
}

#[test]
fn a_limit_of_four_gibibytes_is_cut_to_what_offsets_hold() {
    let limits = Limits { message_bytes_max: usize::MAX, ..Limits::default() };
    let mut connection = Connection::listener(Security::Null, limits);
    let bytes = [hello(1), header(LONG, u64::from(u32::MAX))].concat();
    let limit = u32::MAX as usize - 9 * 1025;
    let error = Err(Error::FrameTooLong { len: u64::from(u32::MAX), limit });
    assert_eq!(feed(&mut connection, &bytes), error);
    // A frame within the limit is reported, and no memory is reserved before the grant.
    let mut connection = open(1, limits);
    connection.receive(&mut bytes::BytesMut::from(&header(LONG, limit as u64)[..]));
    assert_eq!(connection.poll(), Ok(Some(Event::Large { bytes: limit + 9 })));
    connection.settle();
    assert_eq!(connection.held_bytes(), 9);
}

#[test]
fn large_is_said_once_and_only_where_it_is_true() {
    let mut connection = open(1, Limits::default());
    let fits = UNGRANTED_BYTES_MAX - 9;
    let small = frame(0, &vec![0; fits]);
    assert_eq!(feed(&mut connection, &small[..100]).unwrap(), []);
    assert_eq!(messages(&feed(&mut connection, &small[100..]).unwrap()).len(), 1);

    let large = frame(0, &vec![0; fits + 1]);
    let asked = Event::Large { bytes: UNGRANTED_BYTES_MAX + 1 };
    assert_eq!(feed(&mut connection, &large[..9]).unwrap(), [asked]);
    assert_eq!(connection.held_bytes(), UNGRANTED_BYTES_MAX + 1);
    assert_eq!(connection.direct_buffer().map(|buffer| buffer.len()), Some(fits + 1));
    assert_eq!(feed(&mut connection, &large[9..500]).unwrap(), []);
    assert_eq!(messages(&feed(&mut connection, &large[500..]).unwrap()).len(), 1);
    assert_eq!(connection.held_bytes(), 0);
    assert!(connection.direct_buffer().is_none());
    // A message that arrives whole needs no grant.
    assert!(matches!(feed(&mut connection, &large).unwrap()[..], [Event::Message(_)]));
}

#[test]
fn many_small_frames_need_a_grant_too() {
    let mut connection = open(1, Limits::default());
    let mut held = 0;
    for _ in 0..1000 {
        let part = frame(MORE, &[5; 100]);
        for event in feed(&mut connection, &part).unwrap() {
            let Event::Large { bytes } = event else { panic!("{event:?}") };
            assert!(bytes > held, "each grant is for more");
            held = bytes;
        }
        assert!(connection.held_bytes() <= held.max(2 * UNGRANTED_BYTES_MAX));
    }
    let events = feed(&mut connection, &frame(0, b"last")).unwrap();
    assert_eq!(messages(&events)[0].len(), 1001);
}
