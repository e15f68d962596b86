//! Parser for callgrind's output with `--dump-instr=yes` and without compression.

use std::collections::BTreeMap;

/// The location of an instruction.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The object file with the machine code.
    pub(super) object: String,
    /// The address in that file, as in its line tables.
    pub(super) address: u64,
}

/// The counts of an instruction.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counted {
    /// The number of executions.
    pub(super) own: u64,
    /// The called functions, and the instructions of each including its own calls.
    pub(super) calls: Vec<(String, u64)>,
}

pub(super) type Profile = BTreeMap<Place, Counted>;

/// Parses a profile.
pub(super) fn read(text: &str) -> Result<Profile, String> {
    let mut profile = Profile::new();
    let (mut object, mut called, mut is_call) = ("", "", false);
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "ob" => object = value,
                "cfn" => called = value,
                // The next line has the cost of the call.
                "calls" => is_call = true,
                _ => {}
            }
        } else if let Some(numbers) = line.strip_prefix("0x") {
            let unreadable = || format!("not a line of callgrind: {line:?}");
            let words: Vec<&str> = numbers.split_whitespace().collect();
            let [address, _line, cost] = words[..] else { return Err(unreadable()) };
            let address = u64::from_str_radix(address, 16).map_err(|_| unreadable())?;
            let cost: u64 = cost.parse().map_err(|_| unreadable())?;
            let counted = profile.entry(Place { object: object.to_string(), address }).or_default();
            match std::mem::take(&mut is_call) {
                true => counted.calls.push((called.to_string(), cost)),
                false => counted.own += cost,
            }
        }
    }
    if profile.is_empty() { Err("callgrind has counted nothing".into()) } else { Ok(profile) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instruction_took_and_what_it_called() {
        let text = "version: 1\npositions: instr line\nsummary: 123\n\nob=/bin/it\nfl=a.rs\nfn=one\n\
                    0x10 1 5\ncob=/lib/c\ncfn=two\ncalls=3 0x99 7\n0x10 1 80\n0x14 2 5\n\
                    fn=three\n0x10 1 2\n";
        let place = |address| Place { object: "/bin/it".into(), address };
        let first = Counted { own: 7, calls: vec![("two".into(), 80)] };
        let second = Counted { own: 5, calls: vec![] };
        let expected = Profile::from([(place(0x10), first), (place(0x14), second)]);
        assert_eq!(read(text), Ok(expected));
        assert!(read("version: 1\n").is_err());
        assert!(read("0x10 many 5 6\n").is_err());
    }
}
