//! Tests of what a topology makes of the topics that exist.

use milena_protocol::messages::StreamsGroupTopologyValue;

use super::*;
use crate::group::testing::MapTopics;

fn info(name: &str, partitions: i32) -> TopicInfo {
    TopicInfo { name: name.to_owned(), partitions, ..TopicInfo::default() }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `in` is read and written to `words`, from which a stateful subtopology with changelog `counts` reads.
fn word_count(words: i32) -> Vec<Subtopology> {
    vec![
        Subtopology {
            subtopology_id: "0".to_owned(),
            source_topics: names(&["in"]),
            repartition_sink_topics: names(&["words"]),
            ..Subtopology::default()
        },
        Subtopology {
            subtopology_id: "1".to_owned(),
            repartition_source_topics: vec![info("words", words)],
            state_changelog_topics: vec![info("counts", 0)],
            ..Subtopology::default()
        },
    ]
}

fn topology(subtopologies: Vec<Subtopology>) -> Topology {
    Topology::from_stored(StreamsGroupTopologyValue { epoch: 1, subtopologies })
}

fn with(topics: &[(&str, i32)]) -> MapTopics {
    let map = MapTopics::default();
    for (index, (name, partitions)) in topics.iter().enumerate() {
        map.set(name, index as u8 + 1, *partitions);
    }
    map
}

fn problem(configured: &Configured) -> (i8, &str) {
    let problem = configured.problem.as_ref().expect("a problem");
    (problem.status, &problem.detail)
}

#[test]
fn internal_topics_are_as_wide_as_their_input() {
    let configured = configure(&topology(word_count(0)), &with(&[("in", 6)])).unwrap();
    let missing: Vec<(&str, i32)> = configured.missing.iter().map(|it| (it.name.as_str(), it.partitions)).collect();
    assert_eq!(missing, [("counts", 6), ("words", 6)]);
    assert_eq!(problem(&configured), (MISSING_INTERNAL_TOPICS, "Internal topics are missing: counts, words"));
    let ready = configure(&topology(word_count(0)), &with(&[("in", 6), ("words", 6), ("counts", 6)])).unwrap();
    assert!(ready.is_ready());
    assert_eq!(ready.tasks, BTreeMap::from([("0".to_owned(), 6), ("1".to_owned(), 6)]));
}

#[test]
fn a_repartition_topic_with_a_number_keeps_it() {
    let configured = configure(&topology(word_count(3)), &with(&[("in", 6)])).unwrap();
    assert_eq!((configured.tasks["0"], configured.tasks["1"]), (6, 3));
    assert_eq!(configured.partitions, BTreeMap::from([("counts".to_owned(), 3), ("words".to_owned(), 3)]));
}

#[test]
fn missing_sources_and_wrong_partition_counts_are_told() {
    let without = configure(&topology(word_count(0)), &with(&[])).unwrap();
    assert_eq!(problem(&without), (MISSING_SOURCE_TOPICS, "Source topics in are missing."));
    let wrong = configure(&topology(word_count(0)), &with(&[("in", 2), ("words", 2), ("counts", 5)])).unwrap();
    let detail = "Existing topic counts has different number of partitions: expected 2, found 5";
    assert_eq!(problem(&wrong), (INCORRECTLY_PARTITIONED_TOPICS, detail));
}

/// `a` and `b` are joined, `b` over a repartition topic that `0` writes.
fn join(repartition: i32, sources: &[&str]) -> Vec<Subtopology> {
    vec![
        Subtopology {
            subtopology_id: "0".to_owned(),
            source_topics: names(&["b"]),
            repartition_sink_topics: names(&["b-by-key"]),
            ..Subtopology::default()
        },
        Subtopology {
            subtopology_id: "1".to_owned(),
            source_topics: names(sources),
            repartition_source_topics: vec![info("b-by-key", repartition)],
            copartition_groups: vec![CopartitionGroup {
                source_topics: (0..sources.len() as i16).collect(),
                repartition_source_topics: vec![0],
                ..CopartitionGroup::default()
            }],
            ..Subtopology::default()
        },
    ]
}

#[test]
fn joined_topics_have_the_same_number_of_partitions() {
    let topics = with(&[("a", 4), ("b", 2), ("c", 3)]);
    let adapted = configure(&topology(join(0, &["a"])), &topics).unwrap();
    assert_eq!(adapted.partitions["b-by-key"], 4, "the repartition topic adapts to the user's topic");
    let fixed = configure(&topology(join(7, &["a"])), &topics).unwrap();
    let detail = "Number of partitions [7] of repartition topic [b-by-key] doesn't match number of partitions [4] of the \
                  source topic.";
    assert_eq!(problem(&fixed), (INCORRECTLY_PARTITIONED_TOPICS, detail));
    let unequal = configure(&topology(join(0, &["a", "c"])), &topics).unwrap();
    let detail = "Following topics do not have the same number of partitions: [{a=4, c=3}]";
    assert_eq!(problem(&unequal), (INCORRECTLY_PARTITIONED_TOPICS, detail));
}

#[test]
fn topologies_that_can_never_work_are_refused() {
    let mut orphan = word_count(0);
    orphan[0].repartition_sink_topics.clear();
    let refused = configure(&topology(orphan), &with(&[("in", 1)])).unwrap_err();
    assert_eq!(refused.code, ErrorCode::StreamsInvalidTopology);
    let mut loops = word_count(0);
    loops[0].source_topics.clear();
    loops[0].repartition_source_topics = vec![info("counted", 0)];
    loops[1].repartition_sink_topics = names(&["counted"]);
    let refused = configure(&topology(loops), &with(&[])).unwrap_err();
    assert!(refused.message.contains("loops"), "{}", refused.message);
}

#[test]
fn a_source_that_is_its_own_changelog_is_not_created() {
    let table = vec![Subtopology {
        subtopology_id: "0".to_owned(),
        source_topics: names(&["in", "table"]),
        state_changelog_topics: vec![info("table", 0)],
        ..Subtopology::default()
    }];
    let configured = configure(&topology(table), &with(&[("in", 4), ("table", 2)])).unwrap();
    assert!(configured.is_ready() && configured.missing.is_empty(), "{configured:?}");
    assert_eq!(configured.tasks["0"], 4);
}
