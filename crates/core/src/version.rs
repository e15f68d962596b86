//! Semantic versions of services, and version ranges in client requests.
//!
//! Ranges follow the syntax of npm's `semver` 5: alternatives separated by `||`, each a set of
//! *comparators* (`>=1.2.3`) that must all hold. `^1.2`, `~1.2`, `1.x` and `1.2 - 1.4` are
//! shorthand for one or two comparators and are stored as those.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

use semver::{BuildMetadata, Prerelease};

/// The maximum length of a version or a range in bytes, the same as npm's.
const TEXT_BYTES_MAX: usize = 256;

/// The largest number in a version: JavaScript's largest safe integer, the same as npm's.
const NUMBER_MAX: u64 = (1 << 53) - 1;

/// The maximum number of comparators in a range, where each alternative counts as one more. It
/// bounds the memory (about 3 KiB) and the matching time of a range. Real ranges are far below it.
const TERMS_MAX: usize = 64;

/// Splits a name at its last `@`: `stock@^1.2` becomes `stock` and `^1.2`.
///
/// Returns `None` if either side is empty.
pub(crate) fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = name.iter().rposition(|byte| *byte == b'@')?;
    let (base, rest) = (&name[..at], &name[at + 1..]);
    (!base.is_empty() && !rest.is_empty()).then_some((base, rest))
}

/// A worker's version, such as `1.2.3` or `1.2.3-beta.1`, ordered by precedence.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(semver::Version);

impl Version {
    /// Parses a full version. A version with a leading `v` is not accepted here: it is a range of
    /// one version.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut version = semver::Version::parse(readable(text)?).ok()?;
        // Build metadata does not affect precedence.
        version.build = BuildMetadata::EMPTY;
        let largest = version.major.max(version.minor).max(version.patch);
        (largest <= NUMBER_MAX).then_some(Self(version))
    }
}

/// A client's version range: the union of these sets.
#[derive(Debug)]
pub(crate) struct Range {
    sets: Vec<Box<[Comparator]>>,
}

impl Range {
    /// Parses a range. The empty range contains every version except pre-releases.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = without_gaps(readable(text)?);
        let mut sets = Vec::new();
        let mut terms = 0;
        for alternative in text.split("||") {
            let set = set(alternative)?;
            terms += 1 + set.len();
            if terms > TERMS_MAX {
                return None;
            }
            sets.push(set);
        }
        Some(Self { sets })
    }

    /// Returns true if the range contains the version.
    pub(crate) fn matches(&self, version: &Version) -> bool {
        self.sets.iter().any(|set| {
            set.iter().all(|comparator| comparator.holds(&version.0))
                && (version.0.pre.is_empty() || set.iter().any(|one| one.admits(&version.0)))
        })
    }
}

#[derive(Debug)]
struct Comparator {
    bound: Bound,
    version: semver::Version,
}

/// The relation of a matching version to a comparator's version.
#[derive(Debug, Clone, Copy)]
enum Bound {
    Below,
    AtMost,
    Exactly,
    AtLeast,
    Above,
}

impl Comparator {
    fn holds(&self, version: &semver::Version) -> bool {
        match self.bound {
            Bound::Below => *version < self.version,
            Bound::AtMost => *version <= self.version,
            Bound::Exactly => *version == self.version,
            Bound::AtLeast => *version >= self.version,
            Bound::Above => *version > self.version,
        }
    }

    /// Returns true if the comparator allows this pre-release: a comparator with a pre-release of
    /// 1.2.3 allows no pre-releases of 1.2.4.
    fn admits(&self, version: &semver::Version) -> bool {
        let numbers = |version: &semver::Version| (version.major, version.minor, version.patch);
        !self.version.pre.is_empty() && numbers(&self.version) == numbers(version)
    }
}

/// An operator before a version in a range.
#[derive(Clone, Copy)]
enum Operator {
    /// `^`: up to the next version with breaking changes.
    Caret,
    /// `~` and `~>`: up to the next minor version.
    Tilde,
    Bound(Bound),
}

impl Operator {
    /// Strips the operator from `word`. Without an operator, `=` applies.
    fn strip(word: &str) -> (Self, &str) {
        // Longer operators precede their prefixes.
        const ALL: [(&str, Operator); 8] = [
            ("^", Operator::Caret),
            ("~>", Operator::Tilde),
            ("~", Operator::Tilde),
            ("<=", Operator::Bound(Bound::AtMost)),
            (">=", Operator::Bound(Bound::AtLeast)),
            ("<", Operator::Bound(Bound::Below)),
            (">", Operator::Bound(Bound::Above)),
            ("=", Operator::Bound(Bound::Exactly)),
        ];
        let mut found = ALL.iter().filter_map(|(sign, op)| Some((*op, word.strip_prefix(sign)?)));
        found.next().unwrap_or((Operator::Bound(Bound::Exactly), word))
    }
}

/// A version that may be partial. `1.2` and `1.2.x` specify two numbers, and `1.x.3` specifies one.
struct Partial {
    named: usize,
    /// The lowest version that starts with the specified numbers.
    lowest: semver::Version,
}

