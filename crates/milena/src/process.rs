//! What the operating system grants this process, and the other servers of this machine.

use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// Raises the soft limit of open files to the hard one: a broker holds a socket a client and a file a busy partition.
pub fn raise_open_files_limit() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays at {:?}", limit.current);
        }
    }
}

/// Takes memory in pages of the usual size. Huge ones save a broker some processor time; servers whose work comes in small
/// pieces hold nearly twice the memory with them and are no faster.
pub fn use_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay in use");
    }
}

/// Gives memory back to the operating system when it was freed, not after a second as mimalloc would: for servers that
/// take and free much in that time. It takes about 3 % of their processor time and gives back a third of their memory.
#[expect(unsafe_code, reason = "mimalloc's options can only be set by a call into C")]
pub fn return_memory_at_once() {
    /// `mi_option_purge_delay` of mimalloc.h, which the bindings do not name.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    const MILLISECONDS: std::ffi::c_long = 0;
    // SAFETY: it takes two numbers and stores one of them; a number that is no option would be ignored.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, MILLISECONDS) };
}

/// Makes this process the first of a session of its own, so that closing the terminal does not end it.
pub fn leave_session() {
    if let Err(error) = rustix::process::setsid() {
        eprintln!("milena: the server stays in the session of its terminal: {error}");
    }
}

/// `kafka-server-stop`: asks every server process of this machine that runs this binary to stop gracefully.
pub fn stop_servers() -> ExitCode {
    stop("kafka server", "kafka-server-start", &["server", "broker"])
}

/// `schema-registry-stop`: the same for schema registries that run alone.
pub fn stop_schema_registries() -> ExitCode {
    stop("schema registry", "schema-registry-start", &["schema-registry"])
}

/// `kafka-rest-stop`: the same for REST Proxies that run alone.
pub fn stop_rest_proxies() -> ExitCode {
    stop("REST proxy", "kafka-rest-start", &["rest-proxy"])
}

/// `ksql-server-stop`: the same for SQL servers that run alone.
pub fn stop_sql_servers() -> ExitCode {
    stop("SQL server", "ksql-server-start", &["ksql-server"])
}

fn stop(what: &str, script: &str, commands: &[&str]) -> ExitCode {
    let servers = running(script, commands);
    if servers.is_empty() {
        println!("No {what} to stop");
        return ExitCode::FAILURE;
    }
    let mut code = ExitCode::SUCCESS;
    for pid in servers {
        if let Err(error) = kill_process(pid, Signal::TERM) {
            eprintln!("cannot stop process {}: {error}", pid.as_raw_nonzero());
            code = ExitCode::FAILURE;
        }
    }
    code
}

/// Processes of this binary that were started by one of these names, found through `/proc`.
fn running(script: &str, commands: &[&str]) -> Vec<Pid> {
    let Ok(own) = std::env::current_exe() else { return Vec::new() };
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter(|entry| was_started(&entry.path(), &own, script, commands))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect()
}

fn was_started(process: &Path, own_binary: &Path, script: &str, commands: &[&str]) -> bool {
    if !std::fs::read_link(process.join("exe")).is_ok_and(|binary| binary == own_binary) {
        return false;
    }
    let Ok(line) = std::fs::read(process.join("cmdline")) else { return false };
    let mut words = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = words.next().unwrap_or_default();
    let name = Path::new(&*program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    name.starts_with(script)
        || words.next().is_some_and(|word| commands.contains(&&*word) || word.trim_end_matches(".sh") == script)
}
