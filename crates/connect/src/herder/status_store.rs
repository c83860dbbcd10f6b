//! States of connectors and tasks, and the topics they use: in memory alone, or in a topic that all workers read.
//!
//! A worker that no longer owns something must not overwrite what its new owner says: "safe" writes are left out when the
//! state is of a later generation, or of another worker in the same one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use milena_client::Cluster;
use milena_stdx::{Clock as _, ShutdownToken, SystemClock};
use parking_lot::RwLock;
use serde_json::{Value, json};

use crate::config::worker::StorageTopic;
use crate::storage::{Apply, Purpose, StorageError, TopicLog};
use crate::worker::{State, TaskId};

const CONNECTOR: &str = "status-connector-";
const TASK: &str = "status-task-";
const TOPIC: &str = "status-topic-";
const OF_CONNECTOR: &str = ":connector-";
/// How long reading back what was told may take.
const SETTLE_MAX: Duration = Duration::from_secs(3);

/// The state of a connector or a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which state.
    pub state: State,
    /// Why it has failed.
    pub trace: Option<String>,
    /// Which worker says so, `host:port`.
    pub worker_id: String,
    /// The generation of the group in which it said so.
    pub generation: i32,
    /// The version of the plugin, while it runs.
    pub version: Option<String>,
}

impl Status {
    fn to_json(&self) -> String {
        json!({
            "state": self.state.name(),
            "trace": self.trace,
            "worker_id": self.worker_id,
            "generation": self.generation,
            "version": self.version,
        })
        .to_string()
    }

    fn from_json(value: &[u8]) -> Option<Status> {
        let value: Value = serde_json::from_slice(value).ok()?;
        let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        Some(Status {
            state: State::from_name(&text("state")?)?,
            trace: text("trace"),
            worker_id: text("worker_id")?,
            generation: i32::try_from(value.get("generation")?.as_i64()?).ok()?,
            version: text("version"),
        })
    }
}

#[derive(Default)]
struct Table {
    connectors: BTreeMap<String, ConnectorStatus>,
}

#[derive(Default)]
struct ConnectorStatus {
    own: Option<Status>,
    tasks: BTreeMap<u32, Status>,
    topics: BTreeSet<String>,
}

/// See the module's words.
pub struct StatusStore {
    table: Arc<RwLock<Table>>,
    log: Option<TopicLog>,
}

impl StatusStore {
    /// States that end with the process.
    pub fn in_memory() -> StatusStore {
        StatusStore { table: Arc::default(), log: None }
    }

    /// Reads the topic to its end and follows it.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn in_topic(
        cluster: Cluster,
        topic: &StorageTopic,
        shutdown: ShutdownToken,
    ) -> Result<StatusStore, StorageError> {
        let table: Arc<RwLock<Table>> = Arc::default();
        let read = table.clone();
        let apply: Apply = Box::new(move |record| {
            if let Ok(key) = std::str::from_utf8(record.key) {
                read.write().apply(key, record.value);
            }
        });
        let purpose = Purpose { key: "status.storage.topic", what: "connector and task statuses", single: false };
        let log = TopicLog::open(cluster, topic, &purpose, None, apply, shutdown).await?;
        Ok(StatusStore { table, log: Some(log) })
    }

    /// The state of a connector.
    pub fn connector(&self, name: &str) -> Option<Status> {
        self.table.read().connectors.get(name)?.own.clone()
    }

    /// The state of a task.
    pub fn task(&self, id: &TaskId) -> Option<Status> {
        self.table.read().connectors.get(&*id.connector)?.tasks.get(&id.task).cloned()
    }

    /// The states of all tasks of a connector, by number.
    pub fn tasks(&self, name: &str) -> Vec<(u32, Status)> {
        let table = self.table.read();
        let tasks = table.connectors.get(name).into_iter().flat_map(|connector| &connector.tasks);
        tasks.map(|(task, status)| (*task, status.clone())).collect()
    }

    /// Names of all connectors that have a state, or a task with one.
    pub fn connectors(&self) -> Vec<String> {
        let table = self.table.read();
        let known = table.connectors.iter().filter(|(_, known)| known.own.is_some() || !known.tasks.is_empty());
        known.map(|(name, _)| name.clone()).collect()
    }

    /// The topics that a connector uses, sorted.
    pub fn topics(&self, name: &str) -> Vec<String> {
        let table = self.table.read();
        table.connectors.get(name).into_iter().flat_map(|connector| connector.topics.iter().cloned()).collect()
    }

    /// Tells the state of a connector.
    pub fn put_connector(&self, name: &str, status: &Status, safe: bool) {
        if safe && self.connector(name).is_some_and(|known| !may_replace(&known, status)) {
            return;
        }
        let value = (status.state != State::Destroyed).then(|| status.to_json());
        self.put(format!("{CONNECTOR}{name}"), value);
    }

    /// Tells the state of a task.
    pub fn put_task(&self, id: &TaskId, status: &Status, safe: bool) {
        if safe && self.task(id).is_some_and(|known| !may_replace(&known, status)) {
            return;
        }
        let value = (status.state != State::Destroyed).then(|| status.to_json());
        self.put(format!("{TASK}{}-{}", id.connector, id.task), value);
    }

    /// Notes that a connector uses a topic.
    pub fn put_topic(&self, connector: &str, topic: &str, task: u32) {
        if self.table.read().connectors.get(connector).is_some_and(|known| known.topics.contains(topic)) {
            return;
        }
        let value = json!({ "topic": {
            "name": topic, "connector": connector, "task": task, "discoverTimestamp": SystemClock.now_ms(),
        }});
        self.put(topic_key(connector, topic), Some(value.to_string()));
    }

    /// Forgets the topics of a connector.
    pub fn delete_topics(&self, connector: &str) {
        for topic in self.topics(connector) {
            self.put(topic_key(connector, &topic), None);
        }
    }

    /// Waits until everything that was told here can be seen here, a few seconds at most.
    pub async fn settle(&self) {
        if let Some(log) = &self.log {
            log.flush().await;
            if let Err(error) = log.read_to_end(SETTLE_MAX).await {
                tracing::debug!(%error, "reading the states back");
            }
        }
    }

    /// Sends what waits.
    pub async fn flush(&self) {
        if let Some(log) = &self.log {
            log.flush().await;
        }
    }

    fn put(&self, key: String, value: Option<String>) {
        match &self.log {
            Some(log) => log.send(key, value),
            None => self.table.write().apply(&key, value.as_deref().map(str::as_bytes)),
        }
    }
}

