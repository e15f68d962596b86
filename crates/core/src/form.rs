//! Body formats: the only property of a body that the core depends on.

/// The format of a body's frames.
///
/// Peers with the same format exchange bodies unchanged. Between formats, the encoder translates
/// the body. The core allows translation for bodies of up to
/// [`translate_bytes_max`](crate::broker::Limits::translate_bytes_max) bytes.
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
    /// One JSON text per frame.
    Json,
}
