//! A member of a share group (KIP-932): gets records one by one, and says of each what became of it.
//!
//! [`ShareConsumer::poll`] sends what was acknowledged since the last poll together with the next fetch. Heartbeats are
//! sent by polls as well, so a caller that works for longer than the group's session timeout is taken for dead.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use milena_protocol::messages::{
    ShareAcknowledgeRequest, ShareFetchRequest, ShareFetchResponse, ShareGroupHeartbeatRequest,
    share_acknowledge_request, share_fetch_request, share_fetch_response,
};
use milena_protocol::{ErrorCode, Uuid};

use crate::TopicPartition;
use crate::admin::IsolationLevel;
use crate::cluster::Cluster;
use crate::config::{parse_millis, parse_number};
use crate::consumer::{Fetched, ReadRecord};
use crate::error::{Error, Result};
use crate::own_connections::OwnConnections;

/// The epoch of a heartbeat that leaves, and of a request that closes a session.
const FINAL_EPOCH: i32 = -1;
/// The mode in which a fetch never gives more records than asked for.
const RECORD_LIMIT_MODE: i8 = 1;
/// The acknowledgement of an offset without a record.
const GAP: i8 = 0;

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum AcknowledgeType {
    /// Done.
    Accept = 1,
    /// Somebody is to try again.
    Release = 2,
    /// Nobody is to try again.
    Reject = 3,
}

/// How to read.
#[derive(Debug, Clone)]
pub struct ShareConsumerConfig {
    /// `group.id`.
    pub group_id: String,
    /// `max.poll.records`; default 500.
    pub max_poll_records: i32,
    /// `fetch.min.bytes`; default 1.
    pub fetch_min_bytes: i32,
    /// `fetch.max.wait.ms`; default 500 ms.
    pub fetch_max_wait: Duration,
    /// `fetch.max.bytes`; default 50 MiB.
    pub fetch_max_bytes: i32,
    /// `share.acquire.mode=record_limit`: never more records than `max.poll.records`; default off.
    pub record_limit: bool,
    /// `client.rack`.
    pub rack: Option<String>,
}

impl ShareConsumerConfig {
    /// Kafka's defaults for a member of `group_id`.
    pub fn new(group_id: impl Into<String>) -> ShareConsumerConfig {
        ShareConsumerConfig {
            group_id: group_id.into(),
            max_poll_records: 500,
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            fetch_max_bytes: 52_428_800,
            record_limit: false,
            rack: None,
        }
    }