fn topic_key(connector: &str, topic: &str) -> String {
    format!("{TOPIC}{topic}{OF_CONNECTOR}{connector}")
}

fn may_replace(known: &Status, new: &Status) -> bool {
    known.worker_id == new.worker_id || known.generation <= new.generation
}

impl Table {
    fn apply(&mut self, key: &str, value: Option<&[u8]>) {
        if let Some(name) = key.strip_prefix(CONNECTOR).filter(|name| !name.is_empty()) {
            self.apply_connector(name, value);
        } else if let Some(rest) = key.strip_prefix(TASK) {
            let Some((name, task)) = rest.rsplit_once('-') else { return };
            let Ok(task) = task.parse() else { return };
            self.apply_task(name, task, value);
        } else if let Some((topic, name)) = key.strip_prefix(TOPIC).and_then(|rest| rest.split_once(OF_CONNECTOR)) {
            let topics = &mut self.connectors.entry(name.to_owned()).or_default().topics;
            match value {
                Some(_) => topics.insert(topic.to_owned()),
                None => topics.remove(topic),
            };
        }
    }

    fn apply_connector(&mut self, name: &str, value: Option<&[u8]>) {
        let known = self.connectors.entry(name.to_owned()).or_default();
        match value {
            None => {
                known.own = None;
                known.tasks.clear();
            }
            Some(value) => known.own = Status::from_json(value).or(known.own.take()),
        }
    }

    fn apply_task(&mut self, name: &str, task: u32, value: Option<&[u8]>) {
        let tasks = &mut self.connectors.entry(name.to_owned()).or_default().tasks;
        let Some(value) = value else {
            tasks.remove(&task);
            return;
        };
        let Some(status) = Status::from_json(value) else { return };
        // The old owner's farewell may come after the new owner's first word.
        let is_late = tasks.get(&task).is_some_and(|known| {
            status.state == State::Unassigned
                && known.state == State::Running
                && known.worker_id != status.worker_id
                && known.generation >= status.generation
        });
        if !is_late {
            tasks.insert(task, status);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State, worker: &str, generation: i32) -> Status {
        Status { state, trace: None, worker_id: worker.to_owned(), generation, version: None }
    }

    #[test]
    fn a_worker_that_no_longer_owns_a_task_does_not_overwrite_its_state() {
        let store = StatusStore::in_memory();
        let id = TaskId::new("c-1", 0);
        store.put_task(&id, &status(State::Running, "b:1", 5), false);
        store.put_task(&id, &status(State::Failed, "a:1", 4), true);
        assert_eq!(store.task(&id).unwrap().worker_id, "b:1");
        store.put_task(&id, &status(State::Unassigned, "a:1", 5), false);
        assert_eq!(store.task(&id).unwrap().state, State::Running);
        store.put_task(&id, &status(State::Failed, "a:1", 6), true);
        assert_eq!(store.tasks("c-1")[0].1.state, State::Failed);
        store.put_task(&id, &status(State::Destroyed, "a:1", 6), false);
        assert!(store.task(&id).is_none() && store.connectors().is_empty());
    }

    #[test]
    fn topics_are_noted_once_and_forgotten_on_demand() {
        let store = StatusStore::in_memory();
        store.put_topic("c", "b", 0);
        store.put_topic("c", "a", 1);
        store.put_topic("c", "a", 2);
        assert_eq!(store.topics("c"), ["a", "b"]);
        store.delete_topics("c");
        assert!(store.topics("c").is_empty());
    }

    #[test]
    fn states_have_the_bytes_of_the_original() {
        let text = status(State::Running, "h:8083", 3).to_json();
        let expected = r#"{"state":"RUNNING","trace":null,"worker_id":"h:8083","generation":3,"version":null}"#;
        assert_eq!(text, expected);
        assert_eq!(Status::from_json(text.as_bytes()).unwrap(), status(State::Running, "h:8083", 3));
        for broken in ["", "{}", "null", r#"{"state":"LOST","worker_id":"x","generation":1}"#] {
            assert!(Status::from_json(broken.as_bytes()).is_none(), "{broken}");
        }
    }
}
