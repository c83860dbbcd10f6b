//! Topics that a source makes before it writes to them, as `topic.creation.*` says.

use std::collections::HashSet;

use milena_client::Cluster;
use milena_protocol::ErrorCode;
use milena_protocol::messages::create_topics_request;
use regex::Regex;

use crate::plugin::{Settings, TaskError};
use crate::worker::settings::{list, number, with_prefix};
use crate::worker::{Exception, WorkerSettings};

/// The group that takes every topic that no other takes.
const DEFAULT_GROUP: &str = "default";
/// Keys of a group that are not configurations of the topic.
const OWN_KEYS: [&str; 4] = ["include", "exclude", "replication.factor", "partitions"];

/// How topics of one group are made.
#[derive(Debug)]
struct Group {
    name: String,
    include: Vec<Regex>,
    exclude: Vec<Regex>,
    replication_factor: i16,
    partitions: i32,
    configs: Vec<(String, String)>,
}

/// See the module's words.
pub(super) struct TopicCreation {
    groups: Vec<Group>,
    admin: milena_client::ClientConfig,
    cluster: Option<Cluster>,
    known: HashSet<String>,
}

impl TopicCreation {
    /// The groups of a connector's settings; `None` leaves topics to the brokers.
    ///
    /// # Errors
    /// A setting that is wrong.
    pub fn new(
        worker: &WorkerSettings,
        settings: &Settings,
        client_id: &str,
    ) -> Result<Option<TopicCreation>, TaskError> {
        let groups = groups(settings)?;
        if groups.is_empty() || !worker.creates_topics {
            return Ok(None);
        }
        let admin = worker.admin(client_id, settings)?;
        Ok(Some(TopicCreation { groups, admin, cluster: None, known: HashSet::new() }))
    }

    /// Makes `topic` unless it is there.
    ///
    /// # Errors
    /// What the cluster says.
    pub async fn ensure(&mut self, topic: &str) -> Result<(), Exception> {
        if self.known.contains(topic) {
            return Ok(());
        }
        let cluster = match &self.cluster {
            Some(cluster) => cluster,
            None => self.cluster.insert(Cluster::connect(self.admin.clone()).await?),
        };
        let listed = cluster.list_topics().await?;
        if !listed.iter().any(|listing| listing.name == topic)
            && let Some(group) = self.groups.iter().find(|group| group.takes(topic))
        {
            make(cluster, topic, group).await?;
        }
        self.known.insert(topic.to_owned());
        Ok(())
    }
}

impl Group {
    fn takes(&self, topic: &str) -> bool {
        self.include.iter().any(|regex| regex.is_match(topic))
            && !self.exclude.iter().any(|regex| regex.is_match(topic))
    }
}

/// The groups in the order they are asked in, the default last; none without settings for the default group.
fn groups(settings: &Settings) -> Result<Vec<Group>, TaskError> {
    let has_default = with_prefix(settings, "topic.creation.default.").next().is_some();
    if !has_default {
        return Ok(Vec::new());
    }
    let named = list(settings, "topic.creation.groups").filter(|name| *name != DEFAULT_GROUP);
    named.chain([DEFAULT_GROUP]).map(|name| group(settings, name)).collect()
}

fn group(settings: &Settings, name: &str) -> Result<Group, TaskError> {
    let of = |group: &str, key: &str| format!("topic.creation.{group}.{key}");
    let regexes = |key: &str| -> Result<Vec<Regex>, TaskError> {
        let key = of(name, key);
        list(settings, &key)
            .map(|pattern| {
                // A pattern is for the whole name, as Java matches.
                Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
                    TaskError::fatal(format!("Invalid value {pattern} for configuration {key}: {error}"))
                })
            })
            .collect()
    };
    let is_default = name == DEFAULT_GROUP;
    let include = if is_default { vec![any_topic()?] } else { regexes("include")? };
    let prefix = of(name, "");
    let own = with_prefix(settings, &prefix).filter(|(key, _)| !OWN_KEYS.contains(key));
    let inherited =
        |key: &str| if settings.contains_key(&of(name, key)) { of(name, key) } else { of(DEFAULT_GROUP, key) };
    Ok(Group {
        name: name.to_owned(),
        include,
        exclude: if is_default { Vec::new() } else { regexes("exclude")? },
        replication_factor: number(settings, &inherited("replication.factor"), -1)?,
        partitions: number(settings, &inherited("partitions"), -1)?,
        configs: own.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
    })
}

fn any_topic() -> Result<Regex, TaskError> {
    Regex::new(".*").map_err(|error| TaskError::fatal(error.to_string()))
}

async fn make(cluster: &Cluster, name: &str, group: &Group) -> Result<(), Exception> {
    let configs = group
        .configs
        .iter()
        .map(|(key, value)| create_topics_request::Config { name: key.clone(), value: Some(value.clone()) });
    let topic = create_topics_request::Topic {
        name: name.to_owned(),
        num_partitions: group.partitions,
        replication_factor: group.replication_factor,
        assignments: Vec::new(),
        configs: configs.collect(),
    };
    match cluster.create_topic(topic, false).await {
        Ok(_) => {
            tracing::info!("topic {name} was made as topic.creation.{} says", group.name);
            Ok(())
        }
        Err(error) if error.code() == Some(ErrorCode::TopicAlreadyExists) => Ok(()),
        // As the original: the brokers' own creation may still be allowed.
        Err(error) if error.code() == Some(ErrorCode::TopicAuthorizationFailed) => {
            tracing::warn!(
                "topic {name} may not be created by this worker; it must be there, or the brokers create it"
            );
            Ok(())
        }
        Err(error) => Err(Exception::connect(format!(
            "Task failed to create new topic {name} (topic.creation.{}: partitions={}, replication.factor={})",
            group.name, group.partitions, group.replication_factor
        ))
        .caused_by(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn without_a_default_group_brokers_decide() {
        assert!(groups(&settings(&[("topic.creation.groups", "a")])).unwrap().is_empty());
    }

    #[test]
    fn the_first_group_that_matches_decides_and_the_default_takes_the_rest() {
        let groups = groups(&settings(&[
            ("topic.creation.groups", "compacted"),
            ("topic.creation.default.replication.factor", "1"),
            ("topic.creation.default.partitions", "3"),
            ("topic.creation.compacted.include", "state-.*, table"),
            ("topic.creation.compacted.exclude", "state-x"),
            ("topic.creation.compacted.partitions", "1"),
            ("topic.creation.compacted.cleanup.policy", "compact"),
        ]))
        .unwrap();
        let of = |topic: &str| groups.iter().find(|group| group.takes(topic)).unwrap();
        for (topic, name, partitions) in [
            ("state-a", "compacted", 1),
            ("table", "compacted", 1),
            ("state-x", "default", 3),
            ("my-table", "default", 3),
        ] {
            let group = of(topic);
            assert_eq!(
                (group.name.as_str(), group.partitions, group.replication_factor),
                (name, partitions, 1),
                "{topic}"
            );
        }
        assert_eq!(of("table").configs, [("cleanup.policy".to_owned(), "compact".to_owned())]);
    }
}
