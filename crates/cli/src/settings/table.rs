//! The table of broker settings.

use std::num::ParseIntError;
use std::str::FromStr;
use std::time::Duration;

use majordomus_broker::{Balance, Config, Dialect, Endpoint, Errors, Json};

use super::fault::Fault;
use crate::{bytes, duration};

/// The target of parsed settings, from which a configuration is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    /// The default dialect of endpoints.
    pub(crate) dialect: Option<Dialect>,
    /// The default error mode of endpoints.
    pub(crate) errors: Errors,
    /// The default conversion of frames to JSON of endpoints.
    pub(crate) json: Json,
    /// All other settings. The endpoints are not included yet.
    pub(crate) config: Config,
}

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The key in the file. The flag has `-` for `_`, and the environment variable is in capitals.
    pub(crate) name: &'static str,
    pub(crate) heading: &'static str,
    pub(crate) help: &'static str,
    pub(crate) kind: Kind,
}

/// The type of a setting's value and its location in the draft. Each location is used for reading
/// and writing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Duration(fn(&mut Draft) -> &mut Duration),
    DurationOrNone(fn(&mut Draft) -> &mut Option<Duration>),
    Bytes(fn(&mut Draft) -> &mut usize),
    Count(fn(&mut Draft) -> &mut usize),
    SmallCount(fn(&mut Draft) -> &mut u32),
    Text(fn(&mut Draft) -> &mut String),
    Dialect(fn(&mut Draft) -> &mut Option<Dialect>),
    Errors(fn(&mut Draft) -> &mut Errors),
    Json(fn(&mut Draft) -> &mut Json),
    Balance(fn(&mut Draft) -> &mut Balance),
    EndpointOrNone(fn(&mut Draft) -> &mut Option<Endpoint>),
}

impl Setting {
    /// Returns the index of the setting with this name.
    pub(crate) fn position(name: &str) -> Option<usize> {
        TABLE.iter().position(|setting| setting.name == name)
    }

    /// Returns the flag without its leading dashes, such as `heartbeat-interval`.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Parses a text and stores the value in the draft.
    pub(crate) fn set(&self, draft: &mut Draft, text: &str) -> Result<(), Fault> {
        match self.kind {
            Kind::Duration(place) => *place(draft) = duration::parse(text)?,
            Kind::DurationOrNone(place) => *place(draft) = duration::parse_or_none(text)?,
            Kind::Bytes(place) => *place(draft) = bytes::parse(text)?,
            Kind::Count(place) => *place(draft) = read_count(text)?,
            Kind::SmallCount(place) => *place(draft) = read_count(text)?,
            Kind::Text(place) => *place(draft) = text.into(),
            Kind::Dialect(place) => *place(draft) = read_dialect(text)?,
            Kind::Errors(place) => *place(draft) = read_errors(text)?,
            Kind::Json(place) => *place(draft) = text.parse()?,
            Kind::Balance(place) => *place(draft) = read_balance(text)?,
            Kind::EndpointOrNone(place) => *place(draft) = read_endpoint_or_none(text)?,
        }
        Ok(())
    }

    /// Formats the setting's value in the draft.
    pub(crate) fn get(&self, draft: &mut Draft) -> String {
        match self.kind {
            Kind::Duration(place) => duration::show(*place(draft)),
            Kind::DurationOrNone(place) => {
                place(draft).map_or_else(|| "none".into(), duration::show)
            }
            Kind::Bytes(place) => bytes::show(*place(draft)),
            Kind::Count(place) => place(draft).to_string(),
            Kind::SmallCount(place) => place(draft).to_string(),
            Kind::Text(place) => place(draft).clone(),
            Kind::Dialect(place) => show_dialect(*place(draft)).into(),
            Kind::Errors(place) => show_errors(*place(draft)).into(),
            Kind::Json(place) => place(draft).name().into(),
            Kind::Balance(place) => place(draft).name().into(),
            Kind::EndpointOrNone(place) => {
                place(draft).as_ref().map_or_else(|| "none".into(), Endpoint::to_string)
            }
        }
    }
}

