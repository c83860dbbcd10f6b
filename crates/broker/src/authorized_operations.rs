//! The operations a client may perform, as the bit fields of Metadata, DescribeCluster and DescribeGroups (KIP-430).
//!
//! Without an authorizer everybody may do everything that makes sense on the resource; these are Kafka's sets, bit n
//! standing for ACL operation n (broker specification, section 18).

/// The answer when the client did not ask.
pub(crate) const NOT_REQUESTED: i32 = i32::MIN;

const READ: i32 = 1 << 3;
const WRITE: i32 = 1 << 4;
const CREATE: i32 = 1 << 5;
const DELETE: i32 = 1 << 6;
const ALTER: i32 = 1 << 7;
const DESCRIBE: i32 = 1 << 8;
const CLUSTER_ACTION: i32 = 1 << 9;
const DESCRIBE_CONFIGS: i32 = 1 << 10;
const ALTER_CONFIGS: i32 = 1 << 11;
const IDEMPOTENT_WRITE: i32 = 1 << 12;

/// Everything that can be done to a topic.
const TOPIC: i32 = READ | WRITE | CREATE | DELETE | ALTER | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;
/// Everything that can be done to the cluster.
const CLUSTER: i32 = CREATE | ALTER | DESCRIBE | CLUSTER_ACTION | DESCRIBE_CONFIGS | ALTER_CONFIGS | IDEMPOTENT_WRITE;

/// Everything that can be done to a group.
const GROUP: i32 = READ | DELETE | DESCRIBE | DESCRIBE_CONFIGS | ALTER_CONFIGS;

/// The field for a group: all its operations when `requested`.
pub(crate) fn of_group(requested: bool) -> i32 {
    if requested { GROUP } else { NOT_REQUESTED }
}

/// The field for a topic: all its operations when `requested`.
pub(crate) fn of_topic(requested: bool) -> i32 {
    if requested { TOPIC } else { NOT_REQUESTED }
}

/// The field for the cluster: all its operations when `requested`.
pub(crate) fn of_cluster(requested: bool) -> i32 {
    if requested { CLUSTER } else { NOT_REQUESTED }
}
