//! Error reporting in dialects without error replies, and error codes in dialects that use text.

use alloc::string::String;

use majordomus_core::{FramesView, Outcome, OutcomeSet};

/// The maximum number of bytes of a worker's error text; the rest is cut off.
pub const ERROR_TEXT_BYTES_MAX: usize = 16 * 1024;

/// The prefix of an error text that is written as an ordinary final reply.
pub(crate) const ERROR_PREFIX: &[u8] = b"-1 ";

/// The error reporting to clients whose dialect has no error replies, an option of a listener. It
/// does not affect other dialects.
///
/// ```
/// # mod majordomus { pub mod broker { pub use majordomus_wire::*; } }
/// use majordomus::broker::Errors;
///
/// assert_eq!(Errors::default(), Errors::Silent);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Errors {
    /// Errors are not reported, as specified: the client times out.
    #[default]
    Silent,
    /// An error is reported as a final reply whose body is one text frame: `-1 ` and the error.
    Final,
}

impl Errors {
    /// Returns the outcomes that are reported to a client. The others are not reported because the
    /// client has cancelled the request or its connection ends.
    pub(crate) const fn told(self) -> OutcomeSet {
        match self {
            Errors::Silent => OutcomeSet::NONE,
            Errors::Final => OutcomeSet::of(&[
                Outcome::Failed,
                Outcome::NoSuchService,
                Outcome::WorkerLost,
                Outcome::Rejected,
                Outcome::NoSuchWorker,
                Outcome::Untranslatable,
            ]),
        }
    }
}

/// Returns the error text written as a reply: [`ERROR_PREFIX`] and the error.
pub(crate) fn error_text(outcome: Outcome, body: FramesView<'_>) -> String {
    text_behind("-1 ", outcome, body)
}

/// Returns the error text that is not written as a reply.
pub(crate) fn bare_error_text(outcome: Outcome, body: FramesView<'_>) -> String {
    text_behind("", outcome, body)
}

/// Returns the worker's error text, or the outcome's code if the body is empty.
fn text_behind(prefix: &str, outcome: Outcome, body: FramesView<'_>) -> String {
    let mut text = String::from(prefix);
    if body.bytes() == 0 {
        text.push_str(code(outcome));
        return text;
    }
    let mut left = ERROR_TEXT_BYTES_MAX;
    for (index, frame) in body.iter().enumerate() {
        if index > 0 {
            text.push(' ');
            left = left.saturating_sub(1);
        }
        // If the limit cuts a character, it becomes a replacement character, which marks the cut.
        let kept = &frame[..frame.len().min(left)];
        text.push_str(&String::from_utf8_lossy(kept));
        left -= kept.len();
        if left == 0 {
            break;
        }
    }
    text
}

/// Returns the outcome of an error text received by a client. The broker's errors are the codes of
/// the outcomes `told` to the client; any other text is a worker's. A code written by a worker
/// cannot be distinguished.
pub(crate) fn outcome(text: &[u8], told: OutcomeSet) -> Outcome {
    let mut said = Outcome::ALL.into_iter().filter(|outcome| told.contains(*outcome));
    said.find(|outcome| code(*outcome).as_bytes() == text).unwrap_or(Outcome::Failed)
}

