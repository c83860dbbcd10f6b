//! One socket to a broker: version negotiation, pipelined requests, timeouts.
//!
//! A writer task owns the sending half and a reader task the receiving half, so a caller that
//! gives up (its future is dropped) never leaves half a frame behind. Requests leave in the
//! order in which they were sent; answers are matched by correlation id.
//!
//! The socket closes when the last clone of the [`Connection`] is dropped; when the broker
//! closes it, every waiting call ends with [`Error::Disconnected`].

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use milena_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use milena_protocol::{
    ApiKey, Chunk, Chunks, ErrorCode, Message as _, Reader, Request, RequestHeader, ResponseHeader, encode_request,
};

use crate::error::{Error, Result};

/// Requests that may wait for the socket before callers have to.
const SEND_QUEUE: usize = 64;
/// Frames up to this size are written with one system call, at the price of a copy.
const COALESCE_BYTES: usize = 64 * 1024;
/// Larger answers are refused: nothing this client asks for is that big.
const RESPONSE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// A connection to one broker; clones share the socket.
#[derive(Debug, Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Chunks>,
}

#[derive(Debug)]
struct Shared {
    address: String,
    client_id: String,
    request_timeout: Duration,
    correlation_id: AtomicI32,
    waiting: Arc<Waiting>,
    api_versions: ApiVersionsResponse,
}

/// Calls that wait for an answer; `None` once the socket is closed.
#[derive(Debug)]
struct Waiting(Mutex<Option<HashMap<i32, oneshot::Sender<Bytes>>>>);

impl Connection {
    /// Opens a socket to `host:port` and negotiates versions.
    ///
    /// # Errors
    /// [`Error::Connect`] when nobody listens there, [`Error::Timeout`] after `request_timeout`,
    /// and whatever the negotiation meets.
    pub async fn connect(host: &str, port: u16, client_id: &str, request_timeout: Duration) -> Result<Connection> {
        let address = format!("{host}:{port}");
        let opening = TcpStream::connect((host, port));
        let stream = within(request_timeout, "connecting", opening)
            .await?
            .map_err(|source| Error::Connect { address: address.clone(), source })?;
        stream.set_nodelay(true).map_err(|source| Error::Connect { address: address.clone(), source })?;
        let (reader, writer) = stream.into_split();
        let waiting = Arc::new(Waiting(Mutex::new(Some(HashMap::new()))));
        let (outgoing, queue) = mpsc::channel(SEND_QUEUE);
        tokio::spawn(write_frames(writer, queue, Arc::clone(&waiting)));
        tokio::spawn(read_frames(reader, Arc::clone(&waiting)));
        let mut shared = Shared {
            address,
            client_id: client_id.to_owned(),
            request_timeout,
            correlation_id: AtomicI32::new(0),
            waiting,
            api_versions: ApiVersionsResponse::default(),
        };
        shared.api_versions = negotiate(&shared, &outgoing).await?;
        Ok(Connection { shared: Arc::new(shared), outgoing })
    }

    /// `host:port` as it was connected to.
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// The broker's answer to ApiVersions.
    pub fn api_versions(&self) -> &ApiVersionsResponse {
        &self.shared.api_versions
    }

    /// Whether the socket is known to be closed.
    pub fn is_closed(&self) -> bool {
        self.shared.waiting.lock().is_none() || self.outgoing.is_closed()
    }

    /// The highest version of `R` that both sides speak.
    pub fn version_of<R: Request>(&self) -> Option<i16> {
        let key = R::KEY as i16;
        let range = self.shared.api_versions.api_keys.iter().find(|range| range.api_key == key)?;
        let version = range.max_version.min(R::MAX_VERSION);
        (version >= range.min_version.max(R::MIN_VERSION)).then_some(version)
    }

    /// Sends `request` in the highest common version and waits for the answer.
    ///
    /// # Errors
    /// [`Error::UnsupportedVersion`], [`Error::Timeout`], [`Error::Disconnected`], or a malformed answer.
    /// Error codes inside the answer are the caller's business.
    pub async fn send<R: Request>(&self, request: &R) -> Result<R::Response> {
        self.send_with_timeout(request, self.shared.request_timeout).await
    }

