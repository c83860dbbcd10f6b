//! Schemas of Connect as Protobuf files and back.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;

use milena_schema::protobuf::ast::{OptionValue, ProtoFile, TypeDecl};
use prost_reflect::{FieldDescriptor, Kind as ProtoKind, MessageDescriptor};

use super::{DEFAULT_NAME, Protobuf, TAG};
use crate::data::logical::{self, DATE, DECIMAL, SCALE, TIME, TIMESTAMP};
use crate::data::{DataError, Field, Kind, Schema, SchemaRef};

/// Messages nest no deeper.
const DEPTH_MAX: usize = 50;
/// A file whose messages hold each other has more fields than its text shows; beyond this it is refused.
const FIELDS_MAX: usize = 100_000;
/// Name of the parameter with the type of Connect.
const CONNECT_TYPE: &str = "connect.type";

/// A schema as the text of a Protobuf file.
pub(super) fn write(schema: &SchemaRef, options: Protobuf) -> Result<String, DataError> {
    let Kind::Struct(fields) = &schema.kind else {
        let kind = schema.type_name();
        return Err(DataError::new(format!("Unsupported root schema of type {kind}: Protobuf has messages only")));
    };
    let mut writer = Writer { options, imports: BTreeSet::new(), defaults: 0 };
    let (package, name) = match schema.name.as_deref().map(|name| name.rsplit_once('.').unwrap_or(("", name))) {
        Some((package, name)) => (package, options.name(name)),
        None => ("", writer.default_name()),
    };
    let message = writer.message(&name, fields, 0)?;
    let mut text = "syntax = \"proto3\";\n".to_owned();
    // Writing to a string cannot fail.
    if !package.is_empty() {
        let _ = writeln!(text, "package {package};");
    }
    for import in writer.imports {
        let _ = writeln!(text, "import \"{import}\";");
    }
    text.push('\n');
    text.push_str(&message);
    Ok(text)
}

struct Writer {
    options: Protobuf,
    imports: BTreeSet<&'static str>,
    /// Structs without a name so far.
    defaults: usize,
}

/// The type of a field with what it needs around it.
struct Written {
    text: String,
    label: &'static str,
    /// Parameters of `confluent.field_meta`.
    meta: Vec<(&'static str, String)>,
    /// A message that is nested for it.
    nested: Option<String>,
    /// A type with a wrapper: what that is called.
    wrapper: Option<&'static str>,
}

impl Writer {
    fn default_name(&mut self) -> String {
        self.defaults += 1;
        format!("{DEFAULT_NAME}{}", self.defaults)
    }

    fn message(&mut self, name: &str, fields: &[Field], depth: usize) -> Result<String, DataError> {
        if depth > DEPTH_MAX {
            return Err(DataError::new("The schema is nested too deeply"));
        }
        let indent = "  ".repeat(depth);
        let mut text = format!("{indent}message {name} {{\n");
        let mut nested_names = HashSet::new();
        let mut nested_text = String::new();
        let tag = |field: &Field| field.schema.parameters.get(TAG).and_then(|tag| tag.parse::<u32>().ok());
        let mut used: HashSet<u32> = fields.iter().filter_map(tag).collect();
        let mut next = 1;
        for field in fields {
            let written = self.of_schema(&field.schema, &mut nested_names, depth)?;
            let number = tag(field).unwrap_or_else(|| {
                while used.contains(&next) {
                    next += 1;
                }
                used.insert(next);
                next
            });
            let (label, kind) = match written.wrapper.filter(|_| field.schema.optional && written.label.is_empty()) {
                Some(wrapper) if self.options.wrappers => {
                    self.imports.insert("google/protobuf/wrappers.proto");
                    ("", format!("google.protobuf.{wrapper}"))
                }
                Some(_) if self.options.optional => ("optional ", written.text),
                _ => (written.label, written.text),
            };
            let name = self.options.name(&field.name);
            let meta = self.meta(&written.meta);
            let _ = writeln!(text, "{indent}  {label}{kind} {name} = {number}{meta};");
            nested_text.push_str(written.nested.as_deref().unwrap_or_default());
        }
        text.push_str(&nested_text);
        let _ = writeln!(text, "{indent}}}");
        Ok(text)
    }

    fn meta(&mut self, parameters: &[(&str, String)]) -> String {
        if parameters.is_empty() {
            return String::new();
        }
        self.imports.insert("confluent/meta.proto");
        let parameters: Vec<String> =
            parameters.iter().map(|(key, value)| format!("{{ key: \"{key}\", value: \"{value}\" }}")).collect();
        format!(" [(confluent.field_meta) = {{ params: [{}] }}]", parameters.join(", "))
    }

