//! Settings of the group coordinator, resolved once from the broker's configuration.

use super::assignor::ServerAssignor;
use super::streams::StreamsConfig;

/// Which groups may change their protocol while they have members (`group.consumer.migration.policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// None; classic members cannot join consumer groups either.
    Disabled,
    /// Classic groups may become consumer groups.
    Upgrade,
    /// Consumer groups may become classic groups.
    Downgrade,
    /// Both.
    Bidirectional,
}

impl MigrationPolicy {
    /// The policy called `name`, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "disabled" => Some(MigrationPolicy::Disabled),
            "upgrade" => Some(MigrationPolicy::Upgrade),
            "downgrade" => Some(MigrationPolicy::Downgrade),
            "bidirectional" => Some(MigrationPolicy::Bidirectional),
            _ => None,
        }
    }
}

/// Typed settings; every field names its Kafka key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// Shortest session timeout a classic member may ask for, in ms (`group.min.session.timeout.ms`).
    pub min_session_timeout_ms: i32,
    /// Longest session timeout a classic member may ask for, in ms (`group.max.session.timeout.ms`).
    pub max_session_timeout_ms: i32,
    /// How long the first rebalance of an empty group waits for more members, in ms (`group.initial.rebalance.delay.ms`).
    pub initial_rebalance_delay_ms: i32,
    /// Most members of a classic group (`group.max.size`).
    pub max_size: usize,
    /// Most bytes of an offset's metadata (`offset.metadata.max.bytes`).
    pub offset_metadata_max_bytes: usize,
    /// How long an offset outlives its use, in ms (`offsets.retention.minutes`).
    pub offsets_retention_ms: i64,
    /// How often expired offsets are looked for, in ms (`offsets.retention.check.interval.ms`).
    pub offsets_retention_check_interval_ms: i64,
    /// Whether the consumer protocol is served (`group.coordinator.rebalance.protocols`).
    pub consumer_protocol_enabled: bool,
    /// Session timeout of KIP-848 members, in ms (`group.consumer.session.timeout.ms`).
    pub consumer_session_timeout_ms: i32,
    /// Bounds of a group's own `consumer.session.timeout.ms` (`group.consumer.{min,max}.session.timeout.ms`).
    pub consumer_session_timeout_range_ms: (i32, i32),
    /// Heartbeat interval told to KIP-848 members, in ms (`group.consumer.heartbeat.interval.ms`).
    pub consumer_heartbeat_interval_ms: i32,
    /// Bounds of a group's own `consumer.heartbeat.interval.ms` (`group.consumer.{min,max}.heartbeat.interval.ms`).
    pub consumer_heartbeat_interval_range_ms: (i32, i32),
    /// Most members of a consumer group (`group.consumer.max.size`).
    pub consumer_max_size: usize,
    /// Assignors by preference; the first is the default (`group.consumer.assignors`).
    pub consumer_assignors: Vec<ServerAssignor>,
    /// Which groups may change their protocol in use (`group.consumer.migration.policy`).
    pub migration_policy: MigrationPolicy,
    /// Shortest time between two assignments of one group, in ms (`group.consumer.assignment.interval.ms`).
    pub consumer_assignment_interval_ms: i32,
    /// Session timeout of share group members, in ms (`group.share.session.timeout.ms`).
    pub share_session_timeout_ms: i32,
    /// Bounds of a group's own `share.session.timeout.ms` (`group.share.{min,max}.session.timeout.ms`).
    pub share_session_timeout_range_ms: (i32, i32),
    /// Heartbeat interval told to share group members, in ms (`group.share.heartbeat.interval.ms`).
    pub share_heartbeat_interval_ms: i32,
    /// Bounds of a group's own `share.heartbeat.interval.ms` (`group.share.{min,max}.heartbeat.interval.ms`).
    pub share_heartbeat_interval_range_ms: (i32, i32),
    /// Most members of a share group (`group.share.max.size`).
    pub share_max_size: usize,
    /// Shortest time between two assignments of one share group, in ms (`group.share.assignment.interval.ms`).
    pub share_assignment_interval_ms: i32,
    /// Bounds of a group's own `share.assignment.interval.ms` (`group.share.{min,max}.assignment.interval.ms`).
    pub share_assignment_interval_range_ms: (i32, i32),
    /// Bounds of a group's own `consumer.assignment.interval.ms` (`group.consumer.{min,max}.assignment.interval.ms`).
    pub consumer_assignment_interval_range_ms: (i32, i32),
    /// How long a regular expression's topics stay valid, in ms (`group.consumer.regex.refresh.interval.ms`).
    pub consumer_regex_refresh_interval_ms: i64,
    /// Everything about streams groups (`group.streams.*`).
    pub streams: StreamsConfig,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 3_000,
            max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 10_080 * 60_000,
            offsets_retention_check_interval_ms: 600_000,
            consumer_protocol_enabled: true,
            consumer_session_timeout_ms: 45_000,
            consumer_session_timeout_range_ms: (45_000, 60_000),
            consumer_heartbeat_interval_ms: 5_000,
            consumer_heartbeat_interval_range_ms: (5_000, 15_000),
            consumer_max_size: i32::MAX as usize,
            consumer_assignors: vec![ServerAssignor::Uniform, ServerAssignor::Range],
            migration_policy: MigrationPolicy::Bidirectional,
            consumer_assignment_interval_ms: 1_000,
            consumer_assignment_interval_range_ms: (0, 15_000),
            consumer_regex_refresh_interval_ms: 600_000,
            share_session_timeout_ms: 45_000,
            share_session_timeout_range_ms: (45_000, 60_000),
            share_heartbeat_interval_ms: 5_000,
            share_heartbeat_interval_range_ms: (5_000, 15_000),
            share_max_size: 200,
            share_assignment_interval_ms: 1_000,
            share_assignment_interval_range_ms: (0, 15_000),
            streams: StreamsConfig::default(),
        }
    }
}

