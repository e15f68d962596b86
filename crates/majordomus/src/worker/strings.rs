//! What reaches a handler while it runs.

use std::sync::Arc;

use majordomus_core::CREDIT_UNLIMITED;
use tokio::sync::Semaphore;

/// Says that nobody waits for the reply any more, and how many parts of it may be sent. Clones are the
/// same.
#[derive(Clone, Debug)]
pub(crate) struct Strings(Arc<Both>);

#[derive(Debug)]
struct Both {
    /// Has never a permit, and is closed when nobody waits any more.
    wanted: Semaphore,
    /// None where nobody counts.
    parts: Option<Semaphore>,
}

impl Both {
    fn new(parts: u32) -> Self {
        let countable = Semaphore::MAX_PERMITS.min(parts as usize);
        let parts = (parts != CREDIT_UNLIMITED).then(|| Semaphore::new(countable));
        Self { wanted: Semaphore::new(0), parts }
    }
}

impl Strings {
    /// For a reply of which so many parts may be sent. What is beyond the largest number that can be
    /// counted is left out.
    pub(crate) fn new(parts: u32) -> Self {
        Self(Arc::new(Both::new(parts)))
    }

    /// The same for another reply, in the same memory where nobody else has it.
    pub(crate) fn renewed(mut self, parts: u32) -> Self {
        match Arc::get_mut(&mut self.0) {
            Some(both) => {
                *both = Both::new(parts);
                self
            }
            None => Self::new(parts),
        }
    }

    /// Nobody waits any more.
    pub(crate) fn pull(&self) {
        self.0.wanted.close();
    }

    pub(crate) fn is_pulled(&self) -> bool {
        self.0.wanted.is_closed()
    }

    /// Returns when nobody waits any more. Can be dropped and called again.
    pub(crate) async fn pulled(&self) {
        let _ = self.0.wanted.acquire().await;
    }

    /// So many parts more, with the same limit.
    pub(crate) fn add(&self, more: u32) {
        if let Some(parts) = &self.0.parts {
            let room = Semaphore::MAX_PERMITS.saturating_sub(parts.available_permits());
            parts.add_permits(room.min(more as usize));
        }
    }

    /// Waits until one part more may be sent, and takes that.
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
        let strings = Strings::new(CREDIT_UNLIMITED - 1);
        for _ in 0..10 {
            strings.add(u32::MAX);
            strings.take().await;
        }
        let most = Semaphore::MAX_PERMITS;
        let parts = Some(Semaphore::new(most));
        let strings = Strings(Arc::new(Both { wanted: Semaphore::new(0), parts }));
        strings.add(u32::MAX);
        strings.take().await;
        assert_eq!(strings.0.parts.as_ref().unwrap().available_permits(), most - 1);
    }

    #[tokio::test]
    async fn all_who_wait_hear_that_nobody_does() {
        let strings = Strings::new(CREDIT_UNLIMITED);
        let (one, other) = (strings.clone(), strings.clone());
        let waiting = async { tokio::join!(one.pulled(), other.pulled()) };
        let pulling = async { strings.pull() };
        assert!(!strings.is_pulled());
        tokio::join!(waiting, pulling);
        strings.pulled().await;
        assert!(strings.is_pulled());
    }
}
