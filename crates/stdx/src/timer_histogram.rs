//! Durations of the last minutes, for quantiles: recording is one relaxed addition, quantiles are computed when asked for.
//!
//! Buckets grow by an eighth of a power of two, so a quantile is at most 12 % off. Every bucket is counted for the running
//! minute; the minutes that have passed the horizon are forgotten as a whole, much as Kafka's reservoirs favour the last
//! five minutes.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How many minutes are looked at, the running one included.
const MINUTES: usize = 4;
/// Durations below this many microseconds have a bucket each.
const EXACT_US: u64 = 16;
const STEPS_PER_OCTAVE: u64 = 8;
/// Enough for 19 hours.
const BUCKETS: usize = 272;

/// A histogram of durations.
pub struct TimerHistogram {
    minutes: [Minute; MINUTES],
}

impl Default for TimerHistogram {
    fn default() -> TimerHistogram {
        TimerHistogram::new()
    }
}

struct Minute {
    /// Which minute of the process the counts belong to.
    number: AtomicU64,
    counts: [AtomicU32; BUCKETS],
}

impl TimerHistogram {
    /// A histogram without counts.
    pub fn new() -> TimerHistogram {
        let minute = |_| Minute { number: AtomicU64::new(0), counts: [const { AtomicU32::new(0) }; BUCKETS] };
        TimerHistogram { minutes: std::array::from_fn(minute) }
    }

    /// Counts `duration`; `uptime` says in which minute.
    pub fn record(&self, duration: Duration, uptime: Duration) {
        let number = uptime.as_secs() / 60;
        let minute = &self.minutes[number as usize % MINUTES];
        let found = minute.number.load(Relaxed);
        // Whoever enters a new minute first clears it. A count that slips in between is lost, which no quantile shows.
        if found != number && minute.number.compare_exchange(found, number, Relaxed, Relaxed).is_ok() {
            minute.counts.iter().for_each(|count| count.store(0, Relaxed));
        }
        minute.counts[bucket_of(duration)].fetch_add(1, Relaxed);
    }

    /// The `wanted` quantiles in milliseconds, or `None` when nothing was counted lately.
    pub fn quantiles_ms<const N: usize>(&self, wanted: [f64; N], uptime: Duration) -> Option<[f64; N]> {
        let counts = self.recent(uptime);
        let total: u64 = counts.iter().sum();
        (total > 0).then(|| wanted.map(|quantile| value_at(&counts, quantile, total)))
    }

    fn recent(&self, uptime: Duration) -> Vec<u64> {
        let now = uptime.as_secs() / 60;
        let mut sums = vec![0; BUCKETS];
        for minute in &self.minutes {
            if minute.number.load(Relaxed) + MINUTES as u64 > now {
                for (sum, count) in sums.iter_mut().zip(&minute.counts) {
                    *sum += u64::from(count.load(Relaxed));
                }
            }
        }
        sums
    }
}

fn value_at(counts: &[u64], quantile: f64, total: u64) -> f64 {
    let rank = ((quantile * total as f64).ceil() as u64).clamp(1, total);
    let mut seen = 0;
    let reached = counts.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    let bucket = reached.unwrap_or(BUCKETS - 1);
    let middle_us = (lower_bound_us(bucket) + lower_bound_us(bucket + 1)) as f64 / 2.0;
    middle_us / 1000.0
}

fn bucket_of(duration: Duration) -> usize {
    let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    if us < EXACT_US {
        return us as usize;
    }
    let octave = u64::from(us.ilog2());
    let step = (us >> (octave - 3)) & (STEPS_PER_OCTAVE - 1);
    let bucket = EXACT_US + (octave - 4) * STEPS_PER_OCTAVE + step;
    (bucket as usize).min(BUCKETS - 1)
}

fn lower_bound_us(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < EXACT_US {
        return bucket;
    }
    let (octave, step) = ((bucket - EXACT_US) / STEPS_PER_OCTAVE + 4, (bucket - EXACT_US) % STEPS_PER_OCTAVE);
    (STEPS_PER_OCTAVE + step) << (octave - 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_bucket() {
        for us in (0..5_000_000u64).step_by(37).chain(0..4096) {
            let bucket = bucket_of(Duration::from_micros(us));
            assert!(lower_bound_us(bucket) <= us && us < lower_bound_us(bucket + 1), "{us} us in bucket {bucket}");
        }
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_at_most_an_eighth_off() {
        let histogram = TimerHistogram::new();
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms), Duration::ZERO);
        }
        let [median, p99] = histogram.quantiles_ms([0.5, 0.99], Duration::ZERO).unwrap();
        assert!((median - 500.0).abs() < 63.0, "{median}");
        assert!((p99 - 990.0).abs() < 124.0, "{p99}");
    }

    #[test]
    fn what_happened_minutes_ago_is_forgotten() {
        let histogram = TimerHistogram::new();
        let minute = |number: u64| Duration::from_secs(number * 60);
        histogram.record(Duration::from_secs(9), minute(0));
        histogram.record(Duration::from_millis(2), minute(3));
        assert!(histogram.quantiles_ms([1.0], minute(3)).unwrap()[0] > 8000.0);
        assert!(histogram.quantiles_ms([1.0], minute(4)).unwrap()[0] < 3.0);
        assert_eq!(histogram.quantiles_ms([1.0], minute(9)), None);
        histogram.record(Duration::from_millis(5), minute(8));
        assert!(histogram.quantiles_ms([0.0], minute(8)).unwrap()[0] > 4.0, "the slot of minute 0 was cleared");
    }
}
