//! `INSERT INTO ... VALUES`: one record of constants.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::ast::{InsertValues, Name, SourceKind};
use crate::catalog::schema::{Column, Schema};
use crate::catalog::{Catalog, Settings, Source, StatementError};
use crate::formats::registry::{RegisteredSchema, SchemaRegistry};
use crate::formats::{self, CodecContext, Field, Format, FormatError, FormatSpec, Side, inference};
use crate::planner::compile::strict_constant;
use crate::planner::scope::hint;
use crate::runtime::RawRecord;
use crate::types::SqlType;
use crate::value::Value;

/// Where a record lies is not for statements to say.
const PLACES: [&str; 2] = ["ROWPARTITION", "ROWOFFSET"];

/// Why nothing is inserted where the server does not allow it.
pub const DISABLED: &str = "The server has disabled INSERT INTO ... VALUES functionality. To enable it, restart your \
                            ksqlDB server with 'ksql.insert.into.values.enabled'=true";

/// The record of a statement, with its topic; its time is `now` unless the statement tells one.
///
/// # Errors
/// A target that takes no records, columns that it does not have, values that do not fit.
pub fn record(
    statement: &InsertValues,
    catalog: &Catalog,
    settings: &Settings,
    registry: &Arc<dyn SchemaRegistry>,
    now: i64,
) -> Result<(String, RawRecord), StatementError> {
    let source = target(statement, catalog)?;
    if !settings.is_true("ksql.insert.into.values.enabled", true) {
        return Err(StatementError::new(DISABLED));
    }
    let made = insertion(statement, source, settings, now).and_then(|insertion| insertion.record(source, registry));
    let record =
        made.map_err(|error| StatementError(format!("Failed to insert values into '{}'. {error}", source.name)))?;
    Ok((source.topic.clone(), record))
}

fn target<'a>(statement: &InsertValues, catalog: &'a Catalog) -> Result<&'a Source, StatementError> {
    let source = catalog.source(&statement.target).ok_or_else(|| {
        StatementError(format!(
            "Cannot insert values into an unknown stream/table: `{}`{}",
            statement.target,
            hint(&statement.target, catalog)
        ))
    })?;
    let kind = source.kind.text().to_lowercase();
    if source.window.is_some() {
        return Err(StatementError::new("Cannot insert values into windowed stream/table!"));
    }
    if source.read_only {
        return Err(StatementError(format!("Cannot insert values into read-only {kind}: {}", source.name)));
    }
    let is_named = |column: &&Column| statement.columns.is_empty() || statement.columns.contains(&column.name);
    let headers: Vec<_> = source.schema.headers().filter(is_named).map(|column| column.name.to_string()).collect();
    if !headers.is_empty() {
        return Err(StatementError(format!("Cannot insert into HEADER columns: {}", headers.join(", "))));
    }
    Ok(source)
}

/// The row of a statement.
struct Insertion {
    key: Vec<Value>,
    row: Vec<Value>,
    timestamp: i64,
}

impl Insertion {
    /// The row as a record of the topic. Columns that tell the time of records do so for readers: the record has the time
    /// of the statement.
    fn record(&self, source: &Source, registry: &Arc<dyn SchemaRegistry>) -> Result<RawRecord, StatementError> {
        let context = |side| CodecContext { topic: source.topic.clone(), side, registry: registry.clone() };
        // Clients know these words without anything between them.
        let failed = |side: &str, error: FormatError| {
            StatementError(format!(
                "Could not serialize {side}Error serializing message to topic: {}. {error}\nHint: You probably forgot to add \
                 VALUE_SCHEMA_ID when creating the source.",
                source.topic
            ))
        };
        let key = if self.key.is_empty() {
            None
        } else {
            let key_format = key_format(source, &context(Side::Key))?;
            let encoded = formats::open(&key_format, source.key_fields(), &context(Side::Key));
            encoded.and_then(|key| key.encode(&self.key)).map_err(|error| failed("key. ", error))?
        };
        let value = self.value(source, &context(Side::Value)).map_err(|error| failed("value", error))?;
        let (key, value) = (key.map(Bytes::from), value.map(Bytes::from));
        Ok(RawRecord { key, value, timestamp: self.timestamp, headers: [].into(), partition: 0, offset: 0 })
    }

