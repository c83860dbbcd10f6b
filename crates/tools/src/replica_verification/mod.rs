//! `kafka-replica-verification`: whether all replicas of partitions hold the same records, and whole ones.
//!
//! Every replica of every partition is fetched from the same position as an ordinary consumer does, and the answers are
//! compared up to the high watermark ([`compare`]). With one replica that leaves its checksums and the continuity of its
//! offsets. Like the original, which Apache Kafka no longer has, it goes on until it is interrupted; `--once` ends it at
//! what the log held in the beginning.

mod compare;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bytes::Bytes;

use milena_client::admin::{ConfigResource, IsolationLevel, OffsetSpec, ResourceType};
use milena_client::{Cluster, Error, TopicPartition};
use milena_protocol::messages::{FetchRequest, FetchResponse, fetch_request, fetch_response};
use milena_protocol::{ErrorCode, Records};

use compare::{ReplicaAnswer, compare};

use crate::console_consumer::interrupt;
use crate::failure::Failure;
use crate::get_offsets::parse_time;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;
use crate::{Outcome, java_format, session};

/// Fetch names topics by name up to this version.
const FETCH_BY_NAME: i16 = 12;
/// Most bytes of one answer, unless one partition may have more.
const RESPONSE_BYTES_MAX: i32 = 64 * 1024 * 1024;
/// Pause after a round in which a broker or a partition could not answer.
const BACKOFF: Duration = Duration::from_millis(500);

const SYNTAX: Syntax = Syntax {
    purpose: "Validate that all replicas for a set of topics have the same data.",
    options: &[
        Opt::one("topics-include", "regex", "Regular expression of topics to verify. Defaults to all topics."),
        Opt::one("topic-white-list", "regex", "").replaced_by("topics-include"),
        Opt::one(
            "time",
            "timestamp",
            "Where to begin: a time in ms, or -1/latest (default), -2/earliest (default with --once).",
        ),
        Opt::one("fetch-size", "bytes", "The fetch size of each partition in a request. Defaults to 1048576."),
        Opt::one("max-wait-ms", "ms", "The longest time that a fetch waits for records. Defaults to 1000."),
        Opt::one("report-interval-ms", "ms", "Time between reports. Defaults to 30000."),
        Opt::flag("once", "Verify what the logs hold now, report, and exit with 1 if anything is wrong."),
        Opt::one("broker-list", "host:port", "").replaced_by("bootstrap-server"),
    ],
};

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(options) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let settings = Settings::of(&options)?;
    session::runtime()?.block_on(async {
        let cluster = match options.value("broker-list").filter(|_| !options.has("bootstrap-server")) {
            Some(servers) => {
                let properties = session::ClientProperties::read(&options, &["command-config"], &[])?;
                Cluster::connect(properties.client_config(Some(servers), "replicaVerificationTool")?).await?
            }
            None => session::connect_admin(&options).await?,
        };
        let Some(mut verification) = Verification::begin(&cluster, &options, settings, terminal).await? else {
            return Ok(1);
        };
        terminal.line(&format!("{}: verification process is started.", java_format::log_timestamp()));
        terminal.flush();
        tokio::select! {
            code = interrupt() => Ok(if verification.mistakes > 0 { 1 } else { code }),
            outcome = verification.run(terminal) => outcome,
        }
    })
}

/// What the options say.
struct Settings {
    fetch_size: i32,
    max_wait_ms: i32,
    report_interval: Duration,
    time: OffsetSpec,
    once: bool,
}

impl Settings {
    fn of(options: &Parsed) -> Result<Settings, Failure> {
        let once = options.has("once");
        let positive = |name: &str, default: i32| match options.number::<i32>(name)? {
            Some(number) if number <= 0 => Err(options.usage(format!("--{name} must be greater than 0"))),
            number => Ok(number.unwrap_or(default)),
        };
        Ok(Settings {
            fetch_size: positive("fetch-size", 1024 * 1024)?,
            max_wait_ms: positive("max-wait-ms", 1000)?,
            report_interval: Duration::from_millis(positive("report-interval-ms", 30_000)?.unsigned_abs().into()),
            time: parse_time(options.value("time").unwrap_or(if once { "earliest" } else { "latest" }))?,
            once,
        })
    }
}

