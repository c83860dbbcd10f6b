//! What the service does, over a log in memory.
