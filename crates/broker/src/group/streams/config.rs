//! Settings of streams groups: the broker's, and what a single group may set instead.

use crate::group::topics::TopicsView;

/// Typed settings; every field names its Kafka key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsConfig {
    /// Whether the protocol is served (`group.coordinator.rebalance.protocols`).
    pub enabled: bool,
    /// Session timeout, in ms (`group.streams.session.timeout.ms`).
    pub session_timeout_ms: i32,
    /// Bounds of a group's own `streams.session.timeout.ms` (`group.streams.{min,max}.session.timeout.ms`).
    pub session_timeout_range_ms: (i32, i32),
    /// Heartbeat interval told to members, in ms (`group.streams.heartbeat.interval.ms`).
    pub heartbeat_interval_ms: i32,
    /// Bounds of a group's own `streams.heartbeat.interval.ms` (`group.streams.{min,max}.heartbeat.interval.ms`).
    pub heartbeat_interval_range_ms: (i32, i32),
    /// Shortest time between two assignments of one group, in ms (`group.streams.assignment.interval.ms`).
    pub assignment_interval_ms: i32,
    /// Bounds of a group's own `streams.assignment.interval.ms` (`group.streams.{min,max}.assignment.interval.ms`).
    pub assignment_interval_range_ms: (i32, i32),
    /// How long an empty group waits for more members, in ms (`group.streams.initial.rebalance.delay.ms`).
    pub initial_rebalance_delay_ms: i32,
    /// Most members (`group.streams.max.size`).
    pub max_size: usize,
    /// Standby tasks of each stateful task (`group.streams.num.standby.replicas`).
    pub num_standby_replicas: i32,
    /// Most standby tasks a group may ask for (`group.streams.max.standby.replicas`).
    pub max_standby_replicas: i32,
    /// How often members report how far their state is, in ms (`group.streams.task.offset.interval.ms`).
    pub task_offset_interval_ms: i32,
    /// Shortest such interval a group may set, in ms (`group.streams.min.task.offset.interval.ms`).
    pub min_task_offset_interval_ms: i32,
    /// Offsets that a state may lag and still count as caught up (`group.streams.acceptable.recovery.lag`).
    pub acceptable_recovery_lag: i64,
    /// Client tags over whose values standby tasks are spread (`group.streams.rack.aware.assignment.tags`).
    pub rack_aware_tags: Vec<String>,
}

impl Default for StreamsConfig {
    fn default() -> Self {
        StreamsConfig {
            enabled: true,
            session_timeout_ms: 45_000,
            session_timeout_range_ms: (45_000, 60_000),
            heartbeat_interval_ms: 5_000,
            heartbeat_interval_range_ms: (5_000, 15_000),
            assignment_interval_ms: 1_000,
            assignment_interval_range_ms: (0, 15_000),
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            num_standby_replicas: 0,
            max_standby_replicas: 2,
            task_offset_interval_ms: 60_000,
            min_task_offset_interval_ms: 15_000,
            acceptable_recovery_lag: 10_000,
            rack_aware_tags: Vec::new(),
        }
    }
}

