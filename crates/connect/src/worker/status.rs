//! What the worker tells about connectors and tasks, and what it is told they should be.

use std::fmt;
use std::sync::Arc;

/// A task: the connector's name and the number of the task, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// Name of the connector.
    pub connector: Arc<str>,
    /// Number of the task.
    pub task: u32,
}

impl TaskId {
    /// The task `task` of `connector`.
    pub fn new(connector: impl Into<Arc<str>>, task: u32) -> TaskId {
        TaskId { connector: connector.into(), task }
    }
}

/// `connector-task`, as in client ids and thread names of the original.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connector, self.task)
    }
}

/// State of a connector or a task, as `status` of the REST API shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// No worker runs it.
    Unassigned,
    /// It works.
    Running,
    /// It was paused by a user.
    Paused,
    /// It has ended with an error.
    Failed,
    /// It is being started anew.
    Restarting,
    /// It was stopped by a user; connectors only.
    Stopped,
    /// It was deleted; never shown.
    Destroyed,
}

impl State {
    /// The word in the REST API and the status topic.
    pub fn name(self) -> &'static str {
        match self {
            State::Unassigned => "UNASSIGNED",
            State::Running => "RUNNING",
            State::Paused => "PAUSED",
            State::Failed => "FAILED",
            State::Restarting => "RESTARTING",
            State::Stopped => "STOPPED",
            State::Destroyed => "DESTROYED",
        }
    }

    /// The state that has this word.
    pub fn from_name(name: &str) -> Option<State> {
        use State::{Destroyed, Failed, Paused, Restarting, Running, Stopped, Unassigned};
        [Unassigned, Running, Paused, Failed, Restarting, Stopped, Destroyed]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// What a user wants of a connector and its tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TargetState {
    /// Work.
    #[default]
    Started,
    /// Keep everything open, but do nothing.
    Paused,
    /// The connector stands still and has no tasks.
    Stopped,
}

/// Who hears what becomes of connectors and tasks. Called from the tasks themselves: must not block.
pub trait StatusListener: Send + Sync {
    /// A connector is in another state; `trace` says why it failed.
    fn connector(&self, name: &str, state: State, trace: Option<String>);
    /// A task is in another state; `trace` says why it failed.
    fn task(&self, id: &TaskId, state: State, trace: Option<String>);
    /// A task has used a topic for the first time since it was started. Not called when `topic.tracking.enable` is off.
    fn topic(&self, connector: &str, topic: &str, task: u32);
    /// A connector asks for its tasks to be planned anew.
    fn reconfigure(&self, connector: &str);
}
