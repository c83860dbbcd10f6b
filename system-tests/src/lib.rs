//! A `milena server` process for tests in Rust: on a free port, over a temporary directory, killed when dropped.
//!
//! Most system tests drive the server with clients of other languages and live in `python/`; this crate holds those
//! that need a Rust client. The binary is `MILENA_BIN`, or else `target/release/milena`, or else `target/debug/milena`.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long a server may take until it accepts connections.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// A running server. Dropping it kills the process and removes its data.
pub struct Server {
    process: Child,
    port: u16,
    settings: Vec<(String, String)>,
    directory: tempfile::TempDir,
}

impl Server {
    /// Starts a server with these settings on top of the defaults, and returns when it accepts connections.
    ///
    /// # Errors
    /// When no binary was built, or when the server ends or is silent for 30 seconds.
    pub fn start(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings: Vec<_> = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let process = spawn(directory.path(), port, &settings)?;
        let mut server = Self { process, port, settings, directory };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    /// `host:port` for `bootstrap.servers`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// kill -9, then a new process on the same port and directory, with the same settings.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        self.process = spawn(self.directory.path(), self.port, &self.settings)?;
        self.wait_until_it_listens()
    }

    fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("the server ended with {status} instead of starting");
            }
            if Instant::now() > deadline {
                bail!("the server does not listen after {START_DEADLINE:?}");
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done about a process that is already gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(directory: &Path, port: u16, settings: &[(String, String)]) -> anyhow::Result<Child> {
    let mut command = Command::new(binary()?);
    command.arg("server").arg("--data-dir").arg(directory.join("data"));
    command.args(["--override", &format!("listeners=PLAINTEXT://127.0.0.1:{port}")]);
    for (key, value) in settings {
        command.args(["--override", &format!("{key}={value}")]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).current_dir(directory);
    command.spawn().context("starting the server")
}

fn binary() -> anyhow::Result<PathBuf> {
    if let Some(chosen) = std::env::var_os("MILENA_BIN") {
        return Ok(chosen.into());
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    ["release", "debug"]
        .iter()
        .map(|profile| target.join(profile).join("milena"))
        .find(|path| path.exists())
        .context("no binary to test: cargo build --release -p milena, or set MILENA_BIN")
}
