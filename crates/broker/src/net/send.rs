//! Responses out: gathered writes for memory, `sendfile` for ranges of log segments.
//!
//! But for small ranges record data never passes through user space on its way out. Pages that are not in the page cache would block the
//! thread inside `sendfile`; they are probed with a non-blocking read first and fetched by the blocking pool.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf as _, Bytes};
use milena_protocol::{Chunk, Chunks, FileRange};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::Interest;
use tokio::task::JoinHandle;

use super::connection::Socket;
use super::tls::{FILE_PIECE_BYTES, TlsSession};

/// Pieces of memory handed to one gathered write.
const GATHER_MAX: usize = 32;
/// File ranges up to this size are read and gathered with their neighbours: one packet instead of three, and one system
/// call instead of one a partition.
const INLINE_RANGE_BYTES: usize = 16 * 1024;
/// Memory that the inlined ranges of one response may take.
const INLINE_TOTAL_BYTES: usize = 256 * 1024;
/// How much of a file is probed and sent at once.
const WINDOW_BYTES: usize = 512 * 1024;

/// How much is encrypted before the socket is asked to take it.
const ENCRYPT_AHEAD_BYTES: usize = 256 * 1024;

/// A response on its way to the socket. Keeps its progress, so sending may be interrupted and continued.
pub(super) struct Sending {
    chunks: VecDeque<Chunk>,
    /// Whether small file ranges have been read into memory.
    inlined: bool,
    /// Bytes of the front file range, from its position on, known to be in the page cache.
    warm_bytes: usize,
    warming: Option<JoinHandle<io::Result<()>>>,
}

impl Sending {
    pub(super) fn new(chunks: Chunks) -> Sending {
        Sending { chunks: chunks.chunks.into(), inlined: false, warm_bytes: 0, warming: None }
    }

