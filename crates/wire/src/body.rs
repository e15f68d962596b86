//! Bodies for readers whose form is frames.

use majordomus_core::{Form, Frames, FramesView};

use crate::translate::{Translated, to_frames};

/// A body as frames, whatever its form: how a program gets it that does not care in which dialect
/// it was written.
///
/// A JSON string becomes its text, other JSON stays as it is.
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

/// Returns a body as frames, without a copy where it is frames already.
#[inline]
pub(crate) fn as_frames(body: FramesView<'_>) -> Translated<'_> {
    match body.form() {
        Form::Frames => Translated::AsItIs(body),
        Form::Json => to_frames(body),
    }
}
