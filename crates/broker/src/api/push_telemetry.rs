//! PushTelemetry (key 72), version 0 (KIP-714).
//!
//! - metrics of clients as OpenTelemetry protobuf, maybe compressed; the newest values are part of `/metrics`
//! - UNKNOWN_SUBSCRIPTION_ID when subscriptions have changed, THROTTLING_QUOTA_EXCEEDED when pushed too early,
//!   TELEMETRY_TOO_LARGE, UNSUPPORTED_COMPRESSION_TYPE, INVALID_RECORD for what cannot be read
//! - the last push of a client says that it is terminating; it may come early

use std::sync::Arc;

use milena_protocol::ErrorCode;
use milena_protocol::messages::{PushTelemetryRequest, PushTelemetryResponse};

use crate::context::{Broker, RequestContext};
use crate::telemetry::{ClientFacts, Push};

/// Takes the metrics of a client.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: PushTelemetryRequest,
) -> PushTelemetryResponse {
    let client = ClientFacts::of(context, request.client_instance_id);
    let push = Push {
        subscription_id: request.subscription_id,
        terminating: request.terminating,
        codec: request.compression_type,
        metrics: &request.metrics,
    };
    let code = match broker.telemetry.push(&broker.image(), &client, &push, broker.clock.now_ms()) {
        Ok(samples) => {
            let clients = &broker.metrics.clients;
            clients.pushed(client.instance_id, &client.client_id, &client.software(), samples);
            if request.terminating {
                clients.ending(&client.instance_id);
            }
            ErrorCode::None
        }
        Err(code) => code,
    };
    PushTelemetryResponse { error_code: code.code(), ..Default::default() }
}
