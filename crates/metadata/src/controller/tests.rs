//! The controller's rules, in Kafka's words.

use std::sync::atomic::{AtomicUsize, Ordering};

use milena_protocol::ErrorCode;
use milena_stdx::SystemClock;

use super::*;
use crate::image::{ConfigMap, PartitionImage};

mod security;

struct Fixture {
    directory: tempfile::TempDir,
    controller: Arc<Controller>,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::with(&[])
    }

    fn with(settings: &[(&str, &str)]) -> Fixture {
        let directory = tempfile::tempdir().expect("temporary directory");
        let controller = open(directory.path(), settings);
        Fixture { directory, controller }
    }

    /// Ends the controller and opens its data anew.
    fn reopened(self) -> Fixture {
        let Fixture { directory, controller } = self;
        drop(controller);
        let controller = open(directory.path(), &[]);
        Fixture { directory, controller }
    }

    fn create(&self, topic: NewTopic) -> Result<Arc<TopicImage>, ControllerError> {
        self.controller.create_topics_now(vec![topic], false).remove(0)
    }

    fn delete(&self, name: &str) -> Result<Arc<TopicImage>, ControllerError> {
        self.controller.delete_topics_now(&[TopicSelector::Name(name.to_owned())]).remove(0)
    }

    fn grow(&self, topic: &str, total_count: i32, assignments: Option<Vec<Vec<i32>>>) -> Result<(), ControllerError> {
        let growth = NewPartitions { topic: topic.to_owned(), total_count, assignments };
        self.controller.create_partitions_now(vec![growth], false).remove(0)
    }

    fn alter(
        &self,
        resource: ConfigResource,
        ops: &[(&str, ConfigOpKind, Option<&str>)],
    ) -> Result<(), ControllerError> {
        let ops = ops.iter().map(|(name, kind, value)| ConfigOp {
            name: (*name).to_owned(),
            kind: *kind,
            value: value.map(str::to_owned),
        });
        let alteration = ConfigAlteration { resource, ops: ops.collect() };
        self.controller.incremental_alter_configs_now(vec![alteration], false).remove(0)
    }

    fn replace(&self, resource: ConfigResource, configs: &[(&str, Option<&str>)]) -> Result<(), ControllerError> {
        let replacement = ConfigReplacement { resource, configs: owned(configs) };
        self.controller.alter_configs_now(vec![replacement], false).remove(0)
    }

    fn value(&self, topic: &str, key: &str) -> Option<String> {
        self.controller.image().topic_value(topic, key)
    }
}

fn open(directory: &Path, settings: &[(&str, &str)]) -> Arc<Controller> {
    let data = directory.to_string_lossy();
    let mut pairs = vec![("milena.data.dir", &*data)];
    pairs.extend_from_slice(settings);
    let config = Arc::new(BrokerConfig::from_pairs(&pairs).expect("a valid configuration"));
    Arc::new(Controller::open(config, Arc::new(SystemClock)).expect("the controller opens"))
}

fn owned(configs: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    configs.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))).collect()
}

fn topic(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), ..NewTopic::default() }
}

fn named(name: &str) -> ConfigResource {
    ConfigResource::Topic(name.to_owned())
}

fn refused<T>(result: Result<T, ControllerError>) -> (ErrorCode, String) {
    let error = result.map(drop).expect_err("refused");
    (error.error_code(), error.to_string())
}

fn says(code: ErrorCode, text: &str) -> (ErrorCode, String) {
    (code, text.to_owned())
}

#[test]
fn a_topic_survives_a_restart_with_its_id_and_configuration() {
    let fixture = Fixture::with(&[("num.partitions", "3")]);
    let cluster_id = fixture.controller.image().cluster_id.clone();
    let created = fixture
        .create(NewTopic { configs: owned(&[("retention.ms", Some("1000"))]), ..topic("orders") })
        .expect("created");
    assert_eq!((created.partitions.len(), created.replication_factor()), (3, 1));
    assert_eq!(created.partitions[2], PartitionImage { replicas: vec![1], leader: 1, leader_epoch: 0 });
    let fixture = fixture.reopened();
    let image = fixture.controller.image();
    assert_eq!(image.topic("orders"), Some(&created));
    assert_eq!(image.topic_by_id(&created.id), Some(&created));
    assert_eq!(image.cluster_id, cluster_id);
    assert_eq!(cluster_id.len(), 22);
    assert_eq!(fixture.value("orders", "retention.ms").as_deref(), Some("1000"));
}

