//! What the commands so far have made: the catalog, the states of commands and queries.

use std::sync::Arc;

use indexmap::IndexMap;
use milena_sql::catalog::Catalog;
use parking_lot::RwLock;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandStatus {
    /// In words.
    pub message: String,
    /// Whether it was executed, has failed or waits.
    pub state: CommandState,
    /// The query that it started.
    pub query_id: Option<String>,
}

/// How far a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandState {
    /// In the topic, not executed yet.
    Queued,
    /// Executed.
    Success,
    /// Executed; what it started is gone.
    Terminated,
    /// Refused.
    Error,
}

impl CommandStatus {
    /// Waiting to be executed.
    pub fn queued() -> CommandStatus {
        let message = "Statement written to command topic".to_owned();
        CommandStatus { message, state: CommandState::Queued, query_id: None }
    }

    /// As answers show it.
    pub fn json(&self) -> Value {
        let state = match self.state {
            CommandState::Queued => "QUEUED",
            CommandState::Success => "SUCCESS",
            CommandState::Terminated => "TERMINATED",
            CommandState::Error => "ERROR",
        };
        json!({ "status": state, "message": self.message, "queryId": self.query_id })
    }
}

/// How far the command topic was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The next offset.
    pub position: i64,
    /// Whether everything was executed that was there at the start.
    pub caught_up: bool,
    /// Why nothing more will be executed.
    pub damage: Option<Damage>,
    /// Whether the service was ended.
    pub terminated: bool,
}

/// What is wrong with the command topic. The server is in degraded mode then: queries go on, statements that change
/// something are refused until somebody restores the topic and starts the server again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Records that were executed are not there any more.
    Lost,
    /// A record that is no command, or one of a form that this program does not know.
    Unreadable,
    /// A statement of `ksql.queries.file` has failed.
    Script,
}

impl Damage {
    /// What users hear.
    pub fn words(self) -> &'static str {
        match self {
            Damage::Lost => {
                "The server has detected corruption in the command topic due to modifications performed on it. DDL statements will not be processed any further. Restore the command topic from a backup if there is one, then restart the server."
            }
            Damage::Script => "A statement of ksql.queries.file has failed; the log of the server tells which and why.",
            Damage::Unreadable => {
                "The server has encountered an incompatible entry in its log and cannot process further DDL statements. Most likely the entry was written by a later version, or by something else."
            }
        }
    }
}

/// See the module's words.
pub struct Metastore {
    catalog: RwLock<Arc<Catalog>>,
    statuses: RwLock<IndexMap<String, CommandStatus>>,
    progress: watch::Sender<Progress>,
}

impl Default for Metastore {
    fn default() -> Self {
        Metastore {
            catalog: RwLock::default(),
            statuses: RwLock::default(),
            progress: watch::Sender::new(Progress::default()),
        }
    }
}

impl Metastore {
    /// The catalog as it is now; it does not change under its reader.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().clone()
    }

    /// Replaces the catalog. Only the executor of commands does that.
    pub fn set_catalog(&self, catalog: Catalog) {
        *self.catalog.write() = Arc::new(catalog);
    }

    /// What became of the newest command with this id.
    pub fn status(&self, id: &str) -> Option<CommandStatus> {
        self.statuses.read().get(id).cloned()
    }

    /// All commands with what became of them.
    pub fn statuses(&self) -> Vec<(String, CommandStatus)> {
        self.statuses.read().iter().map(|(id, status)| (id.clone(), status.clone())).collect()
    }

    /// Notes what became of a command.
    pub fn set_status(&self, id: &str, status: CommandStatus) {
        self.statuses.write().insert(id.to_owned(), status);
    }

    /// Notes how far the topic was executed.
    pub fn advance(&self, position: i64, caught_up: bool) {
        self.progress.send_modify(|progress| {
            progress.position = progress.position.max(position);
            progress.caught_up |= caught_up;
        });
    }

    /// Notes that the topic is of no use any more.
    pub fn damaged(&self, damage: Damage) {
        self.progress.send_modify(|progress| {
            progress.caught_up = true;
            progress.damage = Some(damage);
        });
    }

    /// Notes that the service was ended.
    pub fn terminated(&self) {
        self.progress.send_modify(|progress| progress.terminated = true);
    }

    /// Whether the service was ended.
    pub fn is_terminated(&self) -> bool {
        self.progress.borrow().terminated
    }

    /// Follows how far the topic was executed.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }
}
