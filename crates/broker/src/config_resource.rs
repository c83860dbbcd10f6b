//! What can be configured, as DescribeConfigs, AlterConfigs and their relatives number it.

use milena_metadata::acl::AclOperation;
use milena_metadata::{ConfigResource, ControllerError};
use milena_protocol::ErrorCode;

use crate::context::{Broker, RequestContext};

/// A topic.
pub(crate) const TOPIC: i8 = 2;
/// A broker; the empty name stands for the default of all brokers.
pub(crate) const BROKER: i8 = 4;
/// The loggers of a broker.
pub(crate) const BROKER_LOGGER: i8 = 8;
/// A subscription to client metrics (KIP-714).
pub(crate) const CLIENT_METRICS: i8 = 16;
/// A consumer, share or streams group.
pub(crate) const GROUP: i8 = 32;

/// The message about a resource of a type that has no configuration here.
pub(crate) fn unsupported(resource_type: i8) -> String {
    match resource_type {
        BROKER_LOGGER => "Unsupported resource type: BROKER_LOGGER".to_owned(),
        other => format!("Unsupported resource type: UNKNOWN ({other})"),
    }
}

/// Why the client may not do `operation` to the configuration of a resource, if it may not.
pub(crate) fn refusal(
    broker: &Broker,
    context: &RequestContext,
    operation: AclOperation,
    resource_type: i8,
    name: &str,
) -> Option<(ErrorCode, String)> {
    let (allowed, code) = match resource_type {
        TOPIC => (broker.allows_topic(context, operation, name), ErrorCode::TopicAuthorizationFailed),
        GROUP => (broker.allows_group(context, operation, name), ErrorCode::GroupAuthorizationFailed),
        BROKER | BROKER_LOGGER | CLIENT_METRICS => {
            (broker.allows_cluster(context, operation), ErrorCode::ClusterAuthorizationFailed)
        }
        _ => return None,
    };
    (!allowed).then(|| (code, code.message().to_owned()))
}

/// What `resource_type` and `name` of a request mean, or why they mean nothing here.
///
/// # Errors
/// The code and the message to answer.
pub(crate) fn parse(resource_type: i8, name: &str) -> Result<ConfigResource, (ErrorCode, String)> {
    match resource_type {
        TOPIC => Ok(ConfigResource::Topic(name.to_owned())),
        BROKER if name.is_empty() => Ok(ConfigResource::BrokerDefault),
        BROKER => match name.parse() {
            Ok(id) => Ok(ConfigResource::Broker(id)),
            Err(_) => Err((ErrorCode::InvalidRequest, format!("Broker id must be an integer, but it is: {name}"))),
        },
        GROUP => Ok(ConfigResource::Group(name.to_owned())),
        CLIENT_METRICS => Ok(ConfigResource::ClientMetrics(name.to_owned())),
        other => Err((ErrorCode::InvalidRequest, unsupported(other))),
    }
}

/// Checks that `name` is this broker's id.
///
/// # Errors
/// The code and the message to answer.
pub(crate) fn check_logger_broker(node_id: i32, name: &str) -> Result<(), (ErrorCode, String)> {
    let message = match name.parse::<i32>() {
        Ok(id) if id == node_id => return Ok(()),
        Ok(id) => format!("Unexpected broker id, expected {node_id}, but received {id}"),
        Err(_) if name.is_empty() => "Broker id must not be empty".to_owned(),
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err((ErrorCode::InvalidRequest, message))
}

/// Puts the controller's answers to the resources it was asked about back between those that were dealt with before: refused,
/// or done with the code [`ErrorCode::None`].
pub(crate) fn merge_answers(
    refused: Vec<Option<(ErrorCode, String)>>,
    answers: Vec<Result<(), ControllerError>>,
) -> impl Iterator<Item = (ErrorCode, Option<String>)> {
    let mut answers = answers.into_iter();
    refused.into_iter().map(move |refusal| match refusal {
        Some((ErrorCode::None, _)) => (ErrorCode::None, None),
        Some((code, message)) => (code, Some(message)),
        None => match answers.next() {
            Some(Err(error)) => (error.error_code(), Some(error.to_string())),
            _ => (ErrorCode::None, None),
        },
    })
}
