//! The two clocks of a process behind one trait, so that tests decide what time it is.
//!
//! `now_ms` is wall-clock time and may jump; it goes into records, files and answers. `monotonic` never jumps; it measures
//! time-outs.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_ms(&self) -> i64;

    /// A point on the monotonic clock.
    fn monotonic(&self) -> Instant;
}

/// The clocks of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the operating system for the time")]
    fn now_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
        }
    }

    #[allow(clippy::disallowed_methods, reason = "the one place that asks the operating system for the time")]
    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// A clock that stands still until a test moves it. Both of its clocks move together.
#[derive(Debug)]
pub struct MockClock {
    start: Instant,
    start_ms: i64,
    elapsed_ms: AtomicI64,
}

impl MockClock {
    /// A clock that shows `now_ms`.
    pub fn new(now_ms: i64) -> MockClock {
        MockClock { start: SystemClock.monotonic(), start_ms: now_ms, elapsed_ms: AtomicI64::new(0) }
    }

    /// Moves both clocks forward, in whole milliseconds.
    pub fn advance(&self, by: Duration) {
        self.advance_ms(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
    }

    /// Moves both clocks forward by `ms` milliseconds.
    pub fn advance_ms(&self, ms: i64) {
        self.elapsed_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Default for MockClock {
    /// A clock that shows a moment in September 2020.
    fn default() -> MockClock {
        MockClock::new(1_600_000_000_000)
    }
}

impl Clock for MockClock {
    fn now_ms(&self) -> i64 {
        self.start_ms + self.elapsed_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Instant {
        self.start + Duration::from_millis(u64::try_from(self.elapsed_ms.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mock_clock_stands_still_until_moved() {
        let clock = MockClock::new(1000);
        let start = clock.monotonic();
        assert_eq!(clock.now_ms(), 1000);
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now_ms(), 3000);
        assert_eq!(clock.monotonic() - start, Duration::from_secs(2));
    }

    #[test]
    fn system_clock_is_past_2020() {
        assert!(SystemClock.now_ms() > 1_577_836_800_000);
    }
}
