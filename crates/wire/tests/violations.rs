//! Tests of all protocol violations: the frame and the error message of each.

use majordomus_core::Frames;
use majordomus_wire::{Codec, Dialect, Error, Scratch, Side, Socket, Violation};

use Dialect::{Gdp, Libmdp, Majortomo, Mdp01, Mdp02, Omdp, Omdp1, Pigato, Zproto};

/// The decoder for a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reader {
    /// The broker's decoder for a client's message.
    FromClient,
    /// The broker's decoder for a worker's message.
    FromWorker,
    /// The client's decoder for a broker's message.
    ToClient,
    /// The worker's decoder for a broker's message.
    ToWorker,
    /// A first message. The dialect beside it is the one that the listener is pinned to.
    Detect,
    /// A first message from a CLIENT socket; the listener is pinned to the dialect beside it.
    DetectClient,
    /// A first message to a listener that accepts every dialect. The dialect beside it only
    /// determines the kind of socket.
    DetectAny,
}

use Reader::{Detect, DetectAny, DetectClient, FromClient, FromWorker, ToClient, ToWorker};

fn refuse(to: Reader, dialect: Dialect, message: Frames) -> Error {
    let codec = |side| Codec::new(dialect, side);
    let mut scratch = Scratch::default();
    let mut first = |socket, pinned, message: Frames| {
        let (message, scratch) = (message.view(), &mut scratch);
        let codec = Codec::detect(message, b"", socket, pinned)?;
        match codec.side() {
            Side::Client => codec.decode_from_client(message, scratch).map(drop),
            Side::Worker => codec.decode_from_worker(message, scratch).map(drop),
        }
    };
    let refused = match to {
        FromClient => {
            codec(Side::Client).decode_from_client(message.view(), &mut Scratch::default()).err()
        }
        FromWorker => {
            codec(Side::Worker).decode_from_worker(message.view(), &mut Scratch::default()).err()
        }
        ToClient => codec(Side::Client).decode_to_client(message).err(),
        ToWorker => codec(Side::Worker).decode_to_worker(message).err(),
        Detect => first(Socket::Dealer, Some(dialect), message).err(),
        DetectClient => first(Socket::Client, Some(dialect), message).err(),
        DetectAny => first(dialect.socket(), None, message).err(),
    };
    refused.expect("the message breaks the dialect")
}

#[track_caller]
fn check(to: Reader, dialect: Dialect, frames: &[&[u8]], name: &str, text: &str) {
    let error = refuse(to, dialect, Frames::from_slices(frames));
    let shown = Frames::from_slices(frames);
    assert_eq!(error.to_string(), text, "{to:?} {dialect} {shown:?}");
    assert_eq!(error.violation().name(), name, "{to:?} {dialect} {shown:?}");
}

type Case = (Reader, Dialect, &'static [&'static [u8]], &'static str, &'static str);

const LONG: &[u8] = &[b'x'; 10_000];

