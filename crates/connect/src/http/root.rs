//! `/`, `/health` and `/metrics`.

use std::sync::Arc;

use serde_json::json;

use super::Call;
use super::answer::Answer;
use crate::herder::Herder;

/// The release of the original whose API this is.
pub const VERSION: &str = "4.3.1";

/// Which server this is.
pub fn info(call: &Call) -> Answer {
    let body = json!({
        "version": VERSION,
        "commit": concat!("milena-", env!("CARGO_PKG_VERSION")),
        "kafka_cluster_id": call.herder.cluster_id(),
    });
    Answer::json(200, &body)
}

/// The media type of OpenMetrics' text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the tasks of this worker have done.
pub fn metrics(call: &Call) -> Answer {
    Answer::text(200, call.herder.metrics(), OPEN_METRICS)
}

/// Whether it works.
pub async fn health(herder: Option<&Arc<Herder>>) -> Answer {
    let (status, word, message) = match herder {
        None => (503, "starting", "Worker is still starting up."),
        Some(herder) if herder.is_healthy().await => {
            (200, "healthy", "Worker has completed startup and is ready to handle requests.")
        }
        Some(_) => {
            (500, "unhealthy", "Worker was unable to handle this request and may be unable to handle other requests.")
        }
    };
    Answer::json(status, &json!({ "status": word, "message": message }))
}
