//! The floor: a program that only does what no broker can avoid.
//!
//! ```text
//! produce   socket ──read──► buffer ──CRC-32C──► write to a file ──► 12-byte reply
//! consume   file ──sendfile──► socket
//! ```
//!
//! `milena-floor` starts itself a second time as the server, drives it over loopback and prints one JSON line per
//! measurement with the server's CPU seconds per GB (10^9 bytes). Broker CPU in `bench/` is compared with it.
//!
//! Deliberately absent: decoding, offsets, indexes, fsync, threads.

mod driver;
mod server;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures the CPU time of socket, checksum and file alone.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Start a server, drive it, print its CPU seconds per GB.
    Measure(driver::Options),
    /// Serve one connection on a port of its own choice; `measure` starts this.
    #[command(hide = true)]
    Serve {
        /// Directory of the segment files.
        #[arg(long)]
        dir: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().mode {
        Mode::Measure(options) => driver::measure(&options),
        Mode::Serve { dir } => server::serve(&dir),
    }
}
