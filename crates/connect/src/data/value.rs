//! Values, with and without a schema.

use bigdecimal::BigDecimal;
use bytes::Bytes;

use super::{DataError, SchemaRef};

/// A value. Logical types have variants of their own, as Java has classes for them; everything else is physical.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// INT8.
    Int8(i8),
    /// INT16.
    Int16(i16),
    /// INT32.
    Int32(i32),
    /// INT64.
    Int64(i64),
    /// FLOAT32.
    Float32(f32),
    /// FLOAT64.
    Float64(f64),
    /// BOOLEAN.
    Boolean(bool),
    /// STRING.
    String(String),
    /// BYTES.
    Bytes(Bytes),
    /// Logical Decimal: the scale of the number is the scale of the schema.
    Decimal(BigDecimal),
    /// Logical Date: days since 1970-01-01.
    Date(i32),
    /// Logical Time: milliseconds since midnight.
    Time(i32),
    /// Logical Timestamp: milliseconds since 1970-01-01T00:00Z.
    Timestamp(i64),
    /// ARRAY.
    Array(Vec<Value>),
    /// MAP, in the order it was written.
    Map(Vec<(Value, Value)>),
    /// STRUCT.
    Struct(Struct),
}

impl Value {
    /// Whether it is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }

    /// The class that Java has for such a value, as it stands in messages: `java.lang.Long`.
    pub fn java_class(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Int8(_) => "java.lang.Byte",
            Value::Int16(_) => "java.lang.Short",
            Value::Int32(_) => "java.lang.Integer",
            Value::Int64(_) => "java.lang.Long",
            Value::Float32(_) => "java.lang.Float",
            Value::Float64(_) => "java.lang.Double",
            Value::Boolean(_) => "java.lang.Boolean",
            Value::String(_) => "java.lang.String",
            Value::Bytes(_) => "[B",
            Value::Decimal(_) => "java.math.BigDecimal",
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) => "java.util.Date",
            Value::Array(_) => "java.util.ArrayList",
            Value::Map(_) => "java.util.HashMap",
            Value::Struct(_) => "org.apache.kafka.connect.data.Struct",
        }
    }

    /// A field of a struct, or the entry of a map with this text as key.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Struct(fields) => fields.get(name),
            Value::Map(entries) => {
                entries.iter().find(|(key, _)| matches!(key, Value::String(key) if key == name)).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

/// Values of a struct's fields, one for each field of its schema and in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Struct {
    schema: SchemaRef,
    values: Vec<Value>,
}

impl Struct {
    /// A struct; `values` are in the order of the schema's fields.
    ///
    /// # Errors
    /// When there are not as many values as fields.
    pub fn new(schema: SchemaRef, values: Vec<Value>) -> Result<Struct, DataError> {
        let expected = schema.fields().len();
        if values.len() != expected {
            return Err(DataError::new(format!("A struct of {expected} fields cannot have {} values", values.len())));
        }
        Ok(Struct { schema, values })
    }

    /// Its schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Values in the order of the schema's fields.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The values alone.
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// Value of a field as it is, without the field's default.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.schema.field_index(name).and_then(|index| self.values.get(index))
    }

    /// Value of a field, or its default when it is null.
    pub fn get_or_default(&self, name: &str) -> Option<&Value> {
        self.schema.field_index(name).map(|index| self.at_or_default(index))
    }

    /// Value of the field at this place, or its default when it is null.
    pub(crate) fn at_or_default(&self, index: usize) -> &Value {
        match (self.values.get(index), self.schema.fields().get(index)) {
            (Some(Value::Null), Some(field)) => field.schema.default.as_ref().unwrap_or(&Value::Null),
            (value, _) => value.unwrap_or(&Value::Null),
        }
    }

    /// Another value for a field.
    ///
    /// # Errors
    /// A field that does not exist.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), DataError> {
        match self.schema.field_index(name).and_then(|index| self.values.get_mut(index)) {
            Some(slot) => {
                *slot = value;
                Ok(())
            }
            None => Err(DataError::new(format!("{name} is not a valid field name"))),
        }
    }
}

/// A value with the schema it may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Typed {
    /// `None`: schemaless.
    pub schema: Option<SchemaRef>,
    /// The value.
    pub value: Value,
}

impl Typed {
    /// A value with a schema.
    pub fn new(schema: SchemaRef, value: Value) -> Typed {
        Typed { schema: Some(schema), value }
    }

    /// A value without one.
    pub fn schemaless(value: Value) -> Typed {
        Typed { schema: None, value }
    }

    /// Neither.
    pub fn null() -> Typed {
        Typed { schema: None, value: Value::Null }
    }
}
