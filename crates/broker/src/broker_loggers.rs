//! The loggers of this broker as a configuration resource (type 8, KIP-412): which there are, how much each writes, and how
//! that is changed while the broker runs.
//!
//! A logger is a module path such as `milena_broker::net`, or `root`. Levels last until the process ends.

use milena_metadata::{ConfigOp, ConfigOpKind};
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_configs_response::Config;
use milena_stdx::loggers::{self, LogLevel, ROOT};

/// Where the level of a logger comes from, as DescribeConfigs numbers it.
const SOURCE: i8 = 6;
/// The crates that write log lines; what does not begin with one of them is no logger.
const CRATES: &[&str] =
    &["milena", "milena_broker", "milena_client", "milena_log", "milena_metadata", "milena_protocol", "milena_tools"];

/// Why a level cannot be changed.
pub(crate) type Refusal = (ErrorCode, String);

/// Every logger that has a level of its own, and the crates, which follow the root.
pub(crate) fn describe() -> Vec<Config> {
    let mut levels = loggers::levels();
    if let Some(root) = levels.get(ROOT).copied() {
        for name in CRATES {
            levels.entry((*name).to_owned()).or_insert(root);
        }
    }
    let entry = |(name, level): (String, LogLevel)| Config {
        name,
        value: Some(level.name().to_owned()),
        config_source: SOURCE,
        documentation: Some(String::new()),
        ..Default::default()
    };
    levels.into_iter().map(entry).collect()
}

/// Changes levels, all of them or none; with `validate_only` nothing happens but the checks.
///
/// # Errors
/// In Kafka's words: an unknown logger or level, an operation on lists, or the root's level taken away.
pub(crate) fn alter(ops: &[ConfigOp], validate_only: bool) -> Result<(), Refusal> {
    let changes = ops.iter().map(change).collect::<Result<Vec<_>, _>>()?;
    if validate_only {
        return Ok(());
    }
    for (logger, level) in changes {
        loggers::set(logger, level).map_err(|error| (ErrorCode::InvalidRequest, error.0))?;
    }
    Ok(())
}

fn change(op: &ConfigOp) -> Result<(&str, Option<LogLevel>), Refusal> {
    let name = op.name.as_str();
    match op.kind {
        ConfigOpKind::Append | ConfigOpKind::Subtract => {
            let kind = op.kind.name();
            Err((ErrorCode::InvalidRequest, format!("{kind} operation is not allowed for the BROKER_LOGGER resource")))
        }
        _ if !exists(name) => Err((ErrorCode::InvalidConfig, format!("Logger {name} does not exist!"))),
        ConfigOpKind::Delete if name == ROOT => {
            Err((ErrorCode::InvalidRequest, "Removing the log level of the root logger is not allowed".to_owned()))
        }
        ConfigOpKind::Delete => Ok((name, None)),
        ConfigOpKind::Set => {
            let value = op.value.as_deref().unwrap_or("");
            let level = LogLevel::from_name(value).filter(|_| value.chars().all(|letter| letter.is_ascii_uppercase()));
            match level {
                Some(level) => Ok((name, Some(level))),
                None => Err((
                    ErrorCode::InvalidConfig,
                    format!(
                        "Cannot set the log level of {name} to {value} as it is not a supported log level. Valid log \
                         levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN"
                    ),
                )),
            }
        }
    }
}

fn exists(name: &str) -> bool {
    name == ROOT
        || name.split("::").next().is_some_and(|root| CRATES.contains(&root))
        || loggers::levels().contains_key(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(name: &str, kind: ConfigOpKind, value: Option<&str>) -> ConfigOp {
        ConfigOp { name: name.to_owned(), kind, value: value.map(str::to_owned) }
    }

    #[test]
    fn what_cannot_be_is_refused_in_kafkas_words() {
        let refused = |op: ConfigOp| alter(&[op], true).expect_err("refused").1;
        let set = |name, value| refused(op(name, ConfigOpKind::Set, Some(value)));
        assert_eq!(set("kafka.bogus", "DEBUG"), "Logger kafka.bogus does not exist!");
        assert!(
            set("milena_broker::net", "LOUD").starts_with("Cannot set the log level of milena_broker::net to LOUD")
        );
        assert!(set(ROOT, "debug").contains("not a supported log level"));
        assert_eq!(
            refused(op(ROOT, ConfigOpKind::Delete, None)),
            "Removing the log level of the root logger is not allowed"
        );
        assert_eq!(
            refused(op(ROOT, ConfigOpKind::Append, Some("x"))),
            "APPEND operation is not allowed for the BROKER_LOGGER resource"
        );
        alter(&[op("milena_log", ConfigOpKind::Set, Some("TRACE"))], true).expect("valid");
    }
}
