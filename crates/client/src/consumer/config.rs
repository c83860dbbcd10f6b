//! Settings of a consumer, under Kafka's property names.

use std::time::Duration;

use bytes::Bytes;

use crate::admin::{IsolationLevel, OffsetSpec};
use crate::config::{parse_bool, parse_millis, parse_number};
use crate::error::{Error, Result};

use super::assignor::Assignor;

/// Where a partition without a committed offset is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// From its first record.
    Earliest,
    /// From what comes next.
    Latest,
    /// It is an error.
    None,
}

impl OffsetReset {
    pub(super) fn spec(self) -> Option<OffsetSpec> {
        match self {
            OffsetReset::Earliest => Some(OffsetSpec::EARLIEST),
            OffsetReset::Latest => Some(OffsetSpec::LATEST),
            OffsetReset::None => None,
        }
    }
}

/// How members of a group agree on who reads what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupProtocol {
    /// A member assigns (JoinGroup, SyncGroup).
    Classic,
    /// The coordinator assigns (KIP-848).
    Consumer,
}

/// How to read, and how to behave in a group.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// `group.id`.
    pub group_id: Option<String>,
    /// `group.instance.id`: a static member.
    pub group_instance_id: Option<String>,
    /// `group.protocol`; default classic.
    pub group_protocol: GroupProtocol,
    /// `group.remote.assignor`; the coordinator's choice by default.
    pub group_remote_assignor: Option<String>,
    /// Keys that were set and mean nothing when the coordinator assigns.
    pub classic_only: Vec<&'static str>,
    /// `auto.offset.reset`; default latest.
    pub auto_offset_reset: OffsetReset,
    /// `enable.auto.commit`; default on.
    pub enable_auto_commit: bool,
    /// `auto.commit.interval.ms`; default 5 s.
    pub auto_commit_interval: Duration,
    /// `session.timeout.ms`; default 45 s.
    pub session_timeout: Duration,
    /// `heartbeat.interval.ms`; default 3 s.
    pub heartbeat_interval: Duration,
    /// `max.poll.interval.ms`: how long a rebalance waits for this member; default 5 min.
    pub max_poll_interval: Duration,
    /// `fetch.min.bytes`; default 1.
    pub fetch_min_bytes: i32,
    /// `fetch.max.wait.ms`; default 500 ms.
    pub fetch_max_wait: Duration,
    /// `fetch.max.bytes`; default 50 MiB.
    pub fetch_max_bytes: i32,
    /// `max.partition.fetch.bytes`; default 1 MiB.
    pub max_partition_fetch_bytes: i32,
    /// `isolation.level`; default read_uncommitted.
    pub isolation_level: IsolationLevel,
    /// `check.crcs`; default on.
    pub check_crcs: bool,
    /// `partition.assignment.strategy`; default range, then cooperative-sticky.
    pub assignors: Vec<Assignor>,
    /// `allow.auto.create.topics`; default on.
    pub allow_auto_create_topics: bool,
    /// `client.rack`.
    pub rack: Option<String>,
    /// What members of a classic group tell of themselves beside their topics: whoever describes the group sees it.
    pub user_data: Option<Bytes>,
    /// `metadata.max.age.ms`: how often subscribed patterns look for new topics; default 5 min.
    pub metadata_max_age: Duration,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        ConsumerConfig {
            group_id: None,
            group_instance_id: None,
            group_protocol: GroupProtocol::Classic,
            group_remote_assignor: None,
            classic_only: Vec::new(),
            auto_offset_reset: OffsetReset::Latest,
            enable_auto_commit: true,
            auto_commit_interval: Duration::from_secs(5),
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            fetch_max_bytes: 52_428_800,
            max_partition_fetch_bytes: 1_048_576,
            isolation_level: IsolationLevel::ReadUncommitted,
            check_crcs: true,
            assignors: vec![Assignor::Range, Assignor::CooperativeSticky],
            allow_auto_create_topics: true,
            rack: None,
            user_data: None,
            metadata_max_age: Duration::from_secs(300),
        }
    }
}

impl ConsumerConfig {
    /// Takes one consumer property; returns whether the key belongs to this table.
    ///
    /// # Errors
    /// [`Error::Config`] when the value is malformed.
    pub fn set(&mut self, key: &str, value: &str) -> Result<bool> {
        const CLASSIC_ONLY: [&str; 3] =
            ["partition.assignment.strategy", "heartbeat.interval.ms", "session.timeout.ms"];
        self.classic_only.extend(CLASSIC_ONLY.iter().find(|classic| **classic == key));
        match key {
            "group.protocol" => self.group_protocol = parse_protocol(value)?,
            "group.remote.assignor" => self.group_remote_assignor = Some(value.to_owned()),
            "group.id" => self.group_id = Some(value.to_owned()),
            "group.instance.id" => self.group_instance_id = Some(value.to_owned()),
            "auto.offset.reset" => self.auto_offset_reset = parse_reset(value)?,
            "enable.auto.commit" => self.enable_auto_commit = parse_bool(key, value)?,
            "auto.commit.interval.ms" => self.auto_commit_interval = parse_millis(key, value)?,
            "session.timeout.ms" => self.session_timeout = parse_millis(key, value)?,
            "heartbeat.interval.ms" => self.heartbeat_interval = parse_millis(key, value)?,
            "max.poll.interval.ms" => self.max_poll_interval = parse_millis(key, value)?,
            "fetch.min.bytes" => self.fetch_min_bytes = parse_number(key, value)?,
            "fetch.max.wait.ms" => self.fetch_max_wait = parse_millis(key, value)?,
            "fetch.max.bytes" => self.fetch_max_bytes = parse_number(key, value)?,
            "max.partition.fetch.bytes" => self.max_partition_fetch_bytes = parse_number(key, value)?,
            "isolation.level" => self.isolation_level = parse_isolation(value)?,
            "check.crcs" => self.check_crcs = parse_bool(key, value)?,
            "partition.assignment.strategy" => {
                self.assignors = value.split(',').map(|name| name.trim().parse()).collect::<Result<_>>()?;
            }
            "allow.auto.create.topics" => self.allow_auto_create_topics = parse_bool(key, value)?,
            "client.rack" => self.rack = Some(value.to_owned()),
            "metadata.max.age.ms" => self.metadata_max_age = parse_millis(key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn parse_protocol(value: &str) -> Result<GroupProtocol> {
    match value.trim().to_ascii_lowercase().as_str() {
        "classic" => Ok(GroupProtocol::Classic),
        "consumer" => Ok(GroupProtocol::Consumer),
        _ => Err(Error::Config(format!(
            "Invalid value {value} for configuration group.protocol: String must be one of (case insensitive): CLASSIC, CONSUMER"
        ))),
    }
}

fn parse_reset(value: &str) -> Result<OffsetReset> {
    match value.trim().to_ascii_lowercase().as_str() {
        "earliest" | "smallest" => Ok(OffsetReset::Earliest),
        "latest" | "largest" => Ok(OffsetReset::Latest),
        "none" => Ok(OffsetReset::None),
        _ => Err(Error::Config(format!("Invalid value {value} for configuration auto.offset.reset"))),
    }
}

fn parse_isolation(value: &str) -> Result<IsolationLevel> {
    match value.trim().to_ascii_lowercase().as_str() {
        "read_committed" => Ok(IsolationLevel::ReadCommitted),
        "read_uncommitted" => Ok(IsolationLevel::ReadUncommitted),
        _ => Err(Error::Config(format!(
            "Invalid value {value} for configuration isolation.level: String must be one of: read_committed, read_uncommitted"
        ))),
    }
}
