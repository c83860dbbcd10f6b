//! The door to all groups: finds the shard of a group, queues the request, waits for its answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, ShareGroupHeartbeatRequest, StreamsGroupHeartbeatRequest, SyncGroupRequest,
    SyncGroupResponse, consumer_group_describe_response, describe_groups_response, leave_group_response,
    share_group_describe_response, streams_group_describe_response,
};
use milena_protocol::{ErrorCode, Uuid};
use milena_stdx::{Clock, java_string_hash};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::client::ClientIdentity;
use super::config::GroupConfig;
use super::consumer::Refusal;
use super::effects::{Effects, HoldOpen, Now, Responder};
use super::offsets_log::{OffsetsLog, TransactionalProducer};
use super::owner::{Command, QUEUE_LENGTH, ShardOwner};
use super::shard::{ListedGroup, NotDescribed, Shard};
use super::shard_offsets::{CommitRequest, FetchRequest, FetchedOffsets};
use super::share::{ShareHeartbeat, ShareTopic};
use super::streams::{StreamsConfig, StreamsHeartbeat};
use super::topics::{TopicFilter, TopicsView};

/// All groups of this broker. Methods must be called inside a tokio runtime; dropping the coordinator ends its tasks.
pub struct GroupCoordinator {
    config: Arc<GroupConfig>,
    log: Arc<dyn OffsetsLog>,
    topics: Arc<dyn TopicsView>,
    clock: Arc<dyn Clock>,
    origin: Instant,
    /// The queues of the shards that run, by partition of `__consumer_offsets`.
    shards: Mutex<HashMap<i32, RunningShard>>,
}

/// The ways to a shard's owner.
#[derive(Clone)]
struct RunningShard {
    queue: mpsc::Sender<Command>,
    loaded: watch::Receiver<bool>,
}

/// How long a request waits for its shard to be loaded before the client is told to come again.
const LOAD_WAIT_MAX: Duration = Duration::from_millis(300);

impl GroupCoordinator {
    /// A coordinator over `log`. Shards are loaded by [`start`](Self::start), or when the first request needs them.
    pub fn new(
        config: GroupConfig,
        log: Arc<dyn OffsetsLog>,
        topics: Arc<dyn TopicsView>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let origin = clock.monotonic();
        GroupCoordinator { config: Arc::new(config), log, topics, clock, origin, shards: Mutex::default() }
    }

    /// Loads every shard in the background, so that sessions and offset expiry run without a first request.
    pub fn start(&self) {
        for partition in 0..self.log.partition_count() {
            self.shard(partition);
        }
    }

    /// The cluster's topics as groups see them.
    pub fn topics(&self) -> &dyn TopicsView {
        self.topics.as_ref()
    }

    /// The partition of `__consumer_offsets` that keeps `group_id`; `None` while the topic does not exist.
    pub fn partition_for(&self, group_id: &str) -> Option<i32> {
        let partitions = self.log.partition_count();
        (partitions > 0).then(|| java_string_hash(group_id).checked_abs().unwrap_or(0) % partitions)
    }

    /// JoinGroup. May wait for a whole rebalance.
    ///
    /// # Errors
    /// The code to answer with.
    pub async fn join(
        &self,
        request: JoinGroupRequest,
        client: ClientIdentity,
        version: i16,
    ) -> Result<JoinGroupResponse, ErrorCode> {
        let group_id = request.group_id.clone();
        self.request(&group_id, move |shard, now, effects, responder| {
            shard.join(request, client, version, responder, now, effects);
        })
        .await
    }

    /// SyncGroup. May wait for the leader's assignment.
    ///
    /// # Errors
    /// The code to answer with.
    pub async fn sync(&self, request: SyncGroupRequest) -> Result<SyncGroupResponse, ErrorCode> {
        let group_id = request.group_id.clone();
        self.request(&group_id, move |shard, now, effects, responder| shard.sync(request, responder, now, effects))
            .await
    }

    /// Heartbeat.
    ///
    /// # Errors
    /// The code to answer with.
    pub async fn heartbeat(&self, request: HeartbeatRequest) -> Result<(), ErrorCode> {
        let group_id = request.group_id.clone();
        self.call(&group_id, move |shard, now, effects| shard.heartbeat(&request, now, effects)).await?
    }

