//! A worker's request in flight, and the state of its reply.

use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use crate::{
    ByteStr, CODE_UNSAID, Content, CorrelationId, Frames, FromWorker, Welcome, WorkerConfig,
    WorkerReply, WorkerRequest,
};

/// A request in flight, until its handler has returned.
///
/// ```text
///   Open ── final reply, failure, loss of the connection ──► Over ── the handler returns ──► gone
///    │                                                        ▲
///    └─ cancelled ──► Unwanted ─ final reply, failure, return ─┘
/// ```
#[derive(Debug)]
pub(super) struct Task {
    stage: Stage,
    /// True if the connection that delivered the request is lost.
    orphan: bool,
    address: ByteStr,
    id: CorrelationId,
    /// Parts buffered for the final reply. The next two fields are their total size.
    kept: Vec<Frames>,
    kept_bytes: usize,
    kept_frames: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The request was cancelled, but the broker still expects a final reply.
    Unwanted,
    Over,
}

/// The size limits of one reply message, from the worker's configuration and the broker info.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room<'a> {
    pub(super) config: &'a WorkerConfig,
    pub(super) welcome: Option<&'a Welcome>,
}

impl Room<'_> {
    fn check(self, bytes: usize, frames: usize) -> Result<(), TooLarge> {
        let own = bytes <= self.config.reply_bytes_max && frames <= self.config.reply_frames_max;
        let theirs = self.welcome.is_none_or(|welcome| welcome.takes(bytes, frames));
        if own && theirs { Ok(()) } else { Err(TooLarge) }
    }

    /// Returns the reason for a failure, or the "too large" content if the reason is too large.
    fn fit(self, why: &mut Content) -> Content {
        let bytes = why.body.bytes().saturating_add(why.options.len());
        self.check(bytes, why.body.len()).map_or_else(TooLarge::content, |()| mem::take(why))
    }
}

/// One message of the reply is too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl TooLarge {
    /// Returns the content of the error reply to the client.
    pub(super) fn content(self) -> Content {
        Content::of(Frames::from_slices(&["the reply is too large"]))
    }
}

impl Task {
    pub(super) fn new(request: &WorkerRequest) -> Self {
        Self {
            stage: Stage::Open,
            orphan: false,
            address: request.address.clone(),
            id: request.id.clone(),
            kept: Vec::new(),
            kept_bytes: 0,
            kept_frames: 0,
        }
    }

    /// Returns true if the broker still expects a final reply.
    pub(super) fn owes_a_reply(&self) -> bool {
        self.stage != Stage::Over
    }

    /// Returns true if the request is neither cancelled nor ended.
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    pub(super) fn is_orphan(&self) -> bool {
        self.orphan
    }

    /// Ends a task whose connection is lost. Returns true if its request was open.
    pub(super) fn orphan(&mut self) -> bool {
        let wanted = self.is_open();
        self.orphan = true;
        self.stage = Stage::Over;
        self.kept = Vec::new();
        wanted
    }

    /// Cancels the request. Returns true if it was open.
    pub(super) fn unwant(&mut self) -> bool {
        let wanted = self.is_open();
        if wanted {
            self.kept = Vec::new();
            self.stage = Stage::Unwanted;
        }
        wanted
    }

    pub(super) fn address(&self) -> &ByteStr {
        &self.address
    }

    /// Accepts a part of the reply. Returns the message to send: `None` if the request is not open
    /// or parts are buffered.
    pub(super) fn take_part(
        &mut self,
        room: Room<'_>,
        part: &mut Content,
    ) -> Result<Option<WorkerReply>, TooLarge> {
        if !self.is_open() {
            return Ok(None);
        }
        self.check_size(room, part)?;
        if room.config.partial_replies {
            return Ok(Some(self.reply(mem::take(part))));
        }
        self.kept_bytes += part.body.bytes();
        self.kept_frames += part.body.len();
        self.kept.push(mem::take(&mut part.body));
        Ok(None)
    }

    /// Accepts the reply, or its last part, and its cache time. Returns the message to send: `None`
    /// if the request had ended.
    #[inline]
    pub(super) fn finish(
        &mut self,
        room: Room<'_>,
        last: &mut Content,
        keep: Option<Duration>,
    ) -> Option<FromWorker> {
        self.end(|task| {
            if task.check_size(room, last).is_err() {
                return FromWorker::Failed(task.reply(TooLarge.content()));
            }
            if !task.kept.is_empty() {
                task.kept.push(mem::take(&mut last.body));
                last.body = Frames::joined(&task.kept);
            }
            FromWorker::Final(task.reply_with(mem::take(last), CODE_UNSAID, keep))
        })
    }

    /// Ends the request with a failure. Returns the message to send: `None` if the request had
    /// ended.
    pub(super) fn fail(
        &mut self,
        room: Room<'_>,
        code: u16,
        why: &mut Content,
    ) -> Option<FromWorker> {
        self.end(|task| FromWorker::Failed(task.reply_with(room.fit(why), code, None)))
    }

    /// Rejects the request. Returns the message to send: `None` if the request had ended.
    pub(super) fn reject(&mut self, room: Room<'_>, why: &mut Content) -> Option<FromWorker> {
        self.end(|task| FromWorker::Rejected(task.reply(room.fit(why))))
    }

    /// Ends the request once, with the message from `said`. A cancelled request ends with an empty
    /// failure instead, which frees the worker's slot at the broker.
    #[inline]
    fn end(&mut self, said: impl FnOnce(&mut Self) -> FromWorker) -> Option<FromWorker> {
        let last = match self.stage {
            Stage::Open => Some(said(self)),
            Stage::Unwanted => Some(FromWorker::Failed(self.reply(Content::default()))),
            Stage::Over => None,
        };
        self.stage = Stage::Over;
        self.kept = Vec::new();
        last
    }

    fn reply(&self, content: Content) -> WorkerReply {
        self.reply_with(content, CODE_UNSAID, None)
    }

    #[inline]
    fn reply_with(&self, content: Content, code: u16, keep: Option<Duration>) -> WorkerReply {
        let Content { options, body } = content;
        let (address, id) = (self.address.clone(), self.id.clone());
        WorkerReply { address, id, keep, code, options, body }
    }

    /// Checks that `content` and the buffered parts fit in one message.
    fn check_size(&self, room: Room<'_>, content: &Content) -> Result<(), TooLarge> {
        let bytes = content.body.bytes().saturating_add(content.options.len());
        let bytes = self.kept_bytes.saturating_add(bytes);
        room.check(bytes, self.kept_frames.saturating_add(content.body.len()))
    }
}
