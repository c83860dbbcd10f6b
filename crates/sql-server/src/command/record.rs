//! What stands in the command topic: a JSON text that names the command, a JSON object with the statement.

use std::collections::BTreeMap;
use std::fmt;

use milena_sql::ast::{SourceKind, Statement, quote_identifier};
use serde::{Deserialize, Serialize};

/// Version of the records that are written.
const VERSION: i32 = 13;

/// The command that ends a service, which is no statement of the language.
pub const TERMINATE_CLUSTER: &str = "TERMINATE CLUSTER;";

/// The id of [`TERMINATE_CLUSTER`].
pub fn cluster_termination() -> CommandId {
    CommandId { kind: "cluster", entity: "TerminateCluster".to_owned(), action: "terminate" }
}

/// What a command is about: `` stream/`ORDERS`/create ``.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandId {
    /// `stream`, `table`, `type`, `terminate`, ...
    pub kind: &'static str,
    /// The name, quoted where it is one of a source.
    pub entity: String,
    /// `create`, `drop`, `execute`, ...
    pub action: &'static str,
}

impl CommandId {
    /// The id of a statement that goes through the command topic; `None` for others.
    pub fn of(statement: &Statement) -> Option<CommandId> {
        let source = |kind: SourceKind| if kind == SourceKind::Stream { "stream" } else { "table" };
        let id = |kind, entity: String, action| Some(CommandId { kind, entity, action });
        match statement {
            Statement::CreateSource(create) => id(source(create.kind), quoted(&create.name), "create"),
            Statement::CreateAsSelect(create) => id(source(create.kind), quoted(&create.name), "create"),
            Statement::InsertInto(insert) => id("stream", quoted(&insert.target), "create"),
            Statement::DropSource(drop) => id(source(drop.kind), quoted(&drop.name), "drop"),
            Statement::AlterSource(alter) => id(source(alter.kind), quoted(&alter.name), "alter"),
            Statement::CreateType { name, .. } => id("type", name.to_string(), "create"),
            Statement::DropType { name, .. } => id("type", name.to_string(), "drop"),
            Statement::Terminate(query) => id("terminate", all_or(query.as_deref()), "execute"),
            Statement::Pause(query) => id("pause", all_or(query.as_deref()), "execute"),
            Statement::Resume(query) => id("resume", all_or(query.as_deref()), "execute"),
            _ => None,
        }
    }
}

/// Always in back-ticks, as ids are known.
fn quoted(name: &str) -> String {
    let shown = quote_identifier(name);
    if shown.starts_with('`') { shown } else { format!("`{name}`") }
}

fn all_or(query: Option<&str>) -> String {
    query.unwrap_or("ALL").to_owned()
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.entity, self.action)
    }
}

/// A statement with what it is to be executed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Command {
    /// The text, with its `;`.
    pub statement: String,
    /// Properties of the session.
    #[serde(default, rename = "streamsProperties")]
    pub properties: BTreeMap<String, serde_json::Value>,
    /// Properties of the server that issued it.
    #[serde(default)]
    pub original_properties: BTreeMap<String, String>,
    /// What the issuing server has found out. Plans of other products are of no use here: their statements are planned anew.
    #[serde(default)]
    pub plan: Option<serde_json::Value>,
    /// Version of the form.
    #[serde(default)]
    pub version: Option<i32>,
}

impl Command {
    /// A command of this server.
    pub fn new(
        statement: &str,
        properties: BTreeMap<String, String>,
        original_properties: BTreeMap<String, String>,
        partitions: Option<i32>,
    ) -> Command {
        Command {
            statement: statement.to_owned(),
            properties: properties.into_iter().map(|(name, value)| (name, value.into())).collect(),
            original_properties,
            plan: partitions.map(|partitions| serde_json::json!({ "partitions": partitions })),
            version: Some(VERSION),
        }
    }

    /// How many partitions the topic of the new source had when the command was issued.
    pub fn partitions(&self) -> Option<i32> {
        self.plan.as_ref()?.get("partitions")?.as_i64()?.try_into().ok()
    }

    /// The properties of the session as text.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, String)> {
        self.properties.iter().map(|(name, value)| (name.as_str(), property_text(value)))
    }
}

/// A property as text, however JSON writes it.
pub fn property_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sql: &str) -> Option<String> {
        let statement = milena_sql::parser::parse_one(sql, &|_| None).unwrap();
        CommandId::of(&statement).map(|id| id.to_string())
    }

    #[test]
    fn commands_are_named_by_what_they_change() {
        let create = "CREATE STREAM orders (id INT) WITH (kafka_topic='o', value_format='JSON');";
        assert_eq!(id(create).as_deref(), Some("stream/`ORDERS`/create"));
        assert_eq!(id("DROP TABLE `t`;").as_deref(), Some("table/`t`/drop"));
        assert_eq!(id("TERMINATE ALL;").as_deref(), Some("terminate/ALL/execute"));
        assert_eq!(id("TERMINATE CSAS_A_1;").as_deref(), Some("terminate/CSAS_A_1/execute"));
        assert_eq!(id("SHOW STREAMS;"), None);
    }

    #[test]
    fn records_of_the_original_are_read_with_plans_that_mean_nothing_here() {
        let text = r#"{"statement":"DROP STREAM A;","streamsProperties":{"auto.offset.reset":"earliest","n":4},
            "originalProperties":{},"plan":{"@type":"ksqlPlanV1","statementText":"x"},"version":13}"#;
        let command: Command = serde_json::from_str(text).unwrap();
        assert_eq!(command.partitions(), None);
        assert_eq!(command.overrides().last(), Some(("n", "4".to_owned())));
        let own = Command::new("A;", BTreeMap::new(), BTreeMap::new(), Some(4));
        let read: Command = serde_json::from_str(&serde_json::to_string(&own).unwrap()).unwrap();
        assert_eq!((read.partitions(), read), (Some(4), own));
    }
}
