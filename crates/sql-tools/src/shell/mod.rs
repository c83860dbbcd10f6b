//! `ksql`: statements typed, given or in a file, sent to a SQL server, and the answers as tables.
//!
//! ```text
//!   prompt ──┐                 ┌─ command   executed here: help, output, spool, run script, ...
//!   -e, -f ──┼─► statement ────┼─ session   SET, DEFINE: kept here, sent with every request
//!   stdin ───┘   (split at ;)  ├─ entity    POST /ksql: one answer each
//!                              └─ query     POST /query: rows until the end, or Ctrl-C
//! ```
//!
//! Requests run on threads of their own, so that Ctrl-C always has somebody who listens ([`Shell::waiting`]).

mod cell;
mod command;
mod console;
mod entity;
mod options;
mod prompt;
mod query;
mod rows;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use milena_stdx::properties::Properties;
use milena_tools::terminal::Terminal;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::client::{Access, ClientError, ServerInfo, SqlClient};
use crate::session::Session;
use crate::statement::{Kind, sets_property, split, starts_query};
use command::Command;
use console::Console;
use options::{Format, Options};
use prompt::Prompt;

/// Exit code after a statement that failed.
const FAILED: u8 = 255;
/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;
/// Scripts that run scripts end at this depth.
const SCRIPT_DEPTH_MAX: usize = 16;

/// Runs the shell.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let line = [OsString::from("ksql")].into_iter().chain(arguments);
    let options = match Options::try_parse_from(line) {
        Ok(options) => options,
        Err(error) => {
            // Nothing can be done when even this cannot be printed.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let code = Shell::new(&options).and_then(|shell| shell.start(&options)).unwrap_or_else(|error| {
        eprintln!("ksql: {error}");
        FAILED
    });
    ExitCode::from(code)
}

/// Why the shell does not start.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{0}")]
    Properties(#[from] milena_stdx::properties::PropertiesError),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Why statements behind this one are not executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// It failed; everything about that has been said.
    Failed,
    /// The user stopped it.
    Interrupted,
    /// The user leaves.
    Exit,
}

impl Stop {
    fn exit_code(self) -> u8 {
        match self {
            Stop::Failed => FAILED,
            Stop::Interrupted => INTERRUPTED,
            Stop::Exit => 0,
        }
    }
}

type Done = Result<(), Stop>;

struct Shell {
    client: SqlClient,
    access: Access,
    session: Session,
    console: Console,
    /// A query ends after so many rows.
    row_limit: Option<u64>,
    /// A query ends after so long.
    query_timeout: Option<Duration>,
    /// What has been typed, for `history`.
    typed: Vec<String>,
    script_depth: usize,
    /// Whether the advice about queries that end has been given.
    advised: bool,
    runtime: Runtime,
    interrupts: Signal,
}

impl Shell {
    fn new(options: &Options) -> Result<Shell, StartError> {
        let mut session = Session::default();
        session.variables.extend(options.define.iter().cloned());
        let mut access = Access::default();
        if let Some(path) = &options.config_file {
            for (name, value) in Properties::load(path)?.iter() {
                match name {
                    "ssl.truststore.location" => access.trust_store = Some(value.into()),
                    // The rest of the client's own settings says nothing about statements.
                    name if name.starts_with("ssl.") => {}
                    name => {
                        session.properties.insert(name.to_owned(), value.to_owned());
                    }
                }
            }
        }
        access.credentials = match (&options.user, &options.confluent_api_key) {
            (Some(user), _) => {
                let password = match &options.password {
                    Some(password) => password.clone(),
                    None => prompt::password()?,
                };
                Some((user.clone(), password))
            }
            (None, Some(key)) => Some((key.clone(), options.confluent_api_secret.clone().unwrap_or_default())),
            (None, None) => None,
        };
        access.token.clone_from(&options.token);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let interrupts = {
            let _entered = runtime.enter();
            signal(SignalKind::interrupt())?
        };
        Ok(Shell {
            client: SqlClient::new(&options.server, &access)?,
            access,
            session,
            console: Console::new(Terminal::standard(), options.output),
            row_limit: options.query_row_limit,
            query_timeout: options.query_timeout.map(Duration::from_millis),
            typed: Vec::new(),
            script_depth: 0,
            advised: false,
            runtime,
            interrupts,
        })
    }

