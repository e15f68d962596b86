//! Parsing and formatting of durations: `250ms`, `2.5s`, `15m`, `1h`.

use std::fmt;
use std::time::Duration;

/// The units with their lengths in microseconds, longest first.
const UNITS: [(&str, u64); 5] =
    [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// The maximum number of decimals. Hours with 9 decimals can still be whole microseconds without
/// overflow.
const DECIMALS_MAX: usize = 9;

/// The error for a text that is not a duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotADuration {
    text: String,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Number,
    Unit,
    TooLong,
    TooFine,
}

impl fmt::Display for NotADuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.fault {
            Fault::Number => "it has to be a number and a unit, as in 250ms, 2.5s, 15m or 1h",
            Fault::Unit => "its unit has to be us, ms, s, m or h",
            Fault::TooLong => "it is longer than can be counted",
            Fault::TooFine => "it is finer than a microsecond",
        };
        write!(f, "{:?} is no duration: {fault}", self.text)
    }
}

impl std::error::Error for NotADuration {}

/// Parses a duration: a number, which may have decimals, and a unit.
pub(crate) fn parse(text: &str) -> Result<Duration, NotADuration> {
    micros(text)
        .map(Duration::from_micros)
        .map_err(|fault| NotADuration { text: text.into(), fault })
}

/// Parses a duration, or `none`.
pub(crate) fn parse_or_none(text: &str) -> Result<Option<Duration>, NotADuration> {
    if text == "none" { Ok(None) } else { parse(text).map(Some) }
}

/// Formats a duration in the longest unit that keeps the text short.
pub(crate) fn show(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let whole = |unit: u64| micros >= unit && micros.is_multiple_of(unit);
    let (name, unit) = match micros {
        0 => ("s", 1_000_000),
        _ if whole(3_600_000_000) => UNITS[0],
        _ if whole(60_000_000) => UNITS[1],
        1_000_000.. => UNITS[2],
        1_000.. => UNITS[3],
        _ => UNITS[4],
    };
    let (number, rest) = (micros / unit, micros % unit);
    if rest == 0 {
        return format!("{number}{name}");
    }
    let digits = if unit == 1_000_000 { 6 } else { 3 };
    let decimals = format!("{rest:0digits$}");
    format!("{number}.{}{name}", decimals.trim_end_matches('0'))
}

fn micros(text: &str) -> Result<u64, Fault> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(Fault::Number)?;
    let (number, unit) = text.split_at(end);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || decimals.is_empty() || decimals.contains('.') {
        return Err(Fault::Number);
    }
    let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or(Fault::Unit)?;
    let whole = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(unit));
    let whole = whole.ok_or(Fault::TooLong)?;
    let decimals = decimals.trim_end_matches('0');
    if decimals.len() > DECIMALS_MAX {
        return Err(Fault::TooFine);
    }
    let scale = 10_u64.pow(decimals.len() as u32);
    let parts = format!("0{decimals}").parse::<u64>().map_err(|_| Fault::Number)? * unit;
    if !parts.is_multiple_of(scale) {
        return Err(Fault::TooFine);
    }
    whole.checked_add(parts / scale).ok_or(Fault::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_shown() {
        for (text, micros, shown) in [
            ("2.5s", 2_500_000, "2.5s"),
            ("2500ms", 2_500_000, "2.5s"),
            ("250ms", 250_000, "250ms"),
            ("0.25s", 250_000, "250ms"),
            ("1.5ms", 1_500, "1.5ms"),
            ("60s", 60_000_000, "1m"),
            ("90s", 90_000_000, "90s"),
            ("15m", 900_000_000, "15m"),
            ("1.5m", 90_000_000, "90s"),
            ("1h", 3_600_000_000, "1h"),
            ("0s", 0, "0s"),
            ("7us", 7, "7us"),
            ("1.000001s", 1_000_001, "1.000001s"),
            ("1.50s", 1_500_000, "1.5s"),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_micros(micros)), "{text}");
            assert_eq!(show(Duration::from_micros(micros)), shown);
            assert_eq!(parse(shown), parse(text));
        }
    }

    #[test]
    fn what_is_none_is_refused_with_its_fault() {
        for (text, fault) in [
            ("", Fault::Number),
            ("5", Fault::Number),
            ("s", Fault::Number),
            (".5s", Fault::Number),
            ("5.s", Fault::Number),
            ("1.2.3s", Fault::Number),
            ("-1s", Fault::Number),
            ("5 s", Fault::Unit),
            ("5sec", Fault::Unit),
            ("1h30m", Fault::Unit),
            ("99999999999999999999s", Fault::TooLong),
            ("9999999999999999h", Fault::TooLong),
            ("0.5us", Fault::TooFine),
            ("1.0000001s", Fault::TooFine),
        ] {
            let refused = NotADuration { text: text.into(), fault };
            assert_eq!(parse(text), Err(refused), "{text}");
        }
    }
}
