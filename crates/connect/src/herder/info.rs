//! What the API shows of connectors and tasks.

use serde::{Deserialize, Serialize};

use super::status_store::Status;
use crate::plugin::{ConnectorKind, Settings};
use crate::worker::TaskId;

/// `{"connector","task"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskName {
    /// The connector.
    pub connector: String,
    /// The number.
    pub task: u32,
}

impl From<TaskId> for TaskName {
    fn from(id: TaskId) -> TaskName {
        TaskName { connector: id.connector.to_string(), task: id.task }
    }
}

/// Which way data flows, as the API says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorType {
    /// Into topics.
    Source,
    /// Out of topics.
    Sink,
    /// The class is not known here.
    Unknown,
}

impl From<Option<ConnectorKind>> for ConnectorType {
    fn from(kind: Option<ConnectorKind>) -> ConnectorType {
        match kind {
            Some(ConnectorKind::Source) => ConnectorType::Source,
            Some(ConnectorKind::Sink) => ConnectorType::Sink,
            None => ConnectorType::Unknown,
        }
    }
}

/// A connector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// Its settings as the user wrote them.
    pub config: Settings,
    /// Its tasks.
    pub tasks: Vec<TaskName>,
    /// Which way.
    #[serde(rename = "type")]
    pub kind: ConnectorType,
}

/// A task with its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskInfo {
    /// Which one.
    pub id: TaskName,
    /// Its settings, placeholders kept.
    pub config: Settings,
}

/// The state of a connector itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectorState {
    /// Which state.
    pub state: &'static str,
    /// Which worker says so.
    pub worker_id: String,
    /// The version of the plugin.
    pub version: Option<String>,
    /// Why it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskState {
    /// The number.
    pub id: u32,
    /// Its state.
    #[serde(flatten)]
    pub state: ConnectorState,
}

/// The states of a connector and its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectorStatusInfo {
    /// The connector.
    pub name: String,
    /// Its own state.
    pub connector: ConnectorState,
    /// Those of its tasks.
    pub tasks: Vec<TaskState>,
    /// Which way.
    #[serde(rename = "type")]
    pub kind: ConnectorType,
}

impl From<Status> for ConnectorState {
    fn from(status: Status) -> ConnectorState {
        ConnectorState {
            state: status.state.name(),
            worker_id: status.worker_id,
            version: status.version,
            trace: status.trace.filter(|trace| !trace.is_empty()),
        }
    }
}
