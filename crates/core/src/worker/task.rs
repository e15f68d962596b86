//! A request that a worker's handler has.

use alloc::vec::Vec;

use crate::{Frames, Label, WorkerConfig, WorkerReply, WorkerRequest};

/// A request that the handler has, until the handler has returned.
///
/// ```text
///   Open ── final reply, failure, cancellation ──► Over ── the handler returns ──► gone
/// ```
#[derive(Debug)]
pub(super) struct Task {
    stage: Stage,
    address: Label,
    id: Label,
    /// Parts that wait for the final reply, and what they have together.
    kept: Vec<Frames>,
    kept_bytes: usize,
    kept_frames: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Over,
}

/// One message of the reply would be larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl TooLarge {
    /// What the client is told.
    pub(super) fn text(self) -> Frames {
        Frames::from_slices(&["the reply is too large"])
    }
}

impl Task {
    pub(super) fn new(request: &WorkerRequest) -> Self {
        Self {
            stage: Stage::Open,
            address: request.address.clone(),
            id: request.id.clone(),
            kept: Vec::new(),
            kept_bytes: 0,
            kept_frames: 0,
        }
    }

    /// Whether it still needs a final reply.
    pub(super) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Whether this address came with it.
    pub(super) fn is_at(&self, address: &Label) -> bool {
        self.address == *address
    }

    /// Takes a part of the reply. Returns what is to be sent: nothing where it is over, or where
    /// parts are kept.
    pub(super) fn take_part(
        &mut self,
        config: &WorkerConfig,
        body: Frames,
    ) -> Result<Option<WorkerReply>, TooLarge> {
        if !self.is_open() {
            return Ok(None);
        }
        self.check_size(config, &body)?;
        if config.partial_replies {
            return Ok(Some(self.reply(body)));
        }
        self.kept_bytes += body.bytes();
        self.kept_frames += body.len();
        self.kept.push(body);
        Ok(None)
    }

    /// Takes the reply, or its last part. Returns what is to be sent: nothing where it was over.
    pub(super) fn take_final(
        &mut self,
        config: &WorkerConfig,
        body: Frames,
    ) -> Result<Option<WorkerReply>, TooLarge> {
        if !self.is_open() {
            return Ok(None);
        }
        self.check_size(config, &body)?;
        let body = if self.kept.is_empty() {
            body
        } else {
            self.kept.push(body);
            Frames::joined(&self.kept)
        };
        self.end();
        Ok(Some(self.reply(body)))
    }

    /// Ends it with a failure. Returns what is to be sent: nothing where it was over.
    pub(super) fn fail(&mut self, why: Frames) -> Option<WorkerReply> {
        self.end().then(|| self.reply(why))
    }

    /// Ends it without a reply. Returns whether it was open.
    pub(super) fn cancel(&mut self) -> bool {
        self.end()
    }

    fn end(&mut self) -> bool {
        self.kept = Vec::new();
        core::mem::replace(&mut self.stage, Stage::Over) == Stage::Open
    }

    fn reply(&self, body: Frames) -> WorkerReply {
        WorkerReply { id: self.id.clone(), ..WorkerReply::new(self.address.clone(), body) }
    }

    /// Whether one message may have this, with all that is kept for it.
    fn check_size(&self, config: &WorkerConfig, body: &Frames) -> Result<(), TooLarge> {
        let bytes = self.kept_bytes.saturating_add(body.bytes());
        let frames = self.kept_frames.saturating_add(body.len());
        if bytes > config.reply_bytes_max || frames > config.reply_frames_max {
            return Err(TooLarge);
        }
        Ok(())
    }
}
