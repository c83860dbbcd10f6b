//! `ksql-migrations`: statements in numbered files, each applied to a server once and in order.
//!
//! ```text
//!   project    the directory: settings, migrations/V000001__Name.sql
//!   metadata   what the server has seen: the stream MIGRATION_EVENTS, and a table over it for those who ask with SQL
//!   apply      files that are due ──► statements ──► server, with an event before and after
//! ```

mod apply;
mod metadata;
mod project;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::client::ClientError;
use crate::definition::definition;
use metadata::Metadata;
use project::Project;

/// Why a command fails.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("{0}")]
    Properties(#[from] milena_stdx::properties::PropertiesError),
    #[error("{0}")]
    Words(String),
}

impl Failure {
    fn words(words: impl Into<String>) -> Failure {
        Failure::Words(words.into())
    }
}

type Result<T, E = Failure> = std::result::Result<T, E>;

#[derive(Debug, Parser)]
#[command(name = "ksql-migrations", version, about = "Applies numbered files of statements to a SQL server, each once")]
struct CommandLine {
    /// The project's ksql-migrations.properties
    #[arg(short, long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a directory for migrations with its settings
    NewProject {
        /// The directory
        path: PathBuf,
        /// Where the SQL server is
        url: String,
    },
    /// Make the stream and the table that remember what was applied
    InitializeMetadata,
    /// Make an empty file for the next migration
    Create {
        /// Its number instead of the next one
        #[arg(short, long)]
        version: Option<u32>,
        /// What it does, in words
        description: String,
    },
    /// Apply migrations
    Apply(ApplyArguments),
    /// Show migrations and what became of them
    Info,
    /// Check that files which were applied are unchanged
    Validate,
    /// Delete the stream and the table that remember what was applied, and their topics
    DestroyMetadata,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["all", "next", "until", "version"]))]
struct ApplyArguments {
    /// All that are due
    #[arg(short, long)]
    all: bool,
    /// The next one
    #[arg(short, long)]
    next: bool,
    /// All that are due up to this number
    #[arg(short, long, value_name = "VERSION")]
    until: Option<u32>,
    /// This one
    #[arg(short, long, value_name = "VERSION")]
    version: Option<u32>,
    /// A variable for the files; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = definition)]
    define: Vec<(String, String)>,
    /// A property file with headers of the requests
    #[arg(long, value_name = "FILE")]
    headers: Option<PathBuf>,
    /// Only show what would be applied
    #[arg(long)]
    dry_run: bool,
}

/// Runs the tool.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let line = [OsString::from("ksql-migrations")].into_iter().chain(arguments);
    let line = match CommandLine::try_parse_from(line) {
        Ok(line) => line,
        Err(error) => {
            // Nothing can be done when even this cannot be printed.
            let _ = error.print();
            return ExitCode::from(u8::from(error.use_stderr()));
        }
    };
    let begun = Instant::now();
    let is_timed = !matches!(line.command, Command::Info);
    let done = execute(line);
    if let Err(failure) = &done {
        eprintln!("{failure}");
    }
    if is_timed && done.is_ok() {
        println!("Execution time: {:.4} seconds", begun.elapsed().as_secs_f64());
    }
    ExitCode::from(u8::from(done.is_err()))
}

fn execute(line: CommandLine) -> Result<()> {
    if let Command::NewProject { path, url } = &line.command {
        return project::create(path, url);
    }
    let path = line.config_file.ok_or_else(|| Failure::words("Which project? Name its settings with --config-file"))?;
    let mut project = Project::load(&path)?;
    match line.command {
        Command::NewProject { .. } => Ok(()),
        Command::Create { version, description } => project.create_file(version, &description),
        Command::InitializeMetadata => Metadata::connect(&project)?.initialize(),
        Command::DestroyMetadata => Metadata::connect(&project)?.destroy(),
        Command::Apply(arguments) => {
            if let Some(headers) = &arguments.headers {
                project.load_headers(headers)?;
            }
            apply::apply(&project, &Metadata::connect(&project)?, &arguments)
        }
        Command::Info => apply::info(&project, &Metadata::connect(&project)?),
        Command::Validate => {
            apply::validate(&project, &Metadata::connect(&project)?.read()?)?;
            println!("Successfully validated checksums for migrations that have already been applied");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apply_needs_to_know_which() {
        let read =
            |words: &[&str]| CommandLine::try_parse_from(["ksql-migrations", "-c", "f", "apply"].iter().chain(words));
        assert!(read(&[]).is_err());
        assert!(read(&["--all", "--next"]).is_err());
        assert!(read(&["--until", "3", "--dry-run", "-d", "a=b", "--headers", "h"]).is_ok());
    }
}
