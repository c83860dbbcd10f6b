//! Statements that make tables and columns for records.

use super::super::database::{SqlValue, TableId};
use super::super::dialect::Dialect;
use super::config::SinkConfig;
use super::convert;
use super::layout::{Layout, LayoutColumn};
use crate::data::{DataError, Kind, Schema, logical};

/// `CREATE TABLE` for records of a layout.
///
/// # Errors
/// A schema that no column can have.
pub fn create_table(config: &SinkConfig, layout: &Layout) -> Result<String, DataError> {
    let mut lines = Vec::with_capacity(layout.columns.len() + 1);
    for index in &layout.table_order {
        if let Some(column) = layout.columns.get(*index) {
            lines.push(column_definition(config, column, *index < layout.keys, layout.keys)?);
        }
    }
    if layout.keys > 0 {
        let keys: Vec<String> = layout.key_columns().iter().map(|column| config.quote(&column.name)).collect();
        lines.push(format!("PRIMARY KEY({})", keys.join(",")));
    }
    Ok(format!("CREATE TABLE {} (\n{})", config.quote_table(&layout.table), lines.join(",\n")))
}

/// `ALTER TABLE` that adds columns: one statement, or one each where the database takes only one at a time.
///
/// # Errors
/// A schema that no column can have.
pub fn add_columns(config: &SinkConfig, table: &TableId, columns: &[&LayoutColumn]) -> Result<Vec<String>, DataError> {
    let table = config.quote_table(table);
    let definitions: Vec<String> = columns
        .iter()
        .map(|column| Ok(format!("ADD {}", column_definition(config, column, false, 0)?)))
        .collect::<Result<_, DataError>>()?;
    Ok(match config.dialect() {
        Dialect::Sqlite => definitions.iter().map(|definition| format!("ALTER TABLE {table} {definition}")).collect(),
        Dialect::MySql | Dialect::Postgres => vec![format!("ALTER TABLE {table} {}", definitions.join(",\n"))],
    })
}

fn column_definition(
    config: &SinkConfig,
    column: &LayoutColumn,
    is_key: bool,
    keys: usize,
) -> Result<String, DataError> {
    let schema = &column.schema;
    let kind = column_type(config.dialect(), column, is_key, keys)
        .map_err(|error| DataError::new(format!("Field '{}': {error}", column.name)))?;
    let nullability = match default_literal(config, schema) {
        Some(literal) if !is_key => format!("DEFAULT {literal}"),
        _ if is_key || !schema.optional => "NOT NULL".to_owned(),
        _ => "NULL".to_owned(),
    };
    Ok(format!("{} {kind} {nullability}", config.quote(&column.name)))
}

/// The type of a column for values of a schema.
fn column_type(dialect: Dialect, column: &LayoutColumn, is_key: bool, keys: usize) -> Result<String, DataError> {
    let schema = &column.schema;
    if column.is_timestamp {
        return Ok(by_dialect(dialect, ["DATETIME(6)", "TIMESTAMP", "NUMERIC"]));
    }
    if let Some(kind) = logical_type(dialect, schema) {
        return Ok(kind);
    }
    Ok(match &schema.kind {
        Kind::Int8 => by_dialect(dialect, ["TINYINT", "SMALLINT", "INTEGER"]),
        Kind::Int16 => by_dialect(dialect, ["SMALLINT", "SMALLINT", "INTEGER"]),
        Kind::Int32 => by_dialect(dialect, ["INT", "INT", "INTEGER"]),
        Kind::Int64 => by_dialect(dialect, ["BIGINT", "BIGINT", "INTEGER"]),
        Kind::Float32 => by_dialect(dialect, ["FLOAT", "REAL", "REAL"]),
        Kind::Float64 => by_dialect(dialect, ["DOUBLE", "DOUBLE PRECISION", "REAL"]),
        Kind::Boolean => by_dialect(dialect, ["TINYINT", "BOOLEAN", "INTEGER"]),
        // A key of MySQL must say how long it is, and all its columns share 3072 bytes, four for each letter.
        Kind::String if is_key && dialect == Dialect::MySql => format!("VARCHAR({})", 255.min(768 / keys.max(1))),
        Kind::Bytes if is_key && dialect == Dialect::MySql => format!("VARBINARY({})", 255.min(3072 / keys.max(1))),
        Kind::String => "TEXT".to_owned(),
        Kind::Bytes => by_dialect(dialect, ["VARBINARY(1024)", "BYTEA", "BLOB"]),
        Kind::Array(element) if dialect == Dialect::Postgres => match element.kind {
            Kind::Array(_) | Kind::Map(..) | Kind::Struct(_) => return Err(convert::nested(schema)),
            _ => format!("{}[]", column_type(dialect, &LayoutColumn::nameless(element), false, 0)?),
        },
        Kind::Array(_) | Kind::Map(..) | Kind::Struct(_) => return Err(convert::nested(schema)),
    })
}

