//! The server as a process: what it prints, how it ends, and what it says about mistakes.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_milena");
const ANY_PORT: &str = "listeners=PLAINTEXT://127.0.0.1:0";

fn server(data_dir: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("server").arg("--data-dir").arg(data_dir);
    for setting in settings {
        command.args(["--override", setting]);
    }
    command
}

/// A server that has said that it is ready; killed when dropped.
struct Running {
    child: Child,
    lines: Vec<String>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut lines = Vec::new();
        for line in output.lines() {
            lines.push(line.expect("text"));
            if lines.last().is_some_and(|line| line.ends_with("Kafka Server started")) {
                break;
            }
        }
        Running { child, lines }
    }

    fn terminate(mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the server lives");
        self.child.wait().expect("the server ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a server that cannot start, and returns its one line of complaint.
fn complaint(mut command: Command) -> String {
    let Output { status, stderr, .. } = command.output().expect("the binary runs");
    assert_eq!(status.code(), Some(1));
    let stderr = String::from_utf8(stderr).expect("text");
    let complaints: Vec<&str> = stderr.lines().filter(|line| line.starts_with("milena: ")).collect();
    assert_eq!(complaints.len(), 1, "{stderr}");
    complaints[0].to_owned()
}

#[test]
fn the_ready_line_is_kafkas_and_sigterm_ends_in_good_order() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let data = directory.path().join("data");
    let running = Running::start(server(&data, &[ANY_PORT, "node.id=7"]));
    assert!(running.lines.iter().any(|line| line.starts_with("Kafka broker       127.0.0.1:")), "{:?}", running.lines);
    assert_eq!(running.lines.last().map(String::as_str), Some("[KafkaRaftServer nodeId=7] Kafka Server started"));
    assert_eq!(running.terminate(), Some(0));
    assert!(data.join(".kafka_cleanshutdown").exists());
}

#[test]
fn settings_come_from_file_environment_and_command_line() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let file = directory.path().join("server.properties");
    std::fs::write(&file, format!("{ANY_PORT}\nnode.id=3\nlog.dirs={}\n", directory.path().join("logs").display()))
        .expect("write");
    let mut command = Command::new(BINARY);
    command.arg("server").arg(&file).env("KAFKA_NODE_ID", "4");
    assert_eq!(
        Running::start(command).lines.last().map(String::as_str),
        Some("[KafkaRaftServer nodeId=4] Kafka Server started")
    );
    assert!(directory.path().join("logs/metadata.redb").exists());
}

#[test]
fn mistakes_are_told_in_one_line() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let data = directory.path().join("data");
    assert_eq!(
        complaint(server(&data, &["num.partitions=many"])),
        "milena: Invalid value many for configuration num.partitions: Not a number of type INT (command line)"
    );
    assert_eq!(complaint(server(&data, &["num.partitions"])), "milena: --override num.partitions: expected KEY=VALUE");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    assert_eq!(
        complaint(server(&data, &[&format!("listeners=PLAINTEXT://{address}")])),
        format!("milena: listener PLAINTEXT: cannot listen on {address}: Address already in use (os error 98)")
    );
    std::fs::write(directory.path().join("file"), "").expect("write");
    let unusable = complaint(server(&directory.path().join("file/data"), &[ANY_PORT]));
    assert!(unusable.contains("file/data") && unusable.ends_with("Not a directory (os error 20)"), "{unusable}");
    let mut missing = Command::new(BINARY);
    missing.args(["server", "/nonexistent/server.properties"]);
    assert_eq!(
        complaint(missing),
        "milena: cannot read /nonexistent/server.properties: No such file or directory (os error 2)"
    );
    let mut role = server(&data, &[ANY_PORT]);
    role.args(["--roles", "broker,mainframe"]);
    assert_eq!(
        complaint(role),
        "milena: unknown role mainframe; known roles are broker, console, schema-registry, rest-proxy, connect, ksql-server"
    );
}

#[test]
fn two_servers_do_not_share_a_directory() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let _first = Running::start(server(directory.path(), &[ANY_PORT]));
    let second = complaint(server(directory.path(), &[ANY_PORT]));
    assert!(second.ends_with("is in use by another process"), "{second}");
}

#[test]
fn a_killed_server_starts_again() {
    let directory = tempfile::tempdir().expect("temporary directory");
    for _ in 0..3 {
        drop(Running::start(server(directory.path(), &[ANY_PORT])));
    }
    assert_eq!(Running::start(server(directory.path(), &[ANY_PORT])).terminate(), Some(0));
}

#[test]
fn a_daemon_is_ready_when_the_call_returns_and_a_failed_start_is_told() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let mut command = server(directory.path(), &[ANY_PORT]);
    let output = command.arg("--daemon").output().expect("the binary runs");
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && said.starts_with("server started in the background, process "), "{said}");
    let mut second = server(directory.path(), &[ANY_PORT]);
    second.arg("--daemon");
    assert!(complaint(second).ends_with("is in use by another process"));
    let pid = said.split_whitespace().nth(6).and_then(|word| word.trim_end_matches(';').parse().ok());
    let pid = pid.and_then(rustix::process::Pid::from_raw).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the daemon lives");
    let clean = directory.path().join(".kafka_cleanshutdown");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !clean.exists() {
        assert!(std::time::Instant::now() < deadline, "the daemon did not stop in good order");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
