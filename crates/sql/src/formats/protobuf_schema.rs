//! Protobuf schemas of columns, and columns of Protobuf messages.

use std::fmt::Write as _;

use milena_schema::protobuf::ProtobufSchema;
use milena_schema::protobuf::ast::{self, OptionValue};
use prost_reflect::{FieldDescriptor, FileDescriptor, Kind, MessageDescriptor};

use super::{Field, FormatError, NullableRepresentation};
use crate::types::SqlType;

/// The message of columns that nobody named.
pub const MESSAGE: &str = "ConnectDefault1";
/// What messages without a name are called, with a number behind it.
const DEFAULT_NAME: &str = "ConnectDefault";

/// The text of a file whose message `name` has `fields`, numbered from 1.
///
/// # Errors
/// Lists of lists, which the format does not have.
pub fn schema_text(
    fields: &[Field],
    name: &str,
    nullable: Option<NullableRepresentation>,
) -> Result<String, FormatError> {
    let name = if name.starts_with(DEFAULT_NAME) { MESSAGE } else { name };
    let (package, simple) = name.rsplit_once('.').map_or((None, name), |(package, simple)| (Some(package), simple));
    let mut builder = Builder { imports: Vec::new(), unnamed: usize::from(name == MESSAGE), nullable };
    let mut body = String::new();
    let fields = fields.iter().map(|field| (&*field.name, &field.field_type));
    builder.message(simple, fields, "", &mut body)?;
    let mut text = "syntax = \"proto3\";\n".to_owned();
    if let Some(package) = package {
        let _ = writeln!(text, "package {package};");
    }
    text.push('\n');
    builder.imports.sort();
    for import in &builder.imports {
        let _ = writeln!(text, "import \"{import}\";");
    }
    if !builder.imports.is_empty() {
        text.push('\n');
    }
    text.push_str(&body);
    Ok(text)
}

struct Builder {
    imports: Vec<&'static str>,
    /// How many messages without a name there are so far.
    unnamed: usize,
    nullable: Option<NullableRepresentation>,
}

impl Builder {
    fn message<'f>(
        &mut self,
        name: &str,
        fields: impl Iterator<Item = (&'f str, &'f SqlType)>,
        indent: &str,
        output: &mut String,
    ) -> Result<(), FormatError> {
        let _ = writeln!(output, "{indent}message {name} {{");
        let inner = format!("{indent}  ");
        let mut nested = String::new();
        for (position, (field, field_type)) in fields.enumerate() {
            let number = position + 1;
            let line = self.field(field, field_type, number, &inner, &mut nested)?;
            let _ = writeln!(output, "{inner}{line}");
        }
        output.push_str(&nested);
        let _ = writeln!(output, "{indent}}}");
        Ok(())
    }

    fn field(
        &mut self,
        name: &str,
        field_type: &SqlType,
        number: usize,
        indent: &str,
        nested: &mut String,
    ) -> Result<String, FormatError> {
        Ok(match field_type {
            SqlType::Array(element) => {
                if matches!(**element, SqlType::Array(_) | SqlType::Map(..)) {
                    return Err(FormatError::new("Array cannot be nested"));
                }
                let type_name = self.wrapped(element, indent, nested)?;
                format!("repeated {type_name} {name} = {number}{};", self.options(element))
            }
            // The entries of a map, not that it is one.
            SqlType::Map(key, value) => {
                let entry = format!("{}{ENTRY}", self.default_name());
                let fields = [("key", &**key), ("value", &**value)];
                self.message(&entry, fields.into_iter(), indent, nested)?;
                format!("repeated {entry} {name} = {number};")
            }
            other => {
                let type_name = self.wrapped(other, indent, nested)?;
                let label = if self.nullable == Some(NullableRepresentation::Optional) { "optional " } else { "" };
                format!("{label}{type_name} {name} = {number}{};", self.options(other))
            }
        })
    }

    fn default_name(&mut self) -> String {
        self.unnamed += 1;
        format!("{DEFAULT_NAME}{}", self.unnamed)
    }

    /// The name of a type, or of its wrapper.
    fn wrapped(&mut self, field_type: &SqlType, indent: &str, nested: &mut String) -> Result<String, FormatError> {
        let type_name = self.type_name(field_type, indent, nested)?;
        if self.nullable != Some(NullableRepresentation::Wrapper) || !ast::is_scalar(&type_name) {
            return Ok(type_name);
        }
        self.import("google/protobuf/wrappers.proto");
        Ok(format!("google.protobuf.{}", wrapper(&type_name)))
    }

    fn import(&mut self, path: &'static str) {
        if !self.imports.contains(&path) {
            self.imports.push(path);
        }
    }

    fn options(&mut self, field_type: &SqlType) -> String {
        let SqlType::Decimal(decimal) = field_type else { return String::new() };
        self.import("confluent/meta.proto");
        format!(
            " [(confluent.field_meta) = {{params: [{{key: \"precision\", value: \"{}\"}}, {{key: \"scale\", value: \"{}\"}}]}}]",
            decimal.precision, decimal.scale
        )
    }

    fn type_name(&mut self, field_type: &SqlType, indent: &str, nested: &mut String) -> Result<String, FormatError> {
        Ok(match field_type {
            SqlType::Boolean => "bool",
            SqlType::Integer => "int32",
            SqlType::Bigint => "int64",
            SqlType::Double => "double",
            SqlType::String => "string",
            SqlType::Bytes => "bytes",
            SqlType::Decimal(_) => {
                self.import("confluent/type/decimal.proto");
                "confluent.type.Decimal"
            }
            SqlType::Date => {
                self.import("google/type/date.proto");
                "google.type.Date"
            }
            SqlType::Time => {
                self.import("google/type/timeofday.proto");
                "google.type.TimeOfDay"
            }
            SqlType::Timestamp => {
                self.import("google/protobuf/timestamp.proto");
                "google.protobuf.Timestamp"
            }
            SqlType::Struct(structure) => {
                let name = self.default_name();
                let fields = structure.fields.iter().map(|field| (&*field.name, &field.field_type));
                self.message(&name, fields, indent, nested)?;
                return Ok(name);
            }
            SqlType::Array(_) | SqlType::Map(..) => {
                return Err(FormatError::new("Array cannot be nested"));
            }
        }
        .to_owned())
    }
}

