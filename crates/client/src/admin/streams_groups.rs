//! Streams groups (KIP-1071): describe.

use milena_protocol::ErrorCode;
use milena_protocol::messages::{StreamsGroupDescribeRequest, streams_group_describe_response};

use crate::cluster::Cluster;
use crate::error::{Error, Result};

impl Cluster {
    /// Describes a streams group.
    ///
    /// # Errors
    /// [`ErrorCode::GroupIdNotFound`] when there is no streams group of that name, and others of the coordinator.
    pub async fn describe_streams_group(&self, group_id: &str) -> Result<streams_group_describe_response::Group> {
        let request = StreamsGroupDescribeRequest {
            group_ids: vec![group_id.to_owned()],
            ..StreamsGroupDescribeRequest::default()
        };
        let response = self
            .send_group(group_id, &request, i16::MAX, |response| {
                response.groups.first().map_or(0, |group| group.error_code)
            })
            .await?;
        let group = response.groups.into_iter().next();
        let group = group.ok_or_else(|| Error::api(ErrorCode::GroupIdNotFound, None))?;
        Error::check(group.error_code, group.error_message.as_ref())?;
        Ok(group)
    }
}
