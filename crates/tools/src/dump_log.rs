//! kafka-dump-log: what is inside the files of a log directory, without a cluster.
//!
//! Reads data files, offset, time and transaction indexes, producer snapshots and leader epochs, of Milena and of
//! Apache Kafka alike: the formats are the same. Indexes are compared with the data file beside them; what does not fit
//! is reported on standard error after the dump.
//!
//! - not decoded: the records of `__cluster_metadata` and of tiered storage, which Milena does not write
//! - decoder classes other than Kafka's string decoder need a JVM and are refused

mod coordinator_records;
mod data_file;
mod findings;
mod indexes;

use std::io;
use std::path::{Path, PathBuf};

use milena_log::dump::{self, FileKind, ProducerEntry};

use crate::Outcome;
use crate::failure::Failure;
use crate::options::{Args, Opt, Parsed, Syntax};
use crate::terminal::Terminal;

use coordinator_records::RecordDecoder;
use findings::Findings;

const SYNTAX: Syntax = Syntax {
    purpose: "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment.",
    options: &[
        Opt::one(
            "files",
            "file1, file2, ...",
            "REQUIRED: The comma separated list of data and index log files to be dumped.",
        ),
        Opt::flag("print-data-log", "Print the content of the records too. Set automatically by every decoder."),
        Opt::flag("deep-iteration", "Print every record, not only the batches. Set automatically by --print-data-log."),
        Opt::flag("verify-index-only", "Compare the index with the log without printing its content."),
        Opt::flag("index-sanity-check", "Only check what a broker checks when it opens the index."),
        Opt::one("max-message-size", "size", "Accepted; batches of any size are read."),
        Opt::one("max-bytes", "size", "Read at most this many bytes of each .log file. (default: 2147483647)"),
        Opt::flag("skip-record-metadata", "Print only keys and payloads of the records, and no control records."),
        Opt::flag("offsets-decoder", "Parse the records as those of the __consumer_offsets topic."),
        Opt::flag("transaction-log-decoder", "Parse the records as those of the __transaction_state topic."),
        Opt::flag("share-group-state-decoder", "Parse the records as those of the __share_group_state topic."),
        Opt::flag("cluster-metadata-decoder", "Parse the records as cluster metadata: not supported."),
        Opt::flag("remote-log-metadata-decoder", "Parse the records as metadata of tiered storage: not supported."),
        Opt::optional("key-decoder-class", "class", "How to print keys: only Kafka's StringDecoder."),
        Opt::optional("value-decoder-class", "class", "How to print values: only Kafka's StringDecoder."),
    ],
};

/// Runs the tool.
pub fn run(args: Args, terminal: &mut Terminal) -> Outcome {
    let Some(parsed) = SYNTAX.parse(args, terminal)? else { return Ok(0) };
    let options = Options::read(&parsed)?;
    let mut dump = Dump { options, terminal, findings: Findings::default(), damaged: false };
    let result = parsed.required("files")?.split(',').try_for_each(|name| dump.file(Path::new(name.trim())));
    let Dump { terminal, findings, damaged, .. } = dump;
    result?;
    findings.report(terminal);
    Ok(u8::from(damaged))
}

/// What to print of each file.
struct Options {
    /// How to print keys and payloads; `None`: not at all.
    content: Option<RecordDecoder>,
    /// Print records, not only batches.
    deep: bool,
    skip_record_metadata: bool,
    verify_only: bool,
    sanity_only: bool,
    bytes_max: Option<u64>,
}

impl Options {
    fn read(parsed: &Parsed) -> Result<Options, Failure> {
        let content = content(parsed)?;
        Ok(Options {
            deep: content.is_some() || parsed.has("deep-iteration"),
            content,
            skip_record_metadata: parsed.has("skip-record-metadata"),
            verify_only: parsed.has("verify-index-only"),
            sanity_only: parsed.has("index-sanity-check"),
            bytes_max: parsed.number("max-bytes")?.filter(|limit| *limit != i32::MAX as u64),
        })
    }
}

