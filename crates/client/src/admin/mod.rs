//! Administrative calls as methods of [`Cluster`](crate::Cluster): those that go to several brokers, or need
//! another API on older clusters. What is one request to one broker, callers send themselves.

mod configs;
mod groups;
mod offsets;
mod share_groups;
mod streams_groups;
mod topics;

pub use configs::{ConfigChange, ConfigResource, ResourceType};
pub use groups::{ClassicGroup, GroupDescription, GroupListing, GroupMember};
pub use offsets::{Committed, FoundOffset, IsolationLevel, OffsetSpec};
pub use share_groups::SharePosition;
pub use topics::{PartitionDescription, TopicDescription, TopicListing};
