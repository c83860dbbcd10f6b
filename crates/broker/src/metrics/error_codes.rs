//! Where the responses carry their error codes: what `ErrorsPerSec` of Kafka's RequestMetrics counts.
//!
//! Every code counts, that of each partition, topic or group as well as that of the whole request, and 0 (NONE) too.
//! Fields that the version of a response does not have are 0, as in Kafka.

/// A response that shows its error codes.
pub(crate) trait ErrorCodes {
    /// Calls `visit` with every error code.
    fn visit_error_codes(&self, visit: &mut dyn FnMut(i16));
}

/// `field` is a code of `$value`, `field [...]` are items with the codes in brackets.
macro_rules! visit {
    ($value:expr, $visit:ident, $field:ident $(, $($rest:tt)+)?) => {
        $visit($value.$field);
        $(visit!($value, $visit, $($rest)+);)?
    };
    ($value:expr, $visit:ident, $field:ident [$($inner:tt)+] $(, $($rest:tt)+)?) => {
        for item in &$value.$field {
            visit!(item, $visit, $($inner)+);
        }
        $(visit!($value, $visit, $($rest)+);)?
    };
}

macro_rules! error_codes {
    ($($response:ident { $($fields:tt)+ })*) => {
        $(impl ErrorCodes for milena_protocol::messages::$response {
            fn visit_error_codes(&self, visit: &mut dyn FnMut(i16)) {
                visit!(self, visit, $($fields)+);
            }
        })*
    };
}

error_codes! {
    ProduceResponse { responses [partition_responses [error_code]] }
    FetchResponse { error_code, responses [partitions [error_code]] }
    ListOffsetsResponse { topics [partitions [error_code]] }
    MetadataResponse { topics [error_code, partitions [error_code]], error_code }
    OffsetCommitResponse { topics [partitions [error_code]] }
    OffsetFetchResponse {
        topics [partitions [error_code]],
        error_code,
        groups [topics [partitions [error_code]], error_code]
    }
    FindCoordinatorResponse { error_code, coordinators [error_code] }
    JoinGroupResponse { error_code }
    HeartbeatResponse { error_code }
    LeaveGroupResponse { error_code, members [error_code] }
    SyncGroupResponse { error_code }
    DescribeGroupsResponse { groups [error_code] }
    ListGroupsResponse { error_code }
    SaslHandshakeResponse { error_code }
    ApiVersionsResponse { error_code }
    CreateTopicsResponse { topics [error_code] }
    DeleteTopicsResponse { responses [error_code] }
    DeleteRecordsResponse { topics [partitions [error_code]] }
    InitProducerIdResponse { error_code }
    OffsetForLeaderEpochResponse { topics [partitions [error_code]] }
    AddPartitionsToTxnResponse {
        error_code,
        results_by_transaction [topic_results [results_by_partition [partition_error_code]]],
        results_by_topic_v3_and_below [results_by_partition [partition_error_code]]
    }
    AddOffsetsToTxnResponse { error_code }
    EndTxnResponse { error_code }
    WriteTxnMarkersResponse { markers [topics [partitions [error_code]]] }
    TxnOffsetCommitResponse { topics [partitions [error_code]] }
    DescribeAclsResponse { error_code }
    CreateAclsResponse { results [error_code] }
    DeleteAclsResponse { filter_results [error_code, matching_acls [error_code]] }
    DescribeConfigsResponse { results [error_code] }
    AlterConfigsResponse { responses [error_code] }
    AlterReplicaLogDirsResponse { results [partitions [error_code]] }
    DescribeLogDirsResponse { error_code, results [error_code] }
    SaslAuthenticateResponse { error_code }
    CreatePartitionsResponse { results [error_code] }
    CreateDelegationTokenResponse { error_code }
    RenewDelegationTokenResponse { error_code }
    ExpireDelegationTokenResponse { error_code }
    DescribeDelegationTokenResponse { error_code }
    DeleteGroupsResponse { results [error_code] }
    ElectLeadersResponse { error_code, replica_election_results [partition_result [error_code]] }
    IncrementalAlterConfigsResponse { responses [error_code] }
    AlterPartitionReassignmentsResponse { error_code, responses [partitions [error_code]] }
    ListPartitionReassignmentsResponse { error_code }
    OffsetDeleteResponse { error_code, topics [partitions [error_code]] }
    DescribeClientQuotasResponse { error_code }
    AlterClientQuotasResponse { entries [error_code] }
    DescribeUserScramCredentialsResponse { error_code, results [error_code] }
    AlterUserScramCredentialsResponse { results [error_code] }
    DescribeQuorumResponse { error_code, topics [partitions [error_code]] }
    UpdateFeaturesResponse { error_code, results [error_code] }
    DescribeClusterResponse { error_code }
    DescribeProducersResponse { topics [partitions [error_code]] }
    UnregisterBrokerResponse { error_code }
    DescribeTransactionsResponse { transaction_states [error_code] }
    ListTransactionsResponse { error_code }
    ConsumerGroupHeartbeatResponse { error_code }
    ConsumerGroupDescribeResponse { groups [error_code] }
    GetTelemetrySubscriptionsResponse { error_code }
    PushTelemetryResponse { error_code }
    ListConfigResourcesResponse { error_code }
    DescribeTopicPartitionsResponse { topics [error_code, partitions [error_code]] }
    ShareGroupHeartbeatResponse { error_code }
    ShareGroupDescribeResponse { groups [error_code] }
    ShareFetchResponse { error_code, responses [partitions [error_code]] }
    ShareAcknowledgeResponse { error_code, responses [partitions [error_code]] }
    InitializeShareGroupStateResponse { results [partitions [error_code]] }
    ReadShareGroupStateResponse { results [partitions [error_code]] }
    WriteShareGroupStateResponse { results [partitions [error_code]] }
    DeleteShareGroupStateResponse { results [partitions [error_code]] }
    ReadShareGroupStateSummaryResponse { results [partitions [error_code]] }
    StreamsGroupHeartbeatResponse { error_code }
    StreamsGroupDescribeResponse { groups [error_code] }
    DescribeShareGroupOffsetsResponse { groups [topics [partitions [error_code]], error_code] }
    AlterShareGroupOffsetsResponse { error_code, responses [partitions [error_code]] }
    DeleteShareGroupOffsetsResponse { error_code, responses [error_code] }
}

#[cfg(test)]
mod tests {
    use milena_protocol::messages::fetch_response::{Partition, Response};
    use milena_protocol::messages::{FetchResponse, HeartbeatResponse};

    use super::*;

    fn codes(response: &impl ErrorCodes) -> Vec<i16> {
        let mut codes = Vec::new();
        response.visit_error_codes(&mut |code| codes.push(code));
        codes
    }

    #[test]
    fn the_codes_of_all_levels_are_seen() {
        assert_eq!(codes(&HeartbeatResponse { error_code: 27, ..Default::default() }), [27]);
        let partition = |error_code| Partition { error_code, ..Default::default() };
        let topic = Response { partitions: vec![partition(0), partition(3)], ..Default::default() };
        assert_eq!(codes(&FetchResponse { responses: vec![topic], error_code: 70, ..Default::default() }), [70, 0, 3]);
    }
}
