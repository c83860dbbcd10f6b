//! Avro schemas.
//!
//! [`parse`](AvroSchema::parse) follows the Java parser, [`canonical`](AvroSchema::canonical) is what Java's
//! `Schema.toString()` prints (in which a registry compares schemas), [`incompatibilities`](AvroSchema::incompatibilities)
//! is Avro's schema resolution. Records are read and written with [`encode`](AvroSchema::encode) and
//! [`decode`](AvroSchema::decode), in Avro's JSON encoding on the one side and its binary encoding on the other.

mod canonical;
mod compatibility;
mod decode;
mod default_value;
mod encode;
mod parse;
mod tags;
mod types;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use types::{Enum, Field, Fixed, Kind, Name, Naming, Order, Record, Type, TypeId};

use crate::codec::CodecError;
use crate::{CompatibilityPolicy, Incompatibility, ParseOptions, ResolvedReference, SchemaError, SchemaTag, TagEdit};

/// A parsed Avro schema.
#[derive(Debug)]
pub struct AvroSchema {
    types: Vec<Type>,
    root: TypeId,
    /// Full names that references define; the canonical text mentions them by name only.
    reference_names: HashSet<String>,
    canonical: String,
}

impl AvroSchema {
    /// Reads `text` with the names that `references` define.
    ///
    /// # Errors
    /// A text that Avro does not allow; with [`ParseOptions::strict`] also a default value of the wrong type.
    pub fn parse(text: &str, references: &[ResolvedReference], options: &ParseOptions) -> Result<Self, SchemaError> {
        let parse::Parsed { types, root, reference_names } = parse::parse(text, references, options.strict)?;
        let canonical = canonical::canonical(&types, root, &reference_names);
        Ok(AvroSchema { types, root, reference_names, canonical })
    }

    /// See [`ParsedSchema::canonical`](crate::ParsedSchema::canonical).
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// See [`ParsedSchema::normalized`](crate::ParsedSchema::normalized).
    ///
    /// A default of a union that its first branch does not know is dropped, as by the original registry, since ids go by
    /// this text.
    pub fn normalized(&self) -> String {
        canonical::normal(&self.types, self.root, &self.reference_names)
    }

    /// See [`ParsedSchema::formatted`](crate::ParsedSchema::formatted): `resolved` has the references inlined.
    pub fn formatted(&self, format: &str, _references: &[ResolvedReference]) -> Option<String> {
        format.eq_ignore_ascii_case("resolved").then(|| canonical::canonical(&self.types, self.root, &HashSet::new()))
    }

    /// The full name, when it is a record.
    pub fn record_name(&self) -> Option<String> {
        match &self.root_type().kind {
            Kind::Record(record) => Some(record.naming.name.full().to_owned()),
            _ => None,
        }
    }

    /// See [`ParsedSchema::has_top_level_field`](crate::ParsedSchema::has_top_level_field).
    pub fn has_top_level_field(&self, name: &str) -> bool {
        match &self.root_type().kind {
            Kind::Record(record) => record.fields.iter().any(|field| field.name == name),
            _ => false,
        }
    }

    /// See [`ParsedSchema::tags`](crate::ParsedSchema::tags).
    pub fn tags(&self) -> Vec<SchemaTag> {
        tags::tags(&self.types, self.root)
    }

    /// See [`ParsedSchema::with_tags`](crate::ParsedSchema::with_tags).
    ///
    /// # Errors
    /// A tag for a record or field that does not exist.
    pub fn with_tags(&self, edit: &TagEdit<'_>) -> Result<String, SchemaError> {
        let mut types = self.types.clone();
        tags::apply(&mut types, edit)?;
        Ok(canonical::canonical(&types, self.root, &self.reference_names))
    }

    /// See [`ParsedSchema::incompatibilities`](crate::ParsedSchema::incompatibilities).
    pub fn incompatibilities(&self, writer: &AvroSchema, _policy: CompatibilityPolicy) -> Vec<Incompatibility> {
        compatibility::incompatibilities(
            compatibility::Side { types: &self.types, root: self.root },
            compatibility::Side { types: &writer.types, root: writer.root },
        )
    }

    /// The type that the schema is.
    pub fn root_type(&self) -> &Type {
        self.type_of(self.root)
    }

    /// A type that another type of this schema mentions.
    pub fn type_of(&self, id: TypeId) -> &Type {
        &self.types[id.index()]
    }

    /// Avro's JSON encoding to its binary encoding. As the serializers of the registry do, a schema that is just
    /// `bytes` is written raw, without a length.
    ///
    /// # Errors
    /// A value that is not of this schema; the message names the place.
    pub fn encode(&self, value: &serde_json::Value) -> Result<Vec<u8>, CodecError> {
        encode::encode(&self.types, self.root, value, encode::Unions::Tagged)
    }

    /// As [`AvroSchema::encode`], but values of unions need no tag where exactly one branch can hold them.
    ///
    /// # Errors
    /// As [`AvroSchema::encode`]; a value that several branches can hold.
    pub fn encode_untagged(&self, value: &serde_json::Value) -> Result<Vec<u8>, CodecError> {
        encode::encode(&self.types, self.root, value, encode::Unions::Untagged)
    }

    /// The reverse of [`AvroSchema::encode`].
    ///
    /// # Errors
    /// Bytes that this schema did not write, also when some are left over; nesting and expansion beyond all reason.
    pub fn decode(&self, bytes: &[u8]) -> Result<serde_json::Value, CodecError> {
        decode::decode(&self.types, self.root, bytes)
    }
}
