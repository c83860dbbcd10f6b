//! Frames in: a 4-byte length and that many bytes, cut out of the socket's stream without copying.
//!
//! - a length that is negative or above `socket.request.max.bytes` closes the connection
//! - the buffer grows as bytes arrive; an announced length reserves nothing
//! - between requests a connection holds no buffer, so idle connections are cheap

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::Interest;

use super::connection::Socket;
use super::memory::{FrameMemory, Reservation};

const LENGTH_BYTES: usize = 4;
/// How every TLS connection begins; as a length it would be more than 300 MB.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];
/// Room for the first read of a frame at least; most requests fit.
const FIRST_READ_BYTES: usize = 8 * 1024;
/// Room for a first read at most, and for every one after one that was filled: one system call takes several requests of a
/// client that pipelines.
const FLOWING_READ_BYTES: usize = 64 * 1024;
/// Up to here a frame gets its buffer at once.
const TRUSTED_FRAME_BYTES: usize = 64 * 1024;
/// Up to here it does when the connection's frame before was as large.
const REPEATED_FRAME_BYTES: usize = 2 * 1024 * 1024;
/// Above it the buffer grows by this factor when it is full: a frame of 1 MiB, as large as most clients make them, moves once.
const GROWTH: usize = 20;
/// Frames up to this size are not counted against the memory of all connections.
const UNCOUNTED_FRAME_BYTES: usize = 64 * 1024;

/// One request as it came from the socket, without its length.
pub(super) struct Frame {
    pub(super) payload: Bytes,
    /// Held until the request has been served.
    pub(super) memory: Reservation,
}

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("a frame of {announced} bytes was announced, at most {limit} are allowed")]
    Length { announced: i32, limit: usize },
    #[error("the client speaks TLS, but the listener does not")]
    Tls,
    #[error("the connection ended inside a frame")]
    Truncated,
    #[error("socket")]
    Socket(#[from] io::Error),
}

/// Cuts one connection's byte stream into frames.
pub(super) struct FrameReader {
    buffer: BytesMut,
    max_frame_bytes: usize,
    memory: FrameMemory,
    reservation: Reservation,
    /// The last read took all that it had room for, so more is likely to be there.
    flowing: bool,
    /// Size of the last frame: the next one is likely to be alike.
    last_frame_bytes: usize,
}

impl FrameReader {
    pub(super) fn new(max_frame_bytes: usize, memory: FrameMemory) -> FrameReader {
        let reservation = Reservation::default();
        let buffer = BytesMut::new();
        FrameReader { buffer, max_frame_bytes, memory, reservation, flowing: false, last_frame_bytes: 0 }
    }

    /// Puts bytes that were received already before everything else.
    pub(super) fn start_with(&mut self, received: BytesMut) {
        self.buffer = received;
    }

    /// The most bytes a frame may have.
    pub(super) fn max_frame_bytes(&self) -> usize {
        self.max_frame_bytes
    }

    /// Sets the most bytes a frame may have from now on.
    pub(super) fn set_max_frame_bytes(&mut self, max_frame_bytes: usize) {
        self.max_frame_bytes = max_frame_bytes;
    }

    /// The next frame, or `None` when the client closed the connection between two frames.
    pub(super) async fn next(&mut self, socket: &Socket) -> Result<Option<Frame>, FrameError> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Some(frame));
            }
            if self.buffer.is_empty() {
                self.buffer = BytesMut::new();
                socket.readable().await?;
            }
            let room = self.make_room().await?.min(self.buffer.capacity() - self.buffer.len());
            match read_available(socket, &mut self.buffer, room)? {
                Some(0) if self.buffer.is_empty() => return Ok(None),
                Some(0) => return Err(FrameError::Truncated),
                Some(received) => {
                    self.flowing = received == room;
                    socket.touch();
                }
                None => socket.readable().await?,
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some(length) = self.announced_length()? else { return Ok(None) };
        if self.buffer.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        let frame = self.buffer.split_to(LENGTH_BYTES + length).freeze();
        self.last_frame_bytes = frame.len();
        Ok(Some(Frame { payload: frame.slice(LENGTH_BYTES..), memory: std::mem::take(&mut self.reservation) }))
    }

    fn announced_length(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        match usize::try_from(announced) {
            Ok(length) if length <= self.max_frame_bytes => Ok(Some(length)),
            _ if prefix[..2] == TLS_HANDSHAKE => Err(FrameError::Tls),
            _ => Err(FrameError::Length { announced, limit: self.max_frame_bytes }),
        }
    }

    /// Makes room in the buffer and returns how many bytes the next read may take.
    ///
    /// Large frames are read exactly to their end, so that the next frame starts in a buffer of its own and nothing has
    /// to be moved.
    async fn make_room(&mut self) -> Result<usize, FrameError> {
        let ahead = self.first_read_bytes();
        let frame_bytes = self.announced_length()?.map_or(LENGTH_BYTES, |length| LENGTH_BYTES + length);
        if frame_bytes <= ahead {
            let missing = frame_bytes - self.buffer.len();
            // Little room would make for many small reads.
            if self.buffer.capacity() - self.buffer.len() < missing.max(FIRST_READ_BYTES / 2) {
                self.buffer.reserve(ahead - self.buffer.len());
            }
            return Ok(ahead);
        }
        let missing = frame_bytes - self.buffer.len();
        let trusted = self.last_frame_bytes.clamp(TRUSTED_FRAME_BYTES, REPEATED_FRAME_BYTES);
        let target = frame_bytes.min(trusted.max(self.buffer.len() * GROWTH));
        if target > UNCOUNTED_FRAME_BYTES {
            self.memory.grow(&mut self.reservation, target).await;
        }
        if target > self.buffer.len() {
            self.buffer.reserve(target - self.buffer.len());
        }
        Ok(missing)
    }

    /// Room for a read that does not know yet how long its frame is.
    ///
    /// A frame as long as the one before comes with one read, and some room is left over, which shows that the socket is
    /// empty. Where frames are large, little of the next one is read before it has its own buffer, because that has to move.
    fn first_read_bytes(&self) -> usize {
        match self.last_frame_bytes {
            large if large > FLOWING_READ_BYTES => FIRST_READ_BYTES,
            _ if self.flowing => FLOWING_READ_BYTES,
            last => (last + last / 4).clamp(FIRST_READ_BYTES, FLOWING_READ_BYTES),
        }
    }
}

/// Reads what the socket has, at most `room` bytes; `None` when it has nothing.
///
/// A short read proves that the socket is empty, so readiness is cleared at once instead of by a second, futile read.
fn read_available(socket: &Socket, buffer: &mut BytesMut, room: usize) -> io::Result<Option<usize>> {
    if let Some(tls) = socket.tls() {
        return tls.read_available(socket.stream(), buffer, room);
    }
    let mut received = None;
    let result = socket.stream().try_io(Interest::READABLE, || {
        let bytes = socket.stream().try_read_buf(&mut buffer.limit(room))?;
        received = Some(bytes);
        if bytes > 0 && bytes < room { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match result {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(received),
    }
}
