//! Metrics over HTTP: `GET /metrics` for a Prometheus server, `GET /health` for whoever asks whether the process lives.
//!
//! Nothing secret is said, and nothing is changed by who asks; still it listens only where it is told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::Metrics;

/// What a Prometheus server takes the text for.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Connections at a time.
const CONNECTIONS_MAX: usize = 16;
/// How long a request may take to come.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection may last.
const CONNECTION_WITHIN: Duration = Duration::from_secs(60);

/// Why metrics are not to be had.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be asked for at {address}: {source}; give a host:port of this machine that is free")]
pub struct MetricsError {
    /// Where it was to listen.
    pub address: String,
    /// What is wrong.
    pub source: std::io::Error,
}

/// Answers until it is dropped.
#[derive(Debug)]
pub struct MetricsServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl MetricsServer {
    /// Listens at `address`, a `host:port`; port 0 is any free one.
    ///
    /// # Errors
    /// [`MetricsError`]: the address is none, or taken.
    pub async fn start(address: &str, metrics: Metrics) -> Result<Self, MetricsError> {
        let error = |source| MetricsError { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(error)?;
        let local = listener.local_addr().map_err(error)?;
        Ok(Self { address: local, task: tokio::spawn(serve(listener, metrics)) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, metrics: Metrics) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("who asks for metrics is not heard: {error}");
                // Out of descriptors, most likely: let some connections end first.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let metrics = metrics.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let answered = answer(&request, &metrics);
                async move { Ok::<_, Infallible>(answered) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST_WITHIN)
                .serve_connection(TokioIo::new(stream), answer);
            if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_WITHIN, serving).await {
                tracing::debug!("who asked for metrics: {error}");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, TEXT, metrics.render()),
        (&Method::GET | &Method::HEAD, "/health") => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
        (_, "/metrics" | "/health") => {
            (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET is answered here\n".to_owned())
        }
        (_, path) => (
            StatusCode::NOT_FOUND,
            "text/plain",
            format!("there is no {path}; there are /metrics and /health\n"),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}
