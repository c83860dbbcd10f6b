//! Transforms of single records, one file each.
//!
//! Those of Kafka Connect, some of Confluent's ([`confluent`]) and Debezium's `ExtractNewRecordState` ([`unwrap`]).

mod cast;
mod confluent;
mod drop_headers;
mod extract_field;
mod field_path;
mod filter;
mod flatten;
mod header_from;
mod hoist_field;
mod insert_field;
mod insert_header;
mod java_regex;
mod mask_field;
mod plugin;
mod regex_router;
mod replace_field;
mod set_schema_metadata;
mod structure;
mod timestamp_converter;
mod timestamp_router;
mod unwrap;
mod value_to_key;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use java_regex::JavaRegex;

use crate::plugin::TransformPlugin;

/// All transforms.
pub fn plugins() -> Vec<Arc<dyn TransformPlugin>> {
    let mut plugins = vec![
        cast::plugin(),
        drop_headers::plugin(),
        extract_field::plugin(),
        filter::plugin(),
        flatten::plugin(),
        header_from::plugin(),
        hoist_field::plugin(),
        insert_field::plugin(),
        insert_header::plugin(),
        mask_field::plugin(),
        regex_router::plugin(),
        replace_field::plugin(),
        set_schema_metadata::plugin(),
        timestamp_converter::plugin(),
        timestamp_router::plugin(),
        unwrap::plugin(),
        value_to_key::plugin(),
    ];
    plugins.extend(confluent::plugins());
    plugins.into_iter().map(|plugin| Arc::new(plugin) as Arc<dyn TransformPlugin>).collect()
}
