//! What happens to a record that cannot be processed: tried again, tolerated, logged, written to a dead letter queue.

mod dead_letter;
mod operator;

pub(super) use dead_letter::DeadLetterQueue;
pub(super) use operator::{ErrorOperator, Failed, Failure};

use std::time::Duration;

use super::settings::{boolean, number};
use crate::plugin::{Settings, TaskError};

/// Where in its life a record has failed; the names are those of the context headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A transform or a predicate.
    Transformation,
    /// Its key.
    KeyConverter,
    /// Its value.
    ValueConverter,
    /// One of its headers.
    HeaderConverter,
    /// A sink that has handed it over.
    TaskPut,
    /// The send to its topic.
    KafkaProduce,
}

impl Stage {
    /// The name in logs and headers.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Transformation => "TRANSFORMATION",
            Stage::KeyConverter => "KEY_CONVERTER",
            Stage::ValueConverter => "VALUE_CONVERTER",
            Stage::HeaderConverter => "HEADER_CONVERTER",
            Stage::TaskPut => "TASK_PUT",
            Stage::KafkaProduce => "KAFKA_PRODUCE",
        }
    }
}

/// The settings `errors.*` of a connector.
#[derive(Debug, Clone)]
pub(super) struct ErrorPolicy {
    /// `errors.tolerance=all`.
    pub tolerates: bool,
    /// `errors.retry.timeout`; `None`: without end.
    pub retry_timeout: Option<Duration>,
    /// `errors.retry.delay.max.ms`.
    pub retry_delay_max: Duration,
    /// `errors.log.enable`.
    pub logs: bool,
    /// `errors.log.include.messages`.
    pub logs_messages: bool,
}

impl ErrorPolicy {
    pub fn new(settings: &Settings) -> Result<ErrorPolicy, TaskError> {
        let timeout = number::<i64>(settings, "errors.retry.timeout", 0)?;
        Ok(ErrorPolicy {
            tolerates: settings.get("errors.tolerance").is_some_and(|value| value.trim().eq_ignore_ascii_case("all")),
            retry_timeout: u64::try_from(timeout).ok().map(Duration::from_millis),
            retry_delay_max: Duration::from_millis(number(settings, "errors.retry.delay.max.ms", 60_000)?),
            logs: boolean(settings, "errors.log.enable", false)?,
            logs_messages: boolean(settings, "errors.log.include.messages", false)?,
        })
    }
}
