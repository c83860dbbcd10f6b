//! What the service refuses, with the code and the text that clients of the original know.

use std::fmt;

/// Result of the service's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal. [`Error::code`] is the `error_code` of the answer; its first three digits are the HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum Error {
    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    #[error("Version {0} not found.")]
    VersionNotFound(i32),
    #[error("Schema not found")]
    SchemaNotFound,
    #[error("Schema {0} not found")]
    SchemaIdNotFound(String),
    #[error("Subject '{0}' was soft deleted.Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    #[error("Subject '{0}' Version {1} was soft deleted.Set permanent=true to delete permanently")]
    VersionSoftDeleted(String, i32),
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted(String, i32),
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoSubjectConfig(String),
    #[error("Subject '{0}' does not have subject-level mode configured")]
    NoSubjectMode(String),
    #[error("Association for '{0}' not found.")]
    AssociationNotFound(String),
    #[error("Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]", details.join(", "))]
    Incompatible { subject: String, details: Vec<String> },
    #[error("{1}")]
    AssociationConflict(i32, String),
    #[error("{0}")]
    InvalidSchema(String),
    #[error("{0}")]
    UnknownReference(String),
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidLevel,
    #[error("Invalid compatibility policy. Valid values are strict, lenient and logical")]
    InvalidPolicy,
    #[error("Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.")]
    InvalidMode,
    #[error("{0}")]
    NotPermitted(String),
    #[error("One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={0},version={1}}}.")]
    Referenced(String, i32),
    #[error("The specified id {given} does not match the id {stored} of the stored schema")]
    IdMismatch { given: i32, stored: i32 },
    #[error("The specified subject '{0}' is not a valid subject.")]
    InvalidSubject(String),
    #[error("Write failed because schema is too large")]
    SchemaTooLarge,
    #[error("Invalid ruleset: {0}")]
    InvalidRuleSet(String),
    #[error("Context '{0}' is not empty")]
    ContextNotEmpty(String),
    #[error("{0}")]
    InvalidAssociation(String),
    #[error("Error in the backend data store: {0}")]
    Store(String),
    #[error("Operation timed out: {0}")]
    TimedOut(String),
    #[error("Error while forwarding the request to the leader: {0}")]
    Forwarding(String),
    #[error("Leader not known: {0}")]
    UnknownLeader(String),
    /// A plain HTTP status with its usual text.
    #[error("HTTP {} {}", .0, reason(*.0))]
    Http(u16),
    /// A plain HTTP status with a text.
    #[error("{1}")]
    Plain(u16, String),
}

impl Error {
    /// The `error_code` of the answer.
    pub fn code(&self) -> i32 {
        match self {
            Error::SubjectNotFound(_) => 40401,
            Error::VersionNotFound(_) => 40402,
            Error::SchemaNotFound | Error::SchemaIdNotFound(_) => 40403,
            Error::SubjectSoftDeleted(_) => 40404,
            Error::SubjectNotSoftDeleted(_) => 40405,
            Error::VersionSoftDeleted(..) => 40406,
            Error::VersionNotSoftDeleted(..) => 40407,
            Error::NoSubjectConfig(_) => 40408,
            Error::NoSubjectMode(_) => 40409,
            Error::AssociationNotFound(_) => 40410,
            Error::Incompatible { .. } => 40901,
            Error::AssociationConflict(code, _) => *code,
            Error::InvalidSchema(_) | Error::UnknownReference(_) => 42201,
            Error::InvalidVersion(_) => 42202,
            Error::InvalidLevel | Error::InvalidPolicy => 42203,
            Error::InvalidMode => 42204,
            Error::NotPermitted(_) => 42205,
            Error::Referenced(..) => 42206,
            Error::IdMismatch { .. } => 42207,
            Error::InvalidSubject(_) => 42208,
            Error::SchemaTooLarge => 42209,
            Error::InvalidRuleSet(_) => 42210,
            Error::ContextNotEmpty(_) => 42211,
            Error::InvalidAssociation(_) => 42212,
            Error::Store(_) => 50001,
            Error::TimedOut(_) => 50002,
            Error::Forwarding(_) => 50003,
            Error::UnknownLeader(_) => 50004,
            Error::Http(status) | Error::Plain(status, _) => i32::from(*status),
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        let code = self.code();
        u16::try_from(if code >= 1000 { code / 100 } else { code }).unwrap_or(500)
    }

    /// 42201 with the reason.
    pub fn invalid(reason: impl fmt::Display) -> Error {
        Error::InvalidSchema(reason.to_string())
    }
}

/// The reason phrase of a status.
fn reason(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_the_beginning_of_the_code() {
        assert_eq!(Error::SubjectNotFound("a".to_owned()).status(), 404);
        assert_eq!(Error::Incompatible { subject: "a".to_owned(), details: Vec::new() }.status(), 409);
        assert_eq!(Error::Http(406).status(), 406);
        assert_eq!(Error::Http(415).to_string(), "HTTP 415 Unsupported Media Type");
        assert_eq!(
            Error::Referenced("s".to_owned(), 2).to_string(),
            "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=s,version=2}."
        );
    }
}
