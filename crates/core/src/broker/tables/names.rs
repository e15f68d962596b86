//! Names: which registered names serve which requested ones.
//!
//! A worker can register a *wildcard*, `stock.*`: it serves every name that begins like this and that no
//! worker registers exactly; of several wildcards the longest counts. A worker can register a *version*,
//! `stock@1.2.3`: it serves that name, and every name that asks for a range with this version in it,
//! `stock@^1.2`. The result is kept with each service as its *matching services*, and computed anew
//! only when a name is first known, is registered for the first time or for the last.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::Label;
use crate::broker::keys::{KeyedState, Keys};
use crate::version::{Range, Version, split};

/// What a name is, beside itself.
enum Kind<'a> {
    /// All names that begin like this.
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

/// Those that share what is before the `@`.
#[derive(Debug, Default)]
struct Family {
    /// The versions that are offered, the highest first.
    offered: Vec<(Version, u32)>,
    /// The ranges that are asked for, by who asks.
    asked: BTreeMap<u32, Range>,
}

/// The patterns that are offered, and who asks for what they match.
#[derive(Debug)]
pub(super) struct Names {
    wildcards: HashMap<Label, u32, KeyedState>,
    /// How many wildcards there are of each length.
    lengths: BTreeMap<usize, usize>,
    families: HashMap<Label, Family, KeyedState>,
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

    /// A name comes to be, under this index: which registered names serve it too.
    pub(super) fn add(&mut self, name: &[u8], index: u32) -> Vec<u32> {
        match Kind::of(name) {
            Kind::Range(base, range) => {
                let family = self.families.entry(Label::from(base)).or_default();
                let matching = family.offered_in(&range);
                family.asked.insert(index, range);
                matching
            }
            _ => self.matching(name),
        }
    }

    /// Which offered names serve this one, beside itself.
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

    /// A name is asked for no more.
    pub(super) fn remove(&mut self, name: &[u8], index: u32) {
        if let Some((base, _)) = split(name)
            && let Some(family) = self.families.get_mut(base)
            && family.asked.remove(&index).is_some()
        {
            self.forget_unused(base);
        }
    }

    /// A first worker offers this name: whom that concerns, beside itself.
    pub(super) fn offer(&mut self, name: &[u8], index: u32) -> Concerned {
        match Kind::of(name) {
            Kind::Wildcard(prefix) => {
                self.wildcards.insert(Label::from(prefix), index);
                *self.lengths.entry(prefix.len()).or_default() += 1;
                Concerned::Beginning
            }
            Kind::Version(base, version) => {
                let family = self.families.entry(Label::from(base)).or_default();
                let concerned = family.asking_for(&version);
                let at = family.offered.partition_point(|(other, _)| *other > version);
                family.offered.insert(at, (version, index));
                Concerned::These(concerned)
            }
            Kind::Range(..) | Kind::Plain => Concerned::These(Vec::new()),
        }
    }

    /// Nobody offers this name any more: whom that concerns, beside itself.
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

/// The names whose matching services may change because another one is registered, or is no more.
pub(super) enum Concerned {
    /// Those that begin like the wildcard.
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

/// The place of the name among `offered` that serves the name `asked`: the same name, else the longest
/// wildcard that matches, or the highest version in the range that is asked for. It is what a worker
/// with several services needs that is given the name which the client asked for.
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

/// Whether a wildcard can serve this name: one that is neither a pattern itself nor has a version.
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
