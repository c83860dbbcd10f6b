//! What can be configured, as DescribeConfigs, AlterConfigs and their relatives number it.

/// A topic.
pub(crate) const TOPIC: i8 = 2;
/// A broker; the empty name stands for the default of all brokers.
pub(crate) const BROKER: i8 = 4;
/// The loggers of a broker.
pub(crate) const BROKER_LOGGER: i8 = 8;
/// A subscription to client metrics (KIP-714).
pub(crate) const CLIENT_METRICS: i8 = 16;
/// A consumer, share or streams group.
pub(crate) const GROUP: i8 = 32;

/// The message about a resource of a type that has no configuration here.
pub(crate) fn unsupported(resource_type: i8) -> String {
    let name = match resource_type {
        BROKER_LOGGER => "BROKER_LOGGER",
        CLIENT_METRICS => "CLIENT_METRICS",
        _ => return format!("Unsupported resource type: UNKNOWN ({resource_type})"),
    };
    format!("Unsupported resource type: {name}")
}