impl Kind {
    /// Returns the value's name in `--help`.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::Duration(_) | Kind::DurationOrNone(_) => "DURATION",
            Kind::Bytes(_) => "BYTES",
            Kind::Count(_) | Kind::SmallCount(_) => "COUNT",
            Kind::Text(_) => "TEXT",
            Kind::Dialect(_) => "DIALECT",
            Kind::Errors(_) | Kind::Json(_) | Kind::Balance(_) => "HOW",
            Kind::EndpointOrNone(_) => "ENDPOINT",
        }
    }

    /// Returns true if the value may be an integer in the file.
    pub(crate) fn may_be_integer(self) -> bool {
        matches!(self, Kind::Bytes(_) | Kind::Count(_) | Kind::SmallCount(_))
    }

    /// Returns true if the value may be a string in the file.
    pub(crate) fn may_be_string(self) -> bool {
        !matches!(self, Kind::Count(_) | Kind::SmallCount(_))
    }

    /// Describes the expected value in the file.
    pub(crate) fn form(self) -> &'static str {
        match self {
            Kind::Duration(_) => "a duration such as \"2.5s\"",
            Kind::DurationOrNone(_) => "a duration such as \"2.5s\", or \"none\"",
            Kind::Bytes(_) => "a number of bytes, such as 4096 or \"64KiB\"",
            Kind::Count(_) | Kind::SmallCount(_) => "a whole number",
            Kind::Text(_) => "a text",
            Kind::Dialect(_) => "the name of a dialect such as \"mdp02\", or \"any\"",
            Kind::Errors(_) => "\"silent\" or \"final\"",
            Kind::Json(_) => JSON_FORM,
            Kind::Balance(_) => BALANCE_FORM,
            Kind::EndpointOrNone(_) => "an endpoint such as \"tcp://127.0.0.1:55550\", or \"none\"",
        }
    }
}

/// Returns the environment variable of a setting, such as `MAJORDOMUS_HEARTBEAT_INTERVAL`.
pub(crate) fn variable(name: &str) -> String {
    format!("MAJORDOMUS_{}", name.to_ascii_uppercase())
}

/// Parses the name of a dialect, or `any`.
pub(crate) fn read_dialect(text: &str) -> Result<Option<Dialect>, Fault> {
    if text == "any" { Ok(None) } else { Ok(Some(text.parse()?)) }
}

pub(crate) fn show_dialect(dialect: Option<Dialect>) -> &'static str {
    dialect.map_or("any", Dialect::name)
}

/// Parses `silent` or `final`.
pub(crate) fn read_errors(text: &str) -> Result<Errors, Fault> {
    match text {
        "silent" => Ok(Errors::Silent),
        "final" => Ok(Errors::Final),
        other => Err(Fault::Errors(other.into())),
    }
}

/// The expected values of a JSON setting in the file.
pub(crate) const JSON_FORM: &str = "\"auto\", \"string\" or \"raw\"";

/// The expected values of a balancing policy in the file.
pub(crate) const BALANCE_FORM: &str = "\"lru\", \"load\" or \"random\"";

/// Parses `lru`, `load` or `random`.
pub(crate) fn read_balance(text: &str) -> Result<Balance, Fault> {
    let named = Balance::ALL.into_iter().find(|balance| balance.name() == text);
    named.ok_or_else(|| Fault::Balance(text.into()))
}

/// Parses an endpoint to listen on, which other processes can reach.
pub(crate) fn read_endpoint(text: &str) -> Result<Endpoint, Fault> {
    check_transport(text)?;
    Ok(text.parse()?)
}

/// Parses a broker's endpoint to connect to.
pub(crate) fn read_broker(text: &str) -> Result<String, Fault> {
    check_transport(text)?;
    match text.parse::<Endpoint>()? {
        endpoint if endpoint.is_wildcard() => Err(Fault::Wildcard(endpoint)),
        _ => Ok(text.into()),
    }
}

/// Rejects an endpoint that no other process can use.
fn check_transport(text: &str) -> Result<(), Fault> {
    match text.split_once("://") {
        Some(("tcp" | "ipc", _)) => Ok(()),
        Some(("inproc", _)) => Err(Fault::Inproc(text.into())),
        _ => Err(Fault::Transport(text.into())),
    }
}

/// Parses the name of a service to request.
pub(crate) fn read_service(name: &str) -> Result<String, Fault> {
    if name.is_empty() || name.len() > 255 || name.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(Fault::ServiceName(name.into()));
    }
    Ok(name.into())
}

/// Parses the name of a service to register.
pub(crate) fn read_offer(name: &str) -> Result<String, Fault> {
    match name.starts_with("mmi.") {
        true => Err(Fault::ReservedName(name.into())),
        false => read_service(name),
    }
}

