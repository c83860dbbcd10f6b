//! A cluster: which broker to ask for what, and what to do when it was the wrong one.
//!
//! Knows the brokers, the controller, the leaders of the topics asked for and the coordinators
//! of groups. All of it is learned from Metadata and FindCoordinator, kept until a call fails
//! in a way that says it is stale, and then learned again.
//!
//! Lock order: `connections` (async) before `state`; `state` is never held across an await.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use milena_protocol::messages::metadata_request;
use milena_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse};
use milena_protocol::{ErrorCode, Request, Uuid};

use crate::TopicPartition;
use crate::config::ClientConfig;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::security::Secured;

/// A broker's address as Metadata gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Broker id.
    pub id: i32,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: i32,
    /// Rack, if the broker has one.
    pub rack: Option<String>,
}

/// What is cached of a topic.
#[derive(Debug, Clone)]
pub struct TopicInfo {
    /// Topic id; zero when the broker is too old to have any.
    pub topic_id: Uuid,
    /// Partitions by number.
    pub partitions: Vec<PartitionInfo>,
}

/// What is cached of a partition.
#[derive(Debug, Clone, Copy)]
pub struct PartitionInfo {
    /// Broker that leads it, -1 when none does.
    pub leader_id: i32,
    /// Epoch of that leadership, -1 when unknown.
    pub leader_epoch: i32,
}

/// What a coordinator coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum CoordinatorKind {
    /// A consumer group.
    Group = 0,
    /// A transactional id.
    Transaction = 1,
}

/// A handle to a cluster; clones share connections and what was learned.
#[derive(Debug, Clone)]
pub struct Cluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
    secured: Secured,
    connections: tokio::sync::Mutex<HashMap<(String, u16), Connection>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cluster_id: Option<String>,
    nodes: HashMap<i32, Node>,
    controller_id: i32,
    topics: HashMap<String, TopicInfo>,
    coordinators: HashMap<(CoordinatorKind, String), i32>,
}

impl Cluster {
    /// Reaches the first broker of the bootstrap list that answers and learns the cluster from it.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when none answered within `bootstrap_timeout`; [`Error::Config`] when certificates or
    /// credentials cannot be used; [`Error::Authentication`] when they are refused.
    pub async fn connect(config: ClientConfig) -> Result<Cluster> {
        let cluster = Cluster(Arc::new(Inner {
            secured: config.security.prepare()?,
            config,
            connections: tokio::sync::Mutex::default(),
            state: Mutex::new(State { controller_id: -1, ..State::default() }),
        }));
        let deadline = Instant::now() + cluster.config().bootstrap_timeout;
        let mut warned = false;
        loop {
            match cluster.refresh_metadata(Some(&[]), false).await {
                Ok(_) => return Ok(cluster),
                Err(error) if Instant::now() >= deadline || !error.is_retriable() => {
                    return Err(match error {
                        Error::Connect { .. } | Error::Disconnected { .. } | Error::Timeout { .. } => {
                            Error::Unreachable { call: "fetchMetadata" }
                        }
                        other => other,
                    });
                }
                Err(error) => {
                    if !warned {
                        tracing::warn!("{error}. Node may not be available.");
                        warned = true;
                    }
                    tokio::time::sleep(cluster.config().retry_backoff).await;
                }
            }
        }
    }

    /// The settings this cluster was connected with.
    pub fn config(&self) -> &ClientConfig {
        &self.0.config
    }

    /// The cluster's id, if the broker told it.
    pub fn cluster_id(&self) -> Option<String> {
        self.state().cluster_id.clone()
    }

    /// The live brokers, by id.
    pub fn nodes(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = self.state().nodes.values().cloned().collect();
        nodes.sort_by_key(|node| node.id);
        nodes
    }

    /// What is known of `topic`, without asking.
    pub fn cached_topic(&self, topic: &str) -> Option<TopicInfo> {
        self.state().topics.get(topic).cloned()
    }

