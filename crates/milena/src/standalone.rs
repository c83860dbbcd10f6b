//! What each system does around its own work, alone or beside the others: settings from their sources, threads, an exit
//! code. What the systems do in between is in their own files.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use milena_http::config::{Component, Sources};
use tokio::runtime::Runtime;

/// Every mistake of the user is one line on standard error and exit code 1.
pub fn exit_code(result: &anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("milena: {}", one_line(error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, without those that an outer text has told already.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if line.is_empty() {
            line = cause;
        } else if !line.contains(&cause) {
            line = format!("{line}: {cause}");
        }
    }
    line.replace('\n', " ")
}

/// Settings of an upper system from a file and the environment.
///
/// # Errors
/// A file that cannot be read.
pub fn sources(component: Component, file: Option<&Path>) -> anyhow::Result<Sources> {
    let mut sources = Sources::new(component);
    if let Some(file) = file {
        sources = sources.file(file)?;
    }
    Ok(sources.process_environment())
}

/// The same with the settings of `--override`, each `KEY=VALUE`.
///
/// # Errors
/// As [`sources`], and an override without a value.
pub fn sources_with(component: Component, file: Option<&Path>, overrides: &[String]) -> anyhow::Result<Sources> {
    with_overrides(sources(component, file)?, overrides)
}

/// Adds the settings of `--override`, each `KEY=VALUE`.
///
/// # Errors
/// An override without a value.
pub fn with_overrides(mut sources: Sources, overrides: &[String]) -> anyhow::Result<Sources> {
    for setting in overrides {
        let Some((key, value)) = setting.split_once('=') else {
            bail!("--override {setting}: expected KEY=VALUE");
        };
        sources = sources.command_line(key.trim(), value);
    }
    Ok(sources)
}

/// The URL of a system of this process as its neighbours reach it: a socket that takes every address is at the loopback too.
pub fn reachable(url: &str) -> String {
    url.replace("://0.0.0.0:", "://127.0.0.1:").replace("://[::]:", "://[::1]:")
}

/// The threads of a server.
///
/// # Errors
/// When the machine has none left.
pub fn runtime() -> anyhow::Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("milena").build().context("cannot start threads")
}

/// Starts the same command once more as a process of its own, without the word that asks for the background; its output
/// goes to `connect.out` in the working directory.
///
/// # Errors
/// When that cannot be done.
pub fn in_background() -> anyhow::Result<()> {
    use std::os::unix::process::CommandExt as _;
    let output = std::fs::OpenOptions::new().create(true).append(true).open("connect.out")?;
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_default();
    let rest = words.filter(|word| word != "-daemon" && word != "--daemon");
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.arg0(program).args(rest).stdin(std::process::Stdio::null());
    let child = command.stdout(output.try_clone()?).stderr(output).process_group(0).spawn()?;
    println!("started in the background, process {}; its output goes to connect.out", child.id());
    Ok(())
}
