//! The log: segments, indexes, producer state, recovery, retention, compaction. Synchronous, no network.
