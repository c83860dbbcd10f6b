//! The kafka-* command-line tools.
//!
//! One file per command. Every tool is an ordinary Kafka client of the cluster that
//! `--bootstrap-server` names, so it works against Milena and Apache Kafka alike.
//! [`run`] is the only entry: the `milena` binary calls it by subcommand or by its own
//! file name (`kafka-topics`, `kafka-topics.sh`).

use std::ffi::OsString;
use std::process::ExitCode;

/// Names of the tools that [`run`] knows, without `.sh`, sorted.
pub const TOOLS: &[&str] = &[
    "kafka-broker-api-versions",
    "kafka-cluster",
    "kafka-configs",
    "kafka-console-consumer",
    "kafka-console-producer",
    "kafka-consumer-groups",
    "kafka-consumer-perf-test",
    "kafka-delete-records",
    "kafka-dump-log",
    "kafka-e2e-latency",
    "kafka-get-offsets",
    "kafka-groups",
    "kafka-log-dirs",
    "kafka-producer-perf-test",
    "kafka-storage",
    "kafka-topics",
    "kafka-verifiable-consumer",
    "kafka-verifiable-producer",
];

/// Runs the tool called `tool_name` (with or without `.sh`) with `args`, which do not
/// contain the program's name, and returns the exit code of the original tool.
pub fn run(tool_name: &str, args: Vec<OsString>) -> ExitCode {
    let name = tool_name.strip_suffix(".sh").unwrap_or(tool_name);
    if !TOOLS.contains(&name) {
        eprintln!("{tool_name}: unknown tool; known tools are {}", TOOLS.join(", "));
        return ExitCode::FAILURE;
    }
    eprintln!("{name}: not available in this build ({} arguments ignored)", args.len());
    ExitCode::FAILURE
}
