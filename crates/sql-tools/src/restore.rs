//! `ksql-restore-command-topic`: the command topic of a service made again from a backup that a server has written.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use milena_sql_server::restore::{self, BackedUp};
use milena_sql_server::{COMPONENT, ConfigError, ConfigSources, SqlConfig};

/// Why nothing, or not all, is restored.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Client(#[from] milena_client::Error),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error(
        "{0} of the commands cannot be executed by this version, the first is {1}; with --skip-incompatible-commands they are \
         left out, and queries behind them get other numbers and begin anew"
    )]
    Incompatible(usize, String),
    #[error("nothing was changed")]
    Declined,
}

#[derive(Debug, Parser)]
#[command(
    name = "ksql-restore-command-topic",
    version,
    about = "Makes the command topic of a service again from a backup. Stop all its servers first"
)]
struct CommandLine {
    /// The properties of the server: how Kafka is reached, ksql.service.id
    #[arg(long, value_name = "FILE")]
    config_file: PathBuf,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    /// Leave out commands that this version cannot execute
    #[arg(short, long)]
    skip_incompatible_commands: bool,
    /// The backup: backup_<topic>_<milliseconds> in ksql.metastore.backup.location
    #[arg(value_name = "BACKUP-FILE")]
    backup: PathBuf,
}

/// Runs the tool.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let name = OsString::from("ksql-restore-command-topic");
    let line = match CommandLine::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(line) => line,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match restore(&line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn restore(line: &CommandLine) -> Result<(), Failure> {
    let sources = ConfigSources::new(COMPONENT).file(&line.config_file)?.process_environment();
    let (config, _) = SqlConfig::load(&sources)?;
    let commands = commands(line)?;
    let topic = config.command_topic();
    if !line.yes && !is_confirmed(&topic, commands.len())? {
        return Err(Failure::Declined);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(restore::restore(&config, &commands))?;
    println!("{topic} has its {} commands again. Start the servers.", commands.len());
    Ok(())
}

/// The commands of the backup that can be executed.
fn commands(line: &CommandLine) -> Result<Vec<BackedUp>, Failure> {
    let unreadable = |source| Failure::File { path: line.backup.clone(), source };
    let mut all = restore::read(&line.backup).map_err(unreadable)?;
    all.retain(|command| !command.ends_service());
    let (good, bad): (Vec<BackedUp>, Vec<BackedUp>) = all.into_iter().partition(BackedUp::is_compatible);
    let name = |command: &BackedUp| String::from_utf8_lossy(&command.key).into_owned();
    match bad.first() {
        Some(first) if !line.skip_incompatible_commands => Err(Failure::Incompatible(bad.len(), name(first))),
        _ => {
            bad.iter().for_each(|command| println!("left out: {}", name(command)));
            Ok(good)
        }
    }
}

fn is_confirmed(topic: &str, commands: usize) -> Result<bool, Failure> {
    println!("The topic {topic} will be deleted and made again with {commands} commands.");
    println!("All servers of the service must be stopped, or they will stop executing statements.");
    print!("Continue? [y/n] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
