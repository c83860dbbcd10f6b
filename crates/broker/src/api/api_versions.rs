//! ApiVersions (key 18), versions 0-5.
//!
//! - a version above ours is answered in the format of version 0 with error 35 and our range (KIP-511)
//! - v3+ tells the client's software, v5 (KIP-1242) may name the cluster and node it expects: a mismatch is answered with
//!   REBOOTSTRAP_REQUIRED
//! - features: clients switch behaviour on them, so only what exists is named ([`milena_metadata::feature`]);
//!   `metadata.version` tells admin clients which Kafka we resemble
//! - the telemetry APIs are shown once somebody subscribed to metrics of clients: every client that sees them asks and logs,
//!   as Apache Kafka shows them only with a receiver (KIP-714)

use std::sync::Arc;

use milena_metadata::{FEATURES, Feature};
use milena_protocol::messages::api_versions_response::{ApiKey as Entry, FinalizedFeature, SupportedFeature};
use milena_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use milena_protocol::{ApiKey, ErrorCode};

use super::{API_VERSIONS, ApiVersionRange};
use crate::context::{Broker, ClientSoftware, RequestContext};

/// First version with the name and version of the client's software.
const SOFTWARE_SINCE: i16 = 3;
/// First version whose clients may be shown features with minimum 0 (KAFKA-17011).
const ZERO_MINIMUM_SINCE: i16 = 4;

/// Answers with the dispatch table and the features in force.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    if context.api_version >= SOFTWARE_SINCE {
        if !is_software_name(&request.client_software_name) || !is_software_name(&request.client_software_version) {
            return ApiVersionsResponse { error_code: ErrorCode::InvalidRequest.code(), ..Default::default() };
        }
        context.client_software.store(Some(Arc::new(ClientSoftware {
            name: request.client_software_name.clone(),
            version: request.client_software_version.clone(),
        })));
    }
    if expects_another_broker(broker, &request) {
        return ApiVersionsResponse { error_code: ErrorCode::RebootstrapRequired.code(), ..Default::default() };
    }
    let image = broker.image();
    let features = FEATURES.iter().filter(|feature| feature.min > 0 || context.api_version >= ZERO_MINIMUM_SINCE);
    let telemetry = !image.client_metrics_configs.is_empty();
    ApiVersionsResponse {
        api_keys: API_VERSIONS.iter().filter(|range| telemetry || !is_telemetry(range.key)).map(entry).collect(),
        supported_features: features.map(supported).collect(),
        finalized_features: image.finalized_features().into_iter().map(finalized).collect(),
        finalized_features_epoch: image.revision as i64,
        ..Default::default()
    }
}

/// The answer to a version that is not served: our own range, so that the client can choose from it.
pub(super) fn unsupported_version() -> ApiVersionsResponse {
    let own = API_VERSIONS.iter().filter(|range| range.key == ApiKey::ApiVersions);
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: own.map(entry).collect(),
        ..Default::default()
    }
}

fn is_telemetry(key: ApiKey) -> bool {
    matches!(key, ApiKey::GetTelemetrySubscriptions | ApiKey::PushTelemetry)
}

fn entry(range: &ApiVersionRange) -> Entry {
    Entry { api_key: range.key.code(), min_version: range.min, max_version: range.max }
}

fn supported(feature: &Feature) -> SupportedFeature {
    SupportedFeature { name: feature.name.to_owned(), min_version: feature.min, max_version: feature.max }
}

fn finalized((name, level): (&str, i16)) -> FinalizedFeature {
    FinalizedFeature { name: name.to_owned(), max_version_level: level, min_version_level: level }
}

/// `[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?`
fn is_software_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    bytes.iter().all(inner)
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

fn expects_another_broker(broker: &Broker, request: &ApiVersionsRequest) -> bool {
    let another_cluster = request.cluster_id.as_ref().is_some_and(|id| *id != broker.image().cluster_id);
    let another_node = request.node_id >= 0 && request.node_id != broker.node_id();
    another_cluster || (request.cluster_id.is_some() && another_node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_start_and_end_with_a_letter_or_digit() {
        for good in ["a", "apache-kafka-java", "librdkafka", "2.15.0", "v1.0-rc1"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "ü", ".", "a_b"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }

    #[test]
    fn the_advertised_table_lists_every_key_once_and_in_order() {
        let keys: Vec<i16> = API_VERSIONS.iter().map(|range| range.key.code()).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        let produce = API_VERSIONS.iter().find(|range| range.key == ApiKey::Produce);
        assert_eq!(produce.map(|range| range.min), Some(0), "old librdkafka disables compression otherwise");
    }
}
