//! How far a query has read its topics: the offsets of its group beside those of the topics.

use std::collections::BTreeMap;

use milena_client::admin::{IsolationLevel, OffsetSpec};
use milena_client::{Cluster, TopicPartition};
use serde_json::{Value, json};

use crate::error::Result;

/// The summary of one group, without topics when it has not committed anything.
///
/// # Errors
/// What the cluster says.
pub async fn summary(cluster: &Cluster, group: &str) -> Result<Value> {
    // A query that was never run has no group.
    let committed = cluster.committed_offsets(group, None).await.unwrap_or_default();
    if committed.is_empty() {
        return Ok(json!({ "groupId": group, "topicSummaries": [] }));
    }
    let wanted = |spec| committed.keys().map(|tp: &TopicPartition| (tp.clone(), spec)).collect::<Vec<_>>();
    let isolation = IsolationLevel::ReadUncommitted;
    let starts = cluster.list_offsets(&wanted(OffsetSpec::EARLIEST), isolation).await?;
    let ends = cluster.list_offsets(&wanted(OffsetSpec::LATEST), isolation).await?;
    let mut topics: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (tp, committed) in &committed {
        // A topic that was deleted since then has none.
        let (Some(Ok(start)), Some(Ok(end))) = (starts.get(tp), ends.get(tp)) else { continue };
        topics.entry(tp.topic.as_str()).or_default().push(json!({
            "partition": tp.partition,
            "logStartOffset": start.offset,
            "logEndOffset": end.offset,
            "consumerOffset": committed.offset,
        }));
    }
    let topics: Vec<Value> =
        topics.into_iter().map(|(topic, offsets)| json!({ "kafkaTopic": topic, "offsets": offsets })).collect();
    Ok(json!({ "groupId": group, "topicSummaries": topics }))
}
