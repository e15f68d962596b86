//! A received message: one piece of memory and the bounds of its frames.

use bytes::Bytes;
use smallvec::SmallVec;

/// Start and end of each frame of a message, as offsets into its data.
///
/// The frames of every dialect fit the eight places, so no message of theirs allocates for them.
pub type Bounds = SmallVec<[(u32, u32); 8]>;

/// A message of one or more frames.
///
/// All frames lie in one piece of memory, with their headers between them, so a message costs one
/// step of a reference count and not one per frame.
///
/// ```
/// use bytes::Bytes;
/// use majordomus_zmtp::Message;
///
/// let data = Bytes::from_static(b"\x01\x02ab\x00\x01c");
/// let message = Message { data, frames: [(2, 4), (6, 7)].into_iter().collect() };
/// assert_eq!(message.iter().collect::<Vec<_>>(), [&b"ab"[..], b"c"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message as it came, headers included.
    pub data: Bytes,
    /// Where in `data` each frame's body is.
    pub frames: Bounds,
}

impl Message {
    /// Number of frames; a received message has at least one.
    ///
    /// ```
    /// # use majordomus_zmtp::Message;
    /// # let data = bytes::Bytes::from_static(b"\x00\x01c");
    /// let message = Message { data, frames: [(2, 3)].into_iter().collect() };
    /// assert_eq!(message.len(), 1);
    /// ```
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there are no frames, which no received message has.
    ///
    /// ```
    /// # use majordomus_zmtp::{Bounds, Message};
    /// let message = Message { data: bytes::Bytes::new(), frames: Bounds::new() };
    /// assert!(message.is_empty());
    /// ```
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The body of a frame, counted from zero.
    ///
    /// ```
    /// # use majordomus_zmtp::Message;
    /// # let data = bytes::Bytes::from_static(b"\x00\x01c");
    /// let message = Message { data, frames: [(2, 3)].into_iter().collect() };
    /// assert_eq!(message.frame(0), b"c");
    /// ```
    ///
    /// # Panics
    ///
    /// When the message has no such frame.
    #[inline]
    #[must_use]
    pub fn frame(&self, index: usize) -> &[u8] {
        let (start, end) = self.frames[index];
        &self.data[start as usize..end as usize]
    }

    /// The body of a frame, counted from zero, or `None` when the message has no such frame.
    ///
    /// ```
    /// # use majordomus_zmtp::Message;
    /// # let data = bytes::Bytes::from_static(b"\x00\x01c");
    /// let message = Message { data, frames: [(2, 3)].into_iter().collect() };
    /// assert_eq!(message.get(1), None);
    /// ```
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let &(start, end) = self.frames.get(index)?;
        self.data.get(start as usize..end as usize)
    }

    /// The body of a frame as a share in the message's memory: for
    /// [`send_shared`](crate::Connection::send_shared). It keeps the memory of the whole message.
    ///
    /// ```
    /// # use majordomus_zmtp::Message;
    /// # let data = bytes::Bytes::from_static(b"\x00\x01c");
    /// let message = Message { data, frames: [(2, 3)].into_iter().collect() };
    /// assert_eq!(message.share(0), "c");
    /// ```
    ///
    /// # Panics
    ///
    /// When the message has no such frame.
    #[inline]
    #[must_use]
    pub fn share(&self, index: usize) -> Bytes {
        let (start, end) = self.frames[index];
        self.data.slice(start as usize..end as usize)
    }

    /// The bodies of the frames in order.
    ///
    /// ```
    /// # use majordomus_zmtp::Message;
    /// # let data = bytes::Bytes::from_static(b"\x00\x01c");
    /// let message = Message { data, frames: [(2, 3)].into_iter().collect() };
    /// assert_eq!(message.iter().next(), Some(&b"c"[..]));
    /// ```
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator + Clone {
        self.frames.iter().map(|&(start, end)| &self.data[start as usize..end as usize])
    }

    /// Bytes of all bodies together.
    ///
    /// ```
    /// # use majordomus_zmtp::Message;
    /// # let data = bytes::Bytes::from_static(b"\x00\x01c");
    /// let message = Message { data, frames: [(2, 3)].into_iter().collect() };
    /// assert_eq!(message.body_bytes(), 1);
    /// ```
    #[inline]
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.frames.iter().map(|&(start, end)| (end - start) as usize).sum()
    }
}
