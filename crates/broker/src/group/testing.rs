//! What the tests of groups share: a shard with a clock that stands still, and a log in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI16, Ordering};

use bytes::Bytes;
use milena_protocol::messages::{
    HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, SyncGroupRequest, SyncGroupResponse, join_group_request,
    sync_group_request,
};
use milena_protocol::{ErrorCode, Message, Uuid, Writer};
use parking_lot::Mutex;

use super::client::ClientIdentity;
use super::config::GroupConfig;
use super::effects::{Effects, HoldOpen, Now, Pending, Responder};
use super::offsets_log::{CoordinatorError, Durable, LoggedEvent, OffsetsLog, OffsetsRecord, TransactionalProducer};
use super::shard::Shard;
use super::topics::{TopicFilter, TopicView, TopicsView};

pub const UNIX_START: i64 = 1_700_000_000_000;

/// A client that may see every topic.
pub fn everything() -> TopicFilter {
    Box::new(|_| true)
}

pub fn client() -> ClientIdentity {
    ClientIdentity { client_id: "app".to_owned(), client_host: "/127.0.0.1".to_owned() }
}

/// Topics that a test can change.
#[derive(Default)]
pub struct MapTopics(pub Mutex<BTreeMap<String, TopicView>>);

impl MapTopics {
    pub fn set(&self, name: &str, id: u8, partitions: i32) -> Uuid {
        let id = Uuid([id; 16]);
        self.0.lock().insert(name.to_owned(), TopicView { id, partitions });
        id
    }
}

impl TopicsView for MapTopics {
    fn topic(&self, name: &str) -> Option<TopicView> {
        self.0.lock().get(name).copied()
    }

    fn topic_name(&self, id: &Uuid) -> Option<String> {
        self.0.lock().iter().find(|(_, topic)| topic.id == *id).map(|(name, _)| name.clone())
    }

    fn topic_names(&self) -> Vec<String> {
        self.0.lock().keys().cloned().collect()
    }

    fn group_config(&self, group: &str, key: &str) -> Option<String> {
        let patient = ["consumer.session.timeout.ms", "consumer.assignment.interval.ms"].contains(&key);
        (group == "patient" && patient).then(|| "60000".to_owned())
    }
}

/// What a test has logged.
#[derive(Clone, Debug, PartialEq)]
pub enum Logged {
    /// A record, and the producer in whose transaction it was written.
    Record(OffsetsRecord, Option<i64>),
    /// The end of a producer's transaction, and whether it was committed.
    Marker(i64, bool),
}

impl Logged {
    fn event(&self) -> LoggedEvent<'_> {
        match self {
            Logged::Record(record, producer_id) => {
                LoggedEvent::Record { key: &record.key, value: record.value.as_ref(), producer_id: *producer_id }
            }
            Logged::Marker(producer_id, committed) => {
                LoggedEvent::Marker { producer_id: *producer_id, committed: *committed }
            }
        }
    }
}

/// A shard, the time, and everything logged so far.
pub struct Bench {
    pub shard: Shard,
    pub topics: Arc<MapTopics>,
    pub config: GroupConfig,
    pub now: Now,
    pub log: Vec<Logged>,
    wall_clock_ahead_ms: i64,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(adjust: impl FnOnce(&mut GroupConfig)) -> Self {
        let mut config = GroupConfig { consumer_assignment_interval_ms: 0, ..GroupConfig::default() };
        adjust(&mut config);
        let topics = Arc::new(MapTopics::default());
        let shard = Shard::new(Arc::new(config.clone()), topics.clone());
        Bench {
            shard,
            topics,
            config,
            now: Now { unix_ms: UNIX_START, monotonic_ms: 0 },
            log: Vec::new(),
            wall_clock_ahead_ms: 0,
        }
    }

    /// One turn of the shard: its records are written, its replies sent.
    pub fn turn<T>(&mut self, work: impl FnOnce(&mut Shard, Now, &mut Effects) -> T) -> T {
        let mut effects = Effects::default();
        let result = work(&mut self.shard, self.now, &mut effects);
        self.shard.tick(self.now, &mut effects);
        assert!(!effects.is_unwritable());
        let transaction = effects.take_transaction();
        let producer_id = transaction.as_ref().map(|transaction| transaction.producer.producer_id);
        self.log.extend(effects.take_records().into_iter().map(|record| Logged::Record(record, producer_id)));
        if let Some(transaction) = transaction {
            (transaction.apply)(&mut self.shard);
        }
        effects.complete(None);
        result
    }

    /// Lets time pass, running each timer at its own moment.
    pub fn advance(&mut self, ms: i64) {
        let end = self.now.monotonic_ms + ms;
        while let Some(deadline) = self.shard.next_deadline().filter(|deadline| *deadline <= end) {
            self.set_time(deadline.max(self.now.monotonic_ms));
            self.turn(|_, _, _| ());
        }
        self.set_time(end);
    }

    fn set_time(&mut self, monotonic_ms: i64) {
        self.now = Now { unix_ms: UNIX_START + self.wall_clock_ahead_ms + monotonic_ms, monotonic_ms };
    }

    /// Sets the wall clock, which is all that jumps, forward or back.
    pub fn jump_wall_clock(&mut self, ms: i64) {
        self.wall_clock_ahead_ms += ms;
        self.set_time(self.now.monotonic_ms);
    }

    /// A new shard from the records written so far, as after a restart.
    pub fn restart(&mut self) {
        let mut shard = Shard::new(Arc::new(self.config.clone()), self.topics.clone());
        for logged in &self.log {
            shard.load(logged.event());
        }
        shard.finish_load(self.now);
        self.shard = shard;
    }

