//! Wildcards and versions: which registered names also serve a requested name.
//!
//! A worker can register a *wildcard*, `stock.*`. It serves every name with this prefix that no
//! worker has registered exactly; of several wildcards the longest is used. A worker can register a
//! *version*, `stock@1.2.3`. It serves that name, and every name with a range that contains the
//! version, `stock@^1.2`. The result is stored with each service as its *matching services*. It is
//! recomputed only when a name is added, and when the first worker registers a name or the last one
//! withdraws it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::ByteStr;
use crate::broker::keys::{KeyedState, Keys};
use crate::version::{Range, Version, split};

/// The kind of a name.
enum Kind<'a> {
    /// All names with this prefix.
    Wildcard(&'a [u8]),
    /// One version of a service.
    Version(&'a [u8], Version),
    /// A range of versions of a service.
    Range(&'a [u8], Range),
    Plain,
}

impl<'a> Kind<'a> {
    fn of(name: &'a [u8]) -> Self {
        if let Some((base, rest)) = split(name) {
            return match (Version::parse(rest), Range::parse(rest)) {
                (Some(version), _) => Kind::Version(base, version),
                (None, Some(range)) => Kind::Range(base, range),
                (None, None) => Kind::Plain,
            };
        }
        match name.split_last() {
            Some((b'*', prefix)) => Kind::Wildcard(prefix),
            _ => Kind::Plain,
        }
    }
}

/// All names with the same part before the `@`.
#[derive(Debug, Default)]
struct Family {
    /// The registered versions, the highest first.
    offered: Vec<(Version, u32)>,
    /// The requested ranges, by service index.
    asked: BTreeMap<u32, Range>,
}

/// The registered wildcards and versions, and the requested ranges.
#[derive(Debug)]
pub(super) struct Names {
    wildcards: HashMap<ByteStr, u32, KeyedState>,
    /// The number of wildcards of each length.
    lengths: BTreeMap<usize, usize>,
    families: HashMap<ByteStr, Family, KeyedState>,
}

impl Names {
    pub(super) fn new(keys: Keys) -> Self {
        let keyed = keys.state();
        Self {
            wildcards: HashMap::with_hasher(keyed),
            lengths: BTreeMap::new(),
            families: HashMap::with_hasher(keyed),
        }
    }

    /// Adds a name with this index. Returns the registered names that also serve it.
    pub(super) fn add(&mut self, name: &[u8], index: u32) -> Vec<u32> {
        match Kind::of(name) {
            Kind::Range(base, range) => {
                let family = self.families.entry(ByteStr::from(base)).or_default();
                let matching = family.offered_in(&range);
                family.asked.insert(index, range);
                matching
            }
            _ => self.matching(name),
        }
    }

    /// Returns the registered names, other than this one, that serve it.
    pub(super) fn matching(&self, name: &[u8]) -> Vec<u32> {
        match Kind::of(name) {
            Kind::Plain if !name.contains(&b'@') => self.wildcard_for(name).into_iter().collect(),
            Kind::Range(base, range) => {
                self.families.get(base).map(|family| family.offered_in(&range)).unwrap_or_default()
            }
            Kind::Plain | Kind::Version(..) | Kind::Wildcard(_) => Vec::new(),
        }
    }

    fn wildcard_for(&self, name: &[u8]) -> Option<u32> {
        let lengths = self.lengths.range(..=name.len()).rev();
        lengths.into_iter().find_map(|(length, _)| self.wildcards.get(&name[..*length]).copied())
    }

    /// Removes a name.
    pub(super) fn remove(&mut self, name: &[u8], index: u32) {
        if let Some((base, _)) = split(name)
            && let Some(family) = self.families.get_mut(base)
            && family.asked.remove(&index).is_some()
        {
            self.forget_unused(base);
        }
    }

    /// Adds a registered name. Returns the other names that it may serve.
    pub(super) fn offer(&mut self, name: &[u8], index: u32) -> Concerned {
        match Kind::of(name) {
            Kind::Wildcard(prefix) => {
                self.wildcards.insert(ByteStr::from(prefix), index);
                *self.lengths.entry(prefix.len()).or_default() += 1;
                Concerned::Beginning
            }
            Kind::Version(base, version) => {
                let family = self.families.entry(ByteStr::from(base)).or_default();
                let concerned = family.asking_for(&version);
                let at = family.offered.partition_point(|(other, _)| *other > version);
                family.offered.insert(at, (version, index));
                Concerned::These(concerned)
            }
            Kind::Range(..) | Kind::Plain => Concerned::These(Vec::new()),
        }
    }

    /// Removes a registered name. Returns the other names that it may have served.
    pub(super) fn withdraw(&mut self, name: &[u8], index: u32) -> Concerned {
        match Kind::of(name) {
            Kind::Wildcard(prefix) => {
                self.wildcards.remove(prefix);
                if let Some(count) = self.lengths.get_mut(&prefix.len()) {
                    *count -= 1;
                    if *count == 0 {
                        self.lengths.remove(&prefix.len());
                    }
                }
                Concerned::Beginning
            }
            Kind::Version(base, version) => {
                let Some(family) = self.families.get_mut(base) else {
                    return Concerned::These(Vec::new());
                };
                family.offered.retain(|(_, offered)| *offered != index);
                let concerned = family.asking_for(&version);
                self.forget_unused(base);
                Concerned::These(concerned)
            }
            Kind::Range(..) | Kind::Plain => Concerned::These(Vec::new()),
        }
    }

    fn forget_unused(&mut self, base: &[u8]) {
        let unused = |family: &Family| family.offered.is_empty() && family.asked.is_empty();
        if self.families.get(base).is_some_and(unused) {
            self.families.remove(base);
        }
    }
}

/// The names whose matching services may change because a name was registered or withdrawn.
pub(super) enum Concerned {
    /// All names with the wildcard's prefix.
    Beginning,
    These(Vec<u32>),
}

impl Family {
    fn offered_in(&self, range: &Range) -> Vec<u32> {
        let inside = self.offered.iter().filter(|(version, _)| range.matches(version));
        inside.map(|(_, index)| *index).collect()
    }

    fn asking_for(&self, version: &Version) -> Vec<u32> {
        let asking = self.asked.iter().filter(|(_, range)| range.matches(version));
        asking.map(|(index, _)| *index).collect()
    }
}

/// Returns the index of the name in `offered` that serves the name `asked`: the same name, or else
/// the longest matching wildcard, or the highest version in the requested range. A worker with
/// several services needs it, because it receives the name that the client requested.
///
/// ```
/// use majordomus_core::broker::best_offer;
///
/// let offered = ["stock.*", "stock.ibm", "api@1.2.0", "api@1.10.0"];
/// assert_eq!(best_offer(&offered, "stock.ibm"), Some(1));
/// assert_eq!(best_offer(&offered, "stock.sap"), Some(0));
/// assert_eq!(best_offer(&offered, "api@^1.2"), Some(3));
/// assert_eq!(best_offer(&offered, "weather"), None);
/// ```
pub fn best_offer<T: AsRef<[u8]>>(offered: &[T], asked: impl AsRef<[u8]>) -> Option<usize> {
    let asked = asked.as_ref();
    if let Some(same) = offered.iter().position(|name| name.as_ref() == asked) {
        return Some(same);
    }
    let names = offered.iter().enumerate().map(|(at, name)| (at, Kind::of(name.as_ref())));
    match Kind::of(asked) {
        Kind::Range(base, range) => {
            let versions = names.filter_map(|(at, kind)| match kind {
                Kind::Version(other, version) if other == base => Some((version, at)),
                _ => None,
            });
            let inside = versions.filter(|(version, _)| range.matches(version));
            inside.max_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, at)| at)
        }
        Kind::Plain if is_plain(asked) => {
            let matching = names.filter_map(|(at, kind)| match kind {
                Kind::Wildcard(prefix) if asked.starts_with(prefix) => Some((prefix.len(), at)),
                _ => None,
            });
            matching.max().map(|(_, at)| at)
        }
        _ => None,
    }
}

