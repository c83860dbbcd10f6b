//! The server: one connection, one thread, no more work than the words in the crate's head.
//!
//! It prints the port it listens on, answers one connection and prints the CPU seconds it used for it. The
//! first byte of the connection says what is measured.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};

/// First byte of a connection that sends frames.
pub const PRODUCE: u8 = b'p';
/// First byte of a connection that reads the files.
pub const CONSUME: u8 = b'c';
/// As Kafka's `segment.bytes`.
const SEGMENT_BYTES: u64 = 1 << 30;
/// Larger frames are a mistake of the driver.
const FRAME_BYTES_MAX: usize = 100 << 20;
/// Length, correlation id, result.
pub const REPLY: [u8; 12] = [0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0];

pub fn serve(dir: &Path) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut mode = [0];
    stream.read_exact(&mut mode)?;
    let before = cpu_seconds();
    match mode[0] {
        PRODUCE => receive(&mut stream, dir)?,
        CONSUME => send(&stream, dir)?,
        other => bail!("unknown mode {other}"),
    }
    println!("{}", cpu_seconds() - before);
    Ok(())
}

/// Reads frames until the sender closes, checksums them and writes them to segments.
fn receive(stream: &mut TcpStream, dir: &Path) -> anyhow::Result<()> {
    let mut frame = Vec::new();
    let mut segment = 0;
    let mut file = create(dir, segment)?;
    let mut position = 0;
    let mut checksum = 0u32;
    loop {
        let mut prefix = [0; 4];
        match stream.read_exact(&mut prefix) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            other => other?,
        }
        let length = u32::from_be_bytes(prefix) as usize;
        if length > FRAME_BYTES_MAX {
            bail!("a frame of {length} bytes");
        }
        frame.resize(length, 0);
        stream.read_exact(&mut frame)?;
        checksum ^= crc_fast::crc32_iscsi(&frame);
        if position + length as u64 > SEGMENT_BYTES {
            segment += 1;
            file = create(dir, segment)?;
            position = 0;
        }
        file.write_all_at(&frame, position)?;
        position += length as u64;
        stream.write_all(&REPLY)?;
    }
    // Used, so that the checksum cannot be optimised away.
    std::hint::black_box(checksum);
    Ok(())
}

/// Sends all segments without reading them.
fn send(stream: &TcpStream, dir: &Path) -> anyhow::Result<()> {
    for segment in 0.. {
        let Ok(file) = File::open(path(dir, segment)) else {
            break;
        };
        let mut left = file.metadata()?.len();
        while left > 0 {
            // As much as one fetch of one partition takes.
            let wanted = left.min(1 << 20) as usize;
            let sent = rustix::fs::sendfile(stream, &file, None, wanted)?;
            if sent == 0 {
                break;
            }
            left -= sent as u64;
        }
    }
    Ok(())
}

fn create(dir: &Path, segment: u32) -> anyhow::Result<File> {
    let path = path(dir, segment);
    File::create(&path).with_context(|| format!("cannot create {}", path.display()))
}

fn path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("floor-{segment:04}.log"))
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