const MISSING: &str = "frame 0: the leading empty frame is missing";
const UNEXPECTED: &str = "frame 0: a leading empty frame, where this connection has none";
const KNOWN: &str = "(known: MDPC01, MDPW01, MDPC02, MDPW02, C, W, MDPC0X, MDPW0X)";

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Before the header.
    (DetectAny, Mdp01, &[], "no_frames", "the message has no frame"),
    (FromClient, Mdp01, &[], "no_frames", "the message has no frame"),
    (FromWorker, Mdp02, &[], "no_frames", "the message has no frame"),
    (ToClient, Majortomo, &[], "no_frames", "the message has no frame"),
    (ToWorker, Majortomo, &[], "no_frames", "the message has no frame"),
    (DetectAny, Mdp01, &[b"MDPC01", b"echo"], "delimiter_missing", MISSING),
    (DetectAny, Mdp01, &[b"MDPW01", b"\x04"], "delimiter_missing", MISSING),
    (Detect, Mdp01, &[b"MDPC01", b"echo"], "delimiter_missing", MISSING),
    (Detect, Mdp02, &[b"MDPC01", b"echo"], "delimiter_missing", MISSING),
    (FromClient, Mdp01, &[b"MDPC01", b"echo"], "delimiter_missing", MISSING),
    (FromClient, Majortomo, &[b"MDPC02", b"\x02", b"echo", b"a"], "delimiter_missing", MISSING),
    (FromWorker, Majortomo, &[b"MDPW02", b"\x05"], "delimiter_missing", MISSING),
    (ToWorker, Mdp01, &[b"MDPW01", b"\x04"], "delimiter_missing", MISSING),
    (FromClient, Mdp02, &[b"", b"MDPC02", b"\x01", b"echo"], "unexpected_delimiter",
        "frame 0: a leading empty frame, where this connection has none"),
    (FromWorker, Mdp02, &[b""], "unexpected_delimiter",
        "frame 0: a leading empty frame, where this connection has none"),

    // The header.
    (DetectAny, Mdp01, &[b""], "missing_header", "frame 1: there is no header"),
    (Detect, Mdp01, &[b""], "missing_header", "frame 1: there is no header"),
    (FromClient, Mdp01, &[b""], "missing_header", "frame 1: there is no header"),
    (ToWorker, Majortomo, &[b""], "missing_header", "frame 1: there is no header"),
    (DetectAny, Mdp01, &[b"", b""], "unknown_header", "frame 1: unknown header \"\" (known: MDPC01, MDPW01, MDPC02, MDPW02, C, W, MDPC0X, MDPW0X)"),
    (DetectAny, Mdp01, &[b"", b"MDPX01", b"echo"], "unknown_header",
        "frame 1: unknown header \"MDPX01\" (known: MDPC01, MDPW01, MDPC02, MDPW02, C, W, MDPC0X, MDPW0X)"),
    (DetectAny, Mdp01, &[b"mdpc02", b"\x01"], "unknown_header",
        "frame 0: unknown header \"mdpc02\" (known: MDPC01, MDPW01, MDPC02, MDPW02, C, W, MDPC0X, MDPW0X)"),
    (Detect, Mdp02, &[b"MDPC021", b"\x01"], "unknown_header",
        "frame 0: unknown header \"MDPC021\" (known: MDPC01, MDPW01, MDPC02, MDPW02, C, W, MDPC0X, MDPW0X)"),
    (FromWorker, Mdp02, &[b"\0\xff"], "unknown_header",
        "frame 0: unknown header \"\\x00\\xff\" (known: MDPC01, MDPW01, MDPC02, MDPW02, C, W, MDPC0X, MDPW0X)"),
    (FromClient, Mdp01, &[b"", b"MDPW01", b"\x04"], "header_of_other_side",
        "frame 1: the header of a worker on the connection of a client"),
    (FromWorker, Mdp02, &[b"MDPC02", b"\x01", b"echo"], "header_of_other_side",
        "frame 0: the header of a client on the connection of a worker"),
    (FromWorker, Majortomo, &[b"", b"MDPC02", b"\x02", b"echo", b"a"], "header_of_other_side",
        "frame 1: the header of a client on the connection of a worker"),
    (FromClient, Mdp01, &[b"", b"MDPC02", b"\x01", b"echo"], "header_of_other_dialect",
        "frame 1: header \"MDPC02\" on a connection that speaks mdp01"),
    (FromWorker, Mdp02, &[b"MDPC01", b"echo"], "header_of_other_dialect",
        "frame 0: header \"MDPC01\" on a connection that speaks mdp02"),
    (Detect, Mdp02, &[b"", b"MDPC01", b"echo"], "pinned_to_other",
        "frame 1: mdp01 is spoken where only mdp02 is taken"),
    (Detect, Mdp01, &[b"MDPW02", b"\x01", b"echo"], "pinned_to_other",
        "frame 0: mdp02 is spoken where only mdp01 is taken"),
    (Detect, Majortomo, &[b"", b"MDPC02", b"\x01", b"echo"], "pinned_to_other",
        "frame 1: mdp02 is spoken where only majortomo is taken"),
    (Detect, Mdp02, &[b"", b"MDPC02", b"\x02", b"echo", b"a"], "pinned_to_other",
        "frame 1: majortomo is spoken where only mdp02 is taken"),
    (Detect, Majortomo, &[b"MDPW02", b"\x01", b"echo"], "pinned_to_other",
        "frame 0: mdp02 is spoken where only majortomo is taken"),

    // The command.
    (DetectAny, Mdp02, &[b"MDPC02"], "missing_command", "frame 1: there is no command"),
    (DetectAny, Mdp02, &[b"", b"MDPC02"], "missing_command", "frame 2: there is no command"),
    (DetectAny, Mdp01, &[b"", b"MDPW01"], "missing_command", "frame 2: there is no command"),
    (FromWorker, Mdp02, &[b"MDPW02"], "missing_command", "frame 1: there is no command"),
    (ToClient, Mdp02, &[b"MDPC02"], "missing_command", "frame 1: there is no command"),
    (ToWorker, Mdp01, &[b"", b"MDPW01"], "missing_command", "frame 2: there is no command"),
    (FromClient, Mdp02, &[b"MDPC02", b"", b"echo"], "command_length",
        "frame 1: command of 0 bytes instead of one"),
    (FromWorker, Mdp01, &[b"", b"MDPW01", b"\x01\x01", b"echo"], "command_length",
        "frame 2: command of 2 bytes instead of one"),
    (DetectAny, Mdp02, &[b"MDPC02", LONG, b"echo"], "command_length",
        "frame 1: command of 10000 bytes instead of one"),
    (FromClient, Mdp02, &[b"MDPC02", b"\x09", b"echo"], "unknown_command",
        "frame 1: unknown command 0x09"),
    (FromClient, Mdp02, &[b"MDPC02", b"1", b"echo"], "unknown_command",
        "frame 1: unknown command 0x31"),
    (FromWorker, Mdp01, &[b"", b"MDPW01", b"\x06"], "unknown_command",
        "frame 2: unknown command 0x06"),
    (FromWorker, Majortomo, &[b"", b"MDPW02", b"\0"], "unknown_command",
        "frame 2: unknown command 0x00"),
    (ToClient, Majortomo, &[b"", b"MDPC02", b"\x01"], "unknown_command",
        "frame 2: unknown command 0x01"),
    (ToWorker, Mdp02, &[b"MDPW02", b"\x07"], "unknown_command", "frame 1: unknown command 0x07"),
    (DetectAny, Mdp02, &[b"", b"MDPC02", b"\x09", b"echo"], "unknown_command",
        "frame 2: unknown command 0x09"),
    // majortomo's number of REQUEST without a leading empty frame is the RFC's PARTIAL.
    (DetectAny, Mdp02, &[b"MDPC02", b"\x02", b"echo", b"a"], "command_of_other_direction",
        "frame 1: command 0x02 is only for the other direction"),
    (Detect, Mdp02, &[b"", b"MDPC02", b"\x03", b"echo"], "command_of_other_direction",
        "frame 2: command 0x03 is only for the other direction"),
    (FromClient, Majortomo, &[b"", b"MDPC02", b"\x04", b"a"], "command_of_other_direction",
        "frame 2: command 0x04 is only for the other direction"),
    (FromWorker, Mdp01, &[b"", b"MDPW01", b"\x02", b"17", b"", b"a"], "command_of_other_direction",
        "frame 2: command 0x02 is only for the other direction"),
    (FromWorker, Mdp02, &[b"MDPW02", b"\x02", b"17", b"", b"a"], "command_of_other_direction",
        "frame 1: command 0x02 is only for the other direction"),
    (ToClient, Mdp02, &[b"MDPC02", b"\x01", b"echo"], "command_of_other_direction",
        "frame 1: command 0x01 is only for the other direction"),
    (ToWorker, Mdp01, &[b"", b"MDPW01", b"\x01", b"echo"], "command_of_other_direction",
        "frame 2: command 0x01 is only for the other direction"),
    (ToWorker, Mdp02, &[b"MDPW02", b"\x03", b"17", b""], "command_of_other_direction",
        "frame 1: command 0x03 is only for the other direction"),

    // The service.
    (DetectAny, Mdp01, &[b"", b"MDPC01"], "missing_service", "frame 2: there is no service name"),
    (FromClient, Mdp02, &[b"MDPC02", b"\x01"], "missing_service",
        "frame 2: there is no service name"),
    (FromWorker, Mdp01, &[b"", b"MDPW01", b"\x01"], "missing_service",
        "frame 3: there is no service name"),
    (ToClient, Mdp02, &[b"MDPC02", b"\x03"], "missing_service",
        "frame 2: there is no service name"),
    (FromClient, Mdp01, &[b"", b"MDPC01", b"", b"a"], "empty_service",
        "frame 2: the service name is empty"),
    (FromWorker, Majortomo, &[b"", b"MDPW02", b"\x01", b""], "empty_service",
        "frame 3: the service name is empty"),
    (FromWorker, Majortomo, &[b"", b"MDPW02", b"\x01", LONG], "service_too_long",
        "frame 3: service name of 10000 bytes is longer than 255"),
    (FromClient, Mdp01, &[b"", b"MDPC01", b"caf\xe9"], "service_not_utf8",
        "frame 2: the service name is not UTF-8"),
    (FromClient, Mdp02, &[b"MDPC02", b"\x01", b"echo\n"], "service_control_character",
        "frame 2: control character 0x0a in the service name"),
    (FromWorker, Mdp02, &[b"MDPW02", b"\x01", b"\0"], "service_control_character",
        "frame 2: control character 0x00 in the service name"),

    // The client address.
    (FromWorker, Mdp01, &[b"", b"MDPW01", b"\x03"], "missing_address",
        "frame 3: there is no client address"),
    (FromWorker, Mdp02, &[b"MDPW02", b"\x03"], "missing_address",
        "frame 2: there is no client address"),
    (ToWorker, Mdp02, &[b"MDPW02", b"\x02"], "missing_address",
        "frame 2: there is no client address"),
    (FromWorker, Majortomo, &[b"", b"MDPW02", b"\x04", b"", b"", b"a"], "empty_address",
        "frame 3: the client address is empty"),
    (FromWorker, Mdp02, &[b"MDPW02", b"\x04", LONG, b"", b"a"], "address_too_long",
        "frame 2: client address of 10000 bytes is longer than 255"),
    (FromWorker, Mdp01, &[b"", b"MDPW01", b"\x03", b"17"], "missing_separator",
        "frame 4: the empty frame behind the client address is missing"),
    (ToWorker, Mdp01, &[b"", b"MDPW01", b"\x02", b"17"], "missing_separator",
        "frame 4: the empty frame behind the client address is missing"),
    (FromWorker, Mdp02, &[b"MDPW02", b"\x04", b"17", b"body"], "separator_not_empty",
        "frame 3: 4 bytes where an empty frame belongs, behind the client address"),

    // The end of the message.
    (FromWorker, Mdp01, &[b"", b"MDPW01", b"\x01", b"echo", b"x"], "excess_frames",
        "frame 4: excess frames behind the end of the command: 1"),
    (FromWorker, Mdp01, &[b"", b"MDPW01", b"\x04", b""], "excess_frames",
        "frame 3: excess frames behind the end of the command: 1"),
    (FromWorker, Mdp02, &[b"MDPW02", b"\x06", b"a", b"b"], "excess_frames",
        "frame 2: excess frames behind the end of the command: 2"),
    (ToWorker, Mdp02, &[b"MDPW02", b"\x05", b"a"], "excess_frames",
        "frame 2: excess frames behind the end of the command: 1"),
    (ToWorker, Majortomo, &[b"", b"MDPW02", b"\x06", b"a"], "excess_frames",
        "frame 3: excess frames behind the end of the command: 1"),
    (FromClient, Majortomo, &[b"", b"MDPC02", b"\x02", b"echo"], "missing_body",
        "frame 4: there is no body frame"),

    // PIGATO and zmq-omdp.
    (FromClient, Pigato, &[], "no_frames", "the message has no frame"),
    (ToWorker, Omdp, &[], "no_frames", "the message has no frame"),
    (DetectAny, Pigato, &[b"", b"C", b"4"], "unexpected_delimiter", UNEXPECTED),
    (Detect, Pigato, &[b"", b"W", b"1", b"echo"], "unexpected_delimiter", UNEXPECTED),
    (FromClient, Pigato, &[b"", b"C", b"4"], "unexpected_delimiter", UNEXPECTED),
    (FromWorker, Omdp, &[b"", b"W", b"4"], "unexpected_delimiter", UNEXPECTED),
    (FromClient, Pigato, &[b"X", b"4"], "unknown_header",
        "frame 0: unknown header \"X\" (known: MDPC01, MDPW01, MDPC02, MDPW02, C, W, MDPC0X, MDPW0X)"),
    (FromClient, Pigato, &[b"W", b"4"], "header_of_other_side",
        "frame 0: the header of a worker on the connection of a client"),
    (FromWorker, Omdp, &[b"C", b"4"], "header_of_other_side",
        "frame 0: the header of a client on the connection of a worker"),
    (FromClient, Pigato, &[b"MDPC02", b"\x01", b"echo"], "header_of_other_dialect",
        "frame 0: header \"MDPC02\" on a connection that speaks pigato"),
    (FromClient, Mdp02, &[b"C", b"4"], "header_of_other_dialect",
        "frame 0: header \"C\" on a connection that speaks mdp02"),
    (Detect, Mdp02, &[b"C", b"4"], "pinned_to_other",
        "frame 0: pigato is spoken where only mdp02 is taken"),
    (Detect, Omdp, &[b"MDPW02", b"\x05"], "pinned_to_other",
        "frame 0: mdp02 is spoken where only omdp is taken"),
    (DetectAny, Pigato, &[b"C"], "missing_command", "frame 1: there is no command"),
    (FromWorker, Omdp, &[b"W"], "missing_command", "frame 1: there is no command"),
    (FromClient, Pigato, &[b"C", b"", b"echo"], "command_length",
        "frame 1: command of 0 bytes instead of one"),
    (FromWorker, Pigato, &[b"W", b"10"], "command_length",
        "frame 1: command of 2 bytes instead of one"),
    (FromClient, Pigato, &[b"C", b"\x02", b"echo", b"r1"], "unknown_command",
        "frame 1: unknown command 0x02"),
    (FromClient, Omdp, &[b"C", b"5"], "unknown_command", "frame 1: unknown command 0x35"),
    (FromClient, Pigato, &[b"C", b"1", b"echo"], "unknown_command",
        "frame 1: unknown command 0x31"),
    (FromWorker, Pigato, &[b"W", b"8"], "unknown_command", "frame 1: unknown command 0x38"),
    // zmq-omdp has no rejection, and no answer to READY.
    (FromWorker, Omdp, &[b"W", b"7", b"17", b"r1", b"0", b"1"], "unknown_command",
        "frame 1: unknown command 0x37"),
    (ToClient, Omdp, &[b"C", b"7", b"r1", b"0", b"1"], "unknown_command",
        "frame 1: unknown command 0x37"),
    (ToWorker, Omdp, &[b"W", b"1"], "command_of_other_direction",
        "frame 1: command 0x31 is only for the other direction"),
    (FromClient, Pigato, &[b"C", b"3", b"", b"r1", b"0", b"1"], "command_of_other_direction",
        "frame 1: command 0x33 is only for the other direction"),
    (FromClient, Pigato, &[b"C", b"7"], "command_of_other_direction",
        "frame 1: command 0x37 is only for the other direction"),
    (FromWorker, Pigato, &[b"W", b"2", b"17"], "command_of_other_direction",
        "frame 1: command 0x32 is only for the other direction"),
    (ToClient, Pigato, &[b"C", b"2", b"echo", b"r1"], "command_of_other_direction",
        "frame 1: command 0x32 is only for the other direction"),
    (ToWorker, Pigato, &[b"W", b"7", b"17"], "command_of_other_direction",
        "frame 1: command 0x37 is only for the other direction"),
    (DetectAny, Pigato, &[b"C", b"2"], "missing_service", "frame 2: there is no service name"),
    (FromWorker, Pigato, &[b"W", b"1"], "missing_service", "frame 2: there is no service name"),
    (ToWorker, Pigato, &[b"W", b"2", b"17"], "missing_service",
        "frame 3: there is no service name"),
    (FromWorker, Pigato, &[b"W", b"1", b""], "empty_service",
        "frame 2: the service name is empty"),
    (FromWorker, Omdp, &[b"W", b"1", LONG], "service_too_long",
        "frame 2: service name of 10000 bytes is longer than 255"),
    (FromWorker, Pigato, &[b"W", b"1", b"caf\xe9"], "service_not_utf8",
        "frame 2: the service name is not UTF-8"),
    (FromWorker, Pigato, &[b"W", b"1", b"a\0"], "service_control_character",
        "frame 2: control character 0x00 in the service name"),
    (DetectAny, Pigato, &[b"C", b"2", b"echo"], "missing_id", "frame 3: there is no request id"),
    (FromClient, Omdp, &[b"C", b"2", b"echo"], "missing_id", "frame 3: there is no request id"),
    (FromWorker, Pigato, &[b"W", b"3", b"17", b""], "missing_id",
        "frame 4: there is no request id"),
    (FromWorker, Omdp, &[b"W", b"3", b"17"], "missing_id", "frame 3: there is no request id"),
    (ToClient, Pigato, &[b"C", b"3", b""], "missing_id", "frame 3: there is no request id"),
    (ToClient, Omdp, &[b"C", b"6"], "missing_id", "frame 2: there is no request id"),
    (ToWorker, Pigato, &[b"W", b"2", b"17", b"echo", b""], "missing_id",
        "frame 5: there is no request id"),
    (ToWorker, Pigato, &[b"W", b"4", b"17", b""], "missing_id",
        "frame 4: there is no request id"),
    (ToWorker, Omdp, &[b"W", b"4", b"17"], "missing_id", "frame 3: there is no request id"),
    (FromClient, Pigato, &[b"C", b"2", b"echo", LONG, b"1", b"{}"], "id_too_long",
        "frame 3: request id of 10000 bytes is longer than 255"),
    (FromClient, Pigato, &[b"C", b"4", b"request", LONG], "id_too_long",
        "frame 3: request id of 10000 bytes is longer than 255"),
    (FromClient, Omdp, &[b"C", b"4", LONG], "id_too_long",
        "frame 2: request id of 10000 bytes is longer than 255"),
    (FromWorker, Pigato, &[b"W", b"6", b"17", b"", LONG, b"0", b"1"], "id_too_long",
        "frame 4: request id of 10000 bytes is longer than 255"),
    (FromWorker, Pigato, &[b"W", b"3"], "missing_address", "frame 2: there is no client address"),
    (FromWorker, Pigato, &[b"W", b"7"], "missing_address", "frame 2: there is no client address"),
    (ToWorker, Omdp, &[b"W", b"2"], "missing_address", "frame 2: there is no client address"),
    (FromWorker, Omdp, &[b"W", b"6", b"", b"r1", b"0", b"1"], "empty_address",
        "frame 2: the client address is empty"),
    (FromWorker, Pigato, &[b"W", b"3", LONG, b"", b"r1"], "address_too_long",
        "frame 2: client address of 10000 bytes is longer than 255"),
    (FromWorker, Pigato, &[b"W", b"3", b"17"], "missing_separator",
        "frame 3: the empty frame behind the client address is missing"),
    // The format of zmq-omdp's workers.
    (FromWorker, Pigato, &[b"W", b"3", b"17", b"r1", b"0", b"1"], "separator_not_empty",
        "frame 3: 2 bytes where an empty frame belongs, behind the client address"),

    // GDP: one frame.
    (DetectAny, Gdp, &[], "no_frames", "the message has no frame"),
    (DetectAny, Gdp, &[b""], "missing_header", "part 0: there is no header"),
    (FromClient, Gdp, &[b""], "missing_header", "part 0: there is no header"),
    (DetectAny, Gdp, &[b"\0\x06MDPC01\x04echo"], "unexpected_delimiter",
        "part 0: a leading empty frame, where this connection has none"),
    (FromWorker, Gdp, &[b"\0\x06MDPW01\x01\x04"], "unexpected_delimiter",
        "part 0: a leading empty frame, where this connection has none"),
    (DetectAny, Gdp, &[b"\x03abc"], "unknown_header",
        "part 0: unknown header \"abc\" (known: MDPC01, MDPW01, MDPC02, MDPW02, C, W, MDPC0X, MDPW0X)"),
    (DetectClient, Mdp01, &[b"\x06MDPC01\x04echo"], "pinned_to_other",
        "part 0: gdp is spoken where only mdp01 is taken"),
    (Detect, Gdp, &[b"", b"MDPC01", b"echo"], "pinned_to_other",
        "frame 1: mdp01 is spoken where only gdp is taken"),
    (FromClient, Gdp, &[b"\x06MDPC02\x01\x01\x04echo"], "header_of_other_dialect",
        "part 0: header \"MDPC02\" on a connection that speaks gdp"),
    (FromClient, Gdp, &[b"\x06MDPW01\x01\x04"], "header_of_other_side",
        "part 0: the header of a worker on the connection of a client"),
    (DetectAny, Gdp, &[b"\x06MDPC01\x04echo", b"x"], "several_frames",
        "2 frames from a CLIENT socket, which sends one"),
    (FromWorker, Gdp, &[b"", b"MDPW01", b"\x04"], "several_frames",
        "3 frames from a CLIENT socket, which sends one"),
    (DetectAny, Gdp, &[b"\x07MDPC01"], "part_past_end",
        "part 0: it says that it has 7 bytes, and 6 are left of its frame"),
    (FromClient, Gdp, &[b"\x06MDPC01\x04echo\x02a"], "part_past_end",
        "part 2: it says that it has 2 bytes, and 1 are left of its frame"),
    (FromWorker, Gdp, &[b"\x06MDPW01\x01\x03\xff\xff\xff\xff\xffabc"], "part_past_end",
        "part 2: it says that it has 4294967295 bytes, and 3 are left of its frame"),
    (DetectAny, Gdp, &[b"\xff\xff\xff\xff\xff"], "part_past_end",
        "part 0: it says that it has 4294967295 bytes, and 0 are left of its frame"),
    // A detected worker can be sent a DISCONNECT, so its header suffices.
    (DetectAny, Gdp, &[b"\x06MDPW01\x05"], "part_past_end",
        "part 1: it says that it has 5 bytes, and 0 are left of its frame"),
    (FromClient, Gdp, &[b"\x06MDPC01\x04echo\xff\0\0\0"], "packed_frame_cut",
        "part 2: the packed frame ends too early"),
    (DetectAny, Gdp, &[b"\xff"], "packed_frame_cut", "part 0: the packed frame ends too early"),
    (FromWorker, Gdp, &[&[0; 1_025]], "too_many_parts",
        "part 1024: there are more than 1024 parts in one frame"),
    (DetectAny, Gdp, &[b"\x06MDPC01"], "missing_service", "part 1: there is no service name"),
    (FromWorker, Gdp, &[b"\x06MDPW01"], "missing_command", "part 1: there is no command"),
    (ToWorker, Gdp, &[b"\x06MDPW01\x01\x03\x0217\0"], "command_of_other_direction",
        "part 1: command 0x03 is only for the other direction"),
    (FromWorker, Gdp, &[b"\x06MDPW01\x01\x04\0"], "excess_frames",
        "part 2: excess frames behind the end of the command: 1"),

    // zproto: the first frame is packed.
    (FromClient, Zproto, &[], "no_frames", "the message has no frame"),
    (DetectAny, Zproto, &[b"\xaa\xa4"], "packed_frame_cut",
        "frame 0: the packed frame ends too early"),
    (FromWorker, Zproto, &[b"\xaa\xa4"], "packed_frame_cut",
        "frame 0: the packed frame ends too early"),
    (DetectAny, Zproto, &[b"\xaa\xa4\x01"], "packed_frame_cut",
        "frame 0: the packed frame ends too early"),
    (DetectAny, Zproto, &[b"\xaa\xa4\x01\x06MDPC02"], "packed_frame_cut",
        "frame 0: the packed frame ends too early"),
    (DetectAny, Zproto, &[b"\xaa\xa4\x01\x06MDPC02\x01"], "packed_frame_cut",
        "frame 0: the packed frame ends too early"),
    (DetectAny, Zproto, &[b"\xaa\xa4\x01\x07MDPC02"], "part_past_end",
        "frame 0: it says that it has 7 bytes, and 6 are left of its frame"),
    (FromWorker, Zproto, &[b"\xaa\xa4\x04\x06MDPW02\x01\xffecho"], "part_past_end",
        "frame 0: it says that it has 255 bytes, and 4 are left of its frame"),
    (DetectAny, Zproto, &[b"\xaa\xa4\x00"], "unknown_message_id", "frame 0: unknown message id 0"),
    (FromWorker, Zproto, &[b"\xaa\xa4\x0a\x06MDPW02\x07"], "unknown_message_id",
        "frame 0: unknown message id 10"),
    (FromClient, Zproto, &[b"\xaa\xa4\x08\x06MDPW02\x05"], "header_of_other_side",
        "frame 0: the header of a worker on the connection of a client"),
    (DetectAny, Zproto, &[b"\xaa\xa4\x01\x06MDPW02\x01\x04echo"], "version_not_of_message",
        "frame 0: the version is not that of a message with the id 1"),
    (FromWorker, Zproto, &[b"\xaa\xa4\x08\x06MDPW02\x06"], "command_not_of_message",
        "frame 0: command 0x06 is not that of a message with the id 8"),
    (DetectAny, Zproto, &[b"\xaa\xa4\x02\x06MDPC02\x02\x04echo"], "command_of_other_direction",
        "frame 0: command 0x02 is only for the other direction"),
    (FromWorker, Zproto, &[b"\xaa\xa4\x05\x06MDPW02\x02", b"17", b""],
        "command_of_other_direction", "frame 0: command 0x02 is only for the other direction"),
    (DetectAny, Zproto, &[b"\xaa\xa4\x01\x06MDPC02\x01\x00"], "empty_service",
        "frame 0: the service name is empty"),
    (FromWorker, Zproto, &[b"\xaa\xa4\x08\x06MDPW02\x05\x00\x00"], "excess_bytes",
        "frame 0: excess bytes behind the last field: 2"),
    (FromWorker, Zproto, &[b"\xaa\xa4\x04\x06MDPW02\x01\x04echo", b"x"], "excess_frames",
        "frame 1: excess frames behind the end of the command: 1"),
    (FromWorker, Zproto, &[b"\xaa\xa4\x07\x06MDPW02\x04"], "missing_address",
        "frame 1: there is no client address"),
    (FromWorker, Zproto, &[b"\xaa\xa4\x07\x06MDPW02\x04", b"17", b"a"], "separator_not_empty",
        "frame 2: 1 bytes where an empty frame belongs, behind the client address"),
    (FromClient, Zproto, &[b"MDPC02", b"\x01", b"echo"], "header_of_other_dialect",
        "frame 0: header \"MDPC02\" on a connection that speaks zproto"),
    (FromClient, Zproto, &[b"", b"MDPC01", b"echo"], "unexpected_delimiter", UNEXPECTED),
    (DetectAny, Zproto, &[b"", b"\xaa\xa4\x08\x06MDPW02\x05"], "unexpected_delimiter", UNEXPECTED),
    (FromClient, Mdp02, &[b"\xaa\xa4\x08\x06MDPW02\x05"], "header_of_other_dialect",
        "frame 0: header \"\\xaa\\xa4\\x08\\x06MDPW02\\x05\" on a connection that speaks mdp02"),
    (Detect, Zproto, &[b"MDPC02", b"\x01", b"echo"], "pinned_to_other",
        "frame 0: mdp02 is spoken where only zproto is taken"),
    (Detect, Mdp02, &[b"\xaa\xa4\x08\x06MDPW02\x05"], "pinned_to_other",
        "frame 0: zproto is spoken where only mdp02 is taken"),

    // libmdp.
    (DetectAny, Libmdp, &[b"MDPC0X", b"echo", b"a"], "delimiter_missing", MISSING),
    (DetectAny, Libmdp, &[b"", b"MDPC0X"], "missing_service", "frame 2: there is no service name"),
    (Detect, Mdp01, &[b"", b"MDPC0X", b"echo", b"a"], "pinned_to_other",
        "frame 1: libmdp is spoken where only mdp01 is taken"),
    (FromClient, Libmdp, &[b"", b"MDPC01", b"echo", b"a"], "header_of_other_dialect",
        "frame 1: header \"MDPC01\" on a connection that speaks libmdp"),
    (ToClient, Libmdp, &[b"", b"MDPC0X", b"\x04", b"echo"], "unknown_command",
        "frame 2: unknown command 0x04"),
    (FromWorker, Libmdp, &[b"", b"MDPW0X", b"\x06"], "unknown_command",
        "frame 2: unknown command 0x06"),
    (ToWorker, Libmdp, &[b"", b"MDPW0X", b"\x03", b"17", b""], "command_of_other_direction",
        "frame 2: command 0x03 is only for the other direction"),

    // OMDP/1: the frame.
    (FromClient, Omdp1, &[], "no_frames", "the message has no frame"),
    (ToWorker, Omdp1, &[], "no_frames", "the message has no frame"),
    (FromClient, Omdp1, &[b"", b"\x03"], "unexpected_delimiter", UNEXPECTED),
    (ToClient, Omdp1, &[b""], "unexpected_delimiter", UNEXPECTED),
    (DetectAny, Omdp1, &[b"", b"\x03"], "unknown_header",
        "frame 1: unknown header \"\\x03\" (known: MDPC01, MDPW01, MDPC02, MDPW02, C, W, MDPC0X, MDPW0X)"),
    (FromClient, Omdp1, &[b"MDPC02", b"\x01", b"echo"], "unknown_command",
        "frame 0: unknown command 0x4d"),
    (FromClient, Omdp1, &[b"\0"], "unknown_command", "frame 0: unknown command 0x00"),
    (FromWorker, Omdp1, &[b"\x38"], "unknown_command", "frame 0: unknown command 0x38"),
    (ToClient, Omdp1, &[b"\x24"], "unknown_command", "frame 0: unknown command 0x24"),
    (ToWorker, Omdp1, &[b"\x46"], "unknown_command", "frame 0: unknown command 0x46"),
    (FromClient, Omdp1, &[b"\x02"], "command_of_other_direction",
        "frame 0: command 0x02 is only for the other direction"),
    (FromWorker, Omdp1, &[b"\x40"], "command_of_other_direction",
        "frame 0: command 0x40 is only for the other direction"),
    (ToClient, Omdp1, &[b"\x10"], "command_of_other_direction",
        "frame 0: command 0x10 is only for the other direction"),
    (ToWorker, Omdp1, &[b"\x04"], "command_of_other_direction",
        "frame 0: command 0x04 is only for the other direction"),
    (FromClient, Omdp1, &[b"\x30\x04echo"], "command_of_other_side",
        "frame 0: command 0x30 is for workers, on the connection of a client"),
    (FromWorker, Omdp1, &[b"\x12\0\0\0\0\0\0\0\0"], "command_of_other_side",
        "frame 0: command 0x12 is for clients, on the connection of a worker"),
    (ToClient, Omdp1, &[b"\x44"], "command_of_other_side",
        "frame 0: command 0x44 is for workers, on the connection of a client"),
    (ToWorker, Omdp1, &[b"\x23"], "command_of_other_side",
        "frame 0: command 0x23 is for clients, on the connection of a worker"),
    (FromClient, Omdp1, &[b"\x03", b""], "excess_frames",
        "frame 1: excess frames behind the end of the command: 1"),
    (FromClient, Omdp1, &[b"\x12\0\0\0\0\0\0\0\0", b"a", b"b"], "excess_frames",
        "frame 1: excess frames behind the end of the command: 2"),
    (FromWorker, Omdp1, &[b"\x37\x01t", b"a"], "excess_frames",
        "frame 1: excess frames behind the end of the command: 1"),
    (ToClient, Omdp1, &[b"\x05\x01\x90\0", b"a"], "excess_frames",
        "frame 1: excess frames behind the end of the command: 1"),
    (ToWorker, Omdp1, &[b"\x42\x01t\0\0\0\x01", b"a"], "excess_frames",
        "frame 1: excess frames behind the end of the command: 1"),
    (DetectAny, Omdp1, &[b"\x01OMDP\x01\x01\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0", b""],
        "excess_frames", "frame 1: excess frames behind the end of the command: 1"),

    // OMDP/1: the fields.
    (FromClient, Omdp1, &[b"\x11\0\0\0\0\0\0\0"], "packed_frame_cut",
        "frame 0: the packed frame ends too early"),
    (FromWorker, Omdp1, &[b"\x34\x01t\0\0\0\0\0"], "packed_frame_cut",
        "frame 0: the packed frame ends too early"),
    (FromWorker, Omdp1, &[b"\x30\x05echo"], "field_past_end",
        "frame 0: a field says that it has 5 bytes, and 4 are left of its frame"),
    (FromWorker, Omdp1, &[b"\x36\x01t\xff\xffa"], "field_past_end",
        "frame 0: a field says that it has 65535 bytes, and 1 are left of its frame"),
    (ToWorker, Omdp1, &[b"\x40\xff"], "field_past_end",
        "frame 0: a field says that it has 255 bytes, and 0 are left of its frame"),
    (FromWorker, Omdp1, &[b"\x37\0"], "empty_ticket", "frame 0: the ticket is empty"),
    (ToWorker, Omdp1, &[b"\x43\0"], "empty_ticket", "frame 0: the ticket is empty"),
    (FromWorker, Omdp1, &[b"\x30\0"], "empty_service", "frame 0: the service name is empty"),
    (FromClient, Omdp1,
        &[b"\x10\0\0\0\0\0\0\0\x01\0\x04\xff\xff\xff\xfe\xff\xff\xff\xff\0\0\0\0"],
        "empty_service", "frame 0: the service name is empty"),
    (FromWorker, Omdp1, &[b"\x30\x01\xff"], "service_not_utf8",
        "frame 0: the service name is not UTF-8"),
    (FromWorker, Omdp1, &[b"\x31\x02a\x7f"], "service_control_character",
        "frame 0: control character 0x7f in the service name"),
    (ToWorker, Omdp1, &[b"\x44\x01\n\0"], "service_control_character",
        "frame 0: control character 0x0a in the service name"),

    // OMDP/1: the headers.
    (FromWorker, Omdp1, &[b"\x36\x01t\0\x01\x01"], "header_past_end",
        "frame 0: a header says that it has 1 bytes, and 0 are left of them all"),
    (FromWorker, Omdp1, &[b"\x36\x01t\0\x02\x01a\0\0\0\0"], "header_cut",
        "frame 0: the headers end inside one of them"),
    (FromWorker, Omdp1, &[b"\x36\x01t\0\x05\x01a\0\0\0"], "header_cut",
        "frame 0: the headers end inside one of them"),
    (FromWorker, Omdp1, &[b"\x36\x01t\0\x07\x01a\xff\xff\xff\xffb"], "header_past_end",
        "frame 0: a header says that it has 4294967295 bytes, and 1 are left of them all"),
    (FromWorker, Omdp1, &[b"\x36\x01t\0\x06\0\0\0\0\x01b"], "empty_header_name",
        "frame 0: the name of a header is empty"),
    (ToClient, Omdp1, &[b"\x21\0\0\0\0\0\0\0\x01\0\x06\x01 \0\0\0\0"], "header_name_character",
        "frame 0: byte 0x20 in the name of a header"),
    (ToWorker, Omdp1, &[b"\x40\x01t\x01a\0\0\0\0\x01\x04\0\0\0\0\0\x07\x02\xc3\xa9\0\0\0\0"],
        "header_name_character", "frame 0: byte 0xc3 in the name of a header"),
    // Headers are also checked in commands that ignore them.
    (FromClient, Omdp1,
        &[b"\x01OMDP\x01\x01\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\x01\x01"],
        "header_past_end", "frame 0: a header says that it has 1 bytes, and 0 are left of them all"),

    // OMDP/1: HELLO.
    (DetectAny, Omdp1, &[b"\x03"], "hello_missing", "frame 0: command 0x03 before HELLO"),
    (DetectAny, Omdp1, &[b"\x10"], "hello_missing", "frame 0: command 0x10 before HELLO"),
    (Detect, Omdp1, &[b"\x30\x04echo"], "hello_missing", "frame 0: command 0x30 before HELLO"),
    (DetectAny, Omdp1, &[b"\x01"], "packed_frame_cut", "frame 0: the packed frame ends too early"),
    (DetectAny, Omdp1, &[b"\x01omdp\x01\x01\x01"], "wrong_signature",
        "frame 0: HELLO without the signature OMDP"),
    (DetectAny, Omdp1, &[b"\x01OMDP\x02\x05"], "no_common_version",
        "frame 0: versions 2 to 5 are spoken there, and here only 1"),
    (ToClient, Omdp1, &[b"\x02\x02"], "no_common_version",
        "frame 0: versions 2 to 2 are spoken there, and here only 1"),
    (DetectAny, Omdp1, &[b"\x01OMDP\x01\x01\x03"], "unknown_role",
        "frame 0: role 3 is neither client (1) nor worker (2)"),
    (FromClient, Omdp1, &[b"\x01OMDP\x01\x01\x02\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0"],
        "role_of_other_side", "frame 0: HELLO of a worker on the connection of a client"),
    (FromWorker, Omdp1, &[b"\x01OMDP\x01\x01\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0"],
        "role_of_other_side", "frame 0: HELLO of a client on the connection of a worker"),
    (Detect, Mdp02, &[b"\x01OMDP\x01\x01\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0"],
        "pinned_to_other", "frame 0: omdp1 is spoken where only mdp02 is taken"),
    (Detect, Mdp02, &[b"\x10"], "pinned_to_other",
        "frame 0: omdp1 is spoken where only mdp02 is taken"),
    (Detect, Omdp1, &[b"", b"MDPC01", b"echo"], "pinned_to_other",
        "frame 1: mdp01 is spoken where only omdp1 is taken"),
];