    /// Like [`Connection::send`] for requests that the broker may hold back, such as JoinGroup.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_with_timeout<R: Request>(&self, request: &R, timeout: Duration) -> Result<R::Response> {
        let version = self.version_of::<R>().ok_or(Error::UnsupportedVersion { api: R::KEY.name() })?;
        self.send_version(request, version, timeout).await
    }

    /// Like [`Connection::send`], but in no higher version than `version_max`: for APIs whose newest
    /// versions name topics by id where the caller has names.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_up_to<R: Request>(&self, request: &R, version_max: i16) -> Result<R::Response> {
        let version = self.version_of::<R>().ok_or(Error::UnsupportedVersion { api: R::KEY.name() })?;
        self.send_version(request, version.min(version_max), self.shared.request_timeout).await
    }

    /// Sends `request` in exactly `version`.
    ///
    /// # Errors
    /// As [`Connection::send`].
    pub async fn send_version<R: Request>(&self, request: &R, version: i16, timeout: Duration) -> Result<R::Response> {
        let frame = call(&self.shared, &self.outgoing, request, version, timeout).await?;
        decode_response(frame, R::KEY, version)
    }

    /// Queues `request` now and returns a future for its answer, so that requests sent from one
    /// task keep their order while several of them are under way.
    ///
    /// # Errors
    /// [`Error::UnsupportedVersion`], [`Error::Disconnected`] or [`Error::Encode`] at once;
    /// the future fails as [`Connection::send`].
    pub async fn pipeline<R: Request>(
        &self,
        request: &R,
        version_max: i16,
        timeout: Duration,
    ) -> Result<impl Future<Output = Result<R::Response>> + Send + use<R>> {
        let version = self.version_of::<R>().ok_or(Error::UnsupportedVersion { api: R::KEY.name() })?.min(version_max);
        let answer = enqueue(&self.shared, &self.outgoing, request, version).await?;
        let shared = Arc::clone(&self.shared);
        // The sender is kept until the answer is in, or the writer would take the connection for abandoned.
        let outgoing = self.outgoing.clone();
        Ok(async move {
            let frame = answer_of(&shared, answer, R::KEY.name(), timeout).await;
            drop(outgoing);
            decode_response(frame?, R::KEY, version)
        })
    }

    /// Sends a request that has no answer: a produce with `acks=0`.
    ///
    /// # Errors
    /// [`Error::UnsupportedVersion`], [`Error::Disconnected`] or [`Error::Encode`].
    pub async fn send_unanswered<R: Request>(&self, request: &R, version_max: i16) -> Result<()> {
        let version = self.version_of::<R>().ok_or(Error::UnsupportedVersion { api: R::KEY.name() })?.min(version_max);
        let correlation_id = self.shared.correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = encode_request(&header::<R>(&self.shared, version, correlation_id), request)?;
        self.outgoing.send(frame).await.map_err(|_| self.shared.disconnected())
    }
}

impl Shared {
    fn disconnected(&self) -> Error {
        Error::Disconnected { address: self.address.clone() }
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<i32, oneshot::Sender<Bytes>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().take();
    }
}