    /// Takes one consumer property; returns whether the key belongs to this table.
    ///
    /// # Errors
    /// [`Error::Config`] when the value is malformed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        match key {
            "group.id" => self.group_id = value.to_owned(),
            "max.poll.records" => self.max_poll_records = parse_number(key, value)?,
            "fetch.min.bytes" => self.fetch_min_bytes = parse_number(key, value)?,
            "fetch.max.wait.ms" => self.fetch_max_wait = parse_millis(key, value)?,
            "fetch.max.bytes" => self.fetch_max_bytes = parse_number(key, value)?,
            "share.acquire.mode" => self.record_limit = value.trim().eq_ignore_ascii_case("record_limit"),
            "client.rack" => self.rack = Some(value.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Offsets that were acquired, and for the how manieth time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first_offset: i64,
    last_offset: i64,
    delivery_count: i16,
}

/// Records of one partition that this member has now.
#[derive(Debug)]
pub struct ShareRecords {
    /// The partition.
    pub tp: TopicPartition,
    fetched: Fetched,
    ranges: Vec<Range>,
}

impl ShareRecords {
    /// Calls `visit` with each record that was acquired and its delivery count, in order, until it returns false.
    ///
    /// # Errors
    /// Malformed records, or what `visit` returns.
    pub fn for_each<E: From<Error>>(
        &self,
        mut visit: impl FnMut(ReadRecord<'_>, i16) -> std::result::Result<bool, E>,
    ) -> std::result::Result<(), E> {
        self.fetched.for_each(|read| {
            let offset = read.record.offset;
            let range = self.ranges.iter().find(|range| (range.first_offset..=range.last_offset).contains(&offset));
            match range {
                Some(range) => visit(read, range.delivery_count),
                None => Ok(true),
            }
        })
    }

    /// Bytes as fetched.
    pub fn size_in_bytes(&self) -> usize {
        self.fetched.size_in_bytes()
    }
}

/// The session with one broker.
#[derive(Debug, Default)]
struct Session {
    next_epoch: i32,
    partitions: Vec<(Uuid, i32)>,
}

/// Acknowledgements by partition and offset.
type Acks = BTreeMap<(Uuid, i32), BTreeMap<i64, i8>>;

/// See the module's words.
pub struct ShareConsumer {
    cluster: Cluster,
    fetch_connections: OwnConnections,
    config: ShareConsumerConfig,
    topics: Vec<String>,
    member_id: String,
    member_epoch: i32,
    next_heartbeat: Instant,
    assigned: Vec<(Uuid, i32)>,
    names: HashMap<Uuid, String>,
    sessions: HashMap<i32, Session>,
    acks: Acks,
}

impl ShareConsumer {
    /// A member that reads `topics`; it joins with its first poll.
    pub fn new(cluster: Cluster, config: ShareConsumerConfig, topics: Vec<String>) -> ShareConsumer {
        ShareConsumer {
            cluster,
            fetch_connections: OwnConnections::default(),
            config,
            topics,
            member_id: Uuid::random().to_string(),
            member_epoch: 0,
            next_heartbeat: Instant::now(),
            assigned: Vec::new(),
            names: HashMap::new(),
            sessions: HashMap::new(),
            acks: Acks::new(),
        }
    }

