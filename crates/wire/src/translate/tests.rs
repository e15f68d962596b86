//! Tests of the translation between frames and JSON.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use serde::de::IgnoredAny;

use super::*;

/// Returns whether serde_json accepts a text as JSON.
fn is_json(text: &[u8]) -> bool {
    // serde_json does not check skipped text for UTF-8.
    core::str::from_utf8(text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok())
}

/// Returns the nesting depth of a JSON text.
fn nesting(json: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0, 0);
    let (mut in_string, mut escaped) = (false, false);
    for &byte in json {
        match byte {
            b'"' if !escaped => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth -= 1,
            _ => {}
        }
        escaped = in_string && byte == b'\\' && !escaped;
    }
    deepest
}

/// Half of a surrogate pair, as written by `JSON.stringify`.
const HALF: &str = r#""\ud800""#;

/// Calls [`to_json`], and also checks the documented size limit.
#[track_caller]
fn json(frames: &[&[u8]], rule: Json, asked_other: bool) -> Vec<u8> {
    let body = Frames::from_slices(frames);
    let text = to_json(body.view(), rule, asked_other).into_owned();
    let bytes_max = 6 * body.bytes() + 13 * body.len() + 4;
    assert!(text.len() <= bytes_max, "{} bytes of {body:?}", text.len());
    text
}

