//! Errors as Java prints them, with their causes: what `trace` of a status holds and what users search for.

use std::fmt;

use crate::data::DataError;
use crate::plugin::{ConvertError, TaskError};

/// `ConnectException` of Kafka Connect.
pub const CONNECT: &str = "org.apache.kafka.connect.errors.ConnectException";
const RETRIABLE: &str = "org.apache.kafka.connect.errors.RetriableException";
const DATA: &str = "org.apache.kafka.connect.errors.DataException";

/// An error with the class it has in Java, and what caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Full class name.
    pub class: String,
    /// What happened.
    pub message: String,
    /// Why.
    pub cause: Option<Box<Exception>>,
}

impl Exception {
    /// A `ConnectException`.
    pub fn connect(message: impl Into<String>) -> Exception {
        Exception { class: CONNECT.to_owned(), message: message.into(), cause: None }
    }

    /// The same with a cause.
    pub fn caused_by(mut self, cause: impl Into<Exception>) -> Exception {
        self.cause = Some(Box::new(cause.into()));
        self
    }
}

/// The first line is the error, each further one a cause.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)?;
        match &self.cause {
            Some(cause) => write!(f, "\nCaused by: {cause}"),
            None => Ok(()),
        }
    }
}

impl From<TaskError> for Exception {
    fn from(error: TaskError) -> Self {
        let class = match &error {
            TaskError::Retriable(_) => RETRIABLE,
            TaskError::Fatal(_) => CONNECT,
            TaskError::Data(_) => DATA,
        };
        Exception { class: class.to_owned(), message: error.to_string(), cause: None }
    }
}

impl From<ConvertError> for Exception {
    fn from(error: ConvertError) -> Self {
        match error {
            ConvertError::Data(error) => error.into(),
            ConvertError::Retriable(message) => Exception { class: RETRIABLE.to_owned(), message, cause: None },
        }
    }
}

impl From<DataError> for Exception {
    fn from(error: DataError) -> Self {
        Exception { class: DATA.to_owned(), message: error.to_string(), cause: None }
    }
}

impl From<milena_client::Error> for Exception {
    fn from(error: milena_client::Error) -> Self {
        Exception::from(&error)
    }
}

impl From<&milena_client::Error> for Exception {
    fn from(error: &milena_client::Error) -> Self {
        let message = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Exception { class: error.exception_name(), message, cause: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_line_by_line() {
        let data = DataError::new("Field does not exist: id");
        let error = Exception::connect("Exiting WorkerSinkTask due to unrecoverable exception.").caused_by(data);
        assert_eq!(
            error.to_string(),
            "org.apache.kafka.connect.errors.ConnectException: Exiting WorkerSinkTask due to unrecoverable exception.\n\
             Caused by: org.apache.kafka.connect.errors.DataException: Field does not exist: id"
        );
    }
}
