//! `IntegerConverter`, `LongConverter`, `ShortConverter`, `FloatConverter`, `DoubleConverter`: big-endian, as Kafka's
//! serializers write them.

use std::sync::Arc;

use bytes::Bytes;

use super::plugin::{Create, Plugin};
use crate::config::def::ConfigDef;
use crate::data::{DataError, Kind, Schema, SchemaRef, Typed, Value};
use crate::plugin::{ConvertError, Converter};

pub(super) fn plugins() -> Vec<Plugin> {
    let plugin = |classes, create: Create| Plugin { classes, def: ConfigDef::default(), create };
    vec![
        plugin(&["org.apache.kafka.connect.converters.DoubleConverter"], |_, _, _| {
            Ok(converter("double", Kind::Float64))
        }),
        plugin(&["org.apache.kafka.connect.converters.FloatConverter"], |_, _, _| {
            Ok(converter("float", Kind::Float32))
        }),
        plugin(&["org.apache.kafka.connect.converters.IntegerConverter"], |_, _, _| {
            Ok(converter("integer", Kind::Int32))
        }),
        plugin(&["org.apache.kafka.connect.converters.LongConverter"], |_, _, _| Ok(converter("long", Kind::Int64))),
        plugin(&["org.apache.kafka.connect.converters.ShortConverter"], |_, _, _| Ok(converter("short", Kind::Int16))),
    ]
}

fn converter(name: &'static str, kind: Kind) -> Box<dyn Converter> {
    Box::new(NumberConverter { name, schema: Arc::new(Schema::new(kind).optional()) })
}

struct NumberConverter {
    /// Java's word for the type.
    name: &'static str,
    schema: SchemaRef,
}

impl Converter for NumberConverter {
    fn from_connect(
        &self,
        _topic: &str,
        _headers: &mut Vec<(String, Option<Bytes>)>,
        value: &Typed,
    ) -> Result<Option<Bytes>, ConvertError> {
        let bytes = match (&self.schema.kind, &value.value) {
            (_, Value::Null) => return Ok(None),
            (Kind::Int16, Value::Int16(value)) => Bytes::copy_from_slice(&value.to_be_bytes()),
            (Kind::Int32, Value::Int32(value)) => Bytes::copy_from_slice(&value.to_be_bytes()),
            (Kind::Int64, Value::Int64(value)) => Bytes::copy_from_slice(&value.to_be_bytes()),
            (Kind::Float32, Value::Float32(value)) => Bytes::copy_from_slice(&value.to_be_bytes()),
            (Kind::Float64, Value::Float64(value)) => Bytes::copy_from_slice(&value.to_be_bytes()),
            (_, value) => {
                let (name, class) = (self.name, value.java_class());
                let text = format!(
                    "Failed to serialize to {name} (was class {class}): Data is not of the type that the converter has"
                );
                return Err(DataError::new(text).into());
            }
        };
        Ok(Some(bytes))
    }

    fn to_connect(
        &self,
        _topic: &str,
        _headers: &[(String, Option<Bytes>)],
        bytes: Option<&Bytes>,
    ) -> Result<Typed, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Typed::new(self.schema.clone(), Value::Null)) };
        let value = match self.schema.kind {
            Kind::Int16 => whole(bytes).map(|bytes| Value::Int16(i16::from_be_bytes(bytes))),
            Kind::Int32 => whole(bytes).map(|bytes| Value::Int32(i32::from_be_bytes(bytes))),
            Kind::Int64 => whole(bytes).map(|bytes| Value::Int64(i64::from_be_bytes(bytes))),
            Kind::Float32 => whole(bytes).map(|bytes| Value::Float32(f32::from_be_bytes(bytes))),
            _ => whole(bytes).map(|bytes| Value::Float64(f64::from_be_bytes(bytes))),
        };
        let value = value.ok_or_else(|| {
            let (name, length) = (self.name, bytes.len());
            DataError::new(format!("Failed to deserialize {name}: the data has {length} bytes"))
        })?;
        Ok(Typed::new(self.schema.clone(), value))
    }
}

/// The bytes when there are exactly as many as the number has.
fn whole<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}
