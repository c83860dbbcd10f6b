//! Converters of values of one type, which take no others.

use std::sync::Arc;

use bytes::Bytes;

use crate::data::{DataError, Kind, Schema, SchemaRef, Typed, Value};
use crate::plugin::{ConvertError, Converter};

/// See the module's words.
pub(super) struct OneType {
    /// Simple name of its class, for messages.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// Bytes of a value; `None` for a value of another type.
    pub write: fn(&Value) -> Option<Bytes>,
    /// The value of bytes.
    pub read: fn(&Bytes) -> Result<Value, DataError>,
}

impl OneType {
    /// The converter.
    pub fn converter(self) -> Box<dyn Converter> {
        let schema = Arc::new(Schema::new(self.kind.clone()).optional());
        Box::new(OneTypeConverter { of: self, schema })
    }
}

struct OneTypeConverter {
    of: OneType,
    schema: SchemaRef,
}

impl Converter for OneTypeConverter {
    fn from_connect(
        &self,
        _topic: &str,
        _headers: &mut Vec<(String, Option<Bytes>)>,
        value: &Typed,
    ) -> Result<Option<Bytes>, ConvertError> {
        let name = self.of.name;
        if let Some(schema) = &value.schema
            && schema.kind != self.of.kind
        {
            return Err(DataError::new(format!("Invalid schema type for {name}: {}", schema.type_name())).into());
        }
        if value.value.is_null() {
            return Ok(None);
        }
        let bytes = (self.of.write)(&value.value).ok_or_else(|| {
            let class = value.value.java_class();
            DataError::new(format!("{name} is not compatible with objects of type class {class}"))
        })?;
        Ok(Some(bytes))
    }

    fn to_connect(
        &self,
        _topic: &str,
        _headers: &[(String, Option<Bytes>)],
        bytes: Option<&Bytes>,
    ) -> Result<Typed, ConvertError> {
        let value = bytes.map_or(Ok(Value::Null), self.of.read)?;
        Ok(Typed::new(self.schema.clone(), value))
    }
}
