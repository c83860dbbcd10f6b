//! How many pull queries a server takes: at a time, and in a second.

use std::sync::Arc;
use std::time::Instant;

use milena_sql::catalog::Settings;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Failure, Result};

const QPS: &str = "ksql.query.pull.max.qps";
const CONCURRENT: &str = "ksql.query.pull.max.concurrent.requests";

/// The limits, with what is left of them.
pub struct PullLimits {
    per_second: f64,
    allowance: Mutex<Allowance>,
    concurrent: usize,
    places: Arc<Semaphore>,
}

/// What a server that was idle has saved up, a second's worth at most.
struct Allowance {
    saved: f64,
    as_of: Instant,
}

/// A query's place, given back when it is dropped.
pub struct PullPlace {
    _place: OwnedSemaphorePermit,
}

impl PullLimits {
    /// As the operator has set them.
    pub fn new(settings: &Settings) -> PullLimits {
        let limit = |name: &str| settings.integer(name).and_then(|limit| u32::try_from(limit).ok()).unwrap_or(u32::MAX);
        let concurrent = usize::try_from(limit(CONCURRENT)).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        PullLimits {
            per_second: f64::from(limit(QPS)),
            // The first query need not wait.
            allowance: Mutex::new(Allowance { saved: 1.0, as_of: Instant::now() }),
            concurrent,
            places: Arc::new(Semaphore::new(concurrent)),
        }
    }

    /// Admits a query.
    ///
    /// # Errors
    /// Too many queries in the last second, or at work.
    pub fn admit(&self) -> Result<PullPlace> {
        if !self.allowance.lock().take(self.per_second, Instant::now()) {
            let message =
                format!("Host is at rate limit for pull queries. Currently set to {:?} qps.", self.per_second);
            return Err(Failure::new(Failure::TOO_MANY_REQUESTS, message));
        }
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            let message = format!(
                "Host is at concurrency limit for pull queries. Currently set to {} maximum concurrent operations.",
                self.concurrent
            );
            Failure::new(Failure::BAD_REQUEST, message)
        })?;
        Ok(PullPlace { _place: place })
    }
}

impl Allowance {
    fn take(&mut self, per_second: f64, now: Instant) -> bool {
        let most = per_second.max(1.0);
        let earned = now.saturating_duration_since(self.as_of).as_secs_f64() * per_second;
        self.saved = (self.saved + earned).min(most);
        self.as_of = now;
        let is_enough = self.saved >= 1.0;
        if is_enough {
            self.saved -= 1.0;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(pairs: &[(&str, &str)]) -> PullLimits {
        let mut settings = Settings::default();
        for (name, value) in pairs {
            settings.set(*name, *value);
        }
        PullLimits::new(&settings)
    }

    #[test]
    fn nothing_is_limited_by_default() {
        let limits = limits(&[]);
        let _places: Vec<PullPlace> = (0..1000).filter_map(|_| limits.admit().ok()).collect();
        assert!(limits.admit().is_ok());
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let limits = limits(&[(CONCURRENT, "1")]);
        let first = limits.admit().unwrap();
        let refused = limits.admit().err().unwrap();
        assert_eq!(refused.code, Failure::BAD_REQUEST);
        assert!(refused.message.ends_with("Currently set to 1 maximum concurrent operations."), "{}", refused.message);
        drop(first);
        assert!(limits.admit().is_ok());
    }

    #[test]
    fn queries_of_a_second_are_limited() {
        let limits = limits(&[(QPS, "2")]);
        assert!(limits.admit().is_ok());
        let refused = limits.admit().err().unwrap();
        assert_eq!(refused.code, Failure::TOO_MANY_REQUESTS);
        assert_eq!(refused.message, "Host is at rate limit for pull queries. Currently set to 2.0 qps.");
        let mut allowance = limits.allowance.lock();
        let later = allowance.as_of + Duration::from_secs(60);
        assert!(allowance.take(2.0, later) && allowance.take(2.0, later) && !allowance.take(2.0, later));
    }
}
