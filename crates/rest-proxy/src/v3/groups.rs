//! `/v3/clusters/{c}/consumer-groups`: groups, their members and what those are assigned.

use milena_client::TopicPartition;
use milena_client::admin::{ClassicGroup, GroupDescription, GroupMember};
use milena_client::{CoordinatorKind, Error as KafkaError};
use serde_json::{Value, json};

use super::scope::{Scope, not_found, number, segment};
use crate::error::Result;
use crate::http::{Answer, Call};

/// GET `…/consumer-groups`
pub async fn list(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let mut data = Vec::new();
    for listed in scope.cluster().list_groups(&[], &[]).await? {
        let reads = matches!(listed.protocol_type.as_str(), "" | "consumer");
        let ours = matches!(listed.group_type.to_ascii_lowercase().as_str(), "" | "classic" | "consumer");
        if !reads || !ours {
            continue;
        }
        match scope.cluster().describe_group(&listed.group_id).await {
            Ok(found) => data.push(group(&scope, &found).await?),
            // Deleted since it was listed.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Answer::json(&scope.list("KafkaConsumerGroupList", "/consumer-groups", data))
}

/// Whether there is no such group (any more).
pub fn is_gone(error: &KafkaError) -> bool {
    error.code() == Some(milena_protocol::ErrorCode::GroupIdNotFound)
}

/// GET `…/consumer-groups/{consumer_group_id}`
pub async fn get(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    Answer::json(&group(&scope, &found).await?)
}

/// The group of the path.
///
/// # Errors
/// 40405.
pub async fn find(scope: &Scope, call: &Call) -> Result<GroupDescription> {
    Ok(scope.cluster().describe_group(call.parameter(1)).await?)
}

/// The path of a group.
pub fn path_of(group: &str) -> String {
    format!("/consumer-groups/{}", segment(group))
}

async fn group(scope: &Scope, found: &GroupDescription) -> Result<Value> {
    let id = &found.group_id;
    let path = path_of(id);
    scope.cluster().coordinator(CoordinatorKind::Group, id).await?;
    let coordinator = scope.cluster().cached_coordinator(CoordinatorKind::Group, id);
    let is_classic = found.classic == ClassicGroup::Yes;
    let members = json!({
        "consumer_group_id": id,
        "is_simple": found.is_simple,
        "partition_assignor": found.assignor,
        "state": state_name(&found.state),
        "type": if is_classic { "CLASSIC" } else { "CONSUMER" },
        "is_mixed_consumer_group": found.members.iter().any(|member| member.upgraded == Some(false)),
        "coordinator": coordinator.map(|node| scope.related(&format!("/brokers/{}", node.id))),
        "consumers": scope.related(&format!("{path}/consumers")),
        "lag_summary": scope.related(&format!("{path}/lag-summary")),
    });
    Ok(scope.resource("KafkaConsumerGroup", &path, Some(&format!("/consumer-group={id}")), members))
}

/// `PreparingRebalance` is PREPARING_REBALANCE here.
pub fn state_name(state: &str) -> String {
    let mut name = String::with_capacity(state.len() + 2);
    for (at, letter) in state.chars().enumerate() {
        if at > 0 && letter.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    if name.is_empty() { "UNKNOWN".to_owned() } else { name }
}

/// GET `…/consumers`
pub async fn consumers(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let data = found.members.iter().map(|member| consumer(&scope, &found.group_id, member)).collect();
    Answer::json(&scope.list("KafkaConsumerList", &format!("{}/consumers", path_of(&found.group_id)), data))
}

/// GET `…/consumers/{consumer_id}`
pub async fn get_consumer(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    Answer::json(&consumer(&scope, &found.group_id, member_of(&found, &call)?))
}

fn member_of<'a>(group: &'a GroupDescription, call: &Call) -> Result<&'a GroupMember> {
    let id = call.parameter(2);
    let found = group.members.iter().find(|member| member.member_id == id);
    found.ok_or_else(|| not_found(format!("Consumer {id} cannot be found.")))
}

fn consumer(scope: &Scope, group: &str, member: &GroupMember) -> Value {
    let path = consumer_path(group, &member.member_id);
    let members = json!({
        "consumer_group_id": group,
        "consumer_id": member.member_id,
        "instance_id": member.instance_id,
        "client_id": member.client_id,
        "assignments": scope.related(&format!("{path}/assignments")),
    });
    scope.resource("KafkaConsumer", &path, Some(&consumer_name(group, &member.member_id)), members)
}

/// The path of a consumer.
pub fn consumer_path(group: &str, consumer: &str) -> String {
    format!("{}/consumers/{}", path_of(group), segment(consumer))
}

fn consumer_name(group: &str, consumer: &str) -> String {
    format!("/consumer-group={group}/consumer={consumer}")
}

/// GET `…/consumers/{consumer_id}/assignments`
pub async fn assignments(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let member = member_of(&found, &call)?;
    let mut assigned = member.assignment.clone();
    assigned.sort();
    let data = assigned.iter().map(|at| assignment(&scope, &found.group_id, member, at)).collect();
    let path = format!("{}/assignments", consumer_path(&found.group_id, &member.member_id));
    Answer::json(&scope.list("KafkaConsumerAssignmentList", &path, data))
}

/// GET `…/assignments/{topic_name}/partitions/{partition_id}`
pub async fn get_assignment(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let member = member_of(&found, &call)?;
    let wanted = TopicPartition::new(call.parameter(3), number(&call, 4)?);
    let at = member.assignment.iter().find(|at| **at == wanted);
    let at = at.ok_or_else(|| not_found(format!("Assignment of {wanted} cannot be found.")))?;
    Answer::json(&assignment(&scope, &found.group_id, member, at))
}

fn assignment(scope: &Scope, group: &str, member: &GroupMember, at: &TopicPartition) -> Value {
    let place = format!("{}/partitions/{}", segment(&at.topic), at.partition);
    let path = format!("{}/assignments/{place}", consumer_path(group, &member.member_id));
    let name = consumer_name(group, &member.member_id);
    let name = format!("{name}/assignment={}/partition={}", at.topic, at.partition);
    let members = json!({
        "consumer_group_id": group,
        "consumer_id": member.member_id,
        "topic_name": at.topic,
        "partition_id": at.partition,
        "partition": scope.related(&format!("/topics/{place}")),
        "lag": scope.related(&format!("{}/lags/{place}", path_of(group))),
    });
    scope.resource("KafkaConsumerAssignment", &path, Some(&name), members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_in_capitals() {
        assert_eq!(state_name("PreparingRebalance"), "PREPARING_REBALANCE");
        assert_eq!((state_name("Stable"), state_name("")), ("STABLE".to_owned(), "UNKNOWN".to_owned()));
    }
}