#[test]
fn a_topic_made_again_has_another_id_and_no_old_configuration() {
    let fixture = Fixture::new();
    let first = fixture
        .create(NewTopic { configs: owned(&[("retention.ms", Some("1000"))]), ..topic("orders") })
        .expect("created");
    fixture.delete("orders").expect("deleted");
    assert_eq!(fixture.controller.image().topic_by_id(&first.id), None);
    let second = fixture.create(topic("orders")).expect("created again");
    assert_ne!(first.id, second.id);
    assert!(fixture.reopened().controller.image().topic("orders").expect("there").configs.is_empty());
}

#[test]
fn names_are_refused_when_invalid_taken_or_colliding() {
    let fixture = Fixture::new();
    fixture.create(topic("a.b")).expect("created");
    assert_eq!(
        refused(fixture.create(topic("a.b"))),
        says(ErrorCode::TopicAlreadyExists, "Topic 'a.b' already exists.")
    );
    assert_eq!(
        refused(fixture.create(topic("a_b"))),
        says(ErrorCode::InvalidTopicException, "Topic 'a_b' collides with existing topic: a.b")
    );
    assert_eq!(refused(fixture.create(topic("a b"))).0, ErrorCode::InvalidTopicException);
    let twice = fixture.controller.create_topics_now(vec![topic("x"), topic("y"), topic("x")], false);
    let codes: Vec<_> = twice.into_iter().map(|answer| answer.map(drop).map_err(|error| error.to_string())).collect();
    let duplicate = Err("Duplicate topic name.".to_owned());
    assert_eq!(codes, [duplicate.clone(), Ok(()), duplicate]);
}

#[test]
fn numbers_of_partitions_and_replicas_are_checked() {
    let fixture = Fixture::new();
    let create = |num_partitions, replication_factor| {
        refused(fixture.create(NewTopic { num_partitions, replication_factor, ..topic("t") }))
    };
    assert_eq!(
        create(1, 3),
        says(
            ErrorCode::InvalidReplicationFactor,
            "Unable to replicate the partition 3 time(s): The target replication factor of 3 cannot be reached because \
             only 1 broker(s) are registered or some brokers have all their log directories cordoned."
        )
    );
    assert_eq!(create(1, 0).0, ErrorCode::InvalidReplicationFactor);
    assert_eq!(
        create(0, 1),
        says(
            ErrorCode::InvalidPartitions,
            "Number of partitions must be larger than 0, or -1 to use the default value."
        )
    );
    assert_eq!(create(-2, 1).0, ErrorCode::InvalidPartitions);
    assert_eq!(create(i32::MAX, 1).0, ErrorCode::PolicyViolation);
    assert_eq!(fixture.controller.image().topics().len(), 0);
}

#[test]
fn explicit_assignments_are_checked_and_kept() {
    let fixture = Fixture::new();
    let create = |assignments: &[(i32, &[i32])]| {
        let assignments = assignments.iter().map(|(index, replicas)| (*index, replicas.to_vec())).collect();
        fixture.create(NewTopic { assignments, ..topic("t") })
    };
    let invalid = |assignments| {
        let (code, text) = refused(create(assignments));
        assert_eq!(code, ErrorCode::InvalidReplicaAssignment);
        text
    };
    assert_eq!(invalid(&[(0, &[])]), "The manual partition assignment includes an empty replica list.");
    assert_eq!(invalid(&[(0, &[1, 1])]), "The manual partition assignment includes the broker 1 more than once.");
    assert_eq!(
        invalid(&[(0, &[7])]),
        "The manual partition assignment includes broker 7, but no such broker is registered."
    );
    assert_eq!(invalid(&[(0, &[1]), (2, &[1])]), "partitions should be a consecutive 0-based integer sequence");
    assert_eq!(invalid(&[(0, &[1]), (0, &[1])]), "Found multiple manual partition assignments for partition 0");
    assert_eq!(create(&[(1, &[1]), (0, &[1])]).expect("created").partitions.len(), 2);
    let both = NewTopic { num_partitions: 1, assignments: vec![(0, vec![1])], ..topic("u") };
    assert_eq!(
        refused(fixture.create(both)),
        says(
            ErrorCode::InvalidRequest,
            "A manual partition assignment was specified, but numPartitions was not set to -1."
        )
    );
}

