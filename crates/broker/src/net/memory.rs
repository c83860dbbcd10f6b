//! The bound on the memory that unfinished frames may hold, over all connections.
//!
//! A frame reserves memory as its bytes arrive, so an announced length costs nothing. When the pool is used up, readers
//! wait; to keep many half-read frames from waiting for each other for ever, exactly one of them at a time may overdraw.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Reservations are counted in pages of this many bytes.
const PAGE_BYTES: usize = 4096;

/// Memory for frames that are being read.
#[derive(Clone)]
pub(super) struct FrameMemory {
    pages: Arc<Semaphore>,
    overdraft: Arc<Semaphore>,
}

/// What one frame holds; given back when dropped.
#[derive(Default)]
pub(super) struct Reservation {
    pages: Option<OwnedSemaphorePermit>,
    overdraft: Option<OwnedSemaphorePermit>,
    reserved_bytes: usize,
}

impl FrameMemory {
    pub(super) fn new(limit_bytes: usize) -> FrameMemory {
        FrameMemory {
            pages: Arc::new(Semaphore::new((limit_bytes / PAGE_BYTES).clamp(1, Semaphore::MAX_PERMITS))),
            overdraft: Arc::new(Semaphore::new(1)),
        }
    }

    /// Grows `reservation` to `total_bytes`, waiting while other frames use the memory.
    pub(super) async fn grow(&self, reservation: &mut Reservation, total_bytes: usize) {
        if total_bytes <= reservation.reserved_bytes {
            return;
        }
        if reservation.overdraft.is_none() {
            let missing = total_bytes - reservation.reserved_bytes;
            let pages = u32::try_from(missing.div_ceil(PAGE_BYTES)).unwrap_or(u32::MAX);
            tokio::select! {
                biased;
                Ok(permit) = self.pages.clone().acquire_many_owned(pages) => reservation.add_pages(permit),
                Ok(permit) = self.overdraft.clone().acquire_owned() => reservation.overdraft = Some(permit),
                else => {}
            }
        }
        reservation.reserved_bytes = total_bytes;
    }
}

impl Reservation {
    fn add_pages(&mut self, permit: OwnedSemaphorePermit) {
        match &mut self.pages {
            Some(held) => held.merge(permit),
            None => self.pages = Some(permit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_frame_may_overdraw_so_that_half_read_frames_cannot_block_each_other() {
        let memory = FrameMemory::new(16 * PAGE_BYTES);
        let (mut first, mut second, mut third) = Default::default();
        memory.grow(&mut first, 10 * PAGE_BYTES).await;
        memory.grow(&mut second, 20 * PAGE_BYTES).await;
        let blocked =
            tokio::time::timeout(std::time::Duration::from_millis(20), memory.grow(&mut third, 10 * PAGE_BYTES));
        assert!(blocked.await.is_err(), "the overdraft is taken and the pool has only six pages");
        drop(second);
        memory.grow(&mut third, 10 * PAGE_BYTES).await;
        assert!(third.overdraft.is_some());
    }

    #[tokio::test]
    async fn a_finished_frame_gives_everything_back() {
        let memory = FrameMemory::new(4 * PAGE_BYTES);
        for _ in 0..100 {
            let mut frame = Reservation::default();
            memory.grow(&mut frame, PAGE_BYTES).await;
            memory.grow(&mut frame, 3 * PAGE_BYTES).await;
        }
        assert_eq!(memory.pages.available_permits(), 4);
        assert_eq!(memory.overdraft.available_permits(), 1);
    }
}
