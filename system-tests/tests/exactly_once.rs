//! Consume, transform, produce with the official Rust client, killed again and again together with the server: with
//! transactions the copy is exact, and with offsets that are committed after the records nothing is lost.
//!
//! The killed process is this test binary again, running [`worker`].

use std::collections::{BTreeSet, HashMap};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use confluent_kafka::admin::{AdminClient, AdminClientConfig, NewTopic};
use confluent_kafka::common::TopicPartition;
use confluent_kafka::common::serialization::{StringDeserializer, StringSerializer};
use confluent_kafka::consumer::{Consumer, ConsumerConfig, KafkaConsumer, OffsetAndMetadata};
use confluent_kafka::producer::{KafkaProducer, Producer, ProducerConfig, ProducerRecord};
use system_tests::Server;

const PARTITIONS: i32 = 3;
const RECORDS: usize = 3000;
const KILLS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(180);

/// Where [`worker`] finds the server's address and whether it works with transactions.
const ADDRESS: &str = "MILENA_TEST_WORKER_ADDRESS";
const TRANSACTIONAL: &str = "MILENA_TEST_WORKER_TRANSACTIONAL";

/// A member that was killed makes room soon.
const QUICK_SESSIONS: &[(&str, &str)] = &[
    ("group.consumer.session.timeout.ms", "1500"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.heartbeat.interval.ms", "300"),
    ("group.consumer.min.heartbeat.interval.ms", "300"),
    ("group.consumer.assignment.interval.ms", "0"),
];

fn options(address: &str, more: &[(&str, &str)]) -> HashMap<String, String> {
    let mut options = HashMap::from([("bootstrap.servers".to_owned(), address.to_owned())]);
    options.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    options
}

fn producer(address: &str, more: &[(&str, &str)]) -> anyhow::Result<KafkaProducer<String, String>> {
    let config = ProducerConfig::new(&options(address, more))?;
    Ok(KafkaProducer::new(config, StringSerializer::default(), StringSerializer::default())?)
}

fn consumer(address: &str, group: &str) -> anyhow::Result<KafkaConsumer<String, String>> {
    let fixed = [
        ("group.id", group),
        ("group.protocol", "consumer"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
        ("isolation.level", "read_committed"),
        ("max.poll.records", "60"),
    ];
    let config = ConsumerConfig::new(&options(address, &fixed))?;
    Ok(KafkaConsumer::new(config, StringDeserializer::default(), StringDeserializer::default())?)
}

/// Copies `input` to `output` until it is killed or something goes wrong; then it is started again.
async fn copy(address: &str, transactional: bool) -> anyhow::Result<()> {
    let settings = [("transactional.id", "copier"), ("transaction.timeout.ms", "20000")];
    let producer = producer(address, if transactional { &settings } else { &[] })?;
    if transactional {
        producer.init_transactions().await?;
    }
    let mut consumer = consumer(address, "copiers")?;
    consumer.subscribe_with_topics(vec!["input".to_owned()]).await?;
    loop {
        let mut offsets = HashMap::new();
        let records = consumer.poll(Duration::from_millis(200)).await?;
        let mut sent = Vec::new();
        for record in records {
            if transactional && offsets.is_empty() {
                producer.begin_transaction()?;
            }
            let copied = ProducerRecord::new("output".to_owned(), record.value().cloned());
            sent.push(producer.send(copied).await?);
            let partition = TopicPartition::new("input", record.partition());
            offsets.insert(partition, OffsetAndMetadata::new(record.offset() + 1)?);
        }
        if offsets.is_empty() {
            continue;
        }
        if transactional {
            producer.send_offsets_to_transaction(offsets, &*consumer.group_metadata()).await?;
            producer.commit_transaction().await?;
        } else {
            for future in sent {
                future.get().await?;
            }
            consumer.commit_sync().await?;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that the other tests kill"]
async fn worker() -> anyhow::Result<()> {
    let Ok(address) = std::env::var(ADDRESS) else { return Ok(()) };
    copy(&address, std::env::var_os(TRANSACTIONAL).is_some()).await
}

/// The worker's process, started again whenever it has ended.
struct Worker {
    address: String,
    transactional: bool,
    process: Option<Child>,
}

impl Worker {
    fn keep_running(&mut self) -> anyhow::Result<()> {
        if let Some(process) = &mut self.process
            && process.try_wait()?.is_none()
        {
            return Ok(());
        }
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", "worker", "--ignored"]).env(ADDRESS, &self.address);
        if self.transactional {
            command.env(TRANSACTIONAL, "1");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn()?);
        Ok(())
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Lets a worker copy everything while it and the server are killed; returns the copies, in no particular order.
async fn copies_through_kills(transactional: bool) -> anyhow::Result<Vec<String>> {
    let mut server = Server::start(QUICK_SESSIONS)?;
    let address = server.bootstrap();
    let admin = AdminClient::create(AdminClientConfig::new(&options(&address, &[]))?)?;
    let topic = |name| NewTopic::with_num_partitions_replication_factor(name, Some(PARTITIONS), Some(1));
    admin.create_topics(&[topic("input"), topic("output")]).all().get().await?;
    admin.close().await;
    let source = producer(&address, &[])?;
    let mut sent = Vec::new();
    for number in 0..RECORDS {
        let record = ProducerRecord::with_key("input".to_owned(), Some(number.to_string()), Some(number.to_string()));
        sent.push(source.send(record).await?);
    }
    source.flush().await?;
    for future in sent {
        future.get().await?;
    }
    source.close().await?;

    let mut reader = consumer(&address, "reader")?;
    reader.subscribe_with_topics(vec!["output".to_owned()]).await?;
    let mut worker = Worker { address, transactional, process: None };
    let (mut copies, mut distinct, mut kills) = (Vec::new(), BTreeSet::new(), 0);
    let deadline = Instant::now() + DEADLINE;
    while distinct.len() < RECORDS {
        anyhow::ensure!(Instant::now() < deadline, "{} of {RECORDS} after {kills} kills", distinct.len());
        worker.keep_running()?;
        for record in reader.poll(Duration::from_millis(100)).await? {
            let value = record.value().cloned().unwrap_or_default();
            distinct.insert(value.clone());
            copies.push(value);
        }
        // A kill for every share of the work; every third one hits the server.
        if kills < KILLS && distinct.len() >= RECORDS * kills / KILLS {
            kills += 1;
            match kills % 3 {
                0 => server.kill_and_restart()?,
                _ => worker.kill(),
            }
        }
    }
    anyhow::ensure!(kills == KILLS, "only {kills} kills");
    // What comes late would be a copy too many.
    let quiet = Instant::now() + Duration::from_secs(2);
    while Instant::now() < quiet {
        let late = reader.poll(Duration::from_millis(200)).await?;
        copies.extend(late.into_iter().map(|record| record.value().cloned().unwrap_or_default()));
    }
    reader.close().await?;
    Ok(copies)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transactional_copy_is_exact_however_often_client_and_server_are_killed() -> anyhow::Result<()> {
    let mut copies: Vec<usize> =
        copies_through_kills(true).await?.iter().map(|copy| copy.parse()).collect::<Result<_, _>>()?;
    copies.sort_unstable();
    assert_eq!(copies, (0..RECORDS).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_commits_after_the_records_loses_nothing() -> anyhow::Result<()> {
    let copies: BTreeSet<usize> =
        copies_through_kills(false).await?.iter().map(|copy| copy.parse()).collect::<Result<_, _>>()?;
    assert_eq!(copies, (0..RECORDS).collect());
    Ok(())
}
