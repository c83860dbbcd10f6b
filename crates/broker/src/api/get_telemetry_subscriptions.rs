//! GetTelemetrySubscriptions (key 71), version 0 (KIP-714).
//!
//! - which metrics a client is to push, and how often: the union of the subscriptions that match it, the shortest interval
//! - a client that asks again before its interval has passed gets THROTTLING_QUOTA_EXCEEDED

use std::sync::Arc;

use milena_protocol::messages::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse};

use crate::context::{Broker, RequestContext};
use crate::telemetry::{ACCEPTED_CODECS, ClientFacts};

/// Tells a client what to push.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let client = ClientFacts::of(context, request.client_instance_id);
    let now_ms = broker.clock.now_ms();
    match broker.telemetry.subscribe(&broker.image(), &client, now_ms) {
        Ok((id, subscription)) => GetTelemetrySubscriptionsResponse {
            client_instance_id: id,
            subscription_id: subscription.id,
            accepted_compression_types: ACCEPTED_CODECS.iter().map(|codec| codec.id() as i8).collect(),
            push_interval_ms: subscription.push_interval_ms,
            telemetry_max_bytes: broker.telemetry.bytes_max(),
            delta_temporality: true,
            requested_metrics: subscription.metrics.clone(),
            ..Default::default()
        },
        Err(code) => GetTelemetrySubscriptionsResponse { error_code: code.code(), ..Default::default() },
    }
}
