//! The settings that every connector has, whatever it connects to.

use std::sync::LazyLock;

use crate::worker::restart;

use super::def::{ConfigDef, ConfigKey, ConfigType, Importance, Rule, Width};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const COMMON: &str = "Common";
const ERRORS: &str = "Error Handling";

/// Settings of every source.
pub static SOURCE: LazyLock<ConfigDef> = LazyLock::new(|| {
    let mut keys = common();
    keys.extend(source());
    ConfigDef::new(keys)
});

/// Settings of every sink.
pub static SINK: LazyLock<ConfigDef> = LazyLock::new(|| {
    let mut keys = common();
    keys.extend(sink());
    ConfigDef::new(keys)
});

fn required(name: &'static str, kind: ConfigType, documentation: &'static str) -> ConfigKey {
    ConfigKey::required(name, kind, Importance::High, documentation)
}

fn with_default(name: &'static str, kind: ConfigType, default: &'static str, documentation: &'static str) -> ConfigKey {
    ConfigKey::with_default(name, kind, default, Importance::Low, documentation)
}

fn nullable(name: &'static str, kind: ConfigType, documentation: &'static str) -> ConfigKey {
    ConfigKey::nullable(name, kind, Importance::Low, documentation)
}

fn medium(mut key: ConfigKey) -> ConfigKey {
    key.importance = Importance::Medium;
    key
}

fn high(mut key: ConfigKey) -> ConfigKey {
    key.importance = Importance::High;
    key
}

fn common() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, Class, Int, List, Long, String};
    let mut keys =
        vec![
            required("name", String, "The name of the connector; no other one of the cluster has it.")
                .checked(Rule::Custom(check_name))
                .shown(COMMON, 1, Width::Medium, "Connector name"),
            required(
                "connector.class",
                String,
                "What the connector is: the full name of its class, the simple name, or that without Connector.",
            )
            .shown(COMMON, 2, Width::Long, "Connector class"),
            medium(with_default("connector.plugin.version", String, VERSION, "The version of the connector.")).shown(
                COMMON,
                3,
                Width::Medium,
                "Connector version",
            ),
            high(with_default("tasks.max", Int, "1", "How many tasks the connector may have."))
                .checked(Rule::AtLeast(1))
                .shown(COMMON, 4, Width::Short, "Tasks max"),
            with_default("tasks.max.enforce", Boolean, "true", "Whether a connector that plans more tasks fails.")
                .shown(COMMON, 5, Width::Short, "Enforce tasks max"),
            nullable("key.converter", Class, "The format of keys; unset: that of the worker, with its settings.")
                .shown(COMMON, 6, Width::Short, "Key converter class"),
            with_default("key.converter.plugin.version", String, VERSION, "The version of the key converter.").shown(
                COMMON,
                7,
                Width::Short,
                "Key converter version",
            ),
            nullable("value.converter", Class, "The format of values; unset: that of the worker, with its settings.")
                .shown(COMMON, 8, Width::Short, "Value converter class"),
            with_default("value.converter.plugin.version", String, VERSION, "The version of the value converter.")
                .shown(COMMON, 9, Width::Short, "Value converter version"),
            nullable("header.converter", Class, "The format of headers; unset: that of the worker, with its settings.")
                .shown(COMMON, 10, Width::Short, "Header converter class"),
            with_default("header.converter.plugin.version", String, VERSION, "The version of the header converter.")
                .shown(COMMON, 11, Width::Short, "Header converter version"),
            with_default("transforms", List, "", "Names of the transforms that records go through, in order.").shown(
                "Transforms",
                12,
                Width::Long,
                "Transforms",
            ),
            with_default("predicates", List, "", "Names of the predicates that transforms can ask.").shown(
                "Predicates",
                13,
                Width::Long,
                "Predicates",
            ),
            with_default(
                "config.action.reload",
                String,
                "restart",
                "What happens when a config provider has other values: none or restart.",
            )
            .checked(Rule::OneOf(&["none", "restart"]))
            .shown(COMMON, 14, Width::Medium, "Reload Action"),
            medium(with_default(
                "errors.retry.timeout",
                Long,
                "0",
                "Milliseconds that a failed operation is tried again; -1 is for ever, 0 not at all.",
            ))
            .shown(ERRORS, 1, Width::Medium, "Retry Timeout for Errors"),
            medium(with_default("errors.retry.delay.max.ms", Long, "60000", "The longest pause between tries.")).shown(
                ERRORS,
                2,
                Width::Medium,
                "Maximum Delay Between Retries for Errors",
            ),
            medium(with_default(
                "errors.tolerance",
                String,
                "none",
                "none: a bad record fails the task. all: it is passed over.",
            ))
            .checked(Rule::OneOf(&["none", "all"]))
            .shown(ERRORS, 3, Width::Short, "Error Tolerance"),
            medium(with_default("errors.log.enable", Boolean, "false", "Whether bad records are told in the log."))
                .shown(ERRORS, 4, Width::Short, "Log Errors"),
            medium(with_default(
                "errors.log.include.messages",
                Boolean,
                "false",
                "Whether the log shows what the bad record holds.",
            ))
            .shown(ERRORS, 5, Width::Short, "Log Error Details"),
        ];
    keys.extend(restart::KEYS.into_iter().zip(20..).map(|(key, order)| {
        let name = key.name;
        key.shown(ERRORS, order, Width::Medium, name)
    }));
    keys
}

