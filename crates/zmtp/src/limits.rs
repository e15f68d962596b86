//! Limits on the memory that a peer can occupy.

/// Limits on the memory that a peer can make a [`Connection`](crate::Connection) allocate.
///
/// Every limit is checked against the announced size in the header, before memory is reserved.
///
/// ```
/// use majordomus_zmtp::Limits;
///
/// let limits = Limits { message_bytes_max: 1 << 20, ..Limits::default() };
/// assert_eq!(limits.handshake_bytes_max, 8 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of bytes before the handshake is complete, including the 64-byte
    /// greeting.
    pub handshake_bytes_max: usize,
    /// The maximum total size of a message's frame bodies in bytes. A value that does not fit
    /// 32-bit offsets (just under 4 GiB, less nine bytes for each of `frames_max` frames) is
    /// lowered to the largest one that does.
    pub message_bytes_max: usize,
    /// The maximum number of frames in a message. Values are clamped to the range from 1 to 2^20.
    pub frames_max: usize,
}

impl Default for Limits {
    /// 8 KiB for the handshake, 64 MiB per message, 1024 frames.
    fn default() -> Self {
        Self {
            handshake_bytes_max: 8 * 1024,
            message_bytes_max: 64 * 1024 * 1024,
            frames_max: 1024,
        }
    }
}

impl Limits {
    /// Lowers the limits so that every offset in a message fits a `u32`.
    pub(crate) fn representable(self) -> Self {
        let frames_max = self.frames_max.clamp(1, 1 << 20);
        let framing_bytes_max = 9 * (frames_max + 1);
        let message_bytes_max = self.message_bytes_max.min(u32::MAX as usize - framing_bytes_max);
        Self { message_bytes_max, frames_max, ..self }
    }
}
