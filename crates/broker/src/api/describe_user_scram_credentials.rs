//! DescribeUserScramCredentials (key 50), version 0 (KIP-554).
//!
//! - tells mechanisms and iterations, never salts or keys; no users, or null, means every user
//! - DESCRIBE on the cluster

use std::sync::Arc;

use milena_metadata::ClusterImage;
use milena_metadata::acl::AclOperation;
use milena_protocol::ErrorCode;
use milena_protocol::messages::describe_user_scram_credentials_response::{CredentialInfo, Result as UserResult};
use milena_protocol::messages::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};

use crate::context::{Broker, RequestContext};

/// Tells which credentials users have.
pub async fn handle(
    broker: &Arc<Broker>,
    context: &RequestContext,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    if !broker.allows_cluster(context, AclOperation::Describe) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return DescribeUserScramCredentialsResponse {
            error_code: code.code(),
            error_message: Some(code.message().to_owned()),
            ..Default::default()
        };
    }
    let image = broker.image();
    let asked: Vec<String> = request.users.unwrap_or_default().into_iter().map(|user| user.name).collect();
    let results = match asked.is_empty() {
        true => image.scram.iter().map(|(user, _)| describe(&image, user)).collect(),
        false => describe_named(&image, &asked),
    };
    DescribeUserScramCredentialsResponse { results, ..Default::default() }
}

/// Each user once, those named twice with an error.
fn describe_named(image: &ClusterImage, asked: &[String]) -> Vec<UserResult> {
    let mut results = Vec::with_capacity(asked.len());
    for (index, user) in asked.iter().enumerate() {
        if asked[..index].contains(user) {
            continue;
        }
        let twice = asked[index + 1..].contains(user);
        results.push(if twice { named_twice(user) } else { describe(image, user) });
    }
    results
}

fn named_twice(user: &str) -> UserResult {
    let message = format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}");
    failed(user, ErrorCode::DuplicateResource, message)
}

fn describe(image: &ClusterImage, user: &str) -> UserResult {
    let Some(credentials) = image.scram.of_user(user) else {
        let message = format!("Attempt to describe a user credential that does not exist: {user}");
        return failed(user, ErrorCode::ResourceNotFound, message);
    };
    let infos = credentials.iter().map(|(mechanism, credential)| CredentialInfo {
        mechanism: mechanism.code(),
        iterations: credential.iterations,
    });
    UserResult { user: user.to_owned(), credential_infos: infos.collect(), ..Default::default() }
}

fn failed(user: &str, code: ErrorCode, message: String) -> UserResult {
    UserResult { user: user.to_owned(), error_code: code.code(), error_message: Some(message), ..Default::default() }
}
