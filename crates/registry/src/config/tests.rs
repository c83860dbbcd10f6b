//! What sources add up to, and which are refused.

use super::*;

fn load(pairs: &[(&str, &str)]) -> Result<(RegistryConfig, Vec<String>), ConfigError> {
    let sources = pairs.iter().fold(ConfigSources::new(COMPONENT), |all, (key, value)| all.command_line(key, value));
    RegistryConfig::load(&sources.fallback("kafkastore.bootstrap.servers", "localhost:9092"))
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    load(pairs).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn without_settings_the_registry_listens_on_loopback_and_is_backward_compatible() {
    let (config, notices) = load(&[]).unwrap();
    assert_eq!(config.listeners, [Listener { secure: false, address: "127.0.0.1:8081".to_owned() }]);
    assert_eq!(config.service.compatibility_level, CompatibilityLevel::Backward);
    assert_eq!(config.log.topic.name, "_schemas");
    assert!(notices.is_empty() && !config.log.create_late);
}

#[test]
fn variables_of_the_docker_image_are_properties() {
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let sources = ConfigSources::new(COMPONENT).environment([
        variable("SCHEMA_REGISTRY_HOST_NAME", "registry"),
        variable("SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS", "PLAINTEXT://kafka:9092"),
        variable("SCHEMA_REGISTRY_LISTENERS", "http://:9081"),
        variable("SCHEMA_REGISTRY_SCHEMA_COMPATIBILITY_LEVEL", "FULL"),
        variable("SCHEMA_REGISTRY_HEAP_OPTS", "-Xmx1g"),
        variable("SCHEMA_REGISTRY_CUB_KAFKA_TIMEOUT", "40"),
        variable("SCHEMA_REGISTRY_LOG4J_ROOT_LOGLEVEL", "INFO"),
        variable("KAFKA_LISTENERS", "PLAINTEXT://:1"),
    ]);
    let (config, notices) = RegistryConfig::load(&sources).unwrap();
    assert_eq!(config.host_name.as_deref(), Some("registry"));
    assert_eq!(config.listeners[0].address, "0.0.0.0:9081");
    assert_eq!(config.service.compatibility_level, CompatibilityLevel::Full);
    assert_eq!(config.client.bootstrap_servers, [("kafka".to_owned(), 9092)]);
    assert!(notices.is_empty(), "{notices:?}");
}

#[test]
fn unknown_keys_and_plug_ins_are_told_and_wrong_values_refused() {
    let (_, notices) =
        load(&[("listner", "x"), ("resource.extension.class", "a.B"), ("kafkastore.connection.url", "zk:2181")])
            .unwrap();
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert!(notices.iter().any(|notice| notice.contains("did you mean listeners?")), "{notices:?}");
    assert!(refusal(&[("schema.compatibility.level", "sideways")]).contains("schema.compatibility.level"));
    assert!(refusal(&[("listeners", "ftp://a:1")]).contains("http or https"));
    assert!(refusal(&[("listeners", "http://a")]).contains("the port is missing"));
    assert!(refusal(&[("port", "8081")]).contains("listeners"));
    assert!(refusal(&[("listeners", "https://127.0.0.1:0")]).contains("ssl.keystore.location"));
    assert!(refusal(&[("authentication.method", "BASIC")]).contains("milena.authentication.file"));
    assert!(RegistryConfig::load(&ConfigSources::new(COMPONENT)).is_err());
}

#[test]
fn what_the_original_has_and_we_do_not_need_is_accepted() {
    let (_, notices) = load(&[
        ("schema.cache.size", "1000"),
        ("kafkastore.sasl.kerberos.service.name", "kafka"),
        ("confluent.license.topic", "_confluent-license"),
        ("kafkastore.write.max.retries", "3"),
    ])
    .unwrap();
    assert!(notices.is_empty(), "{notices:?}");
    let (_, notices) = load(&[("schema.providers.json.fetch.remote.schemas", "true")]).unwrap();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("never fetched"), "{notices:?}");
}

#[test]
fn of_brokers_with_several_protocols_those_that_fit_are_used() {
    const SERVERS: &str = "kafkastore.bootstrap.servers";
    const PROTOCOL: &str = "kafkastore.security.protocol";
    let mixed = "PLAINTEXT://a:1, SSL://b:2,c:3";
    let (config, _) = load(&[(SERVERS, mixed)]).unwrap();
    assert_eq!(config.client.bootstrap_servers, [("a".to_owned(), 1), ("c".to_owned(), 3)]);
    let (config, _) = load(&[(SERVERS, mixed), (PROTOCOL, "SSL")]).unwrap();
    assert_eq!(config.client.bootstrap_servers, [("b".to_owned(), 2), ("c".to_owned(), 3)]);
    assert!(refusal(&[(SERVERS, "SSL://b:2")]).contains(PROTOCOL));
}

#[test]
fn documentation_is_what_the_table_says() {
    let page = crate::config::document();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration-schema-registry.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == page, "run UPDATE_DOCS=1 cargo test -p milena-registry documentation");
}
