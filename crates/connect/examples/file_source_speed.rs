//! How fast the FileStream source makes records of a file: the source alone, without converters and without Kafka.
//!
//! ```text
//! cargo run --release -p milena-connect --example file_source_speed -- [megabytes] [bytes of a line]
//! ```
//!
//! Writes a file of its own, reads it once to warm the cache and three times against the clock, and prints the best.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use milena_connect::connectors::file::FileStreamSource;
use milena_connect::plugin::{Settings, Source as _, SourceTaskContext, TaskError, Waiting};
use milena_connect::record::SourceMap;
use milena_stdx::{Clock as _, SystemClock};

/// A worker that remembers nothing.
struct NoOffsets;

impl SourceTaskContext for NoOffsets {
    fn connector(&self) -> &str {
        "bench"
    }

    fn task(&self) -> usize {
        0
    }

    fn offsets<'a>(&'a self, _: Vec<SourceMap>) -> Waiting<'a, Result<Vec<(SourceMap, SourceMap)>, TaskError>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let megabytes = arguments.next().transpose()?.unwrap_or(1000);
    let line_bytes = arguments.next().transpose()?.unwrap_or(100).max(2);
    let path = std::env::temp_dir().join(format!("file-source-speed-{}", std::process::id()));
    let lines = megabytes * 1_000_000 / line_bytes;
    write(&path, lines, line_bytes)?;
    let mut best = f64::MAX;
    for _ in 0..4 {
        let seconds = read(&path, lines).await?;
        best = best.min(seconds);
    }
    std::fs::remove_file(&path)?;
    let bytes = (lines * line_bytes) as f64;
    println!("{:.0} MB/s, {:.0} lines/s of {line_bytes} bytes", bytes / best / 1e6, lines as f64 / best);
    Ok(())
}

fn write(path: &Path, lines: usize, line_bytes: usize) -> std::io::Result<()> {
    let mut file = BufWriter::new(std::fs::File::create(path)?);
    let mut line = vec![b'x'; line_bytes];
    line[line_bytes - 1] = b'\n';
    (0..lines).try_for_each(|_| file.write_all(&line))?;
    file.flush()
}

/// Seconds until all lines were polled.
async fn read(path: &Path, lines: usize) -> Result<f64, TaskError> {
    let settings: Settings = [("file", path.to_string_lossy().into_owned()), ("topic", "t".to_owned())]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    let mut task = FileStreamSource::new().task();
    task.start(&settings, Arc::new(NoOffsets)).await?;
    let started = SystemClock.monotonic();
    let mut polled = 0;
    while polled < lines {
        polled += task.poll().await?.len();
    }
    Ok(started.elapsed().as_secs_f64())
}
