//! Creating and deleting ACL bindings: Kafka's rules and Kafka's words.

use std::sync::Arc;

use super::error::ControllerError;
use super::{Controller, MetadataChange, records};
use crate::acl::{AclBinding, AclFilter, CLUSTER_NAME, ResourceType};
use crate::image::ClusterImage;
use crate::store::Transaction;

impl Controller {
    /// Adds bindings, each by itself; one that is there already is no error. Answers in the order asked.
    pub async fn create_acls(self: &Arc<Self>, bindings: Vec<AclBinding>) -> Vec<Result<(), ControllerError>> {
        self.blocking(move |controller| controller.create_acls_now(bindings)).await
    }

    /// Deletes the bindings that each filter means. Answers with the bindings deleted, in the order of the filters; a
    /// binding that two filters mean is named by the first.
    pub async fn delete_acls(
        self: &Arc<Self>,
        filters: Vec<AclFilter>,
    ) -> Vec<Result<Vec<AclBinding>, ControllerError>> {
        self.blocking(move |controller| controller.delete_acls_now(&filters)).await
    }

    pub(super) fn create_acls_now(&self, bindings: Vec<AclBinding>) -> Vec<Result<(), ControllerError>> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let acls = Arc::make_mut(&mut image.acls);
        let mut transaction = Transaction::new();
        let mut answers = Vec::with_capacity(bindings.len());
        for binding in bindings {
            answers.push(check(&binding).map(|()| {
                let (key, record) = records::acl_entry(&binding);
                if acls.insert(binding) {
                    transaction = std::mem::take(&mut transaction).put(key, record);
                }
            }));
        }
        let applied = self.apply_if_any(&mut changing, transaction, image, MetadataChange::AclsChanged);
        answers.into_iter().map(|answer| answer.and(applied.clone())).collect()
    }

    pub(super) fn delete_acls_now(&self, filters: &[AclFilter]) -> Vec<Result<Vec<AclBinding>, ControllerError>> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let acls = Arc::make_mut(&mut image.acls);
        let mut transaction = Transaction::new();
        let mut answers = Vec::with_capacity(filters.len());
        for filter in filters {
            let meant: Vec<AclBinding> = acls.iter().filter(|binding| filter.matches(binding)).cloned().collect();
            for binding in &meant {
                acls.remove(binding);
                transaction = transaction.delete(records::acl_entry(binding).0);
            }
            answers.push(meant);
        }
        let applied = self.apply_if_any(&mut changing, transaction, image, MetadataChange::AclsChanged);
        answers.into_iter().map(|deleted| applied.clone().map(|()| deleted)).collect()
    }
}

fn check(binding: &AclBinding) -> Result<(), ControllerError> {
    let invalid = |message: String| Err(ControllerError::InvalidRequest(message));
    if binding.resource_name.is_empty() {
        return invalid("Resource name should not be empty".to_owned());
    }
    if binding.resource_type == ResourceType::Cluster && binding.resource_name != CLUSTER_NAME {
        return invalid(format!("The only valid name for the CLUSTER resource is {CLUSTER_NAME}"));
    }
    if !binding.principal.contains(':') {
        return invalid(format!(
            "Could not parse principal from `{}` (no colon is present separating the principal type from the principal \
             name)",
            binding.principal
        ));
    }
    Ok(())
}
