//! How a body is written: the one thing about it that the core has to know.

/// What the frames of a body are.
///
/// Peers of one form read each other's bodies as they are. From one form to the other a body is
/// translated by whoever puts it on the wire, which the core allows up to
/// [`translate_bytes_max`](crate::broker::Limits::translate_bytes_max).
///
/// ```
/// # use majordomus_core as majordomus;
/// use majordomus::{Form, Frames};
///
/// let body = Frames::from_slices(&["[1, 2]"]);
/// assert_eq!(body.form(), Form::Frames);
/// assert_eq!(body.in_form(Form::Json, 0).form(), Form::Json);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// Any number of opaque frames.
    #[default]
    Frames,
    /// One JSON text in each frame.
    Json,
}
