//! A JSON reader and writer without a data model: one pass over the text, without recursion. It
//! allocates only for strings with escapes and for nesting deeper than 128 levels.

use alloc::vec::Vec;

/// The bytes that need an escape in a string: `QUOTE`, `ESCAPE` and all bytes below `CONTROL_END`.
const QUOTE: u8 = b'"';
const ESCAPE: u8 = b'\\';
const CONTROL_END: u8 = 0x20;

/// The number of nesting levels in one word.
const LEVELS: usize = u128::BITS as usize;

/// A value. The contents of arrays and objects are skipped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    String(Text<'a>),
    Number(Number<'a>),
    True,
    False,
    Null,
    /// The text of an array or object.
    Nested(&'a [u8]),
}

impl Value<'_> {
    /// Returns true if the value's text is UTF-8.
    pub(crate) fn is_utf8(&self) -> bool {
        match self {
            Value::String(text) => text.is_utf8(),
            Value::Nested(text) => core::str::from_utf8(text).is_ok(),
            Value::Number(_) | Value::True | Value::False | Value::Null => true,
        }
    }
}

/// The text of a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number<'a> {
    text: &'a [u8],
    /// The parsed number if it is a short non-negative integer, as most numbers are.
    whole: Option<u32>,
}

impl Number<'_> {
    /// Returns the nearest `f64`. A number that is too large is infinite.
    #[inline]
    pub(crate) fn value(&self) -> Option<f64> {
        match self.whole {
            Some(whole) => Some(whole.into()),
            None => core::str::from_utf8(self.text).ok()?.parse().ok(),
        }
    }
}

/// The text of a string.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    quoted: &'a [u8],
    has_escapes: bool,
    is_ascii: bool,
}

impl<'a> Text<'a> {
    /// Returns the string with its quotes.
    pub(crate) fn quoted(&self) -> &'a [u8] {
        self.quoted
    }

    fn raw(&self) -> &'a [u8] {
        &self.quoted[1..self.quoted.len() - 1]
    }

    /// Returns the string without its quotes, if it has no escapes.
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        (!self.has_escapes).then(|| self.raw())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.quoted.len() == 2
    }

    #[inline]
    pub(crate) fn is_utf8(&self) -> bool {
        self.is_ascii || core::str::from_utf8(self.quoted).is_ok()
    }

    /// Appends the string with its escapes resolved. Returns `None` if the result is not Unicode
    /// (half a surrogate pair, or bytes that are not UTF-8); a part may have been appended by then.
    pub(crate) fn append_to(&self, to: &mut Vec<u8>) -> Option<()> {
        if !self.is_utf8() {
            return None;
        }
        let mut rest = self.raw();
        if !self.has_escapes {
            to.extend_from_slice(rest);
            return Some(());
        }
        to.reserve(rest.len());
        loop {
            let run = run(rest).0;
            to.extend_from_slice(&rest[..run]);
            // Only an escape can follow, because the string has been validated before.
            let [_, kind, behind @ ..] = &rest[run..] else { return Some(()) };
            rest = behind;
            let byte = match kind {
                b'b' => 0x08,
                b'f' => 0x0c,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => {
                    let character = character(&mut rest)?;
                    to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    continue;
                }
                other => *other,
            };
            to.push(byte);
        }
    }
}

/// Reads the digits of a `\u` escape, and the next escape if both form a surrogate pair.
fn character(rest: &mut &[u8]) -> Option<char> {
    let first = unit(rest)?;
    let code = match first {
        0xd800..0xdc00 => {
            *rest = rest.strip_prefix(b"\\u")?;
            let second = unit(rest)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            0x1_0000 + ((first - 0xd800) << 10) + second
        }
        code => code,
    };
    char::from_u32(code)
}

/// Returns true if a byte is JSON whitespace.
#[inline]
pub(crate) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\t' | b'\r')
}

/// Reads the four digits of a `\u` escape.
fn unit(rest: &mut &[u8]) -> Option<u32> {
    let (digits, behind) = rest.split_first_chunk()?;
    *rest = behind;
    hex(*digits)
}

fn hex(digits: [u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number << 4 | digit)
    })
}

