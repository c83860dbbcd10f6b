//! The connector: looks for tables, spreads them over tasks, and asks for another plan when there are others.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::config::SourceConfig;
use super::tables;
use crate::connectors::jdbc::database::{DatabaseError, TableId};
use crate::connectors::jdbc::url::JdbcUrl;
use crate::plugin::{Connector, ConnectorContext, Settings, TaskError, Waiting};

/// Pause between looks for tables while the database cannot be asked.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How long tables may take to be listed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connector.
pub(super) struct JdbcSourceConnector {
    settings: Settings,
    watched: Arc<Watched>,
    watch: Option<AbortOnDropHandle<()>>,
}

/// What the connector and its watch share.
struct Watched {
    url: JdbcUrl,
    config: SourceConfig,
    context: ConnectorContext,
    /// `None`: not known yet.
    tables: Mutex<Option<Vec<TableId>>>,
}

impl JdbcSourceConnector {
    pub fn new(settings: &Settings, context: ConnectorContext) -> Result<JdbcSourceConnector, TaskError> {
        let config = SourceConfig::new(settings)?;
        let url = JdbcUrl::from_settings(settings).map_err(|error| TaskError::fatal(error.to_string()))?;
        let unknown = url.unknown_properties();
        if !unknown.is_empty() {
            tracing::warn!("connector {}: properties without an effect: {}", context.name, unknown.join(", "));
        }
        let watched = Arc::new(Watched { url, config, context, tables: Mutex::new(None) });
        Ok(JdbcSourceConnector { settings: settings.clone(), watched, watch: None })
    }
}

impl Connector for JdbcSourceConnector {
    fn start(&mut self) -> Waiting<'_, Result<(), TaskError>> {
        Box::pin(async {
            if self.watched.config.query.is_some() {
                return Ok(());
            }
            match self.watched.look().await {
                Err(error) if !error.is_transient() => {
                    return Err(TaskError::fatal(format!("{}: {error}", self.watched.url)));
                }
                // The watch goes on trying.
                Err(error) => tracing::warn!("connector {}: {error}", self.watched.context.name),
                Ok(_) => {}
            }
            self.watch = Some(AbortOnDropHandle::new(tokio::spawn(watch(Arc::clone(&self.watched)))));
            Ok(())
        })
    }

    fn task_configs(&mut self, max_tasks: usize) -> Waiting<'_, Result<Vec<Settings>, TaskError>> {
        Box::pin(async move {
            if self.watched.config.query.is_some() {
                return Ok(vec![self.settings.clone()]);
            }
            let known = self.watched.tables.lock().clone();
            let found = match known {
                Some(tables) => tables,
                None => {
                    let looked = self.watched.look().await;
                    looked.map_err(|error| TaskError::retriable(format!("{}: {error}", self.watched.url)))?;
                    self.watched.tables.lock().clone().unwrap_or_default()
                }
            };
            if found.is_empty() {
                tracing::warn!(
                    "connector {}: no table of {} is chosen by the settings; check table.whitelist and the like, \
                     schema.pattern, table.types and the rights of the user. Tables that appear later are read",
                    self.watched.context.name,
                    self.watched.url
                );
                return Ok(Vec::new());
            }
            tables::check_names(&found)?;
            let dialect = self.watched.url.dialect;
            let groups = tables::groups(&found, max_tasks);
            let config = |group: &[TableId]| {
                let mut settings = self.settings.clone();
                settings.insert("tables".to_owned(), tables::write_list(group, dialect));
                settings
            };
            Ok(groups.into_iter().map(config).collect())
        })
    }

    fn stop(&mut self) -> Waiting<'_, ()> {
        self.watch = None;
        Box::pin(async {})
    }
}

impl Watched {
    /// Looks for tables; `true`: they are not the ones that were there before.
    async fn look(&self) -> Result<bool, DatabaseError> {
        // The worker waits for a connector that starts or plans.
        let looking = tokio::time::timeout(PATIENCE, tables::chosen(&self.url, &self.config)).await;
        let found = looking
            .map_err(|_| DatabaseError::Connection(format!("The database does not answer within {PATIENCE:?}")))??;
        let mut known = self.tables.lock();
        let is_new = known.as_ref() != Some(&found);
        *known = Some(found);
        Ok(is_new)
    }
}

async fn watch(watched: Arc<Watched>) {
    loop {
        let is_known = watched.tables.lock().is_some();
        let pause = watched.config.table_poll_interval;
        tokio::time::sleep(if is_known { pause } else { pause.min(LOOK_AGAIN) }).await;
        match watched.look().await {
            Ok(true) => {
                tracing::info!(
                    "connector {}: there are other tables now; tasks are planned anew",
                    watched.context.name
                );
                watched.context.reconfigure.notify_one();
            }
            Ok(false) => {}
            Err(error) => tracing::warn!("connector {}: tables cannot be listed: {error}", watched.context.name),
        }
    }
}
