//! Where written frames go.

use alloc::vec::Vec;

use bytes::Bytes;
use majordomus_core::FramesView;

/// Takes the frames of a message, in order.
///
/// The encoders hand over borrowed slices and keep nothing, so a sink can write them where they are
/// to be sent from. One command is at most one message: it ends with the frame whose `more` is
/// false.
///
/// ```
/// use majordomus_core::ToWorkerView;
/// use majordomus_wire::{Codec, Dialect, Side, Sink};
///
/// /// Counts what would be written.
/// struct Count {
///     bytes: usize,
///     messages: usize,
/// }
///
/// impl Sink for Count {
///     fn frame(&mut self, frame: &[u8], more: bool) {
///         self.bytes += frame.len();
///         self.messages += usize::from(!more);
///     }
/// }
///
/// let mut count = Count { bytes: 0, messages: 0 };
/// Codec::new(Dialect::Mdp01, Side::Worker).encode_to_worker(&ToWorkerView::Heartbeat, &mut count);
/// assert_eq!((count.bytes, count.messages), (7, 1));
/// ```
pub trait Sink {
    /// Takes one frame; `more` of the same message follow, or none.
    fn frame(&mut self, frame: &[u8], more: bool);

    /// Takes frame `index` of `frames`, which is part of a body.
    ///
    /// A sink that can pass large frames on without a copy does so here, with
    /// [`FramesView::share`]. Unless it is overridden, this is [`frame`](Sink::frame).
    fn body_frame(&mut self, frames: &FramesView<'_>, index: usize, more: bool) {
        if let Some(frame) = frames.get(index) {
            self.frame(frame, more);
        }
    }

    /// Takes a frame, and after it all frames of a body, which end the message.
    ///
    /// Most bodies are one small frame, so a sink can reserve room for both frames at once here. The
    /// default calls [`frame`](Sink::frame), and [`body_frame`](Sink::body_frame) for each frame of the
    /// body.
    #[inline]
    fn frame_and_body(&mut self, frame: &[u8], body: &FramesView<'_>) {
        let count = body.len();
        self.frame(frame, count > 0);
        for index in 0..count {
            self.body_frame(body, index, index + 1 < count);
        }
    }
}

/// Collects the frames of a message. Frames of a body share its memory where that is possible.
impl Sink for Vec<Bytes> {
    fn frame(&mut self, frame: &[u8], _more: bool) {
        self.push(Bytes::copy_from_slice(frame));
    }

    fn body_frame(&mut self, frames: &FramesView<'_>, index: usize, _more: bool) {
        let copied = || frames.get(index).map(Bytes::copy_from_slice);
        self.extend(frames.share(index).or_else(copied));
    }
}