/// Returns the number of bytes before the first byte that a string must escape, and whether they
/// are ASCII.
#[inline]
fn run(bytes: &[u8]) -> (usize, bool) {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = EACH * 0x80;
    let (mut at, mut seen) = (0, 0);
    let (chunks, rest) = bytes.as_chunks::<8>();
    for chunk in chunks {
        let word = u64::from_le_bytes(*chunk);
        let zero = |word: u64| word.wrapping_sub(EACH) & !word;
        let quote = zero(word ^ (EACH * u64::from(QUOTE)));
        let escape = zero(word ^ (EACH * u64::from(ESCAPE)));
        let control = word.wrapping_sub(EACH * u64::from(CONTROL_END)) & !word;
        // The lowest bit set is exact; a borrow may set others above it.
        let found = (quote | escape | control) & HIGH;
        if found != 0 {
            let before = found.trailing_zeros() / 8;
            seen |= word & !(u64::MAX << (8 * before));
            return (at + before as usize, seen & HIGH == 0);
        }
        seen |= word;
        at += 8;
    }
    let is_plain = |byte: &u8| !matches!(*byte, QUOTE | ESCAPE | 0..CONTROL_END);
    let run = rest.iter().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
    let is_ascii = rest[..run].is_ascii();
    (at + run, seen & HIGH == 0 && is_ascii)
}

/// Appends a text as a JSON string.
pub(crate) fn quote(text: &str, to: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    to.reserve(text.len() + 2);
    to.push(QUOTE);
    let mut rest = text.as_bytes();
    loop {
        let run = run(rest).0;
        to.extend_from_slice(&rest[..run]);
        let [special, behind @ ..] = &rest[run..] else { break };
        rest = behind;
        let short = match special {
            0x08 => b'b',
            0x0c => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..CONTROL_END => {
                let digits = [HEX[usize::from(special >> 4)], HEX[usize::from(special & 0xf)]];
                to.extend_from_slice(b"\\u00");
                to.extend_from_slice(&digits);
                continue;
            }
            other => *other,
        };
        to.extend_from_slice(&[ESCAPE, short]);
    }
    to.push(QUOTE);
}