    /// Sends acknowledgements and fetches; empty when nothing came within `fetch.max.wait.ms`.
    ///
    /// # Errors
    /// What is not cured by trying again.
    pub async fn poll(&mut self) -> Result<Vec<ShareRecords>> {
        if Instant::now() >= self.next_heartbeat {
            self.heartbeat().await?;
        }
        let by_leader = self.partitions_by_leader().await?;
        if by_leader.is_empty() {
            tokio::time::sleep(self.config.fetch_max_wait.min(Duration::from_millis(100))).await;
            return Ok(Vec::new());
        }
        let mut records = Vec::new();
        for (leader, partitions) in by_leader {
            match self.fetch_from(leader, &partitions).await {
                Ok(fetched) => records.extend(fetched),
                Err(error) if error.is_retriable() => {
                    tracing::debug!(%error, leader, "share fetch failed");
                    self.sessions.remove(&leader);
                    self.topics.iter().for_each(|topic| self.cluster.forget_topic(topic));
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// Notes what became of a record; sent with the next poll, or by [`ShareConsumer::commit`].
    pub fn acknowledge(&mut self, tp: &TopicPartition, offset: i64, ack: AcknowledgeType) {
        let id = self.names.iter().find(|(_, name)| **name == tp.topic).map(|(id, _)| *id);
        if let Some(id) = id {
            self.acks.entry((id, tp.partition)).or_default().insert(offset, ack as i8);
        }
    }

    /// Sends acknowledgements and waits until they are stored.
    ///
    /// # Errors
    /// The first error of a broker or a partition.
    pub async fn commit(&mut self) -> Result<()> {
        let leaders: Vec<i32> = self.sessions.keys().copied().collect();
        for leader in leaders {
            let Some(session) = self.sessions.get_mut(&leader) else { continue };
            let acks = take_acks(&mut self.acks, &session.partitions);
            if acks.is_empty() {
                continue;
            }
            let epoch = session.next_epoch;
            session.next_epoch = following(epoch);
            self.send_acks(leader, epoch, &acks).await?;
        }
        Ok(())
    }

    /// Sends acknowledgements, closes the sessions and leaves the group; what was not acknowledged goes to others.
    ///
    /// # Errors
    /// Those of [`ShareConsumer::commit`].
    pub async fn close(mut self) -> Result<()> {
        let mut outcome = Ok(());
        for (leader, session) in std::mem::take(&mut self.sessions) {
            let acks = take_acks(&mut self.acks, &session.partitions);
            outcome = outcome.and(self.send_acks(leader, FINAL_EPOCH, &acks).await);
        }
        if self.member_epoch > 0 {
            self.member_epoch = FINAL_EPOCH;
            let left = self.send_heartbeat(false).await;
            outcome = outcome.and(left.map(|_| ()));
        }
        outcome
    }

    async fn send_acks(&mut self, leader: i32, epoch: i32, acks: &Acks) -> Result<()> {
        let mut topics: Vec<share_acknowledge_request::Topic> = Vec::new();
        for ((topic_id, partition), offsets) in acks {
            let acknowledgement_batches = ranges_of(offsets)
                .into_iter()
                .map(|(first_offset, last_offset, ack)| share_acknowledge_request::AcknowledgementBatch {
                    first_offset,
                    last_offset,
                    acknowledge_types: vec![ack],
                })
                .collect();
            let partition =
                share_acknowledge_request::Partition { partition_index: *partition, acknowledgement_batches };
            match topics.last_mut().filter(|topic| topic.topic_id == *topic_id) {
                Some(topic) => topic.partitions.push(partition),
                None => {
                    topics.push(share_acknowledge_request::Topic { topic_id: *topic_id, partitions: vec![partition] });
                }
            }
        }
        let request = ShareAcknowledgeRequest {
            group_id: Some(self.config.group_id.clone()),
            member_id: Some(self.member_id.clone()),
            share_session_epoch: epoch,
            is_renew_ack: false,
            topics,
        };
        let response = self.fetch_connections.to(&self.cluster, leader).await?.send(&request).await?;
        Error::check(response.error_code, response.error_message.as_ref())?;
        for partition in response.responses.iter().flat_map(|topic| &topic.partitions) {
            Error::check(partition.error_code, partition.error_message.as_ref())?;
        }
        Ok(())
    }

    async fn heartbeat(&mut self) -> Result<()> {
        let response = self.send_heartbeat(self.member_epoch == 0).await?;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch | ErrorCode::GroupIdNotFound
                if self.member_epoch > 0 =>
            {
                // Thrown out: what it had is lost, it joins again.
                self.member_epoch = 0;
                self.assigned.clear();
                self.sessions.clear();
                self.acks.clear();
                return Ok(());
            }
            code => return Err(Error::api(code, response.error_message)),
        }
        self.member_epoch = response.member_epoch;
        let interval = u64::try_from(response.heartbeat_interval_ms).unwrap_or(5_000);
        self.next_heartbeat = Instant::now() + Duration::from_millis(interval);
        if let Some(assignment) = response.assignment {
            self.assigned = assignment
                .topic_partitions
                .into_iter()
                .flat_map(|topic| topic.partitions.into_iter().map(move |partition| (topic.topic_id, partition)))
                .collect();
        }
        Ok(())
    }

    async fn send_heartbeat(&self, joins: bool) -> Result<milena_protocol::messages::ShareGroupHeartbeatResponse> {
        let request = ShareGroupHeartbeatRequest {
            group_id: self.config.group_id.clone(),
            member_id: self.member_id.clone(),
            member_epoch: self.member_epoch,
            rack_id: if joins { self.config.rack.clone() } else { None },
            subscribed_topic_names: joins.then(|| self.topics.clone()),
        };
        self.cluster.send_group(&self.config.group_id, &request, i16::MAX, |response| response.error_code).await
    }

    /// The assigned partitions whose leaders are known.
    async fn partitions_by_leader(&mut self) -> Result<BTreeMap<i32, Vec<(Uuid, i32)>>> {
        let mut by_leader: BTreeMap<i32, Vec<(Uuid, i32)>> = BTreeMap::new();
        if self.assigned.is_empty() {
            return Ok(by_leader);
        }
        for name in &self.topics {
            let info = match self.cluster.topic(name, false, self.cluster.config().api_timeout).await {
                Ok(info) => info,
                Err(error) if error.is_retriable() => continue,
                Err(error) => return Err(error),
            };
            self.names.insert(info.topic_id, name.clone());
            for (topic_id, partition) in self.assigned.iter().filter(|(topic_id, _)| *topic_id == info.topic_id) {
                let index = usize::try_from(*partition).ok();
                let leader = index.and_then(|index| info.partitions.get(index)).map_or(-1, |found| found.leader_id);
                if leader >= 0 {
                    by_leader.entry(leader).or_default().push((*topic_id, *partition));
                }
            }
        }
        Ok(by_leader)
    }

    async fn fetch_from(&mut self, leader: i32, partitions: &[(Uuid, i32)]) -> Result<Vec<ShareRecords>> {
        let session = self.sessions.entry(leader).or_default();
        let epoch = session.next_epoch;
        let acks = if epoch == 0 { Acks::new() } else { take_acks(&mut self.acks, &session.partitions) };
        let added: Vec<(Uuid, i32)> =
            partitions.iter().filter(|partition| !session.partitions.contains(partition)).copied().collect();
        let forgotten: Vec<(Uuid, i32)> =
            session.partitions.iter().filter(|partition| !partitions.contains(partition)).copied().collect();
        session.partitions = partitions.to_vec();
        session.next_epoch = following(epoch);
        let request = ShareFetchRequest {
            group_id: Some(self.config.group_id.clone()),
            member_id: Some(self.member_id.clone()),
            share_session_epoch: epoch,
            max_wait_ms: i32::try_from(self.config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.config.fetch_min_bytes,
            max_bytes: self.config.fetch_max_bytes,
            max_records: self.config.max_poll_records,
            batch_size: self.config.max_poll_records,
            share_acquire_mode: if self.config.record_limit { RECORD_LIMIT_MODE } else { 0 },
            is_renew_ack: false,
            topics: fetch_topics(&added, &acks),
            forgotten_topics_data: forgotten
                .into_iter()
                .map(|(topic_id, partition)| share_fetch_request::ForgottenTopicsData {
                    topic_id,
                    partitions: vec![partition],
                })
                .collect(),
        };
        let response = self.fetch_connections.to(&self.cluster, leader).await?.send(&request).await?;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => self.records_of(response),
            ErrorCode::ShareSessionNotFound | ErrorCode::InvalidShareSessionEpoch => {
                // The next poll opens a new one.
                self.sessions.remove(&leader);
                Ok(Vec::new())
            }
            code => Err(Error::api(code, response.error_message)),
        }
    }

    fn records_of(&mut self, response: ShareFetchResponse) -> Result<Vec<ShareRecords>> {
        let mut records = Vec::new();
        for topic in response.responses {
            let Some(name) = self.names.get(&topic.topic_id).cloned() else { continue };
            for partition in topic.partitions {
                let tp = TopicPartition::new(&name, partition.partition_index);
                if let Err(error) =
                    Error::check(partition.acknowledge_error_code, partition.acknowledge_error_message.as_ref())
                {
                    tracing::warn!(%tp, %error, "records were not acknowledged");
                }
                match Error::check(partition.error_code, partition.error_message.as_ref()) {
                    Ok(()) => {}
                    Err(error) if error.is_retriable() => {
                        self.cluster.forget_topic(&name);
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                if !partition.acquired_records.is_empty() {
                    records.push(self.acquired(topic.topic_id, tp, partition)?);
                }
            }
        }
        Ok(records)
    }

    /// What was acquired; offsets without a record are acknowledged as gaps at once.
    fn acquired(
        &mut self,
        topic_id: Uuid,
        tp: TopicPartition,
        partition: share_fetch_response::Partition,
    ) -> Result<ShareRecords> {
        let ranges: Vec<Range> = partition
            .acquired_records
            .iter()
            .map(|range| Range {
                first_offset: range.first_offset,
                last_offset: range.last_offset,
                delivery_count: range.delivery_count,
            })
            .collect();
        let first_offset = ranges.iter().map(|range| range.first_offset).min().unwrap_or(0);
        let bytes =
            partition.records.unwrap_or_default().to_bytes().map_err(|error| Error::Records(error.to_string()))?;
        let isolation = IsolationLevel::ReadUncommitted;
        let fetched = Fetched::new(tp.clone(), first_offset, -1, bytes, Vec::new(), isolation, true)?;
        let records = ShareRecords { tp: tp.clone(), fetched, ranges };
        let mut gaps: std::collections::BTreeSet<i64> =
            records.ranges.iter().flat_map(|range| range.first_offset..=range.last_offset).collect();
        records.for_each::<Error>(|read, _| {
            gaps.remove(&read.record.offset);
            Ok(true)
        })?;
        if !gaps.is_empty() {
            let acks = self.acks.entry((topic_id, tp.partition)).or_default();
            acks.extend(gaps.into_iter().map(|offset| (offset, GAP)));
        }
        Ok(records)
    }
}

fn following(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

/// Takes the acknowledgements of `partitions` out of `acks`.
fn take_acks(acks: &mut Acks, partitions: &[(Uuid, i32)]) -> Acks {
    let mut taken = Acks::new();
    for partition in partitions {
        if let Some(offsets) = acks.remove(partition) {
            taken.insert(*partition, offsets);
        }
    }
    taken
}

/// Partitions that are new to the session, and those with acknowledgements.
fn fetch_topics(added: &[(Uuid, i32)], acks: &Acks) -> Vec<share_fetch_request::Topic> {
    let mut named: BTreeMap<(Uuid, i32), Vec<share_fetch_request::AcknowledgementBatch>> = BTreeMap::new();
    for partition in added {
        named.insert(*partition, Vec::new());
    }
    for (partition, offsets) in acks {
        let batches = ranges_of(offsets).into_iter().map(|(first_offset, last_offset, ack)| {
            share_fetch_request::AcknowledgementBatch { first_offset, last_offset, acknowledge_types: vec![ack] }
        });
        named.insert(*partition, batches.collect());
    }
    let mut topics: Vec<share_fetch_request::Topic> = Vec::new();
    for ((topic_id, partition_index), acknowledgement_batches) in named {
        let partition =
            share_fetch_request::Partition { partition_index, partition_max_bytes: 0, acknowledgement_batches };
        match topics.last_mut().filter(|topic| topic.topic_id == topic_id) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(share_fetch_request::Topic { topic_id, partitions: vec![partition] }),
        }
    }
    topics
}

/// Neighbouring offsets with the same acknowledgement.
fn ranges_of(offsets: &BTreeMap<i64, i8>) -> Vec<(i64, i64, i8)> {
    let mut ranges: Vec<(i64, i64, i8)> = Vec::new();
    for (offset, ack) in offsets {
        match ranges.last_mut() {
            Some((_, last_offset, last)) if *last_offset + 1 == *offset && last == ack => *last_offset = *offset,
            _ => ranges.push((*offset, *offset, *ack)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_the_same_acknowledgement_are_one_range() {
        let offsets = BTreeMap::from([(1, 1), (2, 1), (3, 2), (5, 2), (6, 2)]);
        assert_eq!(ranges_of(&offsets), [(1, 2, 1), (3, 3, 2), (5, 6, 2)]);
    }

    #[test]
    fn a_fetch_names_new_partitions_and_those_with_acknowledgements_once() {
        let topic = Uuid([1; 16]);
        let acks = Acks::from([((topic, 0), BTreeMap::from([(7, 1)]))]);
        let topics = fetch_topics(&[(topic, 1), (topic, 0)], &acks);
        assert_eq!(topics.len(), 1);
        let named: Vec<_> =
            topics[0].partitions.iter().map(|p| (p.partition_index, p.acknowledgement_batches.len())).collect();
        assert_eq!(named, [(0, 1), (1, 0)]);
    }
}
