//! Automatic restart of failed tasks with back-off: an extension, off unless asked for.
//!
//! The original never restarts a failed task by itself. Here `errors.restart.max.attempts` says how often a task may be
//! started again after it has failed; between the failure and the next start it is FAILED with its trace, so that nothing
//! is hidden. A task that has run for `errors.restart.reset.ms` has earned all its attempts again.

use std::time::Duration;

use super::settings::number;
use crate::config::def::{ConfigKey, ConfigType, Importance, Rule};
use crate::plugin::{Settings, TaskError};

/// The settings, for the table of what every connector has.
pub const KEYS: [ConfigKey; 4] = [
    ConfigKey::with_default(
        MAX_ATTEMPTS,
        ConfigType::Int,
        "0",
        Importance::Medium,
        "How often a task that has failed is started again by itself: 0 never, -1 without end. A task that has run for errors.restart.reset.ms has all attempts again.",
    )
    .checked(Rule::AtLeast(-1)),
    ConfigKey::with_default(
        INITIAL,
        ConfigType::Long,
        "1000",
        Importance::Low,
        "Pause in milliseconds before a failed task is started again for the first time; it doubles with each attempt.",
    )
    .checked(Rule::AtLeast(0)),
    ConfigKey::with_default(
        MAX,
        ConfigType::Long,
        "60000",
        Importance::Low,
        "The longest pause in milliseconds before a failed task is started again.",
    )
    .checked(Rule::AtLeast(0)),
    ConfigKey::with_default(
        RESET,
        ConfigType::Long,
        "600000",
        Importance::Low,
        "After so many milliseconds without a failure earlier failures are forgotten.",
    )
    .checked(Rule::AtLeast(0)),
];

const MAX_ATTEMPTS: &str = "errors.restart.max.attempts";
const INITIAL: &str = "errors.restart.backoff.initial.ms";
const MAX: &str = "errors.restart.backoff.max.ms";
const RESET: &str = "errors.restart.reset.ms";

/// How often and when a failed task starts again.
#[derive(Debug, Clone)]
pub struct RestartPolicy {
    /// `None`: without end.
    attempts_max: Option<u32>,
    initial: Duration,
    max: Duration,
    reset: Duration,
    attempts: u32,
}

impl RestartPolicy {
    /// Reads a connector's settings.
    ///
    /// # Errors
    /// A value that is no number.
    pub fn new(settings: &Settings) -> Result<RestartPolicy, TaskError> {
        let millis = |key: &str, default: u64| number(settings, key, default).map(Duration::from_millis);
        Ok(RestartPolicy {
            attempts_max: u32::try_from(number::<i64>(settings, MAX_ATTEMPTS, 0)?).ok(),
            initial: millis(INITIAL, 1_000)?,
            max: millis(MAX, 60_000)?,
            reset: millis(RESET, 600_000)?,
            attempts: 0,
        })
    }

    /// The pause before the next start of a task that has failed after it ran for `ran`; `None`: it stays failed.
    pub fn after_failure(&mut self, ran: Duration) -> Option<Duration> {
        if ran >= self.reset {
            self.attempts = 0;
        }
        if self.attempts_max.is_some_and(|max| self.attempts >= max) {
            return None;
        }
        let doubled = self.initial.saturating_mul(2_u32.saturating_pow(self.attempts));
        self.attempts += 1;
        Some(doubled.min(self.max))
    }

    /// How often it was started again since the last reset.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(pairs: &[(&str, &str)]) -> RestartPolicy {
        let settings = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        RestartPolicy::new(&settings).unwrap()
    }

    #[test]
    fn a_failed_task_stays_failed_unless_asked_for() {
        assert_eq!(policy(&[]).after_failure(Duration::ZERO), None);
    }

    #[test]
    fn pauses_double_up_to_the_limit_and_attempts_end() {
        let mut policy = policy(&[(MAX_ATTEMPTS, "3"), (INITIAL, "100"), (MAX, "150")]);
        let pauses: Vec<_> = (0..4).map(|_| policy.after_failure(Duration::from_secs(1))).collect();
        let ms = |ms| Some(Duration::from_millis(ms));
        assert_eq!(pauses, [ms(100), ms(150), ms(150), None]);
    }

    #[test]
    fn a_long_run_earns_all_attempts_again() {
        let mut policy = policy(&[(MAX_ATTEMPTS, "1"), (RESET, "1000")]);
        assert!(policy.after_failure(Duration::ZERO).is_some());
        assert!(policy.after_failure(Duration::from_millis(999)).is_none());
        assert!(policy.after_failure(Duration::from_secs(1)).is_some());
    }

    #[test]
    fn minus_one_never_gives_up() {
        let mut policy = policy(&[(MAX_ATTEMPTS, "-1")]);
        assert!((0..1000).all(|_| policy.after_failure(Duration::ZERO).is_some()));
        assert_eq!(policy.after_failure(Duration::ZERO), Some(Duration::from_secs(60)));
    }
}
