//! UpdateFeatures (key 57), versions 0-2 (KIP-584, KIP-1022).
//!
//! - all features change together or none; a refusal is told for the whole request
//! - v0 only knows whether a downgrade is allowed; v1 tells the direction and may only validate
//! - ALTER on the cluster

use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_metadata::{FeatureDirection, FeatureUpdate};
use milena_protocol::ErrorCode;
use milena_protocol::messages::update_features_request;
use milena_protocol::messages::update_features_response::Result as FeatureResult;
use milena_protocol::messages::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::context::{Broker, RequestContext};

/// First version that tells the direction.
const DIRECTION_SINCE: i16 = 1;

/// Chooses the levels of features.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    if !broker.allows_cluster(context, AclOperation::Alter) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return failed(code, code.message().to_owned());
    }
    let names: Vec<String> = request.feature_updates.iter().map(|update| update.feature.clone()).collect();
    let updates: Result<Vec<FeatureUpdate>, String> =
        request.feature_updates.into_iter().map(|update| parse(update, context.api_version)).collect();
    let updates = match updates {
        Ok(updates) => updates,
        Err(message) => return failed_for_all(ErrorCode::InvalidUpdateVersion, &message),
    };
    let answers = broker.controller.update_features(updates, request.validate_only).await;
    if let Some(error) = answers.into_iter().find_map(Result::err) {
        return failed_for_all(error.error_code(), &error.to_string());
    }
    let results = names.into_iter().map(|feature| FeatureResult { feature, ..Default::default() });
    UpdateFeaturesResponse { results: results.collect(), ..Default::default() }
}

fn parse(update: update_features_request::FeatureUpdate, version: i16) -> Result<FeatureUpdate, String> {
    let direction = match version {
        DIRECTION_SINCE.. => FeatureDirection::from_wire(update.upgrade_type),
        _ if update.allow_downgrade => Some(FeatureDirection::SafeDowngrade),
        _ => Some(FeatureDirection::Upgrade),
    };
    let Some(direction) = direction else {
        let (level, name) = (update.max_version_level, update.feature);
        return Err(format!(
            "Invalid update version {level} for feature {name}. The controller does not support the given upgrade type."
        ));
    };
    Ok(FeatureUpdate { name: update.feature, level: update.max_version_level, direction })
}

fn failed_for_all(code: ErrorCode, message: &str) -> UpdateFeaturesResponse {
    failed(code, format!("The update failed for all features since the following feature had an error: {message}"))
}

fn failed(code: ErrorCode, message: String) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse { error_code: code.code(), error_message: Some(message), ..Default::default() }
}
