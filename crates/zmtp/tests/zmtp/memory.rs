//! Memory tests: allocation and release of a connection's buffers.

use bytes::{Bytes, BytesMut};
use majordomus_zmtp::{
    BufferPool, Event, Limits, SHARED_FRAME_BYTES_MIN, UNGRANTED_BYTES_MAX, UNSENT_PONGS_MAX,
};

use crate::wire::{command, feed, feed_direct, frame, message, messages, open, send, written};

#[test]
fn settling_lets_go_of_the_read_buffer() {
    let mut connection = open(1, Limits::default());
    let mut read_buffer = BytesMut::with_capacity(4096);
    let start = read_buffer.as_ptr();
    for round in 0..10 {
        read_buffer.extend_from_slice(&message(&["whole"]));
        read_buffer.extend_from_slice(&message(&["cut here"])[..6]);
        connection.receive(&mut read_buffer);
        assert!(matches!(connection.poll(), Ok(Some(Event::Message(_)))));
        assert_eq!(connection.poll(), Ok(None));
        connection.settle();
        assert_eq!(connection.held_bytes(), 6);
        assert!(read_buffer.try_reclaim(4096), "round {round}: nobody else holds the buffer");
        assert_eq!(read_buffer.as_ptr(), start);

        read_buffer.extend_from_slice(&message(&["cut here"])[6..]);
        connection.receive(&mut read_buffer);
        let event = connection.poll().unwrap().unwrap();
        assert_eq!(messages(&[event]), [["cut here"]]);
        assert_eq!(connection.poll(), Ok(None));
        connection.settle();
        assert_eq!(connection.held_bytes(), 0);
        assert!(read_buffer.try_reclaim(4096));
    }
}

#[test]
fn what_was_not_polled_survives_settling() {
    let mut connection = open(1, Limits::default());
    let mut bytes = BytesMut::from(&message(&["a"]).repeat(3)[..]);
    connection.receive(&mut bytes);
    assert!(matches!(connection.poll(), Ok(Some(Event::Message(_)))));
    connection.settle();
    assert_eq!(connection.held_bytes(), 6);
    connection.receive(&mut BytesMut::from(&message(&["b"])[..]));
    connection.settle();
    let events = feed(&mut connection, &message(&["c"])).unwrap();
    assert_eq!(messages(&events), [["a"], ["a"], ["b"], ["c"]]);
    assert_eq!(connection.held_bytes(), 0);
}

#[test]
fn a_backlog_of_messages_is_taken_in_order() {
    // Bytes that arrive while complete messages are buffered are appended after them.
    let mut connection = open(1, Limits::default());
    connection.receive(&mut BytesMut::from(&message(&["a"]).repeat(100)[..]));
    connection.receive(&mut BytesMut::from(&message(&["b"]).repeat(100)[..]));
    connection.receive(&mut BytesMut::from(&message(&["c"])[..2]));
    connection.settle();
    let events = feed(&mut connection, b"c").unwrap();
    let bodies: String =
        messages(&events).iter().map(|frames| std::str::from_utf8(&frames[0]).unwrap()).collect();
    assert_eq!(bodies, "a".repeat(100) + &"b".repeat(100) + "c");
    assert_eq!(connection.held_bytes(), 0);
}

#[test]
fn only_the_cut_message_is_copied() {
    let mut connection = open(1, Limits::default());
    let first = message(&["first"]);
    assert_eq!(feed(&mut connection, &first[..3]).unwrap(), []);
    let mut read_buffer = BytesMut::from(&[&first[3..], &message(&["second"])[..]].concat()[..]);
    let place = read_buffer[first.len() - 3 + 2..].as_ptr();
    connection.receive(&mut read_buffer);
    assert!(matches!(connection.poll(), Ok(Some(Event::Message(_)))));
    let Ok(Some(Event::Message(second))) = connection.poll() else { panic!() };
    assert_eq!(second.frame(0).as_ptr(), place);
}

#[test]
fn large_message_takes_only_its_first_header_before_the_grant() {
    let mut connection = open(1, Limits::default());
    let bytes = [message(&["one"]), message(&[vec![1; 100_000]])].concat();
    let (mut rest, mut bounds) = (&bytes[..50_000], Vec::new());
    assert_eq!(connection.whole_message(rest, &mut bounds), Some(5));
    rest = &rest[5..];
    assert_eq!(connection.whole_message(rest, &mut bounds), None);
    assert_eq!(connection.poll_from(&mut rest), Ok(Some(Event::Large { bytes: 100_009 })));
    assert_eq!(rest.len(), 50_000 - 5 - 9, "the body is copied once, to where it stays");
    assert_eq!(connection.poll_from(&mut rest), Ok(None));
    assert_eq!(rest.len(), 50_000 - 5 - 9, "nothing is taken before the grant");
    connection.grant();
    assert_eq!(connection.poll_from(&mut rest), Ok(None));
    assert!(rest.is_empty());
    let events = feed_direct(&mut connection, &bytes[50_000..]).unwrap();
    assert_eq!(messages(&events), [[vec![1; 100_000]]]);
    assert_eq!(connection.held_bytes(), 0);
}

