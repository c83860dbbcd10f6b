//! Between JSON as columns have it and as a schema describes it: entries of maps, alternatives, what must not be null.

use std::borrow::Cow;

use milena_schema::document::{Node, Spelling};

use crate::formats::json_text::Json;
use crate::formats::{Field, FormatError};
use crate::types::SqlType;

/// How values of a schema are written.
#[derive(Debug)]
pub(super) enum Shape {
    /// As columns have them.
    Plain,
    /// A list.
    Array(Box<Shape>),
    /// Members.
    Object(Vec<Property>),
    /// A map: a list of objects with key and value, or an object.
    Map { entries: bool, value: Box<Shape> },
    /// A value of one of several types, which is a struct to columns.
    Choice(Vec<Choice>),
}

/// A member of an object.
#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// Whether it may not be null.
    pub(super) required: bool,
    pub(super) default: Option<Node>,
    pub(super) sql_type: SqlType,
}

/// One of several types.
#[derive(Debug)]
pub(super) struct Choice {
    /// The field of the struct.
    pub(super) name: String,
    pub(super) sql_type: SqlType,
    pub(super) shape: Shape,
}

impl Shape {
    /// That of the schema which columns are written with when nobody gives one.
    pub(super) fn of_columns(fields: &[Field], unwrapped: bool) -> Shape {
        match fields {
            [field] if unwrapped => Shape::of(&field.field_type),
            _ => Shape::object(fields.iter().map(|field| (&*field.name, &field.field_type))),
        }
    }

    fn object<'f>(fields: impl Iterator<Item = (&'f str, &'f SqlType)>) -> Shape {
        let property = |(name, sql_type): (&str, &SqlType)| Property {
            name: name.to_owned(),
            shape: Shape::of(sql_type),
            required: false,
            default: None,
            sql_type: sql_type.clone(),
        };
        Shape::Object(fields.map(property).collect())
    }

    fn of(sql_type: &SqlType) -> Shape {
        match sql_type {
            SqlType::Map(_, value) => Shape::Map { entries: true, value: Shape::of(value).into() },
            SqlType::Array(element) => Shape::Array(Shape::of(element).into()),
            SqlType::Struct(structure) => {
                Shape::object(structure.fields.iter().map(|field| (&*field.name, &field.field_type)))
            }
            _ => Shape::Plain,
        }
    }

    /// Whether all is as columns have it.
    pub(super) fn is_plain(&self) -> bool {
        match self {
            Shape::Plain => true,
            Shape::Array(element) => element.is_plain(),
            Shape::Object(properties) => {
                properties.iter().all(|property| property.default.is_none() && property.shape.is_plain())
            }
            Shape::Map { entries, value } => !entries && value.is_plain(),
            Shape::Choice(_) => false,
        }
    }

    /// What is written, as columns have it.
    pub(super) fn read<'a>(&self, json: Json<'a>) -> Json<'a> {
        match (self, json) {
            (Shape::Array(element), Json::Array(elements)) => {
                Json::Array(elements.into_iter().map(|json| element.read(json)).collect())
            }
            (Shape::Object(properties), Json::Object(members)) => {
                let member = |(name, json): (Cow<'a, str>, Json<'a>)| match properties
                    .iter()
                    .find(|property| property.name == name)
                {
                    Some(property) => (name, property.shape.read(json)),
                    None => (name, json),
                };
                let mut members: Vec<_> = members.into_iter().map(member).collect();
                properties.iter().for_each(|property| property.complete(&mut members));
                Json::Object(members)
            }
            (Shape::Map { value, .. }, Json::Object(members)) => {
                Json::Object(members.into_iter().map(|(name, json)| (name, value.read(json))).collect())
            }
            (Shape::Map { value, .. }, Json::Array(entries)) => {
                Json::Object(entries.into_iter().filter_map(|entry| map_entry(entry, value)).collect())
            }
            (_, Json::Null) => Json::Null,
            (Shape::Choice(choices), json) => chosen(choices, json),
            (_, json) => json,
        }
    }

    /// What columns have, as it is to be written.
    ///
    /// # Errors
    /// Members that the schema does not have; null where it allows none.
    pub(super) fn write<'a>(&self, json: Json<'a>) -> Result<Json<'a>, FormatError> {
        Ok(match (self, json) {
            (Shape::Array(element), Json::Array(elements)) => {
                Json::Array(elements.into_iter().map(|json| element.write(json)).collect::<Result<_, _>>()?)
            }
            (Shape::Object(properties), Json::Object(members)) => write_members(properties, members)?,
            (Shape::Map { entries, value }, Json::Object(members)) => {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(name, json)| Ok((name, value.write(json)?)))
                    .collect::<Result<_, FormatError>>()?;
                if !entries {
                    return Ok(Json::Object(members));
                }
                let entry =
                    |(name, json)| Json::Object(vec![("key".into(), Json::String(name)), ("value".into(), json)]);
                Json::Array(members.into_iter().map(entry).collect())
            }
            (Shape::Choice(choices), Json::Object(members)) => {
                let set = choices.iter().zip(members).find(|(_, (_, json))| !json.is_null());
                set.map_or(Ok(Json::Null), |(choice, (_, json))| choice.shape.write(json))?
            }
            (_, json) => json,
        })
    }
}

