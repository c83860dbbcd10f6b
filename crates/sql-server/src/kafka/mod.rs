//! The Kafka that the server works on: the connection, single records and topics.

pub mod raw;
pub mod records;
pub mod topics;

use std::sync::Arc;

use milena_client::{Cluster, ProducerConfig};

use records::Records;

/// A connected Kafka. Clones are the same.
#[derive(Clone)]
pub struct Kafka {
    /// Metadata and administration.
    pub cluster: Cluster,
    /// Records of statements: `INSERT INTO ... VALUES`, commands.
    pub records: Arc<Records>,
}

impl Kafka {
    /// Over `cluster`.
    ///
    /// # Errors
    /// Settings of the producer that exclude each other.
    pub fn new(cluster: Cluster, producer: ProducerConfig) -> milena_client::Result<Kafka> {
        let records = Arc::new(Records::new(cluster.clone(), producer)?);
        Ok(Kafka { cluster, records })
    }
}
