//! Bodies for readers whose form is frames.

use alloc::borrow::Cow;

use majordomus_core::{Form, Frames};

use crate::translate::to_frames;

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
    match body.form() {
        Form::Frames => body,
        Form::Json => to_frames(&body),
    }
}

pub(crate) fn as_frames(body: &Frames) -> Cow<'_, Frames> {
    match body.form() {
        Form::Frames => Cow::Borrowed(body),
        Form::Json => Cow::Owned(to_frames(body)),
    }
}
