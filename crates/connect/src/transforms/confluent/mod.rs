//! Transforms that Confluent has added to those of Kafka Connect, under the names of its users' files.

mod drop;
mod extract_topic;
mod filter;
mod json_path;
mod message_timestamp_router;
mod tombstone_handler;

use super::plugin::Plugin;

pub(super) fn plugins() -> Vec<Plugin> {
    vec![
        drop::plugin(),
        extract_topic::plugin(),
        filter::plugin(),
        message_timestamp_router::plugin(),
        tombstone_handler::plugin(),
    ]
}
