//! What can go wrong between this client and a cluster.

use std::io;

use milena_protocol::{DecodeError, EncodeError, ErrorCode};

/// Result of the client's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call to the cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing, malformed or asks for something this client cannot do.
    #[error("{0}")]
    Config(String),
    /// No server of the bootstrap list answered in time.
    #[error("Timed out waiting for a node assignment. Call: {call}")]
    Unreachable {
        /// Kafka's name of the call that wanted a broker.
        call: &'static str,
    },
    /// A socket could not be opened.
    #[error("Connection to {address} could not be established")]
    Connect {
        /// `host:port` of the broker.
        address: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The broker closed the connection, or the socket failed, while a request was under way.
    #[error("Connection to {address} was closed before the response was read")]
    Disconnected {
        /// `host:port` of the broker.
        address: String,
    },
    /// No answer within the request timeout.
    #[error("{what} timed out after {after_ms} ms")]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long, in milliseconds.
        after_ms: u128,
    },
    /// The broker does not know the API, or only versions that this client does not speak.
    #[error("The node does not support {api}")]
    UnsupportedVersion {
        /// Name of the API.
        api: &'static str,
    },
    /// The broker's answer could not be parsed.
    #[error("malformed response: {0}")]
    Decode(#[from] DecodeError),
    /// A request could not be written.
    #[error("request cannot be encoded: {0}")]
    Encode(#[from] EncodeError),
    /// Fetched or produced records are malformed.
    #[error("malformed records: {0}")]
    Records(String),
    /// Broker and client do not believe each other: a certificate or a login was refused. Not worth another attempt.
    #[error("{message}")]
    Authentication {
        /// Whether TLS refused, or else SASL.
        tls: bool,
        /// Why, without secrets.
        message: String,
    },
    /// The call does not fit the state of the producer.
    #[error("{0}")]
    IllegalState(String),
    /// The transaction that the batch belonged to was aborted before it was sent.
    #[error("Failing batch since transaction was aborted")]
    TransactionAborted,
    /// The broker refused with an error code.
    #[error("{}", message.as_deref().unwrap_or(code.message()))]
    Api {
        /// The code of the answer.
        code: ErrorCode,
        /// The broker's own words, when it sent any.
        message: Option<String>,
    },
}

impl Error {
    /// The error for a code and an optional message of a response.
    pub fn api(code: ErrorCode, message: Option<String>) -> Self {
        Error::Api { code, message: message.filter(|text| !text.is_empty()) }
    }

    /// `Ok` for code 0, otherwise [`Error::Api`].
    ///
    /// # Errors
    /// The error that `code` stands for.
    pub fn check(code: i16, message: Option<&String>) -> Result<()> {
        match ErrorCode::from_code(code) {
            ErrorCode::None => Ok(()),
            code => Err(Error::api(code, message.cloned())),
        }
    }

    /// The code the broker answered with, if it answered.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Api { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The same error for another call: one failed request ends several batches, each with an error of its own.
    pub fn duplicate(&self) -> Error {
        match self {
            Error::Config(message) => Error::Config(message.clone()),
            Error::Unreachable { call } => Error::Unreachable { call },
            Error::Connect { address, source } => {
                Error::Connect { address: address.clone(), source: io::Error::from(source.kind()) }
            }
            Error::Disconnected { address } => Error::Disconnected { address: address.clone() },
            Error::Timeout { what, after_ms } => Error::Timeout { what: what.clone(), after_ms: *after_ms },
            Error::UnsupportedVersion { api } => Error::UnsupportedVersion { api },
            Error::Decode(error) => Error::Decode(error.clone()),
            Error::Encode(error) => Error::Encode(error.clone()),
            Error::Records(message) => Error::Records(message.clone()),
            Error::Authentication { tls, message } => Error::Authentication { tls: *tls, message: message.clone() },
            Error::IllegalState(message) => Error::IllegalState(message.clone()),
            Error::TransactionAborted => Error::TransactionAborted,
            Error::Api { code, message } => Error::Api { code: *code, message: message.clone() },
        }
    }

    /// Whether the same call may succeed later or at another broker.
    pub fn is_retriable(&self) -> bool {
        match self {
            Error::Api { code, .. } => code.is_retriable(),
            Error::Connect { .. } | Error::Disconnected { .. } | Error::Timeout { .. } => true,
            _ => false,
        }
    }

    /// The full class name Kafka's tools print for this error.
    pub fn exception_name(&self) -> String {
        let simple = match self {
            Error::Api { code, .. } => code.exception_name(),
            Error::Config(_) => return "org.apache.kafka.common.config.ConfigException".to_owned(),
            Error::Unreachable { .. } | Error::Timeout { .. } => "TimeoutException",
            Error::Connect { .. } | Error::Disconnected { .. } => "DisconnectException",
            Error::UnsupportedVersion { .. } => "UnsupportedVersionException",
            Error::Records(_) => "CorruptRecordException",
            Error::Authentication { tls: true, .. } => "SslAuthenticationException",
            Error::Authentication { tls: false, .. } => "SaslAuthenticationException",
            Error::IllegalState(_) => return "java.lang.IllegalStateException".to_owned(),
            Error::TransactionAborted => "TransactionAbortedException",
            Error::Decode(_) | Error::Encode(_) => {
                return "org.apache.kafka.common.protocol.types.SchemaException".to_owned();
            }
        };
        format!("org.apache.kafka.common.errors.{simple}")
    }

    /// `class: message`, as a stack trace of Kafka's tools begins.
    pub fn to_exception(&self) -> String {
        format!("{}: {self}", self.exception_name())
    }
}
