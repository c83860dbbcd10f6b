//! What configurations mean, and what is said about wrong ones.

use std::io::Write as _;
use std::path::Path;

use super::*;

fn config(pairs: &[(&str, &str)]) -> BrokerConfig {
    BrokerConfig::from_pairs(pairs).expect("a valid configuration")
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    BrokerConfig::from_pairs(pairs).map(drop).expect_err("an invalid configuration").to_string()
}

fn notices(pairs: &[(&str, &str)]) -> Vec<String> {
    let sources = pairs.iter().fold(ConfigSources::new(), |all, (key, value)| all.command_line(key, value));
    BrokerConfig::load(sources).expect("a valid configuration").1
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn shown(config: &BrokerConfig) -> Vec<String> {
    let listeners = config.listeners.iter().map(|listener| {
        let advertised = listener.advertised.as_ref().map(|to| format!(" as {}:{}", to.host, to.port));
        format!("{} {}:{}{}", listener.name, listener.host, listener.port, advertised.unwrap_or_default())
    });
    listeners.collect()
}

#[test]
fn without_settings_one_listener_is_on_loopback_and_data_in_one_directory() {
    let config = BrokerConfig::default();
    assert_eq!(shown(&config), ["PLAINTEXT 127.0.0.1:9092"]);
    assert_eq!(config.node_id, 1);
    assert_eq!(config.data_dir, Path::new("./milena-data"));
    assert_eq!(config.log_dirs, [Path::new("./milena-data")]);
    assert!(config.acks_all_fsync && config.auto_create_topics_enable && config.delete_topic_enable);
    assert_eq!((config.num_partitions, config.default_replication_factor), (1, 1));
    assert_eq!(config.socket_request_max_bytes, 104_857_600);
    assert_eq!(config.queued_max_request_bytes, None);
    assert_eq!(config.connections_max_idle, Some(Duration::from_secs(600)));
}

#[test]
fn later_sources_win() {
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    writeln!(file, "num.partitions=2\nnode.id=7\nlog.dirs=/a,/b").expect("write");
    let sources = ConfigSources::new()
        .file(file.path())
        .expect("readable")
        .environment(variables(&[("KAFKA_NUM_PARTITIONS", "3"), ("KAFKA_LOG_RETENTION_HOURS", "5"), ("HOME", "/")]))
        .command_line("log.retention.hours", "6");
    let (config, notices) = BrokerConfig::load(sources).expect("a valid configuration");
    assert_eq!((config.num_partitions, config.node_id), (3, 7));
    assert_eq!(config.setting("log.retention.hours"), Some("6"));
    assert_eq!((config.value("log.roll.hours"), config.setting("log.roll.hours")), (Some("168"), None));
    assert_eq!(config.log_dirs, [Path::new("/a"), Path::new("/b")]);
    assert_eq!(config.data_dir, Path::new("/a"));
    assert_eq!(notices, Vec::<String>::new());
}

#[test]
fn a_wrong_value_names_key_value_reason_and_origin() {
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    writeln!(file, "# a comment\nnum.partitions=many").expect("write");
    let sources = ConfigSources::new().file(file.path()).expect("readable");
    assert_eq!(
        BrokerConfig::load(sources).map(drop).expect_err("not a number").to_string(),
        format!(
            "Invalid value many for configuration num.partitions: Not a number of type INT ({} line 2)",
            file.path().display()
        )
    );
    let sources = ConfigSources::new().environment(variables(&[("KAFKA_NUM_PARTITIONS", "0")]));
    assert_eq!(
        BrokerConfig::load(sources).map(drop).expect_err("too small").to_string(),
        "Invalid value 0 for configuration num.partitions: Value must be at least 1 (environment variable \
         KAFKA_NUM_PARTITIONS)"
    );
    assert_eq!(
        refusal(&[("auto.create.topics.enable", "yes")]),
        "Invalid value yes for configuration auto.create.topics.enable: Expected value to be either true or false \
         (command line)"
    );
}

#[test]
fn unknown_keys_are_ignored_with_a_notice_that_names_the_nearest_key() {
    assert_eq!(
        notices(&[("num.partition", "3")]),
        ["unknown configuration num.partition (command line) is ignored; did you mean num.partitions?"]
    );
    assert_eq!(
        notices(&[("completely.different.thing", "3")]),
        ["unknown configuration completely.different.thing (command line) is ignored"]
    );
}

#[test]
fn keys_of_the_zookeeper_era_are_accepted_with_one_notice_each() {
    assert_eq!(
        notices(&[("zookeeper.connect", "zookeeper:2181")]),
        ["zookeeper.connect (command line) has no effect: metadata is kept in the data directory, without ZooKeeper"]
    );
    assert_eq!(notices(&[("inter.broker.protocol.version", "2.8")]).len(), 1);
    assert_eq!(notices(&[("listener.name.internal.ssl.client.auth", "none")]), Vec::<String>::new());
}

#[test]
fn the_stock_kraft_configuration_is_understood() {
    let stock = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.bootstrap.servers", "localhost:9093"),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("advertised.listeners", "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL",
        ),
        ("num.network.threads", "3"),
        ("log.dirs", "/tmp/kraft-combined-logs"),
        ("offsets.topic.replication.factor", "1"),
        ("log.retention.hours", "168"),
    ];
    assert_eq!(shown(&config(&stock)), ["PLAINTEXT 0.0.0.0:9092 as localhost:9092"]);
    assert_eq!(
        notices(&stock),
        ["listener CONTROLLER is not opened: the controller works inside the broker and needs no port"]
    );
}