    fn of_schema(
        &mut self,
        schema: &SchemaRef,
        nested_names: &mut HashSet<String>,
        depth: usize,
    ) -> Result<Written, DataError> {
        let plain =
            |text: &str, wrapper| Written { text: text.to_owned(), label: "", meta: Vec::new(), nested: None, wrapper };
        if let Some(logical) = self.logical(schema) {
            let mut written = plain(logical, None);
            if schema.is_named(DECIMAL) {
                written.meta.push((SCALE, crate::data::number::decimal_scale(schema)?.to_string()));
            }
            return Ok(written);
        }
        Ok(match &schema.kind {
            Kind::Int8 => {
                Written { meta: vec![(CONNECT_TYPE, "int8".to_owned())], ..plain("int32", Some("Int32Value")) }
            }
            Kind::Int16 => {
                Written { meta: vec![(CONNECT_TYPE, "int16".to_owned())], ..plain("int32", Some("Int32Value")) }
            }
            Kind::Int32 => plain("int32", Some("Int32Value")),
            Kind::Int64 => plain("int64", Some("Int64Value")),
            Kind::Float32 => plain("float", Some("FloatValue")),
            Kind::Float64 => plain("double", Some("DoubleValue")),
            Kind::Boolean => plain("bool", Some("BoolValue")),
            Kind::String => plain("string", Some("StringValue")),
            Kind::Bytes => plain("bytes", Some("BytesValue")),
            Kind::Array(items) => {
                if matches!(items.kind, Kind::Array(_) | Kind::Map(..)) {
                    return Err(DataError::new("Protobuf has no lists of lists and none of maps"));
                }
                Written { label: "repeated ", wrapper: None, ..self.of_schema(items, nested_names, depth)? }
            }
            Kind::Map(keys, values) => {
                let allowed = matches!(keys.kind, Kind::Int32 | Kind::Int64 | Kind::Boolean | Kind::String);
                if !allowed || keys.name.is_some() || matches!(values.kind, Kind::Array(_) | Kind::Map(..)) {
                    let text = "Protobuf has maps from text, int32, int64 and boolean only, and none to lists and maps";
                    return Err(DataError::new(text));
                }
                let key = self.of_schema(keys, nested_names, depth)?.text;
                let value = self.of_schema(values, nested_names, depth)?;
                Written { text: format!("map<{key}, {}>", value.text), wrapper: None, ..value }
            }
            Kind::Struct(fields) => {
                let simple = schema.name.as_deref().map(|name| name.rsplit('.').next().unwrap_or(name));
                let name = match simple {
                    Some(name) => self.options.name(name),
                    None => self.default_name(),
                };
                // A name that is taken in this message is the same struct again.
                let is_new = nested_names.insert(name.clone());
                let nested = is_new.then(|| self.message(&name, fields, depth + 1)).transpose()?;
                Written { nested, ..plain(&name, None) }
            }
        })
    }

    fn logical(&mut self, schema: &Schema) -> Option<&'static str> {
        let (name, import) = match schema.name.as_deref()? {
            DECIMAL => ("confluent.type.Decimal", "confluent/type/decimal.proto"),
            DATE => ("google.type.Date", "google/type/date.proto"),
            TIME => ("google.type.TimeOfDay", "google/type/timeofday.proto"),
            TIMESTAMP => ("google.protobuf.Timestamp", "google/protobuf/timestamp.proto"),
            _ => return None,
        };
        self.imports.insert(import);
        Some(name)
    }
}

/// The schema that values of a message have.
pub(super) fn read(file: &ProtoFile, message: &MessageDescriptor) -> Result<SchemaRef, DataError> {
    let mut reader = Reader { meta: meta_of(file), open: Vec::new(), left: FIELDS_MAX };
    Ok(reader.message(message)?.into())
}

struct Reader {
    meta: Meta,
    /// Messages that are being read, to see those that hold themselves.
    open: Vec<String>,
    left: usize,
}

impl Reader {
    fn message(&mut self, message: &MessageDescriptor) -> Result<Schema, DataError> {
        let name = message.full_name();
        if self.open.len() > DEPTH_MAX || self.open.iter().any(|open| open == name) {
            return Err(DataError::new(format!("Message {name} holds itself, which a schema of Connect cannot")));
        }
        self.open.push(name.to_owned());
        let fields: Result<Vec<Field>, DataError> = message.fields().map(|field| self.field(&field)).collect();
        self.open.pop();
        let schema = Schema::structure(fields?);
        let is_default = message.name().strip_prefix(DEFAULT_NAME).is_some_and(|rest| rest.parse::<u32>().is_ok());
        Ok(if is_default { schema } else { schema.named(name) })
    }

    fn field(&mut self, field: &FieldDescriptor) -> Result<Field, DataError> {
        self.left = self.left.checked_sub(1).ok_or_else(|| DataError::new("The schema has too many fields"))?;
        let schema = if field.is_map() {
            let ProtoKind::Message(entry) = field.kind() else {
                return Err(DataError::new("A map without entries"));
            };
            let key = self.one(&entry.map_entry_key_field(), None)?;
            let value = self.one(&entry.map_entry_value_field(), Some(field))?;
            Schema::new(Kind::Map(key.into(), value.optional().into()))
        } else if field.is_list() {
            Schema::new(Kind::Array(self.one(field, None)?.optional().into()))
        } else {
            self.one(field, None)?
        };
        Ok(Field::new(field.name(), schema.optional().parameter(TAG, field.number().to_string())))
    }