#[test]
fn cut_message_takes_only_its_own_bytes() {
    let mut connection = open(1, Limits::default());
    let [first, second] = [message(&["first"; 3]), message(&["second"])];
    let mut bounds = Vec::new();
    for cut in 1..first.len() {
        let mut rest = &first[..cut];
        assert_eq!(connection.whole_message(rest, &mut bounds), None);
        assert_eq!(connection.poll_from(&mut rest), Ok(None));
        connection.settle();
        let bytes = [&first[cut..], &second].concat();
        let mut rest = &bytes[..];
        assert_eq!(connection.whole_message(rest, &mut bounds), None, "it has begun");
        let event = connection.poll_from(&mut rest).unwrap().unwrap();
        assert_eq!(messages(&[event]), [["first"; 3]]);
        assert_eq!(connection.whole_message(rest, &mut bounds), Some(second.len()), "cut {cut}");
        assert_eq!(rest, second);
    }
}

#[test]
fn a_large_body_is_read_in_place() {
    let mut connection = open(1, Limits::default());
    let body: Vec<u8> = (0..1_000_000).map(|i| (i % 241) as u8).collect();
    let bytes = message(&[&b"head"[..], &body]);
    let events = feed(&mut connection, &bytes[..5000]).unwrap();
    assert_eq!(events, [Event::Large { bytes: bytes.len() }]);
    assert_eq!(connection.held_bytes(), bytes.len(), "exactly what it needs");
    let mut place = std::ptr::null();
    let mut rest = &bytes[5000..];
    while !rest.is_empty() {
        let buffer = connection.direct_buffer().unwrap();
        assert_eq!(buffer.len(), rest.len());
        place = buffer.as_ptr();
        let n = rest.len().min(200_000);
        buffer[..n].copy_from_slice(&rest[..n]);
        connection.direct_received(n);
        rest = &rest[n..];
        if !rest.is_empty() {
            assert_eq!(connection.poll(), Ok(None));
        }
    }
    let Ok(Some(Event::Message(large))) = connection.poll() else { panic!() };
    assert_eq!(large.frame(1), body);
    assert!(large.data.as_ptr_range().contains(&place), "the body was not moved");
    assert_eq!(connection.held_bytes(), 0);
}

#[test]
fn no_memory_before_the_grant() {
    let mut connection = open(1, Limits::default());
    let bytes = message(&[vec![1; 1_000_000]]);
    connection.receive(&mut BytesMut::from(&bytes[..100]));
    assert!(matches!(connection.poll(), Ok(Some(Event::Large { bytes: 1_000_009 }))));
    for _ in 0..3 {
        assert_eq!(connection.poll(), Ok(None));
        assert!(connection.direct_buffer().is_none());
        connection.settle();
        assert_eq!(connection.held_bytes(), 100);
    }
    // Bytes that arrive before the grant are still buffered, and none are lost.
    connection.receive(&mut BytesMut::from(&bytes[100..200]));
    assert_eq!(connection.poll(), Ok(None));
    connection.grant();
    assert_eq!(messages(&feed_direct(&mut connection, &bytes[200..]).unwrap()).len(), 1);
    connection.settle();
    assert_eq!(connection.held_bytes(), 0);
}

#[test]
fn a_large_message_may_come_in_the_memory_of_one_before() {
    let mut connection = open(1, Limits::default());
    let mut spares = BufferPool::new(1 << 20);
    let mut places = Vec::new();
    for fill in [1, 2, 3] {
        let bytes = message(&[vec![fill; 100_000]]);
        connection.receive(&mut BytesMut::from(&bytes[..100]));
        let Ok(Some(Event::Large { bytes: large })) = connection.poll() else { panic!() };
        connection.grant_in(spares.take(large));
        let events = feed_direct(&mut connection, &bytes[100..]).unwrap();
        let [Event::Message(message)] = &events[..] else { panic!("{events:?}") };
        assert_eq!(message.data.len(), large);
        assert!(message.data[9..].iter().all(|byte| *byte == fill));
        spares.lend(&message.data);
        places.push(message.data.as_ptr());
    }
    assert_eq!(places, [places[0]; 3]);
}

