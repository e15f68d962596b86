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
    pub(crate) fn new(parts: u32) -> Self {
        let counted = (parts != CREDIT_UNLIMITED).then(|| Arc::new(Semaphore::new(parts as usize)));
        Self { parts: counted }
    }

    /// So many more. What is beyond the largest number that can be counted is left out.
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
