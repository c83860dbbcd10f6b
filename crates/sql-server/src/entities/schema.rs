//! Columns and types as JSON.

use milena_sql::catalog::Source;
use milena_sql::catalog::schema::{Column, Namespace};
use milena_sql::types::SqlType;
use serde_json::{Value, json};

/// A type: `{"type": "ARRAY", "fields": null, "memberSchema": {...}}`.
pub fn of_type(sql_type: &SqlType) -> Value {
    let plain = |fields: Value, member: Value| json!({ "type": sql_type.base_name(), "fields": fields, "memberSchema": member });
    match sql_type {
        SqlType::Array(element) => plain(Value::Null, of_type(element)),
        SqlType::Map(_, value) => plain(Value::Null, of_type(value)),
        SqlType::Struct(structure) => {
            let field = |field: &milena_sql::types::StructField| json!({ "name": &*field.name, "schema": of_type(&field.field_type) });
            plain(structure.fields.iter().map(field).collect(), Value::Null)
        }
        SqlType::Decimal(decimal) => {
            let mut schema = plain(Value::Null, Value::Null);
            schema["parameters"] = json!({ "precision": decimal.precision, "scale": decimal.scale });
            schema
        }
        _ => plain(Value::Null, Value::Null),
    }
}

/// The columns of a source, with what they are beside values.
pub fn fields(source: &Source) -> Value {
    columns(source.schema.columns())
}

/// Columns, with what they are beside values.
pub fn columns(columns: &[Column]) -> Value {
    let field = |column: &Column| {
        let mut field = json!({ "name": &*column.name, "schema": of_type(&column.column_type) });
        match &column.namespace {
            Namespace::Value => {}
            Namespace::Key => field["type"] = "KEY".into(),
            Namespace::Headers => field["type"] = "HEADER".into(),
            Namespace::Header(name) => {
                field["type"] = "HEADER".into();
                field["headerKey"] = name.as_str().into();
            }
        }
        field
    };
    columns.iter().map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_nest() {
        let nested = SqlType::array(SqlType::structure([("A", SqlType::decimal(4, 2).unwrap())]));
        let expected = json!({
            "type": "ARRAY",
            "fields": null,
            "memberSchema": {
                "type": "STRUCT",
                "fields": [{ "name": "A", "schema": {
                    "type": "DECIMAL", "fields": null, "memberSchema": null,
                    "parameters": { "precision": 4, "scale": 2 }
                } }],
                "memberSchema": null
            }
        });
        assert_eq!(of_type(&nested), expected);
    }

    #[test]
    fn keys_and_headers_are_marked() {
        let header = Column { name: "H".into(), column_type: SqlType::Bytes, namespace: Namespace::Header("h".into()) };
        let fields = columns(&[Column::key("K", SqlType::String), Column::value("V", SqlType::Integer), header]);
        assert_eq!(fields[0]["type"], "KEY");
        assert_eq!(fields[1].get("type"), None);
        assert_eq!((&fields[2]["type"], &fields[2]["headerKey"]), (&json!("HEADER"), &json!("h")));
    }
}
