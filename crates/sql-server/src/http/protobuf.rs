//! Rows as Protobuf messages, in lines of JSON: `Accept: application/vnd.ksql.v1+protobuf`.
//!
//! The head has the schema of the messages; each row is one, in base64.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use milena_sql::catalog::schema::Column;
use milena_sql::formats::registry::SchemaRegistry;
use milena_sql::formats::{
    self, CodecContext, Field, Format, FormatError, FormatSpec, RowCodec, Side, protobuf_schema,
};
use serde_json::json;

use super::query::{Framing, TableElements};
use crate::error::{Failure, Result};
use crate::queries::rows::ResultRow;
use crate::registry::NoRegistry;

/// See the module's words.
pub(super) struct Messages {
    schema: String,
    codec: Box<dyn RowCodec>,
}

impl Messages {
    /// For rows of `schema`.
    ///
    /// # Errors
    /// Types that messages do not have.
    pub fn new(schema: &[Column]) -> Result<Messages> {
        let field = |column: &Column| Field { name: column.name.clone(), field_type: column.column_type.clone() };
        let fields: Vec<Field> = schema.iter().map(field).collect();
        let failed = |error: FormatError| Failure::new(Failure::BAD_STATEMENT, error.0);
        let text = protobuf_schema::schema_text(&fields, protobuf_schema::MESSAGE, None).map_err(failed)?;
        let registry: Arc<dyn SchemaRegistry> = Arc::new(NoRegistry);
        let context = CodecContext { topic: String::new(), side: Side::Value, registry };
        let codec = formats::open(&FormatSpec::plain(Format::ProtobufNoSr), fields, &context).map_err(failed)?;
        Ok(Messages { schema: text, codec })
    }
}

impl Framing for Messages {
    fn head(&self, id: &str, schema: &[Column]) -> String {
        let shown: Vec<String> = schema.iter().map(ToString::to_string).collect();
        let header = json!({ "queryId": id, "schema": shown.join(", "), "protoSchema": self.schema });
        format!("[{}", json!({ "header": header }))
    }

    fn row(&self, row: &ResultRow, _schema: &[Column]) -> String {
        match self.codec.encode(&row.columns) {
            Ok(bytes) => {
                let row = json!({ "protobufBytes": STANDARD.encode(bytes.unwrap_or_default()) });
                format!(",\n{}", json!({ "row": row }))
            }
            Err(error) => {
                let failure = Failure::new(Failure::SERVER, error.0);
                format!(",\n{}", json!({ "errorMessage": failure.json() }))
            }
        }
    }

    fn end(&self, words: &str) -> String {
        TableElements.end(words)
    }

    fn failed(&self, failure: &Failure) -> String {
        TableElements.failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use milena_sql::types::SqlType;
    use milena_sql::value::Value;

    use super::*;

    #[test]
    fn rows_are_messages_of_the_schema_in_the_head() {
        let schema = [Column::key("ID", SqlType::String), Column::value("N", SqlType::Bigint)];
        let framing = Messages::new(&schema).unwrap();
        let row = ResultRow { columns: vec![Value::string("a"), Value::Bigint(1)], tombstone: false };
        let text = [framing.head("q", &schema), framing.row(&row, &schema), framing.end("")].concat();
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = "syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  string ID = 1;\n  int64 N = 2;\n}\n";
        assert_eq!(parsed[0]["header"]["protoSchema"], expected);
        assert_eq!(parsed[1], json!({ "row": { "protobufBytes": STANDARD.encode([0x0a, 1, b'a', 0x10, 1]) } }));
    }
}
