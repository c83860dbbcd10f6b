//! A broker in a temporary directory and a client that speaks raw frames to it.
#![allow(dead_code, reason = "each test file uses a part of the harness")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use milena_broker::{Broker, RunningBroker, StartError};
use milena_metadata::BrokerConfig;
use milena_protocol::compression::Compression;
use milena_protocol::messages::create_topics_request::Topic;
use milena_protocol::messages::{
    CreateTopicsRequest, FetchRequest, FetchResponse, MetadataRequest, ProduceRequest, ProduceResponse, fetch_request,
    produce_request,
};
use milena_protocol::record::{BatchBuilder, BatchOptions, batches};
use milena_protocol::{ApiKey, Message, Reader, Records, Request, RequestHeader, ResponseHeader, Uuid, encode_request};
use milena_stdx::{ShutdownToken, SystemClock};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No step of a test may take longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A broker on a free port. Its data survive [`TestBroker::restart`].
pub struct TestBroker {
    data: TempDir,
    overrides: Vec<(String, String)>,
    stop: ShutdownToken,
    running: Option<RunningBroker>,
}

impl TestBroker {
    /// Starts a broker with defaults.
    pub async fn start() -> TestBroker {
        TestBroker::start_with(&[]).await
    }

    /// Starts a broker with some configuration keys set.
    pub async fn start_with(overrides: &[(&str, &str)]) -> TestBroker {
        let overrides = overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let data = tempfile::tempdir().expect("a temporary directory");
        let mut broker = TestBroker { data, overrides, stop: ShutdownToken::new(), running: None };
        broker.launch().await;
        broker
    }

    async fn launch(&mut self) {
        let data_dir = self.data_dir();
        let mut pairs = vec![
            ("listeners", "PLAINTEXT://127.0.0.1:0"),
            ("log.dirs", data_dir),
            ("group.initial.rebalance.delay.ms", "0"),
        ];
        pairs.extend(self.overrides.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let config = BrokerConfig::from_pairs(&pairs).expect("a valid configuration");
        self.stop = ShutdownToken::new();
        let config = Arc::new(config);
        let deadline = Instant::now() + PATIENCE;
        // A predecessor's last tasks let go of its files a moment after it has stopped.
        self.running = loop {
            match Broker::start(config.clone(), self.stop.clone()).await {
                Ok(running) => break Some(running),
                Err(StartError::Metadata(_)) if Instant::now() < deadline => tokio::task::yield_now().await,
                Err(error) => panic!("the broker does not start: {error}"),
            }
        };
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.addresses()[0]
    }

    /// Where clients connect, by listener.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.running.as_ref().expect("a running broker").addresses()
    }

    /// The directory with all its data.
    pub fn data_dir(&self) -> &str {
        self.data.path().to_str().expect("a printable path")
    }

    /// The parts of the running broker.
    pub fn broker(&self) -> &Arc<Broker> {
        self.running.as_ref().expect("a running broker").broker()
    }

    /// Stops the broker in good order.
    pub async fn stop(&mut self) {
        self.stop.cancel();
        if let Some(running) = self.running.take() {
            running.stopped().await;
        }
    }

    /// Stops and starts again over the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.launch().await;
    }

    /// A new connection.
    pub async fn connect(&self) -> RawClient {
        RawClient::connect(self.address()).await
    }

    /// Creates a topic with one replica.
    pub async fn create_topic(&self, name: &str, partitions: i32) -> Uuid {
        self.create_topic_with(name, partitions, &[]).await
    }

    /// Creates a topic with configuration.
    pub async fn create_topic_with(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
        let mut client = self.connect().await;
        let configs = configs.iter().map(|(key, value)| milena_protocol::messages::create_topics_request::Config {
            name: (*key).to_owned(),
            value: Some((*value).to_owned()),
        });
        let topic = Topic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 5000, ..Default::default() };
        let response = client.send(7, &request).await;
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
        response.topics[0].topic_id
    }
}

/// One connection that sends what it is told, well-formed or not.
pub struct RawClient {
    stream: TcpStream,
    next_correlation_id: i32,
}

impl RawClient {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> RawClient {
        let stream = TcpStream::connect(address).await.expect("the broker accepts");
        stream.set_nodelay(true).expect("a connected socket");
        RawClient { stream, next_correlation_id: 1 }
    }

