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
/// Room for the first read of a frame; most requests fit.
const FIRST_READ_BYTES: usize = 8 * 1024;
/// Up to here a frame gets its buffer at once; above it the buffer doubles as data arrives.
const TRUSTED_FRAME_BYTES: usize = 256 * 1024;
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
}

impl FrameReader {
    pub(super) fn new(max_frame_bytes: usize, memory: FrameMemory) -> FrameReader {
        FrameReader { buffer: BytesMut::new(), max_frame_bytes, memory, reservation: Reservation::default() }
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
            let room = self.make_room().await?;
            match read_available(socket, &mut self.buffer, room)? {
                Some(0) if self.buffer.is_empty() => return Ok(None),
                Some(0) => return Err(FrameError::Truncated),
                Some(_) => socket.touch(),
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
        Ok(Some(Frame { payload: frame.slice(LENGTH_BYTES..), memory: std::mem::take(&mut self.reservation) }))
    }

    fn announced_length(&self) -> Result<Option<usize>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let announced = i32::from_be_bytes(*prefix);
        match usize::try_from(announced) {
            Ok(length) if length <= self.max_frame_bytes => Ok(Some(length)),
            _ => Err(FrameError::Length { announced, limit: self.max_frame_bytes }),
        }
    }

    /// Makes room in the buffer and returns how many bytes the next read may take.
    ///
    /// Large frames are read exactly to their end, so that the next frame starts in a buffer of its own and nothing has
    /// to be moved.
    async fn make_room(&mut self) -> Result<usize, FrameError> {
        let Some(length) = self.announced_length()? else {
            self.buffer.reserve(FIRST_READ_BYTES - self.buffer.len());
            return Ok(FIRST_READ_BYTES);
        };
        let frame_bytes = LENGTH_BYTES + length;
        let missing = frame_bytes - self.buffer.len();
        let target = frame_bytes.min(TRUSTED_FRAME_BYTES.max(self.buffer.len() * 2));
        if target > UNCOUNTED_FRAME_BYTES {
            self.memory.grow(&mut self.reservation, target).await;
        }
        if target > self.buffer.len() {
            self.buffer.reserve(target - self.buffer.len());
        }
        Ok(if frame_bytes <= FIRST_READ_BYTES { FIRST_READ_BYTES } else { missing })
    }
}

/// Reads what the socket has, at most `room` bytes; `None` when it has nothing.
///
/// A short read proves that the socket is empty, so readiness is cleared at once instead of by a second, futile read.
fn read_available(socket: &Socket, buffer: &mut BytesMut, room: usize) -> io::Result<Option<usize>> {
    let room = room.min(buffer.capacity() - buffer.len());
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