    /// The value, with the schema that values of the topic have already if it has these columns and can hold the row; as
    /// `PROTOBUF`, always with that.
    fn value(&self, source: &Source, context: &CodecContext) -> Result<Option<Vec<u8>>, FormatError> {
        let (spec, fields) = (&source.value_format, source.value_fields());
        let latest = match spec.format.has_registry() && spec.schema_id.is_none() {
            true => context.registry.latest(&context.subject())?,
            false => None,
        };
        if let Some(latest) = latest {
            let registered = FormatSpec { schema_id: Some(latest.id), ..spec.clone() };
            let encode = || formats::open(&registered, fields.clone(), context)?.encode(&self.row);
            if spec.format == Format::Protobuf {
                return encode();
            }
            if are_alike(&inferred(spec, &latest, &fields, context.side), &fields, spec, context.side)
                && let Ok(encoded) = encode()
            {
                return Ok(encoded);
            }
        }
        formats::open(spec, fields, context)?.encode(&self.row)
    }
}

/// How the key is written: with the schema that keys of the topic have already. Another schema would send equal keys to
/// other partitions.
fn key_format(source: &Source, context: &CodecContext) -> Result<FormatSpec, StatementError> {
    let spec = &source.key_format;
    let fields = source.key_fields();
    if !spec.format.has_registry() {
        return Ok(spec.clone());
    }
    let latest = context.registry.latest(&context.subject()).map_err(|error| {
        StatementError(format!(
            "Could not determine that insert values operations is safe; operation potentially overrides existing key \
             schema in schema registry. {error}"
        ))
    })?;
    let Some(latest) = latest else {
        return Err(StatementError(format!(
            "Failed to fetch key schema ({}). Please check if schema exists in Schema Registry and/or check connection with \
             Schema Registry.",
            context.subject()
        )));
    };
    let registered = inferred(spec, &latest, &fields, context.side);
    if are_alike(&registered, &fields, spec, context.side) {
        return Ok(FormatSpec { schema_id: spec.schema_id.or(Some(latest.id)), ..spec.clone() });
    }
    let registered: Vec<_> = registered.iter().map(|field| format!("`{}` {}", field.name, field.field_type)).collect();
    let columns: Vec<_> = source.schema.keys().iter().map(ToString::to_string).collect();
    Err(StatementError(format!(
        "Cannot INSERT VALUES into data source `{}`. ksqlDB generated schema would overwrite existing key \
         schema.\n\tExisting Schema: [{}]\n\tksqlDB Generated: [{}]",
        source.name,
        registered.join(", "),
        columns.join(", ")
    )))
}

/// The columns of a registered schema as `columns` are written; none for one that is not of the format.
fn inferred(spec: &FormatSpec, registered: &RegisteredSchema, columns: &[Field], side: Side) -> Vec<Field> {
    let spec = FormatSpec { schema_id: Some(registered.id), ..spec.clone() };
    let unwrapped = spec.unwraps(side) && columns.len() == 1;
    inference::columns(&spec, side, unwrapped, &registered.schema).unwrap_or_default()
}

/// Whether columns have the same names and types, however they are spelt. A column that stands alone has no name.
fn are_alike(registered: &[Field], columns: &[Field], spec: &FormatSpec, side: Side) -> bool {
    let is_single = spec.unwraps(side) && columns.len() == 1;
    let type_of = |field: &Field| field.field_type.to_string().to_uppercase();
    registered.len() == columns.len()
        && registered.iter().zip(columns).all(|(one, other)| {
            (is_single || one.name.eq_ignore_ascii_case(&other.name)) && type_of(one) == type_of(other)
        })
}

