//! Why a tool stops, and how it says so.

use crate::java_format;
use crate::terminal::Terminal;

/// Why a tool did not finish its work.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong: message, then the help text, on standard error.
    Usage {
        /// What is wrong.
        message: String,
        /// The tool's help.
        help: String,
    },
    /// The command line is wrong in the way of the tools with subcommands.
    ArgumentError {
        /// The `usage:` line.
        usage: String,
        /// What is wrong.
        message: String,
    },
    /// The cluster or the connection said no.
    Client(milena_client::Error),
    /// Anything else: Java class name and message.
    Exception {
        /// Full name of the class Kafka's tools would throw.
        class: &'static str,
        /// What happened.
        message: String,
    },
    /// Anything else, in the tool's own words.
    Words(String),
    /// The tool has said everything itself.
    Reported,
}

impl Failure {
    /// A value that makes no sense.
    pub fn illegal_argument(message: impl Into<String>) -> Failure {
        Failure::Exception { class: "java.lang.IllegalArgumentException", message: message.into() }
    }

    /// A file or stream that failed.
    pub fn io(message: impl Into<String>) -> Failure {
        Failure::Exception { class: "java.io.IOException", message: message.into() }
    }

    /// The message without the class.
    pub fn message(&self) -> String {
        match self {
            Failure::Usage { message, .. }
            | Failure::ArgumentError { message, .. }
            | Failure::Exception { message, .. } => message.clone(),
            Failure::Client(error) => error.to_string(),
            Failure::Words(message) => message.clone(),
            Failure::Reported => String::new(),
        }
    }

    /// `class: message`.
    pub fn to_exception(&self) -> String {
        match self {
            Failure::Client(error) => error.to_exception(),
            Failure::Exception { class, message } => format!("{class}: {message}"),
            other => other.message(),
        }
    }

    /// Prints what is not yet printed; the exit code.
    pub fn report(&self, tool: &str, terminal: &mut Terminal) -> u8 {
        match self {
            Failure::Usage { message, help } => {
                terminal.error_line(message);
                terminal.error_line(help.trim_end());
            }
            Failure::ArgumentError { usage, message } => {
                terminal.error_line(usage.trim_end());
                terminal.error_line(&format!("{tool}: error: {message}"));
            }
            Failure::Reported => {}
            other => terminal.error_line(&other.to_exception()),
        }
        1
    }

    /// Prints as a line of Kafka's log on standard error.
    pub fn log(&self, logger: &str, terminal: &mut Terminal) {
        let now = java_format::log_timestamp();
        terminal.error_line(&format!("[{now}] ERROR {}\n ({logger})", self.to_exception()));
    }
}

impl From<milena_client::Error> for Failure {
    fn from(error: milena_client::Error) -> Self {
        Failure::Client(error)
    }
}
