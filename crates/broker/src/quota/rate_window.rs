//! A rate over the last few windows, and how long to pause for it to come down to a bound.
//!
//! The measurement is Kafka's (`SampledStat` and `Rate`): a sample is begun by the first event after the previous one's window
//! has passed, and the elapsed time is at least all windows but one, so that a client that has just come is not punished for its
//! first burst. A clock that is set back starts the measurement anew; else what was recorded before would count until the
//! clock has caught up.

use std::collections::VecDeque;

/// How many windows of which length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    /// `quota.window.num`
    pub(crate) count: u32,
    /// `quota.window.size.seconds` in milliseconds.
    pub(crate) length_ms: i64,
}

impl Windows {
    /// All windows together in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        f64::from(self.count) * self.length_ms as f64 / 1000.0
    }

    fn span_ms(&self) -> i64 {
        i64::from(self.count) * self.length_ms
    }
}

struct Sample {
    began_ms: i64,
    last_event_ms: i64,
    sum: f64,
}

/// The sums of the last windows.
pub(crate) struct RateWindow {
    windows: Windows,
    samples: VecDeque<Sample>,
}

impl RateWindow {
    pub(crate) fn new(windows: Windows) -> RateWindow {
        RateWindow { windows, samples: VecDeque::new() }
    }

    /// Adds `value`, which may be negative to take something back.
    pub(crate) fn record(&mut self, value: f64, now_ms: i64) {
        let length_ms = self.windows.length_ms;
        let current = self.samples.back().is_some_and(|sample| (now_ms - sample.began_ms).abs() < length_ms);
        if !current {
            if self.samples.len() > self.windows.count as usize {
                self.samples.pop_front();
            }
            self.samples.push_back(Sample { began_ms: now_ms, last_event_ms: now_ms, sum: 0.0 });
        }
        if let Some(sample) = self.samples.back_mut() {
            sample.sum += value;
            sample.last_event_ms = now_ms;
        }
    }

    /// What was recorded per second.
    pub(crate) fn rate(&mut self, now_ms: i64) -> f64 {
        let elapsed_ms = self.elapsed_ms(now_ms);
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        sum / (elapsed_ms.max(1) as f64 / 1000.0)
    }

    /// Milliseconds until the rate is down to `bound` if nothing else is recorded; 0 while it is not above.
    pub(crate) fn throttle_ms(&mut self, bound: f64, now_ms: i64) -> i64 {
        let rate = self.rate(now_ms);
        if rate <= bound {
            return 0;
        }
        let wait_ms = (rate - bound) / bound * self.elapsed_ms(now_ms) as f64;
        // A bound of zero makes this infinite; a cast saturates.
        wait_ms.round() as i64
    }

    /// True when nothing of what was recorded counts any more.
    pub(crate) fn is_idle(&mut self, now_ms: i64) -> bool {
        self.forget(now_ms);
        self.samples.is_empty()
    }

    fn elapsed_ms(&mut self, now_ms: i64) -> i64 {
        self.forget(now_ms);
        let elapsed_ms = self.samples.front().map_or(0, |oldest| (now_ms - oldest.began_ms).max(0));
        let full_windows = elapsed_ms / self.windows.length_ms;
        let missing = i64::from(self.windows.count) - 1 - full_windows;
        elapsed_ms + missing.max(0) * self.windows.length_ms
    }

    fn forget(&mut self, now_ms: i64) {
        // Threads read the clock a little before they get here, so a moment ahead is not the future.
        let ages = 1 - self.windows.length_ms..self.windows.span_ms();
        self.samples.retain(|sample| ages.contains(&(now_ms - sample.last_event_ms)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KAFKAS: Windows = Windows { count: 11, length_ms: 1000 };

    #[test]
    fn a_first_burst_counts_as_if_ten_seconds_had_passed() {
        let mut window = RateWindow::new(KAFKAS);
        window.record(1_000_000.0, 5_000);
        assert_eq!(window.rate(5_000), 100_000.0);
        assert_eq!(window.throttle_ms(100_000.0, 5_000), 0);
        // Twice the bound over ten seconds takes ten more to come down.
        assert_eq!(window.throttle_ms(50_000.0, 5_000), 10_000);
    }

    #[test]
    fn a_steady_rate_below_the_bound_is_never_throttled() {
        let mut window = RateWindow::new(KAFKAS);
        for second in 0..100 {
            window.record(900.0, second * 1000);
            assert_eq!(window.throttle_ms(1000.0, second * 1000), 0, "second {second}");
        }
    }

    #[test]
    fn after_the_pause_it_was_told_a_client_is_within_its_quota() {
        let mut window = RateWindow::new(KAFKAS);
        let mut now = 0;
        for _ in 0..50 {
            window.record(30_000.0, now);
            let pause = window.throttle_ms(1000.0, now);
            now += pause.max(10);
            assert!(window.rate(now) <= 1001.0, "{} at {now}", window.rate(now));
        }
    }

    #[test]
    fn old_windows_are_forgotten() {
        let mut window = RateWindow::new(KAFKAS);
        window.record(5000.0, 0);
        assert!(!window.is_idle(10_999));
        assert!(window.is_idle(11_000));
        assert_eq!(window.rate(11_000), 0.0);
    }

    #[test]
    fn a_clock_set_back_starts_the_measurement_anew() {
        let mut window = RateWindow::new(KAFKAS);
        window.record(5_000_000.0, 100_000_000);
        window.record(1000.0, 50_000);
        assert_eq!(window.rate(50_000), 100.0);
        assert_eq!(window.throttle_ms(100.0, 50_000), 0);
        window.record(1000.0, 49_990);
        assert_eq!(window.rate(50_000), 200.0, "a moment is no jump");
    }

    #[test]
    fn a_bound_of_zero_pauses_as_long_as_a_number_can_say() {
        let mut window = RateWindow::new(KAFKAS);
        window.record(1.0, 0);
        assert_eq!(window.throttle_ms(0.0, 0), i64::MAX);
    }
}
