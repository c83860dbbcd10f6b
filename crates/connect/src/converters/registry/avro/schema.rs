//! Schemas of Connect as Avro and back.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use indexmap::IndexMap;
use milena_schema::avro::{AvroSchema, Kind as AvroKind, Type};
use milena_schema::document::Node;
use serde_json::{Map, Value as Json, json};

use super::write::simple_label;
use super::{Avro, DEFAULT_NAME, ENUM, MAP_ENTRY, NAMESPACE, UNION};
use crate::converters::registry::logical::{float, physical, whole};
use crate::converters::registry::parameters_json;
use crate::data::logical::{self, DATE, DECIMAL, TIME, TIMESTAMP};
use crate::data::{DataError, Field, Kind, Schema, SchemaRef, Value};

/// Parameter with the digits of a Decimal.
const PRECISION: &str = "connect.decimal.precision";
/// Digits of a Decimal that does not tell.
const PRECISION_DEFAULT: i64 = 64;
/// Schemas nest no deeper.
const DEPTH_MAX: usize = 100;
/// A schema that names its records in each other has more types than its text shows; beyond this it is refused.
const TYPES_MAX: usize = 100_000;

/// A schema as the text of an Avro schema.
pub(super) fn write(schema: &SchemaRef, options: Avro) -> Result<String, DataError> {
    let mut writer = Writer { options, defined: HashMap::new() };
    Ok(writer.nullable(schema)?.to_string())
}

struct Writer {
    options: Avro,
    /// Named types that were written already.
    defined: HashMap<String, Option<SchemaRef>>,
}

impl Writer {
    /// The type, in a union with null when it is optional; what the default is of comes first.
    fn nullable(&mut self, schema: &SchemaRef) -> Result<Json, DataError> {
        let one = self.one(schema)?;
        Ok(match (schema.optional, &schema.default) {
            (false, _) => one,
            (true, None) => json!(["null", one]),
            (true, Some(_)) => json!([one, "null"]),
        })
    }

    fn one(&mut self, schema: &SchemaRef) -> Result<Json, DataError> {
        let mut members = Map::new();
        let mut connect_type = None;
        let physical = match &schema.kind {
            Kind::Int8 => {
                connect_type = Some("int8");
                "int"
            }
            Kind::Int16 => {
                connect_type = Some("int16");
                "int"
            }
            Kind::Int32 => "int",
            Kind::Int64 => "long",
            Kind::Float32 => "float",
            Kind::Float64 => "double",
            Kind::Boolean => "boolean",
            Kind::String if self.options.enums && schema.parameters.contains_key(ENUM) => {
                return self.enumeration(schema);
            }
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::Array(_) => "array",
            Kind::Map(keys, _) if keys.kind == Kind::String && !keys.optional => "map",
            Kind::Map(..) => "array",
            Kind::Struct(_) => "record",
        };
        members.insert("type".to_owned(), physical.into());
        match &schema.kind {
            Kind::Array(items) => {
                members.insert("items".to_owned(), self.nullable(items)?);
            }
            Kind::Map(_, values) if physical == "map" => {
                members.insert("values".to_owned(), self.nullable(values)?);
            }
            Kind::Map(keys, values) => {
                let name = self.free_name(MAP_ENTRY);
                let fields = json!([
                    {"name": "key", "type": self.nullable(keys)?}, {"name": "value", "type": self.nullable(values)?}
                ]);
                let entry = json!({
                    "type": "record", "name": name, "namespace": NAMESPACE, "fields": fields,
                    "connect.internal.type": MAP_ENTRY
                });
                members.insert("items".to_owned(), entry);
            }
            Kind::Struct(fields) => {
                if schema.is_named(UNION) {
                    return self.union(fields);
                }
                if let Some(name) = self.record(schema, fields, &mut members)? {
                    return Ok(Json::String(name));
                }
            }
            _ => {}
        }
        if schema.is_named(DECIMAL) {
            let precision = schema.parameters.get(PRECISION).and_then(|precision| precision.parse().ok());
            let scale = crate::data::number::decimal_scale(schema)?;
            members.insert("scale".to_owned(), scale.into());
            members.insert("precision".to_owned(), precision.unwrap_or(PRECISION_DEFAULT).into());
        }
        if self.options.metadata {
            metadata(schema, connect_type, &mut members)?;
        }
        let logical = match schema.name.as_deref() {
            Some(DECIMAL) => Some("decimal"),
            Some(DATE) => Some("date"),
            Some(TIME) => Some("time-millis"),
            Some(TIMESTAMP) => Some("timestamp-millis"),
            _ => None,
        };
        if let Some(logical) = logical {
            members.insert("logicalType".to_owned(), logical.into());
        }
        // A type without properties is its name alone.
        Ok(if members.len() == 1 { physical.into() } else { Json::Object(members) })
    }

