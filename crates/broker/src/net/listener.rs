//! Accepting connections and looking after them: limits, idle time-outs, an orderly end.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, Socket};
use super::frame::FrameReader;
use super::memory::FrameMemory;
use super::tls::TlsSession;
use crate::api::ClientConnection;
use crate::context::{Broker, ListenerInfo};
use crate::metrics::ListenerMeter;
use crate::quota::Admission;
use crate::security::tls::TlsListener;

/// Pause after `accept` failed, for example because no file descriptor is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// How long a listener that is full waits before it looks at its limit again.
const LIMIT_RECHECK: Duration = Duration::from_secs(1);
/// How long responses may take to leave after the broker was told to stop.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// What connections may use, resolved from the configuration.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionLimits {
    /// `socket.request.max.bytes`
    pub(crate) max_frame_bytes: usize,
    /// Memory of all unfinished large frames together.
    pub(crate) frame_memory_bytes: usize,
    /// `connections.max.idle.ms`; `None` for never.
    pub(crate) max_idle: Option<Duration>,
}

/// How to listen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListenOptions {
    /// Connections that may wait to be accepted.
    pub(crate) backlog: i32,
    /// `socket.send.buffer.bytes`; `None` leaves it to the operating system.
    pub(crate) send_buffer_bytes: Option<usize>,
    /// `socket.receive.buffer.bytes`; `None` leaves it to the operating system.
    pub(crate) receive_buffer_bytes: Option<usize>,
}

/// Binds a listening socket. Accepted connections inherit the buffer sizes; the receive buffer must be known before a
/// connection is made, because it decides the window scaling.
pub(crate) fn bind(address: SocketAddr, options: ListenOptions) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    TcpListener::from_std(socket.into())
}

/// Accepts on every listener until `stop`; returns when all connections have ended.
pub(crate) async fn serve(
    broker: Arc<Broker>,
    listeners: Vec<(TcpListener, Arc<ListenerInfo>)>,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    let connections = Arc::new(Connections::new(limits));
    let acceptors = TaskTracker::new();
    for (listener, info) in listeners {
        acceptors.spawn(accept_loop(broker.clone(), listener, info, connections.clone(), stop.clone()));
    }
    acceptors.spawn(close_idle(connections.clone(), stop.clone()));
    acceptors.close();
    acceptors.wait().await;
    connections.finish().await;
}

