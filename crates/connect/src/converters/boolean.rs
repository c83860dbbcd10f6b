//! `BooleanConverter`: one byte, 0 or 1.

use bytes::Bytes;

use super::one_type::OneType;
use super::plugin::Plugin;
use crate::config::def::ConfigDef;
use crate::data::{DataError, Kind, Value};

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &["org.apache.kafka.connect.converters.BooleanConverter"],
        def: ConfigDef::default(),
        create: |_, _, _| Ok(OneType { name: "BooleanConverter", kind: Kind::Boolean, write, read }.converter()),
    }
}

fn write(value: &Value) -> Option<Bytes> {
    match value {
        Value::Boolean(value) => Some(Bytes::from_static(if *value { &[1] } else { &[0] })),
        _ => None,
    }
}

fn read(bytes: &Bytes) -> Result<Value, DataError> {
    let text = match &bytes[..] {
        [0] => return Ok(Value::Boolean(false)),
        [1] => return Ok(Value::Boolean(true)),
        [byte] => format!("Unexpected byte received by BooleanDeserializer: {byte}"),
        _ => "Size of data received by BooleanDeserializer is not 1".to_owned(),
    };
    Err(DataError::new(format!("Failed to deserialize boolean: {text}")))
}
