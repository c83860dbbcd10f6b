//! Push queries that read nothing but the new rows of a persistent query's sink (`ksql.query.push.v2.enabled`).
//!
//! They cost no state and none of the past: many clients can watch the same result.

use std::time::{Duration, Instant};

use milena_client::TopicPartition;
use milena_sql::ast::{Emit, Expression, Query, Relation, SelectItem};
use milena_sql::catalog::{Catalog, QueryEntry, Settings};

use super::transient::Environment;
use crate::error::Result;
use crate::session::stream_property;

/// How long a query is waited for that has not begun to read.
const BEGIN_WAIT: Duration = Duration::from_secs(5);
/// Pause between two looks at where it is.
const BEGIN_LOOK: Duration = Duration::from_millis(50);
const TOPIC_WAIT: Duration = Duration::from_secs(5);

/// Columns that say where a record lies, which rows on their way do not.
const PLACES: [&str; 2] = ["ROWPARTITION", "ROWOFFSET"];

/// The persistent query whose new rows `query` reads if it is of that kind: new rows (`auto.offset.reset` is latest) of one
/// source that exactly one query fills, projected and filtered and no more.
pub fn writer_of<'a>(query: &Query, catalog: &'a Catalog, settings: &Settings) -> Option<&'a QueryEntry> {
    let Relation::Source(source) = &query.from else { return None };
    let latest =
        stream_property(settings, "auto.offset.reset").is_none_or(|reset| reset.eq_ignore_ascii_case("latest"));
    let mut writers = catalog.queries().filter(|writer| writer.sink == source.name);
    let (writer, None) = (writers.next()?, writers.next()) else { return None };
    let is_scalable = settings.is_true("ksql.query.push.v2.enabled", false)
        && latest
        && query.emit == Some(Emit::Changes)
        && query.group_by.is_none()
        && query.window.is_none()
        && query.having.is_none()
        && query.partition_by.is_none()
        && !names_places(query);
    is_scalable.then_some(writer)
}

/// Waits, though not for ever, until `writer` has begun to read: what is written then is going to be in its sink.
///
/// # Errors
/// What the cluster says.
pub async fn wait_for(writer: &QueryEntry, catalog: &Catalog, environment: &Environment) -> Result<()> {
    let cluster = &environment.kafka.cluster;
    let mut partitions = Vec::new();
    for source in writer.sources.iter().filter_map(|name| catalog.source(name)) {
        let topic = cluster.topic(&source.topic, false, TOPIC_WAIT).await?;
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        partitions.extend((0..count).map(|partition| TopicPartition::new(source.topic.clone(), partition)));
    }
    let group = format!("{}{}", environment.group_prefix, writer.id);
    let began = Instant::now();
    while began.elapsed() < BEGIN_WAIT {
        // Before its first member comes the group may be unknown.
        let committed = cluster.committed_offsets(&group, None).await.unwrap_or_default();
        if partitions.iter().all(|tp| committed.contains_key(tp)) {
            break;
        }
        tokio::time::sleep(BEGIN_LOOK).await;
    }
    Ok(())
}

fn names_places(query: &Query) -> bool {
    let mut found = false;
    let mut look = |expression: &Expression| {
        expression.walk(&mut |part| {
            found |= matches!(part, Expression::Column(column) if PLACES.contains(&&*column.name));
        });
    };
    for item in &query.select {
        if let SelectItem::Expression { expression, .. } = item {
            look(expression);
        }
    }
    query.filter.iter().for_each(look);
    found
}

#[cfg(test)]
mod tests {
    use milena_sql::ast::Statement;
    use milena_sql::catalog::QueryEntry;

    use super::*;

    fn check(sql: &str, properties: &[(&str, &str)]) -> bool {
        let Statement::Query(query) = milena_sql::parser::parse_one(sql, &|_| None).unwrap() else { panic!("{sql}") };
        let mut catalog = Catalog::default();
        let (id, statement) = ("CSAS_FILLED_1".to_owned(), String::new());
        catalog.add_query(QueryEntry {
            id,
            sink: "FILLED".into(),
            sources: vec!["S".into()],
            read: Vec::new(),
            statement,
        });
        let mut settings = Settings::default();
        settings.set("ksql.query.push.v2.enabled", "true");
        for (name, value) in properties {
            settings.set(*name, *value);
        }
        writer_of(&query, &catalog, &settings).is_some()
    }

    #[test]
    fn new_rows_of_what_a_query_fills() {
        assert!(check("SELECT a FROM filled WHERE b > 1 EMIT CHANGES;", &[]));
        assert!(check("SELECT * FROM filled EMIT CHANGES;", &[("auto.offset.reset", "latest")]));
    }

    #[test]
    fn everything_else_is_a_query_of_its_own() {
        let earliest = ("ksql.streams.auto.offset.reset", "earliest");
        assert!(!check("SELECT * FROM filled EMIT CHANGES;", &[earliest]));
        assert!(!check("SELECT * FROM filled EMIT CHANGES;", &[("ksql.query.push.v2.enabled", "false")]));
        assert!(!check("SELECT * FROM s EMIT CHANGES;", &[]));
        assert!(!check("SELECT * FROM filled;", &[]));
        assert!(!check("SELECT a, COUNT(*) FROM filled GROUP BY a EMIT CHANGES;", &[]));
        assert!(!check("SELECT a, ROWOFFSET FROM filled EMIT CHANGES;", &[]));
        assert!(!check("SELECT a FROM filled WHERE ROWPARTITION = 1 EMIT CHANGES;", &[]));
    }
}
