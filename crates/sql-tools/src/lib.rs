//! The ksql* command-line tools.
//!
//! The tools are clients of the HTTP API of a SQL server, Milena's or the original, so they work against both alike; only
//! `ksql-datagen` and `ksql-restore-command-topic` need none, but write into topics.
//! [`run`] is the only entry: the `milena` binary calls it by subcommand or by its own file name (`ksql`).
//!
//! ```text
//!   shell        statements of a person or a script ──► /ksql, /query ──► tables on the terminal
//!   migrations   statements in numbered files, each applied once
//!   restore      the command topic of a service, from a backup
//!   datagen      records that are made up ──► a topic
//!   client, elements, statement, session, table   what they share
//! ```

mod client;
mod datagen;
mod definition;
mod elements;
mod migrations;
mod restore;
mod session;
mod shell;
mod statement;
mod table;

use std::ffi::OsString;
use std::process::ExitCode;

type Command = fn(Vec<OsString>) -> ExitCode;

const COMMANDS: &[(&str, Command)] = &[
    ("ksql", shell::run),
    ("ksql-datagen", datagen::run),
    ("ksql-migrations", migrations::run),
    ("ksql-restore-command-topic", restore::run),
];

/// Names of the tools that [`run`] knows.
pub const TOOLS: &[&str] = &milena_tools::names::<_, { COMMANDS.len() }>(COMMANDS);

/// Runs the tool called `name` with `arguments`, which do not contain the program's name.
pub fn run(name: &str, arguments: Vec<OsString>) -> ExitCode {
    let Some((_, command)) = COMMANDS.iter().find(|(known, _)| *known == name) else {
        eprintln!("{name}: unknown tool; known tools are {}", TOOLS.join(", "));
        return ExitCode::FAILURE;
    };
    command(arguments)
}
