//! A running handler for one request, without a worker.

use std::future::Future;
use std::sync::Arc;

use majordomus_core::{CODE_UNSAID, Content, Failure, Outcome, TaskHandle};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::client::Said;
use crate::worker::{NO_REPLY, Outbox, SAYINGS_MAX, Saying, TaskControl, panic_text};
use crate::{Body, Replier, Request};

/// The task handle of every handler. Each handler has its own channel, so it needs no distinct
/// handle.
const TASK: TaskHandle = TaskHandle(0);
/// The code of an error for which the worker set none (OMDP/1, section 6).
const CODE_OF_UNSAID: u16 = 500;
/// The range of codes that a worker may set (OMDP/1, section 6).
const CODES: (u16, u16) = (400, 999);

/// A running handler. Dropping this cancels its request, but does not abort the handler.
#[derive(Debug)]
pub(super) struct Handling {
    sayings: mpsc::Receiver<Saying>,
    /// The handler's task. `None` when it has returned.
    running: Option<JoinHandle<()>>,
    /// The end of the handler, which is reported after all its messages.
    ended: Option<Saying>,
    strings: TaskControl,
}

impl Handling {
    pub(super) fn start<H, F>(handler: H, request: Request, strings: TaskControl) -> Self
    where
        H: FnOnce(Request, Replier) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let (says, sayings) = mpsc::channel(SAYINGS_MAX);
        let replier = Replier::new(TASK, Arc::new(Outbox::new(says)), strings.clone());
        // The handler is called inside the task, so that a panic before its first await is caught
        // too.
        let running = tokio::spawn(async move { handler(request, replier).await });
        Self { sayings, running: Some(running), ended: None, strings }
    }

    /// Signals to the handler that its reply is no longer needed.
    pub(super) fn cancel(&self) {
        self.strings.pull();
    }

    /// Returns the handler's next message. The last one is `Ended`; after that, returns `None`. Can
    /// be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<Saying> {
        if let Some(running) = &mut self.running {
            let returned = tokio::select! {
                biased;
                Some(saying) = self.sayings.recv() => return Some(saying),
                returned = running => returned,
            };
            let why = returned.map_or_else(panic_text, |()| NO_REPLY.into());
            self.ended = Some(Saying::Ended(TASK, Body::from(why).into_frames()));
            self.running = None;
            // Messages from tasks that still own the replier are ignored.
            self.sayings.close();
        }
        match self.sayings.recv().await {
            Some(saying) => Some(saying),
            None => self.ended.take(),
        }
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.cancel();
        }
    }
}

/// Converts a handler's message to the client's message. A report of work has none.
pub(super) fn heard(saying: Saying) -> Option<Said> {
    let (outcome, code, why) = match saying {
        Saying::Part(_, part) => return Some(Said::Part(Body::received(part))),
        Saying::Final(_, last, _) => return Some(Said::Last(Body::received(last))),
        Saying::Failed(_, code, why) => (Outcome::Failed, code_of(code), why),
        Saying::Ended(_, why) => (Outcome::Failed, CODE_OF_UNSAID, Content::of(why)),
        Saying::Rejected(_, why) => (Outcome::Rejected, CODE_UNSAID, why),
        _ => return None,
    };
    Some(Said::Failed(Failure::Remote(outcome, code, why).into()))
}

fn code_of(code: u16) -> u16 {
    if code == CODE_UNSAID { CODE_OF_UNSAID } else { code.clamp(CODES.0, CODES.1) }
}
