//! One client connection: frames in, dispatch, responses out, in one task.
//!
//! Requests are served strictly one after the other, which keeps the order of effects; while a request is parked (a
//! Fetch waiting for data, a JoinGroup waiting for members) earlier responses still leave.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::net::Shutdown;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::frame::{FrameError, FrameReader};
use super::responses::{ResponseQueue, SendError};
use super::tls::{HandshakeError, TlsSession};
use crate::api::{self, ClientConnection, DispatchError, Outcome};
use crate::context::Broker;
use crate::metrics::RequestTimer;
use crate::security::SecuredListener;
use crate::security::sasl::SaslSession;

/// A client's socket and when it was last of use.
pub(super) struct Socket {
    stream: TcpStream,
    tls: Option<TlsSession>,
    opened: Instant,
    last_active_ms: AtomicU64,
    busy: AtomicBool,
    stopping: AtomicBool,
    stopped: Notify,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, tls: Option<TlsSession>) -> Socket {
        Socket {
            stream,
            tls,
            opened: Instant::now(),
            last_active_ms: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            stopped: Notify::new(),
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The TLS session, on listeners with TLS.
    pub(super) fn tls(&self) -> Option<&TlsSession> {
        self.tls.as_ref()
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        poll_fn(|context| self.stream.poll_read_ready(context)).await
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        poll_fn(|context| self.stream.poll_write_ready(context)).await
    }

    /// Notes that bytes have moved.
    pub(super) fn touch(&self) {
        self.last_active_ms.store(self.opened.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// How long nothing has moved; zero while a request is being served.
    pub(super) fn idle(&self) -> Duration {
        if self.busy.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let last_active = Duration::from_millis(self.last_active_ms.load(Ordering::Relaxed));
        self.opened.elapsed().saturating_sub(last_active)
    }

    /// Ends the stream of requests; responses under way are still sent.
    pub(super) fn stop_reading(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.stopped.notify_one();
        // Fails only when the peer is gone already.
        let _ = rustix::net::shutdown(&self.stream, Shutdown::Read);
    }

    /// Waits until no further request is wanted.
    async fn stopped(&self) {
        self.stopped.notified().await;
    }

    /// Ends the connection; its task notices.
    pub(super) fn close(&self) {
        let _ = rustix::net::shutdown(&self.stream, Shutdown::Both);
    }
}

/// Why a connection was closed from this side.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Request(#[from] DispatchError),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error("a produce request with acks=0 failed")]
    SilentFailure,
}

/// Serves the connection until either side closes it.
pub(super) async fn serve(
    broker: Arc<Broker>,
    mut client: ClientConnection,
    secured: Option<Arc<SecuredListener>>,
    socket: Arc<Socket>,
    mut reader: FrameReader,
) {
    if let Some(secured) = secured
        && let Err(reason) = secure(&secured, &mut client, &socket, &mut reader).await
    {
        tracing::info!(
            target: "milena.authentication",
            peer = %client.peer, listener = %client.listener.name, %reason, "TLS handshake failed"
        );
        return socket.close();
    }
    if let Err(reason) = serve_requests(&broker, &client, &socket, reader).await {
        let (peer, listener, reason) = (client.peer, &client.listener.name, Chain(&reason));
        if reason.is_about_security() {
            tracing::info!(target: "milena.authentication", %peer, %listener, %reason, "connection closed");
        } else {
            tracing::debug!(%peer, %listener, %reason, "connection closed");
        }
    }
    if let Some(tls) = socket.tls() {
        tls.close(socket.stream());
    }
    client.closed.cancel();
    socket.close();
}

/// Completes the TLS handshake, if there is one, and prepares for SASL, if there will be one.
async fn secure(
    secured: &SecuredListener,
    client: &mut ClientConnection,
    socket: &Socket,
    reader: &mut FrameReader,
) -> Result<(), HandshakeError> {
    if let (Some(session), Some(listener)) = (socket.tls(), &secured.tls) {
        let early = session.handshake(socket).await?;
        reader.start_with(early);
        let principal = listener.principal(session.peer_certificates().as_deref());
        client.principal = Arc::new(principal.ok_or(HandshakeError::NoPrincipal)?);
    }
    client.sasl = secured.sasl.clone().map(|listener| Arc::new(SaslSession::new(listener)));
    Ok(())
}

async fn serve_requests(
    broker: &Arc<Broker>,
    client: &ClientConnection,
    socket: &Socket,
    mut reader: FrameReader,
) -> Result<(), Closed> {
    let mut responses = ResponseQueue::new(broker.clone(), client.clone());
    let usual_max_frame_bytes = reader.max_frame_bytes();
    while !socket.stopping.load(Ordering::Relaxed) {
        if let Some(sasl) = &client.sasl {
            reader.set_max_frame_bytes(sasl.max_frame_bytes().unwrap_or(usual_max_frame_bytes));
        }
        let frame = tokio::select! {
            biased;
            Err(error) = responses.pump(socket) => return Err(error.into()),
            frame = reader.next(socket) => frame?,
        };
        let Some(frame) = frame else { break };
        socket.busy.store(true, Ordering::Relaxed);
        let mut timer = RequestTimer::start(&frame.payload);
        client.flow.begin(frame.payload.len());
        let outcome = tokio::select! {
            biased;
            outcome = api::dispatch(broker, client, frame.payload) => outcome?,
            Err(error) = responses.pump(socket) => return Err(error.into()),
        };
        drop(frame.memory);
        socket.touch();
        socket.busy.store(false, Ordering::Relaxed);
        timer.local = client.flow.local();
        timer.throttle = Duration::from_millis(client.flow.throttle_ms().into());
        match outcome {
            Outcome::Respond(response) => responses.push(response, timer),
            Outcome::Later(response) => responses.push_later(response, timer),
            Outcome::Silent => responses.finished(&timer),
            Outcome::RespondAndClose(response) => {
                responses.push(response, timer);
                break;
            }
            Outcome::Close => return Err(Closed::SilentFailure),
        }
        responses.make_room(socket).await?;
        if !timer.throttle.is_zero() {
            mute(socket, &mut responses, timer.throttle).await?;
        }
    }
    Ok(responses.drain(socket).await?)
}

/// Reads nothing for as long as the client was told to pause (KIP-219); responses still leave.
async fn mute(socket: &Socket, responses: &mut ResponseQueue, pause: Duration) -> Result<(), SendError> {
    let until = tokio::time::Instant::now() + pause;
    socket.busy.store(true, Ordering::Relaxed);
    let outcome = tokio::select! {
        biased;
        () = socket.stopped() => Ok(()),
        () = tokio::time::sleep_until(until) => Ok(()),
        Err(error) = responses.pump(socket) => Err(error),
    };
    socket.touch();
    socket.busy.store(false, Ordering::Relaxed);
    outcome
}

/// An error with its causes on one line.
struct Chain<'a>(&'a Closed);

impl Chain<'_> {
    /// Whether an operator who looks for intruders or for misconfigured clients wants to know.
    fn is_about_security(&self) -> bool {
        matches!(
            self.0,
            Closed::Request(
                DispatchError::NotAuthenticated(_)
                    | DispatchError::SessionExpired
                    | DispatchError::AuthenticationFailed(_)
            ) | Closed::Frame(FrameError::Tls)
        )
    }
}

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