impl Property {
    fn default_json<'a>(&self) -> Option<Json<'a>> {
        let text = self.default.as_ref()?.text(Spelling::AsRead);
        Json::read(&text).ok().map(Json::into_owned)
    }

    /// Puts the default where an object that is read has nothing.
    fn complete<'a>(&self, members: &mut Vec<(Cow<'a, str>, Json<'a>)>) {
        let Some(default) = self.default_json() else { return };
        match members.iter_mut().find(|(name, _)| self.name == *name) {
            Some((_, json)) if json.is_null() => *json = default,
            Some(_) => {}
            None => members.push((Cow::Owned(self.name.clone()), default)),
        }
    }

    /// What is written where no column is; `None` for nothing at all.
    fn absent<'a>(&self) -> Option<Json<'a>> {
        self.default_json().or((!self.required).then_some(Json::Null))
    }

    /// What is written for null.
    fn null<'a>(&self) -> Result<Json<'a>, FormatError> {
        if !self.required {
            return Ok(self.default_json().unwrap_or(Json::Null));
        }
        let kind = match self.sql_type {
            SqlType::Boolean => "BOOLEAN",
            SqlType::Integer | SqlType::Date | SqlType::Time => "INT32",
            SqlType::Bigint | SqlType::Timestamp => "INT64",
            SqlType::Double => "FLOAT64",
            SqlType::String => "STRING",
            SqlType::Bytes | SqlType::Decimal(_) => "BYTES",
            SqlType::Array(_) => "ARRAY",
            SqlType::Map(..) => "MAP",
            SqlType::Struct(_) => "STRUCT",
        };
        Err(FormatError(format!("Invalid value: null used for required field: \"{}\", schema type: {kind}", self.name)))
    }
}

fn write_members<'a>(
    properties: &[Property],
    mut members: Vec<(Cow<'a, str>, Json<'a>)>,
) -> Result<Json<'a>, FormatError> {
    let unknown = members.iter().find(|(name, _)| !properties.iter().any(|property| property.name == *name));
    if let Some((name, _)) = unknown {
        return Err(FormatError(format!("Schema from Schema Registry misses field with name: {name}")));
    }
    let member = |property: &Property| {
        let found = members.iter_mut().find(|(name, _)| property.name == *name);
        let json = match found.map(|(_, json)| std::mem::replace(json, Json::Null)) {
            None => property.absent(),
            Some(Json::Null) => Some(property.null()?),
            Some(json) => Some(property.shape.write(json)?),
        };
        Ok(json.map(|json| (Cow::Owned(property.name.clone()), json)))
    };
    let written = properties.iter().map(member).collect::<Result<Vec<_>, FormatError>>()?;
    Ok(Json::Object(written.into_iter().flatten().collect()))
}

/// An entry of a map as a member.
fn map_entry<'a>(entry: Json<'a>, value: &Shape) -> Option<(Cow<'a, str>, Json<'a>)> {
    let Json::Object(members) = entry else { return None };
    let mut found = (None, Json::Null);
    for (name, json) in members {
        match name.as_ref() {
            "key" => found.0 = Some(json),
            "value" => found.1 = json,
            _ => {}
        }
    }
    let key = match found.0? {
        Json::String(text) => text,
        other => Cow::Owned(other.text()),
    };
    Some((key, value.read(found.1)))
}

/// A value of one of several types as a struct.
fn chosen<'a>(choices: &[Choice], json: Json<'a>) -> Json<'a> {
    let is_struct = !json.members().is_empty()
        && json.members().iter().all(|(name, _)| choices.iter().any(|choice| choice.name.eq_ignore_ascii_case(name)));
    if is_struct {
        return json;
    }
    match choices.iter().find(|choice| fits(&choice.sql_type, &json)) {
        Some(choice) => Json::Object(vec![(Cow::Owned(choice.name.clone()), choice.shape.read(json))]),
        None => json,
    }
}

fn fits(sql_type: &SqlType, json: &Json<'_>) -> bool {
    let is_whole = |text: &str| !text.contains(['.', 'e', 'E']);
    match (sql_type, json) {
        (SqlType::Boolean, Json::Bool(_)) | (SqlType::String, Json::String(_)) | (SqlType::Double, Json::Number(_)) => {
            true
        }
        (
            SqlType::Integer | SqlType::Bigint | SqlType::Date | SqlType::Time | SqlType::Timestamp,
            Json::Number(text),
        ) => is_whole(text),
        (SqlType::Decimal(_), Json::Number(text)) => !is_whole(text),
        (SqlType::Array(_) | SqlType::Map(..), Json::Array(_)) | (SqlType::Map(..), Json::Object(_)) => true,
        (SqlType::Struct(structure), Json::Object(members)) => {
            members.iter().all(|(name, _)| structure.fields.iter().any(|field| *field.name == **name))
        }
        _ => false,
    }
}