    /// Sends a request and reads its response.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let correlation_id = self.send_only(version, request).await;
        let (answered, response) = self.receive::<R>(version).await;
        assert_eq!(answered, correlation_id);
        response
    }

    /// Sends a request without waiting; returns its correlation id.
    pub async fn send_only<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        self.send_bytes(&frame(version, correlation_id, request)).await;
        correlation_id
    }

    /// Sends bytes as they are.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the broker reads");
    }

    /// Sends bytes; the broker may have closed the connection already.
    pub async fn try_send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Reads one response and its correlation id.
    pub async fn receive<R: Request>(&mut self, version: i16) -> (i32, R::Response) {
        let frame = self.receive_frame().await.expect("a response");
        decode_response::<R>(frame, version)
    }

    /// Reads one frame, `None` when the broker closed the connection.
    pub async fn receive_frame(&mut self) -> Option<Bytes> {
        tokio::time::timeout(PATIENCE, async {
            let length = self.stream.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(length).expect("a length")];
            self.stream.read_exact(&mut frame).await.expect("a whole frame");
            Some(Bytes::from(frame))
        })
        .await
        .expect("the broker answers or closes in time")
    }

    /// True when the broker closes the connection without sending anything more.
    pub async fn is_closed_by_broker(&mut self) -> bool {
        self.receive_frame().await.is_none()
    }

    /// Produces one batch to partition 0 with acks=all.
    pub async fn produce(&mut self, topic: &str, batch: Bytes) -> produce_outcome::Outcome {
        self.produce_to(topic, 0, batch).await
    }

    /// Produces one batch with acks=all.
    pub async fn produce_to(&mut self, topic: &str, partition: i32, batch: Bytes) -> produce_outcome::Outcome {
        let response = self.send(9, &produce_request(topic, partition, -1, batch)).await;
        produce_outcome::of(&response)
    }

    /// Fetches from one partition with the given wait and minimum.
    pub async fn fetch(&mut self, topic: &str, offset: i64, max_wait_ms: i32) -> fetch_outcome::Outcome {
        let response = self.send(12, &fetch_request(topic, 0, offset, max_wait_ms)).await;
        fetch_outcome::of(&response)
    }

    /// Waits for metadata that knows the topic (creating it on the way).
    pub async fn metadata(&mut self, topic: &str) -> milena_protocol::messages::MetadataResponse {
        let topic =
            milena_protocol::messages::metadata_request::Topic { name: Some(topic.to_owned()), ..Default::default() };
        let request =
            MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: true, ..Default::default() };
        self.send(12, &request).await
    }
}

/// A request frame.
pub fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> Bytes {
    let header = RequestHeader {
        api_key: R::KEY.code(),
        api_version: version,
        correlation_id,
        client_id: Some("test".to_owned()),
    };
    encode_request(&header, request).expect("an encodable request").to_bytes().expect("memory only")
}

/// Decodes a response frame without its length.
pub fn decode_response<R: Request>(frame: Bytes, version: i16) -> (i32, R::Response) {
    let mut reader = Reader::new(frame);
    let header = ResponseHeader::decode(&mut reader, R::KEY, version).expect("a response header");
    let response = R::Response::decode(&mut reader, version).expect("a response body");
    (header.correlation_id, response)
}

/// A batch with one record a value, without producer id.
pub fn batch(values: &[&str]) -> Bytes {
    batch_of(BatchOptions::default(), values)
}

/// A batch of an idempotent producer.
pub fn idempotent_batch(producer_id: i64, epoch: i16, base_sequence: i32, values: &[&str]) -> Bytes {
    let options = BatchOptions { producer_id, producer_epoch: epoch, base_sequence, ..BatchOptions::default() };
    batch_of(options, values)
}

/// A compressed batch.
pub fn compressed_batch(compression: Compression, values: &[&str]) -> Bytes {
    batch_of(BatchOptions { compression, ..BatchOptions::default() }, values)
}

fn batch_of(options: BatchOptions, values: &[&str]) -> Bytes {
    let now = milena_stdx::Clock::now_ms(&SystemClock);
    let mut builder = BatchBuilder::new(options);
    for value in values {
        builder.append(now, None, Some(value.as_bytes()), &[]);
    }
    builder.build().expect("a batch")
}

/// The values of all records, in order.
pub fn values_of(records: &Bytes) -> Vec<String> {
    let mut values = Vec::new();
    for batch in batches(records) {
        let batch = batch.expect("a whole batch");
        assert!(batch.verify_crc(), "the CRC survives the broker's changes to the header");
        for record in batch.records(1 << 24).expect("records") {
            let value = record.expect("a record").value.expect("a value");
            values.push(String::from_utf8(value.to_vec()).expect("text"));
        }
    }
    values
}

/// A produce request for one partition.
pub fn produce_request(topic: &str, partition: i32, acks: i16, batch: Bytes) -> ProduceRequest {
    let data = produce_request::PartitionData { index: partition, records: Some(Records::Memory(batch)) };
    let topic = produce_request::TopicData { name: topic.to_owned(), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks, timeout_ms: 10_000, topic_data: vec![topic], ..Default::default() }
}

/// A fetch request for one partition.
pub fn fetch_request(topic: &str, partition: i32, offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = fetch_request::Partition {
        partition,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = fetch_request::Topic { topic: topic.to_owned(), partitions: vec![partition], ..Default::default() };
    FetchRequest { max_wait_ms, min_bytes: 1, topics: vec![topic], ..Default::default() }
}

/// What a produce request to one partition led to.
pub mod produce_outcome {
    use super::ProduceResponse;

    /// The partition's answer.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Outcome {
        pub error_code: i16,
        pub base_offset: i64,
    }

    /// Takes the only partition of the response.
    pub fn of(response: &ProduceResponse) -> Outcome {
        let partition = &response.responses[0].partition_responses[0];
        Outcome { error_code: partition.error_code, base_offset: partition.base_offset }
    }
}

/// What a fetch of one partition led to.
pub mod fetch_outcome {
    use super::{FetchResponse, values_of};

    /// The partition's answer.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Outcome {
        pub error_code: i16,
        pub high_watermark: i64,
        pub values: Vec<String>,
    }

    /// Takes the only partition of the response.
    pub fn of(response: &FetchResponse) -> Outcome {
        assert_eq!(response.error_code, 0);
        let partition = &response.responses[0].partitions[0];
        let records = partition.records.as_ref().map(|records| records.to_bytes().expect("memory"));
        Outcome {
            error_code: partition.error_code,
            high_watermark: partition.high_watermark,
            values: records.map(|records| values_of(&records)).unwrap_or_default(),
        }
    }
}

/// The key of a request type, for hand-made frames.
pub fn key_of<R: Request>() -> ApiKey {
    R::KEY
}
