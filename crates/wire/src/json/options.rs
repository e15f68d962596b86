//! Options: JSON objects beside the data. What is in them is read field by field; a field that is
//! missing or of a wrong type, and options that are no JSON object, are as if they were not there.
//!
//! They are read without being built in memory, and nesting takes no stack.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use majordomus_core::{Concurrency, Label, Request, Status, Timeout};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Longer options are passed on and not read.
pub const OPTIONS_BYTES_MAX: usize = 64 * 1024;

/// How long a request may take whose options do not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// No identity is longer. What names a longer one is cut to one byte more, so that it still names
/// one that is not there.
const IDENTITY_BYTES_MAX: usize = 255;

/// What the options of a request say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestOptions {
    pub(super) timeout: Timeout,
    pub(super) redeliver: bool,
    pub(super) target: Label,
    pub(super) fresh: bool,
    pub(super) durable: bool,
}

impl RequestOptions {
    pub(super) fn read(options: &[u8]) -> Self {
        let names = ["timeout", "retry", "workerId", "nocache", "persist"];
        let [timeout, retry, worker_id, nocache, persist] =
            fields(options, names).unwrap_or_default();
        Self {
            timeout: timeout_of(timeout.and_then(number)),
            redeliver: is_true(retry),
            target: worker_id.and_then(identity).unwrap_or_default(),
            fresh: is_true(nocache),
            durable: is_true(persist),
        }
    }
}

fn timeout_of(millis: Option<f64>) -> Timeout {
    match millis {
        None => Timeout::After(DEFAULT_TIMEOUT),
        Some(millis) if millis < 0.0 => Timeout::Never,
        Some(millis) => Timeout::After(span(millis)),
    }
}

/// The options of a request of our own. `retry` is for the dialects that know it.
pub(super) fn of_request(request: &Request, retry: bool) -> Vec<u8> {
    let mut fields = Vec::new();
    match request.timeout {
        Timeout::OfService => {}
        Timeout::Never => fields.push(String::from("\"timeout\":-1")),
        Timeout::After(span) => fields.push(format!("\"timeout\":{}", millis(span))),
    }
    if retry {
        fields.push(format!("\"retry\":{}", u8::from(request.redeliver)));
    }
    if !request.target.is_empty() {
        let worker = String::from_utf8_lossy(&request.target);
        fields.push(format!("\"workerId\":{}", quoted(&worker)));
    }
    if request.fresh {
        fields.push(String::from("\"nocache\":1"));
    }
    if request.durable {
        fields.push(String::from("\"persist\":1"));
    }
    format!("{{{}}}", fields.join(",")).into_bytes()
}

/// Whether there are options, and these say whether to retry.
pub(super) fn names_retry(options: &[u8]) -> Option<bool> {
    fields(options, ["retry"]).map(|[retry]| retry.is_some())
}

/// How long a reply may be kept.
pub(super) fn keep(options: &[u8]) -> Option<Duration> {
    let [cache] = fields(options, ["cache"])?;
    cache.and_then(number).filter(|&millis| millis > 0.0).map(span)
}

/// The options of a reply of our own.
pub(super) fn of_reply(keep: Option<Duration>) -> Vec<u8> {
    match keep {
        Some(span) => format!("{{\"cache\":{}}}", millis(span)).into_bytes(),
        None => b"{}".to_vec(),
    }
}

/// What a worker says of itself.
pub(super) fn status(options: &[u8]) -> Status {
    let [concurrency, update] = fields(options, ["concurrency", "update"]).unwrap_or_default();
    Status { concurrency: concurrency.and_then(concurrency_of), publish: is_true(update) }
}

/// PIGATO gives a worker a request while it has fewer than this number: `null` and what is under 1
/// give it none, 1.5 as many as 2.
fn concurrency_of(json: &str) -> Option<Concurrency> {
    let most = match json {
        "null" => 0.0,
        // It may come from a configuration that is all text.
        _ if json.starts_with('"') => number(text(json)?.trim())?,
        _ => number(json)?,
    };
    if most == -1.0 {
        return Some(Concurrency::Unlimited);
    }
    let whole = most as u32;
    Some(Concurrency::AtMost(whole.saturating_add(u32::from(f64::from(whole) < most))))
}

/// What our own worker says of itself.
pub(super) fn of_status(status: Status) -> Vec<u8> {
    let mut fields = Vec::new();
    match status.concurrency {
        Some(Concurrency::AtMost(most)) => fields.push(format!("\"concurrency\":{most}")),
        Some(Concurrency::Unlimited) => fields.push(String::from("\"concurrency\":-1")),
        None => {}
    }
    if status.publish {
        fields.push(String::from("\"update\":1"));
    }
    format!("{{{}}}", fields.join(",")).into_bytes()
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("every text can be written")
}

