//! `offsets.table`: which offsets are written, remembered in the transaction of the rows.
//!
//! ```text
//! connector | topic | partition | next_offset
//! ```
//!
//! A record whose offset is below `next_offset` was written before and is skipped. A transaction moves `next_offset` only
//! from where this task has left it; when it is elsewhere, another task has the partition by now, and nothing of the
//! transaction stays.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::database::{Database, SqlValue};
use super::super::dialect::Dialect;
use super::config::SinkConfig;
use super::error::SinkError;

/// A topic's partition.
pub type Partition = (Arc<str>, i32);

/// What the table says of the partitions of a task.
pub struct Offsets {
    connector: String,
    table: String,
    dialect: Dialect,
    names: [String; 4],
    is_created: bool,
    next: HashMap<Partition, Option<i64>>,
}

impl Offsets {
    /// Nothing is known yet; `None` when the settings name no table.
    pub fn new(config: &SinkConfig, connector: &str) -> Option<Offsets> {
        let table = config.offsets_table.as_ref()?;
        Some(Offsets {
            connector: connector.to_owned(),
            table: config.quote_table(table),
            dialect: config.dialect(),
            names: ["connector", "topic", "partition", "next_offset"]
                .map(|name| config.dialect().quote(name, super::super::dialect::Quoting::Always)),
            is_created: false,
            next: HashMap::new(),
        })
    }

    /// Forgets what it knows: partitions have moved, or a transaction was undone.
    pub fn forget(&mut self) {
        self.next.clear();
    }

    /// Reads what is not known yet of these partitions, outside of a transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn load(
        &mut self,
        database: &Database,
        partitions: impl Iterator<Item = Partition>,
    ) -> Result<(), SinkError> {
        if !self.is_created {
            let [connector, topic, partition, next] = &self.names;
            let text = if self.dialect == Dialect::MySql { "VARCHAR(255)" } else { "TEXT" };
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS {} ({connector} {text} NOT NULL, {topic} {text} NOT NULL, \
                 {partition} INT NOT NULL, {next} BIGINT NOT NULL, PRIMARY KEY ({connector}, {topic}, {partition}))",
                self.table
            );
            database.run(&sql).await?;
            self.is_created = true;
        }
        for partition in partitions {
            if self.next.contains_key(&partition) {
                continue;
            }
            let sql = format!("SELECT {} FROM {} WHERE {}", self.names[3], self.table, self.conditions(1));
            let (_, rows) = database.query_all(&sql, self.address(&partition)).await?;
            let next = rows.first().and_then(|row| row.first()).and_then(SqlValue::as_i64);
            if let Some(next) = next {
                tracing::info!("{}-{}: records below offset {next} are written already", partition.0, partition.1);
            }
            self.next.insert(partition, next);
        }
        Ok(())
    }

    /// Whether a record was written before.
    pub fn is_written(&self, topic: &Arc<str>, partition: i32, offset: i64) -> bool {
        self.next.get(&(topic.clone(), partition)).copied().flatten().is_some_and(|next| offset < next)
    }

    /// Moves to these offsets, in the transaction that has written the records below them.
    ///
    /// # Errors
    /// [`SinkError::Overtaken`]; the database's.
    pub async fn advance(&self, database: &Database, to: &BTreeMap<Partition, i64>) -> Result<(), SinkError> {
        for (partition, next) in to {
            let known = self.next.get(partition).copied().flatten();
            let (sql, parameters) = match known {
                Some(known) => {
                    let first = self.dialect.placeholder(1);
                    let last = self.dialect.placeholder(5);
                    let sql = format!(
                        "UPDATE {table} SET {name}={first} WHERE {} AND {name}={last}",
                        self.conditions(2),
                        table = self.table,
                        name = self.names[3],
                    );
                    let mut parameters = vec![SqlValue::Int(*next)];
                    parameters.extend(self.address(partition));
                    parameters.push(SqlValue::Int(known));
                    (sql, parameters)
                }
                None => {
                    let marks: Vec<String> = (1..=4).map(|number| self.dialect.placeholder(number)).collect();
                    let sql =
                        format!("INSERT INTO {}({}) VALUES ({})", self.table, self.names.join(","), marks.join(","));
                    let mut parameters = self.address(partition);
                    parameters.push(SqlValue::Int(*next));
                    (sql, parameters)
                }
            };
            let overtaken = || SinkError::Overtaken(format!("{}-{}", partition.0, partition.1));
            match database.execute(&sql, parameters).await {
                Ok(1) => {}
                Ok(_) => return Err(overtaken()),
                Err(error) if super::error::is_duplicate(&error) => return Err(overtaken()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The transaction has lasted.
    pub fn advanced(&mut self, to: BTreeMap<Partition, i64>) {
        self.next.extend(to.into_iter().map(|(partition, next)| (partition, Some(next))));
    }

    fn address(&self, (topic, partition): &Partition) -> Vec<SqlValue> {
        vec![
            SqlValue::Text(self.connector.clone()),
            SqlValue::Text(topic.to_string()),
            SqlValue::Int((*partition).into()),
        ]
    }

    fn conditions(&self, first: usize) -> String {
        let conditions = self.names[..3]
            .iter()
            .enumerate()
            .map(|(index, name)| format!("{name}={}", self.dialect.placeholder(first + index)));
        conditions.collect::<Vec<_>>().join(" AND ")
    }
}
