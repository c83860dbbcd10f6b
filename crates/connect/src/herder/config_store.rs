//! Where the configurations are: in memory alone, or in a topic that all workers read.

use std::sync::Arc;
use std::time::Duration;

use milena_client::Cluster;
use milena_stdx::ShutdownToken;
use parking_lot::{RwLock, RwLockReadGuard};
use tokio::sync::mpsc::UnboundedSender;

use super::config_state::{ConfigEvent, ConfigRecord, ConfigState};
use crate::config::worker::StorageTopic;
use crate::storage::{Apply, Purpose, StorageError, TopicLog};

/// See the module's words.
pub struct ConfigStore {
    shared: Arc<Shared>,
    log: Option<TopicLog>,
}

struct Shared {
    state: RwLock<ConfigState>,
    /// Who hears of changes; nobody while the topic is read for the first time.
    listener: RwLock<Option<UnboundedSender<ConfigEvent>>>,
}

impl Shared {
    fn apply(&self, key: &[u8], value: Option<&[u8]>, offset: i64) {
        let event = {
            let mut state = self.state.write();
            state.offset = offset + 1;
            state.apply(key, value)
        };
        if let (Some(event), Some(listener)) = (event, &*self.listener.read()) {
            // Fails only when the worker is being stopped.
            let _ = listener.send(event);
        }
    }
}

impl ConfigStore {
    /// Configurations that end with the process.
    pub fn in_memory(events: UnboundedSender<ConfigEvent>) -> ConfigStore {
        let shared = Shared { state: RwLock::default(), listener: RwLock::new(Some(events)) };
        ConfigStore { shared: Arc::new(shared), log: None }
    }

    /// Reads the topic to its end; what changes afterwards is told to `events`.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn in_topic(
        cluster: Cluster,
        topic: &StorageTopic,
        transactional_id: Option<String>,
        events: UnboundedSender<ConfigEvent>,
        shutdown: ShutdownToken,
    ) -> Result<ConfigStore, StorageError> {
        let shared = Arc::new(Shared { state: RwLock::default(), listener: RwLock::default() });
        let table = shared.clone();
        let apply: Apply = Box::new(move |record| table.apply(record.key, record.value, record.offset));
        let purpose = Purpose { key: "config.storage.topic", what: "connector configurations", single: true };
        let log = TopicLog::open(cluster, topic, &purpose, transactional_id, apply, shutdown).await?;
        *shared.listener.write() = Some(events);
        Ok(ConfigStore { shared, log: Some(log) })
    }

    /// What is known now.
    pub fn state(&self) -> RwLockReadGuard<'_, ConfigState> {
        self.shared.state.read()
    }

    /// Fences leaders of before.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn claim(&self) -> Result<(), StorageError> {
        match &self.log {
            Some(log) => log.claim().await,
            None => Ok(()),
        }
    }

    /// Another worker leads.
    pub async fn release(&self) {
        if let Some(log) = &self.log {
            log.release().await;
        }
    }

    /// Writes records and waits until they are part of the state.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn write(&self, records: Vec<ConfigRecord>) -> Result<(), StorageError> {
        if let Some(log) = &self.log {
            return log.append(records).await;
        }
        for (key, value) in records {
            let offset = self.state().offset;
            self.shared.apply(key.as_bytes(), value.as_deref().map(str::as_bytes), offset);
        }
        Ok(())
    }

    /// Waits until everything that was written by anybody is part of the state.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub async fn refresh(&self, timeout: Duration) -> Result<(), StorageError> {
        match &self.log {
            Some(log) => log.read_to_end(timeout).await,
            None => Ok(()),
        }
    }
}