    /// Adds what a record has; answers its name instead when it was written before.
    fn record(
        &mut self,
        schema: &SchemaRef,
        fields: &[Field],
        members: &mut Map<String, Json>,
    ) -> Result<Option<String>, DataError> {
        let full = match &schema.name {
            Some(name) => self.options.name(name),
            None => format!("{NAMESPACE}.{}", self.free_name(DEFAULT_NAME)),
        };
        if schema.name.is_some() {
            match self.defined.insert(full.clone(), Some(schema.clone())) {
                Some(Some(known)) if known.fields() == schema.fields() => return Ok(Some(full)),
                Some(_) => return Err(DataError::new(format!("Two schemas have the name {full}"))),
                None => {}
            }
        }
        let (namespace, name) = match full.rsplit_once('.') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, full.as_str()),
        };
        members.insert("name".to_owned(), name.into());
        if let Some(namespace) = namespace {
            members.insert("namespace".to_owned(), namespace.into());
        }
        if let Some(doc) = &schema.doc {
            members.insert("doc".to_owned(), doc.as_ref().into());
        }
        let mut written = Vec::with_capacity(fields.len());
        for field in fields {
            let mut one = Map::new();
            one.insert("name".to_owned(), self.options.name(&field.name).into());
            one.insert("type".to_owned(), self.nullable(&field.schema)?);
            if let Some(doc) = &field.schema.doc {
                one.insert("doc".to_owned(), doc.as_ref().into());
            }
            match &field.schema.default {
                Some(default) => {
                    one.insert("default".to_owned(), default_json(&field.schema, default)?);
                }
                None if field.schema.optional => {
                    one.insert("default".to_owned(), Json::Null);
                }
                None => {}
            }
            written.push(Json::Object(one));
        }
        members.insert("fields".to_owned(), Json::Array(written));
        Ok(None)
    }

    fn union(&mut self, fields: &[Field]) -> Result<Json, DataError> {
        let mut branches = vec![Json::from("null")];
        for field in fields {
            branches.push(self.one(&field.schema)?);
        }
        Ok(Json::Array(branches))
    }

    fn enumeration(&mut self, schema: &SchemaRef) -> Result<Json, DataError> {
        let full = schema.parameters.get(ENUM).cloned().unwrap_or_default();
        if self.defined.insert(full.clone(), None).is_some() {
            return Ok(Json::String(full));
        }
        let prefix = format!("{ENUM}.");
        let symbols: Vec<&String> =
            schema.parameters.iter().filter_map(|(key, symbol)| key.starts_with(&prefix).then_some(symbol)).collect();
        let (namespace, name) = full.rsplit_once('.').unwrap_or(("", &full));
        let mut members = Map::new();
        members.insert("type".to_owned(), "enum".into());
        members.insert("name".to_owned(), name.into());
        if !namespace.is_empty() {
            members.insert("namespace".to_owned(), namespace.into());
        }
        members.insert("symbols".to_owned(), json!(symbols));
        Ok(Json::Object(members))
    }

    /// The name, with a number behind it when it is taken.
    fn free_name(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        let mut number = 1;
        while self.defined.contains_key(&format!("{NAMESPACE}.{free}")) {
            number += 1;
            free = format!("{name}{number}");
        }
        self.defined.insert(format!("{NAMESPACE}.{free}"), None);
        free
    }
}

fn metadata(schema: &SchemaRef, connect_type: Option<&str>, members: &mut Map<String, Json>) -> Result<(), DataError> {
    let mut put = |name: &str, value: Json| members.insert(name.to_owned(), value);
    if let Some(doc) = &schema.doc {
        put("connect.doc", doc.as_ref().into());
    }
    if let Some(version) = schema.version {
        put("connect.version", version.into());
    }
    if !schema.parameters.is_empty() {
        put("connect.parameters", parameters_json(schema));
    }
    if let Some(default) = &schema.default {
        put("connect.default", default_json(schema, default)?);
    }
    if let Some(name) = &schema.name {
        put("connect.name", name.as_ref().into());
    }
    if let Some(connect_type) = connect_type {
        put("connect.type", connect_type.into());
    }
    Ok(())
}

