//! The topics of sources, as statements make them.

use std::collections::{BTreeMap, HashSet};

use milena_sql::ast::{Literal, SourceKind, Statement, format_statement};
use milena_sql::catalog::{Catalog, Source};

use crate::error::{Failure, Result};
use crate::kafka::topics::{self, TopicShape};
use crate::state::Connected;

/// Makes the topic of a source unless it is there; how many partitions it has.
///
/// # Errors
/// A topic that is not as the statement wants it, or that nobody knows the partitions of; what the cluster says.
pub async fn topic(connected: &Connected, source: &Source, statement: &Statement) -> Result<i32> {
    let cluster = &connected.kafka.cluster;
    if let Some(known) = topics::shape(cluster, &source.topic).await? {
        return fitting(known, source, matches!(statement, Statement::CreateAsSelect(_)));
    }
    let partitions = source.partitions.ok_or_else(|| without_topic(source, statement))?;
    // -1: as the cluster is configured.
    let shape = TopicShape { partitions, replicas: source.replicas.unwrap_or(-1) };
    topics::create(cluster, &source.topic, shape, &configs(source, statement)).await?;
    Ok(partitions)
}

/// Tables keep the last record of each key; those of windows for a while only.
fn configs(source: &Source, statement: &Statement) -> BTreeMap<String, String> {
    let (is_sink, properties) = match statement {
        Statement::CreateAsSelect(create) => (true, Some(&create.properties)),
        Statement::CreateSource(create) => (false, Some(&create.properties)),
        _ => (false, None),
    };
    let policy = match source.kind {
        SourceKind::Stream => "delete",
        SourceKind::Table if is_sink && source.window.is_some() => "compact,delete",
        SourceKind::Table => "compact",
    };
    let retention = match properties.and_then(|properties| properties.get("RETENTION_MS")) {
        Some(Literal::Integer(ms)) => Some(i64::from(*ms)),
        Some(Literal::Bigint(ms)) => Some(*ms),
        _ => None,
    };
    let retention = retention.filter(|_| policy != "compact").map(|ms| ("retention.ms".to_owned(), ms.to_string()));
    [("cleanup.policy".to_owned(), policy.to_owned())].into_iter().chain(retention).collect()
}

/// How many partitions the topic of a source has or would get, if the topics of `catalog` were there and those that are
/// `deleted` were not.
///
/// # Errors
/// As [`topic`]; nothing is made.
pub async fn partitions(
    connected: &Connected,
    source: &Source,
    statement: &Statement,
    catalog: &Catalog,
    deleted: &HashSet<String>,
) -> Result<i32> {
    let is_sink = matches!(statement, Statement::CreateAsSelect(_));
    let of_catalog = || {
        let same = catalog.sources().filter(|other| other.topic == source.topic && other.name != source.name);
        same.filter_map(|other| Some(TopicShape { partitions: other.partitions?, replicas: 1 })).next()
    };
    let there = match deleted.contains(&*source.topic) {
        true => None,
        false => topics::shape(&connected.kafka.cluster, &source.topic).await?,
    };
    match there.or_else(of_catalog) {
        Some(known) => fitting(known, source, is_sink),
        None => source.partitions.ok_or_else(|| without_topic(source, statement)),
    }
}

/// The partitions of a topic that is there; a statement may want others.
fn fitting(known: TopicShape, source: &Source, is_sink: bool) -> Result<i32> {
    match source.partitions.filter(|wanted| !is_sink && *wanted != known.partitions) {
        None => Ok(known.partitions),
        Some(wanted) => Err(Failure::request(format!(
            "A Kafka topic with the name '{}' already exists, with different partition/replica configuration than required. \
             KSQL expects {wanted} partitions (topic has {}), and {} replication factor (topic has {}).",
            source.topic, known.partitions, known.replicas, known.replicas
        ))),
    }
}

/// Words about a topic that is not there and that cannot be made: nobody knows how many partitions it is to have.
fn without_topic(source: &Source, statement: &Statement) -> Failure {
    let example = match statement {
        Statement::CreateSource(create) => {
            let mut create = create.clone();
            create.properties.insert("PARTITIONS".to_owned(), Literal::Integer(2));
            format_statement(&Statement::CreateSource(create))
        }
        other => format_statement(other),
    };
    Failure::request(format!(
        "Topic '{}' does not exist. If you want to create a new topic for the stream/table please re-run the statement \
         providing the required 'PARTITIONS' configuration in the WITH clause (and optionally 'REPLICAS'). For example: {}",
        source.topic,
        example.unwrap_or_default()
    ))
}