    fn start(mut self, options: &Options) -> Result<u8, StartError> {
        let script = match (&options.execute, &options.file) {
            (Some(text), _) => Some(text.clone()),
            (None, Some(path)) if path == Path::new("-") => {
                let mut text = String::new();
                std::io::stdin().read_to_string(&mut text)?;
                Some(text)
            }
            (None, Some(path)) => Some(
                std::fs::read_to_string(path)
                    .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))?,
            ),
            (None, None) => None,
        };
        self.console.size = prompt::terminal_size();
        let done = match script {
            Some(text) => self.script(&text),
            None if std::io::stdin().is_terminal() => self.converse()?,
            None => self.read_piped(),
        };
        self.console.flush();
        Ok(done.map_or_else(Stop::exit_code, |()| 0))
    }

    /// A person types.
    fn converse(&mut self) -> Result<Done, StartError> {
        self.console.interactive = true;
        self.banner();
        let mut prompt = Prompt::new()?;
        self.typed = prompt.history();
        let mut pending = String::new();
        loop {
            self.console.flush();
            let line = prompt.read(pending.is_empty());
            self.console.size = prompt.size().or(self.console.size);
            match line {
                prompt::Line::Text(line) => {
                    if let Some(text) = complete(&mut pending, &line) {
                        prompt.remember(&text);
                        self.typed.push(text.clone());
                        self.console.echo(&text);
                        if self.text(&text) == Err(Stop::Exit) {
                            break;
                        }
                    }
                }
                prompt::Line::Interrupted => pending.clear(),
                prompt::Line::End => break,
            }
        }
        self.console.line("Exiting ksqlDB.");
        Ok(Ok(()))
    }

    /// Statements come through a pipe: as a script, but those behind a failure are executed too.
    fn read_piped(&mut self) -> Done {
        let mut pending = String::new();
        let mut result = Ok(());
        for line in std::io::stdin().lines() {
            let Ok(line) = line else { break };
            let Some(text) = complete(&mut pending, &line) else { continue };
            match self.text(&text) {
                Ok(()) => {}
                Err(Stop::Failed) => result = Err(Stop::Failed),
                Err(stop) => return Err(stop),
            }
        }
        if pending.is_empty() { result } else { self.text(&pending).and(result) }
    }

    /// Executes a command or statements as they were typed.
    fn text(&mut self, text: &str) -> Done {
        match command::parse(text) {
            Some(Ok(command)) => self.command(command),
            Some(Err(mistake)) => self.fail(&mistake),
            None => self.script(text),
        }
    }

    /// Executes statements up to the first that fails. A last one may lack its `;`: the server says what it thinks of that.
    /// Statements that follow each other go to the server together, which executes all of them or, when it can tell before
    /// that one will fail, none.
    fn script(&mut self, text: &str) -> Done {
        let parts = split(text);
        let rest = parts.rest.trim();
        let mut together = String::new();
        for statement in parts.statements.into_iter().chain((!rest.is_empty()).then_some(rest)) {
            let command = command::parse(statement);
            if command.is_none() && Kind::of(statement) == Kind::Statement {
                together.push_str(statement);
                together.push('\n');
                continue;
            }
            self.ask(&std::mem::take(&mut together))?;
            match command {
                Some(Ok(command)) => self.command(command)?,
                Some(Err(mistake)) => self.fail(&mistake)?,
                None => self.statement(statement)?,
            }
            self.console.flush();
            if self.console.is_closed() {
                return Err(Stop::Exit);
            }
        }
        self.ask(&together)
    }

    fn statement(&mut self, statement: &str) -> Done {
        match Kind::of(statement) {
            Kind::Statement => self.ask(statement),
            Kind::Session => self.remember(statement),
            kind => self.query(statement, kind),
        }
    }

    /// Executes a statement of the session. The server has to take a property first, for it would refuse every request with
    /// one that it does not.
    fn remember(&mut self, statement: &str) -> Done {
        if sets_property(statement) {
            let (client, request) = (self.client.clone(), self.session.question(statement));
            let answered = self.waiting(move || client.statements(&request)).ok_or(Stop::Interrupted)?;
            answered.map_err(|error| self.refused(&error))?;
        }
        match self.session.execute(statement) {
            Ok(told) => {
                if let Some(told) = told {
                    self.console.line(&told);
                }
                Ok(())
            }
            Err(mistake) => self.fail(&mistake),
        }
    }

    /// Has the server execute statements, if there are any, and prints the answers.
    fn ask(&mut self, statements: &str) -> Done {
        let statements = statements.trim_end();
        if statements.is_empty() {
            return Ok(());
        }
        let (client, request) = (self.client.clone(), self.session.request(statements));
        let answered = self.waiting(move || client.statements(&request)).ok_or(Stop::Interrupted)?;
        let answers = answered.map_err(|error| self.refused(&error))?;
        self.print(&answers);
        let failed = |answer: &Value| answer["commandStatus"]["status"] == "ERROR";
        if answers.iter().any(failed) {
            return Err(Stop::Failed);
        }
        let starts_one = split(statements).statements.into_iter().any(starts_query);
        if starts_one && self.offset_reset().as_deref() != Some("earliest") {
            self.console.hint(
                "the query reads what comes from now on. To begin with what is in the topics already, say \
                 SET 'auto.offset.reset'='earliest'; before such a statement.",
            );
        }
        Ok(())
    }

    fn print(&mut self, answers: &[Value]) {
        for answer in answers {
            self.session.note(answer);
        }
        match self.console.format {
            Format::Json if !answers.is_empty() => self.console.line(&entity::pretty(&Value::Array(answers.to_vec()))),
            Format::Json => {}
            Format::Tabular => {
                for answer in answers {
                    self.console.line("");
                    if answers.len() > 1 {
                        self.console.line(answer["statementText"].as_str().unwrap_or_default());
                    }
                    let width = self.console.width();
                    self.console.line(&entity::render(answer, width));
                }
            }
        }
    }

    /// Where the server lets new queries begin unless the session says something else.
    fn offset_reset(&mut self) -> Option<String> {
        if let Some(known) = self.session.offset_reset() {
            return Some(known.to_owned());
        }
        let client = self.client.clone();
        self.waiting(move || query::server_offset_reset(&client)).flatten()
    }

    /// What `call` answers, from a thread of its own; `None` after Ctrl-C.
    fn waiting<T: Send + 'static>(&mut self, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || sender.send(call()));
        let interrupts = &mut self.interrupts;
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = interrupts.recv() => None,
                answer = receiver => answer.ok(),
            }
        })
    }

    fn fail(&mut self, words: &str) -> Done {
        self.console.error(words);
        Err(Stop::Failed)
    }

    /// Says why the server did not do it, after what it did before.
    fn refused(&mut self, error: &ClientError) -> Stop {
        if let ClientError::Refused(refusal) = error {
            self.print(&refusal.entities);
        }
        self.console.error(&error.to_string());
        Stop::Failed
    }

    fn banner(&mut self) {
        let version = env!("CARGO_PKG_VERSION");
        let client = self.client.clone();
        let url = client.url().to_owned();
        match self.waiting(move || client.info()) {
            Some(Ok(ServerInfo { version: server, status, .. })) => {
                self.console.line(&format!("CLI v{version}, Server v{server} located at {url}"));
                self.console.line(&format!("Server Status: {status}"));
            }
            Some(Err(error)) => {
                self.console.line(&format!("CLI v{version}, Server v<unknown> located at {url}"));
                self.console.line("Server Status: <unknown>");
                self.console.line("");
                self.console.error(&error.to_string());
                self.console.line("Statements will fail until it does; server '<url>' goes to another one.");
            }
            None => {}
        }
        self.console.line("");
        self.console.line("Type 'help' for the commands of the shell; statements end with ';'.");
        self.console.line("");
    }

    fn command(&mut self, command: Command) -> Done {
        match command {
            Command::Help => self.help(),
            Command::Clear => self.console.control("\x1b[2J\x1b[H"),
            Command::Exit => return Err(Stop::Exit),
            Command::History => {
                for (index, text) in std::mem::take(&mut self.typed).iter().enumerate() {
                    self.console.line(&format!("{:>4}: {text}", index + 1));
                    self.typed.push(text.clone());
                }
            }
            Command::Version => self.version(),
            Command::Output(None) => {
                self.console.line(&format!("Current output format: {}", self.console.format.name()));
            }
            Command::Output(Some(format)) => {
                self.console.format = format;
                self.console.line(&format!("Output format set to {}", format.name()));
            }
            Command::Server(None) => self.console.line(self.client.url()),
            Command::Server(Some(url)) => return self.go_to(&url),
            Command::Pipelining(None) => {
                self.console
                    .line(&format!("Current request-pipelining configuration: {}", on_off(self.session.pipelining)));
            }
            Command::Pipelining(Some(on)) => {
                self.session.pipelining = on;
                self.console.line(&format!("request-pipelining configuration is now {}", on_off(on)));
            }
            Command::ColumnWidth(width) => self.console.cell_width = (width > 0).then_some(width),
            Command::Wrap(on) => self.console.wrap = on,
            Command::RunScript(path) => return self.run_script(&path),
            Command::Spool(path) => match self.console.start_spool(path.clone()) {
                Ok(()) => {
                    self.console.line(&format!("Session will be spooled to {}", path.display()));
                    self.console.line("Enter SPOOL OFF to disable");
                }
                Err(error) => return self.fail(&format!("{}: {error}", path.display())),
            },
            Command::SpoolOff => {
                let told = self.console.end_spool().map(|path| format!("Spool written to {}", path.display()));
                self.console.line(told.as_deref().unwrap_or("There is no current spool to turn off"));
            }
        }
        Ok(())
    }

    /// The version of the server; the shell's own when it does not answer.
    fn version(&mut self) {
        let client = self.client.clone();
        let version = match self.waiting(move || client.info()) {
            Some(Ok(info)) => info.version,
            _ => env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.console.line(&format!("Version: {version}"));
    }

    fn help(&mut self) {
        self.console.line("Commands of the shell, in any case, with or without ';':");
        for (name, what) in command::HELP {
            self.console.line(&format!("  {name:<28} {what}"));
        }
        self.console
            .line("Statements go to the server and end with ';'. They may have several lines. Ctrl-C ends a query.");
        self.console.line("SHOW FUNCTIONS; lists the functions, DESCRIBE FUNCTION <name>; explains one.");
    }

    fn go_to(&mut self, url: &str) -> Done {
        let client = match SqlClient::new(url, &self.access) {
            Ok(client) => client,
            Err(error) => return self.fail(&error.to_string()),
        };
        self.client = client.clone();
        self.session.forget_commands();
        self.console.line(&format!("Server now: {}", self.client.url()));
        match self.waiting(move || client.info()) {
            Some(Err(error)) => self.fail(&error.to_string()),
            _ => Ok(()),
        }
    }

    fn run_script(&mut self, path: &Path) -> Done {
        if self.script_depth == SCRIPT_DEPTH_MAX {
            return self.fail("Scripts run scripts too deep.");
        }
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fail(&format!("Failed to read file: {}: {error}", path.display())),
        };
        self.script_depth += 1;
        let done = self.script(&text);
        self.script_depth -= 1;
        done
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

/// Adds a line to what has been typed before; everything when it is a command or ends with a complete statement.
fn complete(pending: &mut String, line: &str) -> Option<String> {
    if pending.is_empty() && command::parse(line).is_some() {
        return Some(line.trim().to_owned());
    }
    if !pending.is_empty() {
        pending.push('\n');
    }
    pending.push_str(line);
    let parts = split(pending);
    if !parts.rest.is_empty() {
        return None;
    }
    let text = std::mem::take(pending);
    (!split(&text).statements.is_empty()).then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_gathered_until_the_statement_is_complete() {
        let mut pending = String::new();
        assert_eq!(complete(&mut pending, "  exit "), Some("exit".to_owned()));
        assert_eq!(complete(&mut pending, "-- only a comment"), None);
        assert_eq!(pending, "");
        assert_eq!(complete(&mut pending, "SELECT 'a;"), None);
        assert_eq!(complete(&mut pending, "exit"), None);
        assert_eq!(complete(&mut pending, "b' FROM s; "), Some("SELECT 'a;\nexit\nb' FROM s;".to_owned()));
        assert_eq!(pending, "");
    }
}
