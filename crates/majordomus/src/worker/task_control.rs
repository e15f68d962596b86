//! Cancellation and credit of a running handler.

use std::sync::Arc;

use majordomus_core::CREDIT_UNLIMITED;
use tokio::sync::Semaphore;

/// The cancellation and the credit of one reply: the signal that it is no longer needed, and the
/// number of parts that may be sent. Clones share the same state.
#[derive(Clone, Debug)]
pub(crate) struct TaskControl(Arc<Both>);

#[derive(Debug)]
struct Both {
    /// A semaphore without permits that is closed when the reply is no longer needed.
    wanted: Semaphore,
    /// The credit for parts. `None` if it is unlimited.
    parts: Option<Semaphore>,
}

impl Both {
    fn new(parts: u32) -> Self {
        let countable = Semaphore::MAX_PERMITS.min(parts as usize);
        let parts = (parts != CREDIT_UNLIMITED).then(|| Semaphore::new(countable));
        Self { wanted: Semaphore::new(0), parts }
    }
}

impl TaskControl {
    /// Creates the handle for a reply with a credit of `parts`, or of the largest number that can
    /// be counted.
    pub(crate) fn new(parts: u32) -> Self {
        Self(Arc::new(Both::new(parts)))
    }

    /// Resets the handle for another reply. Reuses its memory if there are no clones.
    pub(crate) fn renewed(mut self, parts: u32) -> Self {
        match Arc::get_mut(&mut self.0) {
            Some(both) => {
                *both = Both::new(parts);
                self
            }
            None => Self::new(parts),
        }
    }

    /// Signals that the reply is no longer needed.
    pub(crate) fn pull(&self) {
        self.0.wanted.close();
    }

    pub(crate) fn is_pulled(&self) -> bool {
        self.0.wanted.is_closed()
    }

    /// Waits until the reply is no longer needed. Can be dropped and called again.
    pub(crate) async fn pulled(&self) {
        let _ = self.0.wanted.acquire().await;
    }

    /// Adds credit for `more` parts, up to the largest number that can be counted.
    pub(crate) fn add(&self, more: u32) {
        if let Some(parts) = &self.0.parts {
            let room = Semaphore::MAX_PERMITS.saturating_sub(parts.available_permits());
            parts.add_permits(room.min(more as usize));
        }
    }

    /// Waits until one more part may be sent and takes its credit.
    pub(crate) async fn take(&self) {
        if let Some(parts) = &self.0.parts
            && let Ok(part) = parts.acquire().await
        {
            part.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_number_is_too_large() {
        let strings = TaskControl::new(CREDIT_UNLIMITED - 1);
        for _ in 0..10 {
            strings.add(u32::MAX);
            strings.take().await;
        }
        let most = Semaphore::MAX_PERMITS;
        let parts = Some(Semaphore::new(most));
        let strings = TaskControl(Arc::new(Both { wanted: Semaphore::new(0), parts }));
        strings.add(u32::MAX);
        strings.take().await;
        assert_eq!(strings.0.parts.as_ref().unwrap().available_permits(), most - 1);
    }

    #[tokio::test]
    async fn all_who_wait_hear_that_nobody_does() {
        let strings = TaskControl::new(CREDIT_UNLIMITED);
        let (one, other) = (strings.clone(), strings.clone());
        let waiting = async { tokio::join!(one.pulled(), other.pulled()) };
        let pulling = async { strings.pull() };
        assert!(!strings.is_pulled());
        tokio::join!(waiting, pulling);
        strings.pulled().await;
        assert!(strings.is_pulled());
    }
}
