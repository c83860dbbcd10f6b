//! `PROTOBUF` and `PROTOBUF_NOSR`: messages, with the id of their schema in front or without.
//!
//! What a message leaves out is the default of its type, unless the field tells presence (`optional`, wrappers, messages).

use std::collections::HashMap;
use std::sync::OnceLock;

use bigdecimal::BigDecimal;
use milena_schema::{ParseOptions, ParsedSchema, SchemaType, wire};
use num_bigint::BigInt;
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value as Proto,
};

use super::avro::{position_of, scalar};
use super::avro_schema::struct_fields;
use super::coercion::{self, Written};
use super::json::{exact_decimal, is_called};
use super::protobuf_schema::{self, Declared, declared, map_entry};
use super::readers::Readers;
use super::registry::RegisteredSchema;
use super::{CodecContext, Field, FormatError, FormatSpec, RowCodec};
use crate::types::SqlType;
use crate::value::{MapValue, Value};

const DAY_MS: i64 = 86_400_000;

/// The codec.
pub struct ProtobufCodec {
    fields: Vec<Field>,
    text: String,
    full_name: Option<String>,
    schema_id: Option<i32>,
    /// Where schemas are; none when records do not name theirs.
    context: Option<CodecContext>,
    writer: OnceLock<Writer>,
    readers: Readers<RegisteredSchema>,
}

struct Writer {
    prefix: Vec<u8>,
    message: MessageDescriptor,
}

impl ProtobufCodec {
    /// For `fields`; with `context` records name their schema.
    ///
    /// # Errors
    /// Types that messages do not have.
    pub fn new(fields: Vec<Field>, spec: &FormatSpec, context: Option<&CodecContext>) -> Result<Self, FormatError> {
        let name = spec.full_name.as_deref().unwrap_or(protobuf_schema::MESSAGE);
        Ok(ProtobufCodec {
            text: protobuf_schema::schema_text(&fields, name, spec.nullable)?,
            fields,
            full_name: spec.full_name.clone(),
            schema_id: spec.schema_id,
            context: context.cloned(),
            writer: OnceLock::new(),
            readers: Readers::default(),
        })
    }

    fn writer(&self) -> Result<&Writer, FormatError> {
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let writer = match &self.context {
            None => {
                let schema = ParsedSchema::parse(SchemaType::Protobuf, &self.text, &[], &ParseOptions::STORED);
                Writer { prefix: Vec::new(), message: message_of(&schema.map_err(FormatError::new)?, None)? }
            }
            Some(context) => {
                let registered = match self.schema_id {
                    Some(id) => {
                        let known = context.registry.by_id(id)?;
                        known.ok_or_else(|| FormatError(format!("Schema {id} not found")))?
                    }
                    None => context.registry.register(&context.subject(), SchemaType::Protobuf, &self.text)?,
                };
                let message = message_of(&registered.schema, self.full_name.as_deref())?;
                check_fields(&message, &self.fields)?;
                let mut prefix = wire::prefix(registered.id).to_vec();
                let indexes: Vec<i32> = message.path().iter().skip(1).step_by(2).copied().collect();
                wire::write_message_indexes(&indexes, &mut prefix);
                Writer { prefix, message }
            }
        };
        Ok(self.writer.get_or_init(|| writer))
    }
}

