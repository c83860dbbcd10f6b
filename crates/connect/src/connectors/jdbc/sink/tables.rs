//! What is known of the tables: read once, made and extended where the settings allow it.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::database::{Column, Database, SqlType, TableId};
use super::config::{KeyMode, SinkConfig};
use super::ddl;
use super::error::SinkError;
use super::layout::{Layout, LayoutColumn};
use super::statement::Target;
use crate::data::Kind;

/// Tables of one connection.
#[derive(Default)]
pub struct Tables {
    columns: HashMap<TableId, Vec<Column>>,
    resolved: Vec<Arc<Resolved>>,
}

/// A layout with the names that its columns really have.
#[derive(Debug)]
pub struct Resolved {
    /// The layout.
    pub layout: Arc<Layout>,
    /// Where its rows go.
    pub target: Target,
    /// For each column whether rows can be told apart by it, see [`compared`].
    pub compared: Vec<bool>,
    /// For each column whether it holds numbers.
    pub numbers: Vec<bool>,
}

/// Layouts that are remembered.
const KINDS: usize = 256;

impl Tables {
    /// Where the rows of a layout go; makes the table or its columns when they are missing and the settings allow it.
    /// `None`: `deletes`, and there is no table yet to delete from.
    ///
    /// # Errors
    /// A table or column that is missing, which the text says with the setting that helps; the database's errors.
    pub async fn resolve(
        &mut self,
        database: &Database,
        config: &SinkConfig,
        layout: &Arc<Layout>,
        deletes: bool,
    ) -> Result<Option<Arc<Resolved>>, SinkError> {
        if let Some(found) = self.find(layout) {
            return Ok(Some(found));
        }
        let table = &layout.table;
        let was_known = self.columns.contains_key(table);
        let mut missing = self.missing(database, layout).await?;
        if was_known && missing.as_ref().is_none_or(|missing| !missing.is_empty()) {
            // Somebody may have made them since.
            self.columns.remove(table);
            missing = self.missing(database, layout).await?;
        }
        match missing {
            None if deletes && config.auto_create => return Ok(None),
            None => self.create(database, config, layout).await?,
            Some(missing) if !missing.is_empty() => self.evolve(database, config, layout, &missing).await?,
            Some(_) => {}
        }
        let Some(columns) = self.columns.get(table) else {
            return Err(SinkError::Settings(format!(
                "Table {table} cannot be read: check the rights of connection.user"
            )));
        };
        let found: Vec<Option<&Column>> = layout.columns.iter().map(|column| find(columns, &column.name)).collect();
        let names: Vec<String> = found.iter().flatten().map(|column| column.name.clone()).collect();
        if names.len() < layout.columns.len() {
            return Err(SinkError::Settings(format!("Table {table} lacks columns that were just added")));
        }
        let target = Target::new(config, table, &names, layout.keys);
        let compared = compared(config, layout, &found);
        let numbers = found.iter().map(|column| column.is_some_and(is_number)).collect();
        let resolved = Arc::new(Resolved { layout: layout.clone(), target, compared, numbers });
        if self.resolved.len() >= KINDS {
            self.resolved.remove(0);
        }
        self.resolved.push(resolved.clone());
        Ok(Some(resolved))
    }

    /// Where the rows of a layout go, if [`resolve`](Self::resolve) has found it.
    pub fn find(&self, layout: &Arc<Layout>) -> Option<Arc<Resolved>> {
        self.resolved.iter().find(|resolved| Arc::ptr_eq(&resolved.layout, layout)).cloned()
    }

