//! `/v3/clusters/{c}/streams-groups`: streams groups (KIP-1071), their members, tasks and subtopologies.

use milena_protocol::messages::streams_group_describe_response::{Assignment, Group, Member, Subtopology, TaskIds};
use serde_json::{Value, json};

use super::groups::{is_gone, state_name};
use super::scope::{Scope, not_found, segment};
use crate::error::{RestError, Result};
use crate::http::{Answer, Call};

/// GET `…/streams-groups`
pub async fn list(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let mut data = Vec::new();
    for listed in scope.cluster().list_groups(&[], &["streams".to_owned()]).await? {
        // Clusters that cannot filter list every group.
        if !listed.group_type.eq_ignore_ascii_case("streams") {
            continue;
        }
        match scope.cluster().describe_streams_group(&listed.group_id).await {
            Ok(found) => data.push(group(&scope, &found)),
            // Deleted since it was listed.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Answer::json(&scope.list("KafkaStreamsGroupList", "/streams-groups", data))
}

/// GET `…/streams-groups/{group_id}`
pub async fn get(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    Answer::json(&group(&scope, &found))
}

async fn find(scope: &Scope, call: &Call) -> Result<Group> {
    Ok(scope.cluster().describe_streams_group(call.parameter(1)).await?)
}

fn path_of(group: &str) -> String {
    format!("/streams-groups/{}", segment(group))
}

fn name_of(group: &str) -> String {
    format!("/streams-group={group}")
}

fn group(scope: &Scope, found: &Group) -> Value {
    let path = path_of(&found.group_id);
    let members = json!({
        "group_id": found.group_id,
        "state": state_name(&found.group_state),
        "member_count": found.members.len(),
        "subtopology_count": subtopologies_of(found).len(),
        "group_epoch": found.group_epoch,
        "topology_epoch": found.topology.as_ref().map_or(-1, |topology| topology.epoch),
        "target_assignment_epoch": found.assignment_epoch,
        "members": scope.related(&format!("{path}/members")),
        "subtopologies": scope.related(&format!("{path}/subtopologies")),
    });
    scope.resource("KafkaStreamsGroup", &path, Some(&name_of(&found.group_id)), members)
}

fn subtopologies_of(group: &Group) -> &[Subtopology] {
    group.topology.as_ref().and_then(|topology| topology.subtopologies.as_deref()).unwrap_or_default()
}

/// GET `…/subtopologies`
pub async fn subtopologies(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let data = subtopologies_of(&found).iter().map(|one| subtopology(&scope, &found.group_id, one)).collect();
    let path = format!("{}/subtopologies", path_of(&found.group_id));
    Answer::json(&scope.list("KafkaStreamsGroupSubtopologyList", &path, data))
}

/// GET `…/subtopologies/{subtopology_id}`
pub async fn get_subtopology(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let id = call.parameter(2);
    let one = subtopologies_of(&found).iter().find(|one| one.subtopology_id == id);
    let one = one.ok_or_else(|| no_subtopology(id))?;
    Answer::json(&subtopology(&scope, &found.group_id, one))
}

fn no_subtopology(id: &str) -> RestError {
    not_found(format!("Subtopology {id} cannot be found."))
}

fn subtopology(scope: &Scope, group: &str, found: &Subtopology) -> Value {
    let id = &found.subtopology_id;
    let path = format!("{}/subtopologies/{}", path_of(group), segment(id));
    let name = format!("{}/subtopology={id}", name_of(group));
    let members = json!({"group_id": group, "subtopology_id": id, "source_topics": found.source_topics});
    scope.resource("KafkaStreamsGroupSubtopology", &path, Some(&name), members)
}

/// GET `…/members`
pub async fn members(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let data = found.members.iter().map(|one| member(&scope, &found.group_id, one)).collect();
    let path = format!("{}/members", path_of(&found.group_id));
    Answer::json(&scope.list("KafkaStreamsGroupMemberList", &path, data))
}

/// GET `…/members/{member_id}`
pub async fn get_member(call: Call) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    Answer::json(&member(&scope, &found.group_id, member_of(&found, &call)?))
}

fn member_of<'a>(group: &'a Group, call: &Call) -> Result<&'a Member> {
    let id = call.parameter(2);
    let found = group.members.iter().find(|member| member.member_id == id);
    found.ok_or_else(|| not_found(format!("Member {id} cannot be found.")))
}

fn member_path(group: &str, member: &str) -> String {
    format!("{}/members/{}", path_of(group), segment(member))
}

fn member_name(group: &str, member: &str) -> String {
    format!("{}/member={member}", name_of(group))
}

