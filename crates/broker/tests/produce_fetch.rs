//! Producing and fetching over the wire.

mod support;

use bytes::{Bytes, BytesMut};
use milena_protocol::compression::Compression;
use milena_protocol::messages::produce_request::PartitionData;
use milena_protocol::messages::{
    DeleteRecordsRequest, InitProducerIdRequest, ListOffsetsRequest, ProduceRequest, delete_records_request,
    list_offsets_request,
};
use support::{
    RawClient, TestBroker, batch, compressed_batch, fetch_outcome, fetch_request, idempotent_batch, produce_outcome,
    produce_request,
};

const CORRUPT_MESSAGE: i16 = 2;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const OFFSET_OUT_OF_RANGE: i16 = 1;
const MESSAGE_TOO_LARGE: i16 = 10;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
const INVALID_RECORD: i16 = 87;
const UNKNOWN_TOPIC_ID: i16 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_produced_is_fetched() {
    let broker = TestBroker::start().await;
    broker.create_topic("round-trip", 1).await;
    let mut client = broker.connect().await;
    assert_eq!(client.produce("round-trip", batch(&["a", "b"])).await.base_offset, 0);
    assert_eq!(client.produce("round-trip", batch(&["c"])).await.base_offset, 2);
    let fetched = client.fetch("round-trip", 0, 0).await;
    assert_eq!(fetched.values, ["a", "b", "c"]);
    assert_eq!(fetched.high_watermark, 3);
    assert_eq!(client.fetch("round-trip", 2, 0).await.values, ["c"]);
    assert!(client.fetch("round-trip", 3, 0).await.values.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_comes_back_as_it_was_sent() {
    let broker = TestBroker::start().await;
    broker.create_topic("codecs", 1).await;
    let mut client = broker.connect().await;
    let text = "compressible ".repeat(100);
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        assert_eq!(client.produce("codecs", compressed_batch(codec, &[&text])).await.error_code, 0, "{codec:?}");
    }
    assert_eq!(client.fetch("codecs", 0, 0).await.values, vec![text; 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_and_small_batches_leave_as_they_came() {
    let broker = TestBroker::start().await;
    broker.create_topic("sizes", 1).await;
    let mut client = broker.connect().await;
    let text = |length: usize| (0..length).map(|index| char::from(b'a' + (index * 7 % 26) as u8)).collect::<String>();
    let mut sent = Vec::new();
    for length in [1, 16_000, 16_384, 70_000, 600_000, 900_000, 10] {
        sent.push(text(length));
        assert_eq!(client.produce("sizes", batch(&[&text(length)])).await.error_code, 0);
    }
    let mut request = fetch_request("sizes", 0, 0, 0);
    request.topics[0].partitions[0].partition_max_bytes = i32::MAX;
    for _ in 0..3 {
        let response = client.send(12, &request).await;
        assert_eq!(fetch_outcome::of(&response).values, sent);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_survive_a_restart() {
    let mut broker = TestBroker::start().await;
    broker.create_topic("durable", 1).await;
    let mut client = broker.connect().await;
    client.produce("durable", batch(&["before"])).await;
    broker.restart().await;
    let mut client = broker.connect().await;
    assert_eq!(client.produce("durable", batch(&["after"])).await.base_offset, 1);
    assert_eq!(client.fetch("durable", 0, 0).await.values, ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_partition_does_not_fail_the_others() {
    let broker = TestBroker::start().await;
    broker.create_topic("mixed", 1).await;
    let mut client = broker.connect().await;
    let mut request = produce_request("mixed", 0, -1, batch(&["good"]));
    let missing = PartitionData { index: 7, ..request.topic_data[0].partition_data[0].clone() };
    request.topic_data[0].partition_data.push(missing);
    request.topic_data.extend(produce_request("missing", 0, -1, batch(&["lost"])).topic_data);
    let response = client.send(9, &request).await;
    let codes: Vec<i16> =
        response.responses.iter().flat_map(|topic| &topic.partition_responses).map(|p| p.error_code).collect();
    assert_eq!(codes, [0, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_OR_PARTITION]);
    assert_eq!(client.fetch("mixed", 0, 0).await.values, ["good"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_batches_are_refused_and_leave_no_trace() {
    let broker = TestBroker::start().await;
    broker.create_topic("damaged", 1).await;
    let mut client = broker.connect().await;
    let mut wrong_crc = BytesMut::from(&batch(&["value"])[..]);
    let last = wrong_crc.len() - 1;
    wrong_crc[last] ^= 0xff;
    let mut lying_length = BytesMut::from(&batch(&["value"])[..]);
    lying_length[8..12].copy_from_slice(&i32::MAX.to_be_bytes());
    let mut lying_count = BytesMut::from(&batch(&["value"])[..]);
    lying_count[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
    let truncated = batch(&["value"]).slice(..30);
    for (what, bytes) in [
        ("crc", wrong_crc.freeze()),
        ("length", lying_length.freeze()),
        ("count", lying_count.freeze()),
        ("truncated", truncated),
        ("empty", Bytes::new()),
    ] {
        let code = client.produce("damaged", bytes).await.error_code;
        assert!([CORRUPT_MESSAGE, INVALID_RECORD].contains(&code), "{what}: {code}");
    }
    assert_eq!(client.fetch("damaged", 0, 0).await.high_watermark, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_above_the_topics_limit_are_too_large() {
    let broker = TestBroker::start().await;
    broker.create_topic_with("small", 1, &[("max.message.bytes", "1000")]).await;
    let mut client = broker.connect().await;
    assert_eq!(client.produce("small", batch(&[&"x".repeat(2000)])).await.error_code, MESSAGE_TOO_LARGE);
    assert_eq!(client.produce("small", batch(&["x"])).await.error_code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zstd_needs_produce_7() {
    let broker = TestBroker::start().await;
    broker.create_topic("zstd", 1).await;
    let mut client = broker.connect().await;
    let request = produce_request("zstd", 0, 1, compressed_batch(Compression::Zstd, &["x"]));
    assert_eq!(produce_outcome::of(&client.send(6, &request).await).error_code, UNSUPPORTED_COMPRESSION_TYPE);
    assert_eq!(produce_outcome::of(&client.send(7, &request).await).error_code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acks_0_has_no_response_and_closes_on_failure() {
    let broker = TestBroker::start().await;
    broker.create_topic("fire", 1).await;
    let mut client = broker.connect().await;
    client.send_only(9, &produce_request("fire", 0, 0, batch(&["forgotten"]))).await;
    // The next response on the connection belongs to the next request.
    assert_eq!(client.fetch("fire", 0, 1000).await.values, ["forgotten"]);
    client.send_only(9, &produce_request("missing", 0, 0, batch(&["lost"]))).await;
    assert!(client.is_closed_by_broker().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_acks_are_refused() {
    let broker = TestBroker::start().await;
    broker.create_topic("acks", 1).await;
    let mut client = broker.connect().await;
    let response = client.send(9, &produce_request("acks", 0, 5, batch(&["x"]))).await;
    assert_eq!(produce_outcome::of(&response).error_code, 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_found_by_id() {
    let broker = TestBroker::start().await;
    let id = broker.create_topic("by-id", 1).await;
    let mut client = broker.connect().await;
    let mut produce = produce_request("", 0, -1, batch(&["named by id"]));
    produce.topic_data[0].topic_id = id;
    assert_eq!(produce_outcome::of(&client.send(13, &produce).await).error_code, 0);
    let mut fetch = fetch_request("", 0, 0, 0);
    fetch.topics[0].topic_id = id;
    let response = client.send(18, &fetch).await;
    assert_eq!(response.responses[0].topic_id, id);
    assert_eq!(fetch_outcome::of(&response).values, ["named by id"]);

    let unknown = milena_protocol::Uuid::random();
    produce.topic_data[0].topic_id = unknown;
    fetch.topics[0].topic_id = unknown;
    assert_eq!(produce_outcome::of(&client.send(13, &produce).await).error_code, UNKNOWN_TOPIC_ID);
    assert_eq!(fetch_outcome::of(&client.send(18, &fetch).await).error_code, UNKNOWN_TOPIC_ID);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offsets_beyond_the_log_are_out_of_range() {
    let broker = TestBroker::start().await;
    broker.create_topic("range", 1).await;
    let mut client = broker.connect().await;
    client.produce("range", batch(&["only"])).await;
    for offset in [2, i64::MAX, -1] {
        // An error answers at once, whatever the wait.
        assert_eq!(client.fetch("range", offset, 10_000).await.error_code, OFFSET_OUT_OF_RANGE, "{offset}");
    }
    assert_eq!(client.fetch("missing", 0, 10_000).await.error_code, UNKNOWN_TOPIC_OR_PARTITION);
}

async fn new_producer_id(client: &mut RawClient) -> i64 {
    let request = InitProducerIdRequest { producer_id: -1, producer_epoch: -1, ..Default::default() };
    let response = client.send(4, &request).await;
    assert_eq!((response.error_code, response.producer_epoch), (0, 0));
    assert!(response.producer_id >= 0);
    response.producer_id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotent_retry_gets_the_original_offset_even_after_a_restart() {
    let mut broker = TestBroker::start().await;
    broker.create_topic("idempotent", 1).await;
    let mut client = broker.connect().await;
    let pid = new_producer_id(&mut client).await;
    let first = idempotent_batch(pid, 0, 0, &["a", "b"]);
    assert_eq!(client.produce("idempotent", first.clone()).await.base_offset, 0);
    assert_eq!(client.produce("idempotent", idempotent_batch(pid, 0, 2, &["c"])).await.base_offset, 2);
    assert_eq!(client.produce("idempotent", first).await, produce_outcome::Outcome { error_code: 0, base_offset: 0 });

    broker.restart().await;
    // Kafka's snapshot format remembers the last batch of a producer.
    let mut client = broker.connect().await;
    let again = client.produce("idempotent", idempotent_batch(pid, 0, 2, &["c"])).await;
    assert_eq!(again, produce_outcome::Outcome { error_code: 0, base_offset: 2 });
    let skipped = client.produce("idempotent", idempotent_batch(pid, 0, 9, &["gap"])).await;
    assert_eq!(skipped.error_code, OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(client.produce("idempotent", idempotent_batch(pid, 1, 0, &["d"])).await.base_offset, 3);
    let fenced = client.produce("idempotent", idempotent_batch(pid, 0, 3, &["old"])).await;
    assert_eq!(fenced.error_code, INVALID_PRODUCER_EPOCH);
    assert_eq!(client.fetch("idempotent", 0, 0).await.values, ["a", "b", "c", "d"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn producer_ids_are_never_given_twice() {
    let mut broker = TestBroker::start().await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..3 {
        let mut client = broker.connect().await;
        for _ in 0..5 {
            assert!(seen.insert(new_producer_id(&mut client).await));
        }
        broker.restart().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let broker = TestBroker::start().await;
    broker.create_topic("order", 1).await;
    let mut client = broker.connect().await;
    let mut expected = Vec::new();
    for index in 0..200 {
        // acks=all waits for an fsync, acks=1 does not: answers must not overtake each other all the same.
        let acks = if index % 2 == 0 { -1 } else { 1 };
        let value = index.to_string();
        expected.push(client.send_only(9, &produce_request("order", 0, acks, batch(&[&value]))).await);
    }
    for (offset, correlation_id) in expected.into_iter().enumerate() {
        let (answered, response) = client.receive::<ProduceRequest>(9).await;
        assert_eq!(answered, correlation_id);
        assert_eq!(produce_outcome::of(&response).base_offset, offset as i64);
    }
    let fetched = client.fetch("order", 0, 0).await.values;
    assert_eq!(fetched, (0..200).map(|index| index.to_string()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn list_offsets_knows_every_special_timestamp() {
    let broker = TestBroker::start().await;
    broker.create_topic("offsets", 1).await;
    let mut client = broker.connect().await;
    for value in ["a", "b", "c"] {
        client.produce("offsets", batch(&[value])).await;
    }
    let mut offsets = Vec::new();
    for timestamp in [-1, -2, -3, -4, -5, 0, i64::MAX] {
        let partition = list_offsets_request::Partition { timestamp, current_leader_epoch: -1, ..Default::default() };
        let topic = list_offsets_request::Topic { name: "offsets".to_owned(), partitions: vec![partition] };
        let request = ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() };
        let response = client.send(9, &request).await;
        let partition = &response.topics[0].partitions[0];
        assert_eq!(partition.error_code, 0, "{timestamp}");
        offsets.push((timestamp, partition.offset));
    }
    let max_timestamp = offsets[2].1;
    assert!((0..3).contains(&max_timestamp));
    assert_eq!(offsets, [(-1, 3), (-2, 0), (-3, max_timestamp), (-4, 0), (-5, -1), (0, 0), (i64::MAX, -1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_records_are_gone_and_never_come_back() {
    let broker = TestBroker::start().await;
    broker.create_topic("trimmed", 1).await;
    let mut client = broker.connect().await;
    for value in ["a", "b", "c"] {
        client.produce("trimmed", batch(&[value])).await;
    }
    let delete = async |topic: &str, offset: i64| {
        let partition = delete_records_request::Partition { partition_index: 0, offset };
        let topic = delete_records_request::Topic { name: topic.to_owned(), partitions: vec![partition] };
        let request = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000 };
        let response = broker.connect().await.send(2, &request).await;
        let partition = &response.topics[0].partitions[0];
        (partition.low_watermark, partition.error_code)
    };
    assert_eq!(delete("trimmed", 2).await, (2, 0));
    assert_eq!(delete("trimmed", 1).await, (2, 0), "the log start never moves back");
    assert_eq!(delete("trimmed", 9).await, (-1, OFFSET_OUT_OF_RANGE));
    assert_eq!(delete("missing", 0).await, (-1, UNKNOWN_TOPIC_OR_PARTITION));
    assert_eq!(client.fetch("trimmed", 0, 0).await.error_code, OFFSET_OUT_OF_RANGE);
    assert_eq!(client.fetch("trimmed", 2, 0).await.values, ["c"]);
    assert_eq!(delete("trimmed", -1).await, (3, 0));
}