    /// Asks some broker for metadata of `topics` (`None`: all, empty: brokers only) and remembers the answer.
    ///
    /// # Errors
    /// Whatever the last broker tried met. Error codes of single topics stay in the answer.
    pub async fn refresh_metadata(
        &self,
        topics: Option<&[String]>,
        allow_auto_topic_creation: bool,
    ) -> Result<MetadataResponse> {
        let request = MetadataRequest {
            topics: topics.map(|names| {
                names
                    .iter()
                    .map(|name| metadata_request::Topic { name: Some(name.clone()), ..Default::default() })
                    .collect()
            }),
            allow_auto_topic_creation,
            ..Default::default()
        };
        let response = self.send_any(&request).await?;
        self.learn(&response);
        Ok(response)
    }

    /// Partitions of `topic` from the cache or the cluster; waits for an automatically created topic to have leaders.
    ///
    /// # Errors
    /// The topic's error code when it lasts until `timeout`.
    pub async fn topic(&self, topic: &str, allow_auto_create: bool, timeout: Duration) -> Result<TopicInfo> {
        if let Some(known) = self.cached_topic(topic) {
            return Ok(known);
        }
        let deadline = Instant::now() + timeout;
        loop {
            let response = self.refresh_metadata(Some(&[topic.to_owned()]), allow_auto_create).await?;
            if let Some(known) = self.cached_topic(topic) {
                return Ok(known);
            }
            let code = response
                .topics
                .first()
                .map_or(ErrorCode::UnknownTopicOrPartition, |topic| ErrorCode::from_code(topic.error_code));
            if !code.is_retriable() || Instant::now() >= deadline {
                return Err(Error::api(code, None));
            }
            tokio::time::sleep(self.config().retry_backoff).await;
        }
    }

    /// The broker that leads `tp`.
    ///
    /// # Errors
    /// The topic's error code, or [`ErrorCode::UnknownTopicOrPartition`] when it has no such partition.
    pub async fn leader(&self, tp: &TopicPartition, timeout: Duration) -> Result<i32> {
        let info = self.topic(&tp.topic, false, timeout).await?;
        let partition = usize::try_from(tp.partition).ok().and_then(|index| info.partitions.get(index));
        Ok(partition.ok_or_else(|| Error::api(ErrorCode::UnknownTopicOrPartition, None))?.leader_id)
    }

    /// Forgets what is known of `topic`: the next call asks again.
    pub fn forget_topic(&self, topic: &str) {
        self.state().topics.remove(topic);
    }

