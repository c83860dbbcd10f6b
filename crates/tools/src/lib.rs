//! The kafka-* command-line tools.
