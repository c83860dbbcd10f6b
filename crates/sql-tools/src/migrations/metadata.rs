//! What a server has seen of a project: events in a stream, the last one of each version counts.
//!
//! Stream, table, columns and topics are those of the original, so that a project can go from one server to the other.
//! The version that is current has a key of its own, [`CURRENT`].

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::project::Project;
use super::{Failure, Result};
use crate::client::{ClientError, SqlClient};

/// The code of a statement that cannot be executed, as of one that names a source which is not there.
const STATEMENT_REFUSED: i64 = 40001;

/// Key of the row that tells the current version.
pub const CURRENT: &str = "CURRENT";
/// The version before the first.
pub const NONE: &str = "<none>";

const COLUMNS: [&str; 9] =
    ["version_key", "version", "name", "state", "checksum", "started_on", "completed_on", "previous", "error_reason"];

/// How far a migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Pending,
    Running,
    Migrated,
    Error,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Pending => "PENDING",
            State::Running => "RUNNING",
            State::Migrated => "MIGRATED",
            State::Error => "ERROR",
        })
    }
}

/// What happened to a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub version: u32,
    pub name: String,
    pub state: State,
    /// MD5 of the file.
    pub checksum: String,
    /// Milliseconds since 1970, as text; empty: not yet.
    pub started_on: String,
    pub completed_on: String,
    /// The version before, or [`NONE`].
    pub previous: String,
    pub error_reason: String,
}

/// The last event of each key.
#[derive(Debug, Default)]
pub struct History {
    by_key: BTreeMap<String, Event>,
}

impl History {
    /// From rows with [`COLUMNS`], in the order in which they were written.
    fn of<'a>(rows: impl Iterator<Item = &'a Value>) -> History {
        let mut history = History::default();
        for row in rows {
            let text = |index: usize| row[index].as_str().unwrap_or_default().to_owned();
            let state = match text(3).as_str() {
                "RUNNING" => State::Running,
                "MIGRATED" => State::Migrated,
                "ERROR" => State::Error,
                _ => State::Pending,
            };
            let Ok(version) = text(1).parse() else { continue };
            let event = Event {
                version,
                name: text(2),
                state,
                checksum: text(4),
                started_on: text(5),
                completed_on: text(6),
                previous: text(7),
                error_reason: text(8),
            };
            history.by_key.insert(text(0), event);
        }
        history
    }

    /// What happened last.
    pub fn current(&self) -> Option<&Event> {
        self.by_key.get(CURRENT)
    }

    /// What happened to a version.
    pub fn version(&self, version: u32) -> Option<&Event> {
        self.by_key.get(&version.to_string())
    }

    /// The last version that was applied as a whole.
    pub fn migrated(&self) -> Option<u32> {
        let current = self.current()?;
        match current.state {
            State::Migrated => Some(current.version),
            _ => current.previous.parse().ok(),
        }
    }
}

/// The stream and the table on a server.
pub struct Metadata {
    client: SqlClient,
    stream: String,
    table: String,
    stream_topic: String,
    table_topic: String,
    replicas: String,
}

impl Metadata {
    /// On the server of a project.
    pub fn connect(project: &Project) -> Result<Metadata> {
        let client = project.client()?;
        let service = client.info()?.service_id;
        let stream = project.setting("ksql.migrations.stream.name", "MIGRATION_EVENTS").to_owned();
        let table = project.setting("ksql.migrations.table.name", "MIGRATION_SCHEMA_VERSIONS").to_owned();
        let topic = |setting: &str, name: &str| project.setting(setting, &format!("{service}ksql_{name}")).to_owned();
        Ok(Metadata {
            stream_topic: topic("ksql.migrations.stream.topic.name", &stream),
            table_topic: topic("ksql.migrations.table.topic.name", &table),
            replicas: project.setting("ksql.migrations.topic.replicas", "1").to_owned(),
            client,
            stream,
            table,
        })
    }

    /// The server.
    pub fn client(&self) -> &SqlClient {
        &self.client
    }

    /// `initialize-metadata`
    pub fn initialize(&self) -> Result<()> {
        println!("Initializing migrations metadata");
        println!("Creating stream: {}", self.stream);
        let columns: Vec<String> = COLUMNS
            .iter()
            .map(|name| format!("{name} STRING{}", if *name == COLUMNS[0] { " KEY" } else { "" }))
            .collect();
        self.execute(&format!(
            "CREATE STREAM {} ({}) WITH (KAFKA_TOPIC='{}', VALUE_FORMAT='JSON', PARTITIONS=1, REPLICAS={});",
            self.stream,
            columns.join(", "),
            self.stream_topic,
            self.replicas
        ))?;
        println!("Creating table: {}", self.table);
        let latest: Vec<String> =
            COLUMNS[1..].iter().map(|name| format!("LATEST_BY_OFFSET({name}) AS {name}")).collect();
        self.execute(&format!(
            "CREATE TABLE {} WITH (KAFKA_TOPIC='{}') AS SELECT {}, {} FROM {} GROUP BY {};",
            self.table,
            self.table_topic,
            COLUMNS[0],
            latest.join(", "),
            self.stream,
            COLUMNS[0]
        ))?;
        println!("Migrations metadata initialized successfully");
        Ok(())
    }