impl GroupConfig {
    /// Settings from Kafka's keys; `lookup` answers with a key's value, or `None` for the default.
    /// A value that is no number was refused when the configuration was read, and counts as absent here.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let default = GroupConfig::default();
        let int = |key: &str, default: i32| lookup(key).and_then(|value| value.trim().parse().ok()).unwrap_or(default);
        let long = |key: &str, default: i64| lookup(key).and_then(|value| value.trim().parse().ok()).unwrap_or(default);
        let size = |key: &str| usize::try_from(int(key, i32::MAX)).unwrap_or(usize::MAX);
        let assignors: Vec<_> = lookup("group.consumer.assignors")
            .map(|names| names.split(',').filter_map(|name| ServerAssignor::from_name(name.trim())).collect())
            .unwrap_or_default();
        GroupConfig {
            min_session_timeout_ms: int("group.min.session.timeout.ms", default.min_session_timeout_ms),
            max_session_timeout_ms: int("group.max.session.timeout.ms", default.max_session_timeout_ms),
            initial_rebalance_delay_ms: int("group.initial.rebalance.delay.ms", default.initial_rebalance_delay_ms),
            max_size: size("group.max.size"),
            offset_metadata_max_bytes: int("offset.metadata.max.bytes", 4_096).max(0) as usize,
            offsets_retention_ms: long("offsets.retention.minutes", 10_080).saturating_mul(60_000),
            offsets_retention_check_interval_ms: long(
                "offsets.retention.check.interval.ms",
                default.offsets_retention_check_interval_ms,
            )
            .max(1),
            consumer_protocol_enabled: lookup("group.coordinator.rebalance.protocols")
                .is_none_or(|protocols| protocols.split(',').any(|name| name.trim().eq_ignore_ascii_case("consumer"))),
            consumer_session_timeout_ms: int("group.consumer.session.timeout.ms", default.consumer_session_timeout_ms),
            consumer_session_timeout_range_ms: (
                int("group.consumer.min.session.timeout.ms", default.consumer_session_timeout_range_ms.0),
                int("group.consumer.max.session.timeout.ms", default.consumer_session_timeout_range_ms.1),
            ),
            consumer_heartbeat_interval_ms: int(
                "group.consumer.heartbeat.interval.ms",
                default.consumer_heartbeat_interval_ms,
            ),
            consumer_heartbeat_interval_range_ms: (
                int("group.consumer.min.heartbeat.interval.ms", default.consumer_heartbeat_interval_range_ms.0),
                int("group.consumer.max.heartbeat.interval.ms", default.consumer_heartbeat_interval_range_ms.1),
            ),
            consumer_max_size: size("group.consumer.max.size"),
            consumer_assignors: if assignors.is_empty() { default.consumer_assignors } else { assignors },
            migration_policy: lookup("group.consumer.migration.policy")
                .and_then(|name| MigrationPolicy::from_name(name.trim()))
                .unwrap_or(default.migration_policy),
            consumer_assignment_interval_ms: int(
                "group.consumer.assignment.interval.ms",
                default.consumer_assignment_interval_ms,
            ),
            share_session_timeout_ms: int("group.share.session.timeout.ms", default.share_session_timeout_ms),
            share_session_timeout_range_ms: (
                int("group.share.min.session.timeout.ms", default.share_session_timeout_range_ms.0),
                int("group.share.max.session.timeout.ms", default.share_session_timeout_range_ms.1),
            ),
            share_heartbeat_interval_ms: int("group.share.heartbeat.interval.ms", default.share_heartbeat_interval_ms),
            share_heartbeat_interval_range_ms: (
                int("group.share.min.heartbeat.interval.ms", default.share_heartbeat_interval_range_ms.0),
                int("group.share.max.heartbeat.interval.ms", default.share_heartbeat_interval_range_ms.1),
            ),
            share_max_size: usize::try_from(int("group.share.max.size", 200)).unwrap_or(0),
            share_assignment_interval_ms: int(
                "group.share.assignment.interval.ms",
                default.share_assignment_interval_ms,
            ),
            share_assignment_interval_range_ms: (
                int("group.share.min.assignment.interval.ms", default.share_assignment_interval_range_ms.0),
                int("group.share.max.assignment.interval.ms", default.share_assignment_interval_range_ms.1),
            ),
            consumer_assignment_interval_range_ms: (
                int("group.consumer.min.assignment.interval.ms", default.consumer_assignment_interval_range_ms.0),
                int("group.consumer.max.assignment.interval.ms", default.consumer_assignment_interval_range_ms.1),
            ),
            consumer_regex_refresh_interval_ms: long(
                "group.consumer.regex.refresh.interval.ms",
                default.consumer_regex_refresh_interval_ms,
            ),
            streams: StreamsConfig::from_lookup(&lookup),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_properties_file_reach_their_fields() {
        let config = GroupConfig::from_lookup(|key| match key {
            "group.initial.rebalance.delay.ms" => Some("0".to_owned()),
            "offsets.retention.minutes" => Some("2".to_owned()),
            "group.consumer.assignors" => Some("range, uniform".to_owned()),
            "group.coordinator.rebalance.protocols" => Some("classic".to_owned()),
            "group.consumer.migration.policy" => Some("Upgrade".to_owned()),
            _ => None,
        });
        assert_eq!(config.initial_rebalance_delay_ms, 0);
        assert_eq!(config.offsets_retention_ms, 120_000);
        assert_eq!(config.consumer_assignors, [ServerAssignor::Range, ServerAssignor::Uniform]);
        assert!(!config.consumer_protocol_enabled);
        assert_eq!(config.migration_policy, MigrationPolicy::Upgrade);
        assert_eq!(GroupConfig::from_lookup(|_| None), GroupConfig::default());
    }
}
