//! Changing SCRAM credentials (KIP-554).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::error::ControllerError;
use super::{Controller, MetadataChange, records};
use crate::image::ClusterImage;
use crate::scram::{ScramCredential, ScramMechanism};
use crate::store::Transaction;

/// One change of a user's credentials.
#[derive(Debug, Clone)]
pub struct ScramAlteration {
    /// The user, without `User:`.
    pub user: String,
    /// The mechanism.
    pub mechanism: ScramMechanism,
    /// The new credential; `None` deletes it.
    pub credential: Option<ScramCredential>,
}

impl Controller {
    /// Sets and deletes credentials. A user may be named once; answers in the order asked.
    pub async fn alter_user_scram_credentials(
        self: &Arc<Self>,
        alterations: Vec<ScramAlteration>,
    ) -> Vec<Result<(), ControllerError>> {
        self.blocking(move |controller| controller.alter_user_scram_credentials_now(alterations)).await
    }

    pub(super) fn alter_user_scram_credentials_now(
        &self,
        alterations: Vec<ScramAlteration>,
    ) -> Vec<Result<(), ControllerError>> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let twice = users_named_twice(&alterations);
        let answers: Vec<Result<(), ControllerError>> = alterations
            .iter()
            .map(|alteration| match twice.contains(&alteration.user) {
                true => Err(ControllerError::DuplicateResource(
                    "A user credential cannot be altered twice in the same request".to_owned(),
                )),
                false => check(&image, alteration),
            })
            .collect();
        let scram = Arc::make_mut(&mut image.scram);
        let mut transaction = Transaction::new();
        for (alteration, _) in alterations.into_iter().zip(&answers).filter(|(_, answer)| answer.is_ok()) {
            let ScramAlteration { user, mechanism, credential } = alteration;
            let key = records::scram_key(&user, mechanism);
            match credential {
                Some(credential) => {
                    transaction = transaction.put(key, records::encode_scram(&credential));
                    scram.insert(user, mechanism, credential);
                }
                None => {
                    transaction = transaction.delete(key);
                    scram.remove(&user, mechanism);
                }
            }
        }
        let applied = self.apply_if_any(&mut changing, transaction, image, MetadataChange::ScramCredentialsChanged);
        answers.into_iter().map(|answer| answer.and(applied.clone())).collect()
    }
}

fn check(image: &ClusterImage, alteration: &ScramAlteration) -> Result<(), ControllerError> {
    if alteration.user.is_empty() {
        return Err(ControllerError::UnacceptableCredential("Username must not be empty".to_owned()));
    }
    let Some(credential) = &alteration.credential else {
        let known = image.scram.get(&alteration.user, alteration.mechanism).is_some();
        let message = "Attempt to delete a user credential that does not exist";
        return if known { Ok(()) } else { Err(ControllerError::ResourceNotFound(message.to_owned())) };
    };
    if credential.iterations < ScramMechanism::ITERATIONS_MIN {
        return Err(ControllerError::UnacceptableCredential("Too few iterations".to_owned()));
    }
    if credential.iterations > ScramMechanism::ITERATIONS_MAX {
        return Err(ControllerError::UnacceptableCredential("Too many iterations".to_owned()));
    }
    Ok(())
}

fn users_named_twice(alterations: &[ScramAlteration]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let again = alterations.iter().filter(|alteration| !seen.insert(alteration.user.as_str()));
    again.map(|alteration| alteration.user.clone()).collect()
}
