//! The kafka-* command-line tools.
//!
//! One file or directory per command. Every tool is an ordinary Kafka client of the cluster that
//! `--bootstrap-server` names, so it works against Milena and Apache Kafka alike.
//! [`run`] is the only entry: the `milena` binary calls it by subcommand or by its own
//! file name (`kafka-topics`, `kafka-topics.sh`).
//!
//! What a command prints goes through [`terminal::Terminal`], so that tests can compare it with
//! recorded output; how options are read is in [`options`], what they have in common in [`session`].

pub mod failure;
pub mod java_format;
pub mod options;
pub mod schema_registry;
pub mod session;
pub mod table;
pub mod terminal;

mod acls;
mod broker_api_versions;
mod client_metrics;
mod cluster_tool;
mod configs;
mod console_consumer;
mod console_producer;
mod console_share_consumer;
mod consumer_groups;
mod consumer_perf_test;
mod delegation_tokens;
mod delete_records;
mod dump_log;
mod e2e_latency;
mod features;
mod get_offsets;
mod groups;
mod leader_election;
mod log_dirs;
mod metadata_quorum;
mod producer_perf_test;
mod progress;
mod reassign_partitions;
mod replica_verification;
mod schema_consoles;
mod share_groups;
mod storage;
mod streams_groups;
mod topics;
mod transactions;
mod verifiable_consumer;
mod verifiable_producer;

use std::ffi::OsString;
use std::process::ExitCode;

use failure::Failure;
use options::Args;
use terminal::Terminal;

/// What a finished command answers: its exit code, or why it stopped.
pub type Outcome = Result<u8, Failure>;

type Command = fn(Args, &mut Terminal) -> Outcome;

const COMMANDS: &[(&str, Command)] = &[
    ("kafka-acls", acls::run),
    ("kafka-avro-console-consumer", schema_consoles::avro_consumer),
    ("kafka-avro-console-producer", schema_consoles::avro_producer),
    ("kafka-broker-api-versions", broker_api_versions::run),
    ("kafka-client-metrics", client_metrics::run),
    ("kafka-cluster", cluster_tool::run),
    ("kafka-configs", configs::run),
    ("kafka-console-consumer", console_consumer::run),
    ("kafka-console-producer", console_producer::run),
    ("kafka-console-share-consumer", console_share_consumer::run),
    ("kafka-consumer-groups", consumer_groups::run),
    ("kafka-consumer-perf-test", consumer_perf_test::run),
    ("kafka-delegation-tokens", delegation_tokens::run),
    ("kafka-delete-records", delete_records::run),
    ("kafka-dump-log", dump_log::run),
    ("kafka-e2e-latency", e2e_latency::run),
    ("kafka-features", features::run),
    ("kafka-get-offsets", get_offsets::run),
    ("kafka-groups", groups::run),
    ("kafka-json-schema-console-consumer", schema_consoles::json_schema_consumer),
    ("kafka-json-schema-console-producer", schema_consoles::json_schema_producer),
    ("kafka-leader-election", leader_election::run),
    ("kafka-log-dirs", log_dirs::run),
    ("kafka-metadata-quorum", metadata_quorum::run),
    ("kafka-producer-perf-test", producer_perf_test::run),
    ("kafka-protobuf-console-consumer", schema_consoles::protobuf_consumer),
    ("kafka-protobuf-console-producer", schema_consoles::protobuf_producer),
    ("kafka-reassign-partitions", reassign_partitions::run),
    ("kafka-replica-verification", replica_verification::run),
    ("kafka-share-groups", share_groups::run),
    ("kafka-storage", storage::run),
    ("kafka-streams-groups", streams_groups::run),
    ("kafka-topics", topics::run),
    ("kafka-transactions", transactions::run),
    ("kafka-verifiable-consumer", verifiable_consumer::run),
    ("kafka-verifiable-producer", verifiable_producer::run),
];

/// Names of the tools that [`run`] knows, without `.sh`, sorted.
pub const TOOLS: &[&str] = &names::<_, { COMMANDS.len() }>(COMMANDS);

/// The names of commands, of which there are `N`.
pub const fn names<C, const N: usize>(commands: &[(&'static str, C)]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut index = 0;
    while index < N {
        names[index] = commands[index].0;
        index += 1;
    }
    names
}

/// Runs the tool called `tool_name` (with or without `.sh`) with `args`, which do not
/// contain the program's name, and returns the exit code of the original tool.
pub fn run(tool_name: &str, args: Vec<OsString>) -> ExitCode {
    let mut terminal = Terminal::standard();
    let args = args.into_iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    ExitCode::from(run_with(tool_name, args, &mut terminal))
}

/// As [`run`], with the output going to `terminal`.
pub fn run_with(tool_name: &str, args: Vec<String>, terminal: &mut Terminal) -> u8 {
    let name = tool_name.strip_suffix(".sh").unwrap_or(tool_name);
    let Some((_, command)) = COMMANDS.iter().find(|(known, _)| *known == name) else {
        terminal.error_line(&format!("{tool_name}: unknown tool; known tools are {}", TOOLS.join(", ")));
        return 1;
    };
    let code = match command(Args { tool: name.to_owned(), words: args }, terminal) {
        Ok(code) => code,
        Err(failure) => failure.report(name, terminal),
    };
    terminal.flush();
    code
}