    /// The columns of a layout that a table does not have; `None` when there is no table.
    async fn missing<'a>(
        &mut self,
        database: &Database,
        layout: &'a Layout,
    ) -> Result<Option<Vec<&'a LayoutColumn>>, SinkError> {
        if !self.columns.contains_key(&layout.table) {
            let columns = database.columns(&layout.table).await?;
            if columns.is_empty() {
                return Ok(None);
            }
            self.columns.insert(layout.table.clone(), columns);
        }
        let columns = self.columns.get(&layout.table).map(Vec::as_slice).unwrap_or_default();
        Ok(Some(layout.columns.iter().filter(|column| find(columns, &column.name).is_none()).collect()))
    }

    async fn create(&mut self, database: &Database, config: &SinkConfig, layout: &Layout) -> Result<(), SinkError> {
        let table = &layout.table;
        if !config.auto_create {
            return Err(SinkError::Settings(format!(
                "Table {table} is missing and auto-creation is disabled: create the table, set auto.create=true, or set \
                 table.name.format to the name of a table that exists"
            )));
        }
        let sql = ddl::create_table(config, layout)?;
        tracing::info!("creating table {table}: {sql}");
        let created = database.run(&sql).await;
        // Another task may have made it at the same time.
        match (self.missing(database, layout).await?, created) {
            (Some(missing), _) if missing.is_empty() => Ok(()),
            (Some(missing), _) => self.evolve(database, config, layout, &missing).await,
            (None, Err(error)) => Err(error.into()),
            (None, Ok(())) => Err(SinkError::Settings(format!("Table {table} was created but cannot be seen"))),
        }
    }

    async fn evolve(
        &mut self,
        database: &Database,
        config: &SinkConfig,
        layout: &Layout,
        missing: &[&LayoutColumn],
    ) -> Result<(), SinkError> {
        let table = &layout.table;
        let names = missing.iter().map(|column| format!("{} ({})", column.name, column.schema.type_name()));
        let names = names.collect::<Vec<_>>().join(", ");
        if !config.auto_evolve {
            return Err(SinkError::Settings(format!(
                "Table {table} is missing columns for the fields {names} and auto-evolution is disabled: add the columns, \
                 set auto.evolve=true, or leave the fields out with fields.whitelist"
            )));
        }
        let keys = layout.key_columns();
        if let Some(key) = missing.iter().find(|column| keys.iter().any(|key| key.name == column.name)) {
            return Err(SinkError::Settings(format!(
                "Table {table} has no column for '{}' of the primary key, and auto.evolve adds none to a key: add it, or \
                 change pk.mode and pk.fields",
                key.name
            )));
        }
        let must_have = |column: &&&LayoutColumn| !column.schema.optional && column.schema.default.is_none();
        if let Some(column) = missing.iter().find(must_have) {
            return Err(SinkError::Settings(format!(
                "Cannot add the missing field '{}' to table {table}: it is not optional and does not have a default value, \
                 so the rows that are there would have none. Make it optional in the schema, or add the column",
                column.name
            )));
        }
        let statements = ddl::add_columns(config, table, missing)?;
        tracing::info!("adding columns to table {table}: {}", statements.join("; "));
        let mut result = Ok(());
        for sql in statements {
            result = database.run(&sql).await;
            if result.is_err() {
                break;
            }
        }
        self.columns.remove(table);
        match (self.missing(database, layout).await?, result) {
            (Some(missing), _) if missing.is_empty() => Ok(()),
            (_, Err(error)) => Err(error.into()),
            (_, Ok(())) => Err(SinkError::Settings(format!("Columns were added to table {table} but cannot be seen"))),
        }
    }
}

/// A column by its exact name, otherwise in any case.
fn find<'a>(columns: &'a [Column], name: &str) -> Option<&'a Column> {
    let exact = columns.iter().find(|column| column.name == name);
    exact.or_else(|| columns.iter().find(|column| column.name.to_lowercase() == name.to_lowercase()))
}

fn is_number(column: &Column) -> bool {
    use SqlType::{BigInt, Decimal, Double, Integer, Numeric, Real, SmallInt, TinyInt};
    matches!(column.kind, TinyInt | SmallInt | Integer | BigInt | Real | Double | Numeric | Decimal)
}

/// By which columns a row that is there already is recognised as the record that comes again. Kafka's coordinates say it
/// alone; otherwise every column must be the same, but for those whose values do not come back as they were written or
/// cannot be compared.
fn compared(config: &SinkConfig, layout: &Layout, columns: &[Option<&Column>]) -> Vec<bool> {
    let by_coordinates = matches!(config.key_mode, KeyMode::Kafka(_));
    let mut compared = Vec::with_capacity(columns.len());
    for (index, (column, found)) in layout.columns.iter().zip(columns).enumerate() {
        let is_key = index < layout.keys || found.is_some_and(|found| found.primary_key);
        let is_comparable = column.schema.kind != Kind::Float32
            && found.is_some_and(|found| {
                !matches!(found.kind, SqlType::Real | SqlType::Other)
                    && !matches!(found.type_name.as_str(), "json" | "xml" | "point")
            });
        compared.push(if by_coordinates { index < layout.keys } else { is_key || is_comparable });
    }
    compared
}
