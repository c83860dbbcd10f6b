//! Limits of rates: so many permits a second, and no queue.

use std::time::Instant;

use parking_lot::Mutex;

/// Permits that come back evenly, at most those of one second at a time.
pub struct RateLimit {
    per_second: f64,
    state: Mutex<(f64, Instant)>,
}

impl RateLimit {
    /// `per_second` permits a second, all of the first one at once.
    pub fn new(per_second: u64) -> RateLimit {
        let per_second = per_second as f64;
        RateLimit { per_second, state: Mutex::new((per_second, Instant::now())) }
    }

    /// Takes `permits`, unless there are none. Who takes more than are left is let through and leaves a debt.
    pub fn admits(&self, permits: u64) -> bool {
        self.admits_at(permits, Instant::now())
    }

    fn admits_at(&self, permits: u64, now: Instant) -> bool {
        let mut state = self.state.lock();
        let (left, since) = *state;
        let left = (left + now.saturating_duration_since(since).as_secs_f64() * self.per_second).min(self.per_second);
        let admitted = left >= 1.0;
        *state = (if admitted { left - permits as f64 } else { left }, now);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn permits_come_back_with_time_and_a_large_request_is_paid_afterwards() {
        let limit = RateLimit::new(10);
        let start = Instant::now();
        assert!((0..10).all(|_| limit.admits_at(1, start)));
        assert!(!limit.admits_at(1, start));
        assert!(limit.admits_at(20, start + Duration::from_millis(200)));
        assert!(!limit.admits_at(1, start + Duration::from_millis(1500)));
        assert!(limit.admits_at(1, start + Duration::from_millis(2300)));
    }
}