fn wrapper(scalar: &str) -> &'static str {
    match scalar {
        "bool" => "BoolValue",
        "int32" => "Int32Value",
        "int64" => "Int64Value",
        "double" => "DoubleValue",
        "bytes" => "BytesValue",
        _ => "StringValue",
    }
}

/// The full names of what a file declares at its top: messages and enums.
pub(super) fn definitions(schema: &ProtobufSchema) -> Vec<String> {
    let file = schema.file();
    let full = |declared: &ast::TypeDecl| match &file.package {
        Some(package) => format!("{package}.{}", declared.name()),
        None => declared.name().to_owned(),
    };
    file.types.iter().map(full).collect()
}

/// The message called `full_name`, with or without its package; the first one of the file without a name.
///
/// # Errors
/// A file without it.
pub fn message(file: &FileDescriptor, full_name: Option<&str>) -> Result<MessageDescriptor, FormatError> {
    let Some(name) = full_name else {
        return file.messages().next().ok_or_else(|| FormatError::new("the schema has no message"));
    };
    let mut stack: Vec<_> = file.messages().collect();
    while let Some(message) = stack.pop() {
        if message.full_name() == name || message.name() == name {
            return Ok(message);
        }
        stack.extend(message.child_messages());
    }
    Err(FormatError(format!("Protobuf schema doesn't have the specified schema name: {name}")))
}

/// The columns that a message describes.
///
/// # Errors
/// A file without the message; messages that contain themselves.
pub fn fields(schema: &ProtobufSchema, full_name: Option<&str>) -> Result<Vec<Field>, FormatError> {
    let file = schema.descriptor().map_err(FormatError::new)?;
    message_fields(schema, &message(file, full_name)?, 0)
}

fn message_fields(
    schema: &ProtobufSchema,
    message: &MessageDescriptor,
    depth: usize,
) -> Result<Vec<Field>, FormatError> {
    if depth > 64 {
        return Err(FormatError::new("the schema is nested too deeply, or contains itself"));
    }
    let mut fields = Vec::new();
    for field in declared(message) {
        let field_type = match field {
            Declared::Field(ref field) => field_type(schema, message, field, depth)?,
            Declared::OneOf(ref oneof, _) => {
                let branches = oneof
                    .fields()
                    .map(|field| Ok((field.name().to_owned(), field_type(schema, message, &field, depth)?)));
                let branches: Vec<_> = branches.collect::<Result<_, FormatError>>()?;
                SqlType::structure(
                    branches.into_iter().map(|(name, field_type)| (name.as_str().to_owned(), field_type)),
                )
            }
        };
        fields.push(Field { name: field.name().into(), field_type });
    }
    Ok(fields)
}

/// What a message declares, with the fields of a oneof as one.
pub(super) enum Declared {
    Field(FieldDescriptor),
    /// With its place among all of the message.
    OneOf(prost_reflect::OneofDescriptor, usize),
}

impl Declared {
    pub(super) fn name(&self) -> String {
        match self {
            Declared::Field(field) => field.name().to_owned(),
            // A oneof and a field may share a name; the registry's converters tell them apart so.
            Declared::OneOf(oneof, index) => format!("{}_{index}", oneof.name()),
        }
    }
}

