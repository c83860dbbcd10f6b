//! `kafka-server-start -daemon`: a server in the background.
//!
//! The start script of Kafka returns at once and hides what goes wrong. Here the call returns when the server is ready, and
//! tells the error when it is not.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::cli::ServerArguments;
use crate::server::READY;

/// The file in the data directory that takes what the server prints.
const OUTPUT_FILE: &str = "server.out";
/// How often the output is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Starts the server as a process of its own and waits until it is ready.
pub fn start(arguments: &ServerArguments, data_dir: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(data_dir).with_context(|| format!("cannot create {}", data_dir.display()))?;
    let path = data_dir.join(OUTPUT_FILE);
    let cannot_open = || format!("cannot open {}", path.display());
    let output = OpenOptions::new().create(true).append(true).open(&path).with_context(cannot_open)?;
    let mut told = File::open(&path).with_context(cannot_open)?;
    told.seek(SeekFrom::End(0)).with_context(cannot_open)?;
    let mut child = spawn(arguments, &output).context("cannot start a process")?;
    wait_until_ready(&mut child, &mut told)?;
    println!("server started in the background, process {}; its output goes to {}", child.id(), path.display());
    Ok(())
}

fn spawn(arguments: &ServerArguments, output: &File) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("server").arg("--detached").args(&arguments.properties_file);
    for setting in &arguments.overrides {
        command.arg("--override").arg(setting);
    }
    if let Some(directory) = &arguments.data_dir {
        command.arg("--data-dir").arg(directory);
    }
    command.arg("--roles").arg(arguments.roles.join(","));
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output.try_clone()?).process_group(0).spawn()
}

fn wait_until_ready(child: &mut Child, output: &mut File) -> anyhow::Result<()> {
    let mut text = Vec::new();
    loop {
        let ended = child.try_wait()?;
        output.read_to_end(&mut text)?;
        let said = String::from_utf8_lossy(&text);
        if said.lines().any(|line| line.ends_with(READY)) {
            return Ok(());
        }
        if let Some(status) = ended {
            let last = said.lines().rev().find_map(|line| line.strip_prefix("milena: "));
            bail!("{}", last.map_or_else(|| format!("the server ended with {status}"), str::to_owned));
        }
        std::thread::sleep(POLL);
    }
}
