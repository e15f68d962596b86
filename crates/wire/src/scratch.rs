//! A decoder's reusable memory.

use alloc::vec::Vec;

/// Reusable memory for decoders: the bounds of parts that are packed into one frame, and a string
/// with its JSON escapes resolved.
///
/// One value serves all connections of a thread, because a decoded command borrows it until the
/// command is handled. Its memory is reused for every message and stays below 12 KiB.
///
/// ```
/// use majordomus_core::{FromClientView, Frames};
/// use majordomus_wire::{Codec, Dialect, Scratch, Side};
///
/// let codec = Codec::new(Dialect::Gdp, Side::Client);
/// let mut scratch = Scratch::default();
/// for message in ["\x06MDPC01\x04echo\x01a", "\x06MDPC01\x04echo\x01b"] {
///     let message = Frames::from_slices(&[message]);
///     let FromClientView::Request(request) =
///         codec.decode_from_client(message.view(), &mut scratch)?
///     else {
///         panic!("it is a request");
///     };
///     assert_eq!(request.service, b"echo");
/// }
/// # Ok::<(), majordomus_wire::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Scratch {
    /// The start and end of each part.
    pub(crate) bounds: Vec<(u32, u32)>,
    /// The routing id of a request's target.
    pub(crate) target: Vec<u8>,
}
