//! Bytes no well-meaning client sends: each costs the sender its connection and nobody else anything.

mod support;

use bytes::{BufMut, BytesMut};
use milena_protocol::ApiKey;
use milena_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};
use support::{PATIENCE, TestBroker, batch, frame, produce_request};

/// The broker still serves: the usual ending of these tests.
async fn assert_alive(broker: &TestBroker) {
    let mut client = broker.connect().await;
    let response = client.send(0, &ApiVersionsRequest::default()).await;
    assert_eq!(response.error_code, 0);
}

fn with_length(body: &[u8]) -> BytesMut {
    let mut frame = BytesMut::new();
    frame.put_i32(i32::try_from(body.len()).expect("a short frame"));
    frame.extend_from_slice(body);
    frame
}

fn header(key: i16, version: i16) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_i16(key);
    body.put_i16(version);
    body.put_i32(7);
    body.put_i16(-1);
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_closes_the_connection() {
    let broker = TestBroker::start().await;
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        &[0xff; 64][..],
        &[0, 0, 0, 3, 1, 2, 3][..],
        &[0, 0, 0, 0][..],
    ] {
        let mut client = broker.connect().await;
        client.send_bytes(garbage).await;
        assert!(client.is_closed_by_broker().await, "{garbage:?}");
    }
    assert_alive(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_negative_or_huge_length_closes_the_connection() {
    let broker = TestBroker::start().await;
    for length in [-1, i32::MIN, i32::MAX, 104_857_601] {
        let mut client = broker.connect().await;
        client.send_bytes(&length.to_be_bytes()).await;
        assert!(client.is_closed_by_broker().await, "{length}");
    }
    assert_alive(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_keys_and_versions_out_of_range_close_the_connection() {
    let broker = TestBroker::start().await;
    for (key, version) in [(999, 0), (-1, 0), (ApiKey::Produce.code(), 99), (ApiKey::Fetch.code(), -1), (4, 0)] {
        let mut client = broker.connect().await;
        client.send_bytes(&with_length(&header(key, version))).await;
        assert!(client.is_closed_by_broker().await, "key {key} version {version}");
    }
    assert_alive(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncated_body_closes_the_connection() {
    let broker = TestBroker::start().await;
    let whole = frame(9, 1, &produce_request("truncated", 0, 1, batch(&["value"])));
    let body = &whole[4..];
    for cut in [body.len() - 1, body.len() / 2, 12] {
        let mut client = broker.connect().await;
        client.send_bytes(&with_length(&body[..cut])).await;
        assert!(client.is_closed_by_broker().await, "cut at {cut}");
    }
    assert_alive(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn array_counts_of_two_billion_close_the_connection() {
    let broker = TestBroker::start().await;
    // Metadata v1 with an array count of 2^31 - 1, and Produce v0 with one topic of 2^31 - 1 partitions.
    let mut metadata = header(ApiKey::Metadata.code(), 1);
    metadata.put_i32(i32::MAX);
    let mut produce = header(ApiKey::Produce.code(), 0);
    produce.put_i16(1);
    produce.put_i32(1000);
    produce.put_i32(1);
    produce.put_i16(1);
    produce.put_slice(b"t");
    produce.put_i32(i32::MAX);
    // Metadata v9: a compact array whose length is a five-byte varint.
    let mut compact = header(ApiKey::Metadata.code(), 9);
    compact.put_u8(0);
    compact.put_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    for body in [metadata, produce, compact] {
        let mut client = broker.connect().await;
        client.send_bytes(&with_length(&body)).await;
        assert!(client.is_closed_by_broker().await);
    }
    assert_alive(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_versions_request_from_the_future_is_answered_in_version_0() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let mut body = header(ApiKey::ApiVersions.code(), 99);
    body.put_u8(0);
    client.send_bytes(&with_length(&body)).await;
    let answer = client.receive_frame().await.expect("an answer");
    // correlation id 7, error 35, one entry: key 18, versions 0 to our highest
    assert_eq!(answer.len(), 16);
    assert_eq!(answer[..12], [0, 0, 0, 7, 0, 35, 0, 0, 0, 1, 0, 18]);
    let response = client.send(3, &named("librdkafka", "2.15.0")).await;
    assert_eq!(response.error_code, 0, "the connection goes on");
}

fn named(name: &str, version: &str) -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: name.to_owned(),
        client_software_version: version.to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_impossible_software_name_is_an_invalid_request() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let response = client.send(3, &named("-bad-", "1.0")).await;
    assert_eq!(response.error_code, 42);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_advertised_versions_are_all_decodable() {
    let broker = TestBroker::start().await;
    let mut client = broker.connect().await;
    let response = client.send(4, &named("test", "1")).await;
    for range in &response.api_keys {
        let key = ApiKey::try_from(range.api_key).expect("a known key");
        let served = key.versions();
        assert!(served.contains(&range.min_version) && served.contains(&range.max_version), "{key:?}");
    }
    let feature = response.finalized_features.iter().find(|feature| feature.name == "transaction.version");
    assert_eq!(feature.map(|feature| feature.max_version_level), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_frame_and_silence_ends_at_the_idle_timeout() {
    let broker = TestBroker::start_with(&[("connections.max.idle.ms", "200")]).await;
    let whole = frame(1, 1, &MetadataRequest::default());
    let mut client = broker.connect().await;
    client.send_bytes(&whole[..whole.len() / 2]).await;
    assert!(client.is_closed_by_broker().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_idle_connections_do_not_disturb_a_working_one() {
    let broker = TestBroker::start().await;
    let mut idle = Vec::new();
    for _ in 0..2000 {
        idle.push(broker.connect().await);
    }
    broker.create_topic("busy", 1).await;
    let mut client = broker.connect().await;
    for expected in 0..20 {
        assert_eq!(client.produce("busy", batch(&["value"])).await.base_offset, expected);
    }
    let last = idle.last_mut().expect("2000 connections");
    assert_eq!(last.send(0, &ApiVersionsRequest::default()).await.error_code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_closed_and_others_go_on() {
    let broker = TestBroker::start_with(&[("connections.max.idle.ms", "300")]).await;
    broker.create_topic("unread", 1).await;
    let mut writer = broker.connect().await;
    let large = "x".repeat(500_000);
    for _ in 0..20 {
        assert_eq!(writer.produce("unread", batch(&[&large])).await.error_code, 0);
    }
    let mut deaf = broker.connect().await;
    let mut request = support::fetch_request("unread", 0, 0, 0);
    request.topics[0].partitions[0].partition_max_bytes = 1 << 24;
    let request = frame(12, 1, &request);
    let flooded = tokio::time::timeout(PATIENCE, async {
        // Ten megabytes are asked for each time; the broker must stop reading requests, then give up on us.
        while deaf.try_send_bytes(&request).await.is_ok() {}
    });
    flooded.await.expect("the broker closes the connection");
    assert_alive(&broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_request_arrives_in_small_pieces() {
    let broker = TestBroker::start_with(&[("message.max.bytes", "8000000")]).await;
    broker.create_topic("large", 1).await;
    let large = "y".repeat(3_000_000);
    let whole = frame(9, 1, &produce_request("large", 0, -1, batch(&[&large])));
    let mut client = broker.connect().await;
    for piece in whole.chunks(100_000) {
        client.send_bytes(piece).await;
        tokio::task::yield_now().await;
    }
    let (_, response) = client.receive::<ProduceRequest>(9).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_closed() {
    let broker = TestBroker::start_with(&[("max.connections.per.ip", "3")]).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let mut client = broker.connect().await;
        assert_eq!(client.send(0, &ApiVersionsRequest::default()).await.error_code, 0);
        kept.push(client);
    }
    let mut refused = broker.connect().await;
    assert!(refused.is_closed_by_broker().await);
}