fn source() -> Vec<ConfigKey> {
    use ConfigType::{List, Long, String};
    const ONCE: &str = "Exactly Once Support";
    vec![
        with_default("topic.creation.groups", List, "", "Names of groups of topics that are made alike.").shown(
            "Topic Creation",
            1,
            Width::Long,
            "Topic Creation Groups",
        ),
        medium(with_default(
            "exactly.once.support",
            String,
            "requested",
            "required: the connector is refused unless its records can be had exactly once.",
        ))
        .checked(Rule::OneOfIgnoringCase(&["required", "requested"]))
        .shown(ONCE, 2, Width::Short, "Exactly once support"),
        medium(with_default(
            "transaction.boundary",
            String,
            "poll",
            "Where a transaction ends: after each poll, after an interval, or where the connector says.",
        ))
        .checked(Rule::OneOfIgnoringCase(&["interval", "poll", "connector"]))
        .shown(ONCE, 3, Width::Short, "Transaction Boundary"),
        nullable(
            "transaction.boundary.interval.ms",
            Long,
            "Milliseconds of a transaction when the boundary is an interval; unset: those between commits.",
        )
        .shown(ONCE, 4, Width::Short, "Transaction boundary interval"),
        nullable("offsets.storage.topic", String, "A topic of the connector's own for its offsets.").shown(
            "offsets.topic",
            1,
            Width::Long,
            "Offsets topic",
        ),
    ]
}

fn sink() -> Vec<ConfigKey> {
    use ConfigType::{Boolean, List, Short, String};
    vec![
        high(with_default("topics", List, "", "The topics to read.")).shown(COMMON, 4, Width::Long, "Topics"),
        high(with_default("topics.regex", String, "", "A regular expression: the topics whose whole name it matches."))
            .checked(Rule::Regex)
            .shown(COMMON, 4, Width::Long, "Topics regex"),
        medium(with_default(
            "errors.deadletterqueue.topic.name",
            String,
            "",
            "The topic for bad records; empty: none.",
        ))
        .shown(ERRORS, 6, Width::Medium, "Dead Letter Queue Topic Name"),
        medium(with_default(
            "errors.deadletterqueue.topic.replication.factor",
            Short,
            "3",
            "Replicas of that topic when it is made.",
        ))
        .shown(ERRORS, 7, Width::Medium, "Dead Letter Queue Topic Replication Factor"),
        medium(with_default(
            "errors.deadletterqueue.context.headers.enable",
            Boolean,
            "false",
            "Whether bad records get headers that say where they come from and what went wrong.",
        ))
        .shown(ERRORS, 8, Width::Medium, "Enable Error Context Headers"),
    ]
}

fn check_name(_: &str, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("String may not be empty".to_owned());
    }
    let control: Vec<String> = value.chars().filter(|c| c.is_control()).map(|c| u32::from(c).to_string()).collect();
    if control.is_empty() {
        return Ok(());
    }
    Err(format!("String may not contain control sequences but had the following ASCII chars: {}", control.join(", ")))
}
