//! A bucket of tokens that fills at the rate of the quota, for requests that change metadata (KIP-599).
//!
//! An operation is admitted while the bucket is not overdrawn and may overdraw it itself: a single large request passes, and the
//! next one waits until the debt is paid.

use super::rate_window::Windows;

/// Tokens of one user or client.
pub(crate) struct TokenBucket {
    tokens: f64,
    updated_ms: Option<i64>,
}

impl TokenBucket {
    pub(crate) fn new() -> TokenBucket {
        TokenBucket { tokens: 0.0, updated_ms: None }
    }

    /// Takes `count` tokens, whether or not they are there.
    pub(crate) fn take(&mut self, count: f64, rate: f64, windows: Windows, now_ms: i64) {
        self.refill(rate, windows, now_ms);
        self.tokens -= count;
    }

    /// Milliseconds until the bucket is not overdrawn any more; 0 if it is not.
    pub(crate) fn throttle_ms(&mut self, rate: f64, windows: Windows, now_ms: i64) -> i64 {
        self.refill(rate, windows, now_ms);
        if self.tokens >= 0.0 { 0 } else { (-self.tokens / rate * 1000.0).round() as i64 }
    }

    fn refill(&mut self, rate: f64, windows: Windows, now_ms: i64) {
        let burst = rate * windows.seconds();
        self.tokens = match self.updated_ms {
            None => burst,
            Some(updated_ms) => burst.min(self.tokens + rate * (now_ms - updated_ms).max(0) as f64 / 1000.0),
        };
        self.updated_ms = Some(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: Windows = Windows { count: 11, length_ms: 1000 };

    #[test]
    fn one_operation_may_overdraw_and_the_next_waits_for_the_debt() {
        let mut bucket = TokenBucket::new();
        assert_eq!(bucket.throttle_ms(2.0, WINDOWS, 0), 0);
        bucket.take(30.0, 2.0, WINDOWS, 0);
        // 22 tokens were there, 8 are missing, 2 come every second.
        assert_eq!(bucket.throttle_ms(2.0, WINDOWS, 0), 4000);
        assert_eq!(bucket.throttle_ms(2.0, WINDOWS, 3000), 1000);
        assert_eq!(bucket.throttle_ms(2.0, WINDOWS, 4000), 0);
    }

    #[test]
    fn the_bucket_never_holds_more_than_its_burst() {
        let mut bucket = TokenBucket::new();
        bucket.take(0.0, 1.0, WINDOWS, 0);
        bucket.take(12.0, 1.0, WINDOWS, 1_000_000);
        assert_eq!(bucket.throttle_ms(1.0, WINDOWS, 1_000_000), 1000);
    }
}
