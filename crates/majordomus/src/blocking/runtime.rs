//! The runtime that all blocking clients and workers of this process share.

use std::future::{Future, pending};
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio::time::timeout;

use crate::SetupError;

/// The maximum number of blocking handlers that run concurrently in one process. If the concurrency
/// of the workers is higher, further handlers wait until others have returned.
///
/// ```
/// use majordomus::Worker;
/// use majordomus::blocking::HANDLERS_MAX;
///
/// // The worker accepts no more requests than can run concurrently.
/// let builder = Worker::builder("tcp://127.0.0.1:5555").concurrency(HANDLERS_MAX).blocking();
/// ```
pub const HANDLERS_MAX: usize = 4096;

/// The name of the runtime's thread.
const THREAD: &str = "majordomus";
/// The name of the threads that run handlers.
const HANDLER_THREAD: &str = "majordomus-handler";

static STARTED: Mutex<Option<Handle>> = Mutex::new(None);

/// A handle to the runtime. Clones share the same runtime.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Handle);

impl Runtime {
    /// Returns the runtime. The first call starts it.
    pub(crate) fn get() -> Result<Self, SetupError> {
        // The lock is held while the runtime starts, so that only one is started.
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = match &*started {
            Some(handle) => handle.clone(),
            None => start().map_err(|error| SetupError::NoRuntime(error.to_string()))?,
        };
        *started = Some(handle.clone());
        Ok(Self(handle))
    }

    /// Returns the runtime of the current task.
    pub(crate) fn current() -> Self {
        Self(Handle::current())
    }

    /// Enters the runtime: while the guard exists, tasks are spawned on this runtime. This method
    /// does not block.
    pub(crate) fn enter(&self) -> EnterGuard<'_> {
        self.0.enter()
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }

    /// Blocks the current thread until the future is ready.
    ///
    /// # Panics
    ///
    /// Panics in a thread that runs Tokio tasks, because such a thread must not be blocked.
    #[track_caller]
    pub(crate) fn block_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.0.block_on(what)
    }

    /// Blocks the current thread until the future is ready, but no longer than this time.
    #[track_caller]
    pub(crate) fn block_within<T>(
        &self,
        within: Duration,
        what: impl Future<Output = T>,
    ) -> Option<T> {
        // The timer is created inside the future, because it needs the runtime's context.
        self.block_on(async { timeout(within, what).await.ok() })
    }
}

/// Starts the runtime's thread, which runs until the process ends.
fn start() -> io::Result<Handle> {
    let (tell, told) = sync_channel(1);
    thread::Builder::new().name(THREAD.into()).spawn(move || run(&tell))?;
    told.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// Runs the runtime. It is created on its own thread, so that it is never dropped on another
/// thread, which might not be allowed to block.
fn run(tell: &SyncSender<io::Result<Handle>>) {
    match build(HANDLERS_MAX) {
        Ok(runtime) => {
            let _ = tell.send(Ok(runtime.handle().clone()));
            runtime.block_on(pending::<()>());
        }
        Err(error) => {
            let _ = tell.send(Err(error));
        }
    }
}

fn build(handlers_max: usize) -> io::Result<tokio::runtime::Runtime> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name(HANDLER_THREAD)
        .max_blocking_threads(handlers_max)
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Barrier};

    use super::*;

    #[test]
    fn so_many_handlers_run_at_once_and_no_more() {
        let runtime = build(3).unwrap();
        let (together, running) = (Arc::new(Barrier::new(3)), Arc::new(AtomicUsize::new(0)));
        let handlers: Vec<_> = (0..9)
            .map(|_| {
                let (together, running) = (Arc::clone(&together), Arc::clone(&running));
                runtime.spawn_blocking(move || {
                    let most = running.fetch_add(1, Ordering::SeqCst) + 1;
                    together.wait();
                    running.fetch_sub(1, Ordering::SeqCst);
                    most
                })
            })
            .collect();
        for handler in handlers {
            assert!(runtime.block_on(handler).unwrap() <= 3);
        }
    }
}