/// Parses an endpoint, or `none`.
fn read_endpoint_or_none(text: &str) -> Result<Option<Endpoint>, Fault> {
    if text == "none" { Ok(None) } else { read_endpoint(text).map(Some) }
}

pub(crate) fn show_errors(errors: Errors) -> &'static str {
    match errors {
        Errors::Silent => "silent",
        Errors::Final => "final",
    }
}

/// Parses a whole number.
pub(crate) fn read_count<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error: ParseIntError| Fault::count(text, error.kind()))
}

const LISTENING: &str = "Listening";
const DISPATCH: &str = "Dispatch";
const TIMINGS: &str = "Timings";
const REQUESTS: &str = "Limits on requests";
const CONNECTIONS: &str = "Limits on connections";

macro_rules! setting {
    ($heading:ident $name:literal $kind:ident $($place:ident).+: $help:literal) => {
        Setting {
            name: $name,
            heading: $heading,
            help: $help,
            kind: Kind::$kind(|draft| &mut draft.$($place).+),
        }
    };
}

/// Every setting except the endpoints and the settings of single services.
pub(crate) static TABLE: [Setting; 40] = [
    setting!(LISTENING "dialect" Dialect dialect:
        "The only dialect that is taken, or `any`"),
    setting!(LISTENING "errors" Errors errors:
        "What clients of dialects without error replies are told of errors: `silent` for nothing, \
         `final` for a final reply of one frame, `-1 ` and a text"),
    setting!(LISTENING "json" Json json:
        "How frames become JSON between dialects of the two kinds: `string` for JSON strings, `raw` \
         for JSON that they already are, `auto` for the one or the other by what they hold and how \
         was asked"),
    setting!(LISTENING "name" Text config.name:
        "The routing id that a ROUTER peer sees, up to 255 bytes"),
    setting!(LISTENING "intch" EndpointOrNone config.intch:
        "Where the directory of workers is published to SUB sockets, for PIGATO's Directory, which \
         looks at tcp://127.0.0.1:55550; `none` for nowhere"),
    setting!(DISPATCH "balance" Balance config.core.balance:
        "Which free worker gets a request: `lru` for the one that has waited longest, `load` for the \
         one with the fewest requests in hand and then the fewest so far, `random` for any"),
    setting!(DISPATCH "spin" Duration config.spin:
        "How long the broker looks for something to do before it sleeps, such as 50us and at most \
         10ms: round trips get shorter, and its processor busier"),
    setting!(TIMINGS "heartbeat_interval" Duration config.core.heartbeat_interval:
        "How often workers get a heartbeat, and are expected to send one; not shorter than theirs"),
    setting!(TIMINGS "liveness" SmallCount config.core.liveness:
        "After how many intervals of silence an idle worker is lost"),
    setting!(TIMINGS "wait_timeout" Duration config.core.wait_timeout:
        "How long a request waits for a worker"),
    setting!(TIMINGS "no_worker_wait" DurationOrNone config.core.no_worker_wait:
        "How long it waits where no worker offers its service at all; `none` for as long as any other"),
    setting!(TIMINGS "busy_timeout" Duration config.core.busy_timeout:
        "How long a worker may have one request in hand"),
    setting!(TIMINGS "reject_wait" Duration config.core.reject_wait:
        "How long a request that every worker has rejected waits for another"),
    setting!(TIMINGS "stall_timeout" Duration config.core.stall_timeout:
        "How long a peer may leave unread what is sent to it"),
    setting!(TIMINGS "identity_timeout" Duration config.core.identity_timeout:
        "How long the owner of an identity has to show life when another connection claims it"),
    setting!(TIMINGS "handshake_timeout" Duration config.connections.handshake_timeout:
        "How long a handshake may take"),
    setting!(REQUESTS "attempts_max" SmallCount config.core.attempts_max:
        "How often a request is given to a worker at the most"),
    setting!(REQUESTS "rejections_max" SmallCount config.core.limits.rejections_max:
        "Workers that may reject one request before it counts as rejected by all"),
    setting!(REQUESTS "worker_services_max" Count config.core.limits.worker_services_max:
        "Services that one worker may offer"),
    setting!(REQUESTS "worker_requests_max" Count config.core.limits.worker_requests_max:
        "Requests that one worker may have in hand"),
    setting!(REQUESTS "offers_max" Count config.core.limits.offers_max:
        "Services that all workers may offer together, each counting once for each worker"),
    setting!(REQUESTS "requests_max" Count config.core.limits.requests_max:
        "Requests in progress, in all"),
    setting!(REQUESTS "request_bytes_max" Bytes config.core.limits.request_bytes_max:
        "Bytes of requests in progress, in all"),
    setting!(REQUESTS "service_requests_max" Count config.core.limits.service_requests_max:
        "Requests in progress for one service"),
    setting!(REQUESTS "service_bytes_max" Bytes config.core.limits.service_bytes_max:
        "Bytes of requests in progress for one service"),
    setting!(REQUESTS "client_requests_max" Count config.core.limits.client_requests_max:
        "Requests in progress for one client"),
    setting!(REQUESTS "client_bytes_max" Bytes config.core.limits.client_bytes_max:
        "Bytes of requests in progress for one client"),
    setting!(REQUESTS "names_max" Count config.core.limits.names_max:
        "Names that clients asked for and no worker offers"),
    setting!(REQUESTS "accounts_max" Count config.core.limits.accounts_max:
        "Services whose requests are counted by name; those of others are counted together"),
    setting!(REQUESTS "reply_bytes_max" Bytes config.core.limits.reply_bytes_max:
        "Bytes of the parts of one reply that are kept for a client that takes no parts"),
    setting!(REQUESTS "cache_bytes_max" Bytes config.core.limits.cache_bytes_max:
        "Bytes of replies that are kept for equal requests, where the worker says for how long; `0` \
         to keep none"),
    setting!(REQUESTS "translate_bytes_max" Bytes config.core.limits.translate_bytes_max:
        "Bytes of a body that has to be translated between frames and JSON"),
    setting!(CONNECTIONS "connections_max" Count config.connections.connections_max:
        "Connections at once"),
    setting!(CONNECTIONS "handshakes_max" Count config.connections.handshakes_max:
        "Unfinished handshakes at once; at the limit the oldest is cut"),
    setting!(CONNECTIONS "handshakes_per_address_max" Count config.connections.handshakes_per_address_max:
        "Unfinished handshakes at once from one address"),
    setting!(CONNECTIONS "handshake_bytes_max" Bytes config.connections.handshake_bytes_max:
        "Bytes that a peer may send before its handshake is over"),
    setting!(CONNECTIONS "message_bytes_max" Bytes config.connections.message_bytes_max:
        "Bytes of one message"),
    setting!(CONNECTIONS "frames_max" Count config.connections.frames_max:
        "Frames of one message"),
    setting!(CONNECTIONS "reception_bytes_max" Bytes config.connections.reception_bytes_max:
        "Bytes of incomplete messages that are held, in all"),
    setting!(CONNECTIONS "unsent_bytes_max" Bytes config.connections.unsent_bytes_max:
        "Bytes that may wait to be written to one peer before it counts as full"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a value that differs from every setting's default.
    fn other_value(kind: Kind) -> &'static str {
        match kind {
            Kind::Duration(_) | Kind::DurationOrNone(_) => "7.5s",
            Kind::Bytes(_) => "3KiB",
            Kind::Count(_) | Kind::SmallCount(_) => "7",
            Kind::Text(_) => "west",
            Kind::Dialect(_) => "mdp01",
            Kind::Errors(_) => "final",
            Kind::Json(_) => "raw",
            Kind::Balance(_) => "load",
            Kind::EndpointOrNone(_) => "tcp://127.0.0.1:7",
        }
    }

    #[test]
    fn every_setting_has_a_name_and_a_place_of_its_own() {
        for (index, setting) in TABLE.iter().enumerate() {
            assert_eq!(Setting::position(setting.name), Some(index));
            let mut draft = Draft::default();
            setting.set(&mut draft, other_value(setting.kind)).expect(setting.name);
            for (other, setting) in TABLE.iter().enumerate() {
                let changed = setting.get(&mut draft) != setting.get(&mut Draft::default());
                assert_eq!(changed, other == index, "{}", setting.name);
            }
        }
    }

    #[test]
    fn what_a_setting_shows_can_be_set() {
        for setting in &TABLE {
            let mut draft = Draft::default();
            let shown = setting.get(&mut draft);
            setting.set(&mut draft, &shown).expect(setting.name);
            assert_eq!(draft, Draft::default());
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for setting in TABLE.iter().filter(|setting| !matches!(setting.kind, Kind::Text(_))) {
            let mut draft = Draft::default();
            let fault = setting.set(&mut draft, "-x").expect_err(setting.name).to_string();
            assert!(fault.contains("-x"), "{}: {fault}", setting.name);
            assert_eq!(draft, Draft::default());
        }
    }
}
