//! The settings of one share group: its own, kept inside the broker's bounds, else the broker's.

use std::time::Duration;

use milena_log::ReadLimit;
use milena_metadata::{BrokerConfig, ClusterImage};

/// Where a share partition begins that nobody has read yet (`share.auto.offset.reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the end of the log.
    Latest,
    /// At its beginning.
    Earliest,
    /// At the first record not older than this.
    ByDuration(Duration),
}

/// Settings of one share group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareSettings {
    /// `share.record.lock.duration.ms`
    pub record_lock_ms: i64,
    /// `share.delivery.count.limit`
    pub deliveries_max: i16,
    /// `share.partition.max.record.locks`
    pub max_in_flight: i64,
    /// `share.auto.offset.reset`
    pub offset_reset: OffsetReset,
    /// `share.isolation.level`
    pub upto: ReadLimit,
    /// `share.renew.acknowledge.enable`
    pub renewable: bool,
}

impl ShareSettings {
    /// The settings of `group`.
    pub fn of(group: &str, image: &ClusterImage, config: &BrokerConfig) -> ShareSettings {
        let own = |key: &str| image.group_config(group, key);
        let number = |key: &str| config.value(key).and_then(|text| text.trim().parse::<i64>().ok());
        let bounded = |key: &str, broker: &str, default: i64| {
            let min = number(&format!("group.share.min.{broker}")).unwrap_or(i64::MIN);
            let max = number(&format!("group.share.max.{broker}")).unwrap_or(i64::MAX);
            let broker_value = number(&format!("group.share.{broker}")).unwrap_or(default);
            match own(key).and_then(|text| text.trim().parse::<i64>().ok()) {
                Some(value) => value.max(min).min(max),
                None => broker_value,
            }
        };
        let deliveries_max = bounded("share.delivery.count.limit", "delivery.count.limit", 5);
        ShareSettings {
            record_lock_ms: bounded("share.record.lock.duration.ms", "record.lock.duration.ms", 30_000),
            deliveries_max: i16::try_from(deliveries_max).unwrap_or(i16::MAX),
            max_in_flight: bounded("share.partition.max.record.locks", "partition.max.record.locks", 2_000),
            offset_reset: own("share.auto.offset.reset")
                .and_then(|text| offset_reset(&text))
                .unwrap_or(OffsetReset::Latest),
            upto: match own("share.isolation.level").as_deref() {
                Some(level) if level.eq_ignore_ascii_case("read_committed") => ReadLimit::LastStable,
                _ => ReadLimit::HighWatermark,
            },
            renewable: own("share.renew.acknowledge.enable").is_none_or(|text| text.trim() != "false"),
        }
    }
}

fn offset_reset(text: &str) -> Option<OffsetReset> {
    match text.trim().to_ascii_lowercase().as_str() {
        "latest" => Some(OffsetReset::Latest),
        "earliest" => Some(OffsetReset::Earliest),
        other => iso_duration(other.strip_prefix("by_duration:")?).map(OffsetReset::ByDuration),
    }
}

/// An ISO 8601 duration of days, hours, minutes and seconds, in lower case: `p1dt2h3m4.5s`.
fn iso_duration(text: &str) -> Option<Duration> {
    let mut seconds = 0f64;
    let mut number = String::new();
    for letter in text.strip_prefix('p')?.chars() {
        let unit = match letter {
            't' => continue,
            'd' => 86_400.0,
            'h' => 3_600.0,
            'm' => 60.0,
            's' => 1.0,
            digit => {
                number.push(digit);
                continue;
            }
        };
        seconds += number.parse::<f64>().ok()? * unit;
        number.clear();
    }
    number.is_empty().then_some(())?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_iso_8601() {
        assert_eq!(offset_reset("by_duration:PT1H"), Some(OffsetReset::ByDuration(Duration::from_secs(3_600))));
        assert_eq!(
            offset_reset("by_duration:P1DT1M1.5S"),
            Some(OffsetReset::ByDuration(Duration::from_millis(86_461_500)))
        );
        assert_eq!(offset_reset("by_duration:1h"), None);
        assert_eq!(offset_reset("by_duration:PT5"), None);
        assert_eq!(offset_reset("Earliest"), Some(OffsetReset::Earliest));
    }
}
