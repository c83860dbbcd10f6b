//! `KAFKA`: one column, as Kafka's own serializers write it. Lengths are strict and nothing is converted.

use super::{Field, FormatError, RowCodec};
use crate::types::SqlType;
use crate::value::Value;

/// The codec of one column; without a column it reads and writes nothing.
pub struct KafkaCodec {
    field_type: Option<SqlType>,
}

impl KafkaCodec {
    /// For at most one column.
    ///
    /// # Errors
    /// More columns.
    pub fn new(mut fields: Vec<Field>) -> Result<Self, FormatError> {
        if fields.len() > 1 {
            return Err(FormatError::new("The 'KAFKA' format only supports a single field."));
        }
        Ok(KafkaCodec { field_type: fields.pop().map(|field| field.field_type) })
    }
}

impl RowCodec for KafkaCodec {
    fn encode(&self, row: &[Value]) -> Result<Option<Vec<u8>>, FormatError> {
        Ok(match row.first() {
            None | Some(Value::Null) => None,
            Some(Value::Int(number)) => Some(number.to_be_bytes().to_vec()),
            Some(Value::Bigint(number)) => Some(number.to_be_bytes().to_vec()),
            Some(Value::Double(number)) => Some(number.to_be_bytes().to_vec()),
            Some(Value::String(text)) => Some(text.as_bytes().to_vec()),
            Some(Value::Bytes(bytes)) => Some(bytes.to_vec()),
            Some(_) => return Err(FormatError::new("The 'KAFKA' format does not support the type of the value")),
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError> {
        let Some(field_type) = &self.field_type else { return Ok(Some(Vec::new())) };
        let value = match field_type {
            SqlType::Integer => Value::Int(i32::from_be_bytes(exactly(bytes, "IntegerDeserializer")?)),
            SqlType::Bigint => Value::Bigint(i64::from_be_bytes(exactly(bytes, "LongDeserializer")?)),
            SqlType::Double => Value::Double(f64::from_be_bytes(exactly(bytes, "DoubleDeserializer")?)),
            SqlType::String => Value::string(String::from_utf8_lossy(bytes)),
            SqlType::Bytes => Value::bytes(bytes),
            other => {
                let name = other.base_name();
                return Err(FormatError(format!("The 'KAFKA' format does not support type '{name}'")));
            }
        };
        Ok(Some(vec![value]))
    }
}

fn exactly<const N: usize>(bytes: &[u8], reader: &str) -> Result<[u8; N], FormatError> {
    bytes.try_into().map_err(|_| FormatError(format!("Size of data received by {reader} is not {N}")))
}
