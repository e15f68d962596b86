//! Options: JSON objects beside the data. Fields are read one by one. Fields that are missing or of
//! the wrong type are ignored, and so are options that are not a JSON object.
//!
//! The reader builds no objects in memory, and nesting uses no stack.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use majordomus_core::{Concurrency, Request, Status, Timeout};

use crate::json_text::{Reader, Text, Value, quote};

/// The maximum size of options that are read, in bytes. Longer options are only passed on.
pub const OPTIONS_BYTES_MAX: usize = 64 * 1024;

/// The default timeout of a request.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The maximum length of an identity in bytes. A longer name is cut to one byte more, so that it
/// still matches no worker.
const IDENTITY_BYTES_MAX: usize = 255;

/// The maximum length in bytes of a quoted identity: each byte may be an escape of six.
const ESCAPED_BYTES_MAX: usize = 6 * IDENTITY_BYTES_MAX + 2;

/// The options of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestOptions<'a> {
    pub(super) timeout: Timeout,
    pub(super) redeliver: bool,
    pub(super) target: &'a [u8],
    pub(super) fresh: bool,
    pub(super) durable: bool,
}

impl<'a> RequestOptions<'a> {
    /// The defaults for options without any field.
    const NOTHING: RequestOptions<'static> = RequestOptions {
        timeout: Timeout::After(DEFAULT_TIMEOUT),
        redeliver: false,
        target: &[],
        fresh: false,
        durable: false,
    };

    /// Parses options. `memory` is used for a target with JSON escapes.
    pub(super) fn read(options: &'a [u8], memory: &'a mut Vec<u8>) -> Self {
        let mut said = Self::NOTHING;
        let mut target = None;
        let read = fields(options, |name, value| {
            match name {
                b"timeout" => said.timeout = timeout_of(number(value)),
                b"retry" => said.redeliver = is_true(value),
                b"workerId" => target = Some(value),
                b"nocache" => said.fresh = is_true(value),
                b"persist" => said.durable = is_true(value),
                _ => return false,
            }
            true
        });
        if read.is_none() {
            return Self::NOTHING;
        }
        if let Some(Value::String(text)) = target {
            said.target = identity(text, memory);
        }
        said
    }
}

fn timeout_of(millis: Option<f64>) -> Timeout {
    match millis {
        None => Timeout::After(DEFAULT_TIMEOUT),
        Some(millis) if millis < 0.0 => Timeout::Never,
        Some(millis) => Timeout::After(span(millis)),
    }
}

/// Encodes the options of a request. `retry` is true for dialects that support that option.
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
        let mut field = Vec::from(*b"\"workerId\":");
        quote(&worker, &mut field);
        fields.push(String::from_utf8(field).expect("a string is UTF-8"));
    }
    if request.fresh {
        fields.push(String::from("\"nocache\":1"));
    }
    if request.durable {
        fields.push(String::from("\"persist\":1"));
    }
    format!("{{{}}}", fields.join(",")).into_bytes()
}

/// Returns whether the options contain `retry`, or `None` if they are not an object.
pub(super) fn names_retry(options: &[u8]) -> Option<bool> {
    let mut is_named = false;
    fields(options, |name, _| {
        let is_retry = name == b"retry";
        is_named |= is_retry;
        is_retry
    })?;
    Some(is_named)
}

/// Returns the time for which a reply may be cached.
pub(super) fn keep(options: &[u8]) -> Option<Duration> {
    let mut cache = None;
    fields(options, |name, value| {
        let is_cache = name == b"cache";
        if is_cache {
            cache = number(value);
        }
        is_cache
    })?;
    cache.filter(|&millis| millis > 0.0).map(span)
}

/// Encodes the options of a reply.
pub(super) fn of_reply(keep: Option<Duration>) -> Vec<u8> {
    match keep {
        Some(span) => format!("{{\"cache\":{}}}", millis(span)).into_bytes(),
        None => b"{}".to_vec(),
    }
}

