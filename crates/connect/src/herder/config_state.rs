//! What the configuration topic says: connectors, their tasks, what users want of them.
//!
//! Records and their meaning are those of the original (section 2.1 of the formats that workers share). Task
//! configurations count only after a commit that is complete, because compaction may have taken some of them.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::plugin::Settings;
use crate::worker::{TargetState, TaskId};

const CONNECTOR: &str = "connector-";
const TASK: &str = "task-";
const COMMIT: &str = "commit-";
const TARGET: &str = "target-state-";
const RESTART: &str = "restart-connector-";
const FENCING: &str = "tasks-fencing-";
const SESSION_KEY: &str = "session-key";
const LOGGER: &str = "logger-cluster-";

/// A record: key and value; no value deletes.
pub type ConfigRecord = (String, Option<String>);

/// The key that signs calls between workers.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// The key.
    pub key: Vec<u8>,
    /// Its algorithm.
    pub algorithm: String,
    /// When it was made, in milliseconds since 1970.
    pub creation_timestamp: i64,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKey([hidden])")
    }
}

/// What a user wants to be started anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartRequest {
    /// The connector.
    pub connector: String,
    /// Only what has failed.
    pub only_failed: bool,
    /// Tasks as well.
    pub include_tasks: bool,
}

/// What a record has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigEvent {
    /// A connector is new or has other settings.
    Updated(String),
    /// A connector is gone.
    Removed(String),
    /// A connector has a new set of tasks.
    Tasks(String),
    /// A user wants something else of a connector.
    Target(String),
    /// Something is to be started anew.
    Restart(RestartRequest),
    /// Calls are signed with another key.
    SessionKey,
    /// Loggers of all workers get a level.
    LogLevel {
        /// Which loggers.
        namespace: String,
        /// Which level.
        level: String,
    },
}

#[derive(Debug, Clone, Default)]
struct Entry {
    config: Option<Settings>,
    target: Option<TargetState>,
    task_count: u32,
    tasks: BTreeMap<u32, Settings>,
    /// Task configurations that no commit has made count yet.
    deferred: BTreeMap<u32, Settings>,
    /// The settings of the connector when its tasks were committed.
    applied: Option<Settings>,
    inconsistent: bool,
    task_generation: Option<u32>,
    task_count_record: Option<u32>,
    pending_fencing: bool,
}

/// See the module's words.
#[derive(Debug, Clone, Default)]
pub struct ConfigState {
    /// The offset after the last record.
    pub offset: i64,
    /// The key that signs calls.
    pub session_key: Option<SessionKey>,
    entries: BTreeMap<String, Entry>,
}

/// What is asked of the table.
impl ConfigState {
    /// Names of the connectors, sorted.
    pub fn connectors(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter(|(_, entry)| entry.config.is_some()).map(|(name, _)| name.as_str())
    }

    /// Whether there is such a connector.
    pub fn contains(&self, connector: &str) -> bool {
        self.config(connector).is_some()
    }

    /// Settings of a connector as the user wrote them.
    pub fn config(&self, connector: &str) -> Option<&Settings> {
        self.entries.get(connector)?.config.as_ref()
    }

    /// What a user wants of a connector.
    pub fn target(&self, connector: &str) -> TargetState {
        self.entries.get(connector).and_then(|entry| entry.target).unwrap_or_default()
    }

    /// How many tasks a connector has; 0 while their configurations are incomplete.
    pub fn task_count(&self, connector: &str) -> u32 {
        self.entries.get(connector).filter(|entry| !entry.inconsistent).map_or(0, |entry| entry.task_count)
    }

    /// The tasks of a connector.
    pub fn tasks(&self, connector: &str) -> impl Iterator<Item = TaskId> + use<> {
        let name: std::sync::Arc<str> = connector.into();
        (0..self.task_count(connector)).map(move |task| TaskId::new(name.clone(), task))
    }

    /// Settings of a task as its connector planned them, placeholders kept.
    pub fn task_config(&self, id: &TaskId) -> Option<&Settings> {
        let entry = self.entries.get(&*id.connector)?;
        (id.task < self.task_count(&id.connector)).then(|| entry.tasks.get(&id.task)).flatten()
    }

    /// Whether the settings of the connector are those that its tasks were planned with.
    pub fn is_applied(&self, connector: &str) -> bool {
        self.entries.get(connector).is_some_and(|entry| entry.applied.is_some() && entry.applied == entry.config)
    }

    /// How often the tasks of a connector were committed, as far as was seen.
    pub fn task_generation(&self, connector: &str) -> Option<u32> {
        self.entries.get(connector)?.task_generation
    }