#[test]
fn a_compose_file_with_only_advertised_listeners_binds_their_ports() {
    let compose = [
        ("KAFKA_BROKER_ID", "3"),
        ("KAFKA_ZOOKEEPER_CONNECT", "zookeeper:2181"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT"),
        ("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://broker:29092,PLAINTEXT_HOST://localhost:9092"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_HEAP_OPTS", "-Xmx1g"),
        ("CLUSTER_ID", "MkU3OEVBNTcwNTJENDM2Qk"),
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
    ];
    let sources = ConfigSources::new().environment(variables(&compose));
    let (config, notices) = BrokerConfig::load(sources).expect("a valid configuration");
    assert_eq!(
        shown(&config),
        ["PLAINTEXT 0.0.0.0:29092 as broker:29092", "PLAINTEXT_HOST 0.0.0.0:9092 as localhost:9092"]
    );
    assert_eq!((config.node_id, config.cluster_id.as_deref()), (3, Some("MkU3OEVBNTcwNTJENDM2Qk")));
    assert_eq!(notices.len(), 1, "{notices:?}");
}

#[test]
fn an_advertised_loopback_address_alone_opens_no_other_interface() {
    let advertised = ("advertised.listeners", "PLAINTEXT://localhost:9095");
    assert_eq!(shown(&config(&[advertised])), ["PLAINTEXT 127.0.0.1:9095 as localhost:9095"]);
    let bound = config(&[advertised, ("milena.bind.host", "0.0.0.0")]);
    assert_eq!(shown(&bound), ["PLAINTEXT 0.0.0.0:9095 as localhost:9095"]);
}

#[test]
fn listeners_take_names_addresses_and_port_zero() {
    let pairs = [
        ("listeners", "internal://[::1]:0, EXTERNAL://192.0.2.1:9094"),
        ("listener.security.protocol.map", "INTERNAL:plaintext,EXTERNAL:PLAINTEXT"),
    ];
    assert_eq!(shown(&config(&pairs)), ["INTERNAL ::1:0", "EXTERNAL 192.0.2.1:9094"]);
}

#[test]
fn listeners_that_cannot_be_are_refused() {
    let starts = |pairs: &[(&str, &str)], expected: &str| {
        let refusal = refusal(pairs);
        assert!(refusal.starts_with(expected), "{refusal}");
    };
    starts(
        &[("listeners", "localhost:9092")],
        "Invalid value localhost:9092 for configuration listeners: expected NAME://",
    );
    starts(&[("listeners", "PLAINTEXT://h:99999")], "Invalid value PLAINTEXT://h:99999 for configuration listeners");
    starts(&[("listeners", "PLAINTEXT://::1:9092")], "Invalid value PLAINTEXT://::1:9092 for configuration listeners");
    starts(
        &[("listeners", "A://:1,A://:2"), ("listener.security.protocol.map", "A:PLAINTEXT")],
        "Invalid value A://:1",
    );
    starts(&[("listeners", "FOO://:1")], "Invalid value SASL_SSL:SASL_SSL");
    starts(
        &[("listeners", "PLAINTEXT://:1"), ("advertised.listeners", "PLAINTEXT://0.0.0.0:1")],
        "Invalid value PLAINTEXT://0.0.0.0:1 for configuration advertised.listeners: expected a host",
    );
    starts(&[("process.roles", "controller")], "Invalid value controller for configuration process.roles");
    starts(&[("node.id", "1"), ("broker.id", "2")], "Invalid value 1 for configuration node.id");
}

#[test]
fn a_number_at_the_edge_is_taken_or_refused_and_never_a_panic() {
    for def in BROKER_CONFIGS.iter() {
        for value in ["-9223372036854775808", "-1", "0", "1", "40000", "2147483647", "9223372036854775807", ""] {
            let _ = BrokerConfig::from_pairs(&[(def.name, value)]);
        }
    }
    assert!(refusal(&[("default.replication.factor", "40000")]).starts_with("Invalid value 40000"));
    assert!(refusal(&[("log.cleaner.dedupe.buffer.size", "-5")]).starts_with("Invalid value -5"));
}
