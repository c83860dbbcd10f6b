//! `INSERT INTO ... VALUES`: one record, at once.

use milena_sql::ast::InsertValues;
use milena_sql::runtime::RawRecord;
use milena_sql::runtime::insert::record;
use milena_stdx::{Clock as _, SystemClock};

use super::Call;
use crate::error::{Failure, Result};

/// What messages about values begin with.
const FAILED: &str = "Failed to insert values into";

/// Topics that are the operator's are not written.
fn check_target(call: &Call<'_>, target: &str) -> Result<()> {
    let source = call.catalog.source(target).filter(|source| source.window.is_none());
    match source.filter(|source| call.server.config.read_only_topics.is_match(&source.topic)) {
        Some(source) => Err(Failure::request(format!("Cannot insert values into read-only topic: {}", source.topic))),
        None => Ok(()),
    }
}

/// Writes the record and waits for the acknowledgement.
pub async fn insert(call: &Call<'_>, values: &InsertValues) -> Result<()> {
    let connected = call.server.ready().await?;
    let (topic, record) = made(call, values).await?;
    let failed = |error| Failure::new(Failure::SERVER, format!("{FAILED} '{}'. {error}", values.target));
    connected.kafka.records.send(&topic, None, &record).await.map(|_| ()).map_err(failed)
}

/// The record of a statement, with its topic.
///
/// # Errors
/// A target that takes no records, values that do not fit.
pub async fn made(call: &Call<'_>, values: &InsertValues) -> Result<(String, RawRecord)> {
    check_target(call, &values.target)?;
    let (values, catalog, settings) = (values.clone(), call.catalog.clone(), call.settings.clone());
    let registry = call.registry.clone();
    let now = SystemClock.now_ms();
    // The registry may be asked, which blocks.
    let made = tokio::task::spawn_blocking(move || record(&values, &catalog, &settings, &registry, now)).await;
    let made = made.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))?;
    made.map_err(|error| match error.0.starts_with(FAILED) {
        true => Failure::from(error),
        // It is not about the values.
        false => Failure { code: Failure::BAD_REQUEST, ..Failure::from(error) },
    })
}
