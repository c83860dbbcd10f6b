//! Why a request fails, as clients see it: an HTTP status, a code of the API and words.

use milena_sql::catalog::StatementError;
use serde_json::{Value, json};

/// A refusal or a failure. Its code is the HTTP status and two more digits.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// As 40001.
    pub code: i32,
    /// What is wrong.
    pub message: String,
    /// The statement that is to blame.
    pub statement: Option<String>,
    /// Answers to the statements of the same request that were executed before.
    pub entities: Vec<Value>,
}

impl Failure {
    /// A request that is none.
    pub const BAD_REQUEST: i32 = 40000;
    /// A statement that cannot be executed.
    pub const BAD_STATEMENT: i32 = 40001;
    /// A query where results cannot be streamed.
    pub const QUERY_ENDPOINT: i32 = 40002;
    /// Nobody knows the user.
    pub const UNAUTHORIZED: i32 = 40100;
    /// The user may not.
    pub const FORBIDDEN: i32 = 40300;
    /// No such path, no such thing.
    pub const NOT_FOUND: i32 = 40400;
    /// A name that is taken.
    pub const CONFLICT: i32 = 40900;
    /// A body, or a line of one, that is longer than is taken.
    pub const TOO_LARGE: i32 = 41300;
    /// An assertion does not hold.
    pub const ASSERTION: i32 = 41700;
    /// A statement that needs a schema registry.
    pub const NO_REGISTRY: i32 = 42801;
    /// More requests than are taken.
    pub const TOO_MANY_REQUESTS: i32 = 42900;
    /// The server's own fault, or Kafka's.
    pub const SERVER: i32 = 50000;
    /// The command that has to be executed first did not come in time.
    pub const COMMAND_WAIT: i32 = 50301;
    /// Commands of the past are still being read.
    pub const INITIALIZING: i32 = 50302;
    /// The service was ended.
    pub const TERMINATED: i32 = 50304;

    /// A failure that is not about a statement.
    pub fn new(code: i32, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), statement: None, entities: Vec::new() }
    }

    /// A statement that cannot be executed.
    pub fn statement(message: impl Into<String>, statement: &str) -> Failure {
        Failure { statement: Some(statement.to_owned()), ..Failure::new(Failure::BAD_STATEMENT, message) }
    }

    /// A request that asks for what cannot be.
    pub fn request(message: impl Into<String>) -> Failure {
        Failure::new(Failure::BAD_REQUEST, message)
    }

    /// The same failure with the reason behind it, in lines of at most 80 characters as clients know it.
    #[must_use]
    pub fn caused_by(mut self, reason: &str) -> Failure {
        if !reason.is_empty() && !self.message.contains(reason) {
            self.message.push('\n');
            self.message.push_str(&wrapped(&format!("Caused by: {reason}")));
        }
        self
    }

    /// The same failure, for which this statement is to blame unless it blames one already.
    #[must_use]
    pub fn of(mut self, statement: &str) -> Failure {
        if matches!(self.code, Failure::BAD_STATEMENT | Failure::QUERY_ENDPOINT) {
            self.statement.get_or_insert_with(|| statement.to_owned());
        }
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        u16::try_from(self.code / 100).unwrap_or(500)
    }

    /// The body of an answer.
    pub fn json(&self) -> Value {
        match &self.statement {
            None => json!({ "@type": "generic_error", "error_code": self.code, "message": self.message }),
            Some(statement) => json!({
                "@type": "statement_error",
                "error_code": self.code,
                "message": self.message,
                "statementText": statement,
                "entities": self.entities,
            }),
        }
    }
}

/// A text in lines of at most 80 characters; words that are longer are cut.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 80;
    let mut lines = Vec::new();
    let mut rest: Vec<char> = text.chars().collect();
    while rest.len() > WIDTH {
        let blank = rest[..=WIDTH].iter().rposition(|c| *c == ' ').filter(|place| *place > 0);
        let (end, next) = blank.map_or((WIDTH, WIDTH), |place| (place, place + 1));
        lines.push(rest[..end].iter().collect::<String>());
        rest.drain(..next);
    }
    lines.push(rest.into_iter().collect());
    lines.join("\n\t")
}

impl From<StatementError> for Failure {
    fn from(error: StatementError) -> Failure {
        Failure::new(Failure::BAD_STATEMENT, error.0)
    }
}

impl From<milena_client::Error> for Failure {
    fn from(error: milena_client::Error) -> Failure {
        Failure::new(Failure::SERVER, format!("Kafka: {error}"))
    }
}

/// What calls answer.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_blamed_once() {
        let failure = Failure::from(StatementError("no such column".to_owned())).of("SELECT X;").of("other");
        assert_eq!(failure.status(), 400);
        let body = failure.json();
        assert_eq!(body["@type"], "statement_error");
        assert_eq!(body["error_code"], 40001);
        assert_eq!(body["statementText"], "SELECT X;");
        assert_eq!(body["entities"], json!([]));
    }

    #[test]
    fn reasons_stand_in_lines_of_their_own() {
        let reason = format!("{} end", "word ".repeat(18).trim_end());
        let failure = Failure::request("No").caused_by(&reason).caused_by("No");
        let lines: Vec<&str> = failure.message.lines().collect();
        assert_eq!((lines[0], lines.len()), ("No", 3));
        assert!(lines[1].starts_with("Caused by: word") && lines[1].len() <= 80, "{lines:?}");
        assert!(lines[2].starts_with("\tword") && lines[2].ends_with("end"), "{lines:?}");
    }

    #[test]
    fn a_server_that_fails_blames_no_statement() {
        let failure = Failure::new(Failure::INITIALIZING, "not yet").of("SHOW STREAMS;");
        assert_eq!((failure.status(), failure.json()["@type"].as_str()), (503, Some("generic_error")));
    }
}