#[test]
fn validate_only_checks_and_changes_nothing() {
    let fixture = Fixture::new();
    let answers = fixture.controller.create_topics_now(vec![topic("t"), topic("..")], true);
    assert!(answers[0].is_ok() && answers[1].is_err());
    assert!(fixture.controller.image().topic("t").is_none());
    fixture.create(topic("t")).expect("created");
    let growth = NewPartitions { topic: "t".to_owned(), total_count: 4, assignments: None };
    assert!(fixture.controller.create_partitions_now(vec![growth], true)[0].is_ok());
    let replacement = ConfigReplacement { resource: named("t"), configs: owned(&[("retention.ms", Some("1"))]) };
    assert!(fixture.controller.alter_configs_now(vec![replacement], true)[0].is_ok());
    let image = fixture.reopened().controller.image();
    assert_eq!(image.topic("t").map(|topic| (topic.partitions.len(), topic.configs.len())), Some((1, 0)));
}

#[test]
fn deleting_finds_topics_by_name_and_id_and_can_be_forbidden() {
    let fixture = Fixture::new();
    let created = fixture.create(topic("t")).expect("created");
    assert_eq!(refused(fixture.delete("u")).0, ErrorCode::UnknownTopicOrPartition);
    let by_id = |id| fixture.controller.delete_topics_now(&[TopicSelector::Id(id)]).remove(0);
    assert_eq!(refused(by_id(Uuid::ONE)).0, ErrorCode::UnknownTopicId);
    assert_eq!(by_id(created.id).expect("deleted"), created);
    assert_eq!(refused(by_id(created.id)).0, ErrorCode::UnknownTopicId);
    let fixture = Fixture::with(&[("delete.topic.enable", "false")]);
    fixture.create(topic("t")).expect("created");
    assert_eq!(refused(fixture.delete("t")).0, ErrorCode::TopicDeletionDisabled);
}

