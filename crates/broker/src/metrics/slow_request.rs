//! The log of slow requests: one line a request that took longer than `milena.log.slow.request.ms`, but only a few a second.
//!
//! What a client waits for by its own wish (a long poll, a rebalance) is not slowness of the broker and does not count.

use std::time::{Duration, Instant};

use milena_protocol::ApiKey;
use parking_lot::Mutex;

use super::requests::{RequestTimer, RequestTimes};
use crate::api::ClientConnection;

/// Lines that are written in one second; the rest is only counted.
const LINES_PER_SECOND: u32 = 10;

/// Decides what is slow, and says so.
pub(crate) struct SlowRequests {
    threshold: Option<Duration>,
    second: Mutex<Second>,
}

struct Second {
    began: Instant,
    written: u32,
    suppressed: u64,
}

impl SlowRequests {
    /// Requests above `threshold` are slow; with `None` none is.
    pub(crate) fn new(threshold: Option<Duration>) -> SlowRequests {
        SlowRequests { threshold, second: Mutex::new(Second { began: Instant::now(), written: 0, suppressed: 0 }) }
    }

    /// Writes a line if the request was slow.
    pub(crate) fn finished(&self, client: &ClientConnection, timer: &RequestTimer, times: &RequestTimes) {
        let Some(threshold) = self.threshold else { return };
        if times.total < threshold {
            return;
        }
        let key = ApiKey::try_from(timer.key).ok();
        let spent = if key.is_some_and(waits_by_wish) { times.total.saturating_sub(times.remote) } else { times.total };
        if spent < threshold {
            return;
        }
        let Some(suppressed) = self.second.lock().admit(Instant::now()) else { return };
        tracing::warn!(
            target: "milena_broker::slow_request",
            api = key.map_or("unknown", ApiKey::name),
            version = timer.version,
            correlation_id = timer.correlation_id,
            peer = %client.peer,
            listener = %client.listener.name,
            request_bytes = timer.request_bytes,
            response_bytes = timer.response_bytes,
            total_ms = ms(times.total),
            local_ms = ms(timer.local),
            remote_ms = ms(times.remote),
            send_ms = ms(times.send),
            throttle_ms = ms(timer.throttle),
            suppressed,
            "slow request"
        );
    }
}

impl Second {
    /// The number of lines that were left out before this one, or `None` to leave this one out too.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.began) >= Duration::from_secs(1) {
            self.began = now;
            self.written = 0;
        }
        if self.written >= LINES_PER_SECOND {
            self.suppressed += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

fn waits_by_wish(key: ApiKey) -> bool {
    matches!(key, ApiKey::Fetch | ApiKey::ShareFetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

fn ms(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_slow_requests_does_not_flood_the_log() {
        let now = Instant::now();
        let mut second = Second { began: now, written: 0, suppressed: 0 };
        let written = (0..50).filter(|_| second.admit(now).is_some()).count();
        assert_eq!(written, LINES_PER_SECOND as usize);
        assert_eq!(second.admit(now + Duration::from_secs(1)), Some(40), "the next line says how many are missing");
    }
}
