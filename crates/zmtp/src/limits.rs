//! What a peer may make a connection hold.

/// The most that a peer may make a [`Connection`](crate::Connection) hold.
///
/// Every limit is checked on the header that announces the bytes, before memory is reserved for
/// them.
///
/// ```
/// use majordomus_zmtp::Limits;
///
/// let limits = Limits { message_bytes_max: 1 << 20, ..Limits::default() };
/// assert_eq!(limits.handshake_bytes_max, 8 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes from a peer before its handshake ends, its greeting of 64 bytes included.
    pub handshake_bytes_max: usize,
    /// Bytes of all frame bodies of one message. A value that does not fit 32-bit offsets (just
    /// under 4 GiB, less nine bytes for each of `frames_max` frames) counts as the largest that
    /// does.
    pub message_bytes_max: usize,
    /// Frames of one message. At least one is always allowed, and never more than 2^20.
    pub frames_max: usize,
}

impl Default for Limits {
    /// 8 KiB of handshake, 64 MiB of message, 1024 frames.
    fn default() -> Self {
        Self {
            handshake_bytes_max: 8 * 1024,
            message_bytes_max: 64 * 1024 * 1024,
            frames_max: 1024,
        }
    }
}

impl Limits {
    /// The same limits where every offset inside a message fits a `u32`.
    pub(crate) fn representable(self) -> Self {
        let frames_max = self.frames_max.clamp(1, 1 << 20);
        let framing_bytes_max = 9 * (frames_max + 1);
        let message_bytes_max = self.message_bytes_max.min(u32::MAX as usize - framing_bytes_max);
        Self { message_bytes_max, frames_max, ..self }
    }
}
