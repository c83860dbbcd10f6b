//! One socket to a broker: TLS, login, version negotiation, pipelined requests, timeouts.
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
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{RwLock, RwLockReadGuard, mpsc, oneshot};

use milena_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use milena_protocol::{
    ApiKey, Chunk, Chunks, ErrorCode, Message as _, Reader, Request, RequestHeader, ResponseHeader, encode_request,
};

use crate::config::ClientConfig;
use crate::error::{Error, Result};
use crate::security::{Mechanism, Secured};

/// Requests that may wait for the socket before callers have to.
const SEND_QUEUE: usize = 64;
/// Frames up to this size are written with one system call, at the price of a copy.
const COALESCE_BYTES: usize = 64 * 1024;
/// Larger answers are refused: nothing this client asks for is that big.
const RESPONSE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// Which part of a limited session is used before the client authenticates again; at random, so that not all do at once.
const SESSION_USED: std::ops::Range<f64> = 0.85..0.95;

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
    /// How to authenticate, again when the broker limits the session (KIP-368).
    mechanism: Option<Arc<Mechanism>>,
    session: RwLock<Session>,
}

/// Requests are sent under the read lock: while the client authenticates anew nothing else may be said.
#[derive(Debug, Default)]
struct Session {
    authenticate_at: Option<Instant>,
}

/// Calls that wait for an answer.
#[derive(Debug)]
struct Waiting {
    /// `None` once the socket is closed.
    calls: Mutex<Option<HashMap<i32, oneshot::Sender<Bytes>>>>,
    /// Why it was closed, when TLS said so.
    reason: OnceLock<String>,
}

impl Connection {
    /// Opens a socket to `host:port`, encrypts it and logs in as `secured` says, and negotiates versions.
    ///
    /// # Errors
    /// [`Error::Connect`] when nobody listens there, [`Error::Timeout`] after `request_timeout`,
    /// [`Error::Authentication`] when a certificate or the login is refused, and whatever the negotiation meets.
    pub(crate) async fn connect(host: &str, port: u16, config: &ClientConfig, secured: &Secured) -> Result<Connection> {
        let address = format!("{host}:{port}");
        let timeout = config.request_timeout;
        let opening = TcpStream::connect((host, port));
        let stream = within(timeout, "connecting", opening)
            .await?
            .map_err(|source| Error::Connect { address: address.clone(), source })?;
        stream.set_nodelay(true).map_err(|source| Error::Connect { address: address.clone(), source })?;
        let waiting = Arc::new(Waiting { calls: Mutex::new(Some(HashMap::new())), reason: OnceLock::new() });
        let (outgoing, queue) = mpsc::channel(SEND_QUEUE);
        match &secured.tls {
            None => {
                let (reader, writer) = stream.into_split();
                tokio::spawn(write_frames(writer, queue, Arc::clone(&waiting)));
                tokio::spawn(read_frames(reader, Arc::clone(&waiting)));
            }
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|_| Error::Config(format!("{host} is not a name that a certificate can hold")))?;
                let handshake = tls.connector().connect(name, stream);
                let stream =
                    within(timeout, "the TLS handshake", handshake).await?.map_err(|error| {
                        match tls_refusal(&error) {
                            Some(message) => Error::Authentication { tls: true, message },
                            None => Error::Disconnected { address: address.clone() },
                        }
                    })?;
                let (reader, writer) = tokio::io::split(stream);
                tokio::spawn(write_frames(writer, queue, Arc::clone(&waiting)));
                tokio::spawn(read_frames(reader, Arc::clone(&waiting)));
            }
        }
        let mut shared = Shared {
            address,
            client_id: config.client_id.clone(),
            request_timeout: timeout,
            correlation_id: AtomicI32::new(0),
            waiting,
            api_versions: ApiVersionsResponse::default(),
            mechanism: secured.mechanism.clone(),
            session: RwLock::default(),
        };
        shared.api_versions = negotiate(&shared, &outgoing).await?;
        let connection = Connection { shared: Arc::new(shared), outgoing };
        if connection.shared.mechanism.is_some() {
            connection.authenticate().await?;
        }
        Ok(connection)
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
        let answer = {
            let _session = self.session().await?;
            enqueue(&self.shared, &self.outgoing, request, version).await?
        };
        let frame = answer_of(&self.shared, answer, R::KEY.name(), timeout).await?;
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
        let _session = self.session().await?;
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
        let _session = self.session().await?;
        let correlation_id = self.shared.correlation_id.fetch_add(1, Ordering::Relaxed);
        let frame = encode_request(&header::<R>(&self.shared, version, correlation_id), request)?;
        self.outgoing.send(frame).await.map_err(|_| self.shared.disconnected())
    }
}