/// How far a partition is verified.
struct Progress {
    replicas: Vec<i32>,
    /// The next offset to verify.
    position: i64,
    high_watermark: i64,
    /// Where to stop, if anywhere.
    target: Option<i64>,
    /// Whether no offset may be missing.
    continuous: bool,
    /// Nothing more can be verified.
    ended: bool,
}

impl Progress {
    fn lag(&self) -> i64 {
        (self.high_watermark - self.position).max(0)
    }

    fn is_done(&self) -> bool {
        self.ended || self.target.is_some_and(|target| self.position >= target)
    }
}

struct Verification<'a> {
    cluster: &'a Cluster,
    settings: Settings,
    partitions: BTreeMap<TopicPartition, Progress>,
    mistakes: u64,
    rounds: usize,
}

/// What the fetches of a round brought.
#[derive(Default)]
struct Round {
    answers: BTreeMap<TopicPartition, Vec<ReplicaAnswer>>,
    out_of_range: BTreeSet<TopicPartition>,
    /// Something did not answer and is worth another attempt.
    disturbed: bool,
}

impl<'a> Verification<'a> {
    /// Finds the partitions and where to begin in each; `None` when there are none.
    async fn begin(
        cluster: &'a Cluster,
        options: &Parsed,
        settings: Settings,
        terminal: &mut Terminal,
    ) -> Result<Option<Self>, Failure> {
        let pattern = options.value("topics-include").or(options.value("topic-white-list")).unwrap_or(".*");
        let pattern = java_format::topic_pattern(pattern)?;
        let metadata = cluster.refresh_metadata(None, false).await?;
        let mut replicas = BTreeMap::new();
        for topic in metadata.topics {
            let name = topic.name.unwrap_or_default();
            for partition in topic.partitions.into_iter().filter(|_| pattern.is_match(&name)) {
                replicas.insert(TopicPartition::new(&name, partition.partition_index), partition.replica_nodes);
            }
        }
        if replicas.is_empty() {
            terminal.error_line(
                "No topics found. --topics-include, if specified, is either filtering out all topics or there is no topic.",
            );
            return Ok(None);
        }
        let mut verification = Verification { cluster, settings, partitions: BTreeMap::new(), mistakes: 0, rounds: 0 };
        verification.find_positions(replicas, terminal).await?;
        Ok(Some(verification))
    }

    async fn find_positions(
        &mut self,
        replicas: BTreeMap<TopicPartition, Vec<i32>>,
        terminal: &mut Terminal,
    ) -> Result<(), Failure> {
        let compacted = compacted_topics(self.cluster, &replicas).await;
        let all = |spec| replicas.keys().map(|tp| (tp.clone(), spec)).collect::<Vec<_>>();
        let isolation = IsolationLevel::ReadUncommitted;
        let mut starts = self.cluster.list_offsets(&all(self.settings.time), isolation).await?;
        let mut ends = self.cluster.list_offsets(&all(OffsetSpec::LATEST), isolation).await?;
        for (tp, replicas) in replicas {
            let (start, end) = match (starts.remove(&tp), ends.remove(&tp)) {
                (Some(Ok(start)), Some(Ok(end))) => (start.offset, end.offset),
                (Some(Err(error)), _) | (_, Some(Err(error))) => {
                    self.mistake(&tp, &format!(" cannot be verified: {error}"), terminal);
                    continue;
                }
                _ => continue,
            };
            let progress = Progress {
                replicas,
                // No record is as young as that: only new ones are.
                position: if start < 0 { end } else { start },
                high_watermark: end,
                target: self.settings.once.then_some(end),
                continuous: compacted.as_ref().is_some_and(|compacted| !compacted.contains(&tp.topic)),
                ended: false,
            };
            self.partitions.insert(tp, progress);
        }
        Ok(())
    }