/// Milliseconds as a span; what is too long to count is the longest that there is.
fn span(millis: f64) -> Duration {
    Duration::try_from_secs_f64(millis / 1_000.0).unwrap_or(Duration::MAX)
}

/// A span in milliseconds. What is a little is not nothing.
fn millis(span: Duration) -> u128 {
    span.as_nanos().div_ceil(1_000_000)
}

/// What JavaScript takes for true.
fn is_true(json: Option<&str>) -> bool {
    match json {
        None | Some("null" | "false" | "\"\"") => false,
        Some(json) => number(json) != Some(0.0),
    }
}

/// A JSON number. One that is too large for the machine's is infinite, as in JavaScript.
fn number(json: &str) -> Option<f64> {
    // Other than JSON, the library reads `inf` and `nan`.
    let begins_right = json.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    json.parse().ok().filter(|_| begins_right)
}

fn text(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

/// The routing id that a JSON string names.
fn identity(json: &str) -> Option<Label> {
    if !json.starts_with('"') {
        return None;
    }
    // One that is no Unicode names nobody, which is not the same as anybody.
    let text = text(json);
    let bytes = text.as_deref().unwrap_or(json).as_bytes();
    Some(Label::from(&bytes[..bytes.len().min(IDENTITY_BYTES_MAX + 1)]))
}

/// The JSON texts of these fields, where `json` is an object; the last of several that have one
/// name.
fn fields<'a, const N: usize>(json: &'a [u8], names: [&str; N]) -> Option<[Option<&'a str>; N]> {
    // What most peers write most of the time.
    if json.is_empty() || json == b"{}" {
        return (!json.is_empty()).then_some([None; N]);
    }
    if json.len() > OPTIONS_BYTES_MAX {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = Fields(names).deserialize(&mut reader).ok()?;
    reader.end().is_ok().then_some(found)
}

/// Reads an object, and keeps these fields of it.
struct Fields<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Fields<'_, N> {
    type Value = [Option<&'de str>; N];

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Fields<'_, N> {
    type Value = [Option<&'de str>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(place) = map.next_key_seed(Place(&self.0))? {
            match place {
                Some(place) => found[place] = Some(map.next_value::<&RawValue>()?.get()),
                None => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(found)
    }
}

/// Reads a name, as its place among those that are looked for.
struct Place<'n>(&'n [&'n str]);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Place<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().position(|&other| other == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING_SAID: RequestOptions = RequestOptions {
        timeout: Timeout::After(DEFAULT_TIMEOUT),
        redeliver: false,
        target: Label::empty(),
        fresh: false,
        durable: false,
    };

    #[track_caller]
    fn check_timeout(json: &str, expected: Timeout) {
        let options = format!("{{\"timeout\":{json}}}");
        let expected = RequestOptions { timeout: expected, ..NOTHING_SAID };
        assert_eq!(RequestOptions::read(options.as_bytes()), expected, "{json}");
    }

    #[test]
    fn timeouts() {
        let minute = Timeout::After(DEFAULT_TIMEOUT);
        for (json, millis) in [("0", 0), ("-0", 0), ("-0.0", 0), ("1", 1), ("5e3", 5_000)] {
            check_timeout(json, Timeout::After(Duration::from_millis(millis)));
        }
        check_timeout("0.5", Timeout::After(Duration::from_micros(500)));
        for json in ["-1", "-0.1", "-1e400"] {
            check_timeout(json, Timeout::Never);
        }
        for json in ["1e300", "1e400", "99999999999999999999999999"] {
            check_timeout(json, Timeout::After(Duration::MAX));
        }
        for json in ["null", "true", "\"5000\"", "{}", "[]", "[1]", "\"\""] {
            check_timeout(json, minute);
        }
    }

    #[test]
    fn truth() {
        let said = |field: &str, json: &str| {
            RequestOptions::read(format!("{{\"{field}\":{json}}}").as_bytes())
        };
        for json in ["1", "true", "\"1\"", "\"0\"", "{}", "[]", "-1", "0.1", "1e400"] {
            assert!(said("retry", json).redeliver, "{json}");
            assert!(said("nocache", json).fresh, "{json}");
            assert!(said("persist", json).durable, "{json}");
        }
        for json in ["0", "-0", "0.0", "0e5", "false", "null", "\"\""] {
            assert_eq!(said("retry", json), NOTHING_SAID, "{json}");
            assert_eq!(said("nocache", json), NOTHING_SAID, "{json}");
            assert_eq!(said("persist", json), NOTHING_SAID, "{json}");
        }
    }

    #[test]
    fn targets() {
        let long = "x".repeat(300);
        let named =
            |json: &str| RequestOptions::read(format!("{{\"workerId\":{json}}}").as_bytes()).target;
        assert_eq!(&*named("\"W\\u00e9-1\""), "Wé-1".as_bytes());
        for json in ["\"\"", "null", "5", "true", "{}", "[\"W1\"]"] {
            assert!(named(json).is_empty(), "{json}");
        }
        // Somebody is named, if nobody that can be there.
        assert_eq!(named(&format!("\"{long}\"")).len(), 256);
        assert!(!named("\"\\ud800\"").is_empty());
    }

    /// What is no object says nothing, wherever it breaks off.
    #[test]
    fn what_is_no_object() {
        let deep = "[".repeat(1_000) + &"]".repeat(1_000);
        let open = "{\"retry\":".repeat(1_000);
        let long = format!("{{\"retry\":1{}}}", " ".repeat(OPTIONS_BYTES_MAX));
        for json in [
            "",
            "null",
            "undefined",
            "1",
            "\"retry\"",
            "[]",
            "[\"retry\",1]",
            "{",
            "{\"retry\"",
            "{\"retry\":1",
            "{\"retry\":1,}",
            "{\"retry\":1}x",
            "{\"retry\":1 1}",
            "{retry:1}",
            "{\"retry\":01}",
            "{\"retry\":1,\"a\":}",
            "{\"retry\":1,\"a\":\"\\x\"}",
            &deep,
            &open,
            &long,
        ] {
            assert_eq!(RequestOptions::read(json.as_bytes()), NOTHING_SAID, "{json:.40}");
            assert_eq!(status(json.as_bytes()), Status::NOTHING, "{json:.40}");
            assert_eq!(keep(json.as_bytes()), None, "{json:.40}");
        }
        assert_eq!(RequestOptions::read(b"{\"retry\":1,\"\xff\":1}"), NOTHING_SAID);
    }

    #[test]
    fn what_is_beside_it_does_not_matter() {
        let deep = "[".repeat(1_000) + &"]".repeat(1_000);
        let retry = RequestOptions { redeliver: true, ..NOTHING_SAID };
        for json in [
            format!("{{\"a\":{deep},\"retry\":1}}"),
            format!("{{\"retry\":{deep}}}"),
            "{\"timeout\":{},\"retry\":1,\"workerId\":[]}".into(),
            " { \"retry\" : 1 , \"a\" : { \"retry\" : 0 } } ".into(),
            // The last one counts.
            "{\"retry\":0,\"retry\":1}".into(),
            "{\"__proto__\":{\"retry\":0},\"\\u0072etry\":1}".into(),
        ] {
            assert_eq!(RequestOptions::read(json.as_bytes()), retry, "{json:.60}");
        }
    }

    #[test]
    fn concurrency() {
        let said = |json: &str| {
            status(format!("{{\"concurrency\":{json},\"update\":1}}").as_bytes()).concurrency
        };
        for (json, most) in [
            ("1", 1),
            ("7", 7),
            ("1.5", 2),
            ("0.5", 1),
            ("0", 0),
            ("-0", 0),
            ("-2", 0),
            ("-0.5", 0),
            ("null", 0),
            ("\"5\"", 5),
            ("\" 5 \"", 5),
            ("1e400", u32::MAX),
            ("5000000000", u32::MAX),
        ] {
            assert_eq!(said(json), Some(Concurrency::AtMost(most)), "{json}");
        }
        assert_eq!(said("-1"), Some(Concurrency::Unlimited));
        assert_eq!(said("\"-1\""), Some(Concurrency::Unlimited));
        for json in ["\"x\"", "\"\"", "true", "{}", "[]", "[5]"] {
            assert_eq!(said(json), None, "{json}");
        }
    }

    #[test]
    fn what_may_be_kept() {
        for (json, millis) in [("10000", Some(10_000)), ("0", None), ("-5", None), ("\"5\"", None)]
        {
            let options = format!("{{\"cache\":{json}}}");
            assert_eq!(keep(options.as_bytes()), millis.map(Duration::from_millis), "{json}");
        }
        assert_eq!(keep(b"{\"cache\":1e400}"), Some(Duration::MAX));
    }

    /// What we write of a request is what it says.
    #[test]
    fn ours_are_read_as_they_were_meant() {
        let request = Request {
            timeout: Timeout::After(Duration::from_millis(1)),
            redeliver: true,
            target: "W \"1\"".into(),
            fresh: true,
            durable: true,
            ..Request::new("echo", majordomus_core::Frames::empty())
        };
        let said = RequestOptions {
            timeout: request.timeout,
            redeliver: true,
            target: request.target.clone(),
            fresh: true,
            durable: true,
        };
        assert_eq!(RequestOptions::read(&of_request(&request, true)), said);
        // A little is not nothing, which would mean something else.
        let short = Timeout::After(Duration::from_nanos(1));
        let read = RequestOptions::read(&of_request(&Request { timeout: short, ..request }, true));
        assert_eq!(read.timeout, Timeout::After(Duration::from_millis(1)));
    }
}