/// Returns a worker's declared status.
pub(super) fn status(options: &[u8]) -> Status {
    let mut said = Status::NOTHING;
    let read = fields(options, |name, value| {
        match name {
            b"concurrency" => said.concurrency = concurrency_of(value),
            b"update" => said.publish = is_true(value),
            _ => return false,
        }
        true
    });
    if read.is_some() { said } else { Status::NOTHING }
}

/// Converts PIGATO's `concurrency`, which dispatches to a worker while it has fewer requests than
/// this number: `null` and numbers under 1 allow none, and 1.5 allows as many as 2.
fn concurrency_of(value: Value<'_>) -> Option<Concurrency> {
    let most = match value {
        Value::Null => 0.0,
        // The number may come from a configuration that contains only text.
        Value::String(text) => {
            let mut memory = Vec::new();
            text.append_to(&mut memory)?;
            number_in(core::str::from_utf8(&memory).ok()?.trim())?
        }
        value => number(value)?,
    };
    if most == -1.0 {
        return Some(Concurrency::Unlimited);
    }
    let whole = most as u32;
    Some(Concurrency::AtMost(whole.saturating_add(u32::from(f64::from(whole) < most))))
}

/// Encodes a worker's status.
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

/// Converts milliseconds to a `Duration`. A number that is too large becomes the maximum.
fn span(millis: f64) -> Duration {
    // `from_millis` is exact. Below 2^32 ms the quotient rounds to the same value, because its
    // error is under half a nanosecond.
    let whole = millis as u32;
    if f64::from(whole) == millis {
        return Duration::from_millis(whole.into());
    }
    Duration::try_from_secs_f64(millis / 1_000.0).unwrap_or(Duration::MAX)
}

/// Converts a `Duration` to milliseconds, rounded up, so that a short time does not become 0.
fn millis(span: Duration) -> u128 {
    span.as_nanos().div_ceil(1_000_000)
}

/// Returns true for a value that is true in JavaScript.
fn is_true(value: Value<'_>) -> bool {
    match value {
        Value::Null | Value::False => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(_) => number(value) != Some(0.0),
        Value::True | Value::Nested(_) => true,
    }
}

/// Returns the value of a JSON number. A number that is too large is infinite, as in JavaScript.
fn number(value: Value<'_>) -> Option<f64> {
    match value {
        Value::Number(number) => number.value(),
        _ => None,
    }
}

/// Parses a number in a text, which need not be JSON.
fn number_in(text: &str) -> Option<f64> {
    // `f64::from_str` also accepts `inf` and `nan`, which JSON does not have.
    let begins_right = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    text.parse().ok().filter(|_| begins_right)
}

/// Returns the routing id in a string.
fn identity<'a>(text: Text<'a>, memory: &'a mut Vec<u8>) -> &'a [u8] {
    let id = match text.plain() {
        Some(id) => id,
        // Even if it consists of escapes, it is longer than a routing id can be.
        None if text.quoted().len() > ESCAPED_BYTES_MAX => text.quoted(),
        None => {
            memory.clear();
            match text.append_to(memory) {
                Some(()) => &memory[..],
                // It is not Unicode: a target that no worker has, not a request without target.
                None => text.quoted(),
            }
        }
    };
    &id[..id.len().min(IDENTITY_BYTES_MAX + 1)]
}

