//! A client of a REST API of JSON, for calls between servers and from the command line: a Connect worker in most cases.
//!
//! Answers come as a whole, or piece by piece ([`Pieces`]). A client that keeps connections uses them again once their
//! answers were read to the end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Request, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

pub use crate::percent_encode;

/// How long a call may take, unless the client says otherwise.
const CALL_MAX: Duration = Duration::from_secs(90);
/// Connections that wait for another call.
const KEPT_MAX: usize = 8;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a URL of a worker.
    #[error("{0} is not a URL such as http://localhost:8083")]
    Url(String),
    /// The connection.
    #[error("{url}: {reason}")]
    Failed {
        /// Which worker.
        url: String,
        /// What went wrong.
        reason: String,
    },
}

/// What a worker has answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The status.
    pub status: u16,
    /// The body; null when there is none.
    pub body: Value,
}

type Sender = SendRequest<Full<Bytes>>;

/// Connections that wait for another call; `None` for a client that keeps none.
type Kept = Option<Arc<Mutex<Vec<Sender>>>>;

/// See the module's words.
pub struct RestClient {
    secure: bool,
    host: String,
    port: u16,
    authorization: Option<String>,
    tls: Option<TlsConnector>,
    call_max: Duration,
    kept: Kept,
}

/// An answer whose body is read while it comes.
pub struct Pieces {
    /// The status.
    pub status: u16,
    body: Incoming,
    sender: Option<Sender>,
    kept: Kept,
}

impl Pieces {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// Why there is no more, though the body has not ended.
    pub async fn next(&mut self) -> Result<Option<Bytes>, String> {
        while let Some(frame) = self.body.frame().await {
            // Trailers are of no interest.
            if let Ok(bytes) = frame.map_err(|error| error.to_string())?.into_data() {
                return Ok(Some(bytes));
            }
        }
        if let (Some(kept), Some(sender)) = (&self.kept, self.sender.take())
            && let Ok(mut kept) = kept.lock()
            && kept.len() < KEPT_MAX
        {
            kept.push(sender);
        }
        Ok(None)
    }
}

impl RestClient {
    /// A client of the worker at `url`; `user` is `name:password`.
    ///
    /// # Errors
    /// [`ClientError::Url`]
    pub fn new(url: &str, user: Option<&str>) -> Result<RestClient, ClientError> {
        let refuse = || ClientError::Url(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(refuse)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(refuse()),
        };
        let address = rest.split('/').next().unwrap_or_default();
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| refuse())?),
            None => (address, if secure { 443 } else { 80 }),
        };
        if host.is_empty() {
            return Err(refuse());
        }
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let authorization = user.map(|user| format!("Basic {}", BASE64.encode(user)));
        Ok(RestClient { secure, host, port, authorization, tls: None, call_max: CALL_MAX, kept: None })
    }

    /// The same with what is believed of `https://`.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<TlsConnector>) -> RestClient {
        self.tls = tls;
        self
    }

    /// The same with another limit for the time of a call; of pieces, for the time to their beginning.
    #[must_use]
    pub fn with_call_max(mut self, call_max: Duration) -> RestClient {
        self.call_max = call_max;
        self
    }

    /// The same, keeping connections for the next calls. Only for calls that may be made twice: a connection that the
    /// other side has closed is noticed when it is used.
    #[must_use]
    pub fn keeping_connections(mut self) -> RestClient {
        self.kept = Some(Arc::default());
        self
    }

    /// Calls the worker.
    ///
    /// # Errors
    /// [`ClientError::Failed`]
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answered, ClientError> {
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let (status, body) = self.send(method, path, &HeaderMap::new(), body.into()).await?;
        Ok(Answered { status, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }

    /// Calls the worker with further headers; status and body as they are.
    ///
    /// # Errors
    /// [`ClientError::Failed`]
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<(u16, Bytes), ClientError> {
        let exchange = async {
            let mut pieces = self.exchange(method, path, headers, body).await?;
            let mut whole = Vec::new();
            while let Some(piece) = pieces.next().await? {
                whole.extend_from_slice(&piece);
            }
            Ok((pieces.status, whole.into()))
        };
        self.in_time(exchange).await
    }

    /// Calls the worker with further headers; the body as it comes.
    ///
    /// # Errors
    /// [`ClientError::Failed`]
    pub async fn pieces(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Pieces, ClientError> {
        self.in_time(self.exchange(method, path, headers, body)).await
    }

    async fn in_time<T>(&self, exchange: impl Future<Output = Result<T, String>>) -> Result<T, ClientError> {
        let failed = |reason: String| ClientError::Failed { url: format!("{}:{}", self.host, self.port), reason };
        let answered = tokio::time::timeout(self.call_max, exchange).await;
        answered.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.call_max))).map_err(failed)
    }

    async fn exchange(&self, method: &str, path: &str, headers: &HeaderMap, body: Bytes) -> Result<Pieces, String> {
        while let Some(mut sender) = self.take_kept() {
            let request = self.request(method, path, headers, body.clone())?;
            // The other side may have closed it since then.
            if sender.ready().await.is_ok()
                && let Ok(answered) = sender.send_request(request).await
            {
                return Ok(self.answered(answered, sender));
            }
        }
        let mut sender = self.connect().await?;
        let request = self.request(method, path, headers, body)?;
        let answered = sender.send_request(request).await.map_err(|error| error.to_string())?;
        Ok(self.answered(answered, sender))
    }

    fn take_kept(&self) -> Option<Sender> {
        self.kept.as_ref()?.lock().ok()?.pop()
    }

    fn answered(&self, answered: hyper::Response<Incoming>, sender: Sender) -> Pieces {
        let status = answered.status().as_u16();
        Pieces { status, body: answered.into_body(), sender: Some(sender), kept: self.kept.clone() }
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, String> {
        let mut request =
            Request::builder().method(method).uri(path).header(header::HOST, format!("{}:{}", self.host, self.port));
        if !headers.contains_key(header::ACCEPT) {
            request = request.header(header::ACCEPT, "application/json");
        }
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(Full::new(body)).map_err(|error| error.to_string())
    }

    async fn connect(&self) -> Result<Sender, String> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| error.to_string())?;
        // Without this small requests wait for the acknowledgement of what came before.
        let _ = socket.set_nodelay(true);
        if !self.secure {
            return handshake(socket).await;
        }
        let tls = self.tls.as_ref().ok_or("it speaks HTTPS and there is no ssl.truststore.location")?;
        let name = ServerName::try_from(self.host.clone()).map_err(|error| error.to_string())?;
        handshake(tls.connect(name, socket).await.map_err(|error| error.to_string())?).await
    }
}

/// The connection ends by itself when nobody has its sender or its answer any more.
async fn handshake<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> Result<Sender, String> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(sender)
}
