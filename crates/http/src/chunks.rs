//! A body that is written while it is sent.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The end that is written.
pub struct ChunkSender {
    chunks: mpsc::UnboundedSender<Chunk>,
    room: Arc<Semaphore>,
    bytes_max: usize,
}

struct Chunk {
    bytes: Bytes,
    /// Gives its room back when it is taken.
    _room: OwnedSemaphorePermit,
}

/// A body, and what writes it: at most about `bytes_max` bytes that the client has not taken.
pub fn chunks(bytes_max: usize) -> (ChunkSender, Body) {
    let (sender, chunks) = mpsc::unbounded_channel();
    let room = Arc::new(Semaphore::new(bytes_max));
    (ChunkSender { chunks: sender, room, bytes_max }, Body::new(Chunks(chunks)))
}

impl ChunkSender {
    /// Returns when the client is gone.
    pub async fn closed(&self) {
        self.chunks.closed().await;
    }

    /// Waits for room and sends; `false` when the client is gone.
    pub async fn send(&mut self, bytes: Bytes) -> bool {
        let size = u32::try_from(bytes.len().min(self.bytes_max)).unwrap_or(u32::MAX);
        let room = tokio::select! {
            room = self.room.clone().acquire_many_owned(size) => room,
            () = self.chunks.closed() => return false,
        };
        let Ok(room) = room else { return false };
        self.chunks.send(Chunk { bytes, _room: room }).is_ok()
    }
}

struct Chunks(mpsc::UnboundedReceiver<Chunk>);

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk.bytes))))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_writer_waits_for_its_reader_and_notices_when_that_is_gone() {
        let (mut sender, mut body) = chunks(4);
        assert!(sender.send(Bytes::from_static(b"abcd")).await);
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(20), sender.send(Bytes::from_static(b"e")));
        assert!(waiting.await.is_err(), "there was no room");
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "abcd");
        assert!(sender.send(Bytes::from_static(b"longer than the room")).await);
        drop(body);
        assert!(!sender.send(Bytes::from_static(b"f")).await);
    }
}
