//! The process as the operating system sees it, under the names that every Prometheus client library uses.

use std::fmt;

use super::encode::Page;

/// What `/proc` tells about this process.
pub(super) struct ProcessStatus {
    resident_bytes: u64,
    cpu_seconds: f64,
    threads: u64,
    open_files: u64,
}

impl ProcessStatus {
    /// Reads `/proc/self`; `None` where there is none.
    pub(super) fn read() -> Option<ProcessStatus> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program is in brackets and may contain anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        Some(ProcessStatus {
            cpu_seconds: (number(11)? + number(12)?) as f64 / ticks_per_second,
            threads: number(17)?,
            resident_bytes: number(21)? * rustix::param::page_size() as u64,
            open_files: std::fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        })
    }

    pub(super) fn encode(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge("process_resident_memory_bytes", "Resident memory size in bytes", self.resident_bytes as f64)?;
        page.gauge("process_threads", "Threads of the process", self.threads as f64)?;
        page.gauge("process_open_fds", "Open file descriptors", self.open_files as f64)?;
        page.counter("process_cpu_seconds", "User and system CPU time spent in seconds", self.cpu_seconds)
    }
}
