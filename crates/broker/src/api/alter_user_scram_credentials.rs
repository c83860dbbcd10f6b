//! AlterUserScramCredentials (key 51), version 0 (KIP-554).
//!
//! - the client sends the salted password, never the password; only what verifies it is kept
//! - each user by itself; a user that is named twice is refused
//! - ALTER on the cluster

use std::collections::BTreeMap;
use std::sync::Arc;

use milena_metadata::acl::AclOperation;
use milena_metadata::{ScramAlteration, ScramCredential, ScramMechanism};
use milena_protocol::ErrorCode;
use milena_protocol::messages::alter_user_scram_credentials_request::{Deletion, Upsertion};
use milena_protocol::messages::alter_user_scram_credentials_response::Result as UserResult;
use milena_protocol::messages::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};

use crate::context::{Broker, RequestContext};

type Refusal = (ErrorCode, String);

/// Sets and deletes credentials.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: AlterUserScramCredentialsRequest,
) -> AlterUserScramCredentialsResponse {
    let allowed = broker.allows_cluster(context, AclOperation::Alter);
    let mut refused: BTreeMap<String, Refusal> = BTreeMap::new();
    let mut alterations = Vec::new();
    let deletions = request.deletions.into_iter().map(|deletion| (deletion.name.clone(), delete(deletion)));
    let upsertions = request.upsertions.into_iter().map(|upsertion| (upsertion.name.clone(), upsert(upsertion)));
    for (user, parsed) in deletions.chain(upsertions) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        let parsed = if allowed { parsed } else { Err((code, code.message().to_owned())) };
        match parsed {
            Ok(alteration) => alterations.push(alteration),
            Err(refusal) => drop(refused.insert(user, refusal)),
        }
    }
    alterations.retain(|alteration| !refused.contains_key(&alteration.user));
    let users: Vec<String> = alterations.iter().map(|alteration| alteration.user.clone()).collect();
    let answers = broker.controller.alter_user_scram_credentials(alterations).await;
    let mut results: BTreeMap<String, UserResult> = BTreeMap::new();
    for (user, answer) in users.into_iter().zip(answers) {
        let refusal = answer.err().map(|error| (error.error_code(), error.to_string()));
        results.insert(user.clone(), result(user, refusal));
    }
    results.extend(refused.into_iter().map(|(user, refusal)| (user.clone(), result(user, Some(refusal)))));
    AlterUserScramCredentialsResponse { results: results.into_values().collect(), ..Default::default() }
}

fn delete(deletion: Deletion) -> Result<ScramAlteration, Refusal> {
    Ok(ScramAlteration { mechanism: mechanism(deletion.mechanism)?, user: deletion.name, credential: None })
}

fn upsert(upsertion: Upsertion) -> Result<ScramAlteration, Refusal> {
    let mechanism = mechanism(upsertion.mechanism)?;
    let credential = ScramCredential::of_salted_password(
        mechanism,
        upsertion.salt.to_vec(),
        &upsertion.salted_password,
        upsertion.iterations,
    );
    Ok(ScramAlteration { user: upsertion.name, mechanism, credential: Some(credential) })
}

fn mechanism(code: i8) -> Result<ScramMechanism, Refusal> {
    let unknown = || (ErrorCode::UnsupportedSaslMechanism, "Unknown SCRAM mechanism".to_owned());
    ScramMechanism::from_code(code).ok_or_else(unknown)
}

fn result(user: String, refusal: Option<Refusal>) -> UserResult {
    match refusal {
        None => UserResult { user, ..Default::default() },
        Some((code, message)) => UserResult { user, error_code: code.code(), error_message: Some(message) },
    }
}
