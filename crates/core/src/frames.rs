//! Message frames and message bodies, stored in one reference-counted allocation.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{Form, FramesView};

/// The start and end of each frame in a message's memory.
///
/// ```
/// # use majordomus_core as majordomus;
/// use majordomus::{Bounds, Frames};
///
/// let bounds = Bounds::from_slice(&[(0, 5), (6, 11)]);
/// assert_eq!(Frames::new("hello world".into(), bounds), Frames::from_slices(&["hello", "world"]));
/// ```
pub type Bounds = SmallVec<[(u32, u32); 8]>;

/// The body size, in bytes, from which a retained copy shares the read buffer. Smaller bodies are
/// copied, so that a small queued body never pins a whole read buffer.
pub(crate) const SHARED_BODY_MIN: usize = 64 * 1024;

/// A list of frames in one allocation: a whole message, or the body that remains after its head.
///
/// `clone` and [`skip`](Frames::skip) copy no frame data.
///
/// ```
/// # use majordomus_core as majordomus;
/// use majordomus::Frames;
///
/// let message = Frames::from_slices(&["MDPC01", "echo", "hello"]);
/// assert_eq!(message.get(1), Some(&b"echo"[..]));
/// let body = message.skip(2);
/// assert_eq!(body.iter().collect::<Vec<_>>(), [b"hello"]);
/// ```
#[derive(Clone, Default)]
pub struct Frames {
    pub(crate) data: Bytes,
    pub(crate) bounds: Bounds,
    pub(crate) first: u32,
    pub(crate) form: Form,
    pub(crate) note: u8,
}

impl Frames {
    /// An empty list.
    pub const EMPTY: Frames = Frames {
        data: Bytes::new(),
        bounds: SmallVec::new_const(),
        first: 0,
        form: Form::Frames,
        note: 0,
    };

    /// Returns an empty list.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// assert_eq!(majordomus::Frames::empty().len(), 0);
    /// ```
    pub fn empty() -> Self {
        Self::EMPTY
    }

    /// Creates a list of frames at `bounds` (start and end of each) in `data`.
    ///
    /// # Panics
    ///
    /// Panics if a frame ends before it starts or lies outside `data`.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::{Bounds, Frames};
    ///
    /// let frames = Frames::new("hello".into(), Bounds::from_slice(&[(0, 1), (1, 5)]));
    /// assert_eq!(frames, Frames::from_slices(&["h", "ello"]));
    /// ```
    pub fn new(data: Bytes, bounds: Bounds) -> Self {
        assert!(bounds.iter().all(|&(start, end)| start <= end && end as usize <= data.len()));
        Self { data, bounds, ..Self::default() }
    }

    /// Creates a list of one frame.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::Frames;
    ///
    /// let body = Frames::single(bytes::Bytes::from_static(b"hello"));
    /// assert_eq!(body.len(), 1);
    /// ```
    pub fn single(frame: Bytes) -> Self {
        let end = u32::try_from(frame.len()).expect("a frame is under 4 GiB");
        Self { data: frame, bounds: SmallVec::from_slice(&[(0, end)]), ..Self::default() }
    }

    /// Copies the given frames, in order.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// let frames = majordomus::Frames::from_slices(&["hello", "world"]);
    /// assert_eq!(frames.len(), 2);
    /// ```
    pub fn from_slices<T: AsRef<[u8]>>(frames: &[T]) -> Self {
        Self::copied(frames.iter().map(AsRef::as_ref))
    }

