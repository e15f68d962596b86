//! How many parts of a reply its client takes.

use std::sync::Arc;

use majordomus_core::CREDIT_UNLIMITED;
use tokio::sync::Semaphore;

/// How many parts of one reply may be sent. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Credit {
    /// None where nobody counts.
    parts: Option<Arc<Semaphore>>,
}

impl Credit {
    /// So many. What is beyond the largest number that can be counted is left out.
    pub(crate) fn new(parts: u32) -> Self {
        let countable = Semaphore::MAX_PERMITS.min(parts as usize);
        let counted = parts != CREDIT_UNLIMITED;
        Self { parts: counted.then(|| Arc::new(Semaphore::new(countable))) }
    }

    /// So many more, with the same limit.
    pub(crate) fn add(&self, more: u32) {
        if let Some(parts) = &self.parts {
            let room = Semaphore::MAX_PERMITS.saturating_sub(parts.available_permits());
            parts.add_permits(room.min(more as usize));
        }
    }

    /// Waits until one more may be sent, and takes that.
    pub(crate) async fn take(&self) {
        if let Some(parts) = &self.parts
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
        let credit = Credit::new(CREDIT_UNLIMITED - 1);
        for _ in 0..10 {
            credit.add(u32::MAX);
            credit.take().await;
        }
        let most = Semaphore::MAX_PERMITS;
        let credit = Credit { parts: Some(Arc::new(Semaphore::new(most))) };
        credit.add(u32::MAX);
        credit.take().await;
        assert_eq!(credit.parts.unwrap().available_permits(), most - 1);
    }
}
