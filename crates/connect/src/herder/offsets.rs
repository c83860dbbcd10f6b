//! Offsets of connectors.

use super::{Herder, HerderError, Result};
use crate::plugin::Settings;
use crate::worker::{OffsetEntry, TargetState};

impl Herder {
    /// The offsets of a connector.
    ///
    /// # Errors
    /// 404
    pub async fn offsets(&self, name: &str) -> Result<Vec<OffsetEntry>> {
        let settings = self.resolved(name)?;
        Ok(self.worker.connector_offsets(name, &settings).await?)
    }

    /// Writes offsets of a stopped connector; the text is for the user.
    ///
    /// # Errors
    /// 400 when it is not stopped, and what the connector does not like.
    pub async fn alter_offsets(&self, name: &str, offsets: &[OffsetEntry]) -> Result<String> {
        let settings = self.settings_of_stopped(name).await?;
        Ok(self.worker.alter_connector_offsets(name, &settings, offsets).await?)
    }

    /// Forgets the offsets of a stopped connector; the text is for the user.
    ///
    /// # Errors
    /// 400 when it is not stopped.
    pub async fn reset_offsets(&self, name: &str) -> Result<String> {
        let settings = self.settings_of_stopped(name).await?;
        Ok(self.worker.reset_connector_offsets(name, &settings).await?)
    }

    fn resolved(&self, name: &str) -> Result<Settings> {
        let settings = self.configs.state().config(name).cloned();
        let settings = settings.ok_or_else(|| HerderError::no_connector(name))?;
        Ok(self.config.providers.resolve(&settings)?)
    }

    async fn settings_of_stopped(&self, name: &str) -> Result<Settings> {
        self.must_lead()?;
        self.refresh_configs().await?;
        let settings = self.resolved(name)?;
        let is_stopped = {
            let state = self.configs.state();
            state.target(name) == TargetState::Stopped && state.task_count(name) == 0
        };
        if !is_stopped {
            return Err(HerderError::BadRequest(format!(
                "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
            )));
        }
        Ok(settings)
    }
}