#[test]
fn topics_only_grow() {
    let fixture = Fixture::new();
    fixture.create(NewTopic { num_partitions: 2, ..topic("t") }).expect("created");
    assert_eq!(
        refused(fixture.grow("t", 2, None)),
        says(ErrorCode::InvalidPartitions, "Topic already has 2 partition(s).")
    );
    assert_eq!(
        refused(fixture.grow("t", 1, None)),
        says(ErrorCode::InvalidPartitions, "The topic t currently has 2 partition(s); 1 would not be an increase.")
    );
    assert_eq!(
        refused(fixture.grow("t", 4, Some(vec![vec![1]]))),
        says(
            ErrorCode::InvalidReplicaAssignment,
            "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."
        )
    );
    assert_eq!(refused(fixture.grow("u", 4, None)).0, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(refused(fixture.grow("t", i32::MAX, None)).0, ErrorCode::PolicyViolation);
    fixture.grow("t", 3, None).expect("grown");
    fixture.grow("t", 4, Some(vec![vec![1]])).expect("grown");
    assert_eq!(fixture.reopened().controller.image().topic("t").map(|topic| topic.partitions.len()), Some(4));
}

#[test]
fn configurations_of_topics_are_checked_in_the_words_of_kafka() {
    let fixture = Fixture::new();
    let create =
        |configs: &[(&str, Option<&str>)]| refused(fixture.create(NewTopic { configs: owned(configs), ..topic("t") }));
    assert_eq!(create(&[("nope", Some("1"))]), says(ErrorCode::InvalidConfig, "Unknown topic config name: nope"));
    assert_eq!(
        create(&[("retention.ms", Some("abc"))]),
        says(ErrorCode::InvalidConfig, "Invalid value abc for configuration retention.ms: Not a number of type LONG")
    );
    assert_eq!(
        create(&[("retention.ms", None)]),
        says(ErrorCode::InvalidConfig, "Null value not supported for topic configs: retention.ms")
    );
    assert_eq!(
        create(&[("min.compaction.lag.ms", Some("10")), ("max.compaction.lag.ms", Some("5"))]).1,
        "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)"
    );
    let retired = owned(&[("message.timestamp.difference.max.ms", Some("1")), ("segment.bytes", Some("1000"))]);
    let created = fixture.create(NewTopic { configs: retired, ..topic("t") }).expect("retired keys are let through");
    assert_eq!(created.configs, ConfigMap::from([("segment.bytes".to_owned(), "1000".to_owned())]));
}

#[test]
fn replacing_forgets_what_is_not_named_and_altering_keeps_it() {
    use ConfigOpKind::{Append, Delete, Set, Subtract};
    let fixture = Fixture::new();
    fixture.create(topic("t")).expect("created");
    fixture.alter(named("t"), &[("retention.ms", Set, Some("1")), ("segment.bytes", Set, Some("100"))]).expect("set");
    fixture.alter(named("t"), &[("retention.ms", Delete, None), ("flush.ms", Delete, None)]).expect("deleted");
    assert_eq!(fixture.value("t", "segment.bytes").as_deref(), Some("100"));
    assert_eq!(fixture.value("t", "retention.ms").as_deref(), Some("604800000"));
    fixture.alter(named("t"), &[("cleanup.policy", Append, Some("compact"))]).expect("appended to the default");
    assert_eq!(fixture.value("t", "cleanup.policy").as_deref(), Some("delete,compact"));
    fixture.alter(named("t"), &[("cleanup.policy", Subtract, Some("delete"))]).expect("taken away");
    assert_eq!(fixture.value("t", "cleanup.policy").as_deref(), Some("compact"));
    fixture.replace(named("t"), &[("retention.bytes", Some("7"))]).expect("replaced");
    let fixture = fixture.reopened();
    let configs = fixture.controller.image().topic("t").map(|topic| topic.configs.clone());
    assert_eq!(configs, Some(ConfigMap::from([("retention.bytes".to_owned(), "7".to_owned())])));
    fixture.replace(named("t"), &[]).expect("emptied");
    assert_eq!(fixture.value("t", "retention.bytes").as_deref(), Some("-1"));
}

#[test]
fn alterations_that_cannot_be_are_refused() {
    use ConfigOpKind::{Append, Set};
    let fixture = Fixture::new();
    fixture.create(topic("t")).expect("created");
    let refuse = |resource, ops: &[_]| refused(fixture.alter(resource, ops));
    assert_eq!(
        refuse(named("t"), &[("retention.ms", Append, Some("1"))]),
        says(ErrorCode::InvalidConfig, "Can't APPEND to key retention.ms because its type is not LIST.")
    );
    assert_eq!(
        refuse(named("t"), &[("retention.ms", Set, Some("1")), ("retention.ms", Set, Some("2"))]).0,
        ErrorCode::InvalidRequest
    );
    assert_eq!(refuse(named("t"), &[("retention.ms", Set, None)]).0, ErrorCode::InvalidRequest);
    assert_eq!(refuse(named("u"), &[("retention.ms", Set, Some("1"))]).0, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(
        refuse(ConfigResource::Broker(1), &[("node.id", Set, Some("2"))]),
        says(ErrorCode::InvalidRequest, "Cannot update these configs dynamically: [node.id]")
    );
    assert_eq!(
        refuse(ConfigResource::Broker(9), &[("log.cleaner.threads", Set, Some("2"))]).0,
        ErrorCode::InvalidRequest
    );
    assert_eq!(
        refuse(ConfigResource::Group("g".to_owned()), &[("consumer.session.timeout.ms", Set, Some("70000"))]),
        says(
            ErrorCode::InvalidConfig,
            "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms"
        )
    );
}

#[test]
fn values_in_force_come_from_the_strongest_source() {
    use ConfigOpKind::Set;
    let fixture = Fixture::with(&[("log.retention.hours", "2"), ("log.segment.bytes", "5000")]);
    fixture.create(topic("t")).expect("created");
    let effective = |key| {
        let image = fixture.controller.image();
        let def = crate::config_def::TOPIC_CONFIGS.get(key).expect("a key of topics");
        let config = image.topic_config(def, &image.topic("t").expect("there").configs);
        let synonyms: Vec<_> = config
            .synonyms
            .iter()
            .map(|synonym| format!("{:?}:{}={}", synonym.source, synonym.name, synonym.value))
            .collect();
        (config.value.unwrap_or_default(), synonyms.join(" "))
    };
    assert_eq!(effective("retention.ms"), ("7200000".to_owned(), "StaticBroker:log.retention.hours=2".to_owned()));
    assert_eq!(effective("flush.ms"), (i64::MAX.to_string(), String::new()));
    fixture.alter(ConfigResource::BrokerDefault, &[("log.segment.bytes", Set, Some("6000"))]).expect("set");
    fixture.alter(ConfigResource::Broker(1), &[("log.segment.bytes", Set, Some("7000"))]).expect("set");
    fixture.alter(named("t"), &[("segment.bytes", Set, Some("8000"))]).expect("set");
    assert_eq!(
        effective("segment.bytes"),
        (
            "8000".to_owned(),
            "Topic:segment.bytes=8000 DynamicBroker:log.segment.bytes=7000 DynamicDefaultBroker:log.segment.bytes=6000 \
             StaticBroker:log.segment.bytes=5000 Default:log.segment.bytes=1073741824"
                .to_owned()
        )
    );
    assert_eq!(
        effective("min.insync.replicas").1,
        "DynamicDefaultBroker:min.insync.replicas=1 Default:min.insync.replicas=1"
    );
}

#[test]
fn producer_ids_are_never_given_twice_over_restarts() {
    let fixture = Fixture::new();
    let first = fixture.controller.allocate_producer_ids_now().expect("a block");
    let second = fixture.controller.allocate_producer_ids_now().expect("a block");
    let third = fixture.reopened().controller.allocate_producer_ids_now().expect("a block");
    assert_eq!((first, second, third), (0..1000, 1000..2000, 2000..3000));
}

#[test]
fn a_controller_that_was_replaced_changes_nothing_more() {
    // Two controllers over one store, as in a cluster after a change of leadership.
    struct Shared(Arc<EmbeddedStore>);
    impl MetadataStore for Shared {
        fn get(&self, key: &str) -> Result<Option<crate::store::Entry>, crate::store::StoreError> {
            self.0.get(key)
        }
        fn list(&self, prefix: &str) -> Result<crate::store::Listing, crate::store::StoreError> {
            self.0.list(prefix)
        }
        fn commit(&self, transaction: Transaction) -> Result<Outcome, crate::store::StoreError> {
            self.0.commit(transaction)
        }
        fn watch(&self, prefix: &str) -> std::sync::mpsc::Receiver<crate::store::Change> {
            self.0.watch(prefix)
        }
        fn grant_lease(&self, ttl: std::time::Duration) -> Result<crate::store::LeaseId, crate::store::StoreError> {
            self.0.grant_lease(ttl)
        }
        fn keep_alive(&self, lease: crate::store::LeaseId) -> Result<(), crate::store::StoreError> {
            self.0.keep_alive(lease)
        }
        fn revoke(&self, lease: crate::store::LeaseId) -> Result<(), crate::store::StoreError> {
            self.0.revoke(lease)
        }
    }
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join(STORE_FILE);
    let store = Arc::new(EmbeddedStore::open(&path, Arc::new(SystemClock)).expect("store opens"));
    let config = Arc::new(BrokerConfig::default());
    let old = Controller::over(Box::new(Shared(store.clone())), config.clone()).expect("opens");
    let new = Controller::over(Box::new(Shared(store)), config).expect("opens");
    assert_eq!(refused(old.create_topics_now(vec![topic("t")], false).remove(0)).0, ErrorCode::NotController);
    assert!(old.image().topic("t").is_none());
    assert!(new.create_topics_now(vec![topic("t")], false)[0].is_ok());
}

#[test]
fn a_directory_that_kafka_formatted_keeps_its_cluster_id_and_topics() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let text = "#\nversion=1\ncluster.id=MkU3OEVBNTcwNTJENDM2Qk\nnode.id=1\n";
    std::fs::write(directory.path().join("meta.properties"), text).expect("write");
    let controller = open(directory.path(), &[]);
    assert_eq!(controller.image().cluster_id, "MkU3OEVBNTcwNTJENDM2Qk");
    let id = Uuid::random();
    controller.adopt_topics([("orders".to_owned(), id, vec![0, 4, 0])]).expect("adopted");
    controller.adopt_topics([("orders".to_owned(), Uuid::random(), vec![0; 9])]).expect("known already");
    let image = controller.image();
    let orders = image.topic("orders").expect("adopted");
    let leader_epochs: Vec<i32> = orders.partitions.iter().map(|partition| partition.leader_epoch).collect();
    assert_eq!((orders.id, leader_epochs), (id, vec![0, 4, 0]));
}

#[tokio::test]
async fn listeners_hear_of_a_change_before_it_is_answered() {
    let fixture = Fixture::new();
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    fixture.controller.on_change(move |image, changes| {
        assert!(matches!(changes, [MetadataChange::TopicCreated(topic)] if image.topic(&topic.name).is_some()));
        counter.fetch_add(1, Ordering::SeqCst);
    });
    fixture.controller.create_topic(topic("t")).await.expect("created");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
    fixture.controller.create_topic(topic("t")).await.expect_err("exists");
    assert_eq!(seen.load(Ordering::SeqCst), 1);
}

#[test]
fn ten_thousand_partitions_are_created_and_loaded_quickly() {
    let fixture = Fixture::new();
    let topics = (0..1000).map(|index| NewTopic { num_partitions: 10, ..topic(&format!("t{index}")) }).collect();
    let clock = SystemClock;
    let start = clock.monotonic();
    assert!(fixture.controller.create_topics_now(topics, false).iter().all(Result::is_ok));
    let fixture = fixture.reopened();
    let took = clock.monotonic() - start;
    assert_eq!(fixture.controller.image().partition_count(), 10_000);
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
}
