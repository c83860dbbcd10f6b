//! What one request of a connection costs, told by the handler to the connection.
//!
//! Requests of a connection are served one after the other, so one cell a connection is enough.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Costs of the request that is being served.
#[derive(Debug, Default)]
pub(crate) struct RequestFlow {
    request_bytes: AtomicUsize,
    local_ns: AtomicU64,
    /// Of that, what has been charged to the client's quota.
    charged_ns: AtomicU64,
    /// Since when a thread is working on the request.
    working_since: Mutex<Option<Instant>>,
    throttle_ms: AtomicU32,
}

impl RequestFlow {
    /// A request of `bytes` is about to be served.
    pub(crate) fn begin(&self, bytes: usize) {
        self.request_bytes.store(bytes, Relaxed);
        self.local_ns.store(0, Relaxed);
        self.charged_ns.store(0, Relaxed);
        self.throttle_ms.store(0, Relaxed);
    }

    /// The size of the request's frame.
    pub(crate) fn request_bytes(&self) -> usize {
        self.request_bytes.load(Relaxed)
    }

    /// A thread has worked on the request for this long outside of [`measured`].
    pub(crate) fn worked(&self, time: Duration) {
        self.local_ns.fetch_add(nanoseconds(time), Relaxed);
    }

    /// A thread begins to work on the request.
    fn resume(&self) {
        *self.working_since.lock() = Some(Instant::now());
    }

    /// The thread leaves the request.
    fn pause(&self) {
        if let Some(since) = self.working_since.lock().take() {
            self.worked(since.elapsed());
        }
    }

    /// The time that threads have worked up to now, without what an earlier call has returned.
    pub(crate) fn charge(&self) -> Duration {
        let now = self.working_since.lock().map_or(Duration::ZERO, |since| since.elapsed());
        let worked_ns = self.local_ns.load(Relaxed).saturating_add(nanoseconds(now));
        Duration::from_nanos(worked_ns.saturating_sub(self.charged_ns.swap(worked_ns, Relaxed)))
    }

    /// How long threads have worked on the request.
    pub(crate) fn local(&self) -> Duration {
        Duration::from_nanos(self.local_ns.load(Relaxed))
    }

    /// The client has to pause for at least `throttle_ms`.
    pub(crate) fn throttle(&self, throttle_ms: u32) {
        self.throttle_ms.fetch_max(throttle_ms, Relaxed);
    }

    /// Milliseconds that the client has to pause.
    pub(crate) fn throttle_ms(&self) -> u32 {
        self.throttle_ms.load(Relaxed)
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Runs `work` and counts the time that threads spend in it; time in which it waits is not counted.
pub(crate) async fn measured<F: Future + Unpin>(flow: &RequestFlow, mut work: F) -> F::Output {
    std::future::poll_fn(|context| {
        flow.resume();
        let polled = std::pin::Pin::new(&mut work).poll(context);
        flow.pause();
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_is_not_working() {
        let flow = RequestFlow::default();
        flow.begin(10);
        measured(&flow, Box::pin(tokio::time::sleep(Duration::from_millis(50)))).await;
        assert!(flow.local() < Duration::from_millis(25), "{:?}", flow.local());
        flow.throttle(7);
        flow.throttle(3);
        assert_eq!(flow.throttle_ms(), 7);
        flow.charge();
        assert_eq!(flow.charge(), Duration::ZERO, "nothing is charged twice");
        flow.begin(0);
        assert_eq!((flow.throttle_ms(), flow.local()), (0, Duration::ZERO));
    }
}
