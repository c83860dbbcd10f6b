//! The dispatch table: key, versions and handler of every API that is served, and nothing else.
//!
//! The table that dispatches is the table that ApiVersions advertises, so a version that is not implemented cannot be
//! advertised by accident. A handler is an `async fn handle(&Arc<Broker>, &RequestContext, XRequest) -> XResponse` and is
//! infallible: errors are codes inside the response.
//!
//! Three APIs touch the connection itself: ApiVersions answers unsupported versions, Produce may leave its answer
//! for later or answer nothing at all, and anything that cannot be decoded closes the connection.

mod dispatch;

pub mod api_versions;
pub mod delete_records;
pub mod fetch;
pub mod find_coordinator;
pub mod init_producer_id;
pub mod list_offsets;
pub mod offset_for_leader_epoch;
pub mod produce;

pub use dispatch::{DispatchError, Outcome, dispatch};

// One row an API: name, versions served, module with its `handle`.
dispatch::api_table! {
    Fetch: FetchRequest, 0..=18, fetch;
    ListOffsets: ListOffsetsRequest, 0..=11, list_offsets;
    FindCoordinator: FindCoordinatorRequest, 0..=6, find_coordinator;
    DeleteRecords: DeleteRecordsRequest, 0..=2, delete_records;
    InitProducerId: InitProducerIdRequest, 0..=5, init_producer_id;
    OffsetForLeaderEpoch: OffsetForLeaderEpochRequest, 0..=4, offset_for_leader_epoch;
}
