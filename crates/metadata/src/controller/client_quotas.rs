//! Changing client quotas (KIP-546).

use std::sync::Arc;

use super::error::ControllerError;
use super::{Controller, MetadataChange, records};
use crate::client_quota::QuotaEntity;
use crate::image::ClusterImage;
use crate::store::Transaction;

/// Changes of the quotas of one entity.
#[derive(Debug, Clone)]
pub struct QuotaAlteration {
    /// Whose quotas.
    pub entity: QuotaEntity,
    /// Keys with their new values; `None` takes the quota away.
    pub ops: Vec<(String, Option<f64>)>,
}

impl Controller {
    /// Changes quotas, each entity by itself; with `validate_only` nothing happens but the checks.
    pub async fn alter_client_quotas(
        self: &Arc<Self>,
        alterations: Vec<QuotaAlteration>,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        self.blocking(move |controller| controller.alter_client_quotas_now(alterations, validate_only)).await
    }

    pub(super) fn alter_client_quotas_now(
        &self,
        alterations: Vec<QuotaAlteration>,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        // Checked before the lock is taken: checking a host name asks the resolver.
        let answers: Vec<_> = alterations.iter().map(check).collect();
        if validate_only {
            return answers;
        }
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let quotas = Arc::make_mut(&mut image.client_quotas);
        let mut transaction = Transaction::new();
        for (alteration, _) in alterations.into_iter().zip(&answers).filter(|(_, answer)| answer.is_ok()) {
            let mut values = quotas.remove(&alteration.entity).unwrap_or_default();
            for (key, value) in alteration.ops {
                match value {
                    Some(value) => drop(values.insert(key, value)),
                    None => drop(values.remove(&key)),
                }
            }
            let key = records::quota_key(&alteration.entity);
            if values.is_empty() {
                transaction = transaction.delete(key);
            } else {
                transaction = transaction.put(key, records::encode(&values));
                quotas.insert(alteration.entity, values);
            }
        }
        let applied = self.apply_if_any(&mut changing, transaction, image, MetadataChange::ClientQuotasChanged);
        answers.into_iter().map(|answer| answer.and(applied.clone())).collect()
    }
}

fn check(alteration: &QuotaAlteration) -> Result<(), ControllerError> {
    let checked = alteration.ops.iter().try_for_each(|(key, value)| alteration.entity.check(key, *value));
    checked.map_err(ControllerError::InvalidRequest)
}
