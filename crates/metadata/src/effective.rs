//! Which value of a key is in force, and where it comes from.
//!
//! From strong to weak: the topic (or group) itself, this broker's dynamic configuration, the dynamic default of all
//! brokers, the static configuration, the default of the table. DescribeConfigs shows the whole list as synonyms.

use crate::config_def::{BROKER_CONFIGS, CLIENT_METRICS_CONFIGS, ConfigDef, GROUP_CONFIGS, TOPIC_CONFIGS};
use crate::image::{ClusterImage, ConfigMap};

/// Where a value comes from. The numbers are those of DescribeConfigs v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i8)]
pub enum ConfigSource {
    /// Set for the topic.
    Topic = 1,
    /// Set dynamically for this broker.
    DynamicBroker = 2,
    /// Set dynamically for all brokers.
    DynamicDefaultBroker = 3,
    /// Set when the broker was started.
    StaticBroker = 4,
    /// Not set anywhere.
    Default = 5,
    /// Set for the subscription to client metrics.
    ClientMetrics = 7,
    /// Set for the group.
    Group = 8,
}

/// One setting of a value's list, strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// The key it is set under; a topic's value may come from a broker's key.
    pub name: &'static str,
    /// The text as it was set.
    pub value: String,
    /// Where.
    pub source: ConfigSource,
}

/// A value in force.
#[derive(Debug, Clone)]
pub struct EffectiveConfig {
    /// The key's row.
    pub def: &'static ConfigDef,
    /// The value, in the unit of the key; `None` when nothing sets it.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Every setting, the one in force first.
    pub synonyms: Vec<ConfigSynonym>,
}

