//! Where written frames go.

use alloc::vec::Vec;

use bytes::Bytes;
use majordomus_core::Frames;

/// Takes the frames of a message, in order.
///
/// The encoders hand over borrowed slices and keep nothing, so a sink can write them where they are
/// to be sent from. One command is at most one message: it ends with the frame whose `more` is
/// false.
///
/// ```
/// use majordomus_core::ToWorker;
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
/// Codec::new(Dialect::Mdp01, Side::Worker).encode_to_worker(&ToWorker::Heartbeat, &mut count);
/// assert_eq!((count.bytes, count.messages), (7, 1));
/// ```
pub trait Sink {
    /// Takes one frame; `more` of the same message follow, or none.
    fn frame(&mut self, frame: &[u8], more: bool);

    /// Takes frame `index` of `frames`, which is part of a body.
    ///
    /// A sink that can pass large frames on without a copy does so here, with
    /// [`Frames::shared`]. Unless it is overridden, this is [`frame`](Sink::frame).
    fn body_frame(&mut self, frames: &Frames, index: usize, more: bool) {
        if let Some(frame) = frames.get(index) {
            self.frame(frame, more);
        }
    }
}

/// Collects the frames of a message; frames of a body share its memory.
impl Sink for Vec<Bytes> {
    fn frame(&mut self, frame: &[u8], _more: bool) {
        self.push(Bytes::copy_from_slice(frame));
    }

    fn body_frame(&mut self, frames: &Frames, index: usize, _more: bool) {
        self.extend(frames.shared(index));
    }
}