    /// A connection to any broker: a known one, or one of the bootstrap list.
    ///
    /// # Errors
    /// That of the last broker tried.
    pub async fn any(&self) -> Result<Connection> {
        let mut candidates: Vec<(String, u16)> =
            self.nodes().into_iter().filter_map(|node| Some((node.host, u16::try_from(node.port).ok()?))).collect();
        candidates.extend(self.config().bootstrap_servers.iter().cloned());
        let mut last = Error::Unreachable { call: "fetchMetadata" };
        for (host, port) in candidates {
            match self.connection(&host, port).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A connection to the broker with id `id`.
    ///
    /// # Errors
    /// [`ErrorCode::BrokerNotAvailable`] when Metadata does not list it, or the connection's own.
    pub async fn node(&self, id: i32) -> Result<Connection> {
        let (host, port) = self.address_of(id).await?;
        self.connection(&host, port).await
    }

    /// A connection of the caller's own to the broker with id `id`. Brokers answer the requests of a connection in order:
    /// those that wait there, as fetches do, hold up nothing else then.
    ///
    /// # Errors
    /// As [`Cluster::node`].
    pub(crate) async fn own_connection(&self, id: i32) -> Result<Connection> {
        let (host, port) = self.address_of(id).await?;
        Connection::connect(&host, port, self.config(), &self.0.secured).await
    }

    async fn address_of(&self, id: i32) -> Result<(String, u16)> {
        let mut node = self.state().nodes.get(&id).cloned();
        if node.is_none() {
            self.refresh_metadata(Some(&[]), false).await?;
            node = self.state().nodes.get(&id).cloned();
        }
        let unavailable = || Error::api(ErrorCode::BrokerNotAvailable, Some(format!("Broker {id} is not available.")));
        let node = node.ok_or_else(unavailable)?;
        let port = u16::try_from(node.port).map_err(|_| unavailable())?;
        Ok((node.host, port))
    }

    /// A connection to the controller, or to any broker when none is named: brokers forward.
    ///
    /// # Errors
    /// The connection's own.
    pub async fn controller(&self) -> Result<Connection> {
        let id = self.state().controller_id;
        if id >= 0 { self.node(id).await } else { self.any().await }
    }

    /// The coordinator of `key`, retrying while the cluster is still electing or loading one.
    ///
    /// # Errors
    /// The code that lasted until `api_timeout`.
    pub async fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<Connection> {
        let cached = self.state().coordinators.get(&(kind, key.to_owned())).copied();
        if let Some(id) = cached {
            return self.node(id).await;
        }
        let mut retries = self.retries();
        loop {
            match self.find_coordinator(kind, key).await {
                Err(error) => retries.after(error).await?,
                found => return found,
            }
        }
    }

    async fn find_coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<Connection> {
        let request = FindCoordinatorRequest {
            key: key.to_owned(),
            key_type: kind as i8,
            coordinator_keys: vec![key.to_owned()],
        };
        let node = coordinator_of(&self.send_any(&request).await?, key)?;
        let id = node.id;
        self.learn_coordinator(kind, key, node);
        self.node(id).await
    }

    /// The id of the coordinator that [`Cluster::coordinator`] found last.
    pub fn cached_coordinator(&self, kind: CoordinatorKind, key: &str) -> Option<Node> {
        let state = self.state();
        let id = state.coordinators.get(&(kind, key.to_owned()))?;
        state.nodes.get(id).cloned()
    }

    /// Forgets the coordinator of `key`: the next call asks again.
    pub fn forget_coordinator(&self, kind: CoordinatorKind, key: &str) {
        self.state().coordinators.remove(&(kind, key.to_owned()));
    }

    /// Sends `request` to any broker that can be reached.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_any<R: Request>(&self, request: &R) -> Result<R::Response> {
        self.any().await?.send(request).await
    }

    /// Sends `request` to the controller until `code_of` finds no retriable error in the answer.
    ///
    /// # Errors
    /// As [`Connection::send`], after retries within `api_timeout`.
    pub async fn send_controller<R: Request>(
        &self,
        request: &R,
        code_of: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response> {
        let mut retries = self.retries();
        loop {
            let answer = match self.controller().await {
                Ok(controller) => controller.send(request).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(response) if ErrorCode::from_code(code_of(&response)) == ErrorCode::NotController => {
                    self.refresh_metadata(Some(&[]), false).await?;
                    retries.after(Error::api(ErrorCode::NotController, None)).await?;
                }
                Ok(response) => return Ok(response),
                // Whether the controller carried out what it did not answer is unknown, so only a
                // connection that could not be opened is tried again.
                Err(error @ Error::Connect { .. }) => retries.after(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends `request` to the coordinator of group `group_id` until `code_of` finds no coordinator error.
    ///
    /// # Errors
    /// As [`Connection::send`], after retries within `api_timeout`.
    pub async fn send_group<R: Request>(
        &self,
        group_id: &str,
        request: &R,
        version_max: i16,
        code_of: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response> {
        let mut retries = self.retries();
        loop {
            let answer = match self.coordinator(CoordinatorKind::Group, group_id).await {
                Ok(coordinator) => coordinator.send_up_to(request, version_max).await,
                Err(error) => Err(error),
            };
            let code = answer.as_ref().map_or(ErrorCode::None, |response| ErrorCode::from_code(code_of(response)));
            match answer {
                Ok(response) if !is_coordinator_error(code) => return Ok(response),
                Ok(_) => {
                    self.forget_coordinator(CoordinatorKind::Group, group_id);
                    retries.after(Error::api(code, None)).await?;
                }
                Err(error) => {
                    self.forget_coordinator(CoordinatorKind::Group, group_id);
                    retries.after(error).await?;
                }
            }
        }
    }

    /// Attempts of one call, as many as fit into `api_timeout`.
    pub fn retries(&self) -> Retries {
        Retries { deadline: Instant::now() + self.config().api_timeout, backoff: self.config().retry_backoff }
    }

    fn learn_coordinator(&self, kind: CoordinatorKind, key: &str, node: Node) {
        let mut state = self.state();
        state.coordinators.insert((kind, key.to_owned()), node.id);
        state.nodes.entry(node.id).or_insert(node);
    }

    async fn connection(&self, host: &str, port: u16) -> Result<Connection> {
        let mut connections = self.0.connections.lock().await;
        let key = (host.to_owned(), port);
        if let Some(open) = connections.get(&key)
            && !open.is_closed()
        {
            return Ok(open.clone());
        }
        let config = self.config();
        let opened = Connection::connect(host, port, config, &self.0.secured).await?;
        connections.insert(key, opened.clone());
        Ok(opened)
    }

    fn learn(&self, response: &MetadataResponse) {
        let mut state = self.state();
        if response.cluster_id.is_some() {
            state.cluster_id.clone_from(&response.cluster_id);
        }
        state.controller_id = response.controller_id;
        state.nodes = response
            .brokers
            .iter()
            .map(|broker| {
                let node = Node {
                    id: broker.node_id,
                    host: broker.host.clone(),
                    port: broker.port,
                    rack: broker.rack.clone(),
                };
                (broker.node_id, node)
            })
            .collect();
        for topic in &response.topics {
            let Some(name) = topic.name.clone() else { continue };
            let settled = topic.error_code == 0 && topic.partitions.iter().all(|partition| partition.leader_id >= 0);
            if !settled {
                state.topics.remove(&name);
                continue;
            }
            let mut partitions: Vec<_> = topic.partitions.iter().collect();
            partitions.sort_by_key(|partition| partition.partition_index);
            let partitions = partitions
                .into_iter()
                .map(|partition| PartitionInfo { leader_id: partition.leader_id, leader_epoch: partition.leader_epoch })
                .collect();
            state.topics.insert(name, TopicInfo { topic_id: topic.topic_id, partitions });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decides whether a failed call is worth another attempt.
#[derive(Debug)]
pub struct Retries {
    deadline: Instant,
    backoff: Duration,
}

impl Retries {
    /// Pauses before the next attempt.
    ///
    /// # Errors
    /// `error` itself, when it is not retriable or the time is up.
    pub async fn after(&mut self, error: Error) -> Result<()> {
        if !error.is_retriable() || Instant::now() >= self.deadline {
            return Err(error);
        }
        tracing::debug!(%error, "retrying");
        tokio::time::sleep(self.backoff).await;
        Ok(())
    }
}

/// Whether `code` says that the broker is not (or not yet) the coordinator.
pub(crate) fn is_coordinator_error(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress
    )
}

/// The answer's node, from the batched form (v4+) or the single one.
fn coordinator_of(response: &FindCoordinatorResponse, key: &str) -> Result<Node> {
    match response.coordinators.iter().find(|coordinator| coordinator.key == key) {
        Some(found) => {
            Error::check(found.error_code, found.error_message.as_ref())?;
            Ok(Node { id: found.node_id, host: found.host.clone(), port: found.port, rack: None })
        }
        None => {
            Error::check(response.error_code, response.error_message.as_ref())?;
            Ok(Node { id: response.node_id, host: response.host.clone(), port: response.port, rack: None })
        }
    }
}
