//! Topics in which workers keep what they know: compacted, read as a whole by everybody.

mod topic_log;

pub use topic_log::{Apply, Purpose, StorageError, TopicLog};