#[track_caller]
fn check_json(frames: &[&[u8]], rule: Json, asked_other: bool, expected: &str) {
    let text = json(frames, rule, asked_other);
    assert_eq!(text.escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
}

/// Checks `auto`, in a request or in a reply to a string.
#[track_caller]
fn auto(frames: &[&[u8]], expected: &str) {
    check_json(frames, Json::Auto, false, expected);
}

#[track_caller]
fn frames_of(texts: &[&[u8]]) -> Frames {
    let body = Frames::from_slices(texts).in_form(Form::Json, 1);
    let frames = to_frames(body.view()).view().to_frames();
    assert_eq!((frames.form(), frames.note()), (Form::Frames, 0));
    assert!(frames.bytes() <= body.bytes());
    frames
}

#[track_caller]
fn check_frames(text: impl AsRef<[u8]>, expected: &[&[u8]]) {
    assert_eq!(frames_of(&[text.as_ref()]), Frames::from_slices(expected));
}

/// Checks that a text becomes one frame, unchanged.
#[track_caller]
fn stays(text: impl AsRef<[u8]>) {
    check_frames(&text, &[text.as_ref()]);
}

#[track_caller]
fn check_round_trip(frames: &Frames, rule: Json) {
    let text = to_json(frames.view(), rule, false);
    assert_eq!(frames_of(&[&text]), *frames, "{}", text.escape_ascii());
}

fn nested(depth: usize) -> String {
    ["[".repeat(depth), "]".repeat(depth)].concat()
}

#[test]
fn auto_passes_objects_and_arrays() {
    for text in ["{}", "[]", r#"{"a": 1}"#, " \t\r\n[1, 2]\n", r#"{"a":1,"a":2}"#, "[1e999]"] {
        auto(&[text.as_bytes()], text);
    }
    auto(&[format!("[{HALF}]").as_bytes()], r#"["\ud800"]"#);
}

#[test]
fn auto_makes_strings_of_other_text() {
    auto(&[b"hello"], r#""hello""#);
    auto(&[b""], r#""""#);
    auto(&["gr\u{fc}\u{df}e".as_bytes()], "\"gr\u{fc}\u{df}e\"");
    auto(&[b"42"], r#""42""#);
    auto(&[b"null"], r#""null""#);
    auto(&[b"undefined"], r#""undefined""#);
    auto(&[br#""hello""#], r#""\"hello\"""#);
    auto(&[br"a\b/c"], r#""a\\b/c""#);
    auto(&[b"\x00\x01\t\r\n\x08\x0c\x1f\x7f"], "\"\\u0000\\u0001\\t\\r\\n\\b\\f\\u001f\x7f\"");
    auto(&["\u{2028}\u{feff}".as_bytes()], "\"\u{2028}\u{feff}\"");
}

#[test]
fn auto_makes_strings_of_what_only_looks_like_json() {
    auto(&[b"{"], r#""{""#);
    auto(&[b"[1,]"], r#""[1,]""#);
    auto(&[b"{} x"], r#""{} x""#);
    auto(&[b"{}{}"], r#""{}{}""#);
    auto(&[b"[01]"], r#""[01]""#);
    auto(&[b"{'a':1}"], r#""{'a':1}""#);
    auto(&[b"[undefined]"], r#""[undefined]""#);
    auto(&[b"\x0c[]"], r#""\f[]""#);
    auto(&[b"[]\0"], r#""[]\u0000""#);
    auto(&[b"[\"a\nb\"]"], r#""[\"a\nb\"]""#.replace("a\nb", "a\\nb").as_str());
    auto(&["\u{feff}{}".as_bytes()], "\"\u{feff}{}\"");
}

#[test]
fn bytes_that_are_not_utf8_become_base64() {
    auto(&[b"\xff"], r#"{"$base64":"/w=="}"#);
    auto(&[b"\x00\xff\xfe\xfd"], r#"{"$base64":"AP/+/Q=="}"#);
    // Also inside a text that is JSON otherwise.
    auto(&[b"[\"\xff\"]"], r#"{"$base64":"WyL/Il0="}"#);
    for rule in Json::ALL {
        check_json(&[b"\xff"], rule, true, r#"{"$base64":"/w=="}"#);
    }
}

#[test]
fn several_frames_become_an_array() {
    auto(&[b"a", b"b"], r#"["a","b"]"#);
    auto(&[b"", b"\xff", b"{}"], r#"["",{"$base64":"/w=="},"{}"]"#);
    check_json(&[b"1", b"{}"], Json::Auto, true, r#"["1","{}"]"#);
    check_json(&[b"1", b"{}"], Json::String, true, r#"["1","{}"]"#);
}

#[test]
fn no_frame_becomes_null() {
    for rule in Json::ALL {
        check_json(&[], rule, false, "null");
        check_json(&[], rule, true, "null");
    }
}

#[test]
fn a_client_that_asked_with_other_json_gets_any() {
    for text in ["42", "-1.5e3", "true", "null", r#""hello""#, " 1 ", "{}"] {
        check_json(&[text.as_bytes()], Json::Auto, true, text);
    }
    check_json(&[b""], Json::Auto, true, r#""""#);
    check_json(&[b"hello"], Json::Auto, true, r#""hello""#);
    check_json(&[b"1 2"], Json::Auto, true, r#""1 2""#);
    check_json(&[b"NaN"], Json::Auto, true, r#""NaN""#);
}

#[test]
fn string_passes_nothing() {
    for asked_other in [false, true] {
        check_json(&[b"{}"], Json::String, asked_other, r#""{}""#);
        check_json(&[b"1"], Json::String, asked_other, r#""1""#);
    }
}

#[test]
fn raw_passes_all_text() {
    for text in ["hello", "", "{", "42", "undefined", "\u{feff}{}"] {
        check_json(&[text.as_bytes()], Json::Raw, false, text);
    }
    // In an array, only JSON passes through.
    check_json(&[b"1", br#"{"a":2}"#, b"x", b"3,4"], Json::Raw, false, r#"[1,{"a":2},"x","3,4"]"#);
}

#[test]
fn nesting_has_a_limit() {
    let (most, too_deep) = (nested(NESTING_MAX), nested(NESTING_MAX + 1));
    auto(&[most.as_bytes()], &most);
    auto(&[too_deep.as_bytes()], &format!("\"{too_deep}\""));
    check_json(&[too_deep.as_bytes()], Json::Auto, true, &format!("\"{too_deep}\""));
    // Siblings do not add depth, and brackets in a string are not nested.
    let wide = format!("[{}[]]", "[{\"a\":[]}],".repeat(NESTING_MAX));
    auto(&[wide.as_bytes()], &wide);
    let quoted = format!(r#"["\"{0}\\","{0}"]"#, "[{".repeat(NESTING_MAX));
    auto(&[quoted.as_bytes()], &quoted);
    // An array of several frames adds one level.
    let texts = [most.as_bytes(), b"1"];
    check_json(&texts, Json::Raw, false, &format!("[\"{most}\",1]"));
}

#[test]
fn strings_become_their_bytes() {
    check_frames(r#""hello""#, &[b"hello"]);
    check_frames(r#""""#, &[b""]);
    check_frames(" \"a\"\n", &[b"a"]);
    check_frames(
        r#""\u0000\"\\\/\b\f\n\r\t\u00fc\ud83d\ude00""#,
        &["\0\"\\/\x08\x0c\n\r\tü😀".as_bytes()],
    );
    check_frames(r#""{\"a\":1}""#, &[br#"{"a":1}"#]);
}

#[test]
fn base64_becomes_its_bytes() {
    check_frames(r#"{"$base64":"aGk="}"#, &[b"hi"]);
    check_frames(r#"{"$base64":""}"#, &[b""]);
    check_frames(r#" { "\u0024base64" : "\/w==" } "#, &[b"\xff"]);
}

#[test]
fn arrays_of_strings_and_base64_become_frames() {
    check_frames(r#"["a","b"]"#, &[b"a", b"b"]);
    check_frames(r#" [ "" , {"$base64":"/w=="} , "\n" ] "#, &[b"", b"\xff", b"\n"]);
}

#[test]
fn other_values_stay_text() {
    for text in ["null", "true", "42", "-0", "1e999", " 1 ", "{}", "[]", r#"{"a":[1,"b"]}"#] {
        stays(text);
    }
    for text in [r#"["a"]"#, r#"[{"$base64":"aGk="}]"#, r#"["a",1]"#, r#"["a",null]"#] {
        stays(text);
    }
    stays(r#"["a",["b","c"]]"#);
    stays(r#"["a",{"$base64":"aGk=","b":1}]"#);
}

#[test]
fn objects_that_are_nearly_base64_stay_text() {
    for inside in [
        r#""$base64":"aGk""#,
        r#""$base64":"aGl=""#,
        r#""$base64":"aGk= ""#,
        r#""$base64":"_w==""#,
        r#""$base64":"ä""#,
        r#""$base64":1"#,
        r#""$base64":["aGk="]"#,
        r#""$base64":"aGk=","a":1"#,
        r#""a":1,"$base64":"aGk=""#,
        r#""$base64":"aGk=","$base64":"aGk=""#,
        r#""$Base64":"aGk=""#,
    ] {
        stays(format!("{{{inside}}}"));
        stays(format!("[\"a\",{{{inside}}}]"));
    }
}

#[test]
fn nothing_becomes_no_frame() {
    for text in ["", " ", "undefined", " undefined\n"] {
        check_frames(text, &[]);
    }
    assert_eq!(frames_of(&[]), Frames::empty());
    stays("undefined1");
    stays("[undefined,1]");
}

#[test]
fn what_is_no_json_stays_text() {
    for text in ["hello", "\"a\" x", "\"a", "[\"a\",\"b\"", "[\"a\",\"b\"],", "\"a\nb\"", "\"\\x\""]
    {
        stays(text);
    }
    stays("\u{feff}\"a\"");
    stays(b"\"\xff\"");
    stays(b"[\"a\",\"\xff\"]");
    stays(b"\"a\"\0");
}

#[test]
fn half_a_surrogate_pair_stays_text() {
    stays(HALF);
    stays(r#""\udc00\ud800""#);
    stays(format!(r#"["a",{HALF}]"#));
    stays(format!(r#"{{"$base64":{HALF}}}"#));
    stays(format!("{{{HALF}:1}}"));
}

#[test]
fn parts_become_their_frames_in_order() {
    let parts: [&[u8]; 7] =
        [br#""a""#, b"undefined", b"1", br#"["b","c"]"#, br#"["d",1]"#, b"", HALF.as_bytes()];
    let expected: [&[u8]; 6] = [b"a", b"1", b"b", b"c", br#"["d",1]"#, HALF.as_bytes()];
    assert_eq!(frames_of(&parts), Frames::from_slices(&expected));
}

#[test]
fn a_long_array_stays_text() {
    let array = |length| format!("[{}]", vec!["\"\""; length].join(","));
    assert_eq!(frames_of(&[array(ELEMENTS_MAX).as_bytes()]).len(), ELEMENTS_MAX);
    stays(array(ELEMENTS_MAX + 1));
}

#[test]
fn text_that_stays_is_not_copied() {
    let text = bytes::Bytes::from(vec![b'1'; 1000]);
    let body = Frames::single(text.clone()).in_form(Form::Json, 0);
    assert_eq!(to_frames(body.view()).view().get(0).map(<[u8]>::as_ptr), Some(text.as_ptr()));
}

#[test]
fn json_other_than_a_string() {
    for text in ["1", "null", "true", "{}", "[]", " [1] ", "{\"a\":\"\\ud800\"}", "1e999"] {
        assert!(is_other_than_string(text.as_bytes()), "{text}");
    }
    for text in ["", " ", "\"a\"", " \"a\"", "undefined", "hello", "{", "[1] x", "\u{feff}1", "NaN"]
    {
        assert!(!is_other_than_string(text.as_bytes()), "{text}");
    }
    // Deeply nested JSON counts, although it would not pass through.
    assert!(is_other_than_string(nested(1000).as_bytes()));
}

#[test]
fn of_an_array_or_object_only_the_ends_count() {
    for text in [&b"[\"\xff\"]"[..], b"{x}", b" [ \n", b"{] }"] {
        assert_eq!(is_other_than_string(text), text.ends_with(b"}") || text.ends_with(b"]"));
    }
    let long = |first: &str, last| [first, &"1".repeat(SCALAR_BYTES_MAX), last].concat();
    assert!(is_other_than_string(long(" [", "]").as_bytes()));
    assert!(is_other_than_string(long("{", "} ").as_bytes()));
    assert!(!is_other_than_string(long("\"", "\"").as_bytes()));
    assert!(!is_other_than_string(long("x", "").as_bytes()));
    assert!(!is_other_than_string(long("1", "").as_bytes()));
}

/// The frames that differ after a round trip through JSON: the table at the top of `translate.rs`.
#[test]
fn frames_that_do_not_come_back() {
    #[track_caller]
    fn check(frames: &[&[u8]], rule: Json, asked_other: bool, again: &[&[u8]]) {
        let text = json(frames, rule, asked_other);
        assert_eq!(frames_of(&[&text]), Frames::from_slices(again), "{}", text.escape_ascii());
        assert_ne!(Frames::from_slices(frames), Frames::from_slices(again));
    }
    check(&[], Json::Auto, false, &[b"null"]);
    check(&[br#"{"$base64":"aGk="}"#], Json::Auto, false, &[b"hi"]);
    check(&[br#"["a","b"]"#], Json::Auto, false, &[b"a", b"b"]);
    check(&[br#"["a",{"$base64":"aGk="}]"#], Json::Auto, false, &[b"a", b"hi"]);
    check(&[br#""a""#], Json::Auto, true, &[b"a"]);
    check(&[br#""a""#], Json::Raw, false, &[b"a"]);
    check(&[b"undefined"], Json::Raw, false, &[]);
    check(&[b""], Json::Raw, false, &[]);
    check(&[br#""a""#, br#""b""#], Json::Raw, false, &[b"a", b"b"]);
    check(&[b"1", b"a"], Json::Raw, false, &[br#"[1,"a"]"#]);
    let many = [&b""[..]; ELEMENTS_MAX + 1];
    let text = json(&many, Json::Auto, false);
    check(&many, Json::Auto, false, &[&text]);
    let most = Frames::from_slices(&many[1..]);
    check_round_trip(&most, Json::Auto);
}

#[test]
fn nasty_bodies_come_back() {
    let large = 1 << 20;
    let quotes = vec![b'"'; large];
    let zeros = vec![0; large];
    let bytes = vec![0xff; large];
    let deep = nested(1000).into_bytes();
    let open = vec![b'['; large];
    let objects = "{\"a\":".repeat(large / 5).into_bytes();
    let strings = b"\"\",".repeat(large / 3);
    let escapes = [&b"\""[..], &vec![b'\\'; large]].concat();
    for frame in [quotes, zeros, bytes, deep, open, objects, strings, escapes] {
        for rule in [Json::Auto, Json::String] {
            check_round_trip(&Frames::from_slices(&[&frame]), rule);
            check_round_trip(&Frames::from_slices(&[&frame[..], b"", b"x"]), rule);
        }
        // The JSON represents no frames, or is nested too deep to pass through.
        if is_json(&frame) {
            assert!(nesting(&frame) > NESTING_MAX);
        }
        stays(&frame);
        is_other_than_string(&frame);
    }
}

/// The xorshift64* generator, so that a failure can be replayed anywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Similar seeds must have different beginnings, and the state must not be 0.
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.below(from.len())]
    }

    /// Generates a frame: JSON, almost JSON, or pieces in any order.
    fn frame(&mut self) -> Vec<u8> {
        const PIECES: &[&[u8]] = &[
            b"{",
            b"}",
            b"[",
            b"]",
            b",",
            b":",
            b"\"",
            b"\\",
            b" ",
            b"\n",
            b"\0",
            b"a",
            b"1",
            b"-",
            b"\xff",
            b"\xc3",
            b"\xbc",
            b"\\ud800",
            b"undefined",
            b"\"$base64\"",
            b"\xef\xbb\xbf",
        ];
        if self.below(4) == 0 {
            return (0..self.below(8)).flat_map(|_| self.pick(PIECES)).copied().collect();
        }
        let mut frame = self.value(3);
        if self.below(4) == 0 {
            let at = self.below(frame.len() + 1);
            let until = at + self.below(2).min(frame.len() - at);
            frame.splice(at..until, self.pick(PIECES).iter().copied());
        }
        frame
    }

    /// Generates a JSON value. Many of them represent frames.
    fn value(&mut self, depth: usize) -> Vec<u8> {
        const LEAVES: &[&[u8]] = &[
            b"null",
            b"1",
            b"-0.5e-7",
            b" true ",
            b"{}",
            b"[]",
            b"\"\"",
            b"\"a\"",
            b"\" \xc3\xbc\"",
            b"\"\\u0000\\\\\"",
            b"\"\\ud83d\\ude00\"",
            b"\"\\ud800\"",
            b"{\"$base64\":\"aGk=\"}",
            b"{ \"\\u0024base64\": \"\\/w==\"\n}",
            b"{\"$base64\":\"aGk\"}",
            b"{\"$base64\":\"\",\"a\":1}",
        ];
        const KEYS: &[&[u8]] = &[b"\"a\":", b"\"$base64\":", b"\"\\u00fc\" :"];
        let shape = if depth == 0 { 0 } else { self.below(4) };
        if shape < 2 {
            return self.pick(LEAVES).to_vec();
        }
        // Keys are unique: serde_json takes the last of several equal keys, and this decoder
        // accepts none.
        let first_key = self.below(KEYS.len());
        let inside: Vec<Vec<u8>> = (0..self.below(KEYS.len() + 1))
            .map(|at| {
                let key = if shape == 2 { b"" } else { KEYS[(first_key + at) % KEYS.len()] };
                [key, &self.value(depth - 1)[..]].concat()
            })
            .collect();
        let (open, close) = if shape == 2 { (b"[", b"]") } else { (b"{", b"}") };
        [&open[..], &inside.join(&b","[..]), close].concat()
    }
}

/// The property at the top of `translate.rs`, with its exceptions computed by serde_json.
#[test]
fn random_frames_come_back() {
    let (mut passed, mut read) = (0, 0);
    for seed in 0..200_000 {
        let mut random = Random::new(seed);
        let frames: Vec<Vec<u8>> = (0..1 + random.below(3)).map(|_| random.frame()).collect();
        let slices: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let text = json(&slices, Json::Auto, false);
        let value: Option<serde_json::Value> = serde_json::from_slice(&text).ok();
        // serde_json rejects only half a surrogate pair, which must have passed through.
        assert!(value.is_some() || frames[0] == text, "seed {seed}: {}", text.escape_ascii());

        let again = frames_of(&[&text]);
        if frames.len() == 1 && frames[0] == text {
            passed += 1;
            if let Some(expected) = value.as_ref().and_then(frames_of_value) {
                read += 1;
                assert_eq!(again, Frames::from_slices(&expected), "seed {seed}");
                continue;
            }
        }
        assert_eq!(again, Frames::from_slices(&frames), "seed {seed}: {}", text.escape_ascii());
        let string = json(&slices, Json::String, true);
        assert_eq!(frames_of(&[&string]), Frames::from_slices(&frames), "seed {seed}");
    }
    assert!(passed > 10_000 && read > 1_000, "{passed} passed, {read} read");
}

/// No input makes either direction panic, or makes `to_json` return invalid JSON where it promises
/// JSON.
#[test]
fn random_texts_are_read() {
    for seed in 0..200_000 {
        let mut random = Random::new(seed);
        let texts: Vec<Vec<u8>> = (0..random.below(4)).map(|_| random.frame()).collect();
        let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        let frames = frames_of(&texts);
        for (rule, asked_other) in [(Json::Auto, true), (Json::String, false)] {
            let text = to_json(frames.view(), rule, asked_other);
            assert!(is_json(&text), "seed {seed}: {}", text.escape_ascii());
        }
        let raw = to_json(frames.view(), Json::Raw, false);
        assert!(frames.len() == 1 || is_json(&raw), "seed {seed}: {}", raw.escape_ascii());
        for text in texts {
            let is_string = text.trim_ascii_start().first() == Some(&b'"');
            // Text that only looks like an array or object counts as JSON other than a string.
            let is_unknown = !is_json(text) && matches!(text.trim_ascii(), [b'[' | b'{', ..]);
            assert!(is_unknown || is_other_than_string(text) == (is_json(text) && !is_string));
        }
    }
}

/// Returns the frames that a value represents, if any.
fn frames_of_value(value: &serde_json::Value) -> Option<Vec<Vec<u8>>> {
    use serde_json::Value;

    fn piece(value: &Value) -> Option<Vec<u8>> {
        match value {
            Value::String(text) => Some(text.clone().into_bytes()),
            Value::Object(object) if object.len() == 1 => {
                STANDARD.decode(object.get("$base64")?.as_str()?).ok()
            }
            _ => None,
        }
    }
    match value {
        Value::Array(array) if array.len() >= 2 => array.iter().map(piece).collect(),
        Value::Array(_) => None,
        value => piece(value).map(|frame| vec![frame]),
    }
}