/// A default as it stands in a schema: without the names of branches.
fn default_json(schema: &SchemaRef, value: &Value) -> Result<Json, DataError> {
    if let Some(value) = physical(schema, value)? {
        return default_json(&Schema::new(schema.kind.clone()).into(), &value);
    }
    Ok(match value {
        Value::Null => Json::Null,
        Value::Boolean(value) => Json::Bool(*value),
        Value::Float32(value) => float(f64::from(*value)),
        Value::Float64(value) => float(*value),
        Value::String(text) => Json::String(text.clone()),
        Value::Bytes(bytes) => Json::String(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Value::Array(elements) => {
            let of_elements = schema.value_schema().cloned().unwrap_or_else(|| schema.clone());
            elements.iter().map(|element| default_json(&of_elements, element)).collect::<Result<Json, DataError>>()?
        }
        Value::Map(entries) => {
            let of_values = schema.value_schema().cloned().unwrap_or_else(|| schema.clone());
            let entry = |(key, value): &(Value, Value)| Ok((key.to_string(), default_json(&of_values, value)?));
            Json::Object(entries.iter().map(entry).collect::<Result<Map<String, Json>, DataError>>()?)
        }
        Value::Struct(fields) => {
            let pairs = fields.schema().fields().iter().zip(fields.values());
            let member =
                |(field, value): (&Field, &Value)| Ok((field.name.to_string(), default_json(&field.schema, value)?));
            Json::Object(pairs.map(member).collect::<Result<Map<String, Json>, DataError>>()?)
        }
        value => Json::from(whole(value).unwrap_or_default()),
    })
}

/// The schema that values of an Avro schema have.
pub(super) fn read(avro: &AvroSchema, options: Avro) -> Result<SchemaRef, DataError> {
    let reader = Reader { avro, options, open: RefCell::default(), left: Cell::new(TYPES_MAX) };
    Ok(reader.of_type(avro.root_type(), 0)?.into())
}

struct Reader<'a> {
    avro: &'a AvroSchema,
    options: Avro,
    /// Names of the records that are being read, to see those that refer to themselves.
    open: RefCell<Vec<String>>,
    /// How many types may still be read.
    left: Cell<usize>,
}

