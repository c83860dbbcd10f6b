//! Whether a value is one of its schema, with the messages of Java's `ConnectSchema`.

use std::sync::Arc;

use super::logical::{DATE, DECIMAL, TIME, TIMESTAMP};
use super::{DataError, Kind, Schema, SchemaRef, Struct, Value};

/// Whether two schemas are the same; those of one origin are one object, which is seen first.
pub fn same_schema(one: &SchemaRef, other: &SchemaRef) -> bool {
    Arc::ptr_eq(one, other) || **one == **other
}

/// Checks a value of `field`, or one that stands alone.
///
/// # Errors
/// Null where it is not allowed, a value of another type, at whatever depth.
pub fn validate_value(field: Option<&str>, schema: &Schema, value: &Value) -> Result<(), DataError> {
    let place = || match field {
        None => "value".to_owned(),
        Some(field) => format!("field: \"{field}\""),
    };
    check(schema, value, &place)
}

impl Struct {
    /// Checks every field's value, its default when it is null.
    ///
    /// # Errors
    /// As [`validate_value`].
    pub fn validate(&self) -> Result<(), DataError> {
        for (index, field) in self.schema().fields().iter().enumerate() {
            let value = self.at_or_default(index);
            validate_value(Some(&field.name), &field.schema, value)?;
        }
        Ok(())
    }
}

fn check(schema: &Schema, value: &Value, place: &dyn Fn() -> String) -> Result<(), DataError> {
    if value.is_null() {
        if schema.optional {
            return Ok(());
        }
        let (place, kind) = (place(), schema.type_name());
        return Err(DataError::new(format!("Invalid value: null used for required {place}, schema type: {kind}")));
    }
    if !is_of(schema, value) {
        let name = schema.name.as_ref().map(|name| format!(" \"{name}\"")).unwrap_or_default();
        let (kind, class, place) = (schema.type_name(), value.java_class(), place());
        let text = format!("Invalid Java object for schema{name} with type {kind}: class {class} for {place}");
        return Err(DataError::new(text));
    }
    match (&schema.kind, value) {
        (Kind::Struct(_), Value::Struct(value)) => {
            let own = value.schema().as_ref();
            if !std::ptr::eq(own, schema) && own != schema {
                return Err(DataError::new("Struct schemas do not match."));
            }
            value.validate()
        }
        (Kind::Array(schema), Value::Array(elements)) => {
            let place = || format!("element of array {}", place());
            elements.iter().try_for_each(|element| check(schema, element, &place))
        }
        (Kind::Map(keys, values), Value::Map(entries)) => {
            let of_key = || format!("key of map {}", place());
            let of_value = || format!("value of map {}", place());
            entries.iter().try_for_each(|(key, value)| {
                check(keys, key, &of_key)?;
                check(values, value, &of_value)
            })
        }
        _ => Ok(()),
    }
}

/// Whether the value has the class that Java expects; the name of a logical type decides first.
fn is_of(schema: &Schema, value: &Value) -> bool {
    match schema.name.as_deref() {
        Some(DECIMAL) => return matches!(value, Value::Decimal(_)),
        Some(DATE | TIME | TIMESTAMP) => {
            return matches!(value, Value::Date(_) | Value::Time(_) | Value::Timestamp(_));
        }
        _ => {}
    }
    matches!(
        (&schema.kind, value),
        (Kind::Int8, Value::Int8(_))
            | (Kind::Int16, Value::Int16(_))
            | (Kind::Int32, Value::Int32(_))
            | (Kind::Int64, Value::Int64(_))
            | (Kind::Float32, Value::Float32(_))
            | (Kind::Float64, Value::Float64(_))
            | (Kind::Boolean, Value::Boolean(_))
            | (Kind::String, Value::String(_))
            | (Kind::Bytes, Value::Bytes(_))
            | (Kind::Array(_), Value::Array(_))
            | (Kind::Map(..), Value::Map(_))
            | (Kind::Struct(_), Value::Struct(_))
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Field, logical};
    use super::*;

    fn error(schema: Schema, value: Value) -> String {
        validate_value(Some("a"), &schema, &value).unwrap_err().0
    }

    #[test]
    fn errors_are_those_of_java() {
        assert_eq!(
            error(Schema::new(Kind::Int32), Value::Null),
            "Invalid value: null used for required field: \"a\", schema type: INT32"
        );
        assert_eq!(
            error(logical::timestamp(), Value::Int64(1)),
            "Invalid Java object for schema \"org.apache.kafka.connect.data.Timestamp\" with type INT64: \
             class java.lang.Long for field: \"a\""
        );
        let texts = Schema::new(Kind::Array(Schema::new(Kind::String).into()));
        assert_eq!(
            error(texts, Value::Array(vec![Value::Boolean(true)])),
            "Invalid Java object for schema with type STRING: class java.lang.Boolean for element of array field: \"a\""
        );
        let validated = validate_value(None, &Schema::new(Kind::Bytes), &Value::Null);
        assert_eq!(validated.unwrap_err().0, "Invalid value: null used for required value, schema type: BYTES");
    }

    #[test]
    fn a_field_that_is_null_has_its_default() {
        let with_default = Schema::new(Kind::Int32).with_default(Value::Int32(7));
        let schema = Arc::new(Schema::structure(vec![Field::new("a", with_default)]));
        let value = Struct::new(schema, vec![Value::Null]).unwrap();
        assert_eq!(value.get_or_default("a"), Some(&Value::Int32(7)));
        assert_eq!(value.validate(), Ok(()));
    }
}
