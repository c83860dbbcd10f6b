//! What can be configured, as DescribeConfigs, AlterConfigs and their relatives number it.

use milena_metadata::{ConfigResource, ControllerError};
use milena_protocol::ErrorCode;

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
    let name = match resource_type {
        BROKER_LOGGER => "BROKER_LOGGER",
        _ => return format!("Unsupported resource type: UNKNOWN ({resource_type})"),
    };
    format!("Unsupported resource type: {name}")
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

/// Puts the controller's answers to the resources that could be parsed back between those that could not.
pub(crate) fn merge_answers(
    refused: Vec<Option<(ErrorCode, String)>>,
    answers: Vec<Result<(), ControllerError>>,
) -> impl Iterator<Item = (ErrorCode, Option<String>)> {
    let mut answers = answers.into_iter();
    refused.into_iter().map(move |refusal| match refusal {
        Some((code, message)) => (code, Some(message)),
        None => match answers.next() {
            Some(Err(error)) => (error.error_code(), Some(error.to_string())),
            _ => (ErrorCode::None, None),
        },
    })
}
