//! Rules that concern more than one setting.

use super::Checking;
use crate::config::worker::ExactlyOnceMode;
use crate::plugin::{ConnectorKind, ExactlyOnceSupport};

impl Checking<'_> {
    pub(super) fn rules(&mut self) {
        match self.plugin.kind() {
            ConnectorKind::Sink => self.rules_of_sinks(),
            ConnectorKind::Source => self.rules_of_sources(),
        }
    }

    fn rules_of_sinks(&mut self) {
        let (topics, pattern) = (self.list("topics"), self.text("topics.regex").to_owned());
        let wrong = match (topics.is_empty(), pattern.is_empty()) {
            (true, true) => Some(match self.settings.get("topic") {
                Some(_) => "Must configure one of topics or topics.regex (a sink has topics, not topic)",
                None => "Must configure one of topics or topics.regex",
            }),
            (false, false) => Some("topics and topics.regex are mutually exclusive options, but both are set."),
            _ => None,
        };
        for key in ["topics", "topics.regex"] {
            if let Some(wrong) = wrong {
                self.error(key, wrong.to_owned());
            }
        }
        self.rule_of_dead_letters(&topics, &pattern);
        self.rule_of_groups();
    }

    /// A connector that reads its own dead letters would never end.
    fn rule_of_dead_letters(&mut self, topics: &[String], pattern: &str) {
        const KEY: &str = "errors.deadletterqueue.topic.name";
        let queue = self.text(KEY).to_owned();
        if queue.is_empty() {
            return;
        }
        if topics.contains(&queue) {
            let error = format!(
                "The DLQ topic '{queue}' may not be included in the list of topics ('topics=[{}]') consumed by the connector",
                topics.join(", ")
            );
            self.error("topics", error);
        }
        let whole = regex::Regex::new(&format!("^(?:{pattern})$"));
        if !pattern.is_empty() && whole.is_ok_and(|pattern| pattern.is_match(&queue)) {
            let error = format!(
                "The DLQ topic '{queue}' may not be included in the regex matching the topics ('topics.regex={pattern}') consumed by the connector"
            );
            self.error("topics.regex", error);
        }
    }

    /// Tasks and workers must not meet in one group.
    fn rule_of_groups(&mut self) {
        const KEY: &str = "consumer.override.group.id";
        let Some(distributed) = &self.config.distributed else { return };
        let worker = &distributed.group_id;
        match self.settings.get(KEY) {
            Some(group) if group == worker => {
                let error = format!("Consumer group {group} conflicts with Connect worker group {worker}");
                self.error(KEY, error);
            }
            Some(_) => {}
            None => {
                let name = self.text("name").to_owned();
                if *worker == format!("connect-{name}") {
                    let error = format!(
                        "Consumer group for sink connector named {name} conflicts with Connect worker group {worker}"
                    );
                    self.error("name", error);
                }
            }
        }
    }

    fn rules_of_sources(&mut self) {
        const SUPPORT: &str = "exactly.once.support";
        const BOUNDARY: &str = "transaction.boundary";
        let Some(source) = self.plugin.source() else { return };
        if self.is_fine(SUPPORT) && self.text(SUPPORT).eq_ignore_ascii_case("required") {
            let enabled = self.config.distributed.as_ref().map(|distributed| distributed.exactly_once);
            if enabled != Some(ExactlyOnceMode::Enabled) {
                self.error(SUPPORT, "This worker does not have exactly-once source support enabled.".to_owned());
            }
            if source.exactly_once(self.settings) != ExactlyOnceSupport::Supported {
                let error = "The connector does not support exactly-once semantics with the provided configuration.";
                self.error(SUPPORT, error.to_owned());
            }
        }
        if self.is_fine(BOUNDARY)
            && self.text(BOUNDARY).eq_ignore_ascii_case("connector")
            && !source.can_define_transaction_boundaries(self.settings)
        {
            let error = "The connector does not support connector-defined transaction boundaries with the given configuration. Please reconfigure it to use a different transaction boundary definition.";
            self.error(BOUNDARY, error.to_owned());
        }
    }
}
