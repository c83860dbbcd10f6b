//! What a JSON Schema says of values, as the converters of the registry understand it.

use crate::formats::avro::{Named, position_of};
use crate::formats::coercion::Written;
use crate::formats::json_text::Json;
use crate::formats::{Field, FormatError};
use crate::types::{DecimalType, SqlType};

/// The type of a value.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) kind: Kind,
    /// Whether it may be null.
    pub(super) is_optional: bool,
    /// What stands for null.
    pub(super) default: Option<Json<'static>>,
}

/// What a value is when it is not null.
#[derive(Debug)]
pub(super) enum Kind {
    Boolean,
    /// A whole number of so many bits.
    Whole(Written),
    /// A number with a fraction.
    Fraction(Written),
    Text,
    Bytes,
    Decimal(DecimalType),
    Date,
    Time,
    Timestamp,
    Array(Box<Type>),
    /// Objects, or `entries`: a list of objects with key and value.
    Map {
        entries: bool,
        key: Box<Type>,
        value: Box<Type>,
    },
    Object(Vec<Property>),
    /// A value of one of several types: a struct, of which one field is set.
    Choice(Vec<Property>),
}

/// A member of an object, or an alternative.
#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) of: Type,
    /// The column that it belongs to, once [`Type::match_columns`] was called.
    pub(super) column: Option<usize>,
}

impl Type {
    fn optional(kind: Kind) -> Type {
        Type { kind, is_optional: true, default: None }
    }

    /// That of `fields` when nobody gives a schema; of the one that stands alone when `unwrapped`.
    pub(super) fn of_columns(fields: &[Field], unwrapped: bool) -> Type {
        match fields {
            [field] if unwrapped => Type::of(&field.field_type),
            _ => Type {
                is_optional: false,
                ..Type::object(fields.iter().map(|field| (&*field.name, &field.field_type)))
            },
        }
    }

    fn object<'f>(fields: impl Iterator<Item = (&'f str, &'f SqlType)>) -> Type {
        let property = |(name, sql_type): (&str, &SqlType)| Property::new(name, Type::of(sql_type));
        Type::optional(Kind::Object(fields.map(property).collect()))
    }

    fn of(sql_type: &SqlType) -> Type {
        Type::optional(match sql_type {
            SqlType::Boolean => Kind::Boolean,
            SqlType::Integer => Kind::Whole(Written::Int32),
            SqlType::Bigint => Kind::Whole(Written::Int64),
            SqlType::Double => Kind::Fraction(Written::Float64),
            SqlType::String => Kind::Text,
            SqlType::Bytes => Kind::Bytes,
            SqlType::Decimal(decimal) => Kind::Decimal(*decimal),
            SqlType::Date => Kind::Date,
            SqlType::Time => Kind::Time,
            SqlType::Timestamp => Kind::Timestamp,
            SqlType::Array(element) => Kind::Array(Type::of(element).into()),
            SqlType::Map(key, value) => {
                Kind::Map { entries: true, key: Type::of(key).into(), value: Type::of(value).into() }
            }
            SqlType::Struct(structure) => {
                return Type::object(structure.fields.iter().map(|field| (&*field.name, &field.field_type)));
            }
        })
    }

    /// Finds the column of each property: once for a schema, as records are many. The single field stands alone when
    /// `unwrapped`.
    pub(super) fn match_columns(&mut self, fields: &[Field], unwrapped: bool) {
        match (&mut self.kind, fields) {
            (_, [field]) if unwrapped => self.match_type(&field.field_type),
            (Kind::Object(properties) | Kind::Choice(properties), fields) => match_properties(properties, fields),
            _ => {}
        }
    }

    /// The same of a value that becomes one of type `wanted`.
    fn match_type(&mut self, wanted: &SqlType) {
        match (&mut self.kind, wanted) {
            (Kind::Array(element), SqlType::Array(wanted)) => element.match_type(wanted),
            (Kind::Map { key, value, .. }, SqlType::Map(key_type, value_type)) => {
                key.match_type(key_type);
                value.match_type(value_type);
            }
            (Kind::Object(properties) | Kind::Choice(properties), SqlType::Struct(structure)) => {
                match_properties(properties, &structure.fields);
            }
            _ => {}
        }
    }

    /// The columns that it describes: the members of an object, else one called `single`.
    pub(super) fn fields(&self, single: &str) -> Vec<Field> {
        match &self.kind {
            Kind::Object(properties) | Kind::Choice(properties) => properties.iter().map(Property::field).collect(),
            _ => vec![Field { name: single.into(), field_type: self.sql_type() }],
        }
    }

    /// As what values of it are written.
    pub(super) fn written(&self) -> Written {
        match &self.kind {
            Kind::Boolean => Written::Boolean,
            Kind::Whole(written) | Kind::Fraction(written) => *written,
            Kind::Date | Kind::Time => Written::Int32,
            Kind::Timestamp => Written::Int64,
            Kind::Text => Written::Text,
            Kind::Bytes | Kind::Decimal(_) => Written::Bytes,
            Kind::Array(_) => Written::Array,
            Kind::Map { .. } => Written::Map,
            Kind::Object(_) | Kind::Choice(_) => Written::Struct,
        }
    }

    fn sql_type(&self) -> SqlType {
        match &self.kind {
            Kind::Boolean => SqlType::Boolean,
            Kind::Whole(Written::Int64) => SqlType::Bigint,
            Kind::Whole(_) => SqlType::Integer,
            Kind::Fraction(_) => SqlType::Double,
            Kind::Text => SqlType::String,
            Kind::Bytes => SqlType::Bytes,
            Kind::Decimal(decimal) => SqlType::Decimal(*decimal),
            Kind::Date => SqlType::Date,
            Kind::Time => SqlType::Time,
            Kind::Timestamp => SqlType::Timestamp,
            Kind::Array(element) => SqlType::array(element.sql_type()),
            Kind::Map { key, value, .. } => SqlType::map(key.sql_type(), value.sql_type()),
            Kind::Object(properties) | Kind::Choice(properties) => {
                SqlType::structure(properties.iter().map(|property| (property.name.as_str(), property.of.sql_type())))
            }
        }
    }

    /// Whether values are written as `JSON` writes those of columns: nothing but maps is different.
    pub(super) fn is_plain(&self) -> bool {
        self.default.is_none()
            && match &self.kind {
                Kind::Array(element) => element.is_plain(),
                Kind::Map { .. } | Kind::Choice(_) => false,
                Kind::Object(properties) => properties.iter().all(|property| property.of.is_plain()),
                _ => true,
            }
    }

    /// What is said where a value is missing.
    pub(super) fn missing(&self) -> FormatError {
        FormatError(format!("Invalid null value for required {} field", self.written().name().to_uppercase()))
    }
}

fn match_properties(properties: &mut [Property], fields: &[impl Named]) {
    for (index, property) in properties.iter_mut().enumerate() {
        property.column = position(fields, &property.name, index);
        if let Some(field) = property.column.and_then(|column| fields.get(column)) {
            property.of.match_type(field.field_type());
        }
    }
}

/// The column that a property belongs to; mostly it is at the place of the property.
fn position(fields: &[impl Named], name: &str, index: usize) -> Option<usize> {
    match fields.get(index) {
        Some(field) if field.name() == name => Some(index),
        _ => position_of(fields.iter().map(Named::name), name),
    }
}

impl Property {
    /// One without a column.
    pub(super) fn new(name: impl Into<String>, of: Type) -> Property {
        Property { name: name.into(), of, column: None }
    }

    fn field(&self) -> Field {
        Field { name: self.name.as_str().into(), field_type: self.of.sql_type() }
    }
}
