//! Converters: the bytes of a topic to values and back, one file for each format.
//!
//! The converters of the formats that live in a schema registry may ask it, which blocks: call converters where that is
//! allowed.

mod boolean;
mod byte_array;
mod json;
mod number;
mod one_type;
mod plugin;
mod registry;
mod simple_header;
mod string;

use std::sync::Arc;

use crate::plugin::{ConverterPlugin, HeaderConverterPlugin};

/// All converters of keys and values.
pub fn plugins() -> Vec<Arc<dyn ConverterPlugin>> {
    let mut plugins = vec![boolean::plugin(), byte_array::plugin(), json::plugin(), string::plugin()];
    plugins.extend(number::plugins());
    plugins.extend(registry::plugins());
    plugins.into_iter().map(|plugin| Arc::new(plugin) as Arc<dyn ConverterPlugin>).collect()
}

/// All converters of headers.
pub fn header_plugins() -> Vec<Arc<dyn HeaderConverterPlugin>> {
    let mut of_values = vec![boolean::plugin(), byte_array::plugin(), json::plugin(), string::plugin()];
    of_values.extend(number::plugins());
    let mut plugins: Vec<Arc<dyn HeaderConverterPlugin>> = vec![Arc::new(simple_header::Plugin::default())];
    plugins.extend(of_values.into_iter().map(|plugin| Arc::new(plugin) as Arc<dyn HeaderConverterPlugin>));
    plugins
}
