//! Raw Kafka connections for tools and services: what the official client lacks.