fn content(parsed: &Parsed) -> Result<Option<RecordDecoder>, Failure> {
    for (option, what) in [
        ("cluster-metadata-decoder", "records of __cluster_metadata"),
        ("remote-log-metadata-decoder", "metadata of tiered storage"),
    ] {
        if parsed.has(option) {
            return Err(unsupported(format!("--{option} is not supported: this tool does not decode {what}.")));
        }
    }
    let mut decoder = parsed.has("print-data-log").then_some(RecordDecoder::Text);
    for option in ["key-decoder-class", "value-decoder-class"] {
        match parsed.value(option) {
            Some(class) if !class.ends_with(".StringDecoder") => {
                return Err(unsupported(format!(
                    "--{option} {class} is not supported: only Kafka's StringDecoder is available."
                )));
            }
            _ if parsed.has(option) => decoder = Some(RecordDecoder::Text),
            _ => {}
        }
    }
    let named = [
        ("offsets-decoder", RecordDecoder::Offsets),
        ("transaction-log-decoder", RecordDecoder::Transactions),
        ("share-group-state-decoder", RecordDecoder::ShareGroupState),
    ];
    Ok(named.into_iter().find(|(option, _)| parsed.has(option)).map(|(_, named)| named).or(decoder))
}

fn unsupported(message: String) -> Failure {
    Failure::Exception { class: "java.lang.UnsupportedOperationException", message }
}

/// One run of the tool.
struct Dump<'a> {
    options: Options,
    terminal: &'a mut Terminal,
    findings: Findings,
    /// Some records could not be read.
    damaged: bool,
}

impl Dump<'_> {
    fn file(&mut self, path: &Path) -> Result<(), Failure> {
        self.terminal.line(&format!("Dumping {}", path.display()));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let dumped = match dump::identify(path) {
            _ if name == data_file::BOOTSTRAP_SNAPSHOT => self.data_file(path, 0),
            Some((FileKind::Log, base_offset)) => self.data_file(path, base_offset),
            Some((FileKind::OffsetIndex, base_offset)) => self.offset_index(path, base_offset),
            Some((FileKind::TimeIndex, base_offset)) => self.time_index(path, base_offset),
            Some((FileKind::TransactionIndex, _)) => self.transaction_index(path),
            Some((FileKind::ProducerSnapshot, _)) => self.producer_snapshot(path),
            Some((FileKind::LeaderEpochs, _)) => self.leader_epochs(path),
            None => {
                self.terminal.error_line(&format!("Ignoring unknown file {}", path.display()));
                return Ok(());
            }
        };
        dumped.map_err(|error| io_failure(path, &error))
    }

    fn transaction_index(&mut self, path: &Path) -> io::Result<()> {
        for entry in dump::transaction_index(path)? {
            self.terminal.line(&format!(
                "version: 0 producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
                entry.producer_id, entry.first_offset, entry.last_offset, entry.last_stable_offset
            ));
        }
        Ok(())
    }

    fn producer_snapshot(&mut self, path: &Path) -> io::Result<()> {
        match dump::producer_snapshot(path) {
            Ok(producers) => producers.iter().for_each(|(producer_id, entry)| self.producer(*producer_id, entry)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => self.terminal.error_line(&error.to_string()),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn producer(&mut self, producer_id: i64, entry: &ProducerEntry) {
        let mut line = format!(
            "producerId: {producer_id} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {} lastTimestamp: {}",
            entry.producer_epoch,
            entry.coordinator_epoch,
            optional_long(entry.current_txn_first_offset),
            entry.last_timestamp
        );
        if let Some(batch) = entry.batches.front() {
            line.push_str(&format!(
                " firstSequence: {} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                batch.first_sequence(),
                batch.last_sequence,
                batch.last_offset,
                batch.offset_delta,
                batch.timestamp
            ));
        }
        self.terminal.line(&line);
    }

    fn leader_epochs(&mut self, path: &Path) -> io::Result<()> {
        for entry in dump::leader_epochs(path)? {
            self.terminal.line(&format!("leaderEpoch: {} startOffset: {}", entry.leader_epoch, entry.start_offset));
        }
        Ok(())
    }
}

/// An `OptionalLong` as Java prints it.
fn optional_long(value: Option<i64>) -> String {
    value.map_or_else(|| "OptionalLong.empty".to_owned(), |value| format!("OptionalLong[{value}]"))
}

fn io_failure(path: &Path, error: &io::Error) -> Failure {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::Exception { class: "java.nio.file.NoSuchFileException", message: path.to_string() }
        }
        _ => Failure::io(format!("{path}: {error}")),
    }
}

/// The file of the same segment as `path` with another suffix.
fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digits = name.split('.').next().unwrap_or_default();
    path.with_file_name(format!("{digits}.{suffix}"))
}

#[cfg(test)]
mod tests;
