//! The official Rust client, `confluent-kafka`: it knows only the new consumer protocol (KIP-848) and recent API
//! versions, so it meets parts of the server that older clients do not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use confluent_kafka::admin::{AdminClient, AdminClientConfig, NewTopic};
use confluent_kafka::common::TopicPartition;
use confluent_kafka::common::serialization::{StringDeserializer, StringSerializer};
use confluent_kafka::consumer::{Consumer, ConsumerConfig, KafkaConsumer};
use confluent_kafka::producer::{KafkaProducer, Producer, ProducerConfig, ProducerRecord};
use system_tests::Server;

const DEADLINE: Duration = Duration::from_secs(60);

fn options(server: &Server, more: &[(&str, &str)]) -> HashMap<String, String> {
    let mut options = HashMap::from([("bootstrap.servers".to_owned(), server.bootstrap())]);
    options.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    options
}

fn producer(server: &Server, more: &[(&str, &str)]) -> anyhow::Result<KafkaProducer<String, String>> {
    let config = ProducerConfig::new(&options(server, more))?;
    Ok(KafkaProducer::new(config, StringSerializer::default(), StringSerializer::default())?)
}

fn consumer(server: &Server, group: &str) -> anyhow::Result<KafkaConsumer<String, String>> {
    let fixed = [
        ("group.id", group),
        ("group.protocol", "consumer"),
        ("auto.offset.reset", "earliest"),
        ("enable.auto.commit", "false"),
    ];
    let config = ConsumerConfig::new(&options(server, &fixed))?;
    Ok(KafkaConsumer::new(config, StringDeserializer::default(), StringDeserializer::default())?)
}

async fn create_topic(server: &Server, name: &str, partitions: i32) -> anyhow::Result<()> {
    let admin = AdminClient::create(AdminClientConfig::new(&options(server, &[]))?)?;
    let topic = NewTopic::with_num_partitions_replication_factor(name, Some(partitions), Some(1));
    admin.create_topics(&[topic]).all().get().await?;
    admin.close().await;
    Ok(())
}

/// Reads until `count` records are there: value by (partition, offset).
async fn read(
    consumer: &mut KafkaConsumer<String, String>,
    count: usize,
) -> anyhow::Result<BTreeMap<(i32, i64), String>> {
    let mut seen = BTreeMap::new();
    let deadline = Instant::now() + DEADLINE;
    while seen.len() < count {
        anyhow::ensure!(Instant::now() < deadline, "{} of {count} records after {DEADLINE:?}", seen.len());
        for record in consumer.poll(Duration::from_millis(200)).await? {
            let value = record.value().cloned().unwrap_or_default();
            let before = seen.insert((record.partition(), record.offset()), value);
            anyhow::ensure!(before.is_none(), "read twice: {}-{}", record.partition(), record.offset());
        }
    }
    Ok(seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_comes_back_through_a_consumer_group() -> anyhow::Result<()> {
    let server = Server::start(&[])?;
    create_topic(&server, "codecs", 3).await?;
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        let producer =
            producer(&server, &[("compression.type", codec), ("enable.idempotence", "true"), ("acks", "all")])?;
        let mut sent = Vec::new();
        for number in 0..100 {
            let record = ProducerRecord::with_key(
                "codecs".to_owned(),
                Some(format!("{number}")),
                Some(format!("{codec}-{number}")),
            );
            sent.push(producer.send(record).await?);
        }
        producer.flush().await?;
        for future in sent {
            assert!(future.get().await?.has_offset());
        }
        producer.close().await?;
    }
    let mut consumer = consumer(&server, "readers")?;
    consumer.subscribe_with_topics(vec!["codecs".to_owned()]).await?;
    let seen = read(&mut consumer, 500).await?;
    let values: BTreeSet<_> = seen.into_values().collect();
    let expected: BTreeSet<_> =
        codecs.iter().flat_map(|codec| (0..100).map(move |number| format!("{codec}-{number}"))).collect();
    assert_eq!(values, expected);
    consumer.commit_sync().await?;
    consumer.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn committed_offsets_and_records_survive_a_kill() -> anyhow::Result<()> {
    let mut server = Server::start(&[])?;
    create_topic(&server, "kept", 1).await?;
    let producer = producer(&server, &[("acks", "all")])?;
    for number in 0..50 {
        producer.send(ProducerRecord::new("kept".to_owned(), Some(number.to_string()))).await?.get().await?;
    }
    let mut first = consumer(&server, "g")?;
    first.subscribe_with_topics(vec!["kept".to_owned()]).await?;
    assert_eq!(read(&mut first, 50).await?.len(), 50);
    first.commit_sync().await?;
    first.close().await?;

    server.kill_and_restart()?;

    producer.send(ProducerRecord::new("kept".to_owned(), Some("new".to_owned()))).await?.get().await?;
    let mut second = consumer(&server, "g")?;
    second.subscribe_with_topics(vec!["kept".to_owned()]).await?;
    assert_eq!(read(&mut second, 1).await?, BTreeMap::from([((0, 50), "new".to_owned())]));
    second.close().await?;
    let mut replay = consumer(&server, "another")?;
    replay.subscribe_with_topics(vec!["kept".to_owned()]).await?;
    assert_eq!(read(&mut replay, 51).await?.len(), 51);
    replay.close().await?;
    producer.close().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_members_share_the_partitions() -> anyhow::Result<()> {
    let server = Server::start(&[
        ("group.consumer.heartbeat.interval.ms", "500"),
        ("group.consumer.min.heartbeat.interval.ms", "500"),
    ])?;
    create_topic(&server, "shared", 4).await?;
    let mut first = consumer(&server, "pair")?;
    let mut second = consumer(&server, "pair")?;
    first.subscribe_with_topics(vec!["shared".to_owned()]).await?;
    second.subscribe_with_topics(vec!["shared".to_owned()]).await?;
    let all: BTreeSet<i32> = (0..4).collect();
    let deadline = Instant::now() + DEADLINE;
    loop {
        first.poll(Duration::from_millis(50)).await?;
        second.poll(Duration::from_millis(50)).await?;
        let (one, two) = (partitions(&first.assignment()), partitions(&second.assignment()));
        if one.len() == 2 && two.len() == 2 {
            assert_eq!(one.union(&two).copied().collect::<BTreeSet<_>>(), all);
            break;
        }
        anyhow::ensure!(Instant::now() < deadline, "no balance: {one:?} and {two:?}");
    }
    second.close().await?;
    while partitions(&first.assignment()) != all {
        first.poll(Duration::from_millis(50)).await?;
        anyhow::ensure!(Instant::now() < deadline + DEADLINE, "the partitions of the one that left are not taken over");
    }
    first.close().await?;
    Ok(())
}

fn partitions(assignment: &std::collections::HashSet<TopicPartition>) -> BTreeSet<i32> {
    assignment.iter().map(TopicPartition::partition).collect()
}
