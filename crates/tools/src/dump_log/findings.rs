//! What does not fit together, collected while files are dumped and told at the end.

use std::path::Path;

use crate::terminal::Terminal;

/// Pairs of what an entry says and what is true, each list for one file.
#[derive(Debug, Default)]
struct PerFile(Vec<(String, Vec<(i64, i64)>)>);

impl PerFile {
    fn add(&mut self, path: &Path, pair: (i64, i64)) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()).display().to_string();
        match self.0.iter_mut().find(|(known, _)| *known == path) {
            Some((_, pairs)) => pairs.push(pair),
            None => self.0.push((path, vec![pair])),
        }
    }

    fn report(&self, terminal: &mut Terminal, heading: impl Fn(&str) -> String, line: impl Fn(i64, i64) -> String) {
        for (path, pairs) in &self.0 {
            terminal.error_line(&heading(path));
            for (first, second) in pairs {
                terminal.error_line(&format!("  {}", line(*first, *second)));
            }
        }
    }
}

/// Everything found in one run.
#[derive(Debug, Default)]
pub(super) struct Findings {
    index_mismatches: PerFile,
    timestamp_mismatches: PerFile,
    unordered_timestamps: PerFile,
    missing_offsets: PerFile,
    gaps: PerFile,
}

impl Findings {
    /// An offset index entry points to a batch that ends at another offset.
    pub fn index_mismatch(&mut self, path: &Path, index_offset: i64, log_offset: i64) {
        self.index_mismatches.add(path, (index_offset, log_offset));
    }

    /// A time index entry has another timestamp than the batch it names.
    pub fn timestamp_mismatch(&mut self, path: &Path, index_timestamp: i64, log_timestamp: i64) {
        self.timestamp_mismatches.add(path, (index_timestamp, log_timestamp));
    }

    /// A time index entry is not later than the one before it.
    pub fn unordered_timestamp(&mut self, path: &Path, timestamp: i64, previous: i64) {
        self.unordered_timestamps.add(path, (timestamp, previous));
    }

    /// No batch ends at the offset of a time index entry.
    pub fn missing_offset(&mut self, path: &Path, index_offset: i64, log_offset: i64) {
        self.missing_offsets.add(path, (index_offset, log_offset));
    }

    /// Two records follow each other whose offsets do not.
    pub fn gap(&mut self, path: &Path, first: i64, second: i64) {
        self.gaps.add(path, (first, second));
    }

    /// Prints all of it on standard error, in Kafka's words.
    pub fn report(&self, terminal: &mut Terminal) {
        self.index_mismatches.report(
            terminal,
            |path| format!("Mismatches in :{path}"),
            |index, log| format!("Index offset: {index}, log offset: {log}"),
        );
        self.timestamp_mismatches.report(
            terminal,
            |path| format!("Found timestamp mismatch in :{path}"),
            |index, log| format!("Index timestamp: {index}, log timestamp: {log}"),
        );
        self.unordered_timestamps.report(
            terminal,
            |path| format!("Found out of order timestamp in :{path}"),
            |index, previous| format!("Index timestamp: {index}, Previously indexed timestamp: {previous}"),
        );
        for (path, pairs) in &self.missing_offsets.0 {
            terminal.error_line(&format!("The following indexed offsets are not found in :{path}"));
            for (index, log) in pairs {
                terminal.error_line(&format!("Indexed offset: {index}, found log offset: {log}"));
            }
        }
        self.gaps.report(
            terminal,
            |path| format!("Non-consecutive offsets in {path}"),
            |first, second| format!("{first} is followed by {second}"),
        );
    }
}
