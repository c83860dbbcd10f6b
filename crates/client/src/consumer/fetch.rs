//! Fetching: one request per leader under way, results turned into [`Fetched`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use milena_protocol::messages::{FetchRequest, FetchResponse, fetch_request, fetch_response};
use milena_protocol::{ErrorCode, Records};

use super::{Consumer, Fetched, OffsetReset, Polled, Start};
use crate::TopicPartition;
use crate::admin::IsolationLevel;
use crate::error::{Error, Result};

/// Fetch names topics by name up to this version.
const FETCH_BY_NAME: i16 = 12;
/// Pause before a partition is fetched again after an error.
const BACKOFF: Duration = Duration::from_millis(100);

/// A request as it was asked, with its answer.
pub(super) struct FetchOutcome {
    leader: i32,
    asked: Vec<Asked>,
    response: Result<FetchResponse>,
}

/// One partition of a request.
struct Asked {
    tp: TopicPartition,
    fetch_offset: i64,
    seek_id: u64,
}

impl Consumer {
    /// Sends a fetch to every leader that has none under way, for its partitions without buffered records.
    pub(super) async fn start_fetches(&mut self) -> Result<()> {
        let now = Instant::now();
        let mut by_leader: BTreeMap<i32, Vec<Asked>> = BTreeMap::new();
        let wanted: Vec<(TopicPartition, i64, u64)> = self
            .partitions
            .iter()
            .filter(|(tp, position)| {
                position.consumed.is_some()
                    && !position.paused
                    && self.backoff.get(*tp).is_none_or(|until| *until <= now)
                    && !self.buffered.iter().any(|fetched| fetched.tp == **tp)
            })
            .map(|(tp, position)| (tp.clone(), position.fetch, position.seek_id))
            .collect();
        for (tp, fetch_offset, seek_id) in wanted {
            self.backoff.remove(&tp);
            let leader = match self.cluster.leader(&tp, Duration::ZERO).await {
                Ok(leader) => leader,
                Err(error) if error.is_retriable() => {
                    self.backoff.insert(tp, now + BACKOFF);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !self.busy_leaders.contains(&leader) {
                by_leader.entry(leader).or_default().push(Asked { tp, fetch_offset, seek_id });
            }
        }
        for (leader, asked) in by_leader {
            self.start_fetch(leader, asked).await;
        }
        Ok(())
    }

    async fn start_fetch(&mut self, leader: i32, asked: Vec<Asked>) {
        let request = self.fetch_request(&asked);
        let timeout = self.cluster.config().request_timeout + self.config.fetch_max_wait;
        let sent = match self.fetch_connections.to(&self.cluster, leader).await {
            Ok(connection) => connection.pipeline(&request, FETCH_BY_NAME, timeout).await,
            Err(error) => Err(error),
        };
        self.busy_leaders.insert(leader);
        self.fetches.spawn(async move {
            let response = match sent {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            FetchOutcome { leader, asked, response }
        });
    }

    /// How long the broker may keep a fetch that finds nothing new.
    ///
    /// Not at all while records are buffered: their partitions are missing from the request, and a request that is parked at
    /// the end of the others would keep them from being fetched once the caller has taken what is buffered.
    fn max_wait(&self) -> Duration {
        if self.buffered.is_empty() { self.config.fetch_max_wait } else { Duration::ZERO }
    }

    fn fetch_request(&self, asked: &[Asked]) -> FetchRequest {
        let mut topics: Vec<fetch_request::Topic> = Vec::new();
        for Asked { tp, fetch_offset, .. } in asked {
            let partition = fetch_request::Partition {
                partition: tp.partition,
                current_leader_epoch: -1,
                fetch_offset: *fetch_offset,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: self.config.max_partition_fetch_bytes,
                ..Default::default()
            };
            match topics.last_mut().filter(|last| last.topic == tp.topic) {
                Some(last) => last.partitions.push(partition),
                None => topics.push(fetch_request::Topic {
                    topic: tp.topic.clone(),
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        FetchRequest {
            replica_id: -1,
            max_wait_ms: i32::try_from(self.max_wait().as_millis()).unwrap_or(i32::MAX),
            min_bytes: self.config.fetch_min_bytes,
            max_bytes: self.config.fetch_max_bytes,
            isolation_level: self.config.isolation_level as i8,
            session_id: 0,
            session_epoch: -1,
            topics,
            rack_id: self.config.rack.clone().unwrap_or_default(),
            ..Default::default()
        }
    }

    /// Waits for a fetch, a group event or `timeout`, whichever comes first.
    pub(super) async fn wait(&mut self, timeout: Duration) -> Result<()> {
        let soonest = self.backoff.values().min().map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = timeout.min(soonest.unwrap_or(timeout)).min(self.next_commit_in());
        let (group, coordinated) = (self.group.as_mut(), self.coordinated.as_ref());
        let disturbed = async {
            match (group, coordinated) {
                (Some(group), _) => group.membership.disturbed().await,
                (None, Some(member)) => member.disturbed().await,
                (None, None) => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(outcome) = self.fetches.join_next() => match outcome {
                Ok(outcome) => self.take_outcome(outcome),
                Err(_) => Ok(()),
            },
            () = disturbed => Ok(()),
            () = tokio::time::sleep(timeout) => Ok(()),
        }
    }

    pub(super) fn next_commit_in(&self) -> Duration {
        match self.config.enable_auto_commit && self.config.group_id.is_some() {
            true => self.next_commit.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)),
            false => Duration::from_secs(3600),
        }
    }

    fn take_outcome(&mut self, outcome: FetchOutcome) -> Result<()> {
        self.busy_leaders.remove(&outcome.leader);
        let response = match outcome.response {
            Ok(response) if response.error_code == 0 => response,
            Ok(response) => return Err(Error::api(ErrorCode::from_code(response.error_code), None)),
            Err(error) if error.is_retriable() || matches!(error, Error::Unreachable { .. }) => {
                tracing::debug!(%error, leader = outcome.leader, "fetch failed");
                self.try_later(&outcome.asked);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for topic in response.responses {
            for partition in topic.partitions {
                let asked = outcome
                    .asked
                    .iter()
                    .find(|asked| asked.tp.partition == partition.partition_index && asked.tp.topic == topic.topic);
                if let Some(asked) = asked {
                    self.take_partition(asked, partition)?;
                }
            }
        }
        Ok(())
    }

    fn try_later(&mut self, asked: &[Asked]) {
        for Asked { tp, .. } in asked {
            self.cluster.forget_topic(&tp.topic);
            self.backoff.insert(tp.clone(), Instant::now() + BACKOFF);
        }
    }

    fn take_partition(&mut self, asked: &Asked, answer: fetch_response::Partition) -> Result<()> {
        let tp = &asked.tp;
        // The partition was revoked or moved by a seek while the fetch was under way.
        let Some(position) = self.partitions.get_mut(tp).filter(|position| position.seek_id == asked.seek_id) else {
            return Ok(());
        };
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {
                position.end = Some(match self.config.isolation_level {
                    IsolationLevel::ReadCommitted => answer.last_stable_offset,
                    IsolationLevel::ReadUncommitted => answer.high_watermark,
                });
                let records = match answer.records {
                    Some(Records::Memory(bytes)) if !bytes.is_empty() => bytes,
                    _ => return Ok(()),
                };
                let aborted = answer.aborted_transactions.unwrap_or_default();
                let aborted = aborted.iter().map(|aborted| (aborted.producer_id, aborted.first_offset)).collect();
                let fetched = Fetched::new(
                    tp.clone(),
                    asked.fetch_offset,
                    answer.high_watermark,
                    records,
                    aborted,
                    self.config.isolation_level,
                    self.config.check_crcs,
                )?;
                position.fetch = fetched.next_offset();
                self.buffered.push_back(fetched);
                Ok(())
            }
            ErrorCode::OffsetOutOfRange => self.reset(tp.clone()),
            code if code.is_retriable() || code == ErrorCode::UnknownTopicId => {
                self.cluster.forget_topic(&tp.topic);
                self.backoff.insert(tp.clone(), Instant::now() + BACKOFF);
                Ok(())
            }
            code => Err(Error::api(code, None)),
        }
    }

    /// The offset asked for does not exist (any more): start again where the configuration says.
    fn reset(&mut self, tp: TopicPartition) -> Result<()> {
        let Some(spec) = self.config.auto_offset_reset.spec() else {
            debug_assert_eq!(self.config.auto_offset_reset, OffsetReset::None);
            let message = format!("Fetch position is out of range for partition {tp}, and no reset policy is set");
            return Err(Error::api(ErrorCode::OffsetOutOfRange, Some(message)));
        };
        tracing::info!("fetch position of {tp} is out of range, resetting");
        let position = self.fresh_position(Some(Start::Find(spec)));
        self.partitions.insert(tp, position);
        Ok(())
    }

    /// Queues an event for the next poll.
    pub(super) fn announce(&mut self, event: Polled) {
        self.events.push_back(event);
    }
}