/// Asks for the broker's versions; steps down when the broker does not know ours (KIP-511).
async fn negotiate(shared: &Shared, outgoing: &mpsc::Sender<Chunks>) -> Result<ApiVersionsResponse> {
    let request = ApiVersionsRequest {
        client_software_name: "milena".to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    let mut version = 4.min(ApiVersionsRequest::MAX_VERSION);
    loop {
        let frame = call(shared, outgoing, &request, version, shared.request_timeout).await?;
        // A broker that does not know the version answers in version 0, with the code in front.
        let refused = frame.len() >= 6 && frame[4..6] == (ErrorCode::UnsupportedVersion as i16).to_be_bytes();
        let response: ApiVersionsResponse =
            decode_response(frame, ApiKey::ApiVersions, if refused { 0 } else { version })?;
        if !refused {
            Error::check(response.error_code, None)?;
            return Ok(response);
        }
        let known = response.api_keys.iter().find(|range| range.api_key == ApiKey::ApiVersions as i16);
        let next = known.map_or(0, |range| range.max_version).min(version - 1);
        if next < 0 {
            return Err(Error::UnsupportedVersion { api: "ApiVersions" });
        }
        version = next;
    }
}

fn header<R: Request>(shared: &Shared, api_version: i16, correlation_id: i32) -> RequestHeader {
    RequestHeader { api_key: R::KEY as i16, api_version, correlation_id, client_id: Some(shared.client_id.clone()) }
}

async fn call<R: Request>(
    shared: &Shared,
    outgoing: &mpsc::Sender<Chunks>,
    request: &R,
    version: i16,
    timeout: Duration,
) -> Result<Bytes> {
    let answer = enqueue(shared, outgoing, request, version).await?;
    answer_of(shared, answer, R::KEY.name(), timeout).await
}

async fn enqueue<R: Request>(
    shared: &Shared,
    outgoing: &mpsc::Sender<Chunks>,
    request: &R,
    version: i16,
) -> Result<oneshot::Receiver<Bytes>> {
    let correlation_id = shared.correlation_id.fetch_add(1, Ordering::Relaxed);
    let frame = encode_request(&header::<R>(shared, version, correlation_id), request)?;
    let (sender, answer) = oneshot::channel();
    match shared.waiting.lock().as_mut() {
        Some(waiting) => waiting.insert(correlation_id, sender),
        None => return Err(shared.disconnected()),
    };
    outgoing.send(frame).await.map_err(|_| shared.disconnected())?;
    Ok(answer)
}

async fn answer_of(shared: &Shared, answer: oneshot::Receiver<Bytes>, api: &str, timeout: Duration) -> Result<Bytes> {
    within(timeout, api, answer).await?.map_err(|_| shared.disconnected())
}

async fn within<T>(timeout: Duration, what: &str, future: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(timeout, future)
        .await
        .map_err(|_| Error::Timeout { what: what.to_owned(), after_ms: timeout.as_millis() })
}

fn decode_response<M: milena_protocol::Message>(frame: Bytes, key: ApiKey, version: i16) -> Result<M> {
    let mut reader = Reader::new(frame);
    ResponseHeader::decode(&mut reader, key, version)?;
    Ok(M::decode(&mut reader, version)?)
}

async fn write_frames(mut socket: OwnedWriteHalf, mut queue: mpsc::Receiver<Chunks>, waiting: Arc<Waiting>) {
    let mut scratch = BytesMut::new();
    while let Some(frame) = queue.recv().await {
        if let Err(error) = write_frame(&mut socket, frame, &mut scratch).await {
            tracing::debug!(%error, "socket closed while writing");
            break;
        }
    }
    waiting.close();
    let _ = socket.shutdown().await;
}

async fn write_frame(socket: &mut OwnedWriteHalf, frame: Chunks, scratch: &mut BytesMut) -> io::Result<()> {
    if frame.len > COALESCE_BYTES {
        for chunk in frame.chunks {
            match chunk {
                Chunk::Bytes(bytes) => socket.write_all(&bytes).await?,
                Chunk::File(range) => socket.write_all(&range.to_bytes()?).await?,
            }
        }
        return Ok(());
    }
    scratch.clear();
    for chunk in frame.chunks {
        match chunk {
            Chunk::Bytes(bytes) => scratch.extend_from_slice(&bytes),
            Chunk::File(range) => scratch.extend_from_slice(&range.to_bytes()?),
        }
    }
    socket.write_all(scratch).await
}

async fn read_frames(mut socket: OwnedReadHalf, waiting: Arc<Waiting>) {
    let mut input = BytesMut::with_capacity(COALESCE_BYTES);
    loop {
        match read_frame(&mut socket, &mut input).await {
            Ok(Some((correlation_id, frame))) => {
                let sender = waiting.lock().as_mut().and_then(|waiting| waiting.remove(&correlation_id));
                // A missing sender means that the caller stopped waiting.
                if let Some(sender) = sender {
                    let _ = sender.send(frame);
                }
            }
            Ok(None) => break,
            Err(error) => {
                tracing::debug!(%error, "socket closed while reading");
                break;
            }
        }
    }
    waiting.close();
}

/// Reads one frame without its length; `None` at the end of the stream.
async fn read_frame(socket: &mut OwnedReadHalf, input: &mut BytesMut) -> io::Result<Option<(i32, Bytes)>> {
    loop {
        if let Some(prefix) = input.first_chunk::<4>() {
            let length = usize::try_from(i32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
            if !(4..=RESPONSE_BYTES_MAX).contains(&length) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "absurd response size"));
            }
            if input.len() >= 4 + length {
                let _prefix = input.split_to(4);
                let frame = input.split_to(length).freeze();
                let correlation_id = i32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]);
                return Ok(Some((correlation_id, frame)));
            }
            input.reserve(4 + length - input.len());
        } else {
            input.reserve(COALESCE_BYTES);
        }
        if socket.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}
