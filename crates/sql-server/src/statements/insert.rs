//! `INSERT INTO ... VALUES`: one record, at once.

use milena_sql::ast::InsertValues;
use milena_sql::runtime::insert::record;
use milena_stdx::{Clock as _, SystemClock};

use super::Call;
use crate::error::{Failure, Result};

/// Writes the record and waits for the acknowledgement.
pub async fn insert(call: &Call<'_>, values: &InsertValues) -> Result<()> {
    let connected = call.server.ready().await?;
    let (values, catalog, settings) = (values.clone(), call.catalog.clone(), call.settings.clone());
    let registry = call.server.registry.clone();
    let target = values.target.clone();
    let now = SystemClock.now_ms();
    // The registry may be asked, which blocks.
    let made = tokio::task::spawn_blocking(move || record(&values, &catalog, &settings, &registry, now)).await;
    let (topic, record) = made.map_err(|error| Failure::new(Failure::SERVER, error.to_string()))??;
    connected
        .kafka
        .records
        .send(&topic, None, &record)
        .await
        .map_err(|error| Failure::new(Failure::SERVER, format!("Failed to insert values into '{target}'. {error}")))?;
    Ok(())
}
