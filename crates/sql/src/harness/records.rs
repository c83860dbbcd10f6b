//! Records between the JSON of test cases and bytes.

use std::sync::Arc;

use crate::catalog::{Source, WindowInfo};
use crate::formats::json_text::Json;
use crate::formats::registry::{RegisteredSchema, SchemaRegistry};
use crate::formats::{
    self, CodecContext, Field, Format, FormatError, FormatSpec, Side, avro, inference, json, json_schema,
};
use crate::harness::case::{CaseRecord, CaseWindow, scalar_text};
use crate::runtime::RawRecord;
use crate::runtime::reader::split_window;
use crate::types::SqlType;

/// A side of a topic, as test cases write and read it.
pub struct SideFormat<'a> {
    /// The format.
    pub spec: &'a FormatSpec,
    /// The columns that are declared.
    pub fields: Vec<Field>,
    /// The topic and side.
    pub context: CodecContext,
}

/// Both sides of a source.
pub fn sides<'a>(source: &'a Source, registry: &Arc<dyn SchemaRegistry>) -> (SideFormat<'a>, SideFormat<'a>) {
    let context = |side| CodecContext { topic: source.topic.clone(), side, registry: registry.clone() };
    (
        SideFormat { spec: &source.key_format, fields: source.key_fields(), context: context(Side::Key) },
        SideFormat { spec: &source.value_format, fields: source.value_fields(), context: context(Side::Value) },
    )
}

/// The record of an input.
///
/// # Errors
/// What the format of the topic cannot hold.
pub fn raw_record(
    record: &CaseRecord<'_>,
    source: &Source,
    registry: &Arc<dyn SchemaRegistry>,
) -> Result<RawRecord, FormatError> {
    let (key, value) = sides(source, registry);
    let mut key = key.bytes(&record.key)?;
    if let (Some(key), Some(window)) = (&mut key, record.window) {
        if window.session {
            key.extend(window.end.to_be_bytes());
        }
        key.extend(window.start.to_be_bytes());
    }
    let headers = record.headers.iter().flatten().map(|(name, value)| {
        use base64::Engine as _;
        let decode = |text: &String| base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
        (name.clone(), value.as_ref().map(decode))
    });
    Ok(RawRecord {
        key: key.map(Into::into),
        value: value.bytes(&record.value)?.map(Into::into),
        timestamp: record.timestamp.unwrap_or(0),
        headers: headers.collect(),
        partition: 0,
        offset: 0,
    })
}

impl SideFormat<'_> {
    /// The bytes of `json`.
    fn bytes(&self, json: &Json<'_>) -> Result<Option<Vec<u8>>, FormatError> {
        if json.is_null() {
            return Ok(None);
        }
        match self.spec.format {
            Format::None => Ok(None),
            Format::Json => Ok(Some(json.text().into_bytes())),
            Format::Delimited => Ok(Some(scalar_text(json).into_bytes())),
            Format::Kafka => {
                let Some(field) = self.fields.first() else { return Ok(Some(scalar_text(json).into_bytes())) };
                let value = json::read(json, &field.field_type)?;
                formats::open(self.spec, self.fields.clone(), &self.context)?.encode(&[value])
            }
            Format::ProtobufNoSr => {
                let row = json::read_row(&named(json, &record_type(&self.fields)), &self.fields, false)?;
                let row = row.unwrap_or_default();
                formats::open(self.spec, self.fields.clone(), &self.context)?.encode(&row)
            }
            Format::Avro | Format::JsonSr | Format::Protobuf => self.registered_bytes(json),
        }
    }

    fn registered_bytes(&self, json: &Json<'_>) -> Result<Option<Vec<u8>>, FormatError> {
        let registered = match self.spec.schema_id {
            Some(id) => self.context.registry.by_id(id)?,
            None => self.context.registry.latest(&self.context.subject())?,
        };
        let Some(registered) = registered else {
            let unwrapped = self.spec.unwraps(self.context.side) && self.fields.len() == 1;
            let named = named_as(json, &self.fields, unwrapped);
            let row = json::read_row(&named, &self.fields, unwrapped)?.unwrap_or_default();
            return formats::open(self.spec, self.fields.clone(), &self.context)?.encode(&row);
        };
        let fields = inference::fields(&registered.schema, self.spec.full_name.as_deref(), "ROWVAL")?;
        let unwrapped = is_unwrapped(&registered);
        let named = named_as(json, &fields, unwrapped);
        if self.spec.format == Format::JsonSr {
            let mut bytes = milena_schema::wire::prefix(registered.id).to_vec();
            bytes.extend(json_schema::as_written(&registered, named)?.text().into_bytes());
            return Ok(Some(bytes));
        }
        let chosen = with_choices(&named, &registered);
        let row = json::read_row(&chosen, &fields, unwrapped)?.unwrap_or_default();
        let spec = FormatSpec { schema_id: Some(registered.id), wrap: Some(!unwrapped), ..self.spec.clone() };
        formats::open(&spec, fields, &self.context)?.encode(&row)
    }

    /// The JSON of bytes, with whether numbers with a fraction came from binary doubles.
    ///
    /// # Errors
    /// Bytes that are not of the format.
    pub fn json(&self, bytes: Option<&[u8]>) -> Result<(Json<'static>, bool), FormatError> {
        let Some(bytes) = bytes else { return Ok((Json::Null, false)) };
        let text = || String::from_utf8_lossy(bytes).into_owned();
        match self.spec.format {
            Format::None => Ok((Json::Null, false)),
            Format::Delimited => Ok((Json::String(text().into()), false)),
            Format::Json => Ok((owned(&text())?, false)),
            Format::Kafka | Format::ProtobufNoSr => {
                let codec = formats::open(self.spec, self.fields.clone(), &self.context)?;
                let row = codec.decode(bytes)?.unwrap_or_default();
                let single = self.spec.format == Format::Kafka;
                Ok((row_json(&row, &self.fields, single)?, !single))
            }
            Format::Avro | Format::JsonSr | Format::Protobuf => {
                let id = match milena_schema::wire::split_prefix(bytes)
                    .map_err(|error| FormatError(error.to_string()))?
                    .schema_id
                {
                    milena_schema::wire::SchemaId::Id(id) => id,
                    milena_schema::wire::SchemaId::Guid(_) => return Err(FormatError("a GUID".to_owned())),
                };
                let registered = self.context.registry.by_id(id)?;
                let registered = registered.ok_or_else(|| FormatError(format!("no schema {id}")))?;
                let name = message_name(bytes, &registered);
                let fields = inference::fields(&registered.schema, name.as_deref(), "ROWVAL")?;
                let unwrapped = is_unwrapped(&registered);
                let spec = FormatSpec { wrap: Some(!unwrapped), full_name: name, ..self.spec.clone() };
                let row = formats::open(&spec, fields.clone(), &self.context)?.decode(bytes)?.unwrap_or_default();
                Ok((row_json(&row, &fields, unwrapped)?, self.spec.format != Format::JsonSr))
            }
        }
    }
}