    /// How many tasks must be fenced before new ones may write exactly once; `None`: none ever did.
    pub fn task_count_record(&self, connector: &str) -> Option<u32> {
        self.entries.get(connector)?.task_count_record
    }

    /// Whether tasks were committed after the last fencing.
    pub fn is_pending_fencing(&self, connector: &str) -> bool {
        self.entries.get(connector).is_some_and(|entry| entry.pending_fencing)
    }
}

/// Taking in records.
impl ConfigState {
    /// Takes in a record; what it has changed, if anything.
    pub fn apply(&mut self, key: &[u8], value: Option<&[u8]>) -> Option<ConfigEvent> {
        let key = std::str::from_utf8(key).ok()?;
        let value: Option<Value> = match value {
            Some(bytes) => serde_json::from_slice::<Value>(bytes).ok().filter(|value| !value.is_null()),
            None => None,
        };
        if let Some(name) = key.strip_prefix(TARGET) {
            return self.apply_target(name, value.as_ref());
        }
        if let Some(name) = key.strip_prefix(CONNECTOR) {
            return self.apply_connector(name, value.as_ref());
        }
        if let Some((name, task)) = key.strip_prefix(TASK).and_then(|rest| rest.rsplit_once('-')) {
            let task: u32 = task.parse().ok()?;
            let settings = settings_of(value.as_ref()?)?;
            self.entry(name).deferred.insert(task, settings);
            return None;
        }
        if let Some(name) = key.strip_prefix(COMMIT) {
            return self.apply_commit(name, value.as_ref()?);
        }
        if let Some(name) = key.strip_prefix(RESTART) {
            let value = value?;
            let flag = |field: &str| value.get(field).and_then(Value::as_bool).unwrap_or(false);
            return Some(ConfigEvent::Restart(RestartRequest {
                connector: name.to_owned(),
                only_failed: flag("only-failed"),
                include_tasks: flag("include-tasks"),
            }));
        }
        if let Some(name) = key.strip_prefix(FENCING) {
            let count = value?.get("task-count")?.as_u64()?;
            let entry = self.entry(name);
            entry.task_count_record = u32::try_from(count).ok();
            entry.pending_fencing = false;
            return None;
        }
        if key == SESSION_KEY {
            self.session_key = Some(session_key_of(&value?)?);
            return Some(ConfigEvent::SessionKey);
        }
        let namespace = key.strip_prefix(LOGGER)?;
        let level = value?.get("level")?.as_str()?.to_owned();
        Some(ConfigEvent::LogLevel { namespace: namespace.to_owned(), level })
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        self.entries.entry(name.to_owned()).or_default()
    }

    fn apply_target(&mut self, name: &str, value: Option<&Value>) -> Option<ConfigEvent> {
        let Some(value) = value else {
            if let Some(entry) = self.entries.get_mut(name) {
                entry.target = None;
            }
            return None;
        };
        let word = |field: &str| value.get(field).and_then(Value::as_str);
        let target = match word("state.v2").or_else(|| word("state"))? {
            "STARTED" => TargetState::Started,
            "PAUSED" => TargetState::Paused,
            "STOPPED" => TargetState::Stopped,
            _ => return None,
        };
        let entry = self.entry(name);
        let before = entry.target.replace(target).unwrap_or_default();
        (entry.config.is_some() && before != target).then(|| ConfigEvent::Target(name.to_owned()))
    }

    fn apply_connector(&mut self, name: &str, value: Option<&Value>) -> Option<ConfigEvent> {
        let Some(value) = value else {
            self.remove(name);
            return Some(ConfigEvent::Removed(name.to_owned()));
        };
        let settings = settings_of(value)?;
        self.entry(name).config = Some(settings);
        Some(ConfigEvent::Updated(name.to_owned()))
    }

    /// The wish for a state and the fencing outlive the settings, as their own records say when they end.
    fn remove(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            let kept = Entry {
                target: entry.target,
                task_count_record: entry.task_count_record,
                pending_fencing: entry.pending_fencing,
                task_generation: entry.task_generation,
                ..Entry::default()
            };
            *entry = kept;
        }
    }

    fn apply_commit(&mut self, name: &str, value: &Value) -> Option<ConfigEvent> {
        let count = u32::try_from(value.get("tasks")?.as_u64()?).ok()?;
        let entry = self.entry(name);
        if entry.config.is_none() {
            // The connector was deleted, and compaction has taken all that was before.
            self.remove(name);
            return None;
        }
        let is_complete = (0..count).all(|task| entry.deferred.contains_key(&task));
        entry.inconsistent = !is_complete;
        if is_complete {
            entry.tasks = std::mem::take(&mut entry.deferred);
            entry.task_generation = Some(entry.task_generation.map_or(0, |generation| generation + 1));
            entry.applied.clone_from(&entry.config);
        }
        entry.deferred.clear();
        entry.task_count = count;
        entry.pending_fencing = true;
        Some(ConfigEvent::Tasks(name.to_owned()))
    }
}

