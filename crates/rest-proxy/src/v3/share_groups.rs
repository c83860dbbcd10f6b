//! `/v3/clusters/{c}/share-groups`: share groups (KIP-932), their members and what those are assigned.

use std::collections::BTreeSet;

use milena_client::{CoordinatorKind, TopicPartition};
use milena_protocol::messages::share_group_describe_response::{Group, Member};
use serde_json::{Value, json};

use super::groups::{is_gone, state_name};
use super::scope::{Scope, not_found, segment};
use crate::error::Result;
use crate::http::{Answer, Call};

/// GET `…/share-groups`
pub async fn list(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let mut data = Vec::new();
    for listed in scope.cluster().list_groups(&[], &["share".to_owned()]).await? {
        // Clusters that cannot filter list every group.
        if !listed.group_type.eq_ignore_ascii_case("share") {
            continue;
        }
        match scope.cluster().describe_share_group(&listed.group_id).await {
            Ok(found) => data.push(group(&scope, &found).await?),
            // Deleted since it was listed.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Answer::json(&scope.list("KafkaShareGroupList", "/share-groups", data))
}

/// GET `…/share-groups/{group_id}`
pub async fn get(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    Answer::json(&group(&scope, &found).await?)
}

/// DELETE `…/share-groups/{group_id}`
pub async fn delete(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    // Groups of other types have the same request.
    let found = find(&scope, &call).await?;
    scope.cluster().delete_group(&found.group_id).await?;
    Ok(Answer::empty(204))
}

async fn find(scope: &Scope, call: &Call) -> Result<Group> {
    Ok(scope.cluster().describe_share_group(call.parameter(1)).await?)
}

fn path_of(group: &str) -> String {
    format!("/share-groups/{}", segment(group))
}

async fn group(scope: &Scope, found: &Group) -> Result<Value> {
    let id = &found.group_id;
    let path = path_of(id);
    scope.cluster().coordinator(CoordinatorKind::Group, id).await?;
    let coordinator = scope.cluster().cached_coordinator(CoordinatorKind::Group, id);
    let mut partitions: BTreeSet<TopicPartition> = found.members.iter().flat_map(assigned).collect();
    // A group without members still has partitions in which it stands somewhere.
    partitions.extend(scope.cluster().share_positions(id).await?.into_keys());
    let members = json!({
        "share_group_id": id,
        "state": state_name(&found.group_state),
        "coordinator": coordinator.map(|node| scope.related(&format!("/brokers/{}", node.id))),
        "consumers": scope.related(&format!("{path}/consumers")),
        "consumer_count": found.members.len(),
        "partition_count": partitions.len(),
        "assigned_topic_partitions": partitions.iter().map(|at| topic_partition(scope, id, at)).collect::<Vec<_>>(),
    });
    Ok(scope.resource("KafkaShareGroup", &path, Some(&name_of(id)), members))
}

fn name_of(group: &str) -> String {
    format!("/share-group={group}")
}

fn topic_partition(scope: &Scope, group: &str, at: &TopicPartition) -> Value {
    let path = format!("{}/assigned-topic-partitions/{}/{}", path_of(group), segment(&at.topic), at.partition);
    let name = format!("{}/topic-partition={}:{}", name_of(group), at.topic, at.partition);
    let members = json!({
        "topic_name": at.topic,
        "partition_id": at.partition,
        "partition": partition_of(scope, at),
    });
    scope.part("KafkaShareGroupTopicPartition", &path, &name, members)
}

fn partition_of(scope: &Scope, at: &TopicPartition) -> Value {
    scope.related(&format!("/topics/{}/partitions/{}", segment(&at.topic), at.partition))
}

fn assigned(member: &Member) -> impl Iterator<Item = TopicPartition> {
    member
        .assignment
        .topic_partitions
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| TopicPartition::new(&topic.topic_name, *partition)))
}

/// GET `…/consumers`
pub async fn consumers(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let data = found.members.iter().map(|member| consumer(&scope, &found.group_id, member)).collect();
    Answer::json(&scope.list("KafkaShareGroupConsumerList", &format!("{}/consumers", path_of(&found.group_id)), data))
}

/// GET `…/consumers/{consumer_id}`
pub async fn get_consumer(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    Answer::json(&consumer(&scope, &found.group_id, member_of(&found, &call)?))
}

fn member_of<'a>(group: &'a Group, call: &Call) -> Result<&'a Member> {
    let id = call.parameter(2);
    let found = group.members.iter().find(|member| member.member_id == id);
    found.ok_or_else(|| not_found(format!("Consumer {id} cannot be found.")))
}

fn consumer(scope: &Scope, group: &str, member: &Member) -> Value {
    let path = consumer_path(group, &member.member_id);
    let members = json!({
        "group_id": group,
        "consumer_id": member.member_id,
        "client_id": member.client_id,
        "assignments": scope.related(&format!("{path}/assignments")),
    });
    scope.resource("KafkaShareGroupConsumer", &path, Some(&consumer_name(group, &member.member_id)), members)
}

fn consumer_path(group: &str, consumer: &str) -> String {
    format!("{}/consumers/{}", path_of(group), segment(consumer))
}

fn consumer_name(group: &str, consumer: &str) -> String {
    format!("{}/consumer={consumer}", name_of(group))
}

/// GET `…/consumers/{consumer_id}/assignments`
pub async fn assignments(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let member = member_of(&found, &call)?;
    let partitions: BTreeSet<TopicPartition> = assigned(member).collect();
    let data = partitions.iter().map(|at| assignment(&scope, &found.group_id, member, at)).collect();
    let path = format!("{}/assignments", consumer_path(&found.group_id, &member.member_id));
    Answer::json(&scope.list("KafkaShareGroupConsumerAssignmentList", &path, data))
}

fn assignment(scope: &Scope, group: &str, member: &Member, at: &TopicPartition) -> Value {
    let consumer = &member.member_id;
    let place = format!("{}/partitions/{}", segment(&at.topic), at.partition);
    let path = format!("{}/assignments/{place}", consumer_path(group, consumer));
    let name = format!("{}/assignment={}/partition={}", consumer_name(group, consumer), at.topic, at.partition);
    let members = json!({
        "group_id": group,
        "consumer_id": consumer,
        "topic_name": at.topic,
        "partition_id": at.partition,
        "partition": partition_of(scope, at),
    });
    scope.resource("KafkaShareGroupConsumerAssignment", &path, Some(&name), members)
}
