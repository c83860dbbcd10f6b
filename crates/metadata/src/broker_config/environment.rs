//! The environment variables of the usual Docker images as configuration.
//!
//! `KAFKA_LOG_RETENTION_HOURS` is `log.retention.hours`: `_` stands for `.`, `__` for `_`, `___` for `-`. `KAFKA_CFG_` is
//! accepted as a longer prefix. Variables that steer a JVM, its scripts or another system of the platform are left out.

use milena_stdx::config_def::key_of_words;

/// Variables that start with `KAFKA_` and configure something else than the broker.
const NOT_CONFIGURATION: &[&str] = &[
    "KAFKA_CLASSPATH",
    "KAFKA_CLUSTER_ID",
    "KAFKA_CREATE_TOPICS",
    "KAFKA_DEBUG",
    "KAFKA_DIR",
    "KAFKA_ENABLE_KRAFT",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_KRAFT_CLUSTER_ID",
    "KAFKA_MODE",
    "KAFKA_OPTS",
    "KAFKA_USER",
    "KAFKA_VERSION",
];

/// Beginnings of further such variables.
const NOT_CONFIGURATION_PREFIXES: &[&str] =
    &["KAFKA_JMX_", "KAFKA_LOG4J", "KAFKA_TOOLS_", "KAFKA_REST_", "KAFKA_SERVICE_", "KAFKA_PORT_"];

/// The key that variable `name` sets, or `None` when it is not configuration of the broker.
pub fn key_of_variable(name: &str) -> Option<String> {
    if NOT_CONFIGURATION.contains(&name) || NOT_CONFIGURATION_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    let words = name.strip_prefix("KAFKA_CFG_").or_else(|| name.strip_prefix("KAFKA_"))?;
    (!words.is_empty()).then(|| key_of_words(words))
}

/// The cluster id that the environment asks for when storage is first formatted.
pub fn cluster_id_of_variable(name: &str) -> bool {
    matches!(name, "CLUSTER_ID" | "KAFKA_CLUSTER_ID" | "KAFKA_KRAFT_CLUSTER_ID")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_become_dots_underscores_and_dashes() {
        let key = |name| key_of_variable(name).unwrap_or_default();
        assert_eq!(key("KAFKA_LOG_RETENTION_HOURS"), "log.retention.hours");
        assert_eq!(key("KAFKA_CFG_NODE_ID"), "node.id");
        assert_eq!(key("KAFKA_LISTENER_NAME_SASL__SSL_SSL_CLIENT_AUTH"), "listener.name.sasl_ssl.ssl.client.auth");
        assert_eq!(key("KAFKA_LISTENER_NAME_A___B"), "listener.name.a-b");
    }

    #[test]
    fn variables_of_the_jvm_and_of_other_systems_are_left_out() {
        for name in ["KAFKA_HEAP_OPTS", "KAFKA_LOG4J_ROOT_LOGLEVEL", "KAFKA_REST_LISTENERS", "PATH", "KAFKA_", "KAFKA"]
        {
            assert_eq!(key_of_variable(name), None, "{name}");
        }
    }
}