fn settings_of(value: &Value) -> Option<Settings> {
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let properties = value.get("properties")?.as_object()?;
    Some(properties.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect())
}

fn session_key_of(value: &Value) -> Option<SessionKey> {
    Some(SessionKey {
        key: BASE64.decode(value.get("key")?.as_str()?).ok()?,
        algorithm: value.get("algorithm")?.as_str()?.to_owned(),
        creation_timestamp: value.get("creation-timestamp")?.as_i64()?,
    })
}

/// Records, as the original writes them.
pub mod records {
    use base64::Engine as _;

    use super::{
        BASE64, COMMIT, CONNECTOR, ConfigRecord, FENCING, LOGGER, RESTART, RestartRequest, SESSION_KEY, SessionKey,
        Settings, TARGET, TASK, TargetState, json,
    };

    /// A connector's settings.
    pub fn connector(name: &str, settings: &Settings) -> ConfigRecord {
        (format!("{CONNECTOR}{name}"), Some(json!({ "properties": settings }).to_string()))
    }

    /// Deletes a connector.
    pub fn removal(name: &str) -> Vec<ConfigRecord> {
        vec![(format!("{CONNECTOR}{name}"), None), (format!("{TARGET}{name}"), None)]
    }

    /// A task's settings.
    pub fn task(name: &str, task: usize, settings: &Settings) -> ConfigRecord {
        (format!("{TASK}{name}-{task}"), Some(json!({ "properties": settings }).to_string()))
    }

    /// Makes the tasks count.
    pub fn commit(name: &str, tasks: usize) -> ConfigRecord {
        (format!("{COMMIT}{name}"), Some(json!({ "tasks": tasks }).to_string()))
    }

    /// What a user wants. Workers of before `STOPPED` read the first field only.
    pub fn target(name: &str, target: TargetState) -> ConfigRecord {
        let (old, new) = match target {
            TargetState::Started => ("STARTED", "STARTED"),
            TargetState::Paused => ("PAUSED", "PAUSED"),
            TargetState::Stopped => ("PAUSED", "STOPPED"),
        };
        (format!("{TARGET}{name}"), Some(json!({ "state": old, "state.v2": new }).to_string()))
    }

    /// Something is to be started anew.
    pub fn restart(request: &RestartRequest) -> ConfigRecord {
        let value = json!({ "include-tasks": request.include_tasks, "only-failed": request.only_failed });
        (format!("{RESTART}{}", request.connector), Some(value.to_string()))
    }

    /// So many tasks may write exactly once from now on.
    pub fn fencing(name: &str, tasks: u32) -> ConfigRecord {
        (format!("{FENCING}{name}"), Some(json!({ "task-count": tasks }).to_string()))
    }

    /// Another key for signatures.
    pub fn session_key(key: &SessionKey) -> ConfigRecord {
        let value = json!({
            "key": BASE64.encode(&key.key),
            "algorithm": key.algorithm,
            "creation-timestamp": key.creation_timestamp,
        });
        (SESSION_KEY.to_owned(), Some(value.to_string()))
    }

