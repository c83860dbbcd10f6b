//! Who sends a group request, as the group remembers and describes it.

use std::net::IpAddr;

/// The client behind a membership: shown by DescribeGroups and stored in the member's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The request header's client id; empty when the client sent none.
    pub client_id: String,
    /// The peer's address in Kafka's spelling: `/127.0.0.1`.
    pub client_host: String,
}

impl ClientIdentity {
    /// The identity of a request with header `client_id` that came from `address`.
    pub fn new(client_id: Option<&str>, address: IpAddr) -> Self {
        ClientIdentity {
            client_id: client_id.unwrap_or_default().to_owned(),
            client_host: format!("/{}", address.to_canonical()),
        }
    }
}