impl Partial {
    fn parse(text: &str) -> Option<Self> {
        let (text, build) = match text.split_once('+') {
            Some((text, build)) => (text, Some(build)),
            None => (text, None),
        };
        let (text, pre) = match text.split_once('-') {
            Some((text, pre)) => (text, Some(pre)),
            None => (text, None),
        };
        let mut numbers = [0; 3];
        let (mut parts, mut named, mut open) = (0, 0, false);
        for part in text.split('.') {
            let place = numbers.get_mut(parts)?;
            parts += 1;
            if matches!(part, "x" | "X" | "*") {
                open = true;
                continue;
            }
            let number = number(part)?;
            if !open {
                *place = number;
                named = parts;
            }
        }
        if parts < numbers.len() && (pre.is_some() || build.is_some()) {
            return None;
        }
        let pre: Prerelease = pre.map_or(Some(Prerelease::EMPTY), identifiers)?;
        let _: BuildMetadata = build.map_or(Some(BuildMetadata::EMPTY), identifiers)?;

        let mut lowest = semver::Version::new(numbers[0], numbers[1], numbers[2]);
        if named == numbers.len() {
            lowest.pre = pre;
        }
        Some(Self { named, lowest })
    }

    fn is_full(&self) -> bool {
        self.named == 3
    }

    /// Returns the first version with a higher number at `place`, counted from the left and from
    /// one.
    fn next(&self, place: usize) -> Option<semver::Version> {
        let mut numbers = [self.lowest.major, self.lowest.minor, self.lowest.patch];
        numbers[place..].fill(0);
        let number = numbers[..place].last_mut()?;
        *number += 1;
        (*number <= NUMBER_MAX).then(|| semver::Version::new(numbers[0], numbers[1], numbers[2]))
    }

    /// Returns the position of the number that `^` keeps fixed: the first one that is not zero.
    fn breaking(&self) -> usize {
        match (self.named, self.lowest.major, self.lowest.minor) {
            (1, ..) | (_, 1.., _) => 1,
            (2, ..) | (_, _, 1..) => 2,
            _ => 3,
        }
    }
}

/// Parses one alternative of a range.
fn set(text: &str) -> Option<Box<[Comparator]>> {
    let mut set = Vec::new();
    if let Some((from, to)) = text.split_once(" - ") {
        spell_out(Operator::Bound(Bound::AtLeast), from.trim(), &mut set)?;
        spell_out(Operator::Bound(Bound::AtMost), to.trim(), &mut set)?;
    } else {
        for word in text.split_whitespace() {
            let (operator, version) = Operator::strip(word);
            spell_out(operator, version, &mut set)?;
        }
    }
    Some(set.into_boxed_slice())
}

/// Expands an operator and the version after it into comparators, and adds them to `set`.
fn spell_out(operator: Operator, text: &str, set: &mut Vec<Comparator>) -> Option<()> {
    let plain = text.trim_start_matches(['v', '=']);
    let prefix = &text[..text.len() - plain.len()];
    let partial = Partial::parse(plain)?;
    let named = partial.named;

    let mut push = |bound, version| set.push(Comparator { bound, version });
    match operator {
        Operator::Bound(_) if partial.is_full() && !matches!(prefix, "" | "v") => return None,
        Operator::Bound(bound) if partial.is_full() => push(bound, partial.lowest),
        // No version is above or below every version.
        Operator::Bound(Bound::Above | Bound::Below) if named == 0 => {
            push(Bound::Below, partial.lowest);
        }
        _ if named == 0 => {}
        Operator::Bound(bound @ (Bound::Below | Bound::AtLeast)) => push(bound, partial.lowest),
        Operator::Bound(Bound::Above) => push(Bound::AtLeast, partial.next(named)?),
        Operator::Bound(Bound::AtMost) => push(Bound::Below, partial.next(named)?),
        Operator::Bound(Bound::Exactly) | Operator::Tilde | Operator::Caret => {
            let same = match operator {
                Operator::Caret => partial.breaking(),
                Operator::Tilde => named.min(2),
                Operator::Bound(_) => named,
            };
            push(Bound::Below, partial.next(same)?);
            push(Bound::AtLeast, partial.lowest);
        }
    }
    Some(())
}

/// Parses a number in npm's syntax, without a sign. A `+` starts build metadata instead.
fn number(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let number = text.parse().ok()?;
    (canonical && number <= NUMBER_MAX).then_some(number)
}

/// Parses the identifiers of a pre-release or of build metadata. There must be at least one.
fn identifiers<T: FromStr>(text: &str) -> Option<T> {
    if text.is_empty() { None } else { text.parse().ok() }
}

fn readable(text: &[u8]) -> Option<&str> {
    if text.len() > TEXT_BYTES_MAX { None } else { str::from_utf8(text).ok() }
}

/// Normalizes a range: one space between words, and none after an operator.
fn without_gaps(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() && !out.ends_with(['^', '~', '<', '>', '=']) {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests;
