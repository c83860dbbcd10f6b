//! The driver: sends frames as large as a producer's requests, or reads everything back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, ensure};

use crate::server::{CONSUME, PRODUCE, REPLY};

/// What is measured.
#[derive(clap::Args)]
pub struct Options {
    /// How much to send and to read, in GB (10^9 bytes).
    #[arg(long, default_value_t = 2.0)]
    gigabytes: f64,
    /// Bytes of a produce frame: a full librdkafka batch of 1 KiB records, and a Java producer's default batch.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000, 16_384])]
    frame_bytes: Vec<usize>,
    /// Where the files go; they are removed at the end.
    #[arg(long, default_value = "target/floor")]
    dir: PathBuf,
    /// Frames that may be unanswered, as `max.in.flight.requests.per.connection`.
    #[arg(long, default_value_t = 5)]
    in_flight: usize,
}

/// Bytes before the records in a produce-like frame: request header, topic, batch header.
const FRAME_HEADER_BYTES: usize = 121;
const RECORD_BYTES: usize = 1024;

pub fn measure(options: &Options) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.dir).with_context(|| format!("cannot create {}", options.dir.display()))?;
    let result = measure_all(options);
    std::fs::remove_dir_all(&options.dir)?;
    result
}

fn measure_all(options: &Options) -> anyhow::Result<()> {
    for &frame_bytes in &options.frame_bytes {
        let frames = (options.gigabytes * 1e9 / frame_bytes as f64).ceil() as usize;
        run("produce", &options.dir, frame_bytes, |stream| produce(stream, frame_bytes, frames, options.in_flight))?;
    }
    run("consume", &options.dir, 0, consume)
}

/// Starts a server, lets `drive` move bytes through it, and prints what the server used.
fn run(
    name: &str,
    dir: &Path,
    frame_bytes: usize,
    drive: impl FnOnce(TcpStream) -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    let mut server = Server::start(dir)?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port))?;
    stream.set_nodelay(true)?;
    let start = Instant::now();
    let gigabytes = drive(stream)? as f64 / 1e9;
    let seconds = start.elapsed().as_secs_f64();
    let cpu_seconds: f64 = server.line()?.parse()?;
    server.child.wait()?;
    println!(
        "{{\"floor\": \"{name}\", \"frame_bytes\": {frame_bytes}, \"gigabytes\": {gigabytes:.3}, \"seconds\": {seconds:.3}, \
         \"mb_per_second\": {:.0}, \"cpu_seconds_per_gb\": {:.4}}}",
        gigabytes * 1e3 / seconds,
        cpu_seconds / gigabytes
    );
    Ok(())
}

/// Sends frames with a bounded number unanswered; returns the bytes sent.
fn produce(mut stream: TcpStream, frame_bytes: usize, frames: usize, in_flight: usize) -> anyhow::Result<u64> {
    let frame = produce_like_frame(frame_bytes)?;
    stream.write_all(&[PRODUCE])?;
    let (send_permit, permits) = std::sync::mpsc::sync_channel(in_flight);
    let mut replies = stream.try_clone()?;
    let reader = thread::spawn(move || -> anyhow::Result<()> {
        let mut reply = REPLY;
        // One permit per frame sent; the channel's capacity bounds the frames without an answer.
        while permits.recv().is_ok() {
            replies.read_exact(&mut reply)?;
            ensure!(reply == REPLY, "an unexpected reply");
        }
        Ok(())
    });
    for _ in 0..frames {
        stream.write_all(&frame)?;
        if send_permit.send(()).is_err() {
            break;
        }
    }
    drop(send_permit);
    match reader.join() {
        Ok(result) => result?,
        Err(panic) => std::panic::resume_unwind(panic),
    }
    Ok((frames * frame_bytes) as u64)
}

/// A length prefix and pseudo-random records of 1 KiB; the content does not matter to the server.
fn produce_like_frame(frame_bytes: usize) -> anyhow::Result<Vec<u8>> {
    ensure!(frame_bytes >= FRAME_HEADER_BYTES + RECORD_BYTES, "a frame needs room for one record");
    let mut frame = Vec::with_capacity(4 + frame_bytes);
    frame.extend_from_slice(&u32::try_from(frame_bytes)?.to_be_bytes());
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    while frame.len() < 4 + frame_bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        frame.push(state as u8);
    }
    Ok(frame)
}

/// Reads until the server closes; returns the bytes read.
fn consume(mut stream: TcpStream) -> anyhow::Result<u64> {
    stream.write_all(&[CONSUME])?;
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(total),
            read => total += read as u64,
        }
    }
}

/// The second process of this program.
struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Server {
    fn start(dir: &Path) -> anyhow::Result<Server> {
        let mut child =
            Command::new(std::env::current_exe()?).arg("serve").arg("--dir").arg(dir).stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("the server has no output")?;
        let mut server = Server { child, output: BufReader::new(output), port: 0 };
        server.port = server.line()?.parse()?;
        Ok(server)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the server ended early");
        Ok(line.trim_end().to_owned())
    }
}
