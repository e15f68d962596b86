//! What somebody may have meant.

/// How much two names have to be alike, from 0 to 1, for one to be meant by the other.
const LIKENESS_MIN: f64 = 0.8;

/// The name among these that is most like this one, if one is.
pub(super) fn nearest<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike = among.map(|other| (strsim::jaro_winkler(name, other), other));
    let alike = alike.filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
    alike.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}
