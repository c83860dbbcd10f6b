//! What clients are told about where to connect, and what stops a second broker.

mod support;

use std::sync::Arc;

use milena_broker::{Broker, StartError};
use milena_metadata::BrokerConfig;
use milena_protocol::messages::{FindCoordinatorRequest, MetadataRequest};
use milena_stdx::ShutdownToken;
use support::{RawClient, TestBroker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_listener_tells_its_own_advertised_address() {
    let broker = TestBroker::start_with(&[
        ("listeners", "INSIDE://127.0.0.1:0,OUTSIDE://127.0.0.1:0"),
        ("advertised.listeners", "INSIDE://broker.internal:19092,OUTSIDE://kafka.example:29092"),
        ("listener.security.protocol.map", "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT"),
    ])
    .await;
    let expected = [("broker.internal", 19092), ("kafka.example", 29092)];
    for (address, (host, port)) in broker.addresses().into_iter().zip(expected) {
        let mut client = RawClient::connect(address).await;
        let metadata = client.send(12, &MetadataRequest::default()).await;
        assert_eq!((metadata.brokers[0].host.as_str(), metadata.brokers[0].port), (host, port));
        let request = FindCoordinatorRequest { key: "group".to_owned(), ..Default::default() };
        let coordinator = client.send(3, &request).await;
        assert_eq!((coordinator.error_code, coordinator.host.as_str(), coordinator.port), (0, host, port));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_on_every_interface_tells_the_address_the_client_used() {
    let broker = TestBroker::start_with(&[("listeners", "PLAINTEXT://0.0.0.0:0")]).await;
    let port = broker.address().port();
    for host in ["127.0.0.1", "127.0.0.2"] {
        let address = format!("{host}:{port}").parse().expect("an address");
        let metadata = RawClient::connect(address).await.send(12, &MetadataRequest::default()).await;
        assert_eq!((metadata.brokers[0].host.as_str(), metadata.brokers[0].port), (host, i32::from(port)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_topic_is_created_with_the_answer_to_metadata() {
    let broker = TestBroker::start_with(&[("num.partitions", "3")]).await;
    let metadata = broker.connect().await.metadata("fresh").await;
    assert_eq!((metadata.topics[0].error_code, metadata.topics[0].partitions.len()), (0, 3));
    assert!(metadata.topics[0].partitions.iter().all(|partition| partition.leader_id == metadata.brokers[0].node_id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_and_a_directory_in_use_are_told_apart() {
    let broker = TestBroker::start().await;
    let elsewhere = tempfile::tempdir().expect("a directory");
    let elsewhere = elsewhere.path().to_str().expect("a printable path");
    let taken = format!("PLAINTEXT://{}", broker.address());
    let start = async |listeners: &str, directory: &str| {
        let config = BrokerConfig::from_pairs(&[("listeners", listeners), ("log.dirs", directory)]);
        let config = Arc::new(config.expect("a valid configuration"));
        Broker::start(config, ShutdownToken::new()).await.err().expect("no second broker")
    };
    let error = start(&taken, elsewhere).await;
    assert!(matches!(error, StartError::Bind { .. }), "{error}");
    assert!(error.to_string().contains(&broker.address().to_string()), "{error}");
    let error = start("PLAINTEXT://127.0.0.1:0", broker.data_dir()).await;
    assert!(matches!(error, StartError::Metadata(_) | StartError::Logs(_)), "{error}");
    assert!(error.to_string().contains(broker.data_dir()), "{error}");
}
