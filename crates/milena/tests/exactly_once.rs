//! Consume, transform, produce with this project's own client, killed again and again together with the server: the copy
//! that readers of committed records see is exact, and in order.
//!
//! The killed process is this test binary again, running [`worker`].

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use milena_client::admin::{Committed, IsolationLevel};
use milena_client::consumer::{OffsetReset, Polled};
use milena_client::producer::Outgoing;
use milena_client::{ClientConfig, Cluster, Consumer, ConsumerConfig, Producer, ProducerConfig, TopicPartition};

const PARTITIONS: i32 = 3;
const RECORDS: usize = 3000;
const KILLS: usize = 8;
const DEADLINE: Duration = Duration::from_secs(180);
/// Where [`worker`] finds the server's address.
const ADDRESS: &str = "MILENA_TEST_WORKER_ADDRESS";

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

async fn cluster(address: &str) -> Outcome<Cluster> {
    Ok(Cluster::connect(ClientConfig::new(address)?).await?)
}

async fn reader(address: &str, group: &str, instance: Option<&str>) -> Outcome<Consumer> {
    let config = ConsumerConfig {
        group_id: Some(group.to_owned()),
        // A static member takes its place back at once.
        group_instance_id: instance.map(str::to_owned),
        auto_offset_reset: OffsetReset::Earliest,
        enable_auto_commit: false,
        isolation_level: IsolationLevel::ReadCommitted,
        max_partition_fetch_bytes: 2000,
        ..ConsumerConfig::default()
    };
    Ok(Consumer::new(cluster(address).await?, config))
}

async fn send(producer: &Producer, topic: &str, partition: i32, value: &[u8]) -> Outcome {
    let queue = producer.topic(topic).await?;
    let record = Outgoing { partition: Some(partition), timestamp: 1, key: None, value: Some(value), headers: &[] };
    producer.append(&queue, &record, 0).await?;
    Ok(())
}

/// Copies `input` to `output` until it is killed or something goes wrong; then it is started again.
async fn copy(address: &str) -> Outcome {
    let config = ProducerConfig { transactional_id: Some("copier".to_owned()), ..ProducerConfig::default() };
    let producer = Producer::new(cluster(address).await?, config, Box::new(|_| {}))?;
    producer.init_transactions().await?;
    let mut consumer = reader(address, "copiers", Some("copier")).await?;
    consumer.subscribe(vec!["input".to_owned()])?;
    loop {
        let Polled::Records(fetched) = consumer.poll(Duration::from_millis(200)).await? else { continue };
        producer.begin_transaction()?;
        let mut values = Vec::new();
        fetched.for_each(|read| {
            values.push(read.record.value.map(<[u8]>::to_vec).unwrap_or_default());
            Ok::<_, milena_client::Error>(true)
        })?;
        for value in values {
            send(&producer, "output", fetched.tp.partition, &value).await?;
        }
        let offsets = BTreeMap::from([(fetched.tp.clone(), Committed::at(fetched.next_offset()))]);
        let group = consumer.group_metadata().ok_or("no group")?;
        producer.send_offsets_to_transaction(&offsets, &group).await?;
        producer.commit_transaction().await?;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the process that the other test kills"]
async fn worker() -> Outcome {
    let Ok(address) = std::env::var(ADDRESS) else { return Ok(()) };
    copy(&address).await
}

/// A process that is started again after it was killed or has ended.
struct Restarted {
    command: Box<dyn Fn() -> Command>,
    process: Option<Child>,
}

impl Restarted {
    fn keep_running(&mut self) -> Outcome {
        let lives = matches!(self.process.as_mut().map(Child::try_wait), Some(Ok(None)));
        if !lives {
            let mut command = (self.command)();
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            self.process = Some(command.spawn()?);
        }
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

impl Drop for Restarted {
    fn drop(&mut self) {
        self.kill();
    }
}

fn server(data: &Path, port: u16) -> Restarted {
    let data = data.to_owned();
    let command = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_milena"));
        command.arg("server").arg("--data-dir").arg(&data);
        command.args(["--override", &format!("listeners=PLAINTEXT://127.0.0.1:{port}")]);
        command.args(["--override", "group.initial.rebalance.delay.ms=0"]);
        command.args(["--override", &format!("num.partitions={PARTITIONS}")]);
        command
    };
    Restarted { command: Box::new(command), process: None }
}

fn copier(address: String) -> Restarted {
    let command = move || {
        let mut command = Command::new(std::env::current_exe().unwrap_or_default());
        command.args(["--exact", "worker", "--ignored"]).env(ADDRESS, &address);
        command
    };
    Restarted { command: Box::new(command), process: None }
}

fn start(server: &mut Restarted, port: u16) -> Outcome {
    server.keep_running()?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if Instant::now() > deadline {
            return Err("the server does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn expected(partition: i32) -> Vec<usize> {
    (0..RECORDS).filter(|number| (*number as i32) % PARTITIONS == partition).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_exact_however_often_client_and_server_are_killed() -> Outcome {
    let directory = tempfile::tempdir()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = format!("127.0.0.1:{port}");
    let mut server = server(directory.path(), port);
    start(&mut server, port)?;
    let source = Producer::new(cluster(&address).await?, ProducerConfig::default(), Box::new(|_| {}))?;
    for number in 0..RECORDS {
        send(&source, "input", (number as i32) % PARTITIONS, number.to_string().as_bytes()).await?;
    }
    source.topic("output").await?;
    source.flush().await;
    source.close().await;

    let mut reader = reader(&address, "readers", None).await?;
    reader.assign((0..PARTITIONS).map(|partition| (TopicPartition::new("output", partition), None)).collect());
    let mut copier = copier(address);
    let mut copies: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    let (mut count, mut kills) = (0, 0);
    let deadline = Instant::now() + DEADLINE;
    let mut quiet_since = Instant::now();
    while count < RECORDS || quiet_since.elapsed() < Duration::from_secs(2) {
        if Instant::now() > deadline {
            return Err(format!("{count} of {RECORDS} after {kills} kills").into());
        }
        copier.keep_running()?;
        // The reader's own connection breaks with the server; it goes on where it was.
        if let Ok(Polled::Records(fetched)) = reader.poll(Duration::from_millis(100)).await {
            let partition = copies.entry(fetched.tp.partition).or_default();
            fetched.for_each(|read| {
                let text = String::from_utf8_lossy(read.record.value.unwrap_or_default()).into_owned();
                partition.push(text.parse().unwrap_or(usize::MAX));
                Ok::<_, milena_client::Error>(true)
            })?;
            count = copies.values().map(Vec::len).sum();
            quiet_since = Instant::now();
        }
        // A kill for every share of the work; every third one hits the server.
        if kills < KILLS && count >= RECORDS * kills / KILLS {
            kills += 1;
            if kills % 3 == 0 {
                server.kill();
                start(&mut server, port)?;
            } else {
                copier.kill();
            }
        }
    }
    assert_eq!(kills, KILLS);
    for partition in 0..PARTITIONS {
        assert_eq!(copies[&partition], expected(partition), "partition {partition}");
    }
    Ok(())
}
