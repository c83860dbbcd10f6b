//! `ExtractField`: one field in place of the key or value that holds it.

use super::field_path::FieldPath;
use super::plugin::{Change, Plugin, REPLACE_NULL, on_side, replace_null_with_default};
use super::structure::{require_map, require_struct};
use crate::config::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule};
use crate::data::{DataError, Typed, Value};
use crate::record::Record;

const PURPOSE: &str = "field extraction";

pub(super) fn plugin() -> Plugin {
    Plugin {
        classes: &[
            "org.apache.kafka.connect.transforms.ExtractField$Key",
            "org.apache.kafka.connect.transforms.ExtractField$Value",
        ],
        def: ConfigDef::new(vec![
            ConfigKey::required("field", ConfigType::String, Importance::Medium, "The field to extract."),
            replace_null_with_default(),
            ConfigKey::with_default(
                "field.syntax.version",
                ConfigType::String,
                "V1",
                Importance::High,
                "V1: the field is a name. V2: it is a path of names with dots between them, in backticks those that \
                 have dots themselves.",
            )
            .checked(Rule::OneOfIgnoringCase(&["V1", "V2"])),
        ]),
        create: |parsed, side| {
            let name = parsed.get_text("field").to_owned();
            let nested = parsed.get_text("field.syntax.version").eq_ignore_ascii_case("V2");
            let path = FieldPath::new(&name, nested)?;
            on_side(side, ExtractField { name, path, replace_null: parsed.get_bool(REPLACE_NULL) })
        },
    }
}

struct ExtractField {
    name: String,
    path: FieldPath,
    replace_null: bool,
}

impl Change for ExtractField {
    fn change(&mut self, typed: Typed, _record: &mut Record) -> Result<Typed, DataError> {
        let Some(schema) = typed.schema else {
            let value = match typed.value {
                Value::Null => Value::Null,
                value => self.path.value_of_map(&require_map(value, PURPOSE)?)?,
            };
            return Ok(Typed::schemaless(value));
        };
        let value = match typed.value {
            Value::Null => None,
            value => Some(require_struct(value, PURPOSE)?),
        };
        let field = self.path.field_of(&schema)?;
        let field = field.ok_or_else(|| DataError::new(format!("Unknown field: {}", self.name)))?;
        let value = match value {
            Some(value) => self.path.value_of_struct(&value, self.replace_null)?,
            None => Value::Null,
        };
        Ok(Typed::new(field.schema.clone(), value))
    }
}
