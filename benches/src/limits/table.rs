//! The source code of limits and checks, listed by limit.
//!
//! The list omits code that does not run for a request within all limits: deferring, rejecting,
//! pausing and closing. It also omits code that is needed without limits: the length of a frame,
//! the service of a request.

/// A limit or a check.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) what: &'static str,
    /// The source code that exists only for this limit.
    pub(super) source: &'static [Source],
}

/// A function, or some lines of it.
#[derive(Debug)]
pub(super) struct Source {
    /// The end of the file's path.
    pub(super) file: &'static str,
    pub(super) function: &'static str,
    /// A text that the lines contain. If it is empty, all lines of the function count.
    pub(super) lines: &'static str,
}

impl Source {
    /// Returns true if the source is in the function with this name, ignoring its module path.
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
        what: "requests and bytes: is a limit reached",
        source: &[
            part("broker/clients.rs", "request", "self.limit_for("),
            all("broker/admission.rs", "limit_for"),
            all("broker/admission.rs", "limit_reached"),
            all("broker/tables/peers.rs", "has_room"),
            all("broker/tables/services.rs", "has_room"),
            all("broker/tables/requests.rs", "has_room"),
        ],
    },
    Limit {
        what: "requests and bytes: counted and given back",
        source: &[
            all("broker/tables/requests.rs", "charge"),
            all("broker/tables/requests.rs", "recharge"),
            all("broker/tables/mod.rs", "recharge"),
            part("broker/tables/requests.rs", "insert", "self.in_progress"),
            part("broker/tables/requests.rs", "insert", "charged"),
            part("broker/tables/requests.rs", "discharge", "self.in_progress"),
            part("broker/tables/requests.rs", "discharge", "charged"),
            part("broker/clients.rs", "request", "Requests::charge("),
            part("broker/tables/mod.rs", "admit", "bytes += charged"),
            part("broker/tables/mod.rs", "admit", "service.requests"),
            part("broker/tables/mod.rs", "discharge", "bytes -= charged"),
            part("broker/tables/mod.rs", "discharge", "entry.requests"),
        ],
    },
    Limit {
        what: "admission queues: can a deferred request be admitted now",
        source: &[all("broker/agenda.rs", "admit_soon")],
    },
    Limit {
        what: "requests in flight at one worker",
        source: &[part("broker/tables/peers.rs", "has_slot", "in_flight_max")],
    },
    Limit {
        what: "one request of a client with one id",
        source: &[
            part("broker/clients.rs", "request", "self.tables.request_of_client(peer, request.id)"),
            all("broker/tables/by_number.rs", "is_above_all"),
        ],
    },
    Limit {
        what: "bodies: no more than their reader takes",
        source: &[
            all("broker/answers.rs", "can_be_read"),
            all("broker/tables/peers.rs", "takes"),
            part("broker/replies.rs", "final_reply", "reply_bytes_max"),
        ],
    },
    Limit {
        what: "replies: no worker answers a request that it was not given",
        source: &[
            part("broker/replies.rs", "request_of", "record.token_hash"),
            part("core/src/token.rs", "issue", "self.hash("),
            part("broker/replies.rs", "reply", "reply.id != "),
        ],
    },
    Limit {
        what: "names: which are valid",
        source: &[
            all("wire/src/service.rs", "check_service_name"),
            part("broker/clients.rs", "request", "SERVICE_NAME_BYTES_MAX"),
        ],
    },
    Limit {
        what: "commands: no field goes beyond its frame, headers are whole",
        source: &[
            part("omdp1/fields.rs", "octets", "split_first_chunk"),
            part("omdp1/fields.rs", "long", "split_at_checked"),
            all("omdp1/headers.rs", "check"),
            all("omdp1/decode.rs", "end"),
        ],
    },
    Limit {
        what: "messages: their bytes and frames",
        source: &[
            all("zmtp/src/assembly.rs", "check"),
            part("zmtp/src/assembly.rs", "find", "self.body_bytes"),
            part("zmtp/src/assembly.rs", "whole_message", "body_bytes"),
        ],
    },
    Limit {
        what: "memory of messages that come in pieces: charged, then granted",
        source: &[
            all("zmtp/src/input.rs", "starve"),
            all("zmtp/src/input.rs", "grant"),
            part("zmtp/src/input.rs", "ready", "Grant::Fits"),
            all("reactor/reassembly.rs", "release_memory"),
            all("reactor/reassembly.rs", "grant_memory"),
            part("reactor/reading.rs", "read", "connection.reassembly.progressed("),
            part("reactor/reading.rs", "assembled_message", "charged_bytes"),
            part("reactor/mod.rs", "pass_time", "self.reassembly.next_check"),
            part("reactor/mod.rs", "patience", "self.reassembly.next_check"),
        ],
    },
    Limit {
        what: "turns: which connection is read from, and for how long",
        source: &[
            part("reactor/reading.rs", "deliver", "MESSAGES_PER_TURN_MAX"),
            part("reactor/reading.rs", "deliver", "connection.reading != "),
            part("reactor/reading.rs", "read", "Reading::Paused"),
        ],
    },
    Limit {
        what: "bytes that a peer has not read",
        source: &[
            part("reactor/outlet.rs", "output", "let before"),
            part("reactor/outlet.rs", "end", "HELD_PER_BYTE_MAX"),
            all("reactor/outlet.rs", "check_unsent"),
            part("reactor/writing.rs", "write", "HighWater::Below"),
            all("broker/tables/peers.rs", "is_above_high_water"),
        ],
    },
    Limit {
        what: "time: of handshakes, and since a peer was last read",
        source: &[
            part("reactor/mod.rs", "pass_time", "overdue"),
            part("reactor/mod.rs", "pass_time", "handshake_timeout"),
            part("reactor/mod.rs", "patience", "handshake"),
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