/// The declarations of a message in order.
pub(super) fn declared(message: &MessageDescriptor) -> Vec<Declared> {
    let one_of = |(index, oneof)| Declared::OneOf(oneof, index);
    let mut declared: Vec<Declared> =
        message.oneofs().enumerate().filter(|(_, oneof)| !oneof.is_synthetic()).map(one_of).collect();
    let mut fields: Vec<_> =
        message.fields().filter(|field| field.containing_oneof().is_none_or(|oneof| oneof.is_synthetic())).collect();
    // Fields come by number; columns stand in the order of the text, which is the descriptor's.
    let order = |field: &FieldDescriptor| field.path().last().copied().unwrap_or_default();
    fields.sort_by_key(order);
    declared.extend(fields.into_iter().map(Declared::Field));
    declared
}

fn field_type(
    schema: &ProtobufSchema,
    message: &MessageDescriptor,
    field: &FieldDescriptor,
    depth: usize,
) -> Result<SqlType, FormatError> {
    if let Some((entry, key, value)) = map_entry(field) {
        return Ok(SqlType::map(
            field_type(schema, &entry, &key, depth + 1)?,
            field_type(schema, &entry, &value, depth + 1)?,
        ));
    }
    let single = single_type(schema, message, field, depth)?;
    Ok(if field.is_list() { SqlType::array(single) } else { single })
}

/// What the names of messages end with that are entries of a map.
const ENTRY: &str = "Entry";

/// The message of the entries of a map with its key and value; `None` for what is no map. Messages that look like an entry
/// and repeat are a map, whether the schema says so or not.
pub(super) fn map_entry(field: &FieldDescriptor) -> Option<(MessageDescriptor, FieldDescriptor, FieldDescriptor)> {
    let Kind::Message(entry) = field.kind() else { return None };
    if field.is_map() {
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        return Some((entry, key, value));
    }
    let looks_so = field.is_list() && entry.name().ends_with(ENTRY) && entry.fields().len() == 2;
    let (key, value) = (entry.get_field_by_name("key")?, entry.get_field_by_name("value")?);
    looks_so.then_some((entry, key, value))
}

fn single_type(
    schema: &ProtobufSchema,
    message: &MessageDescriptor,
    field: &FieldDescriptor,
    depth: usize,
) -> Result<SqlType, FormatError> {
    Ok(match field.kind() {
        Kind::Bool => SqlType::Boolean,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => SqlType::Integer,
        Kind::Uint32 | Kind::Fixed32 | Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => {
            SqlType::Bigint
        }
        Kind::Float | Kind::Double => SqlType::Double,
        Kind::String | Kind::Enum(_) => SqlType::String,
        Kind::Bytes => SqlType::Bytes,
        Kind::Message(nested) => match nested.full_name() {
            "confluent.type.Decimal" => {
                let (precision, scale) = decimal_digits(schema, message, field.name());
                SqlType::decimal(precision, scale).map_err(FormatError::new)?
            }
            "google.type.Date" => SqlType::Date,
            "google.type.TimeOfDay" => SqlType::Time,
            "google.protobuf.Timestamp" => SqlType::Timestamp,
            name if name.starts_with("google.protobuf.") && name.ends_with("Value") => match nested.get_field(1) {
                Some(inner) => single_type(schema, &nested, &inner, depth + 1)?,
                None => return Err(FormatError(format!("{name} has no type"))),
            },
            _ => {
                let fields = message_fields(schema, &nested, depth + 1)?;
                SqlType::structure(fields.into_iter().map(|field| (field.name, field.field_type)))
            }
        },
    })
}

/// Precision and scale that the options of a field state.
fn decimal_digits(schema: &ProtobufSchema, message: &MessageDescriptor, field: &str) -> (u32, u32) {
    let digits = || {
        let options = find_field(&schema.file().types, message.name(), field)?;
        let meta = options.iter().find(|option| option.name.trim_start_matches('.') == "confluent.field_meta")?;
        let params = match &meta.value {
            _ if meta.path.first().is_some_and(|part| part == "params") => &meta.value,
            OptionValue::Map(members) => &members.iter().find(|(name, _)| name == "params")?.1,
            _ => return None,
        };
        let entries = match params {
            OptionValue::List(entries) => entries.as_slice(),
            single => std::slice::from_ref(single),
        };
        let number = |wanted: &str| {
            entries.iter().find_map(|entry| {
                let OptionValue::Map(members) = entry else { return None };
                let text = |name: &str| members.iter().find(|(member, _)| member == name)?.1.as_text();
                (text("key") == Some(wanted)).then(|| text("value")?.parse::<u32>().ok()).flatten()
            })
        };
        Some((number("precision").unwrap_or(64), number("scale").unwrap_or(0)))
    };
    digits().unwrap_or((64, 0))
}

fn find_field<'a>(types: &'a [ast::TypeDecl], message: &str, field: &str) -> Option<&'a [ast::OptionEntry]> {
    for declared in ast::messages(types) {
        if declared.name == message
            && let Some(found) = declared.all_fields().find(|candidate| candidate.name == field)
        {
            return Some(&found.options);
        }
        if let Some(found) = find_field(&declared.types, message, field) {
            return Some(found);
        }
    }
    None
}