async fn accept_loop(
    broker: Arc<Broker>,
    listener: TcpListener,
    info: Arc<ListenerInfo>,
    connections: Arc<Connections>,
    stop: CancellationToken,
) {
    let meter = broker.metrics.listener(&info.name);
    loop {
        let room = connections.room_on(&broker, &info.name);
        tokio::select! {
            () = room => {}
            () = stop.cancelled() => return,
        }
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let pause = broker.connection_quotas.accepted(&info.name, &broker.live_config.load());
                connections.admit(&broker, &info, &meter, stream, peer);
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            Err(error) => {
                tracing::warn!(listener = %info.name, %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Closes connections on which nothing has moved for `connections.max.idle.ms`, including half-sent frames and clients
/// that never read their responses.
async fn close_idle(connections: Arc<Connections>, stop: CancellationToken) {
    let Some(max_idle) = connections.limits.max_idle else { return };
    let every = (max_idle / 4).clamp(Duration::from_millis(10), Duration::from_secs(10));
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = ticks.tick() => connections.for_each(|socket| if socket.idle() >= max_idle { socket.close() }),
            () = stop.cancelled() => return,
        }
    }
}

/// The open connections of all listeners.
struct Connections {
    limits: ConnectionLimits,
    memory: FrameMemory,
    open: Mutex<Open>,
    next_id: AtomicU64,
    tasks: TaskTracker,
    /// Told whenever a connection ends.
    ended: Notify,
}

#[derive(Default)]
struct Open {
    sockets: HashMap<u64, OpenConnection>,
    per_ip: HashMap<IpAddr, usize>,
    per_listener: HashMap<String, usize>,
}

struct OpenConnection {
    socket: Arc<Socket>,
    task: Option<AbortHandle>,
}

impl Connections {
    fn new(limits: ConnectionLimits) -> Connections {
        Connections {
            memory: FrameMemory::new(limits.frame_memory_bytes),
            limits,
            open: Mutex::default(),
            next_id: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            ended: Notify::new(),
        }
    }

    /// Waits until the listener may have one more connection (`max.connections`); what waits to be accepted stays in its
    /// backlog meanwhile.
    async fn room_on(&self, broker: &Broker, listener: &str) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let has_room = {
                let open = self.open.lock();
                let on_listener = open.per_listener.get(listener).copied().unwrap_or(0);
                let live = broker.live_config.load();
                open.sockets.len() < live.max_connections
                    && on_listener < live.listener(listener).max_connections.unwrap_or(usize::MAX)
            };
            if has_room {
                return;
            }
            // Not for ever: the limit may have been raised.
            let _ = tokio::time::timeout(LIMIT_RECHECK, ended).await;
        }
    }

    /// Serves the connection, or closes it if its address has too many or makes too many.
    fn admit(
        self: &Arc<Self>,
        broker: &Arc<Broker>,
        info: &Arc<ListenerInfo>,
        meter: &Arc<ListenerMeter>,
        stream: TcpStream,
        peer: SocketAddr,
    ) {
        if let Admission::CloseAfter(pause) = broker.connection_quotas.admit(peer.ip()) {
            meter.refused();
            tracing::debug!(%peer, listener = %info.name, "connections come too fast from this address");
            // Held, so that the client does not come back at once.
            self.tasks.spawn(async move {
                tokio::time::sleep(pause).await;
                drop(stream);
            });
            return;
        }
        let info = match stream.set_nodelay(true).and_then(|()| stream.local_addr()) {
            Ok(local) => info.as_seen_from(local),
            Err(error) => return tracing::debug!(%peer, %error, "connection lost while it was accepted"),
        };
        let secured = broker.listener_security.of(&info.name).cloned();
        let tls = secured.as_ref().and_then(|secured| secured.tls.as_ref()).map(TlsListener::accept).transpose();
        let tls = match tls {
            Ok(tls) => tls.map(TlsSession::new),
            Err(error) => return tracing::error!(%peer, listener = %info.name, %error, "TLS cannot be started"),
        };
        let socket = Arc::new(Socket::new(stream, tls));
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let per_ip_max = broker.live_config.load().per_ip_max(peer.ip());
        if !self.register(id, peer.ip(), &info.name, per_ip_max, &socket) {
            meter.refused();
            return tracing::debug!(%peer, listener = %info.name, "too many connections");
        }
        let reader = FrameReader::new(self.limits.max_frame_bytes, self.memory.clone());
        meter.opened();
        let (ip, listener, meter) = (peer.ip(), info.name.clone(), meter.clone());
        let registration = Registration { connections: self.clone(), id, ip, listener, meter };
        let client = ClientConnection::new(info, peer);
        let serving = connection::serve(broker.clone(), client, secured, socket, reader);
        let task = self.tasks.spawn(async move {
            let _registration = registration;
            serving.await;
        });
        if let Some(entry) = self.open.lock().sockets.get_mut(&id) {
            entry.task = Some(task.abort_handle());
        }
    }

    fn register(&self, id: u64, ip: IpAddr, listener: &str, per_ip_max: usize, socket: &Arc<Socket>) -> bool {
        let mut open = self.open.lock();
        let from_ip = open.per_ip.get(&ip).copied().unwrap_or(0);
        if from_ip >= per_ip_max {
            return false;
        }
        *open.per_listener.entry(listener.to_owned()).or_default() += 1;
        open.per_ip.insert(ip, from_ip + 1);
        open.sockets.insert(id, OpenConnection { socket: socket.clone(), task: None });
        true
    }

    fn for_each(&self, visit: impl Fn(&Socket)) {
        self.open.lock().sockets.values().for_each(|connection| visit(&connection.socket));
    }

    /// Lets requests under way finish, then ends what is left: parked requests and clients that do not read.
    async fn finish(&self) {
        self.tasks.close();
        self.for_each(Socket::stop_reading);
        if tokio::time::timeout(DRAIN_MAX, self.tasks.wait()).await.is_err() {
            self.open.lock().sockets.values().filter_map(|open| open.task.as_ref()).for_each(AbortHandle::abort);
            self.tasks.wait().await;
        }
    }
}

/// Takes the connection off the books however its task ends.
struct Registration {
    connections: Arc<Connections>,
    id: u64,
    ip: IpAddr,
    listener: String,
    meter: Arc<ListenerMeter>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.meter.closed();
        let mut open = self.connections.open.lock();
        open.sockets.remove(&self.id);
        if let Some(count) = open.per_listener.get_mut(&self.listener) {
            *count -= 1;
        }
        if let Some(count) = open.per_ip.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.per_ip.remove(&self.ip);
            }
        }
        drop(open);
        self.connections.ended.notify_waiters();
    }
}
