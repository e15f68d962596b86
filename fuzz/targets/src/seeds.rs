//! The initial corpus, made of real messages: a conversation of PIGATO's own programs, the test
//! vectors of OMDP/1, and messages of each dialect as its libraries encode them.

use majordomus_wire::{Codec, Dialect, Side, Socket};

use crate::command::Command;
use crate::message;
use crate::source::{codec_byte, packed};
use crate::zmtp::{READY, greeting};

const RFC: &str = include_str!("../../../docs/rfc/omdp-1.md");
const PIGATO: &str = include_str!("../../../crates/wire/tests/captures/pigato.txt");
const MESSAGES: &str = include_str!("messages.txt");

/// A message with its dialect and sender.
struct Message {
    dialect: Dialect,
    side: Side,
    frames: Vec<Vec<u8>>,
}

/// Returns the initial corpus of a target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let messages = messages();
    let mut seeds: Vec<Vec<u8>> = match target {
        "decode" => messages.iter().map(|said| said.behind(&[said.codec_byte()])).collect(),
        "detect" => messages
            .iter()
            .map(|said| said.behind(&[u8::from(said.dialect.socket() == Socket::Client)]))
            .collect(),
        "relay" => messages.iter().filter(|said| said.is_relayed()).flat_map(relayed).collect(),
        "translate" => BODIES
            .iter()
            .flat_map(|body| (0..6).map(|choice| behind(&[choice * 2], body.iter().copied())))
            .collect(),
        "zmtp" => {
            let mut seeds: Vec<Vec<u8>> = messages.iter().step_by(9).map(Message::sent).collect();
            let whole = [&greeting(1)[..], READY, b"\x04\x08\x04PING\0\x0Ac\0\x01x"].concat();
            seeds.extend([[&[2, 6], &whole[..]].concat(), [&[3, 9], &whole[..]].concat()]);
            // A large frame.
            seeds.extend(
                [0x18, 0x38, 0x58]
                    .map(|choice| [choice, 7, 2, 0, 0, 0, 0, 0, 0, 0x9c, 0x40].to_vec()),
            );
            seeds
        }
        "traffic" => vec![
            b"\xfe\xff\xfe\xff\xfe\xff\x00\x05\x01\x07\x10\x02\x00\x08\x04\x05\xfe\xff".to_vec(),
        ],
        "broker" => Dialect::ALL
            .into_iter()
            .flat_map(|dialect| [0, 1].map(|tight| script(dialect, tight)))
            .collect(),
        _ => Vec::new(),
    };
    seeds.sort();
    seeds.dedup();
    seeds
}

impl Message {
    fn codec_byte(&self) -> u8 {
        codec_byte(self.dialect, self.side)
    }

    fn frames(&self) -> impl Iterator<Item = &[u8]> {
        self.frames.iter().map(Vec::as_slice)
    }

    /// Returns the message's frames after some choices.
    fn behind(&self, choices: &[u8]) -> Vec<u8> {
        behind(choices, self.frames())
    }

    /// Returns true if the broker relays the message.
    fn is_relayed(&self) -> bool {
        let codec = Codec::new(self.dialect, self.side);
        let message = message::Message::new(self.frames());
        Command::readings(codec, &message).any(|read| {
            matches!(read, Command::FromClient(_) | Command::FromWorker(_)) && self.frames.len() > 3
        })
    }

    /// Returns the message's bytes on a stream.
    fn sent(&self) -> Vec<u8> {
        let mut stream = vec![0, self.frames.len() as u8];
        for (at, frame) in self.frames().enumerate() {
            let more = u8::from(at + 1 < self.frames.len());
            match u8::try_from(frame.len()) {
                Ok(length) => stream.extend([more, length]),
                Err(_) => {
                    stream.push(more | 2);
                    stream.extend((frame.len() as u64).to_be_bytes());
                }
            }
            stream.extend(frame);
        }
        stream
    }
}

fn behind<'a>(choices: &[u8], frames: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    [choices, &packed(frames)].concat()
}

/// Returns inputs that relay the message to a peer of each body format and of OMDP/1.
fn relayed(said: &Message) -> impl Iterator<Item = Vec<u8>> {
    [Dialect::Omdp1, Dialect::Mdp02, Dialect::Pigato].into_iter().map(|to| {
        let other = if said.side == Side::Client { Side::Worker } else { Side::Client };
        said.behind(&[said.codec_byte(), codec_byte(to, other), 7, 4, b'e', b'c', b'h', b'o'])
    })
}

