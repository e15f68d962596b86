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
    /// The shortest frame of a body that [`shared_frame`](Sink::shared_frame) takes, in bytes. Unless a
    /// sink sets it, there is none.
    const SHARED_FRAME_BYTES_MIN: usize = usize::MAX;

    /// Takes one frame; `more` of the same message follow, or none.
    fn frame(&mut self, frame: &[u8], more: bool);

    /// Takes a frame that shares the memory of the body it is part of. The default copies it.
    fn shared_frame(&mut self, frame: Bytes, more: bool) {
        self.frame(&frame, more);
    }

    /// Takes frame `index` of `frames`, which is part of a body: shared if it is long enough and its
    /// memory can be, and else as any other.
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

    /// Takes the last two frames of a message. Most messages are one small frame of a body behind another
    /// one, so a sink can reserve room for both at once here. The default calls [`frame`](Sink::frame).
    #[inline]
    fn last_two_frames(&mut self, first: &[u8], last: &[u8]) {
        self.frame(first, true);
        self.frame(last, false);
    }

    /// Takes a frame, and after it all frames of a body, which end the message.
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

/// Collects the frames of a message. Frames of a body share its memory where that is possible.
impl Sink for Vec<Bytes> {
    const SHARED_FRAME_BYTES_MIN: usize = 0;

    fn frame(&mut self, frame: &[u8], _more: bool) {
        self.push(Bytes::copy_from_slice(frame));
    }

    fn shared_frame(&mut self, frame: Bytes, _more: bool) {
        self.push(frame);
    }
}
