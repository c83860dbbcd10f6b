//! The Kafka broker: network, APIs, partitions, groups.
