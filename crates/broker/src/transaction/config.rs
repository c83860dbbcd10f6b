//! The settings of the transaction coordinator.

use std::time::Duration;

use milena_metadata::BrokerConfig;

/// Settings that are fixed while the broker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`
    pub timeout_ms_max: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
    pub abort_timed_out_interval: Duration,
    /// `transactional.id.expiration.ms`
    pub id_expiration_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`
    pub remove_expired_interval: Duration,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        TransactionConfig {
            timeout_ms_max: 900_000,
            abort_timed_out_interval: Duration::from_secs(10),
            id_expiration_ms: 604_800_000,
            remove_expired_interval: Duration::from_secs(3600),
        }
    }
}

impl TransactionConfig {
    /// The settings of a broker.
    pub fn of(config: &BrokerConfig) -> TransactionConfig {
        let default = TransactionConfig::default();
        // A value that is no number was refused when the configuration was read.
        let number = |key: &str, default: i64| config.value(key).and_then(|text| text.parse().ok()).unwrap_or(default);
        let interval = |key: &str, default: Duration| {
            let ms = number(key, i64::try_from(default.as_millis()).unwrap_or(i64::MAX));
            Duration::from_millis(ms.max(1).unsigned_abs())
        };
        let timeout_ms_max = number("transaction.max.timeout.ms", i64::from(default.timeout_ms_max));
        TransactionConfig {
            timeout_ms_max: i32::try_from(timeout_ms_max).unwrap_or(i32::MAX),
            abort_timed_out_interval: interval(
                "transaction.abort.timed.out.transaction.cleanup.interval.ms",
                default.abort_timed_out_interval,
            ),
            id_expiration_ms: number("transactional.id.expiration.ms", default.id_expiration_ms),
            remove_expired_interval: interval(
                "transaction.remove.expired.transaction.cleanup.interval.ms",
                default.remove_expired_interval,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_properties_file_reach_their_fields() {
        let pairs = [
            ("transaction.max.timeout.ms", "5000"),
            ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "100"),
            ("transactional.id.expiration.ms", "60000"),
            ("transaction.remove.expired.transaction.cleanup.interval.ms", "200"),
        ];
        let config = TransactionConfig::of(&BrokerConfig::from_pairs(&pairs).unwrap());
        let expected = TransactionConfig {
            timeout_ms_max: 5000,
            abort_timed_out_interval: Duration::from_millis(100),
            id_expiration_ms: 60_000,
            remove_expired_interval: Duration::from_millis(200),
        };
        assert_eq!(config, expected);
        assert_eq!(TransactionConfig::of(&BrokerConfig::default()), TransactionConfig::default());
    }
}