    /// LeaveGroup, with its members in the list of v3+.
    ///
    /// # Errors
    /// The code for the whole request.
    pub async fn leave(&self, request: LeaveGroupRequest) -> Result<Vec<leave_group_response::Member>, ErrorCode> {
        let group_id = request.group_id.clone();
        self.call(&group_id, move |shard, now, effects| shard.leave(request, now, effects)).await?
    }

    /// ConsumerGroupHeartbeat (KIP-848); `is_visible` tells which topics a regular expression may match.
    ///
    /// # Errors
    /// The code and message to answer with.
    pub async fn consumer_heartbeat(
        &self,
        request: ConsumerGroupHeartbeatRequest,
        client: ClientIdentity,
        is_visible: TopicFilter,
        version: i16,
    ) -> Result<ConsumerGroupHeartbeatResponse, Refusal> {
        let group_id = request.group_id.clone();
        self.call(&group_id, move |shard, now, effects| {
            shard.consumer_heartbeat(request, client, &is_visible, version, now, effects)
        })
        .await?
    }

    /// ShareGroupHeartbeat (KIP-932); `initialized` are partitions whose share state was initialized for it.
    ///
    /// # Errors
    /// The code and message to answer with.
    pub async fn share_heartbeat(
        &self,
        request: ShareGroupHeartbeatRequest,
        client: ClientIdentity,
        initialized: Option<Vec<ShareTopic>>,
    ) -> Result<ShareHeartbeat, Refusal> {
        let group_id = request.group_id.clone();
        self.call(&group_id, move |shard, now, effects| {
            shard.share_heartbeat(&request, client, initialized, now, effects)
        })
        .await?
    }

