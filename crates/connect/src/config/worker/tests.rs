//! What sources add up to, and which are refused.

use super::*;

const DISTRIBUTED: [(&str, &str); 6] = [
    ("group.id", "g"),
    ("key.converter", "JsonConverter"),
    ("value.converter", "JsonConverter"),
    ("config.storage.topic", "c"),
    ("offset.storage.topic", "o"),
    ("status.storage.topic", "s"),
];

fn load(mode: Mode, pairs: &[(&str, &str)]) -> Result<(WorkerConfig, Vec<String>), WorkerConfigError> {
    let all = DISTRIBUTED.iter().chain(pairs);
    WorkerConfig::load(&all.fold(Sources::new(COMPONENT), |all, (key, value)| all.command_line(key, value)), mode)
}

fn refusal(mode: Mode, pairs: &[(&str, &str)]) -> String {
    load(mode, pairs).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn a_distributed_worker_has_the_defaults_of_the_original() {
    let (config, notices) = load(Mode::Distributed, &[]).unwrap();
    assert_eq!(config.listeners, [Listener { secure: false, address: "0.0.0.0:8083".to_owned() }]);
    let distributed = config.distributed.unwrap();
    let topic = |topic: &StorageTopic| (topic.name.clone(), topic.partitions, topic.replication_factor);
    assert_eq!(topic(&distributed.config_topic), ("c".to_owned(), 1, 3));
    assert_eq!(topic(&distributed.offset_topic), ("o".to_owned(), 25, 3));
    assert_eq!(topic(&distributed.status_topic), ("s".to_owned(), 5, 3));
    assert_eq!(distributed.scheduled_rebalance_delay_max, Duration::from_secs(300));
    assert!(distributed.sessioned && distributed.key_ttl == Some(Duration::from_secs(3600)));
    assert!(notices.is_empty(), "{notices:?}");
}

#[test]
fn a_standalone_worker_needs_a_file_for_its_offsets_and_no_group() {
    assert!(refusal(Mode::Standalone, &[]).contains("offset.storage.file.filename"));
    let (config, _) = load(Mode::Standalone, &[("offset.storage.file.filename", "/tmp/x")]).unwrap();
    assert!(config.distributed.is_none() && config.offset_file.is_some());
    let missing = WorkerConfig::load(&Sources::new(COMPONENT), Mode::Distributed);
    assert!(missing.err().unwrap().to_string().contains("\"key.converter\""));
}

#[test]
fn variables_of_the_docker_images_are_properties() {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let sources = Sources::new(COMPONENT).environment([
        variable("CONNECT_BOOTSTRAP_SERVERS", "kafka:9092"),
        variable("CONNECT_GROUP_ID", "compose"),
        variable("CONNECT_CONFIG_STORAGE_TOPIC", "docker-connect-configs"),
        variable("CONNECT_OFFSET_STORAGE_TOPIC", "docker-connect-offsets"),
        variable("CONNECT_STATUS_STORAGE_TOPIC", "docker-connect-status"),
        variable("CONNECT_KEY_CONVERTER", "org.apache.kafka.connect.storage.StringConverter"),
        variable("CONNECT_VALUE_CONVERTER", "io.confluent.connect.avro.AvroConverter"),
        variable("CONNECT_VALUE_CONVERTER_SCHEMA_REGISTRY_URL", "http://registry:8081"),
        variable("CONNECT_REST_ADVERTISED_HOST_NAME", "connect"),
        variable("CONNECT_CONFIG_STORAGE_REPLICATION_FACTOR", "1"),
        variable("CONNECT_LOG4J_ROOT_LOGLEVEL", "INFO"),
        variable("CONNECT_PLUGIN_PATH", "/usr/share/java"),
        variable("CONNECT_PRODUCER_INTERCEPTOR_CLASSES", "a.B"),
    ]);
    let (config, notices) = WorkerConfig::load(&sources, Mode::Distributed).unwrap();
    assert_eq!(config.properties["value.converter.schema.registry.url"], "http://registry:8081");
    let distributed = config.distributed.unwrap();
    assert_eq!((distributed.group_id.as_str(), distributed.config_topic.replication_factor), ("compose", 1));
    assert_eq!(config.rest.advertised_host.as_deref(), Some("connect"));
    assert_eq!(notices.len(), 2, "{notices:?}");
}

#[test]
fn unknown_keys_are_told_and_wrong_values_refused() {
    let (config, notices) = load(
        Mode::Distributed,
        &[
            ("listner", "x"),
            ("security.protocol", "PLAINTEXT"),
            ("producer.linger.ms", "5"),
            ("consumer.fetch.max.bytes", "5"),
            ("status.storage.segment.bytes", "1048576"),
            ("key.converter.schemas.enable", "false"),
        ],
    )
    .unwrap();
    assert!(notices.iter().any(|notice| notice.contains("did you mean listeners?")), "{notices:?}");
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert_eq!(config.client_settings["security.protocol"], "PLAINTEXT");
    assert_eq!(config.distributed.unwrap().status_topic.configs["segment.bytes"], "1048576");
    let refused = |pairs: &[(&str, &str)]| refusal(Mode::Distributed, pairs);
    assert!(refused(&[("listeners", "ftp://a:1")]).contains("http or https"));
    assert!(refused(&[("status.storage.partitions", "0")]).contains("status.storage.partitions"));
    assert!(refused(&[("heartbeat.interval.ms", "20000")]).contains("session.timeout.ms"));
    assert!(refused(&[("connector.client.config.override.policy", "Some")]).contains("Allowlist"));
    assert!(refused(&[("response.http.headers.config", "X")]).contains("X-Frame-Options"));
    assert!(refused(&[("config.providers", "x")]).contains("config.providers.x.class"));
}

#[test]
fn a_workers_own_settings_may_hold_placeholders() {
    let (config, _) = load(
        Mode::Distributed,
        &[
            ("config.providers", "env"),
            ("config.providers.env.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider"),
            ("group.id", "g-${env:PATH}"),
        ],
    )
    .unwrap();
    assert_eq!(config.distributed.unwrap().group_id, format!("g-{}", std::env::var("PATH").unwrap()));
}

#[test]
fn documentation_is_what_the_table_says() {
    let page = document();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration-connect.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == page, "run UPDATE_DOCS=1 cargo test -p milena-connect documentation");
}
