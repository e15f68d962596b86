//! Translation hints: one byte that the core stores with a body for its encoder.
//!
//! | body format | hint |
//! |---|---|
//! | frames | the translation to JSON, as configured for the client's listener: its [`Json`] |
//! | JSON | for a request: true if the data is JSON other than a string |

use crate::Json;
use crate::translate::is_other_than_string;

const OTHER_THAN_STRING: u8 = 1;

/// Returns the hint for a body of frames.
pub(crate) const fn of_frames(rule: Json) -> u8 {
    match rule {
        Json::Auto => 0,
        Json::String => 1,
        Json::Raw => 2,
    }
}

/// Returns the translation to JSON for a body of frames with this hint.
pub(crate) const fn rule(hint: u8) -> Json {
    match hint {
        1 => Json::String,
        2 => Json::Raw,
        _ => Json::Auto,
    }
}

/// Returns the hint for the JSON data of a request.
#[inline]
pub(crate) fn of_json(data: &[u8]) -> u8 {
    if is_other_than_string(data) { OTHER_THAN_STRING } else { 0 }
}

/// Returns true if the data of a request with this hint was JSON other than a string.
pub(crate) const fn asked_other(hint: u8) -> bool {
    hint == OTHER_THAN_STRING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_survives_a_round_trip() {
        for json in Json::ALL {
            assert_eq!(rule(of_frames(json)), json);
        }
        // A body without a hint.
        assert_eq!(rule(0), Json::default());
    }
}
