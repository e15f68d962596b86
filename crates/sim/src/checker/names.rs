//! A reference implementation of service matching by wildcard and version.

use majordomus_core::Time;

use super::model::{Model, Worker};

impl Model {
    /// Returns true if workers that offer one service serve the other.
    pub(crate) fn serves(&self, offered: usize, asked: usize) -> bool {
        offered == asked || self.services[asked].backers.contains(&offered)
    }

    /// Returns the service of a worker that matches a name: the name itself, or else the best
    /// match.
    pub(crate) fn best_offer(&self, worker: &Worker, asked: usize) -> Option<usize> {
        let offers = worker.offers.iter().map(|(offered, _)| *offered);
        let serving = offers.filter(|offered| self.serves(*offered, asked));
        serving.min_by_key(|offered| self.rank(*offered, asked))
    }

    /// Returns the rank of a matching service for a name, or `None` for the name itself.
    pub(crate) fn rank(&self, offered: usize, asked: usize) -> Option<usize> {
        self.services[asked].backers.iter().position(|backer| *backer == offered)
    }

    /// Updates all matches after the first worker of a name registered or the last one left.
    pub(crate) fn look_who_serves_all(&mut self, now: Time) {
        for at in 0..self.services.len() {
            self.look_who_serves(at, now);
        }
    }

    pub(crate) fn look_who_serves(&mut self, at: usize, now: Time) {
        let backers = self.backers_of(at);
        let service = &mut self.services[at];
        let offered = service.workers > 0 || !backers.is_empty();
        if service.offered && !offered {
            service.unoffered_since = Some(now);
        }
        service.offered = offered;
        service.backers = backers;
    }

    /// Returns the offered services that match this one, best first, without the service itself.
    fn backers_of(&self, at: usize) -> Vec<usize> {
        let name = self.services[at].name.as_bytes();
        let offered = self.services.iter().enumerate();
        let offered = offered.filter(|(other, service)| *other != at && service.workers > 0);
        if let Some((base, range)) = range_of(name) {
            let inside = |name: &[u8]| {
                let (other, version) = version_of(name)?;
                (other == base && range.holds(&version)).then_some(version)
            };
            let inside = offered.filter_map(|(at, service)| Some((inside(&service.name)?, at)));
            let mut inside: Vec<(Version, usize)> = inside.collect();
            inside.sort_by(|one, other| other.0.cmp(&one.0));
            return inside.into_iter().map(|(_, at)| at).collect();
        }
        let plain = !name.contains(&b'@') && !name.ends_with(b"*");
        if !plain || self.services[at].workers > 0 {
            return Vec::new();
        }
        let matches = |other: &[u8]| match other.split_last() {
            Some((b'*', beginning)) => !other.contains(&b'@') && name.starts_with(beginning),
            _ => false,
        };
        let wildcards = offered.filter(|(_, service)| matches(&service.name));
        let longest = wildcards.max_by_key(|(_, service)| service.name.len());
        longest.into_iter().map(|(at, _)| at).collect()
    }
}

/// A version. Prereleases are ordered by their text, which suffices for the few in use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    numbers: [u64; 3],
    is_release: bool,
    before_release: String,
}

impl Version {
    fn release(numbers: [u64; 3]) -> Self {
        Self { numbers, is_release: true, before_release: String::new() }
    }
}

/// A part of a range: from an inclusive lower bound to an exclusive upper bound.
#[derive(Debug)]
struct Bounds {
    from: Version,
    below: Option<Version>,
}

/// Alternatives. All bounds of an alternative must hold.
#[derive(Debug)]
struct Range(Vec<Vec<Bounds>>);

impl Range {
    fn holds(&self, version: &Version) -> bool {
        let inside = |bounds: &Bounds| {
            *version >= bounds.from && bounds.below.as_ref().is_none_or(|below| version < below)
        };
        // A range matches prereleases only if it names a prerelease of the same version.
        let meant =
            |bounds: &Bounds| !bounds.from.is_release && bounds.from.numbers == version.numbers;
        self.0
            .iter()
            .any(|all| all.iter().all(inside) && (version.is_release || all.iter().any(meant)))
    }
}