    /// A level for loggers of all workers.
    pub fn logger(namespace: &str, level: &str) -> ConfigRecord {
        (format!("{LOGGER}{namespace}"), Some(json!({ "level": level }).to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(state: &mut ConfigState, key: &str, value: &str) -> Option<ConfigEvent> {
        state.apply(key.as_bytes(), (value != "null").then_some(value.as_bytes()))
    }

    #[test]
    fn tasks_count_after_a_complete_commit_and_not_before() {
        let mut state = ConfigState::default();
        apply(&mut state, "connector-a-1", r#"{"properties":{"x":"1","gone":null}}"#);
        apply(&mut state, "task-a-1-0", r#"{"properties":{"t":"0"}}"#);
        assert_eq!((state.task_count("a-1"), state.is_applied("a-1")), (0, false));
        assert_eq!(apply(&mut state, "commit-a-1", r#"{"tasks":2}"#), Some(ConfigEvent::Tasks("a-1".to_owned())));
        assert_eq!((state.task_count("a-1"), state.is_applied("a-1")), (0, false));
        for task in ["task-a-1-0", "task-a-1-1"] {
            apply(&mut state, task, r#"{"properties":{"t":"0"}}"#);
        }
        apply(&mut state, "commit-a-1", r#"{"tasks":2}"#);
        assert_eq!((state.task_count("a-1"), state.is_applied("a-1")), (2, true));
        assert_eq!(state.task_config(&TaskId::new("a-1", 1)).unwrap()["t"], "0");
        assert!(!state.config("a-1").unwrap().contains_key("gone"));
        apply(&mut state, "connector-a-1", r#"{"properties":{"x":"2"}}"#);
        assert!(!state.is_applied("a-1"));
        apply(&mut state, "commit-a-1", r#"{"tasks":0}"#);
        assert_eq!(state.tasks("a-1").count(), 0);
    }

    #[test]
    fn a_deleted_connector_leaves_nothing_to_run() {
        let mut state = ConfigState::default();
        apply(&mut state, "connector-a", r#"{"properties":{}}"#);
        apply(&mut state, "task-a-0", r#"{"properties":{}}"#);
        apply(&mut state, "commit-a", r#"{"tasks":1}"#);
        assert_eq!(apply(&mut state, "connector-a", "null"), Some(ConfigEvent::Removed("a".to_owned())));
        assert!(!state.contains("a") && state.task_count("a") == 0 && state.connectors().count() == 0);
        assert_eq!(apply(&mut state, "commit-a", r#"{"tasks":1}"#), None);
    }

    #[test]
    fn wishes_are_read_in_both_forms_and_told_once() {
        let mut state = ConfigState::default();
        assert_eq!(apply(&mut state, "target-state-a", r#"{"state":"PAUSED","state.v2":"STOPPED"}"#), None);
        apply(&mut state, "connector-a", r#"{"properties":{}}"#);
        assert_eq!(state.target("a"), TargetState::Stopped);
        let told = apply(&mut state, "target-state-a", r#"{"state":"STARTED"}"#);
        assert_eq!(told, Some(ConfigEvent::Target("a".to_owned())));
        assert_eq!(apply(&mut state, "target-state-a", r#"{"state":"STARTED"}"#), None);
    }

    #[test]
    fn records_that_make_no_sense_change_nothing() {
        let mut state = ConfigState::default();
        for (key, value) in [
            ("", "{}"),
            ("connector-", "[]"),
            ("connector-a", "{}"),
            ("connector-a", r#"{"properties":5}"#),
            ("task-a", "{}"),
            ("task-a-x", r#"{"properties":{}}"#),
            ("commit-a", r#"{"tasks":-1}"#),
            ("commit-a", "not json"),
            ("session-key", r#"{"key":"%%%"}"#),
            ("tasks-fencing-a", r#"{"task-count":"x"}"#),
            ("unheard-of", "{}"),
        ] {
            assert_eq!(apply(&mut state, key, value), None, "{key} {value}");
        }
        assert_eq!(state.apply(b"\xff", Some(b"{}")), None);
        assert_eq!(state.connectors().count(), 0);
    }

    #[test]
    fn records_have_the_bytes_of_the_original() {
        let settings = Settings::from([("a".to_owned(), "1".to_owned())]);
        let text = |record: ConfigRecord| format!("{} {}", record.0, record.1.unwrap_or_default());
        assert_eq!(text(records::connector("c", &settings)), r#"connector-c {"properties":{"a":"1"}}"#);
        assert_eq!(text(records::task("c", 3, &settings)), r#"task-c-3 {"properties":{"a":"1"}}"#);
        assert_eq!(text(records::commit("c", 2)), r#"commit-c {"tasks":2}"#);
        let stopped = r#"target-state-c {"state":"PAUSED","state.v2":"STOPPED"}"#;
        assert_eq!(text(records::target("c", TargetState::Stopped)), stopped);
        let request = RestartRequest { connector: "c".to_owned(), only_failed: false, include_tasks: true };
        assert_eq!(
            text(records::restart(&request)),
            r#"restart-connector-c {"include-tasks":true,"only-failed":false}"#
        );
        assert_eq!(text(records::fencing("c", 1)), r#"tasks-fencing-c {"task-count":1}"#);
        assert_eq!(text(records::logger("org.x", "INFO")), r#"logger-cluster-org.x {"level":"INFO"}"#);
        let key = SessionKey { key: vec![1, 2], algorithm: "HmacSHA256".to_owned(), creation_timestamp: 5 };
        let expected = r#"session-key {"key":"AQI=","algorithm":"HmacSHA256","creation-timestamp":5}"#;
        assert_eq!(text(records::session_key(&key)), expected);
        assert!(!format!("{key:?}").contains('1'));
    }
}
