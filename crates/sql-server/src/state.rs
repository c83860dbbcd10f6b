//! What all calls share: the connection to Kafka, the catalog and the command topic, the registry, running queries.

use std::sync::Arc;
use std::time::Duration;

use milena_client::Cluster;
use milena_sql::catalog::Catalog;
use milena_sql::formats::registry::SchemaRegistry;
use tokio::sync::{Mutex, Semaphore, watch};

use crate::cluster::Peers;
use crate::cluster::neighbours::Neighbours;
use crate::command::log::CommandLog;
use crate::command::metastore::Metastore;
use crate::config::SqlConfig;
use crate::connect::ConnectWorkers;
use crate::error::{Failure, Result};
use crate::kafka::Kafka;
use crate::queries::limits::PullLimits;
use crate::queries::processing_log::LogTopic;
use crate::queries::pull::PullCounts;
use crate::queries::push::PushQueries;
use crate::queries::states::QueryStates;
use crate::queries::tables::Tables;

/// How long a call waits for a Kafka that cannot be reached, and for the commands of the past.
const READY_WAIT: Duration = Duration::from_secs(5);

/// What a connected server works with.
#[derive(Clone)]
pub struct Connected {
    /// Kafka.
    pub kafka: Kafka,
    /// The command topic.
    pub log: Arc<CommandLog>,
}

/// See the module's words.
pub struct Server {
    /// The settings.
    pub config: SqlConfig,
    /// The registry; calls block.
    pub registry: Arc<dyn SchemaRegistry>,
    /// What the commands so far have made.
    pub metastore: Arc<Metastore>,
    /// The Connect workers of connector statements.
    pub connect: ConnectWorkers,
    /// Where queries keep their state.
    pub state: fjall::Database,
    /// Queries that work at the same time.
    pub turns: Arc<Semaphore>,
    /// What queries could not process.
    pub processing_log: Arc<LogTopic>,
    /// How the persistent queries are.
    pub query_states: QueryStates,
    /// What this server is called by those who come after it over the same state: transactions that it has left open are
    /// its own.
    pub instance: String,
    /// Queries of clients that are still reading.
    pub push_queries: PushQueries,
    /// How many pull queries there may be.
    pub pull_limits: PullLimits,
    /// Tables whose state is here.
    pub tables: Tables,
    /// `None` until Kafka was reached for the first time.
    pub connected: watch::Receiver<Option<Connected>>,
    /// The other servers of the service.
    pub peers: Peers,
    /// Pull queries so far.
    pub pull_counts: PullCounts,
    /// What other servers of the service have told.
    pub neighbours: Neighbours,
    /// Statements that change something are issued one at a time.
    pub issuing: Mutex<()>,
}

impl Server {
    /// Kafka, the command topic, and a catalog that knows all commands that were there at the start.
    ///
    /// # Errors
    /// 50302 while there is no Kafka or commands are still being executed.
    pub async fn ready(&self) -> Result<Connected> {
        let (mut connected, mut progress) = (self.connected.clone(), self.metastore.progress());
        let ready = async {
            let connected = connected.wait_for(Option::is_some).await.ok()?.clone();
            progress.wait_for(|progress| progress.caught_up).await.ok()?;
            connected
        };
        if self.metastore.is_terminated() {
            return Err(Failure::new(
                Failure::TERMINATED,
                "The cluster has been terminated. No new request will be accepted.",
            ));
        }
        let initializing = || Failure::new(Failure::INITIALIZING, "KSQL is not yet ready to serve requests.");
        tokio::time::timeout(READY_WAIT, ready).await.ok().flatten().ok_or_else(initializing)
    }

    /// Kafka's metadata and administration.
    ///
    /// # Errors
    /// As [`Server::ready`].
    pub async fn cluster(&self) -> Result<Cluster> {
        Ok(self.ready().await?.kafka.cluster)
    }

    /// The catalog as it is now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.metastore.catalog()
    }

    /// Whether commands can still be issued.
    ///
    /// # Errors
    /// 50000 when the command topic is damaged.
    pub fn undamaged(&self) -> Result<()> {
        match self.metastore.progress().borrow().damage {
            None => Ok(()),
            Some(damage) => {
                Err(Failure::new(Failure::SERVER, format!("Failed to handle Ksql Statement.\n{}", damage.words())))
            }
        }
    }

    /// Waits until the commands before `offset` were executed.
    ///
    /// # Errors
    /// 50301 when it takes too long.
    pub async fn executed_before(&self, offset: i64) -> Result<()> {
        let mut progress = self.metastore.progress();
        let waiting = progress.wait_for(|progress| progress.position >= offset);
        match tokio::time::timeout(self.config.response_timeout, waiting).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::new(
                Failure::COMMAND_WAIT,
                format!("Timed out while waiting for a previous command to execute. command sequence number: {offset}"),
            )),
        }
    }
}