/// Returns true if a wildcard can serve this name: it is not a wildcard itself and has no version.
pub(super) fn is_plain(name: &[u8]) -> bool {
    !name.contains(&b'@') && !name.ends_with(b"*")
}

#[cfg(any(test, feature = "audit"))]
impl Names {
    pub(super) fn audit(&self, offered: &[(&[u8], u32)], known: &[(&[u8], u32)]) {
        let mut wildcards = 0;
        let mut versions = 0;
        let mut ranges = 0;
        for (name, index) in offered {
            match Kind::of(name) {
                Kind::Wildcard(prefix) => {
                    wildcards += 1;
                    assert_eq!(self.wildcards.get(prefix), Some(index));
                }
                Kind::Version(base, _) => {
                    versions += 1;
                    assert!(self.families[base].offered.iter().any(|(_, at)| at == index));
                }
                _ => {}
            }
        }
        for (name, index) in known {
            if let Kind::Range(base, _) = Kind::of(name) {
                ranges += 1;
                assert!(self.families[base].asked.contains_key(index));
            }
        }
        assert_eq!(wildcards, self.wildcards.len());
        assert_eq!(wildcards, self.lengths.values().sum::<usize>());
        assert!(self.lengths.values().all(|n| *n > 0));
        assert_eq!(versions, self.families.values().map(|f| f.offered.len()).sum::<usize>());
        assert_eq!(ranges, self.families.values().map(|f| f.asked.len()).sum::<usize>());
        assert!(self.families.values().all(|f| f.asked.len() + f.offered.len() > 0));
    }
}