/// Test cases spell names in whatever case; these are those of the columns or the schema.
fn named<'a>(json: &Json<'a>, sql_type: &SqlType) -> Json<'a> {
    match (json, sql_type) {
        (Json::Object(members), SqlType::Struct(structure)) => {
            let member = |(name, json): &(std::borrow::Cow<'a, str>, Json<'a>)| {
                let is_it = |field: &&crate::types::StructField| field.name.eq_ignore_ascii_case(name);
                match structure.fields.iter().find(is_it) {
                    Some(field) => (field.name.to_string().into(), named(json, &field.field_type)),
                    None => (name.clone(), json.clone()),
                }
            };
            Json::Object(members.iter().map(member).collect())
        }
        (Json::Object(members), SqlType::Map(_, value)) => {
            Json::Object(members.iter().map(|(name, json)| (name.clone(), named(json, value))).collect())
        }
        (Json::Array(elements), SqlType::Array(element)) => {
            Json::Array(elements.iter().map(|json| named(json, element)).collect())
        }
        _ => json.clone(),
    }
}

fn named_as<'a>(json: &Json<'a>, fields: &[Field], unwrapped: bool) -> Json<'a> {
    match fields {
        [field] if unwrapped => named(json, &field.field_type),
        _ => named(json, &record_type(fields)),
    }
}

fn record_type(fields: &[Field]) -> SqlType {
    SqlType::structure(fields.iter().map(|field| (field.name.clone(), field.field_type.clone())))
}

/// Test cases give a union of several types a value of the first.
fn with_choices<'a>(json: &Json<'a>, registered: &RegisteredSchema) -> Json<'a> {
    let (Json::Object(members), Some(schema)) = (json, registered.schema.as_avro()) else { return json.clone() };
    let members = members.iter().map(|(name, value)| match avro::first_choice(schema, name) {
        Some(branch) if !value.is_null() => (name.clone(), Json::Object(vec![(branch.into(), value.clone())])),
        _ => (name.clone(), value.clone()),
    });
    Json::Object(members.collect())
}

fn message_name(bytes: &[u8], registered: &RegisteredSchema) -> Option<String> {
    let schema = registered.schema.as_protobuf()?;
    let (indexes, _) = milena_schema::wire::read_message_indexes(bytes.get(5..)?).ok()?;
    schema.message_name(&indexes)
}

fn is_unwrapped(registered: &RegisteredSchema) -> bool {
    registered.schema.as_protobuf().is_none() && inference::is_single(&registered.schema)
}

fn row_json(row: &[crate::value::Value], fields: &[Field], single: bool) -> Result<Json<'static>, FormatError> {
    let mut text = String::new();
    match (row, fields) {
        ([value], [field]) if single => json::write(value, &field.field_type, &mut text),
        _ => {
            json::write(&crate::value::Value::structure(row.to_vec()), &record_type(fields), &mut text);
        }
    }
    owned(&text)
}

fn owned(text: &str) -> Result<Json<'static>, FormatError> {
    Json::read(text).map(|json| json.into_owned()).map_err(|error| FormatError(format!("{error}: {text}")))
}

/// A key without its window, and the window.
pub fn unwindowed(key: Option<&[u8]>, window: Option<WindowInfo>) -> (Option<Vec<u8>>, Option<CaseWindow>) {
    let (Some(bytes), Some(info)) = (key, window) else { return (key.map(<[u8]>::to_vec), None) };
    match split_window(bytes, info.size_ms) {
        Some((rest, bounds)) => {
            let window = CaseWindow { start: bounds.start, end: bounds.end, session: info.is_session() };
            (Some(rest.to_vec()), Some(window))
        }
        None => (Some(bytes.to_vec()), None),
    }
}
