//! The tables agree with themselves, and values are checked as Kafka checks them.

use super::*;

fn reason(def: Option<&ConfigDef>, value: &str) -> Option<String> {
    def.expect("a key of the table").validate(value).err().map(|error| error.reason)
}

fn tables() -> impl Iterator<Item = &'static ConfigDef> {
    BROKER_CONFIGS.iter().chain(TOPIC_CONFIGS.iter()).chain(GROUP_CONFIGS.iter())
}

#[test]
fn every_default_satisfies_its_own_row() {
    for def in tables() {
        if let Some(default) = def.default.filter(|default| !default.is_empty()) {
            assert_eq!(def.validate(default), Ok(()), "{}", def.name);
        }
    }
}

#[test]
fn every_key_is_documented_in_one_line() {
    for def in tables() {
        assert!(!def.doc.is_empty() && !def.doc.contains('\n'), "{} needs one line of documentation", def.name);
    }
}

#[test]
fn every_synonym_is_a_key_of_brokers_of_the_same_type() {
    for def in TOPIC_CONFIGS.iter() {
        if let Some(synonym) = def.synonym {
            let broker = BROKER_CONFIGS.get(synonym).unwrap_or_else(|| panic!("{synonym} is no key of brokers"));
            assert_eq!(broker.kind, def.kind, "{}", def.name);
        }
    }
}

#[test]
fn every_key_of_groups_has_a_broker_default_of_the_same_value() {
    for def in GROUP_CONFIGS.iter() {
        if let Some(broker) = BROKER_CONFIGS.get(&format!("group.{}", def.name)) {
            assert_eq!(broker.default, def.default, "{}", def.name);
        }
    }
}

#[test]
fn the_keys_and_defaults_that_everybody_knows_are_there() {
    let default = |name| BROKER_CONFIGS.get(name).and_then(|def| def.default);
    assert_eq!(default("log.retention.hours"), Some("168"));
    assert_eq!(default("offsets.topic.num.partitions"), Some("50"));
    assert_eq!(default("group.initial.rebalance.delay.ms"), Some("3000"));
    assert_eq!(default("message.max.bytes"), Some("1048588"));
    assert_eq!(default("log.retention.ms"), None);
    let topic = |name| TOPIC_CONFIGS.get(name).and_then(|def| def.default);
    assert_eq!(topic("segment.bytes"), Some("1073741824"));
    assert_eq!(topic("retention.ms"), Some("604800000"));
    assert_eq!(topic("max.message.bytes"), Some("1048588"));
    assert_eq!(TOPIC_CONFIGS.iter().count(), 36);
}

#[test]
fn values_are_refused_in_the_words_of_kafka() {
    let topic = |name, value| reason(TOPIC_CONFIGS.get(name), value);
    assert_eq!(topic("retention.ms", "abc").as_deref(), Some("Not a number of type LONG"));
    assert_eq!(topic("retention.ms", "-2").as_deref(), Some("Value must be at least -1"));
    assert_eq!(topic("segment.bytes", "2147483648").as_deref(), Some("Not a number of type INT"));
    assert_eq!(topic("preallocate", "1").as_deref(), Some("Expected value to be either true or false"));
    assert_eq!(topic("cleanup.policy", "compact,remove").as_deref(), Some("String must be one of: compact, delete"));
    assert_eq!(topic("min.cleanable.dirty.ratio", "1.5").as_deref(), Some("Value must be no more than 1"));
    assert_eq!(topic("min.cleanable.dirty.ratio", "NaN").as_deref(), Some("Value must be a number"));
    assert_eq!(
        topic("compression.type", "brotli").as_deref(),
        Some("String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer")
    );
    assert_eq!(topic("compression.gzip.level", "0").as_deref(), Some("Value must be between 1 and 9 or equal to -1"));
    for (name, value) in [
        ("retention.ms", "-1"),
        ("cleanup.policy", "delete, compact"),
        ("cleanup.policy", ""),
        ("preallocate", "TRUE"),
        ("segment.bytes", "14"),
        ("compression.gzip.level", "-1"),
    ] {
        assert_eq!(topic(name, value), None, "{name}={value}");
    }
}

#[test]
fn a_secret_is_not_repeated_in_an_error() {
    let def =
        ConfigDef { validator: Validator::OneOf(&["x"]), ..*BROKER_CONFIGS.get("sasl.jaas.config").expect("a key") };
    let error = def.validate("hunter2").expect_err("not x");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn dynamic_keys_are_those_of_kafka() {
    assert!(is_dynamic_broker_config("log.retention.ms", true));
    assert!(is_dynamic_broker_config("listener.name.external.ssl.keystore.location", false));
    assert!(!is_dynamic_broker_config("listeners", true));
    assert!(is_dynamic_broker_config("listeners", false));
    assert!(!is_dynamic_broker_config("node.id", false));
    assert!(!is_dynamic_broker_config("no.such.key", false));
}

#[test]
fn documentation_is_what_the_tables_say() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = document::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("docs/ can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("docs/configuration.md is there");
    assert!(committed == page, "run UPDATE_DOCS=1 cargo test -p milena-metadata documentation");
}