/// Logging in.
impl Connection {
    /// The right to send: authenticates again first when the session is about to end.
    async fn session(&self) -> Result<RwLockReadGuard<'_, Session>> {
        loop {
            let session = self.shared.session.read().await;
            if session.authenticate_at.is_none_or(|at| Instant::now() < at) {
                return Ok(session);
            }
            drop(session);
            self.authenticate().await?;
        }
    }

    async fn authenticate(&self) -> Result<()> {
        let Some(mechanism) = self.shared.mechanism.clone() else { return Ok(()) };
        let mut session = self.shared.session.write().await;
        if session.authenticate_at.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        let handshake = SaslHandshakeRequest { mechanism: mechanism.name().to_owned() };
        let answer = self.call(&handshake, SaslHandshakeRequest::MAX_VERSION).await?;
        if let Err(Error::Api { code: ErrorCode::UnsupportedSaslMechanism, .. }) = Error::check(answer.error_code, None)
        {
            let message = format!(
                "Client SASL mechanism '{}' not enabled in the server, enabled mechanisms are [{}]",
                mechanism.name(),
                answer.mechanisms.join(", ")
            );
            return Err(Error::api(ErrorCode::UnsupportedSaslMechanism, Some(message)));
        }
        Error::check(answer.error_code, None)?;
        let lifetime_ms = self.exchange(&mechanism).await?;
        session.authenticate_at = u64::try_from(lifetime_ms)
            .ok()
            .filter(|ms| *ms > 0)
            .map(|ms| Instant::now() + Duration::from_millis(ms).mul_f64(rand::random_range(SESSION_USED)));
        Ok(())
    }

    /// Says what the mechanism has to say; how long the session may last in milliseconds, 0 for ever.
    async fn exchange(&self, mechanism: &Mechanism) -> Result<i64> {
        let mut exchange = mechanism.begin().await?;
        let (mut token, mut lifetime_ms) = (Bytes::new(), 0);
        while let Some(message) = exchange.step(&token)? {
            let request = SaslAuthenticateRequest { auth_bytes: message.into() };
            let version = self.version_of::<SaslAuthenticateRequest>().unwrap_or(0);
            let answer = self.call(&request, version).await?;
            Error::check(answer.error_code, answer.error_message.as_ref())?;
            lifetime_ms = answer.session_lifetime_ms;
            token = answer.auth_bytes;
        }
        Ok(lifetime_ms)
    }

    /// Sends outside the session.
    async fn call<R: Request>(&self, request: &R, version: i16) -> Result<R::Response> {
        let frame = call(&self.shared, &self.outgoing, request, version, self.shared.request_timeout).await?;
        decode_response(frame, R::KEY, version)
    }
}

impl Shared {
    fn disconnected(&self) -> Error {
        match self.waiting.reason.get() {
            Some(message) => Error::Authentication { tls: true, message: message.clone() },
            None => Error::Disconnected { address: self.address.clone() },
        }
    }
}

/// What TLS has against the other side, if it was that.
fn tls_refusal(error: &io::Error) -> Option<String> {
    let refusal = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(format!("SSL handshake failed: {refusal}"))
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<HashMap<i32, oneshot::Sender<Bytes>>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
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

async fn write_frames<W: AsyncWrite + Unpin>(mut socket: W, mut queue: mpsc::Receiver<Chunks>, waiting: Arc<Waiting>) {
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

async fn write_frame<W: AsyncWrite + Unpin>(socket: &mut W, frame: Chunks, scratch: &mut BytesMut) -> io::Result<()> {
    if frame.len > COALESCE_BYTES {
        for chunk in frame.chunks {
            match chunk {
                Chunk::Bytes(bytes) => socket.write_all(&bytes).await?,
                Chunk::File(range) => socket.write_all(&range.to_bytes()?).await?,
            }
        }
        return socket.flush().await;
    }
    scratch.clear();
    for chunk in frame.chunks {
        match chunk {
            Chunk::Bytes(bytes) => scratch.extend_from_slice(&bytes),
            Chunk::File(range) => scratch.extend_from_slice(&range.to_bytes()?),
        }
    }
    socket.write_all(scratch).await?;
    socket.flush().await
}

async fn read_frames<R: AsyncRead + Unpin>(mut socket: R, waiting: Arc<Waiting>) {
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
                if let Some(message) = tls_refusal(&error) {
                    let _ = waiting.reason.set(message);
                }
                break;
            }
        }
    }
    waiting.close();
}

/// Reads one frame without its length; `None` at the end of the stream.
async fn read_frame<R: AsyncRead + Unpin>(socket: &mut R, input: &mut BytesMut) -> io::Result<Option<(i32, Bytes)>> {
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
