//! Incremental fetch sessions (KIP-227): a consumer of many partitions names them once and afterwards sends and
//! receives only what changed.
//!
//! | session id | epoch | meaning |
//! |---|---|---|
//! | 0 | -1 | full fetch without a session |
//! | 0 | 0 | full fetch that asks for a session |
//! | N | 0 | close N, then as above |
//! | N | -1 | close N, full fetch without a session |
//! | N | k > 0 | incremental fetch of session N |
//!
//! An incremental answer leaves out partitions with nothing new. A partition that returned data moves to the end of the
//! order, so that a busy partition cannot starve the others of `max_bytes`.
//!
//! Lock order: the cache, then a session. Neither lock is held across an `await`.

mod cache;
mod session;

pub(crate) use cache::FetchPlan;
pub use cache::FetchSessionCache;
pub(crate) use session::{PartitionFetch, PartitionKey, TopicKey};
