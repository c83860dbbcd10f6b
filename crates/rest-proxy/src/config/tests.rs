//! What sources add up to, and which are refused.

use super::*;

fn load(pairs: &[(&str, &str)]) -> Result<(RestConfig, Vec<String>), ConfigError> {
    let sources = pairs.iter().fold(ConfigSources::new(COMPONENT), |all, (key, value)| all.command_line(key, value));
    RestConfig::load(&sources.fallback("bootstrap.servers", "localhost:9092"))
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    load(pairs).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn without_settings_the_proxy_listens_on_loopback_and_limits_no_rates() {
    let (config, notices) = load(&[]).unwrap();
    assert_eq!(config.listeners, [Listener { secure: false, address: "127.0.0.1:8082".to_owned() }]);
    assert_eq!((config.consumer_request_timeout, config.fetch_min_bytes), (Duration::from_secs(1), -1));
    assert_eq!(config.registry.urls, ["http://localhost:8081"]);
    assert!(notices.is_empty() && config.http.requests_per_second.is_none());
    assert!(config.streams.records_per_second.is_none() && config.http.serves_v2 && config.http.serves_v3);
}

#[test]
fn variables_of_the_docker_image_are_properties() {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let sources = ConfigSources::new(COMPONENT).environment([
        variable("KAFKA_REST_HOST_NAME", "rest-proxy"),
        variable("KAFKA_REST_BOOTSTRAP_SERVERS", "PLAINTEXT://kafka:9092"),
        variable("KAFKA_REST_LISTENERS", "http://0.0.0.0:9082"),
        variable("KAFKA_REST_SCHEMA_REGISTRY_URL", "http://registry:8081"),
        variable("KAFKA_REST_CUB_KAFKA_TIMEOUT", "40"),
        variable("KAFKA_REST_LOG4J_ROOT_LOGLEVEL", "INFO"),
        variable("KAFKA_REST_HEAP_OPTS", "-Xmx1g"),
        variable("KAFKA_REST_PRODUCER_ACKS", "1"),
        variable("KAFKA_LISTENERS", "PLAINTEXT://:1"),
    ]);
    let (config, notices) = RestConfig::load(&sources).unwrap();
    assert_eq!(config.host_name.as_deref(), Some("rest-proxy"));
    assert_eq!(config.listeners[0].address, "0.0.0.0:9082");
    assert_eq!(config.client.bootstrap_servers, [("kafka".to_owned(), 9092)]);
    assert_eq!(config.registry.urls, ["http://registry:8081"]);
    assert_eq!(config.producer.acks, 1);
    assert!(notices.is_empty(), "{notices:?}");
}

#[test]
fn properties_of_one_client_win_over_those_of_all() {
    let (config, notices) = load(&[
        ("producer.request.timeout.ms", "1"),
        ("client.request.timeout.ms", "2"),
        ("consumer.fetch.max.bytes", "3"),
        ("consumer.fetch.max.bites", "3"),
    ])
    .unwrap();
    assert_eq!(config.producer_client.request_timeout, Duration::from_millis(1));
    assert_eq!(config.client.request_timeout, Duration::from_millis(2));
    assert_eq!(config.consumer.fetch_max_bytes, 3);
    assert_eq!(notices.len(), 1, "{notices:?}");
}

#[test]
fn unknown_keys_and_plug_ins_are_told_and_wrong_values_refused() {
    let (_, notices) =
        load(&[("listner", "x"), ("kafka.rest.resource.extension.class", "a.B"), ("zookeeper.connect", "zk:2181")])
            .unwrap();
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert!(notices.iter().any(|notice| notice.contains("did you mean listeners?")), "{notices:?}");
    assert!(refusal(&[("listeners", "ftp://a:1")]).contains("http or https"));
    assert!(refusal(&[("port", "8082")]).contains("KAFKA_REST_LISTENERS"));
    assert!(refusal(&[("listeners", "https://127.0.0.1:0")]).contains("ssl.keystore.location"));
    assert!(refusal(&[("authentication.method", "BASIC")]).contains("milena.authentication.file"));
    assert!(refusal(&[("producer.acks", "5")]).contains("acks"));
    assert!(refusal(&[("schema.registry.url", "ftp://x")]).contains("schema.registry.url"));
    assert!(RestConfig::load(&ConfigSources::new(COMPONENT)).is_err());
}

#[test]
fn documentation_is_what_the_table_says() {
    let page = crate::config::document();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration-rest-proxy.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == page, "run UPDATE_DOCS=1 cargo test -p milena-rest-proxy documentation");
}