    /// The type of a single value; `meta` is the field whose options count.
    fn one(&mut self, field: &FieldDescriptor, meta: Option<&FieldDescriptor>) -> Result<Schema, DataError> {
        let parameters = self.meta.get(meta.unwrap_or(field).full_name());
        let meta = |name: &str| parameters.and_then(|parameters| parameters.get(name)).cloned();
        Ok(match field.kind() {
            ProtoKind::Double => Schema::new(Kind::Float64),
            ProtoKind::Float => Schema::new(Kind::Float32),
            ProtoKind::Int32 | ProtoKind::Sint32 | ProtoKind::Sfixed32 => {
                Schema::new(match meta(CONNECT_TYPE).as_deref() {
                    Some("int8") => Kind::Int8,
                    Some("int16") => Kind::Int16,
                    _ => Kind::Int32,
                })
            }
            ProtoKind::Uint32 | ProtoKind::Fixed32 => Schema::new(Kind::Int64),
            ProtoKind::Int64 | ProtoKind::Sint64 | ProtoKind::Sfixed64 | ProtoKind::Uint64 | ProtoKind::Fixed64 => {
                Schema::new(Kind::Int64)
            }
            ProtoKind::Bool => Schema::new(Kind::Boolean),
            ProtoKind::String | ProtoKind::Enum(_) => Schema::new(Kind::String),
            ProtoKind::Bytes => Schema::new(Kind::Bytes),
            ProtoKind::Message(message) => match message.full_name() {
                "google.protobuf.Timestamp" => logical::timestamp(),
                "google.type.Date" => logical::date(),
                "google.type.TimeOfDay" => logical::time(),
                "confluent.type.Decimal" => {
                    logical::decimal(meta(SCALE).and_then(|scale| scale.parse().ok()).unwrap_or_default())
                }
                "google.protobuf.DoubleValue" => Schema::new(Kind::Float64),
                "google.protobuf.FloatValue" => Schema::new(Kind::Float32),
                "google.protobuf.Int64Value" | "google.protobuf.UInt64Value" | "google.protobuf.UInt32Value" => {
                    Schema::new(Kind::Int64)
                }
                "google.protobuf.Int32Value" => Schema::new(match meta(CONNECT_TYPE).as_deref() {
                    Some("int8") => Kind::Int8,
                    Some("int16") => Kind::Int16,
                    _ => Kind::Int32,
                }),
                "google.protobuf.BoolValue" => Schema::new(Kind::Boolean),
                "google.protobuf.StringValue" => Schema::new(Kind::String),
                "google.protobuf.BytesValue" => Schema::new(Kind::Bytes),
                name if name.starts_with("google.protobuf.") => {
                    return Err(DataError::new(format!("Message {name} has no schema of Connect")));
                }
                _ => self.message(&message)?,
            },
        })
    }
}

/// Parameters of the option `confluent.field_meta`, by the full name of the field.
type Meta = HashMap<String, HashMap<String, String>>;

/// All of a file. Descriptors do not carry this option, the text does.
fn meta_of(file: &ProtoFile) -> Meta {
    let mut meta = Meta::new();
    collect_meta(file.package.as_deref().unwrap_or_default(), &file.types, &mut meta);
    meta
}

fn collect_meta(scope: &str, types: &[TypeDecl], meta: &mut Meta) {
    for declared in types {
        let TypeDecl::Message(message) = declared else { continue };
        let name = if scope.is_empty() { message.name.clone() } else { format!("{scope}.{}", message.name) };
        for field in message.fields.iter().chain(message.oneofs.iter().flat_map(|oneof| &oneof.fields)) {
            let options = field
                .options
                .iter()
                .filter(|option| option.parenthesized && option.name.trim_start_matches('.') == "confluent.field_meta");
            let parameters: HashMap<String, String> = options.flat_map(|option| parameters_of(&option.value)).collect();
            if !parameters.is_empty() {
                meta.insert(format!("{name}.{}", field.name), parameters);
            }
        }
        collect_meta(&name, &message.types, meta);
    }
}

/// The entries of `params`.
fn parameters_of(value: &OptionValue) -> Vec<(String, String)> {
    let text = |entry: &[(String, OptionValue)], name: &str| {
        entry.iter().find_map(|(key, value)| match value {
            OptionValue::String(text) if key == name => Some(text.clone()),
            _ => None,
        })
    };
    let OptionValue::Map(members) = value else { return Vec::new() };
    let params = members.iter().filter(|(name, _)| name == "params").map(|(_, value)| value);
    let entries = params.flat_map(|value| match value {
        OptionValue::List(entries) => entries.iter().collect(),
        one => vec![one],
    });
    let pair = |entry: &OptionValue| match entry {
        OptionValue::Map(entry) => Some((text(entry, "key")?, text(entry, "value")?)),
        _ => None,
    };
    entries.filter_map(pair).collect()
}
