//! What is there for limits and checks only, and what for.
//!
//! What does not run for a request that meets no limit is not in the list: to wait at the door, to
//! refuse, to pause, to cut. Nor is what has to be known anyway: how long a frame is, which service it
//! is for.

/// A limit or a check.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) what: &'static str,
    /// The source that would not be there without it.
    pub(super) source: &'static [Source],
}

/// A function, or lines of one.
#[derive(Debug)]
pub(super) struct Source {
    /// The end of the path of its file.
    pub(super) file: &'static str,
    pub(super) function: &'static str,
    /// What the lines have in them that are meant; all of them do where it is empty.
    pub(super) lines: &'static str,
}

impl Source {
    /// Whether it is in the function that has this name, behind the modules that it is in.
    pub(super) fn is_in(&self, name: &str) -> bool {
        let mut path = name.rsplit("::").filter(|part| !part.starts_with("{"));
        path.next() == Some(self.function)
    }
}

const fn all(file: &'static str, function: &'static str) -> Source {
    Source { file, function, lines: "" }
}

const fn part(file: &'static str, function: &'static str, lines: &'static str) -> Source {
    Source { file, function, lines }
}

pub(super) const LIMITS: &[Limit] = &[
    Limit {
        what: "requests and bytes: is there room",
        source: &[
            part("broker/clients.rs", "request", "self.obstacle("),
            all("broker/room.rs", "obstacle"),
            all("broker/room.rs", "limit_reached"),
            all("broker/room.rs", "is_unheard_of"),
            all("broker/peers.rs", "has_room"),
            all("broker/services.rs", "has_room"),
            all("broker/requests.rs", "has_room"),
        ],
    },
    Limit {
        what: "requests and bytes: counted and given back",
        source: &[
            all("broker/requests.rs", "charge"),
            all("broker/requests.rs", "recharge"),
            all("broker/ending.rs", "recharge"),
            part("broker/requests.rs", "insert", "self.in_progress"),
            part("broker/requests.rs", "insert", "charged"),
            part("broker/requests.rs", "discharge", "self.in_progress"),
            part("broker/requests.rs", "discharge", "charged"),
            part("broker/clients.rs", "take", "charge"),
            part("broker/clients.rs", "take", "entry.requests"),
            part("broker/ending.rs", "count_end", "charged"),
            part("broker/ending.rs", "count_end", "entry.requests"),
        ],
    },
    Limit {
        what: "the door: may anybody come in now",
        source: &[all("broker/room.rs", "note_freed"), all("broker/room.rs", "open_door")],
    },
    Limit {
        what: "requests in the hands of one worker",
        source: &[part("broker/peers.rs", "has_slot", "hands_max")],
    },
    Limit {
        what: "one request of a client with one id",
        source: &[part("broker/clients.rs", "request", "self.requests.named(")],
    },
    Limit {
        what: "bodies: no more than their reader takes",
        source: &[
            all("broker/replies.rs", "can_be_read"),
            all("broker/peers.rs", "takes"),
            part("broker/replies.rs", "final_reply", "reply_bytes_max"),
        ],
    },
    Limit {
        what: "replies: no worker answers what it was not given",
        source: &[
            part("core/src/token.rs", "verify", "self.hash("),
            part("broker/replies.rs", "reply", "reply.id != "),
        ],
    },
    Limit {
        what: "names: which there may be",
        source: &[
            all("wire/src/service.rs", "check_service_name"),
            part("broker/clients.rs", "request", "SERVICE_NAME_BYTES_MAX"),
        ],
    },
    Limit {
        what: "commands: no field goes beyond its frame, headers are whole",
        source: &[
            part("omdp1/fields.rs", "octets", "first_chunk"),
            part("omdp1/fields.rs", "range", "left"),
            all("omdp1/headers.rs", "check"),
            part("omdp1/decode.rs", "read", "behind"),
        ],
    },
    Limit {
        what: "messages: their bytes and frames",
        source: &[
            all("zmtp/src/assembly.rs", "check"),
            part("zmtp/src/assembly.rs", "find", "self.body_bytes"),
        ],
    },
    Limit {
        what: "memory of messages in reception: charged, then granted",
        source: &[
            all("zmtp/src/input.rs", "starve"),
            all("zmtp/src/input.rs", "grant"),
            part("zmtp/src/input.rs", "ready", "Grant::Fits"),
            all("reactor/reception.rs", "uncharge"),
            all("reactor/reception.rs", "grant_wanted"),
            part("reactor/reading.rs", "event", "connection.first.is_none()"),
            part("reactor/reading.rs", "read", "connection.received += "),
            part("reactor/mod.rs", "pass_time", "reception_check"),
            part("reactor/mod.rs", "patience", "reception_check"),
        ],
    },
    Limit {
        what: "turns: who is not heard now, and for how long who is",
        source: &[
            all("broker/src/connection.rs", "is_heard"),
            part("reactor/reading.rs", "converse", "MESSAGES_PER_TURN_MAX"),
            part("reactor/reading.rs", "converse", "!connection.paused"),
        ],
    },
    Limit {
        what: "bytes that a peer has not read",
        source: &[
            part("reactor/mod.rs", "carry_out", "let before"),
            part("reactor/writing.rs", "wrote", "connection"),
            part("reactor/writing.rs", "wrote", "unsent"),
            part("reactor/writing.rs", "write", "drained"),
            part("reactor/writing.rs", "write", "unsent"),
            part("reactor/writing.rs", "write", "laden"),
            part("broker/dispatch.rs", "is_filled", ""),
        ],
    },
    Limit {
        what: "time: of handshakes, and since a peer was last read",
        source: &[
            part("reactor/mod.rs", "pass_time", "overdue"),
            part("reactor/mod.rs", "pass_time", "handshake_timeout"),
            part("reactor/mod.rs", "patience", "handshake"),
            part("reactor/reading.rs", "read", "connection.progress = "),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn what_is_in_the_list_is_in_the_source() {
        let files = files_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates"));
        for source in LIMITS.iter().flat_map(|limit| limit.source) {
            let found = files.iter().filter(|file| file.to_string_lossy().ends_with(source.file));
            let [file] = found.collect::<Vec<_>>()[..] else { panic!("not one file: {source:?}") };
            let text = fs::read_to_string(file).expect("it can be read");
            let names = ["(", "<"].map(|behind| format!("fn {}{behind}", source.function));
            let begin = |line: &&str| names.iter().any(|name| line.contains(name));
            let from = text.lines().skip_while(|line| !begin(line));
            let indent = from.clone().next().map_or(0, |line| line.len() - line.trim_start().len());
            let end = format!("{}}}", " ".repeat(indent));
            let mut function = from.take_while(|line| *line != end);
            assert!(function.any(|line| line.contains(source.lines)), "{source:?}");
        }
    }

    fn files_in(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("it is a folder").flatten();
        entries
            .flat_map(|entry| match entry.path() {
                path if path.is_dir() => files_in(&path),
                path => vec![path],
            })
            .collect()
    }
}
