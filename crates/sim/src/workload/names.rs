//! Offered and requested service names: plain names, wildcards and versions.

use majordomus_core::ByteStr;

use crate::rng::Rng;

/// Names that workers offer. One of them starts like the broker's own names.
const PLAIN: [&str; 4] = ["echo", "main", "mmi", "i.list"];
/// Names that no worker offers.
const UNKNOWN: [&str; 3] = ["nope", "__proto__", "../etc"];

/// The directory, which a worker can offer.
const DIRECTORY: &str = "$dir";

/// Wildcards, and names that they match.
const BEGINNINGS: ([&str; 5], [&str; 6]) = (
    ["stock.*", "st*", "*", "stock.ibm", "stock.sap"],
    ["stock.ibm", "stock.sap", "stock.x", "stray", "other", "stock.*"],
);

/// Versions, and version ranges.
const VERSIONS: ([&str; 6], [&str; 8]) = (
    ["api@1.2.0", "api@1.10.0", "api@2.0.0", "api@1.0.0", "api@2.1.0-rc.1", "api@^1.2.0"],
    [
        "api@^1.2.0",
        "api@1.x",
        "api@>=1.2.0 <3.0.0",
        "api@~1.2 || 2.0.0",
        "api@*",
        "api@1.10.0",
        "api@^2.1.0-rc.0",
        "api",
    ],
);

/// The names of a run.
#[derive(Clone, Debug)]
pub(super) struct Names {
    offered: Vec<&'static str>,
    asked: Vec<&'static str>,
    /// One in this many requests is for the directory. None if it is 0.
    directory: u64,
}

impl Names {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let (offered, asked): (&[_], &[_]) = match rng.below(4) {
            0 => (&BEGINNINGS.0, &BEGINNINGS.1),
            1 => (&VERSIONS.0, &VERSIONS.1),
            _ => (&PLAIN, &PLAIN),
        };
        let few = rng.within(1, offered.len() as u64) as usize;
        let mut offered = some(rng, offered, few);
        let asked = match asked == PLAIN {
            true => offered.clone(),
            false => some(rng, asked, few + 1),
        };
        let directory = rng.pick(&[0, 0, 50, 200]);
        if directory > 0 && rng.one_in(3) {
            offered.push(DIRECTORY);
        }
        Self { offered, asked, directory }
    }

    pub(super) fn offered(&self, rng: &mut Rng) -> ByteStr {
        ByteStr::from(rng.pick(&self.offered))
    }

    pub(super) fn asked(&self, rng: &mut Rng) -> ByteStr {
        if self.directory > 0 && rng.below(self.directory) == 0 {
            return ByteStr::from(DIRECTORY);
        }
        match rng.below(60) {
            0 => ByteStr::from("mmi.service"),
            1 => ByteStr::from("mmi.nope"),
            2..5 => ByteStr::from(rng.pick(&UNKNOWN)),
            _ => ByteStr::from(rng.pick(&self.asked)),
        }
    }

    /// Returns true if this is or may be a name of the broker's own services.
    pub(super) fn is_own(&self, name: &[u8]) -> bool {
        name.starts_with(b"mmi.") || name == DIRECTORY.as_bytes()
    }
}

/// Returns `count` elements in random order.
fn some(rng: &mut Rng, all: &[&'static str], count: usize) -> Vec<&'static str> {
    let mut all = all.to_vec();
    while all.len() > count.max(1) {
        all.swap_remove(rng.below(all.len() as u64) as usize);
    }
    all
}
