//! Keeping delegation tokens. Who may do what with a token is decided by the callers: [`DelegationToken`] knows its owner,
//! requester and renewers.

use std::sync::Arc;

use super::error::ControllerError;
use super::{Controller, MetadataChange, records};
use crate::delegation_token::DelegationToken;
use crate::image::ClusterImage;
use crate::store::Transaction;

impl Controller {
    /// Keeps a new token.
    ///
    /// # Errors
    /// A token of this id exists, or the store cannot be written.
    pub async fn create_delegation_token(self: &Arc<Self>, token: DelegationToken) -> Result<(), ControllerError> {
        self.blocking(move |controller| {
            controller.change_delegation_tokens(|known| match known.delegation_tokens.contains_key(&token.id) {
                true => Err(ControllerError::InvalidRequest(format!("Token {} already exists.", token.id))),
                false => Ok(vec![TokenChange::Put(token)]),
            })
        })
        .await
    }

    /// Lets a token end at another time: at `expiry_timestamp_ms`, or at its latest time if that is sooner. Answers with
    /// the time.
    ///
    /// # Errors
    /// [`ControllerError::TokenNotFound`], or the store cannot be written.
    pub async fn renew_delegation_token(
        self: &Arc<Self>,
        id: String,
        expiry_timestamp_ms: i64,
    ) -> Result<i64, ControllerError> {
        self.blocking(move |controller| {
            let mut ends = 0;
            controller.change_delegation_tokens(|known| {
                let mut token = known.delegation_tokens.get(&id).ok_or(ControllerError::TokenNotFound)?.clone();
                token.expiry_timestamp_ms = expiry_timestamp_ms.min(token.max_timestamp_ms);
                ends = token.expiry_timestamp_ms;
                Ok(vec![TokenChange::Put(token)])
            })?;
            Ok(ends)
        })
        .await
    }

    /// Forgets tokens; an unknown id is no error.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn remove_delegation_tokens(self: &Arc<Self>, ids: Vec<String>) -> Result<(), ControllerError> {
        self.blocking(move |controller| {
            controller.change_delegation_tokens(|known| {
                let known_ids = ids.into_iter().filter(|id| known.delegation_tokens.contains_key(id));
                Ok(known_ids.map(TokenChange::Remove).collect())
            })
        })
        .await
    }

    fn change_delegation_tokens(
        &self,
        plan: impl FnOnce(&ClusterImage) -> Result<Vec<TokenChange>, ControllerError>,
    ) -> Result<(), ControllerError> {
        let mut changing = self.changing.lock();
        let mut image = ClusterImage::clone(&self.image.load());
        let mut transaction = Transaction::new();
        for change in plan(&image)? {
            let tokens = Arc::make_mut(&mut image.delegation_tokens);
            match change {
                TokenChange::Put(token) => {
                    transaction = transaction.put(records::token_key(&token.id), records::encode_token(&token));
                    tokens.insert(token.id.clone(), token);
                }
                TokenChange::Remove(id) => {
                    transaction = transaction.delete(records::token_key(&id));
                    tokens.remove(&id);
                }
            }
        }
        self.apply_if_any(&mut changing, transaction, image, MetadataChange::DelegationTokensChanged)
    }
}

enum TokenChange {
    Put(DelegationToken),
    Remove(String),
}
