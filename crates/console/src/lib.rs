//! What an operator sees over HTTP: `/metrics` for Prometheus and `/health` for whoever decides about restarts.
//!
//! The systems of the process hand in what there is to tell as [`Sources`]; this crate knows only HTTP.
//!
//! Deliberately absent: any knowledge of brokers, logs or topics, and anything that changes something.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use milena_stdx::ShutdownToken;
use tokio::net::TcpListener;

/// The media type of OpenMetrics' text format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A text that is made when somebody asks.
pub type TextSource = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync>;
/// The health of the process at this moment.
pub type HealthSource = Arc<dyn Fn() -> Health + Send + Sync>;

/// Where the answers come from.
#[derive(Clone)]
pub struct Sources {
    /// The page of `/metrics`, in OpenMetrics' text format.
    pub metrics: TextSource,
    /// The answer of `/health`.
    pub health: HealthSource,
}

/// Whether the process does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is wrong, one line each; empty when nothing is.
    pub problems: Vec<String>,
}

/// The socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("console: cannot listen on {address}: {source}")]
pub struct BindError {
    /// The address asked for.
    pub address: String,
    /// What the operating system said.
    pub source: io::Error,
}

/// A console that has its socket but does not answer yet.
pub struct Console {
    listener: TcpListener,
}

impl Console {
    /// Takes the socket at `address`, a host and a port.
    ///
    /// # Errors
    /// When the address belongs to somebody else or is none.
    pub async fn bind(address: &str) -> Result<Console, BindError> {
        let failed = |source| BindError { address: address.to_owned(), source };
        Ok(Console { listener: TcpListener::bind(address).await.map_err(failed)? })
    }

    /// Where the console listens, with the real port when port 0 was asked for.
    ///
    /// # Errors
    /// When the operating system does not know.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` is cancelled.
    pub async fn serve(self, sources: Sources, shutdown: ShutdownToken) {
        let routes = Router::new().route("/metrics", get(metrics)).route("/health", get(health)).with_state(sources);
        let serving = axum::serve(self.listener, routes).with_graceful_shutdown(shutdown.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the console has ended");
        }
    }
}

async fn metrics(State(sources): State<Sources>) -> Response {
    ([(header::CONTENT_TYPE, OPEN_METRICS)], (sources.metrics)().await).into_response()
}

/// 200 with `{"status":"UP"}`, or 503 with what is wrong.
async fn health(State(sources): State<Sources>) -> Response {
    let health = (sources.health)();
    let (code, status) = match health.problems.is_empty() {
        true => (StatusCode::OK, "UP"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "DOWN"),
    };
    let problems: Vec<String> = health.problems.iter().map(|problem| json_string(problem)).collect();
    let body = format!("{{\"status\":\"{status}\",\"problems\":[{}]}}\n", problems.join(","));
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn json_string(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    async fn start(problems: Vec<String>) -> (SocketAddr, ShutdownToken) {
        let console = Console::bind("127.0.0.1:0").await.unwrap();
        let address = console.address().unwrap();
        let sources = Sources {
            metrics: Arc::new(|| Box::pin(async { "up 1\n# EOF\n".to_owned() })),
            health: Arc::new(move || Health { problems: problems.clone() }),
        };
        let shutdown = ShutdownToken::new();
        tokio::spawn(console.serve(sources, shutdown.clone()));
        (address, shutdown)
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn metrics_and_health_are_served() {
        let (address, shutdown) = start(Vec::new()).await;
        let metrics = get(address, "/metrics").await;
        assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains(OPEN_METRICS) && metrics.contains("up 1\n"));
        let health = get(address, "/health").await;
        assert!(health.starts_with("HTTP/1.1 200") && health.contains("{\"status\":\"UP\",\"problems\":[]}"));
        assert!(get(address, "/other").await.starts_with("HTTP/1.1 404"));
        shutdown.cancel();
    }

    #[tokio::test]
    async fn problems_make_the_health_check_fail_and_are_named() {
        let (address, _shutdown) = start(vec!["log directory \"/a\" is offline".to_owned()]).await;
        let health = get(address, "/health").await;
        assert!(health.starts_with("HTTP/1.1 503"), "{health}");
        assert!(health.contains(r#"["log directory \"/a\" is offline"]"#), "{health}");
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = Console::bind("127.0.0.1:0").await.unwrap();
        let address = first.address().unwrap().to_string();
        let error = Console::bind(&address).await.err().map(|error| error.to_string()).unwrap();
        assert!(error.contains(&address), "{error}");
    }
}
