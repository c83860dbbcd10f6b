//! Kafka's wire messages, record batches, compression and error codes.