fn insertion(
    statement: &InsertValues,
    source: &Source,
    settings: &Settings,
    now: i64,
) -> Result<Insertion, StatementError> {
    let schema = &source.schema;
    let columns = columns(statement, schema)?;
    let rowtime = Column::value("ROWTIME", SqlType::Bigint);
    let mut values: HashMap<Name, Value> = HashMap::new();
    for (name, expression) in columns.iter().zip(&statement.values) {
        let column = schema.find(name).unwrap_or(&rowtime);
        let value = strict_constant(expression, &column.column_type, name, "insert value", settings)?;
        values.insert(name.clone(), value);
    }
    let missing = schema.keys().iter().map(|key| &key.name).filter(|name| !values.contains_key(*name));
    let missing: Vec<_> = missing.map(|name| &**name).collect();
    if source.kind == SourceKind::Table && !missing.is_empty() {
        return Err(StatementError(format!(
            "Value for primary key column(s) {} is required for tables",
            missing.join(", ")
        )));
    }
    let value_of = |column: &Column| values.get(&column.name).cloned().unwrap_or_default();
    let key = schema.keys().iter().map(value_of).collect();
    let row = schema.values().map(value_of).collect();
    let timestamp = value_of(&rowtime).as_i64().unwrap_or(now);
    if timestamp < 0 {
        return Err(StatementError(format!(
            "Invalid timestamp: {timestamp}. Timestamp should always be non-negative or null."
        )));
    }
    Ok(Insertion { key, row, timestamp })
}

