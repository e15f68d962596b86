//! The destination of encoded frames.

use alloc::vec::Vec;

use bytes::Bytes;
use majordomus_core::FramesView;

/// A destination for the frames of a message, in order.
///
/// The encoders pass borrowed slices and keep nothing, so a sink can write the frames directly into
/// its output. A command is at most one message, which ends with the frame whose `more` is false.
///
/// ```
/// use majordomus_core::ToWorkerView;
/// use majordomus_wire::{Codec, Dialect, Side, Sink};
///
/// /// Counts the encoded bytes and messages.
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
    /// The minimum length in bytes of a body frame that is passed to
    /// [`shared_frame`](Sink::shared_frame). By default no frame is.
    const SHARED_FRAME_BYTES_MIN: usize = usize::MAX;

    /// Takes one frame. `more` is true if more frames of the same message follow.
    fn frame(&mut self, frame: &[u8], more: bool);

    /// Takes a frame that shares the memory of its body. The default copies it.
    fn shared_frame(&mut self, frame: Bytes, more: bool) {
        self.frame(&frame, more);
    }

    /// Takes frame `index` of a body's `frames`: shared if it is long enough and its memory can be
    /// shared, otherwise copied.
    #[inline]
    fn body_frame(&mut self, frames: &FramesView<'_>, index: usize, more: bool) {
        let Some(frame) = frames.get(index) else { return };
        if frame.len() >= Self::SHARED_FRAME_BYTES_MIN
            && let Some(shared) = frames.share(index)
        {
            self.shared_frame(shared, more);
        } else {
            self.frame(frame, more);
        }
    }

    /// Takes the last two frames of a message. Most messages end with a small body frame after
    /// another frame, so a sink can reserve space for both at once here. The default calls
    /// [`frame`](Sink::frame).
    #[inline]
    fn last_two_frames(&mut self, first: &[u8], last: &[u8]) {
        self.frame(first, true);
        self.frame(last, false);
    }

    /// Takes a frame, followed by all frames of a body, which end the message.
    #[inline(always)]
    fn frame_and_body(&mut self, frame: &[u8], body: &FramesView<'_>) {
        match (body.len(), body.get(0)) {
            (1, Some(only)) if only.len() < Self::SHARED_FRAME_BYTES_MIN => {
                self.last_two_frames(frame, only);
            }
            (count, _) => {
                self.frame(frame, count > 0);
                for index in 0..count {
                    self.body_frame(body, index, index + 1 < count);
                }
            }
        }
    }
}

/// Collects the frames of a message. Body frames share the memory of their body if possible.
impl Sink for Vec<Bytes> {
    const SHARED_FRAME_BYTES_MIN: usize = 0;

    fn frame(&mut self, frame: &[u8], _more: bool) {
        self.push(Bytes::copy_from_slice(frame));
    }

    fn shared_frame(&mut self, frame: Bytes, _more: bool) {
        self.push(frame);
    }
}