/// The rest of a JSON text.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    /// Skips whitespace and returns the next byte without reading it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let [byte, behind @ ..] = self.rest {
            if !is_blank(*byte) {
                return Some(*byte);
            }
            self.rest = behind;
        }
        None
    }

    /// Reads this byte if it is next. Returns true if it was.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.rest = &self.rest[1..];
        }
        is_next
    }

    /// Returns the number of bytes left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Returns true if only whitespace is left.
    #[inline]
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Reads a string. It may contain bytes that are not UTF-8, and escapes that are not Unicode.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<Text<'a>> {
        if self.peek() != Some(QUOTE) {
            return None;
        }
        let (text, inside) = (self.rest, &self.rest[1..]);
        let (mut end, mut is_ascii) = run(inside);
        let mut has_escapes = false;
        while inside.get(end) == Some(&ESCAPE) {
            has_escapes = true;
            end += match inside.get(end + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                b'u' if hex(*inside.get(end + 2..)?.first_chunk()?).is_some() => 6,
                _ => return None,
            };
            let (plain, plain_is_ascii) = run(&inside[end..]);
            end += plain;
            is_ascii &= plain_is_ascii;
        }
        if inside.get(end) != Some(&QUOTE) {
            return None;
        }
        let (quoted, rest) = text.split_at(end + 2);
        self.rest = rest;
        Some(Text { quoted, has_escapes, is_ascii })
    }

    /// Reads a value of any depth.
    #[inline]
    pub(crate) fn value(&mut self) -> Option<Value<'a>> {
        match self.peek()? {
            QUOTE => self.string().map(Value::String),
            b'-' | b'0'..=b'9' => self.number().map(Value::Number),
            b't' => self.word(b"true", Value::True),
            b'f' => self.word(b"false", Value::False),
            b'n' => self.word(b"null", Value::Null),
            _ => {
                let text = self.rest;
                self.skip(usize::MAX, false)?;
                Some(Value::Nested(&text[..text.len() - self.rest.len()]))
            }
        }
    }

    fn word(&mut self, word: &[u8], value: Value<'a>) -> Option<Value<'a>> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(value)
    }

    fn number(&mut self) -> Option<Number<'a>> {
        const WHOLE_DIGITS_MAX: usize = 9;

        let text = self.rest;
        let digits = |mut at: usize| {
            let mut number = 0u32;
            while let Some(digit @ b'0'..=b'9') = text.get(at) {
                number = number.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
                at += 1;
            }
            (at, number)
        };
        let start = usize::from(text.first() == Some(&b'-'));
        let (mut end, whole) = digits(start);
        // No leading zeros.
        if end == start || (text[start] == b'0' && end > start + 1) {
            return None;
        }
        let mut is_whole = start == 0 && end <= WHOLE_DIGITS_MAX;
        if text.get(end) == Some(&b'.') {
            is_whole = false;
            let fraction = end + 1;
            (end, _) = digits(fraction);
            if end == fraction {
                return None;
            }
        }
        if let Some(b'e' | b'E') = text.get(end) {
            is_whole = false;
            let sign = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
            let exponent = end + 1 + sign;
            (end, _) = digits(exponent);
            if end == exponent {
                return None;
            }
        }
        let (text, rest) = text.split_at(end);
        self.rest = rest;
        Some(Number { text, whole: is_whole.then_some(whole) })
    }

    /// Skips a value that is nested at most `nesting_max` deep. If `utf8` is set, its strings must
    /// be UTF-8.
    pub(crate) fn skip(&mut self, nesting_max: usize, utf8: bool) -> Option<()> {
        let is_right = |text: Text<'_>| !utf8 || text.is_utf8();
        let mut inside = Nesting::default();
        loop {
            match self.peek()? {
                opening @ (b'[' | b'{') => {
                    let is_object = opening == b'{';
                    self.rest = &self.rest[1..];
                    if inside.depth == nesting_max {
                        return None;
                    }
                    let closing = if is_object { b'}' } else { b']' };
                    if !self.take(closing) {
                        inside.enter(is_object);
                        if is_object {
                            self.name().filter(|name| is_right(*name))?;
                        }
                        continue;
                    }
                }
                QUOTE => _ = self.string().filter(|text| is_right(*text))?,
                b'-' | b'0'..=b'9' => _ = self.number()?,
                b't' => _ = self.word(b"true", Value::True)?,
                b'f' => _ = self.word(b"false", Value::False)?,
                b'n' => _ = self.word(b"null", Value::Null)?,
                _ => return None,
            }
            // After a value.
            loop {
                if inside.depth == 0 {
                    return Some(());
                }
                let is_object = inside.is_object();
                if self.take(b',') {
                    if is_object {
                        self.name().filter(|name| is_right(*name))?;
                    }
                    break;
                }
                let closing = if is_object { b'}' } else { b']' };
                if !self.take(closing) {
                    return None;
                }
                inside.leave();
            }
        }
    }

    /// Reads a field's name and the colon after it.
    #[inline]
    pub(crate) fn name(&mut self) -> Option<Text<'a>> {
        let name = self.string()?;
        self.take(b':').then_some(name)
    }
}

/// The arrays and objects around a position in a text.
#[derive(Debug, Default)]
struct Nesting {
    depth: usize,
    /// One bit for each of the innermost levels, set for an object.
    innermost: u128,
    /// The outer levels, in words of [`LEVELS`] bits.
    outer: Vec<u128>,
}

impl Nesting {
    fn enter(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(LEVELS) {
            self.outer.push(self.innermost);
        }
        self.innermost = self.innermost << 1 | u128::from(is_object);
        self.depth += 1;
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.innermost >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(LEVELS) {
            self.innermost = self.outer.pop().unwrap_or_default();
        }
    }

    fn is_object(&self) -> bool {
        self.innermost & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::string::String;
    use alloc::{format, vec};

    use serde::de::IgnoredAny;

    use super::*;

    const PIECES: &[&str] = &[
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\":",
        "\\",
        "\\\"",
        "\\u0041",
        "\\ud83d",
        "\\ude00",
        "\\ud8",
        "\\n",
        "\\x",
        "/",
        "0",
        "-",
        "12",
        "01",
        ".5",
        "e",
        "E+3",
        "true",
        "false",
        "null",
        "nul",
        " ",
        "\n",
        "\x0c",
        "\x01",
        "\x1f",
        "\x7f",
        "é",
        "\u{10000}",
        "x",
        "long enough",
    ];

    /// Generates texts of random pieces, many of them in quotes or brackets.
    fn texts() -> impl Iterator<Item = Vec<u8>> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut below = move |bound: usize| {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
        };
        (0..200_000).map(move |_| {
            let mut text: Vec<u8> = Vec::new();
            for _ in 0..below(9) {
                text.extend_from_slice(PIECES[below(PIECES.len())].as_bytes());
            }
            match below(5) {
                0 => text = [b"\"", &text[..], b"\""].concat(),
                1 => text = [b"[", &text[..], b"]"].concat(),
                2 => text = [b"{\"a\":", &text[..], b"}"].concat(),
                _ => {}
            }
            if !text.is_empty() && below(8) == 0 {
                let at = below(text.len());
                text[at] = below(256) as u8;
            }
            text
        })
    }