    /// ShareGroupDescribe for one group; the inner error when there is no share group of that name.
    ///
    /// # Errors
    /// A retriable code.
    pub async fn describe_share(
        &self,
        group_id: String,
    ) -> Result<Result<share_group_describe_response::Group, NotDescribed>, ErrorCode> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, _, _| shard.describe_share(&group)).await
    }

    /// The partitions of a share group that have share state.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, or a retriable code.
    pub async fn share_topics(&self, group_id: String) -> Result<Vec<ShareTopic>, Refusal> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, _, _| shard.share_topics(&group)).await?
    }

    /// As [`share_topics`](Self::share_topics) for a group without members; `None` when it is no share group.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP, or a retriable code.
    pub async fn share_topics_of_empty(&self, group_id: String) -> Result<Option<Vec<ShareTopic>>, Refusal> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, _, _| shard.share_topics_of_empty(&group)).await?
    }

    /// Begins to set the offsets of a share group; answers with the epoch of the new state.
    ///
    /// # Errors
    /// NON_EMPTY_GROUP, GROUP_ID_NOT_FOUND, or a retriable code.
    pub async fn begin_share_alteration(&self, group_id: String) -> Result<i32, Refusal> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, now, effects| shard.begin_share_alteration(&group, now, effects)).await?
    }

    /// Takes over share partitions whose state was set.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, or a retriable code.
    pub async fn finish_share_alteration(&self, group_id: String, topics: Vec<ShareTopic>) -> Result<(), Refusal> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, now, effects| shard.finish_share_alteration(&group, topics, now, effects))
            .await?
    }

    /// Forgets topics of a share group whose state was deleted.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, or a retriable code.
    pub async fn share_state_deleted(&self, group_id: String, names: Vec<String>) -> Result<(), Refusal> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, now, effects| shard.share_state_deleted(&group, &names, now, effects)).await?
    }

    /// StreamsGroupHeartbeat (KIP-1071).
    ///
    /// # Errors
    /// The code and message to answer with.
    pub async fn streams_heartbeat(
        &self,
        request: StreamsGroupHeartbeatRequest,
        client: ClientIdentity,
    ) -> Result<StreamsHeartbeat, Refusal> {
        let group_id = request.group_id.clone();
        self.call(&group_id, move |shard, now, effects| shard.streams_heartbeat(&request, client, now, effects)).await?
    }

    /// StreamsGroupDescribe for one group; the inner error when there is no streams group of that name.
    ///
    /// # Errors
    /// A retriable code.
    pub async fn describe_streams(
        &self,
        group_id: String,
    ) -> Result<Result<streams_group_describe_response::Group, NotDescribed>, ErrorCode> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, _, _| shard.describe_streams(&group)).await
    }

    /// The settings of streams groups.
    pub fn streams_config(&self) -> &StreamsConfig {
        &self.config.streams
    }

    /// OffsetCommit; one code for each offset, in order.
    ///
    /// # Errors
    /// The code for the whole request.
    pub async fn commit_offsets(&self, request: CommitRequest) -> Result<Vec<ErrorCode>, ErrorCode> {
        let group_id = request.group_id.clone();
        self.call(&group_id, move |shard, now, effects| shard.commit_offsets(request, now, effects)).await?
    }

    /// TxnOffsetCommit; one code for each offset, in order. The offsets stay pending until
    /// [`complete_transaction`](Self::complete_transaction). `hold_open` makes sure that the transaction is open and
    /// includes [`partition_for`](Self::partition_for) the group, until they are written: behind its marker they would
    /// be pending for ever.
    ///
    /// # Errors
    /// The code for the whole request: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, ILLEGAL_GENERATION of the member,
    /// INVALID_PRODUCER_EPOCH of the producer, what `hold_open` says, or a retriable code.
    pub async fn commit_transactional_offsets(
        &self,
        request: CommitRequest,
        producer: TransactionalProducer,
        hold_open: HoldOpen,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let group_id = request.group_id.clone();
        self.call(&group_id, move |shard, now, effects| {
            shard.commit_transactional_offsets(request, producer, hold_open, now, effects)
        })
        .await?
    }

    /// The marker that ends the transaction of `producer_id` is in `offsets_partition` of `__consumer_offsets`: the
    /// offsets that it has pending there become visible or vanish, before this resolves. A shard that is not loaded
    /// meets the marker when it is.
    pub async fn complete_transaction(&self, offsets_partition: i32, producer_id: i64, committed: bool) {
        let running = self.shards.lock().get(&offsets_partition).cloned();
        let Some(RunningShard { queue, .. }) = running else { return };
        let (responder, pending) = Responder::new();
        let command: Command = Box::new(move |shard, _, effects| {
            shard.complete_transaction(producer_id, committed);
            effects.reply(responder, Ok(()));
        });
        // A shard that drops this is about to be loaded again, from behind the marker.
        if queue.send(command).await.is_ok() {
            let _ = pending.wait().await;
        }
    }

    /// OffsetFetch for one group.
    ///
    /// # Errors
    /// The code for the whole group.
    pub async fn fetch_offsets(&self, request: FetchRequest) -> Result<FetchedOffsets, ErrorCode> {
        let group_id = request.group_id.clone();
        self.call(&group_id, move |shard, _, _| shard.fetch_offsets(request)).await?
    }

    /// OffsetDelete; one code for each topic, in order.
    ///
    /// # Errors
    /// The code for the whole request.
    pub async fn delete_offsets(
        &self,
        group_id: String,
        topics: Vec<(String, Vec<i32>)>,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, _, effects| shard.delete_offsets(&group, &topics, effects)).await?
    }

    /// DeleteGroups for one group.
    ///
    /// # Errors
    /// GROUP_ID_NOT_FOUND, NON_EMPTY_GROUP, or a retriable code.
    pub async fn delete_group(&self, group_id: String) -> Result<(), ErrorCode> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, now, effects| shard.delete_group(&group, now, effects)).await?
    }

    /// DescribeGroups for one group; the inner error when there is no classic group of that name.
    ///
    /// # Errors
    /// A retriable code.
    pub async fn describe_classic(
        &self,
        group_id: String,
    ) -> Result<Result<describe_groups_response::Group, NotDescribed>, ErrorCode> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, _, _| shard.describe_classic(&group)).await
    }

    /// ConsumerGroupDescribe for one group; the inner error when there is no consumer group of that name.
    ///
    /// # Errors
    /// A retriable code.
    pub async fn describe_consumer(
        &self,
        group_id: String,
    ) -> Result<Result<consumer_group_describe_response::Group, NotDescribed>, ErrorCode> {
        let group = group_id.clone();
        self.call(&group_id, move |shard, _, _| shard.describe_consumer(&group)).await
    }

    /// All groups of this broker, by name.
    ///
    /// # Errors
    /// A retriable code, if a shard cannot be read.
    pub async fn list(&self) -> Result<Vec<ListedGroup>, ErrorCode> {
        let mut groups = Vec::new();
        let mut waiting = Vec::new();
        for partition in 0..self.log.partition_count() {
            let (responder, pending) = Responder::new();
            let command: Command = Box::new(move |shard, _, effects| effects.reply(responder, Ok(shard.list())));
            self.send(partition, command).await;
            waiting.push(pending);
        }
        for pending in waiting {
            groups.extend(pending.wait().await?);
        }
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        Ok(groups)
    }

    /// Topics were created or got partitions: consumer groups look at their subscriptions again.
    pub async fn topics_changed(&self) {
        self.tell_running_shards(|| Box::new(|shard, _, _| shard.topics_changed())).await;
    }

    /// Topics, by name and id, were deleted: their offsets go, and consumer groups look at their subscriptions again.
    pub async fn topics_deleted(&self, topics: &[(String, Uuid)]) {
        for partition in 0..self.log.partition_count() {
            let topics = topics.to_vec();
            let command: Command = Box::new(move |shard, now, effects| {
                shard.topics_deleted(&topics, effects);
                shard.share_topics_deleted(&topics, now, effects);
            });
            self.send(partition, command).await;
        }
    }

    async fn tell_running_shards(&self, command: impl Fn() -> Command) {
        let running: Vec<i32> = self.shards.lock().keys().copied().collect();
        for partition in running {
            self.send(partition, command()).await;
        }
    }

    /// Queues work whose answer comes as soon as its records are written.
    async fn call<T: Send + 'static>(
        &self,
        group_id: &str,
        work: impl FnOnce(&mut Shard, Now, &mut Effects) -> T + Send + 'static,
    ) -> Result<T, ErrorCode> {
        self.request(group_id, move |shard, now, effects, responder| {
            let answer = work(shard, now, effects);
            effects.reply(responder, Ok(answer));
        })
        .await
    }

    /// Queues work that answers through its responder, now or later.
    async fn request<T: Send + 'static>(
        &self,
        group_id: &str,
        work: impl FnOnce(&mut Shard, Now, &mut Effects, Responder<T>) + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let partition = self.partition_for(group_id).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        self.wait_until_loaded(partition).await?;
        let (responder, pending) = Responder::new();
        self.send(partition, Box::new(move |shard, now, effects| work(shard, now, effects, responder))).await;
        pending.wait().await
    }

    /// COORDINATOR_LOAD_IN_PROGRESS if the shard is not in memory soon.
    async fn wait_until_loaded(&self, partition: i32) -> Result<(), ErrorCode> {
        let mut loaded = self.shard(partition).loaded;
        let waiting = timeout(LOAD_WAIT_MAX, loaded.wait_for(|loaded| *loaded)).await;
        waiting.map(|_| ()).map_err(|_elapsed| ErrorCode::CoordinatorLoadInProgress)
    }

    /// A command that cannot be sent is dropped, which answers it.
    async fn send(&self, partition: i32, command: Command) {
        if self.shard(partition).queue.send(command).await.is_err() {
            tracing::error!(partition, "the owner of a group shard is gone");
        }
    }

    /// The queue of a shard, whose owner is started if it does not run.
    fn shard(&self, partition: i32) -> RunningShard {
        let mut shards = self.shards.lock();
        if let Some(running) = shards.get(&partition).filter(|running| !running.queue.is_closed()) {
            return running.clone();
        }
        let (sender, queue) = mpsc::channel(QUEUE_LENGTH);
        let (load_state, loaded) = watch::channel(false);
        let owner = ShardOwner {
            partition,
            config: self.config.clone(),
            topics: self.topics.clone(),
            log: self.log.clone(),
            clock: self.clock.clone(),
            origin: self.origin,
            queue,
            loaded: load_state,
        };
        tokio::spawn(owner.run());
        let running = RunningShard { queue: sender, loaded };
        shards.insert(partition, running.clone());
        running
    }
}

#[cfg(test)]
mod tests;
