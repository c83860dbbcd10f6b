//! The dispatch table: key, versions and handler of every API that is served, and nothing else.
//!
//! The table that dispatches is the table that ApiVersions advertises, so a version that is not implemented cannot be
//! advertised by accident. A handler is an `async fn handle(&Arc<Broker>, &RequestContext, XRequest) -> XResponse` and is
//! infallible: errors are codes inside the response. A row marked `deferred` starts its work in `start` and may answer
//! later, or not at all (Produce).

mod dispatch;

pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_share_group_offsets;
pub mod alter_user_scram_credentials;
pub mod api_versions;
pub mod consumer_group_describe;
pub mod consumer_group_heartbeat;
pub mod create_acls;
pub mod create_delegation_token;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_acls;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_share_group_offsets;
pub mod delete_share_group_state;
pub mod delete_topics;
pub mod describe_acls;
pub mod describe_client_quotas;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_delegation_token;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_share_group_offsets;
pub mod describe_topic_partitions;
pub mod describe_user_scram_credentials;
pub mod expire_delegation_token;
pub mod fetch;
pub mod find_coordinator;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod initialize_share_group_state;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod metadata;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod read_share_group_state;
pub mod read_share_group_state_summary;
pub mod renew_delegation_token;
pub mod share_acknowledge;
pub mod share_fetch;
pub mod share_group_describe;
pub mod share_group_heartbeat;
pub mod sync_group;
pub mod update_features;
pub mod write_share_group_state;

pub use dispatch::{ApiVersionRange, ClientConnection, DispatchError, Outcome, PendingResponse, dispatch};

// One row an API: name, request, versions served, module with its `handle`.
dispatch::api_table! {
    Produce: ProduceRequest, 0..=13, produce, deferred;
    Fetch: FetchRequest, 0..=18, fetch;
    ListOffsets: ListOffsetsRequest, 0..=11, list_offsets;
    Metadata: MetadataRequest, 0..=13, metadata;
    OffsetCommit: OffsetCommitRequest, 0..=10, offset_commit;
    OffsetFetch: OffsetFetchRequest, 0..=10, offset_fetch;
    FindCoordinator: FindCoordinatorRequest, 0..=6, find_coordinator;
    JoinGroup: JoinGroupRequest, 0..=9, join_group;
    Heartbeat: HeartbeatRequest, 0..=4, heartbeat;
    LeaveGroup: LeaveGroupRequest, 0..=5, leave_group;
    SyncGroup: SyncGroupRequest, 0..=5, sync_group;
    DescribeGroups: DescribeGroupsRequest, 0..=6, describe_groups;
    ListGroups: ListGroupsRequest, 0..=5, list_groups;
    ApiVersions: ApiVersionsRequest, 0..=5, api_versions;
    CreateTopics: CreateTopicsRequest, 0..=7, create_topics;
    DeleteTopics: DeleteTopicsRequest, 0..=6, delete_topics;
    DeleteRecords: DeleteRecordsRequest, 0..=2, delete_records;
    InitProducerId: InitProducerIdRequest, 0..=5, init_producer_id;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest, 0..=4, offset_for_leader_epoch;
    DescribeAcls: DescribeAclsRequest, 0..=3, describe_acls;
    CreateAcls: CreateAclsRequest, 0..=3, create_acls;
    DeleteAcls: DeleteAclsRequest, 0..=3, delete_acls;
    DescribeConfigs: DescribeConfigsRequest, 0..=4, describe_configs;
    AlterConfigs: AlterConfigsRequest, 0..=2, alter_configs;
    DescribeLogDirs: DescribeLogDirsRequest, 0..=5, describe_log_dirs;
    CreatePartitions: CreatePartitionsRequest, 0..=3, create_partitions;
    CreateDelegationToken: CreateDelegationTokenRequest, 0..=3, create_delegation_token;
    RenewDelegationToken: RenewDelegationTokenRequest, 0..=2, renew_delegation_token;
    ExpireDelegationToken: ExpireDelegationTokenRequest, 0..=2, expire_delegation_token;
    DescribeDelegationToken: DescribeDelegationTokenRequest, 0..=3, describe_delegation_token;
    DeleteGroups: DeleteGroupsRequest, 0..=3, delete_groups;
    IncrementalAlterConfigs: IncrementalAlterConfigsRequest, 0..=1, incremental_alter_configs;
    OffsetDelete: OffsetDeleteRequest, 0..=0, offset_delete;
    DescribeClientQuotas: DescribeClientQuotasRequest, 0..=1, describe_client_quotas;
    AlterClientQuotas: AlterClientQuotasRequest, 0..=1, alter_client_quotas;
    DescribeUserScramCredentials: DescribeUserScramCredentialsRequest, 0..=0, describe_user_scram_credentials;
    AlterUserScramCredentials: AlterUserScramCredentialsRequest, 0..=0, alter_user_scram_credentials;
    UpdateFeatures: UpdateFeaturesRequest, 0..=2, update_features;
    DescribeCluster: DescribeClusterRequest, 0..=2, describe_cluster;
    ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest, 0..=1, consumer_group_heartbeat;
    ConsumerGroupDescribe: ConsumerGroupDescribeRequest, 0..=1, consumer_group_describe;
    ListConfigResources: ListConfigResourcesRequest, 0..=1, list_config_resources;
    DescribeTopicPartitions: DescribeTopicPartitionsRequest, 0..=0, describe_topic_partitions;
    ShareGroupHeartbeat: ShareGroupHeartbeatRequest, 1..=1, share_group_heartbeat;
    ShareGroupDescribe: ShareGroupDescribeRequest, 1..=1, share_group_describe;
    ShareFetch: ShareFetchRequest, 1..=2, share_fetch;
    ShareAcknowledge: ShareAcknowledgeRequest, 1..=2, share_acknowledge;
    InitializeShareGroupState: InitializeShareGroupStateRequest, 0..=0, initialize_share_group_state;
    ReadShareGroupState: ReadShareGroupStateRequest, 0..=0, read_share_group_state;
    WriteShareGroupState: WriteShareGroupStateRequest, 0..=1, write_share_group_state;
    DeleteShareGroupState: DeleteShareGroupStateRequest, 0..=0, delete_share_group_state;
    ReadShareGroupStateSummary: ReadShareGroupStateSummaryRequest, 0..=1, read_share_group_state_summary;
    DescribeShareGroupOffsets: DescribeShareGroupOffsetsRequest, 0..=1, describe_share_group_offsets;
    AlterShareGroupOffsets: AlterShareGroupOffsetsRequest, 0..=0, alter_share_group_offsets;
    DeleteShareGroupOffsets: DeleteShareGroupOffsetsRequest, 0..=0, delete_share_group_offsets;
}