fn logical_type(dialect: Dialect, schema: &Schema) -> Option<String> {
    Some(match schema.name.as_deref()? {
        logical::DECIMAL => {
            let scale: i64 = schema.parameters.get(logical::SCALE).and_then(|scale| scale.parse().ok()).unwrap_or(0);
            let mysql = format!("DECIMAL(65,{})", scale.max(0));
            by_dialect(dialect, [&mysql, "DECIMAL", "NUMERIC"])
        }
        logical::DATE => by_dialect(dialect, ["DATE", "DATE", "NUMERIC"]),
        logical::TIME => by_dialect(dialect, ["TIME(3)", "TIME", "NUMERIC"]),
        logical::TIMESTAMP => by_dialect(dialect, ["DATETIME(3)", "TIMESTAMP", "NUMERIC"]),
        _ => return None,
    })
}

fn by_dialect(dialect: Dialect, [mysql, postgres, sqlite]: [&str; 3]) -> String {
    match dialect {
        Dialect::MySql => mysql,
        Dialect::Postgres => postgres,
        Dialect::Sqlite => sqlite,
    }
    .to_owned()
}

/// The default of a field as it stands in a definition; `None` when there is none, or none that SQL can say.
fn default_literal(config: &SinkConfig, schema: &Schema) -> Option<String> {
    let default = schema.default.as_ref().filter(|default| !default.is_null())?;
    let text = match convert::sql_value(default, schema, config).ok()? {
        SqlValue::Bool(truth) if config.dialect() == Dialect::Postgres => {
            return Some(truth.to_string().to_uppercase());
        }
        SqlValue::Bool(truth) => return Some(u8::from(truth).to_string()),
        SqlValue::Int(number) => return Some(number.to_string()),
        SqlValue::Float(number) if number.is_finite() => return Some(number.to_string()),
        SqlValue::Double(number) if number.is_finite() => return Some(number.to_string()),
        SqlValue::Decimal(number) => return Some(number.to_plain_string()),
        SqlValue::Text(text) => text,
        SqlValue::Date(date) => date.to_string(),
        SqlValue::Time(time) => time.to_string(),
        SqlValue::Moment { clock, .. } => clock.strftime("%Y-%m-%d %H:%M:%S%.f").to_string(),
        _ => return None,
    };
    Some(match config.dialect() {
        // Between parentheses it may also stand at TEXT, which otherwise takes no default.
        Dialect::MySql => format!("('{}')", text.replace('\\', "\\\\").replace('\'', "''")),
        Dialect::Postgres | Dialect::Sqlite => format!("'{}'", text.replace('\'', "''")),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{config, record, text_key};
    use super::*;
    use crate::data::{Field, Typed, Value};

    fn create(pairs: &[(&str, &str)], fields: Vec<Field>, key: Typed) -> Result<String, DataError> {
        let config = config(pairs);
        let values = vec![Value::Int32(1); fields.len()];
        let record = record(key, fields, values);
        create_table(&config, &Layout::of(&config, &record, &record.value)?)
    }

    fn all_kinds() -> Vec<Field> {
        let kinds = [
            ("i8", Schema::new(Kind::Int8)),
            ("i64", Schema::new(Kind::Int64).optional()),
            ("f32", Schema::new(Kind::Float32).optional()),
            ("flag", Schema::new(Kind::Boolean).with_default(Value::Boolean(true))),
            ("name", Schema::new(Kind::String).with_default(Value::String("it's".to_owned()))),
            ("raw", Schema::new(Kind::Bytes).optional()),
            ("price", logical::decimal(2).optional()),
            ("day", logical::date().optional()),
            ("at", logical::timestamp().optional()),
        ];
        kinds.into_iter().map(|(name, schema)| Field::new(name, schema)).collect()
    }

    #[test]
    fn mysql_tables_have_the_types_of_the_original() {
        let sql =
            create(&[("pk.mode", "record_key"), ("pk.fields", "id")], all_kinds(), text_key("k")).expect("a table");
        assert_eq!(
            sql,
            "CREATE TABLE `t` (\n`i8` TINYINT NOT NULL,\n`i64` BIGINT NULL,\n`f32` FLOAT NULL,\n`flag` TINYINT DEFAULT 1,\n\
             `name` TEXT DEFAULT ('it''s'),\n`raw` VARBINARY(1024) NULL,\n`price` DECIMAL(65,2) NULL,\n`day` DATE NULL,\n\
             `at` DATETIME(3) NULL,\n`id` VARCHAR(255) NOT NULL,\nPRIMARY KEY(`id`))"
        );
    }

    #[test]
    fn postgres_tables_have_the_types_of_the_original() {
        let url = ("connection.url", "jdbc:postgresql://localhost/mydb");
        let sql = create(&[url, ("pk.mode", "kafka")], all_kinds(), Typed::null()).expect("a table");
        assert_eq!(
            sql,
            "CREATE TABLE \"t\" (\n\"__connect_topic\" TEXT NOT NULL,\n\"__connect_partition\" INT NOT NULL,\n\
             \"__connect_offset\" BIGINT NOT NULL,\n\"i8\" SMALLINT NOT NULL,\n\"i64\" BIGINT NULL,\n\"f32\" REAL NULL,\n\
             \"flag\" BOOLEAN DEFAULT TRUE,\n\"name\" TEXT DEFAULT 'it''s',\n\"raw\" BYTEA NULL,\n\"price\" DECIMAL NULL,\n\
             \"day\" DATE NULL,\n\"at\" TIMESTAMP NULL,\n\
             PRIMARY KEY(\"__connect_topic\",\"__connect_partition\",\"__connect_offset\"))"
        );
    }

    #[test]
    fn arrays_are_columns_of_postgres_alone() {
        let tags = || vec![Field::new("tags", Schema::new(Kind::Array(Schema::new(Kind::String).into())))];
        let url = ("connection.url", "jdbc:postgresql://localhost/mydb");
        assert!(create(&[url], tags(), Typed::null()).expect("a table").contains("\"tags\" TEXT[] NOT NULL"));
        let error = create(&[], tags(), Typed::null()).expect_err("no column").to_string();
        assert!(error.starts_with("Field 'tags': ARRAY has no column type: flatten it"), "{error}");
    }

    #[test]
    fn columns_are_added_together_where_that_is_possible() {
        let config = config(&[]);
        let record = record(Typed::null(), all_kinds(), vec![Value::Int32(1); 9]);
        let layout = Layout::of(&config, &record, &record.value).expect("a layout");
        let columns: Vec<&LayoutColumn> = layout.columns.iter().skip(1).take(2).collect();
        let mysql = add_columns(&config, &layout.table, &columns).expect("statements");
        assert_eq!(mysql, ["ALTER TABLE `t` ADD `i64` BIGINT NULL,\nADD `f32` FLOAT NULL"]);
        let config = super::super::tests::config(&[("connection.url", "jdbc:sqlite:x.db")]);
        let sqlite = add_columns(&config, &layout.table, &columns).expect("statements");
        assert_eq!(sqlite, ["ALTER TABLE \"t\" ADD \"i64\" INTEGER NULL", "ALTER TABLE \"t\" ADD \"f32\" REAL NULL"]);
    }
}
