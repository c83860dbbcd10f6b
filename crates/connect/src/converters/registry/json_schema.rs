//! `JsonSchemaConverter`.
//!
//! What JSON Schema has no word for stands in keywords that begin with `connect.`.

mod schema;
mod value;

use milena_schema::{ParsedSchema, SchemaType};
use serde_json::Value as Json;

use super::super::plugin::Plugin;
use super::{Format, create, keys};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::{DataError, SchemaRef, Value};

/// Name of the struct that alternatives become.
const ONE_OF: &str = "io.confluent.connect.json.OneOf";

pub(super) fn plugin() -> Plugin {
    let flag = |name, default, documentation| {
        ConfigKey::with_default(name, ConfigType::Boolean, default, Importance::Low, documentation)
    };
    Plugin {
        classes: &["io.confluent.connect.json.JsonSchemaConverter"],
        def: ConfigDef::new(keys(vec![
            ConfigKey::with_default(
                "decimal.format",
                ConfigType::String,
                "BASE64",
                Importance::Low,
                "How decimals are written: BASE64, the bytes of the unscaled value, or NUMERIC, a number.",
            )
            .checked(Rule::OneOfIgnoringCase(&["BASE64", "NUMERIC"])),
            flag(
                "object.additional.properties",
                "true",
                "Whether objects may have members beyond those of the schema.",
            ),
            flag(
                "use.optional.for.nonrequired",
                "false",
                "Whether a member that the schema does not require is optional; such members are required otherwise, \
                 and fields that are not optional are written as required.",
            ),
            flag("json.fail.invalid.schema", "false", "Whether what is written is checked against the schema."),
        ])),
        create: |parsed, settings, is_key| {
            let format = JsonSchema {
                numeric_decimals: parsed.get_text("decimal.format").eq_ignore_ascii_case("NUMERIC"),
                open: parsed.get_bool("object.additional.properties"),
                optional_unless_required: parsed.get_bool("use.optional.for.nonrequired"),
            };
            create(format, parsed, settings, is_key)
        },
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct JsonSchema {
    pub(super) numeric_decimals: bool,
    pub(super) open: bool,
    pub(super) optional_unless_required: bool,
}

impl Format for JsonSchema {
    fn schema_type(&self) -> SchemaType {
        SchemaType::Json
    }

    fn text(&self, schema: &SchemaRef) -> Result<String, DataError> {
        Ok(Json::Object(schema::write(schema, *self)?).to_string())
    }

    fn to_json(&self, _written: &ParsedSchema, schema: &SchemaRef, value: &Value) -> Result<Json, DataError> {
        value::write(schema, value, *self)
    }

    fn schema(&self, parsed: &ParsedSchema, _indexes: &[i32]) -> Result<SchemaRef, DataError> {
        let parsed = parsed.as_json().ok_or_else(|| DataError::new("The schema is no JSON Schema"))?;
        schema::read(parsed.document(), *self)
    }

    fn to_value(
        &self,
        _parsed: &ParsedSchema,
        _indexes: &[i32],
        schema: &SchemaRef,
        json: Json,
    ) -> Result<Value, DataError> {
        value::read(schema, json)
    }
}
