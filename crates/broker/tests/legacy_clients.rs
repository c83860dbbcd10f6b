//! Clients from before record batches v2: their message sets are stored as batches, and batches come back as message sets.

mod support;

use bytes::Bytes;
use milena_protocol::compression::Compression;
use milena_protocol::record::legacy;
use support::{TestBroker, batch, compressed_batch, fetch_request, produce_outcome, produce_request, values_of};

const BYTES_MAX: usize = 1 << 20;
const INVALID_RECORD: i16 = 87;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
/// Where the magic byte lies in every format.
const MAGIC_POSITION: usize = 16;

fn message_set(magic: i8, batch: &Bytes) -> Bytes {
    legacy::down_convert(batch, magic, 0, BYTES_MAX).expect("a convertible batch")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn message_sets_are_stored_as_batches() {
    let broker = TestBroker::start().await;
    broker.create_topic("old-producer", 1).await;
    let mut client = broker.connect().await;
    let plain = batch(&["a", "b"]);
    let compressed = compressed_batch(Compression::Gzip, &["c", "d"]);
    for (version, magic, set) in [(0, 0, &plain), (1, 0, &compressed), (2, 1, &plain), (2, 1, &compressed)] {
        let request = produce_request("old-producer", 0, -1, message_set(magic, set));
        let outcome = produce_outcome::of(&client.send(version, &request).await);
        assert_eq!(outcome.error_code, 0, "produce v{version} with magic {magic}");
    }
    let fetched = client.fetch("old-producer", 0, 0).await;
    assert_eq!(fetched.values, ["a", "b", "c", "d", "a", "b", "c", "d"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fetch_version_gets_the_format_it_understands() {
    let broker = TestBroker::start().await;
    broker.create_topic("old-consumer", 1).await;
    let mut client = broker.connect().await;
    client.produce("old-consumer", batch(&["a", "b"])).await;
    client.produce("old-consumer", compressed_batch(Compression::Gzip, &["c"])).await;
    for (version, magic) in [(0, 0u8), (1, 0), (2, 1), (3, 1), (4, 2), (11, 2)] {
        let response = client.send(version, &fetch_request("old-consumer", 0, 0, 0)).await;
        let records = response.responses[0].partitions[0].records.clone().expect("records");
        let records = records.to_bytes().expect("memory");
        assert_eq!(records[MAGIC_POSITION], magic, "fetch v{version}");
        if magic < 2 {
            let stored_again = legacy::up_convert(&records, BYTES_MAX).expect("a valid message set");
            assert_eq!(values_of(&stored_again), ["a", "b", "c"], "fetch v{version}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn formats_and_versions_must_fit_together() {
    let broker = TestBroker::start().await;
    broker.create_topic("misfit", 1).await;
    let mut client = broker.connect().await;
    let old = produce_request("misfit", 0, -1, message_set(1, &batch(&["a"])));
    assert_eq!(produce_outcome::of(&client.send(9, &old).await).error_code, INVALID_RECORD);
    let new = produce_request("misfit", 0, -1, batch(&["a"]));
    assert_eq!(produce_outcome::of(&client.send(2, &new).await).error_code, INVALID_RECORD);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zstd_cannot_be_told_to_old_consumers() {
    let broker = TestBroker::start().await;
    broker.create_topic("modern", 1).await;
    let mut client = broker.connect().await;
    client.produce("modern", compressed_batch(Compression::Zstd, &["a"])).await;
    let response = client.send(2, &fetch_request("modern", 0, 0, 0)).await;
    assert_eq!(response.responses[0].partitions[0].error_code, UNSUPPORTED_COMPRESSION_TYPE);
}
