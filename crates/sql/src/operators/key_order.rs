//! The order of keys that come out together: that of their bytes as their format writes them, which is how readers of the
//! result know it.

use std::sync::Arc;

use super::Key;
use crate::formats::registry::{MemoryRegistry, SchemaRegistry};
use crate::formats::{self, CodecContext, Field, Format, FormatSpec, RowCodec, Side};
use crate::runtime::channel::key_format;

/// What is looked at of a key; those that differ only behind it come in the order in which stores sort them.
const LOOKED_AT: usize = 256;
/// Bytes of the length at the end.
const LENGTH_BYTES: usize = 4;

/// See the module's words.
pub struct KeyOrder {
    /// None where keys cannot be written so: then stores decide.
    codec: Option<Box<dyn RowCodec>>,
    session: bool,
}

impl KeyOrder {
    /// Of keys of these columns, which are written in `format` as far as that can hold them.
    pub fn new(format: Format, fields: Vec<Field>, session: bool) -> KeyOrder {
        let format = if format == Format::Avro { format } else { key_format(format, &fields) };
        KeyOrder { codec: codec(&FormatSpec::plain(format), fields), session }
    }

    /// The key as bytes that sort in this order.
    pub(super) fn bytes(&self, key: &Key) -> Vec<u8> {
        let columns = key.columns.as_deref().unwrap_or_default();
        let written = self.codec.as_ref().and_then(|codec| codec.encode(columns).ok().flatten());
        let mut bytes = written.unwrap_or_default();
        bytes.truncate(LOOKED_AT);
        let length = u32::try_from(bytes.len()).unwrap_or_default();
        bytes.extend(key.bytes(self.session));
        bytes.extend(length.to_be_bytes());
        bytes
    }

    /// The bytes of the key alone, as [`Key::bytes`] gives them.
    pub(super) fn key(bytes: &[u8]) -> Option<&[u8]> {
        let (rest, length) = bytes.split_last_chunk::<LENGTH_BYTES>()?;
        rest.get(usize::try_from(u32::from_be_bytes(*length)).ok()?..)
    }
}

/// What writes keys. Schemas have a registry of their own: nobody reads what is written.
fn codec(spec: &FormatSpec, fields: Vec<Field>) -> Option<Box<dyn RowCodec>> {
    let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
    let context = CodecContext { topic: "order".to_owned(), side: Side::Key, registry };
    if spec.format.has_registry() {
        formats::register(spec, &fields, &context).ok()?;
    }
    formats::open(spec, fields, &context).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlType;
    use crate::value::Value;

    fn sorted(format: Format, field_type: SqlType, values: &[Value]) -> Vec<Value> {
        let order = KeyOrder::new(format, vec![Field { name: "K".into(), field_type }], false);
        let mut keys: Vec<(Vec<u8>, Value)> =
            values.iter().map(|value| (order.bytes(&Key::plain(vec![value.clone()])), value.clone())).collect();
        keys.sort_by(|one, other| one.0.cmp(&other.0));
        for (bytes, value) in &keys {
            assert_eq!(KeyOrder::key(bytes), Some(&Key::plain(vec![value.clone()]).bytes(false)[..]));
        }
        keys.into_iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn keys_sort_as_their_bytes_on_a_topic() {
        let texts = ["b", "aa", "a"].map(Value::from);
        let numbers = [Value::Int(-1), Value::Int(9), Value::Int(10)];
        let in_order = ["a", "aa", "b"].map(Value::from);
        assert_eq!(sorted(Format::Kafka, SqlType::String, &texts), in_order);
        assert_eq!(sorted(Format::Json, SqlType::String, &texts), in_order);
        assert_eq!(sorted(Format::Avro, SqlType::String, &texts), ["a", "b", "aa"].map(Value::from));
        assert_eq!(sorted(Format::Json, SqlType::Integer, &numbers), [-1, 10, 9].map(Value::Int));
        assert_eq!(sorted(Format::Kafka, SqlType::Integer, &numbers), [9, 10, -1].map(Value::Int));
        assert_eq!(sorted(Format::Delimited, SqlType::Integer, &numbers), [-1, 10, 9].map(Value::Int));
    }
}