fn member(scope: &Scope, group: &str, found: &Member) -> Value {
    let path = member_path(group, &found.member_id);
    let members = json!({
        "group_id": group,
        "member_id": found.member_id,
        "process_id": found.process_id,
        "client_id": found.client_id,
        "instance_id": found.instance_id,
        "member_epoch": found.member_epoch,
        "topology_epoch": found.topology_epoch,
        "is_classic": found.is_classic,
        "assignments": scope.related(&format!("{path}/{}", Which::Current.segment())),
        "target_assignment": scope.related(&format!("{path}/{}", Which::Target.segment())),
    });
    scope.resource("KafkaStreamsGroupMember", &path, Some(&member_name(group, &found.member_id)), members)
}

/// What a member works on, or is going to.
#[derive(Clone, Copy)]
enum Which {
    Current,
    Target,
}

impl Which {
    fn segment(self) -> &'static str {
        match self {
            Which::Current => "assignments",
            Which::Target => "target-assignments",
        }
    }

    fn of(self, member: &Member) -> &Assignment {
        match self {
            Which::Current => &member.assignment,
            Which::Target => &member.target_assignment,
        }
    }
}

/// GET `…/members/{member_id}/assignments`
pub async fn assignments(call: Call) -> Result<Answer> {
    kinds(call, Which::Current).await
}

/// GET `…/members/{member_id}/target-assignments`
pub async fn target_assignments(call: Call) -> Result<Answer> {
    kinds(call, Which::Target).await
}

async fn kinds(call: Call, which: Which) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let member = &member_of(&found, &call)?.member_id;
    let path = format!("{}/{}", member_path(&found.group_id, member), which.segment());
    let name = format!("{}/{}", member_name(&found.group_id, member), which.segment());
    let members = json!({
        "group_id": found.group_id,
        "member_id": member,
        "active_tasks": scope.related(&format!("{path}/active")),
        "standby_tasks": scope.related(&format!("{path}/standby")),
        "warmup_tasks": scope.related(&format!("{path}/warmup")),
    });
    Answer::json(&scope.resource("KafkaStreamsGroupMemberAssignments", &path, Some(&name), members))
}

/// GET `…/assignments/{assignments_type}`
pub async fn tasks(call: Call) -> Result<Answer> {
    tasks_of(call, Which::Current).await
}

/// GET `…/target-assignments/{assignments_type}`
pub async fn target_tasks(call: Call) -> Result<Answer> {
    tasks_of(call, Which::Target).await
}

async fn tasks_of(call: Call, which: Which) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let place = Place::of(&found, &call, which)?;
    let data = place.tasks.iter().map(|one| task(&scope, &place, one)).collect();
    Answer::json(&scope.list("KafkaStreamsGroupMemberTaskList", &place.path, data))
}

/// GET `…/assignments/{assignments_type}/subtopologies/{subtopology_id}`
pub async fn task_partitions(call: Call) -> Result<Answer> {
    task_partitions_of(call, Which::Current).await
}

/// GET `…/target-assignments/{assignments_type}/subtopologies/{subtopology_id}`
pub async fn target_task_partitions(call: Call) -> Result<Answer> {
    task_partitions_of(call, Which::Target).await
}

async fn task_partitions_of(call: Call, which: Which) -> Result<Answer> {
    let scope = Scope::of(&call).await?;
    let found = find(&scope, &call).await?;
    let place = Place::of(&found, &call, which)?;
    let id = call.parameter(4);
    let one = place.tasks.iter().find(|one| one.subtopology_id == id).ok_or_else(|| no_subtopology(id))?;
    Answer::json(&task(&scope, &place, one))
}

/// Tasks of one kind of one member.
struct Place<'a> {
    tasks: &'a [TaskIds],
    path: String,
    name: String,
}

impl<'a> Place<'a> {
    fn of(group: &'a Group, call: &Call, which: Which) -> Result<Place<'a>> {
        let member = member_of(group, call)?;
        let assignment = which.of(member);
        let kind = call.parameter(3).to_ascii_lowercase();
        let tasks = match kind.as_str() {
            "active" => &assignment.active_tasks,
            "standby" => &assignment.standby_tasks,
            "warmup" => &assignment.warmup_tasks,
            _ => return Err(not_found(format!("There are no {kind} tasks; there are active, standby and warmup."))),
        };
        let segment = which.segment();
        Ok(Place {
            tasks,
            path: format!("{}/{segment}/{kind}", member_path(&group.group_id, &member.member_id)),
            name: format!("{}/{segment}={kind}", member_name(&group.group_id, &member.member_id)),
        })
    }
}

fn task(scope: &Scope, place: &Place<'_>, found: &TaskIds) -> Value {
    let id = &found.subtopology_id;
    let path = format!("{}/subtopologies/{}", place.path, segment(id));
    let name = format!("{}/subtopology={id}", place.name);
    let members = json!({"subtopology_id": id, "partition_ids": found.partitions});
    scope.part("KafkaStreamsGroupMemberTask", &path, &name, members)
}