impl StreamsConfig {
    /// Settings from Kafka's keys; `lookup` answers with a key's value, or `None` for the default.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let default = StreamsConfig::default();
        let int = |key: &str, default: i32| {
            lookup(&format!("group.streams.{key}")).and_then(|value| value.trim().parse().ok()).unwrap_or(default)
        };
        let range =
            |key: &str, (min, max): (i32, i32)| (int(&format!("min.{key}"), min), int(&format!("max.{key}"), max));
        StreamsConfig {
            enabled: lookup("group.coordinator.rebalance.protocols")
                .is_none_or(|protocols| protocols.split(',').any(|name| name.trim().eq_ignore_ascii_case("streams"))),
            session_timeout_ms: int("session.timeout.ms", default.session_timeout_ms),
            session_timeout_range_ms: range("session.timeout.ms", default.session_timeout_range_ms),
            heartbeat_interval_ms: int("heartbeat.interval.ms", default.heartbeat_interval_ms),
            heartbeat_interval_range_ms: range("heartbeat.interval.ms", default.heartbeat_interval_range_ms),
            assignment_interval_ms: int("assignment.interval.ms", default.assignment_interval_ms),
            assignment_interval_range_ms: range("assignment.interval.ms", default.assignment_interval_range_ms),
            initial_rebalance_delay_ms: int("initial.rebalance.delay.ms", default.initial_rebalance_delay_ms),
            max_size: usize::try_from(int("max.size", i32::MAX)).unwrap_or(usize::MAX),
            num_standby_replicas: int("num.standby.replicas", default.num_standby_replicas),
            max_standby_replicas: int("max.standby.replicas", default.max_standby_replicas),
            task_offset_interval_ms: int("task.offset.interval.ms", default.task_offset_interval_ms),
            min_task_offset_interval_ms: int("min.task.offset.interval.ms", default.min_task_offset_interval_ms),
            acceptable_recovery_lag: lookup("group.streams.acceptable.recovery.lag")
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(default.acceptable_recovery_lag),
            rack_aware_tags: lookup("group.streams.rack.aware.assignment.tags")
                .map_or_else(Vec::new, |tags| list(&tags)),
        }
    }

    /// The settings of group `group_id`: its own where it has some, kept inside the broker's bounds.
    pub fn of_group(&self, group_id: &str, topics: &dyn TopicsView) -> GroupSettings {
        let own = |key: &str| topics.group_config(group_id, key);
        let int = |key: &str, default: i32, (min, max): (i32, i32)| {
            own(key).and_then(|value| value.trim().parse::<i32>().ok()).map_or(default, |value| value.max(min).min(max))
        };
        GroupSettings {
            session_timeout_ms: int(
                "streams.session.timeout.ms",
                self.session_timeout_ms,
                self.session_timeout_range_ms,
            ),
            heartbeat_interval_ms: int(
                "streams.heartbeat.interval.ms",
                self.heartbeat_interval_ms,
                self.heartbeat_interval_range_ms,
            ),
            assignment_interval_ms: int(
                "streams.assignment.interval.ms",
                self.assignment_interval_ms,
                self.assignment_interval_range_ms,
            ),
            initial_rebalance_delay_ms: int(
                "streams.initial.rebalance.delay.ms",
                self.initial_rebalance_delay_ms,
                (0, i32::MAX),
            ),
            num_standby_replicas: int(
                "streams.num.standby.replicas",
                self.num_standby_replicas,
                (0, self.max_standby_replicas),
            ),
            task_offset_interval_ms: int(
                "streams.task.offset.interval.ms",
                self.task_offset_interval_ms,
                (self.min_task_offset_interval_ms, i32::MAX),
            ),
            acceptable_recovery_lag: own("streams.acceptable.recovery.lag")
                .and_then(|value| value.trim().parse().ok())
                .unwrap_or(self.acceptable_recovery_lag),
            rack_aware_tags: own("streams.rack.aware.assignment.tags")
                .map_or_else(|| self.rack_aware_tags.clone(), |tags| list(&tags)),
        }
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// What applies to one group; see [`StreamsConfig`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// `streams.session.timeout.ms`
    pub session_timeout_ms: i32,
    /// `streams.heartbeat.interval.ms`
    pub heartbeat_interval_ms: i32,
    /// `streams.assignment.interval.ms`
    pub assignment_interval_ms: i32,
    /// `streams.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `streams.num.standby.replicas`
    pub num_standby_replicas: i32,
    /// `streams.task.offset.interval.ms`
    pub task_offset_interval_ms: i32,
    /// `streams.acceptable.recovery.lag`
    pub acceptable_recovery_lag: i64,
    /// `streams.rack.aware.assignment.tags`
    pub rack_aware_tags: Vec<String>,
}
