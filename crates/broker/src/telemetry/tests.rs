//! What clients are asked for and what they may push.

use std::sync::Arc;

use milena_metadata::{BrokerConfig, ClusterImage, ConfigMap, Controller};
use milena_protocol::{ErrorCode, Uuid};
use milena_stdx::SystemClock;

use super::*;

fn image(subscriptions: &[(&str, &[(&str, &str)])]) -> ClusterImage {
    let directory = tempfile::tempdir().unwrap();
    let config = BrokerConfig::from_pairs(&[("milena.data.dir", &directory.path().to_string_lossy())]).unwrap();
    let controller = Controller::open(Arc::new(config), Arc::new(SystemClock)).unwrap();
    let mut image = ClusterImage::clone(&controller.image());
    for (name, configs) in subscriptions {
        let configs: ConfigMap = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        image.client_metrics_configs.insert((*name).to_owned(), configs);
    }
    image
}

fn client(instance_id: Uuid) -> ClientFacts {
    ClientFacts {
        instance_id,
        client_id: "app".to_owned(),
        software_name: "java".to_owned(),
        software_version: "4".to_owned(),
        source_address: "10.0.0.1".to_owned(),
        source_port: 1,
    }
}

fn push(subscription_id: i32) -> Push<'static> {
    Push { subscription_id, terminating: false, codec: 0, metrics: &[] }
}

#[test]
fn a_client_gets_the_union_of_what_matches_it_and_the_shortest_interval() {
    let image = image(&[
        ("a", &[("metrics", "org.apache.kafka.producer."), ("interval.ms", "5000")]),
        ("b", &[("metrics", "org.apache.kafka.consumer."), ("match", "client_id=app")]),
        ("c", &[("metrics", "*"), ("match", "client_id=other"), ("interval.ms", "100")]),
    ]);
    let telemetry = Telemetry::new(1000);
    let (id, subscription) = telemetry.subscribe(&image, &client(Uuid::ZERO), 0).unwrap();
    assert_ne!(id, Uuid::ZERO);
    assert_eq!(subscription.metrics, ["org.apache.kafka.consumer.", "org.apache.kafka.producer."]);
    assert_eq!(subscription.push_interval_ms, 5000);
}

#[test]
fn pushing_and_asking_too_often_is_throttled() {
    let image = image(&[("a", &[("metrics", "*"), ("interval.ms", "1000")])]);
    let telemetry = Telemetry::new(1000);
    let (id, subscription) = telemetry.subscribe(&image, &client(Uuid::ZERO), 0).unwrap();
    let client = client(id);
    assert_eq!(telemetry.subscribe(&image, &client, 10).err(), Some(ErrorCode::ThrottlingQuotaExceeded));
    assert!(telemetry.push(&image, &client, &push(subscription.id), 10).is_ok(), "the first push may come at once");
    let early = telemetry.push(&image, &client, &push(subscription.id), 500);
    assert_eq!(early, Err(ErrorCode::ThrottlingQuotaExceeded));
    let last = Push { terminating: true, ..push(subscription.id) };
    assert!(telemetry.push(&image, &client, &last, 600).is_ok(), "the last push may come early");
    assert_eq!(telemetry.push(&image, &client, &push(subscription.id), 5000), Err(ErrorCode::InvalidRequest));
}

#[test]
fn changed_subscriptions_make_the_client_ask_again_at_once() {
    let before = image(&[("a", &[("metrics", "*"), ("interval.ms", "60000")])]);
    let after = image(&[("a", &[("metrics", "*"), ("interval.ms", "50000")])]);
    let telemetry = Telemetry::new(1000);
    let (id, subscription) = telemetry.subscribe(&before, &client(Uuid::ZERO), 0).unwrap();
    let outdated = telemetry.push(&after, &client(id), &push(subscription.id), 10);
    assert_eq!(outdated, Err(ErrorCode::UnknownSubscriptionId));
    let (_, renewed) = telemetry.subscribe(&after, &client(id), 20).unwrap();
    assert!(telemetry.push(&after, &client(id), &push(renewed.id), 30).is_ok());
}

#[test]
fn what_is_too_large_or_cannot_be_read_is_refused() {
    let image = image(&[]);
    let telemetry = Telemetry::new(10);
    let refused = |codec: i8, metrics: &[u8]| {
        let (id, subscription) = telemetry.subscribe(&image, &client(Uuid::ZERO), 0).unwrap();
        let push = Push { subscription_id: subscription.id, terminating: false, codec, metrics };
        telemetry.push(&image, &client(id), &push, 10)
    };
    assert_eq!(refused(0, &[0; 11]), Err(ErrorCode::TelemetryTooLarge));
    assert_eq!(refused(9, &[]), Err(ErrorCode::UnsupportedCompressionType));
    assert_eq!(refused(4, b"no zstd"), Err(ErrorCode::InvalidRecord));
    assert_eq!(refused(0, &[0xff; 5]), Err(ErrorCode::InvalidRecord));
    let bomb = milena_protocol::compression::compress(Compression::Gzip, None, &[0; 4000]).unwrap();
    assert!(bomb.len() > 10 || refused(1, &bomb) == Err(ErrorCode::InvalidRecord));
}