/// Returns an outcome's error code in PIGATO's style, the only dialect in use with such codes.
pub(crate) const fn code(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Replied => "B_REPLIED",
        Outcome::Failed => "B_FAILED",
        Outcome::Expired => "B_EXPIRED",
        Outcome::Cancelled => "B_CANCELLED",
        Outcome::ClientGone => "B_CLIENT_GONE",
        Outcome::WorkerLost => "B_WORKER_LOST",
        Outcome::Rejected => "B_REJECTED",
        Outcome::Refused => "B_BUSY",
        Outcome::NoSuchService => "B_NO_SERVICE",
        Outcome::NoSuchWorker => "B_NO_WORKER",
        Outcome::Untranslatable => "B_TRANSLATE",
        Outcome::ShutDown => "B_SHUTDOWN",
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use bytes::Bytes;
    use majordomus_core::{Frames, Reply, Role, ToClient};

    use super::*;
    use crate::{Codec, Dialect, Side};

    fn check(outcome: Outcome, body: &[&[u8]], expected: &str) {
        assert_eq!(error_text(outcome, Frames::from_slices(body).view()), expected);
    }

    #[test]
    fn texts() {
        check(Outcome::NoSuchService, &[], "-1 B_NO_SERVICE");
        check(Outcome::WorkerLost, &[b""], "-1 B_WORKER_LOST");
        check(Outcome::Rejected, &[], "-1 B_REJECTED");
        check(Outcome::Rejected, &[b"too hot"], "-1 too hot");
        check(Outcome::Failed, &[], "-1 B_FAILED");
        check(Outcome::Failed, &[b"bad", b"input \xff"], "-1 bad input \u{fffd}");
    }

    #[test]
    fn a_long_text_is_cut() {
        let frame = [b'x'; ERROR_TEXT_BYTES_MAX];
        let cut = error_text(Outcome::Failed, Frames::from_slices(&[&frame, &frame]).view());
        assert_eq!(cut.len(), ERROR_PREFIX.len() + ERROR_TEXT_BYTES_MAX);
        let body = Frames::from_slices(&[&b"y"[..], &frame]);
        let cut = error_text(Outcome::Failed, body.view());
        assert_eq!(cut.len(), ERROR_PREFIX.len() + ERROR_TEXT_BYTES_MAX);
    }

    /// Returns the client's decoding of this outcome as encoded for it.
    fn heard(codec: Codec, end: &ToClient) -> Option<ToClient> {
        let mut written: Vec<Bytes> = Vec::new();
        codec.encode_to_client(&end.view(), &mut written);
        let read = || codec.decode_to_client(Frames::from_slices(&written)).expect("it is right");
        (!written.is_empty()).then(read)
    }

    #[test]
    fn a_client_hears_of_each_end_what_it_was() {
        for codec in clients() {
            for outcome in Outcome::ALL {
                let Role::Client(client) = codec.role() else { unreachable!("it is one") };
                let end = ToClient::Failed(outcome, Reply::new("echo", Frames::empty()));
                // OMDP/1 has one code for both.
                let same = match (codec.dialect(), outcome) {
                    (Dialect::Omdp1, Outcome::NoSuchWorker) => Outcome::NoSuchService,
                    _ => outcome,
                };
                let told = client.told.contains(outcome).then_some(same);
                let heard = heard(codec, &end).map(|heard| match heard {
                    ToClient::Failed(outcome, _) => outcome,
                    other => panic!("{outcome} is heard as {other:?} in {codec:?}"),
                });
                assert_eq!(heard, told, "{outcome} in {codec:?}");
            }
        }
    }

    #[test]
    fn an_error_that_is_no_word_of_the_broker_is_the_worker_s() {
        for text in ["no paper", "B_", "B_BUSY!", "b_busy", " B_BUSY", "B_EXPIRED", "B_REPLIED"] {
            for codec in clients() {
                let body = Frames::from_slices(&[text]);
                let end = ToClient::Failed(Outcome::Failed, Reply::new("echo", body));
                if let Some(heard) = heard(codec, &end) {
                    let is_its_own = matches!(heard, ToClient::Failed(Outcome::Failed, _));
                    assert!(is_its_own, "{text:?} in {codec:?}: {heard:?}");
                }
            }
        }
    }

    #[test]
    fn what_a_dialect_s_client_is_never_told_by_a_text_is_the_worker_s() {
        let codec = |dialect| Codec::new(dialect, Side::Client).with_errors(Errors::Final);
        let failed = |text| {
            ToClient::Failed(Outcome::Failed, Reply::new("echo", Frames::from_slices(&[text])))
        };
        // At a limit the broker stops reading from this client instead.
        let busy = failed("B_BUSY");
        assert_eq!(heard(codec(Dialect::Mdp02), &busy), Some(busy));
        // It has a separate command for the broker's errors.
        let lost = failed("B_WORKER_LOST");
        assert_eq!(heard(codec(Dialect::Libmdp), &lost), Some(lost));
    }

    /// Returns a client codec for each dialect and each error reporting.
    fn clients() -> impl Iterator<Item = Codec> {
        let manners = |dialect| {
            [Errors::Silent, Errors::Final]
                .map(|errors| Codec::new(dialect, Side::Client).with_errors(errors))
        };
        Dialect::ALL.into_iter().flat_map(manners)
    }

    #[test]
    fn text_has_the_prefix() {
        assert!(
            error_text(Outcome::Failed, FramesView::EMPTY).as_bytes().starts_with(ERROR_PREFIX)
        );
    }
}