fn split(name: &[u8]) -> Option<(&str, &str)> {
    let (base, rest) = str::from_utf8(name).ok()?.rsplit_once('@')?;
    (!base.is_empty() && !rest.is_empty()).then_some((base, rest))
}

fn version_of(name: &[u8]) -> Option<(&str, Version)> {
    let (base, rest) = split(name)?;
    let (numbers, before) = rest.split_once('-').unwrap_or((rest, ""));
    let numbers: Vec<u64> = numbers.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    let numbers = numbers.try_into().ok()?;
    let version = Version { is_release: before.is_empty(), before_release: before.into(), numbers };
    Some((base, version))
}

fn range_of(name: &[u8]) -> Option<(&str, Range)> {
    if version_of(name).is_some() {
        return None;
    }
    let (base, rest) = split(name)?;
    let all = rest.split("||").map(|all| all.split_whitespace().map(bounds).collect());
    Some((base, Range(all.collect::<Option<_>>()?)))
}

/// Returns the bounds for a term of a range.
fn bounds(word: &str) -> Option<Bounds> {
    let text = word.trim_start_matches(['^', '~', '<', '>', '=']);
    let sign = &word[..word.len() - text.len()];
    let (numbers, before) = text.split_once('-').unwrap_or((text, ""));
    let mut named = Vec::new();
    for number in numbers.split('.') {
        match number {
            "x" | "*" => break,
            number => named.push(number.parse::<u64>().ok()?),
        }
    }
    let count = named.len();
    named.resize(3, 0);
    let numbers: [u64; 3] = named.try_into().ok()?;
    let from = Version { is_release: before.is_empty(), before_release: before.into(), numbers };
    // Returns the first version with a higher number at this position.
    let next = |place: usize| {
        let mut next = numbers;
        next[place..].fill(0);
        next[place - 1] += 1;
        Some(Version::release(next))
    };
    let all = Version { numbers: [0; 3], is_release: false, before_release: String::new() };
    Some(match (sign, count) {
        (_, 0) => Bounds { from: Version::release([0; 3]), below: None },
        ("^", _) => {
            let zeros = numbers[..count].iter().take_while(|number| **number == 0).count();
            Bounds { from, below: next((zeros + 1).min(count)) }
        }
        ("~", _) => Bounds { from, below: next(count.min(2)) },
        (">=", _) => Bounds { from, below: None },
        ("<", _) => Bounds { from: all, below: Some(from) },
        ("", 1 | 2) => Bounds { from, below: next(count) },
        ("" | "=", 3) => {
            let below = Version { is_release: true, ..next(3)? };
            Bounds { from, below: Some(below) }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_npm_does() {
        let cases = [
            ("^1.2.0", "1.10.0", true),
            ("^1.2.0", "1.1.9", false),
            ("^1.2.0", "2.0.0", false),
            ("^0.2.1", "0.3.0", false),
            ("~1.2", "1.2.9", true),
            ("~1.2", "1.3.0", false),
            ("1.x", "1.10.0", true),
            ("1.x", "2.0.0", false),
            ("*", "3.1.4", true),
            ("*", "3.1.4-rc.1", false),
            (">=1.2.0 <2.0.0", "1.10.0", true),
            (">=1.2.0 <2.0.0", "2.0.0", false),
            (">=1.2.0 <2.0.0", "1.9.0-rc.1", false),
            ("<1.0.0 || >=2.0.0", "2.0.0", true),
            ("<1.0.0 || >=2.0.0", "1.0.0", false),
            ("^2.1.0-rc.1", "2.1.0-rc.1", true),
            ("^2.1.0-rc.1", "2.1.0", true),
            ("^2.1.0-rc.1", "2.2.0-rc.1", false),
        ];
        for (range, version, inside) in cases {
            let (range_name, name) = (format!("api@{range}"), format!("api@{version}"));
            let (_, known) = range_of(range_name.as_bytes()).expect("a range");
            let (_, version) = version_of(name.as_bytes()).expect("a version");
            assert_eq!(known.holds(&version), inside, "{version:?} in {range}");
        }
    }
}