    /// `destroy-metadata`
    pub fn destroy(&self) -> Result<()> {
        println!("Cleaning migrations metadata stream and table from ksqlDB server");
        match self.describe(&self.table)? {
            None => println!("Metadata table does not exist. Skipping cleanup."),
            Some(table) => {
                self.terminate_writer(&table)?;
                self.drop("table", &self.table)?;
            }
        }
        match self.describe(&self.stream)? {
            None => println!("Metadata stream does not exist. Skipping cleanup."),
            Some(_) => self.drop("stream", &self.stream)?,
        }
        println!("Migrations metadata cleaned successfully");
        Ok(())
    }

    /// What a source is; `None` when there is none.
    fn describe(&self, name: &str) -> Result<Option<Value>> {
        let request = json!({ "ksql": format!("DESCRIBE {name};"), "streamsProperties": {} });
        match self.client.statements(&request) {
            Ok(answers) => Ok(answers.into_iter().next()),
            Err(ClientError::Refused(refusal)) if refusal.code == STATEMENT_REFUSED => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn terminate_writer(&self, table: &Value) -> Result<()> {
        let queries = table["sourceDescription"]["writeQueries"].as_array();
        let ids: Vec<&str> = queries.into_iter().flatten().filter_map(|query| query["id"].as_str()).collect();
        match ids.as_slice() {
            [] => println!("Found 0 queries writing to the metadata table"),
            [id] => {
                println!("Found 1 query writing to the metadata table. Query ID: {id}");
                println!("Terminating query with ID: {id}");
                self.execute(&format!("TERMINATE {id};"))?;
            }
            several => {
                let ids = several.join("', '");
                let words = format!("Found multiple queries writing to the metadata table. Query IDs: '{ids}'.");
                return Err(Failure::words(words));
            }
        }
        Ok(())
    }

    fn drop(&self, kind: &str, name: &str) -> Result<()> {
        println!("Dropping migrations metadata {kind}: {name}");
        self.execute(&format!("DROP {} {name} DELETE TOPIC;", kind.to_uppercase()))
    }

    /// Everything that has happened.
    pub fn read(&self) -> Result<History> {
        let statement = format!("SELECT {} FROM {};", COLUMNS.join(", "), self.stream);
        let mut rows = Vec::new();
        let elements = self.client.query(&json!({ "ksql": statement, "streamsProperties": {} }));
        let elements = elements.map_err(|error| match error {
            ClientError::Refused(refusal) => Failure::words(format!(
                "Failed to verify existence of migrations metadata stream '{}'. Did you run `ksql-migrations \
                 initialize-metadata`? Error message: {refusal}",
                self.stream
            )),
            other => other.into(),
        })?;
        for element in elements {
            let element = element.map_err(|error| Failure::words(error.to_string()))?;
            let Ok(mut element) = serde_json::from_str::<Value>(&element) else { continue };
            if let Some(message) = element["errorMessage"]["message"].as_str() {
                return Err(Failure::words(message));
            }
            if element["row"]["columns"].is_array() {
                rows.push(element["row"]["columns"].take());
            }
        }
        Ok(History::of(rows.iter()))
    }

    /// Writes what happens to a version, under its own key and as the current one.
    pub fn write(&self, event: &Event) -> Result<()> {
        for key in [CURRENT.to_owned(), event.version.to_string()] {
            let (version, state) = (event.version.to_string(), event.state.to_string());
            let values: [&str; 9] = [
                &key,
                &version,
                &event.name,
                &state,
                &event.checksum,
                &event.started_on,
                &event.completed_on,
                &event.previous,
                &event.error_reason,
            ];
            let values: Vec<String> = values.iter().map(|value| format!("'{}'", value.replace('\'', "''"))).collect();
            let columns = COLUMNS.join(", ");
            self.execute(&format!("INSERT INTO {} ({columns}) VALUES ({});", self.stream, values.join(", ")))?;
        }
        Ok(())
    }

    fn execute(&self, statement: &str) -> Result<()> {
        // Text of users may look like a variable: it is none. The table counts what has happened before it.
        let properties = json!({ "ksql.variable.substitution.enable": "false", "auto.offset.reset": "earliest" });
        let request = json!({ "ksql": statement, "streamsProperties": properties });
        for answer in self.client.statements(&request)? {
            if answer["commandStatus"]["status"] == "ERROR" {
                return Err(Failure::words(answer["commandStatus"]["message"].as_str().unwrap_or_default()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_of_a_key_counts() {
        let row = |key: &str, version: &str, state: &str, previous: &str| {
            json!([key, version, "n", state, "c", "1", "2", previous, "N/A"])
        };
        let rows = [
            row("CURRENT", "1", "MIGRATED", NONE),
            row("1", "1", "MIGRATED", NONE),
            row("CURRENT", "2", "RUNNING", "1"),
            row("2", "2", "RUNNING", "1"),
            row("CURRENT", "2", "ERROR", "1"),
        ];
        let history = History::of(rows.iter());
        assert_eq!(history.migrated(), Some(1));
        assert_eq!(history.current().map(|event| event.state), Some(State::Error));
        assert_eq!(history.version(2).map(|event| event.state), Some(State::Running));
        assert_eq!(History::default().migrated(), None);
    }
}
