//! `ByteArrayConverter`: bytes as they are.

use bytes::Bytes;

use super::one_type::OneType;
use super::plugin::Plugin;
use crate::config::def::ConfigDef;
use crate::data::{DataError, Kind, Value};

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &["org.apache.kafka.connect.converters.ByteArrayConverter"],
        def: ConfigDef::default(),
        create: |_, _, _| Ok(OneType { name: "ByteArrayConverter", kind: Kind::Bytes, write, read }.converter()),
    }
}

fn write(value: &Value) -> Option<Bytes> {
    match value {
        Value::Bytes(bytes) => Some(bytes.clone()),
        _ => None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "other types can be misread")]
fn read(bytes: &Bytes) -> Result<Value, DataError> {
    Ok(Value::Bytes(bytes.clone()))
}
