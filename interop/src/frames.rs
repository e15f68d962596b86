//! A text format for frames, as `python/lines.py` reads and writes them.

use std::fmt::Write;

/// Writes frames as words with percent escapes, the format of a script's output lines and of bodies
/// on its command line. The empty frame is two apostrophes.
///
/// ```
/// assert_eq!(majordomus_interop::written(&[b"a b", b"", b"\xff"]), "a%20b '' %FF");
/// ```
pub fn written(frames: &[&[u8]]) -> String {
    let words: Vec<String> = frames.iter().map(|frame| word(frame)).collect();
    words.join(" ")
}

fn word(frame: &[u8]) -> String {
    if frame.is_empty() {
        return "''".to_owned();
    }
    frame.iter().fold(String::with_capacity(frame.len()), |mut word, &byte| {
        // The characters that Python's `urllib.parse.quote` does not escape.
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) {
            word.push(char::from(byte));
        } else {
            write!(word, "%{byte:02X}").expect("a string takes everything");
        }
        word
    })
}
