//! Connections of one consumer's own.
//!
//! Brokers answer the requests of a connection in order. Fetches wait there for records: over a shared connection the fetch
//! of one consumer would hold up those of all others, and everything else with them.

use std::collections::HashMap;

use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::error::Result;

/// One connection for each broker; they close with their owner.
#[derive(Debug, Default)]
pub(crate) struct OwnConnections {
    open: HashMap<i32, Connection>,
}

impl OwnConnections {
    /// The connection to the broker with id `node`, opened when there is none or when it was closed.
    ///
    /// # Errors
    /// As [`Cluster::node`].
    pub async fn to(&mut self, cluster: &Cluster, node: i32) -> Result<Connection> {
        if let Some(open) = self.open.get(&node)
            && !open.is_closed()
        {
            return Ok(open.clone());
        }
        let opened = cluster.own_connection(node).await?;
        self.open.insert(node, opened.clone());
        Ok(opened)
    }
}
