//! The dispatch table: key, versions and handler of every API that is served, and nothing else.
//!
//! The table that dispatches is the table that ApiVersions advertises, so a version that is not implemented cannot be
//! advertised by accident. A handler is an `async fn handle(&Arc<Broker>, &RequestContext, XRequest) -> XResponse` and is
//! infallible: errors are codes inside the response. A row marked `deferred` starts its work in `start` and may answer
//! later, or not at all (Produce).

mod dispatch;

pub mod api_versions;
pub mod delete_records;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
pub mod list_offsets;
pub mod offset_for_leader_epoch;
pub mod produce;

pub use dispatch::{ApiVersionRange, ClientConnection, DispatchError, Outcome, PendingResponse, dispatch};

// One row an API: name, request, versions served, module with its `handle`.
dispatch::api_table! {
    Produce: ProduceRequest, 0..=13, produce, deferred;
    Fetch: FetchRequest, 0..=18, fetch;
    ListOffsets: ListOffsetsRequest, 0..=11, list_offsets;
    FindCoordinator: FindCoordinatorRequest, 0..=6, find_coordinator;
    ApiVersions: ApiVersionsRequest, 0..=5, api_versions;
    DeleteRecords: DeleteRecordsRequest, 0..=2, delete_records;
    InitProducerId: InitProducerIdRequest, 0..=5, init_producer_id;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest, 0..=4, offset_for_leader_epoch;
}
