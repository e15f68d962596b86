//! Suggestions for misspelled names.

/// The minimum similarity of a suggested name, from 0 to 1.
const LIKENESS_MIN: f64 = 0.8;

/// Returns the most similar name, if any is similar enough.
pub(super) fn nearest<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = among.map(|other| (strsim::jaro_winkler(name, other), other));
    let alike = alike.filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
    alike.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}