impl Reader<'_> {
    fn of_type(&self, of: &Type, depth: usize) -> Result<Schema, DataError> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or_default());
        if depth > DEPTH_MAX || left.is_none() {
            return Err(DataError::new("The schema refers to itself or is nested too deeply, which Connect's cannot"));
        }
        let property = |name: &str| of.properties.get(name).and_then(Node::as_str);
        let connect_type = property("connect.type");
        let mut schema = match (&of.kind, property("logicalType")) {
            (AvroKind::Union(branches), _) => {
                let branches = branches.iter().map(|branch| self.avro.type_of(*branch));
                return self.union(branches.collect(), depth);
            }
            (AvroKind::Bytes | AvroKind::Fixed(_), Some("decimal")) => {
                let number = |name: &str| of.properties.get(name).and_then(Node::as_i64);
                let schema = logical::decimal(number("scale").unwrap_or_default() as i32);
                match number("precision") {
                    Some(precision) if precision != PRECISION_DEFAULT => {
                        schema.parameter(PRECISION, precision.to_string())
                    }
                    _ => schema,
                }
            }
            (AvroKind::Int, Some("date")) => logical::date(),
            (AvroKind::Int, Some("time-millis")) => logical::time(),
            (AvroKind::Long, Some("timestamp-millis")) => logical::timestamp(),
            (AvroKind::Null, _) => Schema::new(Kind::String).optional(),
            (AvroKind::Boolean, _) => Schema::new(Kind::Boolean),
            (AvroKind::Int, _) => Schema::new(match connect_type {
                Some("int8") => Kind::Int8,
                Some("int16") => Kind::Int16,
                _ => Kind::Int32,
            }),
            (AvroKind::Long, _) => Schema::new(Kind::Int64),
            (AvroKind::Float, _) => Schema::new(Kind::Float32),
            (AvroKind::Double, _) => Schema::new(Kind::Float64),
            (AvroKind::String, _) => Schema::new(Kind::String),
            (AvroKind::Bytes, _) => Schema::new(Kind::Bytes),
            (AvroKind::Fixed(fixed), _) => {
                Schema::new(Kind::Bytes).parameter("connect.fixed.size", fixed.size.to_string())
            }
            (AvroKind::Enum(symbols), _) => {
                let name = symbols.naming.name.full();
                let mut schema = Schema::new(Kind::String).parameter(ENUM, name);
                for symbol in &symbols.symbols {
                    schema = schema.parameter(&format!("{ENUM}.{symbol}"), symbol.as_str());
                }
                schema
            }
            (AvroKind::Array(items), _) => self.array(self.avro.type_of(*items), depth)?,
            (AvroKind::Map(values), _) => {
                let values = self.of_type(self.avro.type_of(*values), depth + 1)?;
                Schema::new(Kind::Map(Schema::new(Kind::String).into(), values.into()))
            }
            (AvroKind::Record(record), _) => {
                let name = record.naming.name.full();
                if self.open.borrow().iter().any(|open| open == name) {
                    return Err(DataError::new(format!(
                        "Record {name} refers to itself, which a schema of Connect cannot"
                    )));
                }
                self.open.borrow_mut().push(name.to_owned());
                let field = |field: &milena_schema::avro::Field| {
                    let mut schema = self.of_type(self.avro.type_of(field.type_id), depth + 1)?;
                    if let Some(default) = field.default.as_ref().filter(|default| **default != Node::Null)
                        && schema.default.is_none()
                    {
                        schema.default = default_value(&schema, default);
                    }
                    if schema.doc.is_none() {
                        schema.doc = field.doc.as_deref().map(Into::into);
                    }
                    Ok(Field::new(field.name.as_str(), schema))
                };
                let fields: Result<Vec<Field>, DataError> = record.fields.iter().map(field).collect();
                self.open.borrow_mut().pop();
                let mut schema = Schema::structure(fields?);
                if !name.starts_with(&format!("{NAMESPACE}.{DEFAULT_NAME}")) {
                    schema.name = Some(name.into());
                }
                schema.doc = record.naming.doc.as_deref().map(Into::into);
                schema
            }
        };
        if self.options.metadata {
            self.metadata(of, &mut schema);
        }
        Ok(schema)
    }

    fn metadata(&self, of: &Type, schema: &mut Schema) {
        if let Some(name) = of.properties.get("connect.name").and_then(Node::as_str) {
            schema.name = Some(name.into());
        }
        if let Some(doc) = of.properties.get("connect.doc").and_then(Node::as_str) {
            schema.doc = Some(doc.into());
        }
        if let Some(version) = of.properties.get("connect.version").and_then(Node::as_i64) {
            schema.version = Some(version as i32);
        }
        if let Some(parameters) = of.properties.get("connect.parameters").and_then(Node::as_object) {
            let known = std::mem::take(&mut schema.parameters);
            let text = |(key, value): (&String, &Node)| Some((key.clone(), value.as_str()?.to_owned()));
            let parameters: IndexMap<String, String> = parameters.iter().filter_map(text).collect();
            schema.parameters = parameters;
            for (key, value) in known {
                schema.parameters.entry(key).or_insert(value);
            }
        }
        if let Some(default) = of.properties.get("connect.default") {
            schema.default = default_value(schema, default);
        }
    }

    /// Optional when there is only null beside one type; else a struct of which one field is set.
    fn union(&self, branches: Vec<&Type>, depth: usize) -> Result<Schema, DataError> {
        let others: Vec<&Type> =
            branches.iter().copied().filter(|branch| !matches!(branch.kind, AvroKind::Null)).collect();
        let optional = others.len() < branches.len();
        if let [one] = others[..] {
            let mut schema = self.of_type(one, depth + 1)?;
            schema.optional = optional;
            return Ok(schema);
        }
        let field = |branch: &&Type| {
            let mut schema = self.of_type(branch, depth + 1)?;
            schema.optional = true;
            Ok(Field::new(simple_label(branch), schema))
        };
        let fields: Result<Vec<Field>, DataError> = others.iter().map(field).collect();
        let mut schema = Schema::structure(fields?).named(UNION);
        schema.optional = optional;
        Ok(schema)
    }

    fn array(&self, items: &Type, depth: usize) -> Result<Schema, DataError> {
        let is_entry = items.properties.get("connect.internal.type").and_then(Node::as_str) == Some(MAP_ENTRY);
        if let (true, AvroKind::Record(record)) = (is_entry, &items.kind)
            && let [key, value] = &record.fields[..]
        {
            let keys = self.of_type(self.avro.type_of(key.type_id), depth + 1)?;
            let values = self.of_type(self.avro.type_of(value.type_id), depth + 1)?;
            return Ok(Schema::new(Kind::Map(keys.into(), values.into())));
        }
        Ok(Schema::new(Kind::Array(self.of_type(items, depth + 1)?.into())))
    }
}

/// A default of the schema; `None` when it is of another type, or of one that defaults are not read of.
fn default_value(schema: &Schema, default: &Node) -> Option<Value> {
    use crate::converters::registry::logical::{of_float, of_physical, of_whole};
    let json = default.to_value();
    let value = match (&schema.kind, &json) {
        (Kind::Boolean, Json::Bool(value)) => Value::Boolean(*value),
        (Kind::String, Json::String(text)) => Value::String(text.clone()),
        (Kind::Bytes, Json::String(text)) => {
            let bytes: Option<Vec<u8>> =
                text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
            Value::Bytes(bytes?.into())
        }
        (Kind::Float32, json) => Value::Float32(of_float(json)? as f32),
        (Kind::Float64, json) => Value::Float64(of_float(json)?),
        (Kind::Array(_), Json::Array(elements)) if elements.is_empty() => Value::Array(Vec::new()),
        (Kind::Map(..), Json::Object(members)) if members.is_empty() => Value::Map(Vec::new()),
        (kind, json) => of_whole(kind, json.as_i64()?)?,
    };
    of_physical(schema, value).ok()
}