#[test]
fn memory_that_is_too_small_is_not_used() {
    let mut connection = open(1, Limits::default());
    let bytes = message(&[vec![1; 100_000]]);
    connection.receive(&mut BytesMut::from(&bytes[..100]));
    assert!(matches!(connection.poll(), Ok(Some(Event::Large { .. }))));
    connection.grant_in(BytesMut::zeroed(50_000));
    assert_eq!(messages(&feed_direct(&mut connection, &bytes[100..]).unwrap()).len(), 1);
}

#[test]
fn small_messages_are_not_reserved_ahead() {
    let mut connection = open(1, Limits::default());
    let bytes = frame(0, &vec![0; UNGRANTED_BYTES_MAX - 9]);
    for at in 0..bytes.len() - 1 {
        assert_eq!(feed(&mut connection, &bytes[at..=at]).unwrap(), []);
        assert!(connection.held_bytes() <= 2 * (at + 8));
    }
}

#[test]
fn small_frames_behind_a_large_one_need_no_new_grant() {
    let mut connection = open(1, Limits::default());
    let bytes = message(&[&vec![1; 100_000][..], b"json", b"options"]);
    let events = feed_direct(&mut connection, &bytes).unwrap();
    assert!(matches!(events[..], [Event::Large { .. }, Event::Message(_)]), "{events:?}");
}

#[test]
fn large_frames_go_out_by_reference() {
    let mut connection = open(1, Limits::default());
    let large = Bytes::from(vec![3; SHARED_FRAME_BYTES_MIN]);
    let small = Bytes::from(vec![4; SHARED_FRAME_BYTES_MIN - 1]);
    connection.send_frame(b"a", true);
    connection.send_shared(&large, true);
    connection.send_shared(&large, true);
    connection.send_shared(&small, false);
    let slices: Vec<&[u8]> = connection.unsent().collect();
    assert_eq!(slices.len(), 5);
    assert_eq!(slices[1].as_ptr(), large.as_ptr());
    assert_eq!(slices[3].as_ptr(), large.as_ptr());
    assert!(!large.is_unique());
    assert!(small.is_unique());
    assert_eq!(written(&mut connection), message(&[b"a", &large[..], &large, &small]));
    assert!(large.is_unique(), "let go as soon as it is written");
}

#[test]
fn writes_of_any_size() {
    let frames: Vec<Bytes> = [1, 9000, 0, 300, 8192, 20_000, 5]
        .into_iter()
        .enumerate()
        .map(|(index, len)| Bytes::from(vec![index as u8; len]))
        .collect();
    let expected = message(&frames);
    for step in [1, 2, 7, 100, 8192, 10_000, 1 << 20] {
        let mut connection = open(1, Limits::default());
        for (index, frame) in frames.iter().enumerate() {
            connection.send_shared(frame, index + 1 < frames.len());
        }
        let mut sent = Vec::<u8>::new();
        while connection.unsent_bytes() > 0 {
            let n = step.min(connection.unsent_bytes());
            sent.extend(connection.unsent().flatten().take(n));
            connection.sent(n);
            assert_eq!(connection.unsent_bytes(), expected.len() - sent.len());
            assert!(connection.unsent().all(|slice| !slice.is_empty()));
        }
        assert!(sent == expected, "step {step}");
    }
}

#[test]
fn writing_and_queueing_in_turns() {
    let mut connection = open(1, Limits::default());
    let large = Bytes::from(vec![1; 9000]);
    let (mut expected, mut sent) = (Vec::new(), Vec::new());
    for round in 0..500_usize {
        let small = vec![round as u8; round % 300];
        send(&mut connection, &[&small[..], &large[..round * 18]]);
        expected.extend(message(&[&small[..], &large[..round * 18]]));
        let n = connection.unsent_bytes() * 2 / 3;
        sent.extend(connection.unsent().flatten().take(n));
        connection.sent(n);
    }
    sent.extend(written(&mut connection));
    assert!(sent == expected);
}

#[test]
fn a_flood_of_pings_fills_no_memory() {
    let mut connection = open(1, Limits::default());
    let pings = command("PING", b"\0\x010123456789abcdef").repeat(1000);
    for _ in 0..3 {
        assert_eq!(feed(&mut connection, &pings).unwrap(), vec![Event::Ping; 1000]);
        let pongs = command("PONG", b"0123456789abcdef").repeat(UNSENT_PONGS_MAX as usize);
        assert_eq!(connection.unsent_bytes(), pongs.len());
        assert_eq!(written(&mut connection), pongs);
    }
    // Queued messages do not prevent a PONG.
    send(&mut connection, &[vec![0; 100_000]]);
    let before = connection.unsent_bytes();
    feed(&mut connection, &command("PING", b"\0\0")).unwrap();
    assert_eq!(connection.unsent_bytes(), before + 7);
}
