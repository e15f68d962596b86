//! Received messages: one allocation and the bounds of its frames.

use bytes::Bytes;
use smallvec::SmallVec;

/// The start and end of each frame of a message, as offsets into its data.
///
/// Up to eight frames are stored inline, which covers the messages of every dialect.
pub type Bounds = SmallVec<[(u32, u32); 8]>;

/// A message of one or more frames.
///
/// All frames are in one allocation, with their headers between them. Sharing a message therefore
/// takes one reference count and not one per frame.
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
    /// The message as received, including headers.
    pub data: Bytes,
    /// The bounds of each frame's body in `data`.
    pub frames: Bounds,
}

impl Message {
    /// Returns the number of frames. A received message has at least one.
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

    /// Returns true if there are no frames, which is never the case for a received message.
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

    /// Returns the body of frame `index`, counted from zero.
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
    /// Panics if the frame does not exist.
    #[inline]
    #[must_use]
    pub fn frame(&self, index: usize) -> &[u8] {
        let (start, end) = self.frames[index];
        &self.data[start as usize..end as usize]
    }

    /// Returns the body of frame `index`, counted from zero, or `None` if the frame does not exist.
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

    /// Returns the body of a frame as shared memory, for
    /// [`send_shared`](crate::Connection::send_shared). It keeps the memory of the whole message
    /// alive.
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
    /// Panics if the frame does not exist.
    #[inline]
    #[must_use]
    pub fn share(&self, index: usize) -> Bytes {
        let (start, end) = self.frames[index];
        self.data.slice(start as usize..end as usize)
    }

    /// Returns an iterator over the bodies of the frames.
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

    /// Returns the total size of all bodies in bytes.
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
