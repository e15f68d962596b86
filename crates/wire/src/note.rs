//! What is noted of a body beside its form, in the one byte that the core carries for us.
//!
//! | form | the note |
//! |---|---|
//! | frames | how they are to become JSON, as the client's listener has it: its [`Json`] |
//! | JSON | of a request, whether the data is JSON other than a string |

use crate::Json;
use crate::translate::is_other_than_string;

const OTHER_THAN_STRING: u8 = 1;

/// Of a body of frames.
pub(crate) const fn of_frames(rule: Json) -> u8 {
    match rule {
        Json::Auto => 0,
        Json::String => 1,
        Json::Raw => 2,
    }
}

/// How a body of frames with this note is to become JSON.
pub(crate) const fn rule(note: u8) -> Json {
    match note {
        1 => Json::String,
        2 => Json::Raw,
        _ => Json::Auto,
    }
}

/// Of the JSON data of a request.
pub(crate) fn of_json(data: &[u8]) -> u8 {
    if is_other_than_string(data) { OTHER_THAN_STRING } else { 0 }
}

/// Whether a request with this note asked with JSON other than a string.
pub(crate) const fn asked_other(note: u8) -> bool {
    note == OTHER_THAN_STRING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_comes_through() {
        for json in Json::ALL {
            assert_eq!(rule(of_frames(json)), json);
        }
        // A body of which nothing is noted.
        assert_eq!(rule(0), Json::default());
    }
}