impl RowCodec for ProtobufCodec {
    fn encode(&self, row: &[Value]) -> Result<Option<Vec<u8>>, FormatError> {
        let writer = self.writer()?;
        let message = write_message(&writer.message, &self.fields, row)?;
        let mut output = writer.prefix.clone();
        output.extend(message.encode_to_vec());
        Ok(Some(output))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<Vec<Value>>, FormatError> {
        let Some(context) = &self.context else {
            let message = DynamicMessage::decode(self.writer()?.message.clone(), bytes).map_err(FormatError::new)?;
            return read_message(&message, &self.fields).map(Some);
        };
        let framed = wire::split_prefix(bytes).map_err(FormatError::new)?;
        let wire::SchemaId::Id(id) = framed.schema_id else {
            return Err(FormatError::new("records that name their schema by GUID are not read"));
        };
        let schema = self.readers.get(id, &*context.registry, Ok)?;
        let (indexes, rest) = wire::read_message_indexes(framed.rest).map_err(FormatError::new)?;
        let name = schema.schema.as_protobuf().and_then(|schema| schema.message_name(&indexes));
        let message = message_of(&schema.schema, name.as_deref())?;
        let message = DynamicMessage::decode(message, rest).map_err(FormatError::new)?;
        read_message(&message, &self.fields).map(Some)
    }
}

fn message_of(schema: &ParsedSchema, full_name: Option<&str>) -> Result<MessageDescriptor, FormatError> {
    let schema = schema.as_protobuf().ok_or_else(|| FormatError::new("the schema is not a Protobuf schema"))?;
    protobuf_schema::message(schema.descriptor().map_err(FormatError::new)?, full_name)
}

/// Checks that a message has all columns.
fn check_fields(message: &MessageDescriptor, fields: &[Field]) -> Result<(), FormatError> {
    let names: Vec<_> = declared(message).iter().map(Declared::name).collect();
    match fields.iter().find(|field| !names.iter().any(|name| is_called(name, &field.name))) {
        Some(field) => Err(FormatError(format!("Schema from Schema Registry misses field with name: {}", field.name))),
        None => Ok(()),
    }
}

fn write_message(message: &MessageDescriptor, fields: &[Field], row: &[Value]) -> Result<DynamicMessage, FormatError> {
    let mut dynamic = DynamicMessage::new(message.clone());
    let names = fields.iter().map(|field| &*field.name);
    for declared in declared(message) {
        match declared {
            Declared::Field(field) => {
                let Some(position) = position_of(names.clone(), field.name()) else { continue };
                if !row[position].is_null() {
                    dynamic.set_field(&field, write_field(&field, &row[position], &fields[position].field_type)?);
                }
            }
            Declared::OneOf(ref oneof, _) => {
                let Some(position) = position_of(names.clone(), &declared.name()) else { continue };
                let (Value::Struct(branches), SqlType::Struct(structure)) =
                    (&row[position], &fields[position].field_type)
                else {
                    continue;
                };
                for field in oneof.fields() {
                    let names = structure.fields.iter().map(|field| &*field.name);
                    if let Some(branch) = position_of(names, field.name())
                        && !branches[branch].is_null()
                    {
                        let value = write_field(&field, &branches[branch], &structure.fields[branch].field_type)?;
                        dynamic.set_field(&field, value);
                    }
                }
            }
        }
    }
    Ok(dynamic)
}

fn write_field(field: &FieldDescriptor, value: &Value, field_type: &SqlType) -> Result<Proto, FormatError> {
    match (value, field_type) {
        (Value::Array(elements), SqlType::Array(element_type)) if field.is_list() => {
            let elements = elements.iter().map(|element| write_single(&field.kind(), element, element_type));
            Ok(Proto::List(elements.collect::<Result<_, _>>()?))
        }
        (Value::Map(entries), SqlType::Map(key_type, value_type)) if field.is_list() => {
            let no_map = || FormatError(format!("{field_type} cannot be written as {:?}", field.kind()));
            let (entry, key_field, value_field) = map_entry(field).ok_or_else(no_map)?;
            let message = |(key, value): (&Value, &Value)| {
                let mut message = DynamicMessage::new(entry.clone());
                for (field, value, field_type) in [(&key_field, key, key_type), (&value_field, value, value_type)] {
                    if !value.is_null() {
                        message.set_field(field, write_field(field, value, field_type)?);
                    }
                }
                Ok(Proto::Message(message))
            };
            Ok(Proto::List(entries.iter().map(message).collect::<Result<_, FormatError>>()?))
        }
        (Value::Map(entries), SqlType::Map(key_type, value_type)) if field.is_map() => {
            let Kind::Message(entry) = field.kind() else { return Err(FormatError::new("a map has no entries")) };
            let (key_kind, value_kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
            let mut map = HashMap::new();
            for (key, value) in entries.iter() {
                let key = write_single(&key_kind, key, key_type)?;
                let key = key.into_map_key().ok_or_else(|| FormatError::new("a map key cannot be null"))?;
                map.insert(key, write_single(&value_kind, value, value_type)?);
            }
            Ok(Proto::Map(map))
        }
        (value, field_type) => write_single(&field.kind(), value, field_type),
    }
}

/// One value; null is the default of its kind, since elements of lists and maps are always there.
fn write_single(kind: &Kind, value: &Value, field_type: &SqlType) -> Result<Proto, FormatError> {
    let refused = || FormatError(format!("{field_type} cannot be written as {kind:?}"));
    if value.is_null() {
        return Ok(Proto::default_value(kind));
    }
    let integer = || value.as_i64().ok_or_else(refused);
    Ok(match kind {
        Kind::Bool => Proto::Bool(value.as_bool().ok_or_else(refused)?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Proto::I32(integer()? as i32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Proto::I64(integer()?),
        Kind::Uint32 | Kind::Fixed32 => Proto::U32(integer()? as u32),
        Kind::Uint64 | Kind::Fixed64 => Proto::U64(integer()?.cast_unsigned()),
        Kind::Float => Proto::F32(value.as_f64().ok_or_else(refused)? as f32),
        Kind::Double => Proto::F64(value.as_f64().ok_or_else(refused)?),
        Kind::String => Proto::String(value.as_str().ok_or_else(refused)?.to_owned()),
        Kind::Bytes => Proto::Bytes(value.as_bytes().ok_or_else(refused)?.to_vec().into()),
        Kind::Enum(symbols) => {
            let symbol = symbols.get_value_by_name(value.as_str().ok_or_else(refused)?);
            Proto::EnumNumber(symbol.ok_or_else(refused)?.number())
        }
        Kind::Message(message) => Proto::Message(write_nested(message, value, field_type)?),
    })
}

fn write_nested(
    message: &MessageDescriptor,
    value: &Value,
    field_type: &SqlType,
) -> Result<DynamicMessage, FormatError> {
    let refused = || FormatError(format!("{field_type} cannot be written as {}", message.full_name()));
    let mut dynamic = DynamicMessage::new(message.clone());
    match (message.full_name(), value) {
        ("confluent.type.Decimal", Value::Decimal(number)) => {
            let (digits, scale) = number.as_bigint_and_exponent();
            dynamic.set_field_by_name("value", Proto::Bytes(digits.to_signed_bytes_be().into()));
            if let SqlType::Decimal(decimal) = field_type {
                dynamic.set_field_by_name("precision", Proto::U32(decimal.precision));
            }
            dynamic.set_field_by_name("scale", Proto::I32(i32::try_from(scale).unwrap_or_default()));
        }
        ("google.type.Date", Value::Date(days)) => {
            let (year, month, day) = crate::value::civil(i64::from(*days));
            dynamic.set_field_by_name("year", Proto::I32(i32::try_from(year).map_err(|_| refused())?));
            dynamic.set_field_by_name("month", Proto::I32(month.cast_signed()));
            dynamic.set_field_by_name("day", Proto::I32(day.cast_signed()));
        }
        ("google.type.TimeOfDay", Value::Time(ms)) => {
            dynamic.set_field_by_name("hours", Proto::I32(ms / 3_600_000));
            dynamic.set_field_by_name("minutes", Proto::I32(ms / 60_000 % 60));
            dynamic.set_field_by_name("seconds", Proto::I32(ms / 1000 % 60));
            dynamic.set_field_by_name("nanos", Proto::I32(ms % 1000 * 1_000_000));
        }
        ("google.protobuf.Timestamp", Value::Timestamp(ms)) => {
            dynamic.set_field_by_name("seconds", Proto::I64(ms.div_euclid(1000)));
            let nanos = ms.rem_euclid(1000) * 1_000_000;
            dynamic.set_field_by_name("nanos", Proto::I32(i32::try_from(nanos).unwrap_or_default()));
        }
        (name, _) if is_wrapper(name) => {
            let inner = message.get_field(1).ok_or_else(refused)?;
            dynamic.set_field(&inner, write_single(&inner.kind(), value, field_type)?);
        }
        (_, Value::Struct(row)) => {
            let SqlType::Struct(structure) = field_type else { return Err(refused()) };
            return write_message(message, &struct_fields(structure), row);
        }
        _ => return Err(refused()),
    }
    Ok(dynamic)
}

fn is_wrapper(name: &str) -> bool {
    name.starts_with("google.protobuf.") && name.ends_with("Value") && name != "google.protobuf.Value"
}

fn read_message(message: &DynamicMessage, fields: &[Field]) -> Result<Vec<Value>, FormatError> {
    let mut row = vec![Value::Null; fields.len()];
    let names = fields.iter().map(|field| &*field.name);
    for declared in declared(&message.descriptor()) {
        match declared {
            Declared::Field(field) => {
                let Some(position) = position_of(names.clone(), field.name()) else { continue };
                let value = present(message, &field, &fields[position].field_type);
                row[position] = value.map_err(|error| coercion::within(error, &fields[position].name))?;
            }
            Declared::OneOf(ref oneof, _) => {
                let Some(position) = position_of(names.clone(), &declared.name()) else { continue };
                let SqlType::Struct(structure) = &fields[position].field_type else { continue };
                let mut branches = vec![Value::Null; structure.fields.len()];
                for field in oneof.fields().filter(|field| message.has_field(field)) {
                    if let Some(branch) = position_of(structure.fields.iter().map(|field| &*field.name), field.name()) {
                        let wanted = &structure.fields[branch].field_type;
                        branches[branch] = read_field(&field, &message.get_field(&field), wanted)?;
                    }
                }
                row[position] = Value::structure(branches);
            }
        }
    }
    Ok(row)
}

/// A field of a message; null when it tells that it is not there.
fn present(message: &DynamicMessage, field: &FieldDescriptor, wanted: &SqlType) -> Result<Value, FormatError> {
    // Scalars of the older syntax are their default when they are not there.
    let tells = matches!(field.kind(), Kind::Message(_)) || field.field_descriptor_proto().proto3_optional();
    if field.supports_presence() && tells && !message.has_field(field) {
        return Ok(Value::Null);
    }
    read_field(field, &message.get_field(field), wanted)
}

fn read_field(field: &FieldDescriptor, value: &Proto, wanted: &SqlType) -> Result<Value, FormatError> {
    match (value, wanted) {
        (Proto::List(elements), SqlType::Array(element_type)) => {
            let elements = elements.iter().map(|element| read_single(&field.kind(), element, element_type));
            Ok(Value::array(elements.collect::<Result<_, _>>()?))
        }
        (Proto::List(entries), SqlType::Map(key_type, value_type)) => {
            let (_, key, value) = map_entry(field).ok_or_else(|| FormatError::new("a list is no map"))?;
            let mut map = MapValue::roomy();
            for entry in entries.iter().filter_map(Proto::as_message) {
                map.insert(present(entry, &key, key_type)?, present(entry, &value, value_type)?);
            }
            Ok(Value::map(map))
        }
        (Proto::Map(entries), SqlType::Map(key_type, value_type)) => {
            let Kind::Message(entry) = field.kind() else { return Err(FormatError::new("a map has no entries")) };
            let value_kind = entry.map_entry_value_field().kind();
            let mut map = MapValue::roomy();
            // The order of a Protobuf map is not defined; sorted, it is at least the same every time.
            let mut sorted: Vec<_> = entries.iter().map(|(key, value)| (map_key(key), value)).collect();
            sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
            for (key, value) in sorted {
                map.insert(scalar(key, key_type)?, read_single(&value_kind, value, value_type)?);
            }
            Ok(Value::map(map))
        }
        (value, wanted) => read_single(&field.kind(), value, wanted),
    }
}

fn map_key(key: &MapKey) -> Value {
    match key {
        MapKey::Bool(truth) => Value::Boolean(*truth),
        MapKey::I32(number) => Value::Bigint(i64::from(*number)),
        MapKey::I64(number) => Value::Bigint(*number),
        MapKey::U32(number) => Value::Bigint(i64::from(*number)),
        MapKey::U64(number) => Value::Bigint(number.cast_signed()),
        MapKey::String(text) => Value::from(text.as_str()),
    }
}

fn read_single(kind: &Kind, value: &Proto, wanted: &SqlType) -> Result<Value, FormatError> {
    let plain = match value {
        Proto::Bool(truth) => Value::Boolean(*truth),
        Proto::I32(number) => Value::Bigint(i64::from(*number)),
        Proto::I64(number) => Value::Bigint(*number),
        Proto::U32(number) => Value::Bigint(i64::from(*number)),
        Proto::U64(number) => Value::Bigint(number.cast_signed()),
        Proto::F32(number) => Value::Double(f64::from(*number)),
        Proto::F64(number) => Value::Double(*number),
        Proto::String(text) => Value::from(text.as_str()),
        Proto::Bytes(bytes) => Value::bytes(bytes),
        Proto::EnumNumber(number) => {
            let symbol = kind.as_enum().and_then(|symbols| symbols.get_value(*number));
            symbol.map_or(Value::Bigint(i64::from(*number)), |symbol| Value::from(symbol.name()))
        }
        Proto::Message(message) => return read_nested(message, wanted),
        Proto::List(_) | Proto::Map(_) => return Err(FormatError(format!("expected {wanted}, got a list"))),
    };
    coercion::check(written(value), wanted)?;
    scalar(plain, wanted)
}

/// What a scalar is written as.
fn written(value: &Proto) -> Written {
    match value {
        Proto::Bool(_) => Written::Boolean,
        Proto::I32(_) => Written::Int32,
        Proto::I64(_) | Proto::U32(_) | Proto::U64(_) => Written::Int64,
        Proto::F32(_) => Written::Float32,
        Proto::F64(_) => Written::Float64,
        Proto::String(_) | Proto::EnumNumber(_) => Written::Text,
        Proto::Bytes(_) => Written::Bytes,
        Proto::Message(_) => Written::Struct,
        Proto::List(_) => Written::Array,
        Proto::Map(_) => Written::Map,
    }
}

fn read_nested(message: &DynamicMessage, wanted: &SqlType) -> Result<Value, FormatError> {
    let descriptor = message.descriptor();
    let integer = |name: &str| match message.get_field_by_name(name).as_deref() {
        Some(Proto::I32(number)) => i64::from(*number),
        Some(Proto::I64(number)) => *number,
        _ => 0,
    };
    match (descriptor.full_name(), wanted) {
        ("confluent.type.Decimal", SqlType::Decimal(decimal)) => {
            let digits = message.get_field_by_name("value");
            let digits = digits.as_deref().and_then(Proto::as_bytes).map(|bytes| BigInt::from_signed_bytes_be(bytes));
            let number = BigDecimal::new(digits.unwrap_or_default(), integer("scale"));
            exact_decimal(&number, *decimal)
        }
        ("google.type.Date", _) => {
            let part = |name| u32::try_from(integer(name)).unwrap_or_default();
            let days = crate::value::days_of_civil(integer("year"), part("month"), part("day"));
            scalar(Value::Bigint(days), wanted)
        }
        ("google.type.TimeOfDay", _) => {
            let seconds = integer("hours") * 3600 + integer("minutes") * 60 + integer("seconds");
            scalar(Value::Bigint((seconds * 1000 + integer("nanos") / 1_000_000) % DAY_MS), wanted)
        }
        ("google.protobuf.Timestamp", _) => {
            let ms = integer("seconds").saturating_mul(1000).saturating_add(integer("nanos") / 1_000_000);
            scalar(Value::Bigint(ms), wanted)
        }
        (name, _) if is_wrapper(name) => match descriptor.get_field(1) {
            Some(inner) => read_single(&inner.kind(), &message.get_field(&inner), wanted),
            None => Ok(Value::Null),
        },
        (_, SqlType::Struct(structure)) => read_message(message, &struct_fields(structure)).map(Value::structure),
        (name, _) => Err(FormatError(format!("expected {wanted}, got {name}"))),
    }
}
