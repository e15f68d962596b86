//! Parsing and formatting of byte counts: `4096`, `64KiB`, `8MiB`, `1GiB`.

use std::fmt;

/// The units with their sizes in bytes, largest first.
const UNITS: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// The error for a text that is not a byte count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotBytes {
    text: String,
}

impl fmt::Display for NotBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no number of bytes: it has to be like 4096, 64KiB, 8MiB or 1GiB",
            self.text
        )
    }
}

impl std::error::Error for NotBytes {}

/// Parses a byte count with an optional unit.
pub(crate) fn parse(text: &str) -> Result<usize, NotBytes> {
    let refused = || NotBytes { text: text.into() };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, unit) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(refused)?;
    number.parse::<usize>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(refused)
}

/// Formats a byte count in the largest unit that divides it exactly.
pub(crate) fn show(bytes: usize) -> String {
    let unit = UNITS.into_iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match unit {
        Some((name, unit)) if unit > 1 => format!("{}{name}", bytes / unit),
        _ => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("0", 0, "0"),
            ("1000", 1000, "1000"),
            ("1024", 1024, "1KiB"),
            ("64KiB", 64 << 10, "64KiB"),
            ("8192B", 8 << 10, "8KiB"),
            ("1024MiB", 1 << 30, "1GiB"),
            ("1025", 1025, "1025"),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(show(bytes), shown);
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "KiB", "1.5KiB", "-1", "64 KiB", "64kb", "99999999999GiB", "1TiB"] {
            assert_eq!(parse(text), Err(NotBytes { text: text.into() }), "{text}");
        }
    }
}
