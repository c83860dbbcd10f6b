//! Handing a request to the leader.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::answer::Answer;
use super::{FORWARDED, REQUEST_ID};
use crate::election::Identity;
use crate::service::Error;

/// Headers that a forwarded request keeps.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::ACCEPT, header::AUTHORIZATION];
/// Another one.
const UNKNOWN_PROPERTIES: &str = "confluent-accept-unknown-properties";

/// Sends requests to other instances.
#[derive(Clone)]
pub struct Forwarder {
    /// For leaders that speak HTTPS.
    pub tls: Option<TlsConnector>,
    /// `inter.instance.headers.whitelist`
    pub headers: Vec<String>,
    /// How long the leader may take.
    pub timeout: Duration,
}

/// What is forwarded.
pub struct Forwarded<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query as they came.
    pub path_and_query: &'a str,
    /// The headers as they came.
    pub headers: &'a HeaderMap,
    /// The id of the request.
    pub request_id: &'a HeaderValue,
    /// The body.
    pub body: Bytes,
}

impl Forwarder {
    /// The leader's answer, as it is.
    ///
    /// # Errors
    /// 50003 when the leader does not answer.
    pub async fn send(&self, leader: &Identity, request: Forwarded<'_>) -> Result<Answer, Error> {
        let url = leader.url();
        let failed = |reason: String| Error::Forwarding(format!("{url}: {reason}"));
        match tokio::time::timeout(self.timeout, self.exchange(leader, request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(failed(format!("no answer within {} ms", self.timeout.as_millis()))),
        }
    }

    async fn exchange(&self, leader: &Identity, request: Forwarded<'_>) -> Result<Answer, String> {
        let socket = TcpStream::connect((leader.host(), leader.port())).await.map_err(|error| error.to_string())?;
        let request = self.request(leader, request)?;
        if leader.scheme() != "https" {
            return exchange(socket, request).await;
        }
        let tls = self.tls.as_ref().ok_or("the leader speaks HTTPS and there is no ssl.truststore.location")?;
        let name = ServerName::try_from(leader.host().to_owned()).map_err(|error| error.to_string())?;
        let stream = tls.connect(name, socket).await.map_err(|error| error.to_string())?;
        exchange(stream, request).await
    }

    fn request(&self, leader: &Identity, from: Forwarded<'_>) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(from.method.clone())
            .uri(from.path_and_query)
            .header(header::HOST, format!("{}:{}", leader.host(), leader.port()))
            .header(FORWARDED, "true")
            .header(REQUEST_ID, from.request_id);
        let listed = self.headers.iter().filter_map(|name| HeaderName::try_from(name.as_str()).ok());
        let kept = KEPT.into_iter().chain([HeaderName::from_static(UNKNOWN_PROPERTIES)]).chain(listed);
        for name in kept {
            for value in from.headers.get_all(&name) {
                request = request.header(&name, value);
            }
        }
        request.body(Full::new(from.body)).map_err(|error| error.to_string())
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let connection = tokio::spawn(connection);
    let answered = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answered.status().as_u16();
    let body = answered.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    connection.abort();
    Ok(Answer { status, body: body.to_vec() })
}
