//! How far consumer groups are behind: `…/consumer-groups/{g}/lags` and `…/lag-summary`.

use milena_client::TopicPartition;
use milena_client::admin::{IsolationLevel, OffsetSpec};
use serde_json::{Value, json};

use super::groups::{self, consumer_path, path_of};
use super::scope::{Scope, not_found, number, segment};
use crate::error::Result;
use crate::http::{Answer, Call};

/// How far a group is behind in one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lag {
    topic: String,
    partition: i32,
    current_offset: i64,
    log_end_offset: i64,
    /// Who reads it; empty when nobody does.
    consumer_id: String,
    instance_id: Option<String>,
    client_id: String,
}

impl Lag {
    fn lag(&self) -> i64 {
        (self.log_end_offset - self.current_offset).max(0)
    }
}

/// GET `…/lags`
pub async fn list(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let (group, lags) = lags(&scope, &call).await?;
    let data = lags.iter().map(|lag| written(&scope, &group, lag)).collect();
    Answer::json(&scope.list("KafkaConsumerLagList", &format!("{}/lags", path_of(&group)), data))
}

/// GET `…/lags/{topic_name}/partitions/{partition_id}`
pub async fn get(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let (topic, partition) = (call.parameter(2), number(&call, 3)?);
    let (group, lags) = lags(&scope, &call).await?;
    let found = lags.iter().find(|lag| lag.topic == topic && lag.partition == partition);
    let found = found.ok_or_else(|| not_found(format!("Lag of {topic}-{partition} cannot be found.")))?;
    Answer::json(&written(&scope, &group, found))
}

/// GET `…/lag-summary`
pub async fn summary(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let (group, lags) = lags(&scope, &call).await?;
    let Some(max) = largest(&lags) else {
        return Err(not_found(format!("Lag summary of consumer group {group} cannot be found.")));
    };
    let members = json!({
        "consumer_group_id": group,
        "max_lag_consumer_id": max.consumer_id,
        "max_lag_instance_id": max.instance_id,
        "max_lag_client_id": max.client_id,
        "max_lag_topic_name": max.topic,
        "max_lag_partition_id": max.partition,
        "max_lag": max.lag(),
        "total_lag": lags.iter().map(Lag::lag).sum::<i64>(),
        "max_lag_consumer": scope.related(&consumer_path(&group, &max.consumer_id)),
        "max_lag_partition": scope.related(&format!("/topics/{}/partitions/{}", segment(&max.topic), max.partition)),
    });
    let path = format!("{}/lag-summary", path_of(&group));
    let name = format!("/consumer-groups={group}/lag-summary");
    Answer::json(&scope.resource("KafkaConsumerGroupLagSummary", &path, Some(&name), members))
}

/// The largest lag, the first of several.
fn largest(lags: &[Lag]) -> Option<&Lag> {
    let mut largest: Option<&Lag> = None;
    for lag in lags {
        if largest.is_none_or(|known| lag.lag() > known.lag()) {
            largest = Some(lag);
        }
    }
    largest
}

/// The group of the path and its lags, sorted by topic and partition: of every partition with a committed offset.
async fn lags(scope: &Scope, call: &Call) -> Result<(String, Vec<Lag>)> {
    let group = groups::find(scope, call).await?;
    let committed = scope.cluster().committed_offsets(&group.group_id, None).await?;
    let wanted: Vec<(TopicPartition, OffsetSpec)> =
        committed.keys().map(|at| (at.clone(), OffsetSpec::LATEST)).collect();
    let ends = scope.cluster().list_offsets(&wanted, IsolationLevel::ReadCommitted).await?;
    let mut lags = Vec::with_capacity(committed.len());
    for (at, committed) in committed {
        // Deleted topics have committed offsets for a while.
        let Some(Ok(end)) = ends.get(&at) else { continue };
        let reader = group.members.iter().find(|member| member.assignment.contains(&at));
        lags.push(Lag {
            current_offset: committed.offset,
            log_end_offset: end.offset,
            consumer_id: reader.map_or_else(String::new, |member| member.member_id.clone()),
            instance_id: reader.and_then(|member| member.instance_id.clone()),
            client_id: reader.map_or_else(String::new, |member| member.client_id.clone()),
            topic: at.topic,
            partition: at.partition,
        });
    }
    Ok((group.group_id, lags))
}

fn written(scope: &Scope, group: &str, lag: &Lag) -> Value {
    let members = json!({
        "consumer_group_id": group,
        "topic_name": lag.topic,
        "partition_id": lag.partition,
        "current_offset": lag.current_offset,
        "log_end_offset": lag.log_end_offset,
        "lag": lag.lag(),
        "consumer_id": lag.consumer_id,
        "instance_id": lag.instance_id,
        "client_id": lag.client_id,
    });
    let path = format!("{}/lags/{}/partitions/{}", path_of(group), segment(&lag.topic), lag.partition);
    let name = format!("/consumer-group={group}/lag={}/partition={}", lag.topic, lag.partition);
    scope.resource("KafkaConsumerLag", &path, Some(&name), members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_lag_is_the_first_of_equals_and_never_negative() {
        let lag = |partition, log_end_offset| Lag { partition, log_end_offset, current_offset: 5, ..Lag::default() };
        assert_eq!(largest(&[lag(0, 7), lag(1, 9), lag(2, 9)]).map(|lag| lag.partition), Some(1));
        assert_eq!(lag(0, 3).lag(), 0);
        assert_eq!(largest(&[]), None);
    }
}