/// Calls `found` with the name and value of each field of an object, in order. Returns `None` if
/// `json` is not an object; `found` may have been called by then. `found` returns true if it uses
/// the field, whose value must then be UTF-8.
#[inline(always)]
fn fields<'a>(json: &'a [u8], mut found: impl FnMut(&[u8], Value<'a>) -> bool) -> Option<()> {
    // Most peers write no options.
    if json == b"{}" {
        return Some(());
    }
    if json.is_empty() || json.len() > OPTIONS_BYTES_MAX {
        return None;
    }
    let mut reader = Reader::new(json);
    if !reader.take(b'{') {
        return None;
    }
    if reader.take(b'}') {
        return reader.is_at_end().then_some(());
    }
    let mut unescaped = Vec::new();
    loop {
        let name = reader.name()?;
        let name = match name.plain() {
            Some(plain) if name.is_utf8() => plain,
            _ => {
                unescaped.clear();
                name.append_to(&mut unescaped)?;
                &unescaped
            }
        };
        let value = reader.value()?;
        if found(name, value) && !value.is_utf8() {
            return None;
        }
        if !reader.take(b',') {
            break;
        }
    }
    (reader.take(b'}') && reader.is_at_end()).then_some(())
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use super::*;

    /// Parses options, and leaks their memory.
    fn read(options: impl Into<Vec<u8>>) -> RequestOptions<'static> {
        RequestOptions::read(options.into().leak(), Box::leak(Box::default()))
    }

    #[track_caller]
    fn check_timeout(json: &str, expected: Timeout) {
        let options = format!("{{\"timeout\":{json}}}");
        let expected = RequestOptions { timeout: expected, ..RequestOptions::NOTHING };
        assert_eq!(read(options), expected, "{json}");
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
        let said = |field: &str, json: &str| read(format!("{{\"{field}\":{json}}}"));
        for json in ["1", "true", "\"1\"", "\"0\"", "{}", "[]", "-1", "0.1", "1e400"] {
            assert!(said("retry", json).redeliver, "{json}");
            assert!(said("nocache", json).fresh, "{json}");
            assert!(said("persist", json).durable, "{json}");
        }
        for json in ["0", "-0", "0.0", "0e5", "false", "null", "\"\""] {
            assert_eq!(said("retry", json), RequestOptions::NOTHING, "{json}");
            assert_eq!(said("nocache", json), RequestOptions::NOTHING, "{json}");
            assert_eq!(said("persist", json), RequestOptions::NOTHING, "{json}");
        }
    }

    #[test]
    fn targets() {
        let long = "x".repeat(300);
        let named = |json: &str| read(format!("{{\"workerId\":{json}}}")).target;
        assert_eq!(named("\"W\\u00e9-1\""), "Wé-1".as_bytes());
        for json in ["\"\"", "null", "5", "true", "{}", "[\"W1\"]"] {
            assert!(named(json).is_empty(), "{json}");
        }
        // A target that no worker can have.
        assert_eq!(named(&format!("\"{long}\"")).len(), 256);
        let escaped = |count| named(&format!("\"{}\"", "\\u0061".repeat(count)));
        assert_eq!(escaped(255), [b'a'; 255]);
        assert_eq!(escaped(256).len(), 256);
        assert!(!named("\"\\ud800\"").is_empty());
    }

    /// Options that are not an object are ignored, wherever they break off.
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
            assert_eq!(read(json), RequestOptions::NOTHING, "{json:.40}");
            assert_eq!(status(json.as_bytes()), Status::NOTHING, "{json:.40}");
            assert_eq!(keep(json.as_bytes()), None, "{json:.40}");
        }
        assert_eq!(read(b"{\"retry\":1,\"\xff\":1}"), RequestOptions::NOTHING);
    }

    #[test]
    fn what_is_beside_it_does_not_matter() {
        let deep = "[".repeat(1_000) + &"]".repeat(1_000);
        let retry = RequestOptions { redeliver: true, ..RequestOptions::NOTHING };
        for json in [
            format!("{{\"a\":{deep},\"retry\":1}}"),
            format!("{{\"retry\":{deep}}}"),
            "{\"timeout\":{},\"retry\":1,\"workerId\":[]}".into(),
            " { \"retry\" : 1 , \"a\" : { \"retry\" : 0 } } ".into(),
            // The last of several fields with the same name counts.
            "{\"retry\":0,\"retry\":1}".into(),
            "{\"__proto__\":{\"retry\":0},\"\\u0072etry\":1}".into(),
        ] {
            assert_eq!(read(json.as_str()), retry, "{json:.60}");
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

    /// Encoded options are decoded to the same request.
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
            target: &request.target,
            fresh: true,
            durable: true,
        };
        assert_eq!(read(of_request(&request, true)), said);
        // A short time is not 0, which would mean something else.
        let short = Timeout::After(Duration::from_nanos(1));
        let read = read(of_request(&Request { timeout: short, ..request }, true));
        assert_eq!(read.timeout, Timeout::After(Duration::from_millis(1)));
    }
}
