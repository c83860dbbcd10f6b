//! Delegation tokens: who may ask for them, what their secrets are, and when they end (KIP-48, KIP-373).
//!
//! The secret of a token is HMAC-SHA-512 of its id under `delegation.token.secret.key`; it is never stored, so whoever
//! reads the metadata cannot pose as the owner.

use std::sync::{Arc, Weak};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use bytes::Bytes;
use milena_metadata::{BrokerConfig, DelegationToken};
use milena_protocol::ErrorCode;

use crate::context::{Broker, RequestContext};

/// The settings about tokens, and the key if tokens are enabled.
pub(crate) struct TokenSettings {
    key: hmac::Key,
    /// Longest life of a token, in milliseconds.
    pub(crate) max_lifetime_ms: i64,
    /// Time until a token ends unless it is renewed, in milliseconds.
    pub(crate) expiry_time_ms: i64,
}

impl TokenSettings {
    /// The settings in force for a request about tokens.
    ///
    /// # Errors
    /// DELEGATION_TOKEN_REQUEST_NOT_ALLOWED when the client did not prove who it is, or did so with a token;
    /// DELEGATION_TOKEN_AUTH_DISABLED without a secret key.
    pub(crate) fn for_request(broker: &Broker, context: &RequestContext) -> Result<TokenSettings, ErrorCode> {
        let anonymous = context.principal.is_anonymous() || context.listener.security_protocol == "PLAINTEXT";
        if anonymous || context.principal.token_authenticated {
            return Err(ErrorCode::DelegationTokenRequestNotAllowed);
        }
        TokenSettings::of(broker).ok_or(ErrorCode::DelegationTokenAuthDisabled)
    }

    fn of(broker: &Broker) -> Option<TokenSettings> {
        let secret = broker.config.value("delegation.token.secret.key").filter(|secret| !secret.is_empty())?;
        let number = |key: &str, default: i64| {
            broker.config.value(key).and_then(|value| value.trim().parse().ok()).unwrap_or(default)
        };
        Some(TokenSettings {
            key: hmac::Key::new(hmac::HMAC_SHA512, secret.as_bytes()),
            max_lifetime_ms: number("delegation.token.max.lifetime.ms", 7 * 24 * 3_600_000),
            expiry_time_ms: number("delegation.token.expiry.time.ms", 24 * 3_600_000),
        })
    }

    /// The secret of the token with this id.
    pub(crate) fn hmac(&self, token_id: &str) -> Bytes {
        Bytes::copy_from_slice(hmac::sign(&self.key, token_id.as_bytes()).as_ref())
    }

    /// The token whose secret a client shows, if the client may renew it.
    ///
    /// # Errors
    /// DELEGATION_TOKEN_NOT_FOUND, DELEGATION_TOKEN_OWNER_MISMATCH or DELEGATION_TOKEN_EXPIRED.
    pub(crate) fn token_to_change(
        &self,
        broker: &Broker,
        context: &RequestContext,
        secret: &[u8],
    ) -> Result<DelegationToken, ErrorCode> {
        let image = broker.image();
        let shown = |token: &&DelegationToken| verify_slices_are_equal(&self.hmac(&token.id), secret).is_ok();
        let token = image.delegation_tokens.values().find(shown).ok_or(ErrorCode::DelegationTokenNotFound)?;
        if !token.may_be_renewed_by(&context.principal.to_string()) {
            return Err(ErrorCode::DelegationTokenOwnerMismatch);
        }
        if token.is_expired(broker.clock.now_ms()) {
            return Err(ErrorCode::DelegationTokenExpired);
        }
        Ok(token.clone())
    }
}

/// Time between two looks for tokens that have ended.
pub(crate) fn expiry_check_interval(config: &BrokerConfig) -> Duration {
    let value = config.value("delegation.token.expiry.check.interval.ms");
    Duration::from_millis(value.and_then(|value| value.trim().parse().ok()).unwrap_or(3_600_000))
}

/// Forgets tokens that have ended, every `delegation.token.expiry.check.interval.ms`, for as long as the broker lives.
pub(crate) async fn forget_expired(broker: Weak<Broker>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let Some(broker) = broker.upgrade() else { return };
        let expired = expired_ids(&broker);
        if expired.is_empty() {
            continue;
        }
        if let Err(error) = broker.controller.remove_delegation_tokens(expired).await {
            tracing::warn!(%error, "delegation tokens that have ended could not be removed");
        }
    }
}

fn expired_ids(broker: &Arc<Broker>) -> Vec<String> {
    let now_ms = broker.clock.now_ms();
    let image = broker.image();
    let expired = image.delegation_tokens.values().filter(|token| token.is_expired(now_ms));
    expired.map(|token| token.id.clone()).collect()
}