const BODIES: &[&[&[u8]]] = &[
    &[],
    &[b""],
    &[b"hello"],
    &[b"a", b"", b"b"],
    &[b"\xff\xfe"],
    &[b"\xff", b"\"\\"],
    &[b"[1,{\"a\":null}]"],
    &[b"{\"$base64\":\"AA==\"}"],
    &[b"[\"a\",{\"$base64\":\"/w==\"}]"],
    &[b" \"\\ud83d\\ude00\" "],
    &[b"undefined"],
    &[b"-1.5e3"],
];

/// Returns a script with a worker and two clients of a dialect: requests, a part, a reply, a lost
/// worker, and elapsed time.
fn script(dialect: Dialect, tight: u8) -> Vec<u8> {
    let (worker, client) = (codec_byte(dialect, Side::Worker), codec_byte(dialect, Side::Client));
    let (first, second) = (1 << 5, 2 << 5);
    [
        &[tight][..],
        &[0, worker, 5, 29, 0, 0, 0, 10, 0],
        &[first, client, 0, first | 29, 0, 0, 0],
        &[second, client, 2, second | 29, 0, 0, 0],
        &[first | 10, 0, 0, 0, 0, second | 10, 0, 0, 4, 1, first | 10, 1, 0, 8, 3],
        &[13, 0, 0, 0, 15, 0, 0, 4, first | 7, 3, 26, 0, 0, 2, 15, 0, 0, 0],
        // Two requests for this target worker: one is cancelled, and the other gets time to run.
        &[first | 10, 3, 0, 0, 0, first | 20, 1, 0, 0, 0, second | 20, 2, 0, 0, 7],
        &[first | 22, 1, 0, first | 7, 7, 15, 0, 0, 0],
        &[first | 10, 2, 1, 0, 0, second | 10, 2, 1, 0, 0, 4],
        &[0, worker, 0, 29, 0, 0, 0, 10, 1, 10, 5, 22, 1, 0, 0, 7, 4, second | 22, 2],
    ]
    .concat()
}

fn messages() -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    messages.extend(PIGATO.lines().map(|line| {
        let frames = bracketed(line)[1..].to_vec();
        let side = if frames[0] == b"C" { Side::Client } else { Side::Worker };
        Message { dialect: Dialect::Pigato, side, frames }
    }));
    messages.extend(vectors());
    messages.extend(MESSAGES.lines().map(|line| {
        let mut words = line.split(' ');
        let dialect = words.next().expect("a dialect").parse().expect("a dialect");
        let side = match words.next() {
            Some("client") => Side::Client,
            _ => Side::Worker,
        };
        Message { dialect, side, frames: bracketed(line) }
    }));
    messages
}

/// Returns the test vectors of section 14 of the RFC.
fn vectors() -> impl Iterator<Item = Message> {
    let (_, section) = RFC.split_once("## 14. ").expect("the vectors");
    let blocks = section.split("```text\n").skip(1);
    let texts = blocks.flat_map(|block| block.split("\n```").next().expect("one").split("\n\n"));
    texts.flat_map(|text| {
        let side = |line: &str| {
            let (who, _) = line.split_once(':').unwrap_or((line, ""));
            if who.contains("worker") { Side::Worker } else { Side::Client }
        };
        let by = side(text.lines().next().unwrap_or_default());
        // The line `# is read as` separates a message from its decoded form.
        let messages = text.split("\n# is read as\n");
        messages.map(move |message| {
            let frames =
                message.lines().filter(|line| !line.starts_with('#')).map(octets).collect();
            Message { dialect: Dialect::Omdp1, side: by, frames }
        })
    })
}

fn octets(line: &str) -> Vec<u8> {
    let digits: Vec<u8> = line.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |at: u8| char::from(at).to_digit(16).expect("a digit") as u8;
    digits.chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Parses the frames of a line. Each is in brackets, with unprintable bytes as `\xNN`.
fn bracketed(line: &str) -> Vec<Vec<u8>> {
    let (_, frames) = line.split_once(" [").expect("a frame");
    let frames = frames.strip_suffix(']').expect("its end");
    frames.split("] [").map(unescaped).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut parts = text.split("\\x");
    bytes.extend(parts.next().expect("one").bytes());
    for part in parts {
        let (octet, rest) = part.split_at(2);
        bytes.extend(octets(octet));
        bytes.extend(rest.bytes());
    }
    bytes
}