/// A broker's key that feeds another key, and the factor between their units.
type Feed = (&'static str, i64);

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;

/// The broker's keys that give the value of `name`, strongest first.
fn feeds(name: &'static str) -> Vec<Feed> {
    match name {
        "log.retention.ms" => vec![(name, 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)],
        "log.roll.ms" => vec![(name, 1), ("log.roll.hours", HOUR_MS)],
        "log.roll.jitter.ms" => vec![(name, 1), ("log.roll.jitter.hours", HOUR_MS)],
        "log.flush.interval.ms" => vec![(name, 1), ("log.flush.scheduler.interval.ms", 1)],
        _ => vec![(name, 1)],
    }
}

/// A setting together with its value in the unit asked for.
struct Candidate {
    synonym: ConfigSynonym,
    converted: String,
}

impl ClusterImage {
    /// The value of a topic's key in force; `configs` is what the topic itself sets (empty for a new topic).
    pub fn topic_config(&self, def: &'static ConfigDef, configs: &ConfigMap) -> EffectiveConfig {
        let own = configs.get(def.name).map(|value| candidate(def.name, value, 1, ConfigSource::Topic));
        let inherited = def.synonym.map(|broker_key| self.broker_candidates(broker_key)).unwrap_or_default();
        in_force(def, own.into_iter().chain(inherited).collect())
    }

    /// Every key of topics with its value in force, sorted by name.
    pub fn topic_configs<'a>(&'a self, configs: &'a ConfigMap) -> impl Iterator<Item = EffectiveConfig> + 'a {
        TOPIC_CONFIGS.iter().map(|def| self.topic_config(def, configs))
    }

    /// The value in force of topic `name`'s key, as text; the broker's value when there is no such topic.
    ///
    /// # Panics
    /// When `key` is not a key of topics.
    pub fn topic_value(&self, name: &str, key: &str) -> Option<String> {
        let def = TOPIC_CONFIGS.get(key).expect("only called with keys of the table");
        let none = ConfigMap::new();
        let configs = self.topic(name).map_or(&none, |topic| &topic.configs);
        self.topic_config(def, configs).value
    }

    /// The value of a broker's key in force.
    pub fn broker_config(&self, def: &'static ConfigDef) -> EffectiveConfig {
        in_force(def, self.broker_candidates(def.name))
    }

    /// The value in force of the broker's key `key`, as text.
    pub fn broker_value(&self, key: &str) -> Option<String> {
        BROKER_CONFIGS.get(key).and_then(|def| self.broker_config(def).value)
    }

    /// What was set under `key` for this broker, for all brokers, or in its file, strongest first; also for keys of one
    /// listener, which no table has.
    pub fn broker_setting(&self, key: &str) -> Option<&str> {
        let own = self.broker_configs.get(&self.node_id).and_then(|configs| configs.get(key));
        let dynamic = own.or_else(|| self.default_broker_config.get(key)).map(String::as_str);
        dynamic.or_else(|| self.static_config.setting(key))
    }

    /// Every key of groups with its value in force for `group`, sorted by name.
    pub fn group_configs<'a>(&'a self, group: &'a str) -> impl Iterator<Item = EffectiveConfig> + 'a {
        GROUP_CONFIGS.iter().map(move |def| {
            let own = self.group_config(group, def.name);
            let own = own.map(|value| candidate(def.name, &value, 1, ConfigSource::Group));
            let broker_def = BROKER_CONFIGS.get(&format!("group.{}", def.name));
            let inherited = match broker_def {
                Some(broker) => self.broker_candidates(broker.name),
                None => default_candidate(def).into_iter().collect(),
            };
            in_force(def, own.into_iter().chain(inherited).collect())
        })
    }

    /// Every key of subscriptions to client metrics with its value in force for `name`, sorted by key.
    pub fn client_metrics_configs(&self, name: &str) -> impl Iterator<Item = EffectiveConfig> {
        let own = self.client_metrics_configs.get(name);
        CLIENT_METRICS_CONFIGS.iter().map(move |def| {
            let own = own.and_then(|own| own.get(def.name));
            let own = own.map(|value| candidate(def.name, value, 1, ConfigSource::ClientMetrics));
            in_force(def, own.into_iter().collect())
        })
    }

    /// Every setting of a broker's key, strongest first.
    fn broker_candidates(&self, name: &'static str) -> Vec<Candidate> {
        let feeds = feeds(name);
        let mut found = Vec::new();
        if let Some(configs) = self.broker_configs.get(&self.node_id) {
            collect(&mut found, &feeds, ConfigSource::DynamicBroker, |key| configs.get(key).map(String::as_str));
        }
        let defaults = &self.default_broker_config;
        collect(&mut found, &feeds, ConfigSource::DynamicDefaultBroker, |key| defaults.get(key).map(String::as_str));
        collect(&mut found, &feeds, ConfigSource::StaticBroker, |key| self.static_config.setting(key));
        let default = BROKER_CONFIGS.get(name).and_then(|def| def.default);
        found.extend(default.map(|value| candidate(name, value, 1, ConfigSource::Default)));
        found
    }
}

/// What the table says, for keys that no broker's key feeds.
fn default_candidate(def: &'static ConfigDef) -> Option<Candidate> {
    def.default.map(|value| candidate(def.name, value, 1, ConfigSource::Default))
}

fn collect<'a>(
    found: &mut Vec<Candidate>,
    feeds: &[Feed],
    source: ConfigSource,
    lookup: impl Fn(&str) -> Option<&'a str>,
) {
    for (key, factor) in feeds {
        found.extend(lookup(key).map(|value| candidate(key, value, *factor, source)));
    }
}

fn candidate(name: &'static str, value: &str, factor: i64, source: ConfigSource) -> Candidate {
    let converted = match value.trim().parse::<i64>() {
        Ok(number) if factor != 1 && number >= 0 => number.saturating_mul(factor).to_string(),
        _ => value.to_owned(),
    };
    Candidate { synonym: ConfigSynonym { name, value: value.to_owned(), source }, converted }
}

fn in_force(def: &'static ConfigDef, candidates: Vec<Candidate>) -> EffectiveConfig {
    let strongest = candidates.first().map(|candidate| (candidate.converted.clone(), candidate.synonym.source));
    let (value, source) = match strongest {
        Some((value, source)) => (Some(value), source),
        None => (def.default.map(str::to_owned), ConfigSource::Default),
    };
    EffectiveConfig {
        def,
        value,
        source,
        synonyms: candidates.into_iter().map(|candidate| candidate.synonym).collect(),
    }
}