    /// Keeps only the last record of every key and no tombstones, as log compaction does.
    pub fn compact(&mut self) {
        let mut last: BTreeMap<Bytes, usize> = BTreeMap::new();
        for (index, logged) in self.log.iter().enumerate() {
            if let Logged::Record(record, None) = logged {
                last.insert(record.key.clone(), index);
            }
        }
        let mut index = 0;
        self.log.retain(|logged| {
            index += 1;
            match logged {
                Logged::Record(record, None) => last[&record.key] == index - 1 && record.value.is_some(),
                Logged::Record(..) | Logged::Marker(..) => true,
            }
        });
    }

    /// The end of a producer's transaction, as its marker in the log and as the shard hears of it.
    pub fn end_transaction(&mut self, producer_id: i64, committed: bool) {
        self.log.push(Logged::Marker(producer_id, committed));
        self.shard.complete_transaction(producer_id, committed);
    }

    pub fn join(&mut self, request: JoinGroupRequest, version: i16) -> Pending<JoinGroupResponse> {
        let (responder, pending) = Responder::new();
        self.turn(|shard, now, effects| shard.join(request, client(), version, responder, now, effects));
        pending
    }

    pub fn sync(&mut self, request: SyncGroupRequest) -> Pending<SyncGroupResponse> {
        let (responder, pending) = Responder::new();
        self.turn(|shard, now, effects| shard.sync(request, responder, now, effects));
        pending
    }

    pub fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> Result<(), ErrorCode> {
        let request = HeartbeatRequest {
            group_id: "g".to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            ..HeartbeatRequest::default()
        };
        self.turn(|shard, now, effects| shard.heartbeat(&request, now, effects))
    }
}

/// The answer, which must be there.
pub fn answer<T>(pending: &mut Pending<T>) -> Result<T, ErrorCode> {
    pending.try_take().expect("the request is still parked")
}

pub fn parked<T>(pending: &mut Pending<T>) -> bool {
    pending.try_take().is_none()
}

/// Subscription bytes of a consumer of `topics`.
pub fn subscription(topics: &[&str]) -> Bytes {
    let subscription = milena_protocol::messages::ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        ..Default::default()
    };
    let mut writer = Writer::new();
    writer.i16(1);
    subscription.encode(&mut writer, 1).unwrap();
    writer.finish().to_bytes().unwrap()
}

/// A join of group `g` with one protocol, `range`.
pub fn join_request(member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: "g".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        member_id: member_id.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range", subscription(&["orders"]))],
        ..JoinGroupRequest::default()
    }
}

pub fn static_join_request(instance_id: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest { group_instance_id: Some(instance_id.to_owned()), ..join_request(member_id) }
}

pub fn protocol(name: &str, metadata: Bytes) -> join_group_request::Protocol {
    join_group_request::Protocol { name: name.to_owned(), metadata }
}

/// A sync of group `g`; the leader's has assignments.
pub fn sync_request(member_id: &str, generation_id: i32, assignments: &[(&str, &'static [u8])]) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: "g".to_owned(),
        generation_id,
        member_id: member_id.to_owned(),
        assignments: assignments
            .iter()
            .map(|(member, bytes)| sync_group_request::Assignment {
                member_id: (*member).to_owned(),
                assignment: Bytes::from_static(bytes),
            })
            .collect(),
        ..SyncGroupRequest::default()
    }
}

/// `__consumer_offsets` in memory. Can be told to fail.
#[derive(Default)]
pub struct MemoryLog {
    pub records: Mutex<BTreeMap<i32, Vec<Logged>>>,
    /// The newest epoch of a producer; older ones are refused.
    pub producer_epoch: AtomicI16,
    pub appends_fail: AtomicBool,
    pub loads_fail: AtomicBool,
}

impl OffsetsLog for MemoryLog {
    fn partition_count(&self) -> i32 {
        4
    }

    fn append_bytes_max(&self) -> usize {
        100_000
    }

    fn append(
        &self,
        partition: i32,
        records: Vec<OffsetsRecord>,
        producer: Option<TransactionalProducer>,
    ) -> Result<Durable, CoordinatorError> {
        if self.appends_fail.load(Ordering::SeqCst) {
            return Err(CoordinatorError::Storage { partition, reason: "disk full".to_owned() });
        }
        if producer.is_some_and(|producer| producer.producer_epoch < self.producer_epoch.load(Ordering::SeqCst)) {
            return Err(CoordinatorError::Producer { partition, code: ErrorCode::InvalidProducerEpoch });
        }
        let producer_id = producer.map(|producer| producer.producer_id);
        let logged = records.into_iter().map(|record| Logged::Record(record, producer_id));
        self.records.lock().entry(partition).or_default().extend(logged);
        Ok(Box::pin(std::future::ready(Ok(()))))
    }

    fn read_all(&self, partition: i32, apply: &mut dyn FnMut(LoggedEvent<'_>)) -> Result<(), CoordinatorError> {
        if self.loads_fail.load(Ordering::SeqCst) {
            return Err(CoordinatorError::Storage { partition, reason: "unreadable".to_owned() });
        }
        for logged in self.records.lock().get(&partition).into_iter().flatten() {
            apply(logged.event());
        }
        Ok(())
    }
}

/// A transaction that stays open for as long as it is written to.
pub fn held_open() -> HoldOpen {
    Box::new(|write| {
        write();
        Ok(())
    })
}