    async fn run(&mut self, terminal: &mut Terminal) -> Outcome {
        let (mut reported, mut advanced) = (Instant::now(), Instant::now());
        loop {
            if self.partitions.values().all(Progress::is_done) {
                self.report(terminal);
                return Ok(u8::from(self.mistakes > 0));
            }
            if self.settings.once && advanced.elapsed() >= self.settings.report_interval.max(4 * BACKOFF) {
                self.report_stuck(terminal);
                return Ok(1);
            }
            let round = self.fetch(terminal).await;
            if round.disturbed {
                tokio::time::sleep(BACKOFF).await;
            }
            if self.judge(round, terminal).await? {
                advanced = Instant::now();
            }
            if reported.elapsed() >= self.settings.report_interval {
                self.report(terminal);
                reported = Instant::now();
            }
            terminal.flush();
            if terminal.is_closed() {
                return Ok(u8::from(self.mistakes > 0));
            }
        }
    }

    /// One fetch to every broker, all at once.
    async fn fetch(&mut self, terminal: &mut Terminal) -> Round {
        let mut by_replica: BTreeMap<i32, Vec<(&TopicPartition, i64)>> = BTreeMap::new();
        for (tp, progress) in self.partitions.iter().filter(|(_, progress)| !progress.is_done()) {
            for replica in &progress.replicas {
                by_replica.entry(*replica).or_default().push((tp, progress.position));
            }
        }
        let mut pending = Vec::new();
        for (replica, mut wanted) in by_replica {
            // What comes first in a request is served first: nobody shall wait for ever behind the others.
            let turn = self.rounds % wanted.len();
            wanted.rotate_left(turn);
            let request = self.request(&wanted);
            let timeout = self.cluster.config().request_timeout
                + Duration::from_millis(self.settings.max_wait_ms.unsigned_abs().into());
            let sent = match self.cluster.node(replica).await {
                Ok(connection) => connection.pipeline(&request, FETCH_BY_NAME, timeout).await,
                Err(error) => Err(error),
            };
            pending.push((replica, sent));
        }
        self.rounds += 1;
        let mut round = Round::default();
        for (replica, sent) in pending {
            let answer = match sent {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            match answer.and_then(|answer| Error::check(answer.error_code, None).map(|()| answer)) {
                Ok(answer) => self.take(replica, answer, &mut round, terminal),
                Err(error) => {
                    terminal.error_line(&format!("Fetching from replica {replica} failed: {error}"));
                    round.disturbed = true;
                }
            }
        }
        round
    }

    fn request(&self, wanted: &[(&TopicPartition, i64)]) -> FetchRequest {
        let mut topics: Vec<fetch_request::Topic> = Vec::new();
        for (tp, position) in wanted {
            let partition = fetch_request::Partition {
                partition: tp.partition,
                current_leader_epoch: -1,
                fetch_offset: *position,
                last_fetched_epoch: -1,
                log_start_offset: -1,
                partition_max_bytes: self.settings.fetch_size,
                ..Default::default()
            };
            match topics.iter_mut().find(|topic| topic.topic == tp.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(fetch_request::Topic {
                    topic: tp.topic.clone(),
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        FetchRequest {
            replica_id: -1,
            max_wait_ms: self.settings.max_wait_ms,
            min_bytes: 1,
            max_bytes: RESPONSE_BYTES_MAX.max(self.settings.fetch_size),
            session_epoch: -1,
            topics,
            ..Default::default()
        }
    }

    /// Sorts the answer of one broker by partition.
    fn take(&mut self, replica: i32, answer: FetchResponse, round: &mut Round, terminal: &mut Terminal) {
        for topic in answer.responses {
            for partition in topic.partitions {
                let tp = TopicPartition::new(&topic.topic, partition.partition_index);
                match ErrorCode::from_code(partition.error_code) {
                    ErrorCode::None => {
                        round.answers.entry(tp).or_default().push(replica_answer(replica, partition));
                    }
                    ErrorCode::OffsetOutOfRange => {
                        round.out_of_range.insert(tp);
                    }
                    code if code.is_retriable() => round.disturbed = true,
                    code => {
                        let text = format!(" cannot be read on replica {replica}: {}", code.message());
                        self.mistake(&tp, &text, terminal);
                        self.end(&tp);
                    }
                }
            }
        }
    }

    /// Compares what a round brought; whether any partition got further.
    async fn judge(&mut self, round: Round, terminal: &mut Terminal) -> Result<bool, Failure> {
        let mut further = false;
        for (tp, answers) in round.answers {
            let Some(progress) = self.partitions.get_mut(&tp).filter(|p| answers.len() == p.replicas.len()) else {
                continue;
            };
            let compared = compare(progress.position, &answers, progress.continuous);
            further |= compared.position > progress.position;
            progress.position = compared.position;
            progress.high_watermark = compared.high_watermark;
            for finding in compared.findings {
                self.mistake(&tp, &finding.to_string(), terminal);
                if finding.ends_partition() {
                    self.end(&tp);
                }
            }
        }
        if !round.out_of_range.is_empty() {
            further |= self.follow_log_start(round.out_of_range, terminal).await?;
        }
        Ok(further)
    }

    /// Retention may have taken what was to be verified next; whether any partition could go on behind it.
    async fn follow_log_start(
        &mut self,
        partitions: BTreeSet<TopicPartition>,
        terminal: &mut Terminal,
    ) -> Result<bool, Failure> {
        let asked: Vec<_> = partitions.into_iter().map(|tp| (tp, OffsetSpec::EARLIEST)).collect();
        let mut further = false;
        for (tp, start) in self.cluster.list_offsets(&asked, IsolationLevel::ReadUncommitted).await? {
            let Some(progress) = self.partitions.get_mut(&tp) else { continue };
            if let Ok(start) = start
                && start.offset > progress.position
            {
                terminal.line(&format!(
                    "{}: partition {tp} begins at offset {} now, {} offsets were deleted before they were verified",
                    java_format::log_timestamp(),
                    start.offset,
                    start.offset - progress.position,
                ));
                progress.position = start.offset;
                further = true;
            }
        }
        Ok(further)
    }

    fn end(&mut self, tp: &TopicPartition) {
        if let Some(progress) = self.partitions.get_mut(tp) {
            progress.ended = true;
        }
    }

    fn mistake(&mut self, tp: &TopicPartition, text: &str, terminal: &mut Terminal) {
        self.mistakes += 1;
        terminal.line(&format!("{}: partition {tp}{text}", java_format::log_timestamp()));
    }

    fn report(&self, terminal: &mut Terminal) {
        let count = self.partitions.len();
        let slowest = self.partitions.iter().rev().max_by_key(|(_, progress)| progress.lag());
        if let Some((tp, progress)) = slowest {
            terminal.line(&format!(
                "{}: max lag is {} for partition {tp} at offset {} among {count} partitions",
                java_format::log_timestamp(),
                progress.lag(),
                progress.position,
            ));
        }
    }

    fn report_stuck(&mut self, terminal: &mut Terminal) {
        let stuck: Vec<_> = self.partitions.iter().filter(|(_, progress)| !progress.is_done()).collect();
        let stuck: Vec<_> = stuck.into_iter().map(|(tp, progress)| (tp.clone(), progress.position)).collect();
        for (tp, position) in stuck {
            self.mistake(&tp, &format!(" could not be verified beyond offset {position}"), terminal);
        }
        self.report(terminal);
    }
}

fn replica_answer(replica: i32, partition: fetch_response::Partition) -> ReplicaAnswer {
    let records = match partition.records {
        Some(Records::Memory(records)) => records,
        _ => Bytes::new(),
    };
    ReplicaAnswer { replica, high_watermark: partition.high_watermark, records }
}

/// Topics that may lack offsets because they are compacted; `None` when the cluster does not tell.
async fn compacted_topics(
    cluster: &Cluster,
    partitions: &BTreeMap<TopicPartition, Vec<i32>>,
) -> Option<BTreeSet<String>> {
    let topics: BTreeSet<&String> = partitions.keys().map(|tp| &tp.topic).collect();
    let resources: Vec<_> = topics
        .into_iter()
        .map(|topic| ConfigResource { resource_type: ResourceType::Topic, name: topic.clone() })
        .collect();
    let described = match cluster.describe_configs_of(&resources).await {
        Ok(described) if described.iter().all(|topic| topic.error_code == 0) => described,
        _ => return None,
    };
    let compacted = described.into_iter().filter(|topic| {
        topic.configs.iter().any(|config| {
            config.name == "cleanup.policy" && config.value.as_deref().is_some_and(|value| value.contains("compact"))
        })
    });
    Some(compacted.map(|topic| topic.resource_name).collect())
}