    /// Bytes of memory (not files) still to be sent.
    pub(super) fn memory_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| if let Chunk::Bytes(bytes) = chunk { bytes.len() } else { 0 }).sum()
    }

    /// Sends the rest of the response.
    pub(super) async fn send(&mut self, socket: &Socket) -> io::Result<()> {
        if let Some(tls) = socket.tls() {
            return self.send_encrypted(socket, tls).await;
        }
        if !self.inlined {
            self.inlined = true;
            self.inline_small_ranges();
        }
        while let Some(chunk) = self.chunks.front() {
            let sent = match chunk {
                Chunk::Bytes(_) => self.send_memory(socket)?,
                Chunk::File(range) if range.len == 0 => Some(0),
                Chunk::File(_) => self.send_file(socket).await?,
            };
            match sent {
                Some(bytes) => self.advance(bytes),
                None => socket.writable().await?,
            }
            socket.touch();
        }
        Ok(())
    }

    /// Sends the rest of the response through TLS: memory as it is, ranges of files piece by piece.
    async fn send_encrypted(&mut self, socket: &Socket, tls: &TlsSession) -> io::Result<()> {
        loop {
            if !tls.flush(socket.stream())? {
                socket.writable().await?;
                continue;
            }
            socket.touch();
            let mut room = ENCRYPT_AHEAD_BYTES;
            while room > 0 {
                let encrypted = match self.chunks.front() {
                    None => break,
                    Some(Chunk::Bytes(bytes)) => {
                        let length = bytes.len().min(room);
                        tls.encrypt(&bytes[..length])?;
                        length
                    }
                    Some(Chunk::File(range)) if range.len == 0 => 0,
                    Some(Chunk::File(_)) => {
                        self.warm_up().await?;
                        self.encrypt_file(tls, room)?
                    }
                };
                room -= encrypted;
                self.advance(encrypted);
            }
            if room == ENCRYPT_AHEAD_BYTES {
                return Ok(());
            }
        }
    }

    fn encrypt_file(&self, tls: &TlsSession, room: usize) -> io::Result<usize> {
        let Some(Chunk::File(range)) = self.chunks.front() else { return Ok(0) };
        let length = range.len.min(self.warm_bytes).min(room).min(FILE_PIECE_BYTES);
        tls.encrypt_file(range, length)?;
        Ok(length)
    }

    fn inline_small_ranges(&mut self) {
        let mut budget = INLINE_TOTAL_BYTES;
        for chunk in &mut self.chunks {
            if let Chunk::File(range) = chunk
                && range.len <= INLINE_RANGE_BYTES.min(budget)
                && let Some(bytes) = read_cached(range)
            {
                budget -= bytes.len();
                *chunk = Chunk::Bytes(bytes);
            }
        }
    }

    fn send_memory(&self, socket: &Socket) -> io::Result<Option<usize>> {
        let pieces = self.chunks.iter().take(GATHER_MAX).map_while(|chunk| match chunk {
            Chunk::Bytes(bytes) => Some(IoSlice::new(bytes)),
            Chunk::File(_) => None,
        });
        let pieces: Vec<IoSlice<'_>> = pieces.collect();
        // More follows: let the kernel fill whole packets although Nagle's algorithm is off.
        let flags = if pieces.len() < self.chunks.len() { SendFlags::MORE } else { SendFlags::empty() };
        would_block_is_none(socket.stream().try_io(Interest::WRITABLE, || {
            let sent = rustix::net::sendmsg(
                socket.stream(),
                &pieces,
                &mut SendAncillaryBuffer::default(),
                flags | SendFlags::NOSIGNAL,
            );
            Ok(sent?)
        }))
    }

    async fn send_file(&mut self, socket: &Socket) -> io::Result<Option<usize>> {
        self.warm_up().await?;
        let Some(Chunk::File(range)) = self.chunks.front() else { return Ok(Some(0)) };
        let window = range.len.min(self.warm_bytes);
        let mut position = range.position;
        let sent = would_block_is_none(socket.stream().try_io(Interest::WRITABLE, || {
            Ok(rustix::fs::sendfile(socket.stream(), &range.file, Some(&mut position), window)?)
        }))?;
        match sent {
            Some(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the segment is shorter than the response")),
            sent => Ok(sent),
        }
    }

    /// Makes sure that the next window of the front file range can be sent without waiting for a disk.
    async fn warm_up(&mut self) -> io::Result<()> {
        if let Some(warming) = &mut self.warming {
            let outcome = warming.await;
            self.warming = None;
            outcome.map_err(io::Error::other)??;
        }
        if self.warm_bytes > 0 {
            return Ok(());
        }
        let Some(Chunk::File(range)) = self.chunks.front() else { return Ok(()) };
        let window = range.len.min(WINDOW_BYTES);
        self.warm_bytes = window;
        if is_cached(range, window) {
            return Ok(());
        }
        let cold = FileRange { len: window, ..range.clone() };
        let warming = self.warming.insert(tokio::task::spawn_blocking(move || read_through(&cold)));
        let outcome = warming.await;
        self.warming = None;
        outcome.map_err(io::Error::other)?
    }

    fn advance(&mut self, mut bytes: usize) {
        while let Some(chunk) = self.chunks.front_mut() {
            match chunk {
                Chunk::Bytes(memory) if bytes < memory.len() => return memory.advance(bytes),
                Chunk::Bytes(memory) => bytes -= memory.len(),
                Chunk::File(range) => {
                    let sent = bytes.min(range.len);
                    range.position += sent as u64;
                    range.len -= sent;
                    self.warm_bytes = self.warm_bytes.saturating_sub(sent);
                    if range.len > 0 || sent < bytes {
                        return;
                    }
                    bytes = 0;
                    self.warm_bytes = 0;
                }
            }
            self.chunks.pop_front();
            if bytes == 0 {
                return;
            }
        }
    }
}

fn would_block_is_none(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The bytes of `range` if reading them needs no disk.
fn read_cached(range: &FileRange) -> Option<Bytes> {
    let mut buffer = vec![0; range.len];
    let slices = &mut [io::IoSliceMut::new(&mut buffer)];
    let read = rustix::io::preadv2(&range.file, slices, range.position, ReadWriteFlags::NOWAIT);
    (read == Ok(range.len)).then(|| Bytes::from(buffer))
}

/// Probes the first and the last byte; a file system without `RWF_NOWAIT` counts as cached.
fn is_cached(range: &FileRange, window: usize) -> bool {
    let last = range.position + window.saturating_sub(1) as u64;
    [range.position, last].into_iter().all(|position| {
        let mut byte = [0u8; 1];
        let probe =
            rustix::io::preadv2(&range.file, &mut [io::IoSliceMut::new(&mut byte)], position, ReadWriteFlags::NOWAIT);
        !matches!(probe, Err(Errno::AGAIN))
    })
}

/// Brings the range into the page cache by reading it.
fn read_through(range: &FileRange) -> io::Result<()> {
    let mut scratch = vec![0u8; 64 * 1024];
    let end = range.position + range.len as u64;
    let mut position = range.position;
    while position < end {
        let wanted = scratch.len().min((end - position) as usize);
        let read = rustix::io::pread(&range.file, &mut scratch[..wanted], position)?;
        if read == 0 {
            break;
        }
        position += read as u64;
    }
    Ok(())
}