    fn is_json(text: &[u8]) -> bool {
        let mut reader = Reader::new(text);
        reader.skip(usize::MAX, false).is_some() && reader.is_at_end()
    }

    #[test]
    fn reader_accepts_what_serde_json_accepts() {
        let mut taken = 0;
        for text in texts() {
            let expected = serde_json::from_slice::<IgnoredAny>(&text).is_ok();
            assert_eq!(is_json(&text), expected, "{}", text.escape_ascii());
            let is_utf8 = core::str::from_utf8(&text).is_ok();
            let mut reader = Reader::new(&text);
            let is_sound = reader.skip(usize::MAX, true).is_some() && reader.is_at_end();
            assert_eq!(is_sound, expected && is_utf8, "{}", text.escape_ascii());
            let mut reader = Reader::new(&text);
            let value = reader.value().filter(|_| reader.is_at_end());
            assert_eq!(value.is_some(), expected, "{}", text.escape_ascii());
            taken += u32::from(expected);
        }
        assert!(taken > 10_000, "{taken}");
    }

    #[test]
    fn numbers_are_read_as_serde_json_reads_them() {
        for text in [
            "0",
            "7",
            "999999999",
            "1000000000",
            "99999999999999999999",
            "-0",
            "-1",
            "-999999999",
            "0.5",
            "1.0",
            "1e3",
            "0e5",
            "12E-1",
            "5e-324",
        ] {
            let Some(Value::Number(number)) = Reader::new(text.as_bytes()).value() else {
                panic!("{text}");
            };
            assert_eq!(number.value(), serde_json::from_str(text).ok(), "{text}");
        }
        let Some(Value::Number(number)) = Reader::new(b"1e400").value() else { panic!() };
        assert_eq!(number.value(), Some(f64::INFINITY));
    }

    #[test]
    fn strings_are_read_as_serde_json_reads_them() {
        let mut taken = 0;
        for text in texts() {
            let expected = serde_json::from_slice::<String>(&text).ok().map(String::into_bytes);
            let mut reader = Reader::new(&text);
            let mut read = Vec::new();
            let is_read = match reader.value() {
                Some(Value::String(text)) if reader.is_at_end() => {
                    assert!(text.plain().is_none_or(|plain| plain == text.raw()));
                    text.append_to(&mut read).is_some()
                }
                _ => false,
            };
            assert_eq!(is_read.then_some(read), expected, "{}", text.escape_ascii());
            taken += u32::from(is_read);
        }
        assert!(taken > 5_000, "{taken}");
    }

    #[test]
    fn strings_are_written_as_serde_json_writes_them() {
        let all: String = (0..0x100).filter_map(char::from_u32).collect();
        let mut cases =
            vec![String::new(), all.clone(), all.repeat(3), "\u{2028}\u{10ffff}".to_owned()];
        cases.extend((0..20).map(|length| "x".repeat(length) + "\n"));
        for text in cases {
            let mut written = Vec::new();
            quote(&text, &mut written);
            assert_eq!(written, serde_json::to_vec(&text).expect("a string"), "{text:?}");
        }
    }

    #[test]
    fn brackets_are_matched_at_any_depth() {
        for depth in [1, 2, 100, 127, 128, 129, 255, 256, 257, 1_000] {
            for (opening, closing) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
                let text = format!("{}1{}", opening.repeat(depth), closing.repeat(depth));
                assert!(is_json(text.as_bytes()), "{opening} {depth}");
                let levels = depth * closing.len();
                assert!(
                    Reader::new(text.as_bytes()).skip(levels, true).is_some(),
                    "{opening} {depth}"
                );
                assert!(Reader::new(text.as_bytes()).skip(levels - 1, true).is_none());
                let (cut, _) = text.split_at(text.len() - 1);
                assert!(!is_json(cut.as_bytes()), "{opening} {depth}");
                assert!(!is_json(format!("{cut}?").as_bytes()), "{opening} {depth}");
            }
        }
        let mixed = format!("{}1{}", "[{\"a\":".repeat(300), "]}".repeat(300));
        assert!(!is_json(mixed.as_bytes()));
    }
}