#[test]
fn violations() {
    for &(to, dialect, frames, name, text) in CASES {
        check(to, dialect, frames, name, text);
    }
}

#[test]
fn every_violation_has_a_case() {
    for name in Violation::NAMES {
        assert!(CASES.iter().any(|case| case.3 == name), "no message produces {name}");
    }
}

/// Both forms of the leading frame are accepted, but a connection must keep its form.
#[test]
fn the_form_of_an_mdp02_connection_does_not_change() {
    let bare = Frames::from_slices(&["MDPC02", "\x01", "echo", "a"]);
    let delimited = Frames::from_slices(&["", "MDPC02", "\x01", "echo", "a"]);
    for (first, later, violation) in [
        (&bare, &delimited, Violation::UnexpectedDelimiter),
        (&delimited, &bare, Violation::DelimiterMissing),
    ] {
        let codec = Codec::detect(first.view(), b"", Socket::Dealer, None).unwrap();
        let scratch = &mut Scratch::default();
        assert!(codec.decode_from_client(first.view(), scratch).is_ok());
        let error = codec.decode_from_client(later.view(), scratch).unwrap_err();
        assert_eq!((error.frame(), error.violation()), (Some(0), &violation));
    }
}

#[test]
fn a_long_unknown_header_is_not_kept_whole() {
    let message = Frames::from_slices(&[LONG]);
    let error = Codec::detect(message.view(), b"", Socket::Dealer, None).unwrap_err();
    let text = error.to_string();
    assert_eq!(text, format!("frame 0: unknown header \"{}\" {KNOWN}", "x".repeat(32)));
}

/// A codec reports the header of the other side as a violation.
#[test]
fn the_wrong_side_is_a_violation_and_no_panic() {
    let message = Frames::from_slices(&["", "MDPW01", "\x04"]);
    let codec = Codec::detect(message.view(), b"", Socket::Dealer, None).unwrap();
    let error = codec.decode_from_client(message.view(), &mut Scratch::default()).unwrap_err();
    assert_eq!(error.violation().name(), "header_of_other_side");
}
