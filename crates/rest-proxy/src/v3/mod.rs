//! API v3: the paths under `/v3`. One file a resource; [`scope`] has what all of them need.

mod acls;
mod brokers;
mod clusters;
mod configs;
mod groups;
mod lags;
mod partitions;
mod records;
mod scope;
mod share_groups;
mod streams_groups;
mod topics;

use crate::http::{Answering, Call, Endpoint, Media};

pub use records::ProduceLimits;

const fn row(
    method: &'static str,
    path: &'static str,
    name: &'static str,
    handler: fn(Call) -> Answering,
    summary: &'static str,
) -> Endpoint {
    Endpoint { method, path, name, reads: Media::Json, answers: Media::Json, handler, summary }
}

macro_rules! rows {
    ($($method:literal $path:literal $name:literal => $handler:path, $summary:literal;)*) => {
        &[$(row($method, concat!("/v3/clusters", $path), concat!("api.v3.", $name), |call| Box::pin($handler(call)), $summary),)*]
    };
}

/// Every endpoint of v3. Of several that fit a path the first is taken.
#[rustfmt::skip]
pub const ENDPOINTS: &[Endpoint] = rows! {
    "GET" "" "clusters.list" => clusters::list, "The cluster behind this proxy";
    "GET" "/{cluster_id}" "clusters.get" => clusters::get, "One cluster";

    "GET" "/{cluster_id}/acls" "acls.list" => acls::list, "ACLs that a filter finds";
    "POST" "/{cluster_id}/acls" "acls.create" => acls::create, "Create an ACL";
    "DELETE" "/{cluster_id}/acls" "acls.delete" => acls::delete, "Delete the ACLs that a filter finds";
    "POST" "/{cluster_id}/acls:batch" "acls.batch-create" => acls::create_batch, "Create several ACLs";

    "GET" "/{cluster_id}/broker-configs" "cluster-configs.list" => configs::list_of_cluster, "What is set for all brokers";
    "POST" "/{cluster_id}/broker-configs:alter" "cluster-configs.alter" => configs::alter_of_cluster, "Change several configs of all brokers";
    "GET" "/{cluster_id}/broker-configs/{name}" "cluster-configs.get" => configs::get_of_cluster, "One config of all brokers";
    "PUT" "/{cluster_id}/broker-configs/{name}" "cluster-configs.update" => configs::set_of_cluster, "Set a config of all brokers";
    "DELETE" "/{cluster_id}/broker-configs/{name}" "cluster-configs.delete" => configs::reset_of_cluster, "Put a config of all brokers back";

    "GET" "/{cluster_id}/brokers" "brokers.list" => brokers::list, "The brokers";
    "GET" "/{cluster_id}/brokers/-/configs" "broker-configs.list-all" => configs::list_of_all_brokers, "The configs of every broker";
    "GET" "/{cluster_id}/brokers/{broker_id}" "brokers.get" => brokers::get, "One broker";
    "GET" "/{cluster_id}/brokers/{broker_id}/configs" "broker-configs.list" => configs::list_of_broker, "The configs of a broker";
    "POST" "/{cluster_id}/brokers/{broker_id}/configs:alter" "broker-configs.alter" => configs::alter_of_broker, "Change several configs of a broker";
    "GET" "/{cluster_id}/brokers/{broker_id}/configs/{name}" "broker-configs.get" => configs::get_of_broker, "One config of a broker";
    "PUT" "/{cluster_id}/brokers/{broker_id}/configs/{name}" "broker-configs.update" => configs::set_of_broker, "Set a config of a broker";
    "DELETE" "/{cluster_id}/brokers/{broker_id}/configs/{name}" "broker-configs.delete" => configs::reset_of_broker, "Put a config of a broker back";
    "GET" "/{cluster_id}/brokers/{broker_id}/partition-replicas" "replicas.search-by-broker" => brokers::partition_replicas, "The replicas on a broker";

    "GET" "/{cluster_id}/consumer-groups" "consumer-groups.list" => groups::list, "The consumer groups";
    "GET" "/{cluster_id}/consumer-groups/{consumer_group_id}" "consumer-groups.get" => groups::get, "One consumer group";
    "GET" "/{cluster_id}/consumer-groups/{consumer_group_id}/consumers" "consumers.list" => groups::consumers, "The members of a group";
    "GET" "/{cluster_id}/consumer-groups/{consumer_group_id}/consumers/{consumer_id}" "consumers.get" => groups::get_consumer, "One member of a group";
    "GET" "/{cluster_id}/consumer-groups/{consumer_group_id}/consumers/{consumer_id}/assignments" "consumer-assignments.list" => groups::assignments, "The partitions of a member";
    "GET" "/{cluster_id}/consumer-groups/{consumer_group_id}/consumers/{consumer_id}/assignments/{topic_name}/partitions/{partition_id}" "consumer-assignments.get" => groups::get_assignment, "One partition of a member";
    "GET" "/{cluster_id}/consumer-groups/{consumer_group_id}/lags" "consumer-lags.list" => lags::list, "How far a group is behind, by partition";
    "GET" "/{cluster_id}/consumer-groups/{consumer_group_id}/lags/{topic_name}/partitions/{partition_id}" "consumer-lags.get" => lags::get, "How far a group is behind in one partition";
    "GET" "/{cluster_id}/consumer-groups/{consumer_group_id}/lag-summary" "consumer-group-lag-summary.get" => lags::summary, "How far a group is behind";

    "GET" "/{cluster_id}/share-groups" "share-groups.list" => share_groups::list, "The share groups";
    "GET" "/{cluster_id}/share-groups/{group_id}" "share-groups.get" => share_groups::get, "One share group";
    "DELETE" "/{cluster_id}/share-groups/{group_id}" "share-groups.delete" => share_groups::delete, "Delete a share group without members";
    "GET" "/{cluster_id}/share-groups/{group_id}/consumers" "share-group-consumers.list" => share_groups::consumers, "The members of a share group";
    "GET" "/{cluster_id}/share-groups/{group_id}/consumers/{consumer_id}" "share-group-consumers.get" => share_groups::get_consumer, "One member of a share group";
    "GET" "/{cluster_id}/share-groups/{group_id}/consumers/{consumer_id}/assignments" "share-group-consumer-assignments.list" => share_groups::assignments, "The partitions of a member of a share group";

    "GET" "/{cluster_id}/streams-groups" "streams-groups.list" => streams_groups::list, "The streams groups";
    "GET" "/{cluster_id}/streams-groups/{group_id}" "streams-groups.get" => streams_groups::get, "One streams group";
    "GET" "/{cluster_id}/streams-groups/{group_id}/subtopologies" "streams-group-subtopologies.list" => streams_groups::subtopologies, "The subtopologies of a streams group";
    "GET" "/{cluster_id}/streams-groups/{group_id}/subtopologies/{subtopology_id}" "streams-group-subtopologies.get" => streams_groups::get_subtopology, "One subtopology";
    "GET" "/{cluster_id}/streams-groups/{group_id}/members" "streams-group-members.list" => streams_groups::members, "The members of a streams group";
    "GET" "/{cluster_id}/streams-groups/{group_id}/members/{member_id}" "streams-group-members.get" => streams_groups::get_member, "One member of a streams group";
    "GET" "/{cluster_id}/streams-groups/{group_id}/members/{member_id}/assignments" "streams-group-member-assignments.get" => streams_groups::assignments, "The kinds of tasks that a member works on";
    "GET" "/{cluster_id}/streams-groups/{group_id}/members/{member_id}/assignments/{assignments_type}" "streams-group-member-tasks.list" => streams_groups::tasks, "The tasks of one kind that a member works on";
    "GET" "/{cluster_id}/streams-groups/{group_id}/members/{member_id}/assignments/{assignments_type}/subtopologies/{subtopology_id}" "streams-group-member-tasks.get" => streams_groups::task_partitions, "The partitions of a subtopology that a member works on";
    "GET" "/{cluster_id}/streams-groups/{group_id}/members/{member_id}/target-assignments" "streams-group-member-target-assignments.get" => streams_groups::target_assignments, "The kinds of tasks that a member shall work on";
    "GET" "/{cluster_id}/streams-groups/{group_id}/members/{member_id}/target-assignments/{assignments_type}" "streams-group-member-target-tasks.list" => streams_groups::target_tasks, "The tasks of one kind that a member shall work on";
    "GET" "/{cluster_id}/streams-groups/{group_id}/members/{member_id}/target-assignments/{assignments_type}/subtopologies/{subtopology_id}" "streams-group-member-target-tasks.get" => streams_groups::target_task_partitions, "The partitions of a subtopology that a member shall work on";

    "GET" "/{cluster_id}/topics" "topics.list" => topics::list, "The topics";
    "POST" "/{cluster_id}/topics" "topics.create" => topics::create, "Create a topic";
    "GET" "/{cluster_id}/topics/-/configs" "topic-configs.list-all" => configs::list_of_all_topics, "The configs of every topic";
    "POST" "/{cluster_id}/topics/-/configs:alter" "topic-configs.alter-multi" => configs::alter_of_topics, "Change configs of several topics";
    "GET" "/{cluster_id}/topics/-/partitions/-/reassignment" "reassignments.list" => partitions::all_reassignments, "Reassignments under way";
    "GET" "/{cluster_id}/topics/{topic_name}" "topics.get" => topics::get, "One topic";
    "PATCH" "/{cluster_id}/topics/{topic_name}" "topics.update" => topics::grow, "Give a topic more partitions";
    "DELETE" "/{cluster_id}/topics/{topic_name}" "topics.delete" => topics::delete, "Delete a topic";
    "GET" "/{cluster_id}/topics/{topic_name}/configs" "topic-configs.list" => configs::list_of_topic, "The configs of a topic";
    "POST" "/{cluster_id}/topics/{topic_name}/configs:alter" "topic-configs.alter" => configs::alter_of_topic, "Change several configs of a topic";
    "GET" "/{cluster_id}/topics/{topic_name}/configs/{name}" "topic-configs.get" => configs::get_of_topic, "One config of a topic";
    "PUT" "/{cluster_id}/topics/{topic_name}/configs/{name}" "topic-configs.update" => configs::set_of_topic, "Set a config of a topic";
    "DELETE" "/{cluster_id}/topics/{topic_name}/configs/{name}" "topic-configs.delete" => configs::reset_of_topic, "Put a config of a topic back";
    "GET" "/{cluster_id}/topics/{topic_name}/partitions" "partitions.list" => partitions::list, "The partitions of a topic";
    "GET" "/{cluster_id}/topics/{topic_name}/partitions/-/reassignment" "reassignments.search-by-topic" => partitions::reassignments_of_topic, "Reassignments of a topic under way";
    "GET" "/{cluster_id}/topics/{topic_name}/partitions/{partition_id}" "partitions.get" => partitions::get, "One partition";
    "GET" "/{cluster_id}/topics/{topic_name}/partitions/{partition_id}/offset" "partitions.offset" => partitions::offset, "Where a partition begins and ends";
    "GET" "/{cluster_id}/topics/{topic_name}/partitions/{partition_id}/reassignment" "reassignments.get" => partitions::reassignment, "The reassignment of a partition";
    "GET" "/{cluster_id}/topics/{topic_name}/partitions/{partition_id}/replicas" "replicas.list" => partitions::replicas, "The replicas of a partition";
    "GET" "/{cluster_id}/topics/{topic_name}/partitions/{partition_id}/replicas/{broker_id}" "replicas.get" => partitions::get_replica, "One replica of a partition";
    "POST" "/{cluster_id}/topics/{topic_name}/records" "records.create" => records::produce, "Write a record, or any number of them";
    "POST" "/{cluster_id}/topics/{topic_name}/records:batch" "records.batch-create" => records::produce_batch, "Write a few records";
};