/// The columns that the values are for.
fn columns(statement: &InsertValues, schema: &Schema) -> Result<Vec<Name>, StatementError> {
    let columns: Vec<Name> = match statement.columns.is_empty() {
        // Those of the key come first, wherever they were declared.
        true => schema.keys().iter().chain(schema.values()).map(|column| column.name.clone()).collect(),
        false => statement.columns.clone(),
    };
    if columns.len() != statement.values.len() {
        return Err(StatementError(format!(
            "Expected a value for each column. Expected Columns: [{}]. Got [{}]",
            statement.columns.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            statement.values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )));
    }
    for name in &columns {
        if PLACES.contains(&&**name) {
            return Err(StatementError(format!("Inserting into column `{name}` is not allowed.")));
        }
        if schema.find(name).is_none() && &**name != "ROWTIME" {
            return Err(StatementError(format!("Column name `{name}` does not exist.")));
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use milena_schema::SchemaType;

    use super::*;
    use crate::ast::Statement;
    use crate::catalog::define::define;
    use crate::formats::registry::MemoryRegistry;
    use crate::parser::parse_one;

    fn inserted(sql: &str) -> Result<String, String> {
        let (mut catalog, settings) = (Catalog::default(), Settings::default());
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        for (name, columns, kind) in [
            ("p", "k STRING KEY, a ARRAY<INT>, m MAP<STRING, INT>, f STRUCT<x INT, y STRING>", "STREAM"),
            ("timed", "k STRING KEY, t BIGINT", "STREAM"),
            ("s", "k STRING KEY, n INT, b BIGINT, d DOUBLE, m DECIMAL(4, 2), s STRING, t TIMESTAMP", "STREAM"),
            ("h", "k STRING KEY, n INT, h BYTES HEADER('h')", "STREAM"),
            ("u", "k STRING PRIMARY KEY, n INT", "TABLE"),
            ("r", "k STRING KEY, n INT", "SOURCE STREAM"),
        ] {
            let timed = if name == "timed" { ", timestamp='t'" } else { "" };
            let text = format!(
                "CREATE {kind} {name} ({columns}) WITH (kafka_topic='t', partitions=1, value_format='JSON'{timed});"
            );
            let Statement::CreateSource(create) = parse_one(&text, &|_| None).unwrap() else { panic!("{text}") };
            catalog.put_source(define(&create, &text, &settings, &registry).unwrap());
        }
        let Statement::InsertValues(insert) = parse_one(sql, &|_| None).unwrap() else { panic!("{sql}") };
        let (_, record) = record(&insert, &catalog, &settings, &registry, 5).map_err(|error| error.0)?;
        Ok(format!("{}@{}", String::from_utf8(record.value.unwrap_or_default().to_vec()).unwrap(), record.timestamp))
    }

    #[test]
    fn parts_of_values_are_checked_as_values_are() {
        let failed = |rest: &str| format!("Failed to insert values into 'P'. Expected type {rest}");
        refused("INSERT INTO p (a) VALUES (ARRAY['x']);", &failed("ARRAY<INTEGER> for field `A` but got ARRAY([x])"));
        refused(
            "INSERT INTO p (m) VALUES (MAP(1 := 1));",
            &failed("MAP<STRING, INTEGER> for field `M` but got MAP({1=1})"),
        );
        refused(
            "INSERT INTO p (f) VALUES (STRUCT(x := 'a'));",
            &failed("STRUCT<`X` INTEGER, `Y` STRING> for field `F` but got STRUCT(Struct{X=a})"),
        );
        assert_eq!(
            inserted("INSERT INTO p (a, f, f) VALUES (ARRAY[1], STRUCT(z := 1), STRUCT(y := 'b', z := 1));").as_deref(),
            Ok(r#"{"A":[1],"M":null,"F":{"X":null,"Y":"b"}}@5"#)
        );
    }

    #[test]
    fn records_have_the_time_of_the_statement() {
        assert_eq!(inserted("INSERT INTO timed VALUES ('a', 77);").as_deref(), Ok(r#"{"T":77}@5"#));
        assert_eq!(inserted("INSERT INTO timed (ROWTIME, t) VALUES (6, 77);").as_deref(), Ok(r#"{"T":77}@6"#));
        let message = "Failed to insert values into 'TIMED'. Invalid timestamp: -1. Timestamp should always be non-negative or null.";
        refused("INSERT INTO timed (ROWTIME, t) VALUES (-1, 77);", message);
    }

    #[test]
    fn keys_keep_the_schema_that_their_topic_has() {
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        let (mut catalog, settings) = (Catalog::default(), Settings::default());
        for (name, key) in [("same", "INT"), ("other", "STRING")] {
            let registered = registry.register(&format!("{name}-key"), SchemaType::Avro, "\"int\"").unwrap();
            assert_eq!(registered.id, 1);
            let text = format!(
                "CREATE STREAM {name} (k {key} KEY, n INT) WITH (kafka_topic='{name}', partitions=1, key_format='AVRO', value_format='JSON');"
            );
            let Statement::CreateSource(create) = parse_one(&text, &|_| None).unwrap() else { panic!("{text}") };
            catalog.put_source(define(&create, &text, &settings, &registry).unwrap());
        }
        let insert = |sql: &str| {
            let Statement::InsertValues(insert) = parse_one(sql, &|_| None).unwrap() else { panic!("{sql}") };
            record(&insert, &catalog, &settings, &registry, 5)
        };
        let (_, same) = insert("INSERT INTO same VALUES (3, 1);").unwrap();
        assert_eq!(same.key.as_deref(), Some(&[0, 0, 0, 0, 1, 6][..]));
        let refused = insert("INSERT INTO other VALUES ('a', 1);").unwrap_err().0;
        assert_eq!(
            refused,
            "Failed to insert values into 'OTHER'. Cannot INSERT VALUES into data source `OTHER`. ksqlDB generated schema \
             would overwrite existing key schema.\n\tExisting Schema: [`ROWKEY` INTEGER]\n\tksqlDB Generated: [`K` STRING KEY]"
        );
    }

    #[test]
    fn messages_are_those_of_the_schema_that_the_topic_has() {
        let registry: Arc<dyn SchemaRegistry> = Arc::new(MemoryRegistry::default());
        let text = "syntax = \"proto3\"; message Paid { string note = 1; int32 n = 3; }";
        registry.register("paid-value", SchemaType::Protobuf, text).unwrap();
        let (mut catalog, settings) = (Catalog::default(), Settings::default());
        for (name, column) in [("known", "n INT"), ("strange", "m INT")] {
            let text = format!(
                "CREATE STREAM {name} (k STRING KEY, {column}) WITH (kafka_topic='paid', partitions=1, value_format='PROTOBUF');"
            );
            let Statement::CreateSource(create) = parse_one(&text, &|_| None).unwrap() else { panic!("{text}") };
            catalog.put_source(define(&create, &text, &settings, &registry).unwrap());
        }
        let insert = |sql: &str| {
            let Statement::InsertValues(insert) = parse_one(sql, &|_| None).unwrap() else { panic!("{sql}") };
            record(&insert, &catalog, &settings, &registry, 5)
        };
        let (_, known) = insert("INSERT INTO known VALUES ('a', 7);").unwrap();
        assert_eq!(known.value.as_deref(), Some(&[0, 0, 0, 0, 1, 0, 0x18, 7][..]));
        let refused = insert("INSERT INTO strange VALUES ('a', 7);").unwrap_err().0;
        assert!(refused.contains("Schema from Schema Registry misses field with name: M"), "{refused}");
    }

    #[track_caller]
    fn refused(sql: &str, message: &str) {
        assert_eq!(inserted(sql), Err(message.to_owned()), "{sql}");
    }

    #[test]
    fn values_become_wider_and_never_narrower() {
        let expected = r#"{"N":1,"B":2,"D":3.0,"M":4.00,"S":"x","T":0}@7"#;
        let sql = "INSERT INTO s (n, b, d, m, s, t, ROWTIME) VALUES (1, 2, 3, 4, 'x', '1970-01-01T00:00:00', 7);";
        assert_eq!(inserted(sql).as_deref(), Ok(expected));
        let failed = |rest: &str| format!("Failed to insert values into 'S'. Expected type {rest}");
        refused("INSERT INTO s (n) VALUES ('abc');", &failed("INTEGER for field `N` but got STRING(abc)"));
        refused("INSERT INTO s (n) VALUES (3000000000);", &failed("INTEGER for field `N` but got BIGINT(3000000000)"));
        refused("INSERT INTO s (n) VALUES (1.5);", &failed("INTEGER for field `N` but got DECIMAL(1.5)"));
        refused("INSERT INTO s (s) VALUES (1);", &failed("STRING for field `S` but got INTEGER(1)"));
        refused(
            "INSERT INTO s (n) VALUES (n + 1);",
            "Failed to insert values into 'S'. Unsupported column reference in insert value: (N + 1)",
        );
        refused("INSERT INTO s (m) VALUES (1.234);", &failed("DECIMAL(4, 2) for field `M` but got DECIMAL(1.234)"));
        refused(
            "INSERT INTO s (t) VALUES ('x');",
            &failed("TIMESTAMP for field `T` but got STRING(x). Timestamp format must be yyyy-mm-ddThh:mm:ss[.S]"),
        );
        refused("INSERT INTO s (n) VALUES (ARRAY[1]);", &failed("INTEGER for field `N` but got ARRAY([1])"));
    }

    #[test]
    fn targets_and_columns_are_checked() {
        refused("INSERT INTO x VALUES (1);", "Cannot insert values into an unknown stream/table: `X`");
        refused("INSERT INTO r VALUES ('a', 1);", "Cannot insert values into read-only stream: R");
        refused("INSERT INTO h VALUES ('a', 1);", "Cannot insert into HEADER columns: H");
        refused(
            "INSERT INTO s (k, ROWOFFSET) VALUES ('a', 1);",
            "Failed to insert values into 'S'. Inserting into column `ROWOFFSET` is not allowed.",
        );
        refused("INSERT INTO s (x) VALUES (1);", "Failed to insert values into 'S'. Column name `X` does not exist.");
        refused(
            "INSERT INTO u (n) VALUES (1);",
            "Failed to insert values into 'U'. Value for primary key column(s) K is required for tables",
        );
        refused(
            "INSERT INTO u VALUES (1);",
            "Failed to insert values into 'U'. Expected a value for each column. Expected Columns: []. Got [1]",
        );
        assert_eq!(inserted("INSERT INTO h (k, n) VALUES ('a', 1);").as_deref(), Ok(r#"{"N":1}@5"#));
    }
}