    pub(crate) fn copied<'a>(frames: impl Iterator<Item = &'a [u8]> + Clone) -> Self {
        let total = frames.clone().map(<[u8]>::len).sum();
        let mut data = Vec::with_capacity(total);
        let mut bounds = Bounds::new();
        for frame in frames {
            let start = data.len();
            data.extend_from_slice(frame);
            let bound = |at: usize| u32::try_from(at).expect("a message is under 4 GiB");
            bounds.push((bound(start), bound(data.len())));
        }
        Self { data: data.into(), bounds, ..Self::default() }
    }

    /// Sets the body format. `note` is a translation hint for the encoder; the core passes it on
    /// unread.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::{Form, Frames};
    ///
    /// let body = Frames::from_slices(&["{}"]).in_form(Form::Json, 7);
    /// assert_eq!((body.form(), body.note()), (Form::Json, 7));
    /// ```
    #[must_use]
    pub fn in_form(self, form: Form, note: u8) -> Self {
        Self { form, note, ..self }
    }

    /// Returns the body format.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::{Form, Frames};
    ///
    /// assert_eq!(Frames::from_slices(&["hello"]).form(), Form::Frames);
    /// ```
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the translation hint set with [`in_form`](Frames::in_form).
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::{Form, Frames};
    ///
    /// assert_eq!(Frames::empty().note(), 0);
    /// assert_eq!(Frames::empty().in_form(Form::Json, 7).note(), 7);
    /// ```
    pub fn note(&self) -> u8 {
        self.note
    }

    /// Returns the number of frames.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::Frames;
    ///
    /// let message = Frames::from_slices(&["echo", "hello"]);
    /// assert_eq!((message.len(), message.skip(1).len()), (2, 1));
    /// ```
    pub fn len(&self) -> usize {
        self.bounds.len() - self.first as usize
    }

    /// Returns true if there are no frames.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::Frames;
    ///
    /// assert!(Frames::empty().is_empty());
    /// // An empty frame counts.
    /// assert!(!Frames::from_slices(&[""]).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns frame `index`, counted from 0.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// let frames = majordomus::Frames::from_slices(&["echo", "hello"]);
    /// assert_eq!(frames.get(1), Some(&b"hello"[..]));
    /// assert_eq!(frames.get(2), None);
    /// ```
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let &(start, end) = self.bounds.get(self.first as usize + index)?;
        Some(&self.data[start as usize..end as usize])
    }

    /// Returns frame `index` as memory that is shared with this list.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// let frames = majordomus::Frames::from_slices(&["echo", "hello"]);
    /// let hello = frames.shared(1).expect("there are two");
    /// drop(frames);
    /// assert_eq!(hello, "hello");
    /// ```
    pub fn shared(&self, index: usize) -> Option<Bytes> {
        let &(start, end) = self.bounds.get(self.first as usize + index)?;
        Some(self.data.slice(start as usize..end as usize))
    }

    /// Returns an iterator over the frames.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// let frames = majordomus::Frames::from_slices(&["echo", "hello"]);
    /// for frame in frames.iter() {
    ///     println!("{}", frame.escape_ascii());
    /// }
    /// assert_eq!(frames.iter().len(), 2);
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        self.bounds[self.first as usize..]
            .iter()
            .map(|&(start, end)| &self.data[start as usize..end as usize])
    }

    /// Removes the first `count` frames. The result is empty if there are fewer.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::Frames;
    ///
    /// let message = Frames::from_slices(&["echo", "hello"]);
    /// assert_eq!(message.clone().skip(1), Frames::from_slices(&["hello"]));
    /// assert!(message.skip(3).is_empty());
    /// ```
    #[must_use]
    pub fn skip(mut self, count: usize) -> Self {
        let first = (self.first as usize + count).min(self.bounds.len());
        self.first = u32::try_from(first).expect("a message has under 4 G frames");
        self
    }

    /// Returns the total size of all frames in bytes.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// assert_eq!(majordomus::Frames::from_slices(&["echo", "hello"]).bytes(), 9);
    /// ```
    pub fn bytes(&self) -> usize {
        self.bounds[self.first as usize..].iter().map(|&(start, end)| (end - start) as usize).sum()
    }

    /// Copies the frames into an allocation of their own. Bodies of 64 KiB and more keep sharing
    /// memory.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::Frames;
    ///
    /// let read = Frames::from_slices(&["a head", "a body"]).skip(1);
    /// let kept = read.detached();
    /// assert_eq!(kept, read);
    /// assert_ne!(kept.get(0).map(<[u8]>::as_ptr), read.get(0).map(<[u8]>::as_ptr));
    /// ```
    #[must_use]
    pub fn detached(&self) -> Self {
        if self.bytes() >= SHARED_BODY_MIN {
            return self.clone();
        }
        let copied = match self.get(0) {
            // A shorter path for the most frequent case.
            Some(only) if self.len() == 1 => Self::single(Bytes::copy_from_slice(only)),
            _ => Self::copied(self.iter()),
        };
        copied.in_form(self.form, self.note)
    }

    /// Concatenates the frames of all `parts`, in order. The result has the first part's format.
    ///
    /// ```
    /// # use majordomus_core as majordomus;
    /// use majordomus::Frames;
    ///
    /// let parts = [Frames::from_slices(&["a", "b"]), Frames::empty(), Frames::from_slices(&["c"])];
    /// assert_eq!(Frames::joined(&parts), Frames::from_slices(&["a", "b", "c"]));
    /// ```
    pub fn joined(parts: &[Frames]) -> Self {
        let (form, note) = parts.first().map(|part| (part.form, part.note)).unwrap_or_default();
        Self::copied(parts.iter().flat_map(Frames::iter)).in_form(form, note)
    }
}

impl Frames {
    /// Concatenates the frames of all `parts` and of `last`. The result has the first part's
    /// format.
    pub(crate) fn joined_with(parts: &[Frames], last: FramesView<'_>) -> Self {
        let first = parts.first().map_or(last, Frames::view);
        let all = parts.iter().flat_map(|part| part.view().iter()).chain(last.iter());
        Self::copied(all).in_form(first.form(), first.note())
    }
}

impl PartialEq for Frames {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Frames {}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, frame) in self.iter().enumerate() {
            let shown = &frame[..frame.len().min(64)];
            let gap = if index == 0 { "" } else { " " };
            let cut = if shown.len() < frame.len() { "…" } else { "" };
            write!(f, "{gap}[{}{cut}]", shown.escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "start <= end")]
    fn bounds_outside_the_memory_are_refused() {
        let _ = Frames::new(Bytes::from_static(b"abc"), SmallVec::from_slice(&[(1, 4)]));
    }
}
