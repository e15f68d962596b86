//! Translation of bodies to frames.

use majordomus_core::{Form, Frames, FramesView};

use crate::translate::{Translated, to_frames};

/// Translates a body to frames, whatever its format, for a program that does not depend on the
/// dialect of the sender.
///
/// A JSON string becomes its text. Other JSON is left unchanged.
///
/// ```
/// use majordomus_core::{Form, Frames};
///
/// let body = Frames::from_slices(&["\"hello\""]).in_form(Form::Json, 0);
/// assert_eq!(majordomus_wire::in_frames(body), Frames::from_slices(&["hello"]));
/// let body = Frames::from_slices(&["\"hello\""]);
/// assert_eq!(majordomus_wire::in_frames(body.clone()), body);
/// ```
pub fn in_frames(body: Frames) -> Frames {
    let translated = match as_frames(body.view()) {
        Translated::AsItIs(_) => None,
        Translated::Written(frames) => Some(frames),
        inside @ Translated::Inside(..) => Some(inside.view().to_frames()),
    };
    translated.unwrap_or_else(|| body.in_form(Form::Frames, 0))
}

/// Returns a body as frames, without a copy if it already is.
#[inline]
pub(crate) fn as_frames(body: FramesView<'_>) -> Translated<'_> {
    match body.form() {
        Form::Frames => Translated::AsItIs(body),
        Form::Json => to_frames(body),
    }
}
