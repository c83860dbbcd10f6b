//! Records of ACLs, credentials, quotas, tokens and features.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{ControllerError, corrupt, decode, encode};
use crate::acl::{AclBinding, AclOperation, AclPermission, PatternType, ResourceType};
use crate::client_quota::{EntityName, QuotaEntity};
use crate::delegation_token::DelegationToken;
use crate::image::ClusterImage;
use crate::scram::{ScramCredential, ScramMechanism};
use crate::store::Listing;

const ACL_PREFIX: &str = "acl/";
const SCRAM_PREFIX: &str = "scram/";
const QUOTA_PREFIX: &str = "quota/";
const TOKEN_PREFIX: &str = "token/";
const FEATURE_PREFIX: &str = "feature/";

/// `["TOPIC","LITERAL","orders","User:alice","*","READ","ALLOW"]`
type AclKey = (String, String, String, String, String, String, String);

/// An entity's parts; a null name is the default.
type QuotaKey = BTreeMap<String, Option<String>>;

#[derive(Serialize, Deserialize)]
struct ScramRecord {
    salt: String,
    stored_key: String,
    server_key: String,
    iterations: i32,
}

#[derive(Serialize, Deserialize)]
struct TokenRecord {
    owner: String,
    requester: String,
    renewers: Vec<String>,
    issue_timestamp_ms: i64,
    max_timestamp_ms: i64,
    expiry_timestamp_ms: i64,
}

/// The key and the value that stand for a binding.
pub(in crate::controller) fn acl_entry(binding: &AclBinding) -> (String, Vec<u8>) {
    let key: AclKey = (
        binding.resource_type.name().to_owned(),
        binding.pattern_type.name().to_owned(),
        binding.resource_name.clone(),
        binding.principal.clone(),
        binding.host.clone(),
        binding.operation.name().to_owned(),
        binding.permission.name().to_owned(),
    );
    (json_key(ACL_PREFIX, &key), encode(&BTreeMap::<String, String>::new()))
}

fn decode_acl(text: &str) -> Option<AclBinding> {
    let (resource_type, pattern_type, resource_name, principal, host, operation, permission): AclKey =
        serde_json::from_str(text).ok()?;
    Some(AclBinding {
        resource_type: ResourceType::from_name(&resource_type)?,
        pattern_type: PatternType::from_name(&pattern_type)?,
        resource_name,
        principal,
        host,
        operation: AclOperation::from_name(&operation)?,
        permission: AclPermission::from_name(&permission)?,
    })
}

pub(in crate::controller) fn scram_key(user: &str, mechanism: ScramMechanism) -> String {
    format!("{SCRAM_PREFIX}{}/{user}", mechanism.name())
}

pub(in crate::controller) fn encode_scram(credential: &ScramCredential) -> Vec<u8> {
    encode(&ScramRecord {
        salt: STANDARD.encode(&credential.salt),
        stored_key: STANDARD.encode(&credential.stored_key),
        server_key: STANDARD.encode(&credential.server_key),
        iterations: credential.iterations,
    })
}

fn decode_scram(key: &str, value: &[u8]) -> Result<ScramCredential, ControllerError> {
    let record: ScramRecord = decode(key, value)?;
    let bytes = |text: &str| STANDARD.decode(text).map_err(|error| corrupt(key, error.to_string()));
    Ok(ScramCredential {
        salt: bytes(&record.salt)?,
        stored_key: bytes(&record.stored_key)?,
        server_key: bytes(&record.server_key)?,
        iterations: record.iterations,
    })
}

pub(in crate::controller) fn quota_key(entity: &QuotaEntity) -> String {
    let parts: QuotaKey = entity.parts().map(|(kind, name)| (kind.to_owned(), name.to_wire())).collect();
    json_key(QUOTA_PREFIX, &parts)
}

fn decode_quota_entity(text: &str) -> Option<QuotaEntity> {
    let mut parts: QuotaKey = serde_json::from_str(text).ok()?;
    let mut part = |kind| parts.remove(kind).map(EntityName::from_wire);
    Some(QuotaEntity { user: part("user"), client_id: part("client-id"), ip: part("ip") })
}

pub(in crate::controller) fn token_key(id: &str) -> String {
    format!("{TOKEN_PREFIX}{id}")
}

pub(in crate::controller) fn encode_token(token: &DelegationToken) -> Vec<u8> {
    encode(&TokenRecord {
        owner: token.owner.clone(),
        requester: token.requester.clone(),
        renewers: token.renewers.clone(),
        issue_timestamp_ms: token.issue_timestamp_ms,
        max_timestamp_ms: token.max_timestamp_ms,
        expiry_timestamp_ms: token.expiry_timestamp_ms,
    })
}

fn decode_token(key: &str, id: &str, value: &[u8]) -> Result<DelegationToken, ControllerError> {
    let record: TokenRecord = decode(key, value)?;
    Ok(DelegationToken {
        id: id.to_owned(),
        owner: record.owner,
        requester: record.requester,
        renewers: record.renewers,
        issue_timestamp_ms: record.issue_timestamp_ms,
        max_timestamp_ms: record.max_timestamp_ms,
        expiry_timestamp_ms: record.expiry_timestamp_ms,
    })
}

pub(in crate::controller) fn feature_key(name: &str) -> String {
    format!("{FEATURE_PREFIX}{name}")
}

/// Takes these records into an image that is being built.
pub(super) fn load(listing: &Listing, image: &mut ClusterImage) -> Result<(), ControllerError> {
    for entry in &listing.entries {
        let (key, value) = (entry.key.as_str(), entry.value.as_slice());
        let unreadable = || corrupt(key, "the key cannot be read".to_owned());
        if let Some(binding) = key.strip_prefix(ACL_PREFIX) {
            Arc::make_mut(&mut image.acls).insert(decode_acl(binding).ok_or_else(unreadable)?);
        } else if let Some(credential) = key.strip_prefix(SCRAM_PREFIX) {
            let (mechanism, user) = credential.split_once('/').ok_or_else(unreadable)?;
            let mechanism = ScramMechanism::from_name(mechanism).ok_or_else(unreadable)?;
            let credential = decode_scram(key, value)?;
            Arc::make_mut(&mut image.scram).insert(user.to_owned(), mechanism, credential);
        } else if let Some(entity) = key.strip_prefix(QUOTA_PREFIX) {
            let entity = decode_quota_entity(entity).ok_or_else(unreadable)?;
            Arc::make_mut(&mut image.client_quotas).insert(entity, decode(key, value)?);
        } else if let Some(id) = key.strip_prefix(TOKEN_PREFIX) {
            Arc::make_mut(&mut image.delegation_tokens).insert(id.to_owned(), decode_token(key, id, value)?);
        } else if let Some(name) = key.strip_prefix(FEATURE_PREFIX) {
            image.chosen_features.insert(name.to_owned(), decode(key, value)?);
        }
    }
    Ok(())
}

fn json_key(prefix: &str, key: &impl Serialize) -> String {
    let text = serde_json::to_string(key).expect("keys are lists and maps of text");
    format!("{prefix}{text}")
}
