//! Share groups (KIP-932): records handed out one by one, locked while somebody works on them, and handed out again when
//! nobody says that they are done.
//!
//! ```text
//!   ShareFetch ─► session ─► SharePartition (window: who has what) ─► log of the topic
//!   ShareAcknowledge ─────────────┘ │ changes
//!                                   └──► ShareCoordinator ──► __share_group_state, fsync ──► answer
//! ```
//!
//! - [`window`] decides who gets which record and what becomes of it; it is pure.
//! - [`partition`] puts a window, the topic's log and the stored state together, and takes back locks that ran out.
//! - [`coordinator`] keeps the state; an acknowledgement is answered after it is on disk, so that what was answered is
//!   never handed out again.
//! - [`session`] remembers what a member reads.
//! - Who is in a group is known to [`crate::group::share`] alone: a member is not looked up there for a fetch, as in Kafka.
//!
//! Lock order: the map of partitions, a partition's window, a shard of the coordinator, a log. None is held across an
//! `await`.

pub mod acknowledge;
pub mod coordinator;
pub mod fetch;
pub mod key;
pub mod offsets;
pub mod partition;
pub mod session;
pub mod settings;
pub mod window;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use milena_protocol::{ErrorCode, Uuid};
use milena_stdx::Clock;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::context::Broker;
use crate::partition::PartitionTable;
use coordinator::{ShareCoordinator, ShareCoordinatorConfig};
use key::SharePartitionKey;
use partition::SharePartition;
use session::{SessionKey, ShareSessions};
use settings::ShareSettings;

/// Everything of share groups but their members.
pub struct ShareGroups {
    /// Where the state is kept.
    pub coordinator: Arc<ShareCoordinator>,
    /// The members' sessions.
    pub sessions: ShareSessions,
    partitions: Mutex<HashMap<SharePartitionKey, Arc<SharePartition>>>,
    /// Held while a share partition is made ready.
    preparing: tokio::sync::Mutex<()>,
    clock: Arc<dyn Clock>,
    /// The origin of the monotonic milliseconds.
    origin: Instant,
}

impl ShareGroups {
    /// Share groups over the partitions of this broker; `value` answers with the value of a broker setting.
    pub(crate) fn new(
        partitions: Arc<PartitionTable>,
        clock: Arc<dyn Clock>,
        fsync: bool,
        value: impl Fn(&str) -> Option<String>,
    ) -> ShareGroups {
        let number = |key: &str, default: u64| value(key).and_then(|text| text.trim().parse().ok()).unwrap_or(default);
        let config = ShareCoordinatorConfig {
            updates_per_snapshot: i32::try_from(number("share.coordinator.snapshot.update.records.per.snapshot", 500))
                .unwrap_or(500),
            write_timeout: Duration::from_millis(number("share.coordinator.write.timeout.ms", 5_000)),
            prune_interval: Duration::from_millis(
                number("share.coordinator.state.topic.prune.interval.ms", 300_000).max(1),
            ),
            fsync,
        };
        let slots = usize::try_from(number("group.share.max.share.sessions", 2_000)).unwrap_or(usize::MAX);
        ShareGroups {
            coordinator: Arc::new(ShareCoordinator::new(config, partitions, clock.clone())),
            sessions: ShareSessions::new(slots),
            partitions: Mutex::default(),
            preparing: tokio::sync::Mutex::default(),
            origin: clock.monotonic(),
            clock,
        }
    }

    /// Starts what runs beside the requests.
    pub(crate) fn start(&self) {
        self.coordinator.start_pruning();
    }

    /// Milliseconds on the clock that locks run on.
    pub(crate) fn now_ms(&self) -> i64 {
        let elapsed = self.clock.monotonic().saturating_duration_since(self.origin);
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }

    /// The share partition `key`, made ready if it was not.
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR for the topic's partition; the coordinator's
    /// code for the state.
    pub(crate) async fn partition(
        &self,
        broker: &Arc<Broker>,
        key: &SharePartitionKey,
        settings: &ShareSettings,
    ) -> Result<Arc<SharePartition>, ErrorCode> {
        let topic = broker.partitions.topic_by_id(&key.topic_id).ok_or(ErrorCode::UnknownTopicId)?;
        let log = topic.partition(key.partition)?;
        if let Some(ready) = self.ready(key) {
            return Ok(ready);
        }
        let _one_at_a_time = self.preparing.lock().await;
        if let Some(ready) = self.ready(key) {
            return Ok(ready);
        }
        let partition = SharePartition::open(broker, key.clone(), log, settings).await?;
        self.partitions.lock().insert(key.clone(), partition.clone());
        Ok(partition)
    }

    /// The share partition `key`, if it is in use.
    pub(crate) fn ready(&self, key: &SharePartitionKey) -> Option<Arc<SharePartition>> {
        self.partitions.lock().get(key).filter(|partition| !partition.is_abandoned()).cloned()
    }

    /// Forgets what is in memory of the share partitions that `gone` picks; their state is read again when needed.
    pub(crate) fn abandon(&self, gone: impl Fn(&SharePartitionKey) -> bool) {
        let abandoned: Vec<_> = {
            let mut partitions = self.partitions.lock();
            let keys: Vec<_> = partitions.keys().filter(|key| gone(key)).cloned().collect();
            keys.iter().filter_map(|key| partitions.remove(key)).collect()
        };
        abandoned.iter().for_each(|partition| partition.abandon());
    }

    /// A topic is gone, and with it everything about its share partitions.
    pub(crate) fn topic_deleted(&self, topic_id: Uuid) {
        self.abandon(|key| key.topic_id == topic_id);
        self.coordinator.forget_deleted_topics();
    }

    /// Ends session `id` when its connection does: a consumer that died gives back what it has.
    pub(crate) fn watch_connection(
        &self,
        broker: &Arc<Broker>,
        session: &SessionKey,
        id: u64,
        closed: CancellationToken,
    ) {
        let Some(ended) = self.sessions.ended(session, id) else { return };
        let (broker, session) = (Arc::downgrade(broker), session.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = closed.cancelled() => {
                    let Some(broker) = broker.upgrade() else { return };
                    if broker.share.sessions.drop_session(&session, id) {
                        tracing::debug!(group = %session.group, member = %session.member, "share session lost");
                        broker.share.release_member(&broker, &session);
                    }
                }
            }
        });
    }

    /// The member has left: what it has goes to others.
    pub(crate) fn release_member(&self, broker: &Broker, session: &SessionKey) {
        let settings = ShareSettings::of(&session.group, &broker.image(), &broker.config);
        let partitions: Vec<_> = {
            let partitions = self.partitions.lock();
            let of_group = partitions.iter().filter(|(key, _)| key.group == session.group);
            of_group.map(|(_, partition)| partition.clone()).collect()
        };
        for partition in partitions {
            partition.release_member(&session.member, settings.deliveries_max);
        }
    }
}
