//! Rows of results as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use milena_sql::catalog::schema::Column;
use milena_sql::formats::json;
use milena_sql::formats::json_text::write_string;
use milena_sql::types::SqlType;
use milena_sql::value::{Value, date_text, time_text, timestamp_text};

/// A row of a result.
#[derive(Debug, Clone)]
pub struct ResultRow {
    /// The columns as selected.
    pub columns: Vec<Value>,
    /// Whether the row of a table is gone: only the columns of its key are there.
    pub tombstone: bool,
}

impl ResultRow {
    /// The columns as a JSON array.
    pub fn json(&self, schema: &[Column]) -> String {
        let mut text = String::from("[");
        for (position, (value, column)) in self.columns.iter().zip(schema).enumerate() {
            if position > 0 {
                text.push(',');
            }
            write(value, &column.column_type, &mut text);
        }
        text.push(']');
        text
    }
}

/// Appends a value: dates and times as text, everything else as in JSON records.
pub fn write(value: &Value, value_type: &SqlType, output: &mut String) {
    match (value, value_type) {
        (Value::Date(days), _) => write_string(&date_text(*days), output),
        (Value::Time(ms), _) => write_string(&time_text(*ms), output),
        (Value::Timestamp(ms), _) => write_string(&timestamp_text(*ms), output),
        (Value::Bytes(bytes), _) => write_string(&STANDARD.encode(bytes), output),
        (Value::Array(elements), SqlType::Array(element_type)) => {
            list(output, '[', elements.iter(), |element, output| write(element, element_type, output));
            output.push(']');
        }
        (Value::Map(entries), SqlType::Map(key_type, value_type)) => {
            list(output, '{', entries.iter(), |(key, value), output| {
                write_string(&key.text(key_type), output);
                output.push(':');
                write(value, value_type, output);
            });
            output.push('}');
        }
        (Value::Struct(fields), SqlType::Struct(structure)) => {
            list(output, '{', fields.iter().zip(&structure.fields), |(value, field), output| {
                write_string(&field.name, output);
                output.push(':');
                write(value, &field.field_type, output);
            });
            output.push('}');
        }
        _ => json::write(value, value_type, output),
    }
}

fn list<T>(output: &mut String, open: char, items: impl Iterator<Item = T>, mut write: impl FnMut(T, &mut String)) {
    output.push(open);
    for (position, item) in items.enumerate() {
        if position > 0 {
            output.push(',');
        }
        write(item, output);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_text_and_structs_are_objects() {
        let inner = SqlType::structure([("D", SqlType::Date), ("B", SqlType::Bytes)]);
        let schema = [Column::key("K", SqlType::String), Column::value("S", SqlType::array(inner))];
        let inner = Value::structure(vec![Value::Date(1), Value::bytes([0xff])]);
        let row = ResultRow { columns: vec![Value::string("a\"b"), Value::array(vec![inner])], tombstone: false };
        assert_eq!(row.json(&schema), r#"["a\"b",[{"D":"1970-01-02","B":"/w=="}]]"#);
    }
}
