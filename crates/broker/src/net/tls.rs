//! TLS over a client's socket: what comes in is decrypted into the buffer of frames, what goes out is read from memory or
//! from a file, encrypted and written.
//!
//! No plaintext stays inside the session between two reads, so that readiness of the socket remains the only thing to wait
//! for. Ranges of files cannot be handed to the kernel here; they are read piece by piece.

use std::cell::RefCell;
use std::io::{self, IoSlice, Write as _};
use std::time::Duration;

use bytes::BytesMut;
use milena_protocol::FileRange;
use parking_lot::Mutex;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use rustls::ServerConnection;
use rustls::pki_types::CertificateDer;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::connection::Socket;

/// How long a client may take for the handshake.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// Bytes taken from the socket at once.
const READ_BYTES: usize = 64 * 1024;
/// Bytes of a file that are read and encrypted at once.
pub(super) const FILE_PIECE_BYTES: usize = 64 * 1024;

thread_local! {
    /// Ciphertext on its way in, or a piece of a file on its way out; never kept across an await.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES.max(FILE_PIECE_BYTES)]);
}

/// Why a client did not get past the handshake.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("the client took longer than {HANDSHAKE_MAX:?}")]
    TimedOut,
    #[error("the client closed the connection")]
    Closed,
    #[error("{0}")]
    Refused(rustls::Error),
    #[error("the client does not speak TLS")]
    NotTls,
    #[error("no rule of ssl.principal.mapping.rules fits the name in the client's certificate")]
    NoPrincipal,
    #[error("socket: {0}")]
    Socket(io::Error),
}

/// The TLS session of one connection.
pub(super) struct TlsSession {
    state: Mutex<State>,
}

struct State {
    connection: ServerConnection,
    peer_has_closed: bool,
}

impl TlsSession {
    pub(super) fn new(connection: ServerConnection) -> TlsSession {
        TlsSession { state: Mutex::new(State { connection, peer_has_closed: false }) }
    }

    /// Completes the handshake. Gives what the client has sent behind it already.
    pub(super) async fn handshake(&self, socket: &Socket) -> Result<BytesMut, HandshakeError> {
        match tokio::time::timeout(HANDSHAKE_MAX, self.handshake_steps(socket)).await {
            Err(_) => Err(HandshakeError::TimedOut),
            Ok(Ok(early)) => Ok(early),
            Ok(Err(error)) => {
                // The alert that says why. It may not leave, and the connection ends all the same.
                let _ = self.flush(socket.stream());
                Err(refine(error))
            }
        }
    }

    async fn handshake_steps(&self, socket: &Socket) -> io::Result<BytesMut> {
        let mut early = BytesMut::new();
        loop {
            while !self.flush(socket.stream())? {
                socket.writable().await?;
            }
            if !self.state.lock().connection.is_handshaking() {
                return Ok(early);
            }
            socket.readable().await?;
            if self.read_available(socket.stream(), &mut early, READ_BYTES)? == Some(0) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            socket.touch();
        }
    }

    /// The certificates that the client has shown, its own first.
    pub(super) fn peer_certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        self.state.lock().connection.peer_certificates().map(<[_]>::to_vec)
    }

    /// Decrypts what the socket has, about `room` bytes, into `buffer`; `None` when it has nothing, 0 at the end.
    pub(super) fn read_available(
        &self,
        stream: &TcpStream,
        buffer: &mut BytesMut,
        room: usize,
    ) -> io::Result<Option<usize>> {
        let mut state = self.state.lock();
        loop {
            if state.peer_has_closed {
                return Ok(Some(0));
            }
            let before = buffer.len();
            let wanted = room.clamp(READ_BYTES / 4, READ_BYTES);
            let Some((received, drained)) = SCRATCH.with_borrow_mut(|scratch| {
                let received = receive(stream, &mut scratch[..wanted])?;
                if let Some(received) = received {
                    state.decrypt(&scratch[..received], buffer)?;
                }
                io::Result::Ok(received.map(|received| (received, received < wanted)))
            })?
            else {
                return Ok(None);
            };
            // Answers of the protocol itself; what does not leave now leaves with the next response.
            state.flush(stream)?;
            match buffer.len() - before {
                0 if received == 0 => return Ok(Some(0)),
                0 if drained => return Ok(None),
                0 => {}
                decrypted => return Ok(Some(decrypted)),
            }
        }
    }

    /// Writes what is encrypted already; true when nothing is left of it.
    pub(super) fn flush(&self, stream: &TcpStream) -> io::Result<bool> {
        self.state.lock().flush(stream)
    }

    /// Encrypts bytes for the next [`TlsSession::flush`].
    pub(super) fn encrypt(&self, bytes: &[u8]) -> io::Result<()> {
        self.state.lock().connection.writer().write_all(bytes)
    }

    /// Encrypts the first `length` bytes of a file range, at most [`FILE_PIECE_BYTES`].
    pub(super) fn encrypt_file(&self, range: &FileRange, length: usize) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        SCRATCH.with_borrow_mut(|scratch| {
            let piece = &mut scratch[..length.min(FILE_PIECE_BYTES)];
            range.file.read_exact_at(piece, range.position)?;
            self.encrypt(piece)
        })
    }

    /// Tells the client that nothing more will come, if the socket takes it.
    pub(super) fn close(&self, stream: &TcpStream) {
        let mut state = self.state.lock();
        state.connection.send_close_notify();
        // The connection ends either way.
        let _ = state.flush(stream);
    }
}

impl State {
    fn decrypt(&mut self, mut ciphertext: &[u8], buffer: &mut BytesMut) -> io::Result<()> {
        use std::io::BufRead as _;
        while !ciphertext.is_empty() && !self.peer_has_closed {
            self.connection.read_tls(&mut ciphertext)?;
            let state = match self.connection.process_new_packets() {
                Ok(state) => state,
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            };
            let mut left = state.plaintext_bytes_to_read();
            buffer.reserve(left);
            while left > 0 {
                let mut reader = self.connection.reader();
                let piece = reader.fill_buf()?;
                let length = piece.len().min(left);
                if length == 0 {
                    break;
                }
                buffer.extend_from_slice(&piece[..length]);
                reader.consume(length);
                left -= length;
            }
            self.peer_has_closed = state.peer_has_closed();
        }
        Ok(())
    }

    fn flush(&mut self, stream: &TcpStream) -> io::Result<bool> {
        while self.connection.wants_write() {
            let written = stream.try_io(Interest::WRITABLE, || self.connection.write_tls(&mut Outgoing(stream)));
            match written {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Reads what the socket has. A short read proves that it is empty, so readiness is cleared at once.
fn receive(stream: &TcpStream, scratch: &mut [u8]) -> io::Result<Option<usize>> {
    let mut received = None;
    let result = stream.try_io(Interest::READABLE, || {
        let bytes = rustix::io::read(stream, &mut *scratch)?;
        received = Some(bytes);
        if bytes > 0 && bytes < scratch.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match result {
        Err(error) if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Err(error),
        _ => Ok(received),
    }
}

/// The socket as TLS writes to it: all records of a response in one system call.
struct Outgoing<'a>(&'a TcpStream);

impl io::Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::net::sendmsg(self.0, pieces, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn refine(error: io::Error) -> HandshakeError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return HandshakeError::Closed;
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)) => HandshakeError::NotTls,
        Some(refused) => HandshakeError::Refused(refused.clone()),
        None => HandshakeError::Socket(error),
    }
}
