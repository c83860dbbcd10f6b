//! Delegation tokens as they are kept (KIP-48, KIP-373). The HMAC that a client authenticates with is not kept: it follows
//! from the token's id and `delegation.token.secret.key`.

use std::collections::BTreeMap;

/// The tokens by id.
pub type DelegationTokens = BTreeMap<String, DelegationToken>;

/// A token that stands for its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationToken {
    /// The public id, 22 characters of base64.
    pub id: String,
    /// For whom the token stands, for example `User:alice`.
    pub owner: String,
    /// Who asked for it.
    pub requester: String,
    /// Who may renew and expire it besides the owner and the requester.
    pub renewers: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub issue_timestamp_ms: i64,
    /// When it ends however often it is renewed.
    pub max_timestamp_ms: i64,
    /// When it ends unless it is renewed.
    pub expiry_timestamp_ms: i64,
}

impl DelegationToken {
    /// Whether the token has ended at `now_ms`.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expiry_timestamp_ms < now_ms
    }

    /// Whether `principal` may renew or expire the token.
    pub fn may_be_renewed_by(&self, principal: &str) -> bool {
        self.owner == principal
            || self.requester == principal
            || self.renewers.iter().any(|renewer| renewer == principal)
    }
}
